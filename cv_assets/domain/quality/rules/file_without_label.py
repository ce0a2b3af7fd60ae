"""Image files, and objects in them, that nobody labelled."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, config: DatasetConfig, threshold: float) -> pl.DataFrame:
    """A file that an annotation says to show nothing is labelled; without annotations no label is missed.

    Of a file all whose annotations cannot be read, the first of them stands for the file.
    """
    if config.annotations.format == "none":
        return found(tables["annotations"].clear(), evidence=["detail"])
    says_nothing = pl.col("reason").is_in(["invalid-box", "unparsable"])
    bare = tables["annotations"].filter(pl.col("reason") == "no-label")
    of_images = tables["annotations"].filter(pl.col("image_id").is_not_null())
    unread = of_images.filter(says_nothing.fill_null(value=False).all().over("image_path")).unique(
        "image_path", keep="first", maintain_order=True
    )
    every = pl.concat([bare, unread]).with_columns(pl.col("image_path").alias("path"))
    return found(every, evidence=["detail"])


RULE: Final = Rule(
    code="file-without-label",
    description="The image file, or an object in it, has no label, or none that can be read whole.",
    severity="WARN",
    find=_find,
)
