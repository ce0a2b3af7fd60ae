"""Images without a group in a dataset whose other images have one: a key that is missed there keeps nothing together."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    """Nothing where no image has a group: then none were asked for, or a gate stops the line."""
    manifest = tables["manifest"]
    has_group = pl.col("groups").list.len() > 0
    return found(manifest.filter(~has_group & has_group.any()), evidence=["labels"])


RULE: Final = Rule(
    code="image-without-group",
    description="Other images have a group and this one has none: it is dealt to a split by itself.",
    severity="WARN",
    find=_find,
)
