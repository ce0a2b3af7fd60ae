"""Images that tell a place."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    noted = tables["manifest"].filter(pl.col("notes").list.contains("gps-present"))
    return found(noted, evidence=["format"])


RULE: Final = Rule(
    code="gps-present",
    description="The file says where it was taken (EXIF GPS), which may be private.",
    severity="WARN",
    find=_find,
)
