"""Images in which even the dark parts are bright."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    light = tables["manifest"].filter(pl.col("brightness_p05_ratio") > threshold)
    return found(light, score=pl.col("brightness_p05_ratio"), evidence=["brightness_ratio", "contrast_ratio"])


RULE: Final = Rule(
    code="light",
    description="The darkest parts of the image are bright.",
    severity="WARN",
    find=_find,
    # real photos lie below 0.65; a tenth of the contrast, all of it light, leaves 0.9 at least
    threshold=0.9,
    unit="brightness that 5 % of the pixels stay under, 0 black to 1 white",
    bounds=(0, 1),
)
