"""Images without sharp edges."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    blurry = tables["manifest"].filter(pl.col("sharpness") < threshold)
    return found(blurry, score=pl.col("sharpness"), evidence=["contrast_ratio", "height_px", "width_px"])


RULE: Final = Rule(
    code="blurry",
    description="The image has no sharp edges: it is out of focus, moved, or was enlarged.",
    severity="WARN",
    find=_find,
    # in photos of 350 to 640 px finds all that was blurred by 6 px and more, by 3 px where `limits.min_measured_side_px` is
    # 128; of 1,240 untouched ones just the one that is out of focus, at 128 three soft ones of a microscope instead
    threshold=0.35,
    unit="sharpness of the edges, 0 none to 1 a step from one pixel to the next",
    worst="low",
)
