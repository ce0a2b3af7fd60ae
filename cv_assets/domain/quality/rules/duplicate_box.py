"""Objects that are boxed twice in one file: boxes of one label on one another, or one box under two labels."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.boxes import CORNERS, boxes_of, has_area
from cv_assets.domain.quality.overlaps import find_overlaps
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    """Every box but the first of those that are one; another label needs the very same corners."""
    boxes = boxes_of(tables).filter(has_area()).drop_nulls("path").sort("annotation_id").with_row_index("place")
    several = boxes.group_by("path", "label").agg("place").filter(pl.col("place").list.len() > 1)
    groups = several.with_row_index("group").select("group", "place").explode("place")
    alike = find_overlaps(boxes.join(groups, on="place"), threshold)
    relabelled = _relabelled(boxes.join(alike, on="place", how="anti"))
    twice = pl.concat([alike, relabelled])
    other = boxes.select(
        pl.col("place").alias("other"),
        pl.col("annotation_id").alias("other_annotation_id"),
        pl.col("label").alias("other_label"),
    )
    told = boxes.join(twice, on="place").join(other, on="other")
    return found(told, score=pl.col("iou_ratio"), evidence=[*CORNERS, "label", "other_annotation_id", "other_label"])


def _relabelled(boxes: pl.DataFrame) -> pl.DataFrame:
    """Boxes with the corners of another one before them in the same file; as they are left over, it has another label."""
    same = ("path", *CORNERS)
    first = boxes.with_columns(pl.col("place").min().over(same).alias("other"), pl.lit(1.0).alias("iou_ratio"))
    return first.filter(pl.col("place") != pl.col("other")).select("place", "other", "iou_ratio")


RULE: Final = Rule(
    code="duplicate-box",
    description="The object is boxed twice: the box lies on another one of its label, or has the corners of any other.",
    severity="WARN",
    find=_find,
    threshold=0.9,
    unit="intersection over union of the two boxes",
    bounds=(0.5, 1),
    from_threshold=True,
)
