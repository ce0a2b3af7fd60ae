"""quality_report: the figures that a person looks at before anything is trained on."""

import dagster as dg
import polars as pl

from cv_assets.assets.line import Line, as_asset, result
from cv_assets.domain.quality.summary import build_report


def build_quality_report(line: Line) -> dg.AssetsDefinition:
    """The asset `quality_report` of a dataset."""
    described = line.describe(
        "quality_report",
        "How much there is, what is missing, what stands twice, how large images are, what was rejected: one row a figure.",
        code_version="1",
        kinds={"table"},
    )

    @as_asset(described, ins=line.ins("raw_images", "annotations", "manifest", "quarantine"))
    def quality_report(
        raw_images: pl.DataFrame, annotations: pl.DataFrame, manifest: pl.DataFrame, quarantine: pl.DataFrame
    ) -> dg.MaterializeResult[pl.DataFrame]:
        tables = {
            "raw_images": raw_images,
            "annotations": annotations,
            "manifest": manifest,
            "quarantine": quarantine,
        }
        frame = build_report(tables)
        figures: dict[str, dict[str, float]] = {}
        for section, name, value in frame.select("section", "name", "value").iter_rows():
            figures.setdefault(section, {})[name] = value
        return result(frame, passed=figures["result"]["passed"] == 1, figures=figures)

    return quality_report
