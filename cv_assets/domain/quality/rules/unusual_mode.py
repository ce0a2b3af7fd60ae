"""Images in a colour mode that few of the dataset have: loaders that expect one number of channels meet another.

A mode is unusual by its rarity, not by its name: a dataset of 16-bit scans, or of palettes, is what it is.
CMYK is left to its own rule.
"""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rarity import find_rare
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    rare = find_rare(tables["manifest"], "mode", threshold).filter(pl.col("mode") != "CMYK")
    return found(rare, score=pl.col("share_ratio"), evidence=["channels", "mode", "usual"])


RULE: Final = Rule(
    code="unusual-mode",
    description="The image is in a colour mode (L, RGB, RGBA, P, I;16, …) that few images of the dataset have.",
    severity="INFO",
    find=_find,
    threshold=0.1,
    unit="share of the images that have this mode",
    worst="low",
    bounds=(0, 1),
)
