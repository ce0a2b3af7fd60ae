"""Datasets whose labels are not the classes that their taxonomy names."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.labels import near_classes
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig

_LISTS: Final = ("only_in_classes", "only_in_labels", "same_but_for_case_or_space")


def _find(tables: Tables, config: DatasetConfig, threshold: float) -> pl.DataFrame:
    """At most one finding, which lists what each side has alone, and which of these are two spellings of one."""
    labels = tables["annotations"]["label"].drop_nulls().unique().sort()
    unknown = near_classes(labels, config.classes)
    near = unknown.drop_nulls("class").select(pl.struct("class", "label").alias("pair"))["pair"]
    unused = sorted(set(config.classes).difference(labels))
    differs = bool(config.classes) and bool(unused or unknown.height)
    pairs = pl.Series(near, dtype=pl.Struct({"class": pl.String, "label": pl.String}))
    told = pl.DataFrame(
        {name: [value] for name, value in zip(_LISTS, (unused, unknown["label"], pairs), strict=True)},
        schema_overrides={"only_in_classes": pl.List(pl.String)},
    )
    return found(told if differs else told.clear(), evidence=_LISTS)


RULE: Final = Rule(
    code="taxonomy-differs",
    description="The labels of the source are not the classes that the dataset names.",
    severity="WARN",
    find=_find,
)
