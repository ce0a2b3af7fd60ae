"""quality_report: what a person looks at before anything is trained on."""

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg
import polars as pl

from cv_assets.assets.line import Line, as_asset, page_link, picture, result
from cv_assets.domain.charts import draw_drift, draw_history
from cv_assets.domain.lineage import MADE_WITH, READS
from cv_assets.domain.quality.history import build_history
from cv_assets.domain.quality.judging import judge
from cv_assets.domain.quality.near_duplicates import Earlier
from cv_assets.domain.quality.page import page
from cv_assets.domain.quality.report import About, pictures_wanted, report_json
from cv_assets.domain.quality.sheets import draw_sheets
from cv_assets.domain.quality.summary import largest_figures
from resources.baselines import Baseline, find_baseline, find_previous
from resources.configured import EngineResource, ObjectStoreResource
from resources.content_store import contents_of
from resources.engine import Engine
from resources.histories import load_history
from resources.reports import PAGE, make_thumbnails, save_report
from resources.verdicts import list_failed
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig

READ: Final = READS["quality_report"]
BESIDE: Final = tuple(table for table, asset in MADE_WITH.items() if asset == "quality_report")

Tables = Mapping[str, pl.DataFrame]


def build_quality_report(line: Line) -> dg.AssetsDefinition:
    """The asset `quality_report` of a dataset."""
    described = line.describe(
        "quality_report",
        "Every defect that was found, with the pictures to judge by: findings of images, annotations and the dataset, "
        "duplicates, drift against the release before. `cv-assets report` opens the page.",
        code_version="5",
        kinds={"table", "html"},
    )

    @as_asset(described, ins=line.ins(*READ))
    def quality_report(
        context: dg.AssetExecutionContext,
        object_store: ObjectStoreResource,
        engine: EngineResource,
        **read: pl.DataFrame,
    ) -> dg.MaterializeResult[pl.DataFrame]:
        version = line.version(context, object_store.open())
        baseline = find_baseline(version, line.config)
        tables = {**read, **(_find_kept(version) or _judge(version, read, line.config, baseline))}
        for name in BESIDE:
            version.save_table(name, tables[name])
        shown = _show(version, tables, line.config, baseline, engine.open())
        frame = tables["quality_report"]
        return result(frame, **_said(frame), **shown, **line.data_docs(version, "quality_report"))

    return quality_report


def _find_kept(version: VersionStore) -> dict[str, pl.DataFrame] | None:
    """What a committed version was committed with: that stands, whatever the rules and the baseline are today."""
    if version.commit() is None:
        return None
    found = {name: version.find_table(name) for name in (*BESIDE, "quality_report")}
    kept = {name: table for name, table in found.items() if table is not None}
    return kept if len(kept) == len(found) else None


def _judge(
    version: VersionStore, read: Tables, config: DatasetConfig, baseline: Baseline | None
) -> dict[str, pl.DataFrame]:
    previous = find_previous(version, baseline)
    lends = previous is not None and previous.lends_near_duplicates(config)
    earlier = Earlier(previous.tables["manifest"], previous.tables["near_duplicates"]) if previous and lends else None
    return judge(read, config, baseline=baseline.tables if baseline else None, earlier=earlier)


def _show(
    version: VersionStore, tables: Tables, config: DatasetConfig, baseline: Baseline | None, engine: Engine
) -> dict[str, dg.MetadataValue]:
    """Write the page, and draw what the UI shows of it."""
    history = build_history({**load_history(version), version.version: tables})
    known = {**tables, "history": history}
    failed = tuple(list_failed(version, READ))
    about = About(config.name, version.version, baseline.version if baseline else None, failed)
    content = contents_of(version.store, config.source.url, tables["raw_images"])
    thumbnails = make_thumbnails(content, engine, config.limits.to_limits(), pictures_wanted(known, config))
    report = report_json(known, config, about)
    key = save_report(version, page(report, thumbnails), report)[PAGE]
    pictures = {name: picture(jpeg, name.replace("_", " ")) for name, jpeg in draw_sheets(known, thumbnails).items()}
    if baseline is not None and tables["drift"].height:
        pictures["drift"] = picture(draw_drift(tables["drift"], baseline.version, version.version), "drift")
    pictures["history"] = picture(draw_history(history), "figures over versions")
    return {"report": page_link(version.store, key), **pictures}


def _said(frame: pl.DataFrame) -> dict[str, Any]:
    figures = largest_figures(frame)
    return {"passed": figures["result"]["passed"] == 1, "figures": figures}
