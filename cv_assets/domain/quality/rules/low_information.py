"""Images that show next to nothing: flat, or nearly so."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig

FULL_DEPTH: Final = 8


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    """A drawing of few bits a pixel says little by its nature, and much for it: there the threshold is far lower."""
    share = pl.min_horizontal(pl.col("bit_depth"), pl.lit(FULL_DEPTH)) / FULL_DEPTH
    poor = tables["manifest"].filter(pl.col("entropy_bits") < threshold * share**2)
    return found(poor, score=pl.col("entropy_bits"), evidence=["bit_depth", "contrast_ratio", "size_bytes"])


RULE: Final = Rule(
    code="low-information",
    description="The image is flat, or nearly so: there is little in it to learn from.",
    severity="WARN",
    find=_find,
    # photos have 5 and more, product pictures on white 3.6, flat pictures 0 to 2; at 1 bit, thin lines have 0.2 to 0.6
    # where 3 means 0.05
    threshold=3.0,
    unit="bits, entropy of the brightness; held against less where the image has fewer than 8 bits a channel",
    worst="low",
    bounds=(0, 8),
)
