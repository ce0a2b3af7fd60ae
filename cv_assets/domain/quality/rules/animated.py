"""Images of several frames or pages, of which only the first is trained on."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    several = tables["manifest"].filter(pl.col("frames") > 1)
    return found(several, score=pl.col("frames"), evidence=["format"])


RULE: Final = Rule(
    code="animated",
    description="The file has several frames (of a TIFF: pages); only the first is looked at.",
    severity="INFO",
    find=_find,
    unit="frames",
)
