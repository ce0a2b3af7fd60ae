"""Labels that begin or end with space: to a program they are classes of their own."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.labels import labels_of
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    spaced = labels_of(tables).filter(pl.col("label") != pl.col("label").str.strip_chars())
    return found(spaced, evidence=["label"])


RULE: Final = Rule(
    code="label-with-space",
    description="The label begins or ends with space.",
    severity="WARN",
    find=_find,
)
