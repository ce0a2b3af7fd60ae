"""Boxes of a version as rows to judge: each with its sides, and with the size of the upright image that it lies in."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Tables

CORNERS: Final = ("x_min_px", "y_min_px", "x_max_px", "y_max_px")


def boxes_of(tables: Tables) -> pl.DataFrame:
    """The annotations that have a box: annotation_id, image_id, path, label, the four CORNERS, box_width_px, box_height_px.

    Sides of an inverted box are below zero.
    """
    boxes = tables["annotations"].filter(pl.col("x_min_px").is_not_null())
    return boxes.select(
        "annotation_id",
        "image_id",
        pl.col("image_path").alias("path"),
        "label",
        *CORNERS,
        (pl.col("x_max_px") - pl.col("x_min_px")).alias("box_width_px"),
        (pl.col("y_max_px") - pl.col("y_min_px")).alias("box_height_px"),
    )


def in_images(boxes: pl.DataFrame, tables: Tables) -> pl.DataFrame:
    """The boxes whose image was accepted, with width_px and height_px of the upright image."""
    return boxes.join(tables["manifest"].select("image_id", "width_px", "height_px"), on="image_id")


def has_area() -> pl.Expr:
    """Has a box of `boxes_of` both sides above zero, and finite? Corners of ±1e308 are 2e308 apart, which is no number."""
    width_px, height_px = pl.col("box_width_px"), pl.col("box_height_px")
    return (width_px > 0) & (height_px > 0) & width_px.is_finite() & height_px.is_finite()
