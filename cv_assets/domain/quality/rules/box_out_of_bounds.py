"""Boxes that leave their image."""

from typing import Final

import polars as pl

from cv_assets.domain.gates import BOX_TOLERANCE_PX
from cv_assets.domain.quality.boxes import CORNERS, boxes_of, in_images
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    """How far the outermost corner lies outside; an inverted box is looked at as if its corners were in order."""
    outside = pl.max_horizontal(
        -pl.min_horizontal("x_min_px", "x_max_px"),
        -pl.min_horizontal("y_min_px", "y_max_px"),
        pl.max_horizontal("x_min_px", "x_max_px") - pl.col("width_px"),
        pl.max_horizontal("y_min_px", "y_max_px") - pl.col("height_px"),
    )
    boxes = in_images(boxes_of(tables), tables).with_columns(outside.alias("score"))
    out = boxes.filter(pl.col("score") > threshold)
    return found(out, score=pl.col("score"), evidence=[*CORNERS, "height_px", "label", "width_px"])


RULE: Final = Rule(
    code="box-out-of-bounds",
    description="The box leaves its image.",
    severity="WARN",
    find=_find,
    threshold=BOX_TOLERANCE_PX,
    unit="px outside the upright image",
)
