"""The tables of a version as expectations see them: flat, with columns that tie one table to another.

An expectation speaks of one flat table. What it could not say there (is the image of this label one of the manifest, which
share has this class, how old is the newest upload) stands here as a column. The columns are listed in
schemas/expectation_types.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from cv_assets.domain.manifest import sound_objects
from schemas.datasets import DatasetConfig
from schemas.expectation_types import COLUMNS, Table

# The stored tables that each is made from, and the asset whose checks speak of it. None is made from a table that comes
# later in the line than that asset: a check that waits for what it blocks would never run.
DERIVED_FROM: Final[dict[Table, tuple[str, ...]]] = {
    "uploads": ("raw_images", "probes"),
    "annotations": ("annotations", "probes"),
    "manifest": ("manifest", "annotations"),
    "classes": ("manifest", "annotations"),
    "drift": ("drift",),
    "splits": ("splits", "manifest"),
}
# What a table is made of beside stored ones: in words, the table, and the key of the dataset file.
SETTINGS: Final[dict[str, tuple[Table, str]]] = {"classes of the dataset file": ("classes", "classes")}
ASSETS: Final[dict[Table, str]] = {
    "uploads": "raw_images",
    "annotations": "annotations",
    "manifest": "manifest",
    "classes": "manifest",
    "drift": "quality_report",
    "splits": "splits",
}
# The column that a row is told by, for people who look for what broke an expectation.
ROW_NAMES: Final[dict[Table, str | None]] = {
    "uploads": None,
    "annotations": "annotation_id",
    "manifest": "image_id",
    "classes": "label",
    "drift": "property",
    "splits": "image_id",
}
AGE: Final = "newest_upload_age_hours"


@dataclass(frozen=True, slots=True)
class Seen:
    """Stored tables of a version, and how old its newest upload was at the moment of the look, in hours, if it is known."""

    tables: Mapping[str, pl.DataFrame]
    config: DatasetConfig
    newest_upload_age_hours: float | None = None


def expected_table(table: Table, seen: Seen) -> pl.DataFrame:
    """One of the tables of COLUMNS, with just its columns. Raises KeyError for a stored table that is not there.

    Raises polars' errors for a stored table that does not hold to its schema.
    """
    return _BUILDERS[table](seen).select(list(COLUMNS[table]))


def _uploads(seen: Seen) -> pl.DataFrame:
    """One row."""
    files, probes = seen.tables["raw_images"], seen.tables["probes"]
    images = files.filter(role="image")
    undecodable = probes.filter(pl.col("reason").is_not_null())["image_id"]
    rejected = images.filter(pl.col("reason").is_not_null() | pl.col("sha256").is_in(undecodable.implode())).height
    row = {
        "files": files.height,
        "image_files": images.height,
        "annotation_files": files.height - images.height,
        "size_bytes": int(files["size_bytes"].sum()),
        "rejected": rejected,
        "rejected_share": rejected / images.height if images.height else 0.0,
        AGE: seen.newest_upload_age_hours,
    }
    return pl.DataFrame([row]).with_columns(pl.col(AGE).cast(pl.Float64))


def _annotations(seen: Seen) -> pl.DataFrame:
    """Sizes of boxes in pixels of the upright image, and as a share of its area."""
    accepted = seen.tables["probes"].filter(pl.col("reason").is_null())
    sizes = accepted.select("image_id", area=pl.col("width_px").cast(pl.Float64) * pl.col("height_px"))
    width, height = pl.col("x_max_px") - pl.col("x_min_px"), pl.col("y_max_px") - pl.col("y_min_px")
    return (
        seen.tables["annotations"]
        .join(sizes, on="image_id", how="left", maintain_order="left")
        .with_columns(
            image_is_accepted=pl.col("area").is_not_null(),
            box_width_px=width,
            box_height_px=height,
            box_share=width * height / pl.col("area"),
        )
    )


def _manifest(seen: Seen) -> pl.DataFrame:
    """`label` is that of an image with exactly one, `path` the first of its paths; `aspect_ratio` is width over height.

    `annotation_count` is of labels that can be read whole, as `label_count` is.
    """
    counts = sound_objects(seen.tables["annotations"]).group_by("image_id").len("annotation_count")
    label_count = pl.col("labels").list.len()
    return (
        seen.tables["manifest"]
        .join(counts, on="image_id", how="left", maintain_order="left")
        .with_columns(
            path=pl.col("paths").list.first(),
            label=pl.when(label_count == 1).then(pl.col("labels").list.first()),
            path_count=pl.col("paths").list.len().cast(pl.Int64),
            label_count=label_count.cast(pl.Int64),
            group_count=pl.col("groups").list.len().cast(pl.Int64),
            annotation_count=pl.col("annotation_count").fill_null(0).cast(pl.Int64),
            aspect_ratio=pl.col("width_px") / pl.col("height_px"),
            short_side_px=pl.min_horizontal("width_px", "height_px"),
        )
    )


def _classes(seen: Seen) -> pl.DataFrame:
    """One row a class that is met or that the dataset names; shares are of all labelled images, and of all sound objects."""
    labelled = seen.tables["manifest"].filter(pl.col("labels").list.len() > 0)
    images = labelled.explode("labels").group_by(label="labels").len("images")
    objects = sound_objects(seen.tables["annotations"]).group_by("label").len("objects")
    named = pl.DataFrame({"label": list(seen.config.classes)}, schema={"label": pl.String})
    every = pl.concat([images.select("label"), objects.select("label"), named]).unique().sort("label")
    return (
        every.join(images, on="label", how="left", maintain_order="left")
        .join(objects, on="label", how="left", maintain_order="left")
        .with_columns(pl.col("images", "objects").fill_null(0).cast(pl.Int64))
        .with_columns(
            image_share=pl.col("images") / max(labelled.height, 1),
            object_share=pl.col("objects") / max(int(objects["objects"].sum()), 1),
        )
    )


def _drift(seen: Seen) -> pl.DataFrame:
    """As it is stored."""
    return seen.tables["drift"]


def _splits(seen: Seen) -> pl.DataFrame:
    """`unit_splits` counts the splits in which images stand that must stay together."""
    sides = seen.tables["splits"].drop_nulls("split").group_by("unit").agg(unit_splits=pl.col("split").n_unique())
    images = seen.tables["manifest"].select(
        "image_id",
        label=pl.when(pl.col("labels").list.len() == 1).then(pl.col("labels").list.first()),
        image_is_in_manifest=pl.lit(value=True),
    )
    return (
        seen.tables["splits"]
        .join(sides, on="unit", how="left", maintain_order="left")
        .join(images, on="image_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("unit_splits").fill_null(0).cast(pl.Int64), pl.col("image_is_in_manifest").fill_null(value=False)
        )
    )


_BUILDERS: Final[dict[Table, Callable[[Seen], pl.DataFrame]]] = {
    "uploads": _uploads,
    "annotations": _annotations,
    "manifest": _manifest,
    "classes": _classes,
    "drift": _drift,
    "splits": _splits,
}
