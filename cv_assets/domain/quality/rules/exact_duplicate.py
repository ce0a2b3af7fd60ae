"""Images that several files hold, byte for byte."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, config: DatasetConfig, threshold: float) -> pl.DataFrame:
    files = pl.col("paths").list.len()
    return found(tables["manifest"].filter(files > 1), score=files, evidence=["labels", "paths"])


RULE: Final = Rule(
    code="exact-duplicate",
    description="Several files hold the same bytes. They are one image, packed once.",
    # nothing is left to do: they count as one image already, and duplicates-disagree warns where that hides a conflict
    severity="INFO",
    find=_find,
    unit="files",
)
