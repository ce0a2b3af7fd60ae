"""Image files, and objects in them, that nobody labelled."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, config: DatasetConfig, threshold: float) -> pl.DataFrame:
    """A file that an annotation says to show nothing is labelled; without annotations no label is missed."""
    bare = tables["annotations"].filter(pl.col("reason") == "no-label", pl.lit(config.annotations.format != "none"))
    return found(bare.with_columns(pl.col("image_path").alias("path")), evidence=["detail"])


RULE: Final = Rule(
    code="file-without-label",
    description="The image file, or an object in it, has no label.",
    severity="WARN",
    find=_find,
)
