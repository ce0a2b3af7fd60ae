"""Labels that belong to no file, or that fit several."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig

REASONS: Final = ("ambiguous-file", "no-file")


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    """The path is that of the annotation file. A label of a rejected file is not meant: the quarantine tells that."""
    lost = tables["annotations"].filter(pl.col("reason").is_in(REASONS))
    told = lost.with_columns(pl.col("annotation_id").str.replace("#[^#]*$", "").alias("path"))
    return found(told, evidence=["detail", "label", "named", "reason"])


RULE: Final = Rule(
    code="label-without-file",
    description="The label names an image file that is not there, or that could be several.",
    severity="WARN",
    find=_find,
)
