"""Classes, or whole datasets, in fewer groups than there are splits: some split must go without."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from cv_assets.domain.splitting import find_units
from schemas.datasets import DatasetConfig


def _find(tables: Tables, config: DatasetConfig, threshold: float) -> pl.DataFrame:
    """One finding for each class, and one without a class for the dataset; an image of no group stands alone."""
    held = _images_with_units(tables["manifest"])
    splits = len(config.split.ratios)
    by_class = held.explode("labels").drop_nulls("labels").group_by(pl.col("labels").alias("class"))
    whole = held.group_by(pl.lit(None, dtype=pl.String).alias("class"))
    counted = [
        rows.agg(pl.col("unit").n_unique().alias("groups"), pl.col("image_id").n_unique().alias("images"))
        for rows in (by_class, whole)
    ]
    few = (
        pl.concat(counted)
        .with_columns(pl.lit(splits).alias("splits"))
        .filter(pl.col("groups").is_between(1, splits - 1))
    )
    return found(few, score=pl.col("groups"), evidence=["class", "groups", "images", "splits"])


def _images_with_units(manifest: pl.DataFrame) -> pl.DataFrame:
    """Images with labels and `unit`, what of their groups must stay together; none if no image has a group."""
    several = manifest.filter(pl.col("groups").list.len() > 1)
    unit_of = find_units(several["image_id"].to_list(), several["groups"].to_list())
    joined = several.select("groups", pl.col("image_id").replace_strict(unit_of, default=None).alias("joined"))
    of_group = joined.explode("groups").unique("groups", keep="any")
    images = manifest.select("image_id", "labels", pl.col("groups").list.first())
    grouped = images.join(of_group, on="groups", how="left")
    units = grouped.with_columns(pl.coalesce("joined", "groups", "image_id").alias("unit"))
    return units if images["groups"].count() else units.clear()


RULE: Final = Rule(
    code="too-few-groups",
    description="The groups cannot be dealt to all splits: there are fewer of them (of this class) than splits.",
    severity="WARN",
    find=_find,
    unit="groups",
    worst="low",
)
