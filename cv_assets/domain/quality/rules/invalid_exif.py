"""Images whose EXIF data cannot be read, or says what cannot be."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig

NOTES: Final = ("exif-invalid", "orientation-invalid")


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    has_one = [pl.col("notes").list.contains(note) for note in NOTES]
    broken = tables["manifest"].filter(pl.any_horizontal(has_one))
    said = broken.with_columns(pl.col("notes").list.set_intersection(list(NOTES)).list.sort())
    return found(said, evidence=["format", "notes"])


RULE: Final = Rule(
    code="invalid-exif",
    description="The EXIF data is broken, or its orientation is none of 1 to 8: the image is taken as it is stored.",
    severity="INFO",
    find=_find,
)
