"""Labels of a version as rows to judge, and when two spellings mean one class."""

import polars as pl

from cv_assets.domain.quality.rule import Tables


def labels_of(tables: Tables) -> pl.DataFrame:
    """The annotations that have a label, in their order: columns annotation_id, image_id, path and label."""
    labelled = tables["annotations"].filter(pl.col("label").is_not_null())
    return labelled.select("annotation_id", "image_id", pl.col("image_path").alias("path"), "label")


def images_by_class(manifest: pl.DataFrame) -> pl.DataFrame:
    """Columns class and images: in how many images each class occurs, sorted by class."""
    labels = manifest.select(pl.col("labels").explode().alias("class")).drop_nulls()
    return labels.group_by("class").len("images").sort("class")


def folded(label: pl.Expr) -> pl.Expr:
    """The label without what people do not see or mean: case, surrounding space, the encoding of accents."""
    return label.str.strip_chars().str.normalize("NFKC").str.to_lowercase()


def near_classes(labels: pl.Series, classes: tuple[str, ...]) -> pl.DataFrame:
    """Columns label and class: distinct labels that are no class, each with the class it is a spelling of, or null."""
    said = labels.unique().sort().to_frame("label").with_columns(folded(pl.col("label")).alias("folded"))
    known = pl.DataFrame({"class": classes}, schema={"class": pl.String}).with_columns(
        folded(pl.col("class")).alias("folded")
    )
    unknown = said.filter(~pl.col("label").is_in(list(classes)))
    first = known.sort("class").unique("folded", keep="first", maintain_order=True)
    return unknown.join(first, on="folded", how="left", maintain_order="left").select("label", "class")
