"""Chains of images, each like the next, that are too long or too many to be one cluster."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.near_duplicates import hash_of_phash
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig

SHOWN: Final = 5


def _find(tables: Tables, config: DatasetConfig, threshold: float) -> pl.DataFrame:
    """`farthest_bits` is between the first image and that which differs most from it: at least half of the widest span."""
    images = tables["manifest"].select("image_id", "phash", pl.col("paths").list.first().alias("path"))
    linked = tables["near_duplicates"].join(images, on="image_id", how="inner").sort("component_id", "image_id")
    is_leader = pl.col("image_id") == pl.col("cluster_id")
    chains = linked.group_by("component_id", maintain_order=True).agg(
        pl.len().alias("images"),
        is_leader.sum().alias("clusters"),
        (hash_of_phash() ^ hash_of_phash().first()).bitwise_count_ones().max().alias("farthest_bits"),
        pl.col("path").filter(is_leader).head(SHOWN).alias("leaders"),
    )
    cut = chains.filter(pl.col("clusters") > 1)
    return found(cut, score=pl.col("images"), evidence=["clusters", "component_id", "farthest_bits", "leaders"])


RULE: Final = Rule(
    code="chained-duplicates",
    description="A chain of images, each like the next, was cut into several clusters: the last looks unlike the first.",
    # a long one says that max_distance_bits is too wide for these images, which is no defect of an image
    severity="INFO",
    find=_find,
    unit="images in the chain",
)
