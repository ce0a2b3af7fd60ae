"""Images whose annotation says another size than the file has: boxes may speak of another image, or another scale."""

from typing import Final

import polars as pl

from cv_assets.domain.orientation import SWAPS_SIDES
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig

_DECLARED: Final = ("declared_width_px", "declared_height_px")


def _off(width: str, height: str) -> pl.Expr:
    """How far the declared size is from the given one, in pixels of the side that is further off."""
    return pl.max_horizontal(
        (pl.col("declared_width_px") - pl.col(width)).abs(), (pl.col("declared_height_px") - pl.col(height)).abs()
    )


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    """One finding for each size that is said of an image. The stored size is as right as the upright one."""
    said = (
        tables["annotations"]
        .drop_nulls(["image_id", *_DECLARED])
        .group_by("image_id", "image_path", *_DECLARED, maintain_order=True)
        .agg(pl.col("annotation_id").first(), pl.len().alias("annotations"))
    )
    images = tables["manifest"].select("image_id", "width_px", "height_px", "exif_orientation")
    straight, turned = _off("width_px", "height_px"), _off("height_px", "width_px")
    may_turn = pl.col("exif_orientation").is_in(list(SWAPS_SIDES))
    judged = said.join(images, on="image_id").with_columns(
        pl.when(may_turn).then(pl.min_horizontal(straight, turned)).otherwise(straight).alias("score"),
        (turned <= threshold).alias("swapped"),
        pl.col("image_path").alias("path"),
    )
    differs = judged.filter(pl.col("score") > threshold)
    evidence = [*_DECLARED, "annotations", "exif_orientation", "height_px", "swapped", "width_px"]
    return found(differs, score=pl.col("score"), evidence=evidence)


RULE: Final = Rule(
    code="declared-size-differs",
    description="The annotation says another image size than the file has.",
    severity="WARN",
    find=_find,
    threshold=0.0,
    unit="px, the side that is further off",
)
