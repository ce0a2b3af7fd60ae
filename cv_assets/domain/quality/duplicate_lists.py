"""Images that stand twice, as a report lists them: the same bytes under several paths, and images that look alike."""

from collections.abc import Mapping
from typing import Any, Final, Literal, cast

import polars as pl

from cv_assets.domain.quality.wording import shortened_label, shortened_path

Tables = Mapping[str, pl.DataFrame]
CLUSTERS: Final = 24
MEMBERS: Final = 8
LABELS: Final = 4


def list_exact(tables: Tables) -> dict[str, Any]:
    """Images of several paths: how many, how many of them are not labelled alike, and the first CLUSTERS.

    Those that are not labelled alike come first, as far as the rule duplicates-disagree found them, then those of many
    paths. Labels are those that annotations give to each path.
    """
    twice = (
        tables["manifest"].filter(pl.col("paths").list.len() > 1).select("image_id", "paths", "width_px", "height_px")
    )
    members = twice.explode("paths").rename({"paths": "path"})
    labelled = members.join(_labels_by_path(tables, members), on="path", how="left")
    labelled = labelled.with_columns(pl.col("image_id").alias("cluster_id"), pl.lit(0).alias("distance_bits"))
    return _list(labelled, _disagreeing(tables, "same_bytes"))


def list_near(tables: Tables) -> dict[str, Any]:
    """Clusters of images that look alike, in the same way; `chains` are those that were cut since they grew too large.

    An image that the cut left alone looks like none of a cluster: it counts in its chain only.
    """
    near = tables["near_duplicates"]
    path = pl.col("paths").list.first().alias("path")
    images = tables["manifest"].select("image_id", path, "labels", "width_px", "height_px")
    chains = near.group_by("component_id").agg(
        pl.col("cluster_id").n_unique().alias("clusters"), pl.len().alias("images")
    )
    cut = chains.filter(pl.col("clusters") > 1)
    several = near.filter(pl.len().over("cluster_id") > 1)
    largest = cut["images"].max()
    return {
        **_list(several.join(images, on="image_id"), _disagreeing(tables, "look_alike")),
        "chains": cut.height,
        "largest_chain": largest if isinstance(largest, int) else 0,
    }


def _labels_by_path(tables: Tables, members: pl.DataFrame) -> pl.DataFrame:
    """Columns path and labels, distinct and sorted, of the paths that have any."""
    said = tables["annotations"].drop_nulls("label").select(pl.col("image_path").alias("path"), "label")
    asked = said.join(members.select("path"), on="path", how="semi")
    return asked.group_by("path").agg(pl.col("label").unique().sort().alias("labels"))


def _disagreeing(tables: Tables, fact: Literal["same_bytes", "look_alike"]) -> pl.Series:
    """Ids of the images that are labelled otherwise than a file of the same bytes, or than an image that looks alike.

    Findings of an older release tell one of both: what was not said to be of the same bytes looks alike.
    """
    findings = tables["findings"].filter(pl.col("code") == "duplicates-disagree")
    said = pl.col("evidence").str.json_path_match
    other = said("$.same_bytes") == "false"
    told = said(f"$.{fact}") == "true"
    return findings.filter(told if fact == "same_bytes" else told.fill_null(other))["image_id"]


def _list(members: pl.DataFrame, disagreeing: pl.Series) -> dict[str, Any]:
    """`members` has a row a member: cluster_id, image_id, path, its size, labels (null or empty: none), distance_bits."""
    disagrees = pl.col("image_id").is_in(disagreeing.implode()).any().alias("disagrees")
    clusters = members.group_by("cluster_id").agg(disagrees, pl.len().alias("members"))
    first = clusters.sort("disagrees", "members", "cluster_id", descending=[True, True, False]).head(CLUSTERS)
    held: dict[str, list[dict[str, Any]]] = {}
    rows = members.join(first.select("cluster_id"), on="cluster_id", how="semi")
    for row in rows.sort("cluster_id", "distance_bits", "path", "image_id").iter_rows(named=True):
        held.setdefault(row["cluster_id"], []).append(row)
    return {
        "clusters": clusters.height,
        "members": members.height,
        "disagreeing": int(clusters["disagrees"].sum()),
        "shown": [
            {
                "disagrees": disagrees,
                "members": [_member(row) for row in held[cluster][:MEMBERS]],
                "more": max(0, count - MEMBERS),
            }
            for cluster, disagrees, count in first.iter_rows()
        ],
        "more": max(0, clusters.height - CLUSTERS),
    }


def _member(row: dict[str, Any]) -> dict[str, Any]:
    labels = cast("list[str]", row["labels"] or [])
    return {
        "image_id": row["image_id"],
        "size_px": [row["width_px"], row["height_px"]],
        "path": shortened_path(row["path"]),
        "labels": [shortened_label(label) for label in labels[:LABELS]],
        "distance_bits": row["distance_bits"],
    }
