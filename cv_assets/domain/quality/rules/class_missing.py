"""Classes of the taxonomy that no image has."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.labels import images_by_class
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, config: DatasetConfig, threshold: float) -> pl.DataFrame:
    """Labels whose file is missing or was rejected are counted: they say where the class went."""
    classes = pl.DataFrame({"class": sorted(config.classes)}, schema={"class": pl.String})
    missing = classes.join(images_by_class(tables["manifest"]), on="class", how="anti")
    labelled = tables["annotations"].drop_nulls("label").group_by("label").len("annotations")
    told = missing.join(labelled, left_on="class", right_on="label", how="left").with_columns(
        pl.col("annotations").fill_null(0)
    )
    return found(told, evidence=["annotations", "class"])


RULE: Final = Rule(
    code="class-missing",
    description="No accepted image has this class of the dataset.",
    severity="WARN",
    find=_find,
)
