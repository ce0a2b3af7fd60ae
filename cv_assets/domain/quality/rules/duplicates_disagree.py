"""Files of one image, or images that look alike, that are not labelled alike."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.boxes import CORNERS
from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig

SHOWN: Final = 10
EVIDENCE: Final = ("labels", "look_alike", "said", "same_bytes", "unlabelled_files")


def _find(tables: Tables, config: DatasetConfig, threshold: float) -> pl.DataFrame:
    """One row an image of a group that disagrees; its score is how many different answers the group's files give.

    Files of the same bytes must agree on every object and box, images that look alike on their classes. A file without
    a label gives no answer: beside one that does this is the least disagreement, with score 1. An image may disagree in
    both ways: `same_bytes` and `look_alike` tell in which, and `said` is of the group that gives more answers.
    """
    files = _files(tables)
    same_bytes = files.filter(pl.len().over("image_id") > 1).with_columns(group="image_id", answer="objects")
    alike = files.with_columns(group="cluster_id", answer="labels").drop_nulls("group")
    alike = alike.filter(pl.col("image_id").n_unique().over("group") > 1)
    found_in = [_disagreeing(same_bytes), _disagreeing(alike)]
    both = pl.concat([rows.with_columns(is_copy=place == 0) for place, rows in enumerate(found_in)])
    is_copy = pl.col("is_copy")
    worst = (
        both.filter(pl.col("answers") >= threshold)
        .with_columns(
            is_copy.any().over("image_id").alias("same_bytes"), (~is_copy).any().over("image_id").alias("look_alike")
        )
        .sort("image_id", "answers", "is_copy", descending=[False, True, True])
    )
    images = tables["manifest"].select("image_id", "labels", "paths")
    told = worst.unique("image_id", keep="first", maintain_order=True).join(images, on="image_id", how="inner")
    return found(told, score=pl.col("answers"), evidence=EVIDENCE)


def _files(tables: Tables) -> pl.DataFrame:
    """Files of images that have a twin: what is said of each, and whether anything is; a box counts in tenths of a pixel."""
    clusters = tables["near_duplicates"].select("image_id", "cluster_id")
    images = tables["manifest"].select("image_id", "paths").join(clusters, on="image_id", how="left")
    twins = images.filter((pl.col("paths").list.len() > 1) | pl.col("cluster_id").is_not_null())
    files = twins.explode("paths").rename({"paths": "path"})
    is_object = pl.col("label").is_not_null()
    rows = tables["annotations"].join(files, left_on="image_path", right_on="path", how="semi")
    corners = [pl.col(name).round(1).cast(pl.String).fill_null("") for name in CORNERS]
    said = rows.group_by("image_path").agg(
        pl.col("label").drop_nulls().unique().sort().alias("labels"),
        pl.concat_str(["label", *corners], separator=" ").drop_nulls().unique().sort().alias("objects"),
        (is_object | (pl.col("reason") == "no-object").fill_null(False)).any().alias("is_labelled"),
    )
    nothing = pl.lit([], dtype=pl.List(pl.String))
    return files.join(said, left_on="path", right_on="image_path", how="left").with_columns(
        pl.col("labels", "objects").fill_null(nothing), pl.col("is_labelled").fill_null(False)
    )


def _disagreeing(files: pl.DataFrame) -> pl.DataFrame:
    """Images of those groups of files that give several answers, or some an answer and some none.

    Columns image_id, answers, said (each answer with its first file, the most frequent first) and unlabelled_files.
    """
    answer = pl.struct(pl.col("path").min(), pl.len().alias("files"), pl.col("labels").first())
    answers = files.filter("is_labelled").group_by("group", "answer").agg(answer.alias("said"))
    in_order = answers.sort(
        "group", -pl.col("said").struct.field("files").cast(pl.Int64), pl.col("said").struct.field("path")
    )
    groups = in_order.group_by("group").agg(pl.len().alias("answers"), pl.col("said").head(SHOWN))
    without = files.group_by("group").agg((~pl.col("is_labelled")).sum().alias("unlabelled_files"))
    disagreeing = groups.join(without, on="group", how="inner").filter(
        (pl.col("answers") > 1) | (pl.col("unlabelled_files") > 0)
    )
    images = files.select("image_id", "group").unique()
    return images.join(disagreeing, on="group", how="inner").drop("group")


RULE: Final = Rule(
    code="duplicates-disagree",
    description="Files of the same image, or images that look alike, are not labelled alike.",
    # a model is taught both answers; which of them is right, only people can say
    severity="WARN",
    find=_find,
    # 2 leaves out labelled images with an unlabelled twin
    threshold=1.0,
    unit="different answers",
    bounds=(1, float("inf")),
    from_threshold=True,
)
