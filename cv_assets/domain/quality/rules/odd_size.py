"""Images far larger or smaller than the others, whatever size the others have."""

import math
from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig

# where half of the images or more are of one size, sizes within a tenth of each other still count as like
LEAST_SPREAD: Final = math.log(1.1)


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    """Tukey's fences round the middle half of the sizes, in logarithms: half as large is as odd as twice as large."""
    side = (pl.col("width_px") * pl.col("height_px")).cast(pl.Float64).log() / 2
    low, high = side.quantile(0.25, "nearest"), side.quantile(0.75, "nearest")
    spread = pl.max_horizontal(high - low, pl.lit(LEAST_SPREAD))
    sized = tables["manifest"].with_columns(
        (pl.max_horizontal(low - side, side - high) / spread).alias("score"),
        side.exp().alias("side_px"),
        side.median().exp().alias("usual_side_px"),
    )
    odd = sized.filter(pl.col("score") > threshold)
    return found(odd, score=pl.col("score"), evidence=["height_px", "side_px", "usual_side_px", "width_px"])


RULE: Final = Rule(
    code="odd-size",
    description="The image is far larger or smaller than the others.",
    severity="INFO",
    find=_find,
    threshold=3.0,
    unit="times the spread of the middle half of the sizes (square root of the area, on a logarithmic scale)",
)
