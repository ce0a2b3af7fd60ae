"""Images in which even the bright parts are dark."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    dark = tables["manifest"].filter(pl.col("brightness_p99_ratio") < threshold)
    return found(dark, score=pl.col("brightness_p99_ratio"), evidence=["brightness_ratio", "contrast_ratio"])


RULE: Final = Rule(
    code="dark",
    description="The brightest parts of the image are dark.",
    severity="WARN",
    find=_find,
    # real photos lie above 0.48; a third of the light leaves 0.3 at most
    threshold=0.32,
    unit="brightness of the brightest 1 % of the pixels, 0 black to 1 white",
    worst="low",
    bounds=(0, 1),
)
