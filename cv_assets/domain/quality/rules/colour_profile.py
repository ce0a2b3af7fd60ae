"""Images whose colours mean what a profile in the file says."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    noted = tables["manifest"].filter(pl.col("notes").list.contains("colour-profile"))
    return found(noted, evidence=["format", "mode"])


RULE: Final = Rule(
    code="colour-profile",
    description="The file has a colour profile (ICC), which training pipelines ignore.",
    severity="INFO",
    find=_find,
)
