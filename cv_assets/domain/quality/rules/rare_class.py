"""Classes with too few images to learn them, and to measure whether they were learnt."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.labels import images_by_class
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    rare = images_by_class(tables["manifest"]).filter(pl.col("images") < threshold)
    return found(rare, score=pl.col("images"), evidence=["class", "images"])


RULE: Final = Rule(
    code="rare-class",
    description="The class has few images.",
    severity="WARN",
    find=_find,
    # of fewer, a split of 15 % gets one image, by which nothing can be measured
    threshold=10.0,
    unit="images",
    worst="low",
)
