"""splits: which image is for training, which for validation, which for testing."""

import dagster as dg
import polars as pl

from cv_assets.assets.line import Line, as_asset, picture, result
from cv_assets.domain.lineage import configuration_digest
from cv_assets.domain.pictures import class_bars
from cv_assets.domain.releasing import split_sizes
from cv_assets.domain.splitting import build_splits
from resources.configured import ObjectStoreResource
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig


def build_splits_asset(line: Line) -> dg.AssetsDefinition:
    """The asset `splits` of a dataset."""
    described = line.describe(
        "splits",
        "Image → split: stratified by label, with groups and duplicates on one side, decided by seed and content alone.",
        code_version="2",
        kinds={"table"},
    )

    @as_asset(described, ins=line.ins("manifest"), deps=[line.key("quality_report")])
    def splits(
        context: dg.AssetExecutionContext, object_store: ObjectStoreResource, manifest: pl.DataFrame
    ) -> dg.MaterializeResult[pl.DataFrame]:
        version = line.version(context, object_store.open())
        kept = _find_kept(version, line.config)
        frame = build_splits(manifest, line.config.split) if kept is None else kept
        bars = picture(class_bars(manifest, frame, list(line.config.split.ratios)), "images a class and split")
        left_out = frame["split"].null_count()
        docs = line.data_docs(version, "splits")
        return result(
            frame, images=split_sizes(frame, line.config.split.ratios), classes=bars, left_out=left_out, **docs
        )

    return splits


def _find_kept(version: VersionStore, config: DatasetConfig) -> pl.DataFrame | None:
    """What a committed version was committed with under these settings: that stands, however images are dealt today."""
    made = None if version.commit() is None else version.find_making("splits")
    is_same = made is not None and made.configuration == configuration_digest("splits", config)
    return version.find_table("splits") if is_same else None
