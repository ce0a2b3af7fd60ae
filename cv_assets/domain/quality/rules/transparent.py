"""Images that can be seen through."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    noted = tables["manifest"].filter(pl.col("notes").list.contains("transparent"))
    return found(noted, evidence=["channels", "mode"])


RULE: Final = Rule(
    code="transparent",
    description="Some pixels are transparent: what a loader makes of them is up to the loader.",
    severity="INFO",
    find=_find,
)
