"""Images that are far longer than wide, or wider than long."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    shape = pl.min_horizontal("width_px", "height_px") / pl.max_horizontal("width_px", "height_px")
    odd = tables["manifest"].with_columns(shape.alias("score")).filter(pl.col("score") < threshold)
    return found(odd, score=pl.col("score"), evidence=["height_px", "width_px"])


RULE: Final = Rule(
    code="odd-aspect-ratio",
    description="The image is a long strip.",
    severity="INFO",
    find=_find,
    threshold=0.35,
    unit="shorter side over longer side",
    worst="low",
    bounds=(0, 1),
)
