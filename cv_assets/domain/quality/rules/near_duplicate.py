"""Images that look like another one."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, config: DatasetConfig, threshold: float) -> pl.DataFrame:
    """Every image of a cluster of several; its leader is as far off as the image that is nearest to it."""
    is_leader = pl.col("image_id") == pl.col("cluster_id")
    distance = pl.col("distance_bits")
    nearest = distance.filter(~is_leader).min().over("cluster_id")
    images = tables["manifest"].select("image_id", "labels", "paths")
    leaders = images.select(cluster_id="image_id", leader=pl.col("paths").list.first())
    alike = (
        tables["near_duplicates"]
        .with_columns(pl.len().over("cluster_id").alias("images"))
        .filter(pl.col("images") > 1)
        .with_columns(pl.when(is_leader).then(nearest).otherwise(distance).alias("score"))
        .join(images, on="image_id", how="inner")
        .join(leaders, on="cluster_id", how="inner")
    )
    return found(alike, score=pl.col("score"), evidence=["cluster_id", "images", "labels", "leader"])


RULE: Final = Rule(
    code="near-duplicate",
    description="The image looks like others of its cluster; near_duplicates.max_distance_bits says how much.",
    # series, bursts and drawings look alike by nature: whether that is wrong, only people can say
    severity="INFO",
    find=_find,
    unit="bits of the perceptual hash",
    worst="low",
)
