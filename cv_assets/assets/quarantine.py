"""quarantine: every rejected image file, with its reason."""

import dagster as dg
import polars as pl

from cv_assets.assets.line import Line, as_asset, result
from cv_assets.domain.manifest import build_quarantine
from resources.configured import ObjectStoreResource


def build_quarantine_asset(line: Line) -> dg.AssetsDefinition:
    """The asset `quarantine` of a dataset."""
    described = line.describe(
        "quarantine",
        "Every image file that was rejected, with stage, reason and what was found. Where its bytes could "
        "be read they are kept in the content store, or stay in the source, pinned.",
        code_version="1",
        kinds={"file"},
    )

    # not after the manifest: where no image is accepted, that one's gates stop what comes next, and this says why
    @as_asset(described, ins=line.ins("raw_images"))
    def quarantine(
        context: dg.AssetExecutionContext, object_store: ObjectStoreResource, raw_images: pl.DataFrame
    ) -> dg.MaterializeResult[pl.DataFrame]:
        version = line.version(context, object_store.open())
        frame = build_quarantine(raw_images, version.load_table("probes"))
        return result(frame, reasons=dict(frame.group_by("reason").len().sort("reason").iter_rows()))

    return quarantine
