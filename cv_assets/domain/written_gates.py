"""The gates of what was written: shards and commit record are held against the store, not against what a writer said."""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from io import BufferedIOBase, BytesIO
from typing import Any, Final

import polars as pl

from cv_assets.domain.gate import Gate, GateFinding, Tables, schema_gate
from cv_assets.domain.gates import gate_names
from cv_assets.domain.packing.formats import FORMATS
from schemas.datasets import DatasetConfig
from schemas.releases import AssetVerdicts

Row = dict[str, Any]
Inspected = tuple[tuple[str, int, str, int], list[str]]


def inspect_shards(
    shards: pl.DataFrame,
    opened: Callable[[str], AbstractContextManager[BufferedIOBase]],
    spread: Callable[[Callable[[Row], Inspected], Iterable[Row]], Iterable[Inspected]] = map,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read every shard of a Shards table back; `spread` is `map`, or one that works on several at a time.

    Returns (found, members): found has columns key, bytes, sha256, samples as the files are; members has columns
    format, split, image_id, one row a packed sample. A file that cannot be read as its format has 0 samples.
    """

    def inspect(row: Row) -> Inspected:
        with opened(row["key"]) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            try:
                ids = FORMATS[row["format"]].sample_ids(file)
            except tarfile.TarError:
                ids = []
            return (row["key"], file.seek(0, os.SEEK_END), sha256, len(ids)), ids

    rows = list(shards.iter_rows(named=True))
    found: list[tuple[str, int, str, int]] = []
    members: list[tuple[str, str, str]] = []
    for row, (seen, ids) in zip(rows, spread(inspect, rows), strict=True):
        found.append(seen)
        members.extend((row["format"], row["split"], image_id) for image_id in ids)
    as_found = {"key": pl.String, "bytes": pl.Int64, "sha256": pl.String, "samples": pl.Int64}
    as_member = {"format": pl.String, "split": pl.String, "image_id": pl.String}
    return pl.DataFrame(found, as_found, orient="row"), pl.DataFrame(members, as_member, orient="row")


def shard_gates(found: pl.DataFrame, members: pl.DataFrame) -> tuple[Gate, ...]:
    """The gates of the asset `shards`, over what `inspect_shards` read back."""

    def match_their_index(tables: Tables, _: DatasetConfig) -> GateFinding:
        said = tables["shards"].select("key", "bytes", "sha256", "samples")
        return GateFinding(
            {"shards": said.height, "bytes": int(said["bytes"].sum())},
            said.join(found, on=said.columns, how="anti", nulls_equal=True),
        )

    def hold_their_split(tables: Tables, config: DatasetConfig) -> GateFinding:
        dealt = tables["splits"].drop_nulls("split").select("split", "image_id")
        wanted = dealt.join(pl.DataFrame({"format": config.shards.formats}), how="cross").select(members.columns)
        missing = wanted.join(members, on=members.columns, how="anti").with_columns(problem=pl.lit("not packed"))
        extra = members.join(wanted, on=members.columns, how="anti").with_columns(
            problem=pl.lit("packed, but not dealt to it")
        )
        twice = members.filter(members.is_duplicated()).unique().with_columns(problem=pl.lit("packed twice"))
        return GateFinding({"dealt": wanted.height, "packed": members.height}, pl.concat([missing, extra, twice]))

    return (
        schema_gate("shards"),
        Gate("shards_match_their_index", "shards", ("shards",), match_their_index,
             "Size, hash and sample count of every shard file are those of the table."),
        Gate("shards_hold_their_split", "shards", ("shards", "splits"), hold_their_split,
             "Every image of a split is packed once, in that split, in every format."),
    )  # fmt: skip


def release_gates(stored: Mapping[str, int | None]) -> tuple[Gate, ...]:
    """The gates of the asset `release`; `stored` maps key → size in bytes of the object there, None if there is none."""

    def names_what_is_stored(tables: Tables, _: DatasetConfig) -> GateFinding:
        said = tables["release"].select("key", "size_bytes")
        found = pl.DataFrame(
            {"key": list(stored), "stored_bytes": list(stored.values())},
            schema={"key": pl.String, "stored_bytes": pl.Int64},
        )
        both = said.join(found, on="key", how="left")
        return GateFinding(
            {"objects": said.height}, both.filter(pl.col("size_bytes").ne_missing(pl.col("stored_bytes")))
        )

    return (
        schema_gate("release"),
        Gate("commit_names_what_is_stored", "release", ("release",), names_what_is_stored,
             "Every object that the commit record names is in the store, with its size."),
    )  # fmt: skip


_NO_SHARDS: Final = pl.DataFrame(schema={"key": pl.String, "format": pl.String, "split": pl.String})
# The same gates over nothing, for those who only need their names.
SHARD_GATES: Final = shard_gates(*inspect_shards(_NO_SHARDS, lambda _: nullcontext(BytesIO())))
RELEASE_GATES: Final = release_gates({})


def objections(
    asset: str, verdicts: AssetVerdicts | None, digests: Mapping[str, str], *, is_committed: bool = False
) -> list[str]:
    """Why nothing may go on from `asset`: each a sentence; none if all its gates passed on the tables with these digests.

    Of a committed version those gates count that there were when it was committed.
    """
    if verdicts is None:
        return [f"the checks of {asset} have not run"]
    stale = [name for name, digest in verdicts.table_digests.items() if digests.get(name) != digest]
    if stale:
        return [f"the checks of {asset} ran on other content of {', '.join(stale)}"]
    missing = gate_names(asset) | {gate.name for gate in SHARD_GATES if gate.asset == asset}
    missing -= {verdict.name for verdict in verdicts.verdicts}
    if missing and not is_committed:
        return [f"the checks of {asset} ran without {', '.join(sorted(missing))}"]
    return [
        f"{asset}: {v.name} failed: {v.description} Saw {v.saw}"
        for v in verdicts.verdicts
        if v.blocking and not v.passed
    ]
