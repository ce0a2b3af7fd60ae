"""Images between two even bars, as films on screens of another shape are."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    boxed = tables["manifest"].filter(pl.col("bars_ratio") > threshold)
    return found(boxed, score=pl.col("bars_ratio"), evidence=["border_ratio", "height_px", "width_px"])


RULE: Final = Rule(
    code="letterboxed",
    description="Two opposite sides of the image are even bars.",
    severity="INFO",
    find=_find,
    # bars of 3 % of the height on both sides have 0.06; photos without bars have 0
    threshold=0.05,
    unit="share of the area in the two bars",
    bounds=(0, 1),
)
