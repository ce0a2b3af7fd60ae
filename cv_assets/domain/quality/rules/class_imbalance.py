"""Datasets whose largest class drowns the smallest."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.labels import images_by_class
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    counts = images_by_class(tables["manifest"])
    rare, common = pl.col("images").arg_min(), pl.col("images").arg_max()
    extremes = counts.select(
        pl.len().alias("classes"),
        pl.col("class").get(common, null_on_oob=True).alias("largest"),
        pl.col("images").max().alias("largest_images"),
        pl.col("class").get(rare, null_on_oob=True).alias("smallest"),
        pl.col("images").min().alias("smallest_images"),
    )
    ratio = (pl.col("largest_images") / pl.col("smallest_images")).alias("score")
    uneven = extremes.with_columns(ratio).filter(pl.col("score") > threshold)
    return found(uneven, score=pl.col("score"), evidence=extremes.columns)


RULE: Final = Rule(
    code="class-imbalance",
    description="The largest class has many times the images of the smallest.",
    severity="WARN",
    find=_find,
    threshold=10.0,
    unit="images of the largest class over those of the smallest",
    bounds=(1, float("inf")),
)
