"""Paths that are one where the file system takes no note of case or of Unicode's spellings, as those of macOS and Windows."""

from typing import Final

import polars as pl

from cv_assets.domain.placing import find_folded
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    """Of files and of the folders above them, accepted or not; each is told with the first in order that it is one with."""
    pairs = find_folded(tables["raw_images"]["path"].sort())
    told = pl.DataFrame(pairs, schema={"other_path": pl.String, "path": pl.String}, orient="row")
    return found(told, evidence=["other_path"])


RULE: Final = Rule(
    code="names-collide",
    description="The name of a file or folder differs from another only by case, or in how accents are encoded.",
    severity="WARN",
    find=_find,
)
