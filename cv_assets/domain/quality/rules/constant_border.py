"""Images in an even frame."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    """An image that is all border has nothing in its frame: low-information says so."""
    framed = tables["manifest"].filter(pl.col("border_ratio") > threshold, pl.col("border_ratio") < 1)
    return found(framed, score=pl.col("border_ratio"), evidence=["bars_ratio", "height_px", "width_px"])


RULE: Final = Rule(
    code="constant-border",
    description="All four sides of the image are one even frame.",
    severity="INFO",
    find=_find,
    # a frame of 3 % of the sides has 0.12; photos without a frame have 0
    threshold=0.1,
    unit="share of the area in the frame",
    bounds=(0, 1),
)
