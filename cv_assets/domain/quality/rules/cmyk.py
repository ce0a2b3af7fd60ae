"""Images in the colours of printers."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    return found(tables["manifest"].filter(pl.col("mode") == "CMYK"), evidence=["format"])


RULE: Final = Rule(
    code="cmyk",
    description="The image is in CMYK: decoders disagree about its colours, and some invert them.",
    severity="WARN",
    find=_find,
)
