"""Labels that the dataset's taxonomy does not know."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.labels import labels_of, near_classes
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, config: DatasetConfig, threshold: float) -> pl.DataFrame:
    labels = labels_of(tables)
    if not config.classes:
        return found(labels.clear())
    unknown = near_classes(labels["label"], config.classes).rename({"class": "perhaps"})
    return found(labels.join(unknown, on="label", maintain_order="left"), evidence=["label", "perhaps"])


RULE: Final = Rule(
    code="unknown-label",
    description="The label is none of the dataset's classes.",
    severity="WARN",
    find=_find,
)
