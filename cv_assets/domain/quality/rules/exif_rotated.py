"""Images that are stored turned or mirrored."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    turned = tables["manifest"].filter(pl.col("exif_orientation") != 1)
    return found(turned, evidence=["exif_orientation"])


RULE: Final = Rule(
    code="exif-rotated",
    description="The image is stored turned or mirrored, and its EXIF orientation sets it upright.",
    severity="INFO",
    find=_find,
)
