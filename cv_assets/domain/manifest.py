"""Joins what is known of each image into the manifest, and of each rejected file into the quarantine."""

import polars as pl

from schemas.tables import polars_schema


def image_files(files: pl.DataFrame) -> pl.DataFrame:
    """The rows of `raw_images` that are images whose bytes are kept and may be decoded."""
    return files.filter((pl.col("role") == "image") & pl.col("reason").is_null())


def sound_objects(annotations: pl.DataFrame) -> pl.DataFrame:
    """The rows of an Annotations table that could be read whole: an object with its label, on an image that is there."""
    return annotations.filter(pl.col("reason").is_null()).drop_nulls(["image_id", "label"])


def build_manifest(files: pl.DataFrame, probes: pl.DataFrame, annotations: pl.DataFrame) -> pl.DataFrame:
    """One row an accepted image, sorted by `image_id`; see schemas.tables.Manifest.

    `files` is a RawImages table, `probes` a Probes table that has every image of it, `annotations` an Annotations table.
    A label counts if its annotation could be read whole: an image whose only box could not is unlabelled, because to a
    detector it would be one that shows nothing.
    """
    sources = (
        image_files(files).group_by("sha256").agg(pl.col("path").sort().alias("paths"), pl.col("size_bytes").first())
    )
    known = annotations.filter(pl.col("image_id").is_not_null()).group_by("image_id")
    said = known.agg(
        pl.col("label").filter(pl.col("reason").is_null()).drop_nulls().unique().sort().alias("labels"),
        pl.col("group").drop_nulls().unique().sort().alias("groups"),
    )
    nothing = pl.lit([], dtype=pl.List(pl.String))
    columns = list(polars_schema("manifest"))
    return (
        probes.filter(pl.col("reason").is_null())
        .join(sources, left_on="image_id", right_on="sha256", how="inner")
        .join(said, on="image_id", how="left")
        .with_columns(pl.col("labels").fill_null(nothing), pl.col("groups").fill_null(nothing))
        .select(columns)
        .sort("image_id")
    )


def build_quarantine(files: pl.DataFrame, probes: pl.DataFrame) -> pl.DataFrame:
    """One row a rejected image file, sorted by path; see schemas.tables.Quarantine."""
    images = files.filter(pl.col("role") == "image")
    at_snapshot = images.filter(pl.col("reason").is_not_null()).with_columns(stage=pl.lit("snapshot"))
    refused = probes.filter(pl.col("reason").is_not_null()).select("image_id", "reason", "detail")
    at_probe = (
        image_files(files)
        .drop("reason", "detail")
        .join(refused, left_on="sha256", right_on="image_id", how="inner")
        .with_columns(stage=pl.lit("probe"))
    )
    columns = list(polars_schema("quarantine"))
    return pl.concat([at_snapshot.select(columns), at_probe.select(columns)]).sort("path")
