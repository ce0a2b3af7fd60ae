"""Boxes of no width or no height, and boxes whose corners are in the wrong order."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.boxes import CORNERS, boxes_of
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    side = pl.min_horizontal("box_width_px", "box_height_px")
    boxes = boxes_of(tables).with_columns(side.alias("score"), (side < 0).alias("inverted"))
    flat = boxes.filter(pl.col("score") <= 0)
    return found(flat, score=pl.col("score"), evidence=[*CORNERS, "inverted", "label"])


RULE: Final = Rule(
    code="box-without-area",
    description="The box has no area: a side is zero, or its corners are in the wrong order.",
    severity="WARN",
    find=_find,
    unit="px, shorter side",
    worst="low",
)
