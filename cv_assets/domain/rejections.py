"""The memory of rejected files: what each version says of them becomes one row a file, beside what has become of it."""

import re
from collections.abc import Iterable
from typing import Final

import polars as pl

from schemas.tables import polars_schema, to_frame

# the shortest beginning of a hash that is taken for one
LEAST_PREFIX: Final = 4
# a file is told by its path and its bytes; bytes that no version read count as those that another one found there
_FILE: Final = ("path", "size_bytes", "content")


def rejections_of(quarantine: pl.DataFrame, *, version: str, seen: str) -> pl.DataFrame:
    """The Rejections rows of one version alone, from its Quarantine table; `seen` is when it looked, ISO 8601, UTC."""
    said = quarantine.with_columns(
        first_seen=pl.lit(seen),
        first_version=pl.lit(version),
        last_seen=pl.lit(seen),
        last_version=pl.lit(version),
        attempts=pl.lit(1, dtype=pl.Int64),
    )
    return said.select(list(polars_schema("rejections"))).sort("path")


def merge_rejections(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """One Rejections table of those of single versions, each given once; of equal times, the later part is the later.

    A row is a file under one path with one content: other bytes under the same path are another row. Reason, stage and
    detail are those that were seen last.
    """
    every = pl.concat([to_frame("rejections", []), *parts]).sort("last_seen", maintain_order=True)
    read_there = pl.col("sha256").drop_nulls().first().over("path", "size_bytes")
    keyed = every.with_columns(content=pl.coalesce("sha256", read_there))
    last = [pl.col(name).last() for name in ("stage", "reason", "detail", "last_seen", "last_version")]
    first = [pl.col(name).first() for name in ("first_seen", "first_version")]
    merged = keyed.group_by(_FILE, maintain_order=True).agg(*last, *first, attempts=pl.col("attempts").sum())
    columns = list(polars_schema("rejections"))
    return merged.rename({"content": "sha256"}).select(columns).sort("path", "last_seen", maintain_order=True)


def with_state(rejections: pl.DataFrame, snapshot: pl.DataFrame, quarantine: pl.DataFrame) -> pl.DataFrame:
    """Rejections with the column `state`: what has become of each file in a version, by its RawImages and Quarantine tables.

    `rejected`: still, or again; `accepted`: the version holds it; `replaced`: its path holds other bytes; `gone`: the path is
    no image of the version.
    """
    images = snapshot.filter(pl.col("role") == "image")
    there = images.select("path", size_there="size_bytes", sha256_there="sha256", is_there=pl.lit(True))
    refused = quarantine.select("path", is_refused=pl.lit(True))
    joined = rejections.join(there, on="path", how="left").join(refused, on="path", how="left")
    is_other = (pl.col("size_bytes") != pl.col("size_there")) | (pl.col("sha256") != pl.col("sha256_there"))
    state = (
        pl.when(pl.col("is_there").is_null())
        .then(pl.lit("gone"))
        .when(is_other.fill_null(value=False))  # what was not read on one side is held to be the same
        .then(pl.lit("replaced"))
        .when(pl.col("is_refused"))
        .then(pl.lit("rejected"))
        .otherwise(pl.lit("accepted"))
    )
    kept = joined.with_columns(state=state).sort("path", "last_seen", maintain_order=True)
    return kept.select(*rejections.columns, "state")


def find_by_id(rejections: pl.DataFrame, wanted: str) -> pl.DataFrame:
    """The rows that a path names (of several contents the one seen last), else those of a hash or its beginning.

    Empty if nothing is meant; of several hashes with that beginning, all are returned: the caller decides.
    """
    by_path = rejections.filter(pl.col("path") == wanted)
    if not by_path.is_empty():
        return by_path.tail(1)
    if len(wanted) < LEAST_PREFIX or not re.fullmatch(r"[0-9a-f]{1,64}", wanted):
        return rejections.clear()
    return rejections.filter(pl.col("sha256").str.starts_with(wanted).fill_null(value=False))
