"""Images with a number of bits a channel that few of the dataset have: their values mean something else."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rarity import find_rare
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    rare = find_rare(tables["manifest"], "bit_depth", threshold)
    return found(rare, score=pl.col("share_ratio"), evidence=["bit_depth", "mode", "usual"])


RULE: Final = Rule(
    code="unusual-bit-depth",
    description="The image has a number of bits a channel that few images of the dataset have.",
    severity="INFO",
    find=_find,
    threshold=0.1,
    unit="share of the images that have this bit depth",
    worst="low",
    bounds=(0, 1),
)
