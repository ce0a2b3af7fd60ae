"""Boxes that are the whole image, as placeholders are."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.boxes import CORNERS, boxes_of, has_area, in_images
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _inside(axis: str, side: str) -> pl.Expr:
    """Share of an image's side that the box covers."""
    ends = pl.min_horizontal(f"{axis}_max_px", side) - pl.max_horizontal(f"{axis}_min_px", pl.lit(0.0))
    return ends.clip(lower_bound=0) / pl.col(side)


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    boxes = in_images(boxes_of(tables).filter(has_area()), tables)
    share = _inside("x", "width_px") * _inside("y", "height_px")
    covering = boxes.with_columns(share.alias("score")).filter(pl.col("score") > threshold)
    return found(covering, score=pl.col("score"), evidence=[*CORNERS, "height_px", "label", "width_px"])


RULE: Final = Rule(
    code="box-covers-image",
    description="The box covers the image, or nearly so: it may be a placeholder.",
    severity="INFO",
    find=_find,
    threshold=0.95,
    unit="share of the image's area",
    bounds=(0, 1),
)
