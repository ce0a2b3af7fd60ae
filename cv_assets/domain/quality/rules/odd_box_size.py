"""Boxes far larger or smaller than those of the same class."""

import math
from typing import Final

import polars as pl

from cv_assets.domain.quality.boxes import CORNERS, boxes_of, has_area, in_images
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig

# fewer boxes do not tell what is usual for a class
LEAST_BOXES: Final = 20
# boxes of one fixed size: within a tenth they still count as like
LEAST_SPREAD: Final = math.log(1.1)
# the median distance from the median is this part of a normal distribution's standard deviation
MAD_OF_SIGMA: Final = 0.6745


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    """Robust z-score of the logarithm of a box's share of its image: a class's boxes shrink with the image."""
    boxes = in_images(boxes_of(tables).drop_nulls("label").filter(has_area()), tables)
    share = pl.col("box_width_px") / pl.col("width_px") * (pl.col("box_height_px") / pl.col("height_px"))
    sized = boxes.with_columns(share.alias("area_ratio"), share.log().alias("size")).filter(
        pl.len().over("label") >= LEAST_BOXES, pl.col("size").is_finite()
    )
    usual = sized.with_columns(pl.col("size").median().over("label").alias("usual"))
    off = usual.with_columns((pl.col("size") - pl.col("usual")).abs().alias("off"))
    spread = pl.max_horizontal(pl.col("off").median().over("label") / MAD_OF_SIGMA, pl.lit(LEAST_SPREAD))
    scored = off.with_columns((pl.col("off") / spread).alias("score"), pl.col("usual").exp().alias("usual_area_ratio"))
    odd = scored.filter(pl.col("score") > threshold)
    return found(odd, score=pl.col("score"), evidence=[*CORNERS, "area_ratio", "label", "usual_area_ratio"])


RULE: Final = Rule(
    code="odd-box-size",
    description="The box is far larger or smaller than the boxes of its class.",
    severity="INFO",
    find=_find,
    threshold=6.0,
    unit="robust standard deviations of the box's share of its image, on a logarithmic scale",
)
