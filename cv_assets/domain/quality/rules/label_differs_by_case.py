"""Spellings of one label that differ only by case, or in how accents are encoded: the rarer ones."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.labels import folded, labels_of
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    """The most frequent spelling is the usual one, of equals the first in order; space has a rule of its own."""
    labels = labels_of(tables)
    counts = (
        labels.with_columns(pl.col("label").str.strip_chars().alias("spelling")).group_by("label", "spelling").len()
    )
    spellings = (
        counts.group_by("spelling")
        .agg(pl.col("len").sum().alias("rows"))
        .with_columns(folded(pl.col("spelling")).alias("key"))
    )
    ranked = spellings.sort(pl.col("rows"), "spelling", descending=[True, False])
    usual = ranked.group_by("key").agg(
        pl.col("spelling").first().alias("usual_label"), pl.col("rows").first().alias("usual_rows")
    )
    rarer = ranked.join(usual, on="key").filter(pl.col("spelling") != pl.col("usual_label"))
    marked = counts.select("label", "spelling").join(rarer, on="spelling")
    told = labels.join(marked, on="label", maintain_order="left")
    return found(told, evidence=["label", "rows", "usual_label", "usual_rows"])


RULE: Final = Rule(
    code="label-differs-by-case",
    description="The label differs from a more frequent one only by case, or in how its accents are encoded.",
    severity="WARN",
    find=_find,
)
