"""splits: which image is for training, which for validation, which for testing."""

import dagster as dg
import polars as pl

from cv_assets.assets.line import Line, as_asset, picture, result
from cv_assets.domain.pictures import class_bars
from cv_assets.domain.releasing import split_sizes
from cv_assets.domain.splitting import build_splits
from resources.configured import ObjectStoreResource


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
        frame = build_splits(manifest, line.config.split)
        bars = picture(class_bars(manifest, frame, list(line.config.split.ratios)), "images a class and split")
        left_out = frame["split"].null_count()
        docs = line.data_docs(line.version(context, object_store.open()), "splits")
        return result(
            frame, images=split_sizes(frame, line.config.split.ratios), classes=bars, left_out=left_out, **docs
        )

    return splits
