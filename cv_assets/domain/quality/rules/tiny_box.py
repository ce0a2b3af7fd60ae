"""Boxes too small to be seen."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.boxes import CORNERS, boxes_of, has_area, in_images
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    side = pl.min_horizontal("box_width_px", "box_height_px")
    boxes = boxes_of(tables).filter(has_area()).with_columns(side.alias("score"))
    tiny = in_images(boxes.filter(pl.col("score") < threshold), tables)
    return found(tiny, score=pl.col("score"), evidence=[*CORNERS, "height_px", "label", "width_px"])


RULE: Final = Rule(
    code="tiny-box",
    description="The box is too small to show anything.",
    severity="WARN",
    find=_find,
    # what trainers of detectors warn of: Ultralytics counts labels of less than 3 pixels as extremely small
    threshold=3.0,
    unit="px, shorter side",
    worst="low",
)
