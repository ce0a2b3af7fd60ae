"""The gates of shards and release: they look at what is stored, not at what was said of it."""

from io import BytesIO

import polars as pl
import pytest

from cv_assets.domain.digests import bytes_digest
from cv_assets.domain.packing.plan import plan_shards
from cv_assets.domain.packing.webdataset import pack
from cv_assets.domain.written_gates import (
    RELEASE_GATES,
    SHARD_GATES,
    inspect_shards,
    release_gates,
    shard_gates,
)
from cv_assets_tests.domain.tables import config, image_id, sound_tables
from schemas.tables import to_frame

TABLES = sound_tables()
CONFIG = config(split={"train": 0.5, "val": 0.25, "test": 0.25})
PLANNED = plan_shards(TABLES["manifest"], TABLES["splits"], TABLES["annotations"], max_bytes=5_000)
STORED = {f"{one.split}-{one.number}.tar": b"".join(pack(one.samples, lambda _: b"pixels")) for one in PLANNED}
SHARDS = to_frame(
    "shards",
    [
        {
            "format": "webdataset",
            "split": one.split,
            "key": key,
            "samples": len(one.samples),
            "bytes": len(data),
            "sha256": bytes_digest(data),
        }
        for one, (key, data) in zip(PLANNED, STORED.items(), strict=True)
    ],
)
FIRST = SHARDS["key"][0]


def failed(stored, *, shards=SHARDS, splits=TABLES["splits"]):
    """Gate → problems, of the gates that do not pass."""
    gates = shard_gates(*inspect_shards(shards, lambda key: BytesIO(stored[key])))
    verdicts = [gate.judge({"shards": shards, "splits": splits}, CONFIG) for gate in gates]
    return {verdict.name: verdict.offending for verdict in verdicts if not verdict.passed}


def test_shards_as_they_were_written_pass():
    assert len(STORED) > 3
    assert failed(STORED) == {}


FLIPS = [0, 100, 511, 512, 5_000, -1]


@pytest.mark.parametrize("at", FLIPS)
def test_a_flipped_bit_in_a_shard_is_found_and_the_file_is_named(at):
    data = bytearray(STORED[FIRST])
    data[at] ^= 1
    found = failed({**STORED, FIRST: bytes(data)})
    assert [row["key"] for row in found["shards_match_their_index"]] == [FIRST]


@pytest.mark.parametrize("kept", [0, 1, 511, 512, 3_000])
def test_a_shard_that_was_cut_off_is_found(kept):
    found = failed({**STORED, FIRST: STORED[FIRST][:kept]})
    assert [row["key"] for row in found["shards_match_their_index"]] == [FIRST]
    # below 3,000 bytes not one sample is whole
    assert {row["problem"] for row in found["shards_hold_their_split"]} == {"not packed"}


def test_two_shards_that_changed_places_are_found():
    one, *_, other = STORED
    found = failed({**STORED, one: STORED[other], other: STORED[one]})
    assert {row["key"] for row in found["shards_match_their_index"]} == {one, other}
    assert {row["problem"] for row in found["shards_hold_their_split"]} == {"not packed", "packed, but not dealt to it"}


def test_a_shard_that_the_table_lacks_leaves_images_unpacked():
    found = failed(STORED, shards=SHARDS.slice(1))
    assert {row["problem"] for row in found["shards_hold_their_split"]} == {"not packed"}
    assert len(found["shards_hold_their_split"]) == SHARDS["samples"][0]


def test_an_image_that_is_dealt_elsewhere_than_it_is_packed_is_found():
    moved = pl.when(image_id=image_id("circle/3.png")).then(pl.lit("elsewhere")).otherwise("split").alias("split")
    found = failed(STORED, splits=TABLES["splits"].with_columns(moved))
    assert [row["image_id"] for row in found["shards_hold_their_split"]] == [image_id("circle/3.png")] * 2


def test_an_image_that_is_packed_twice_is_found():
    one = PLANNED[0]
    twice = b"".join(pack([*one.samples, one.samples[0]], lambda _: b"pixels"))
    found = failed({**STORED, FIRST: twice})
    problems = {row["problem"] for row in found["shards_hold_their_split"]}
    assert problems == {"packed twice"}


def test_every_object_of_the_commit_record_is_looked_for():
    rows = [{"key": key, "role": "shard", "size_bytes": len(data), "sha256": "0" * 64} for key, data in STORED.items()]
    tables = {"release": to_frame("release", rows)}
    sizes = {key: len(data) for key, data in STORED.items()}
    by_name = {gate.name: gate.judge(tables, CONFIG).passed for gate in release_gates(sizes)}
    assert by_name == {"release_match_their_schema": True, "commit_names_what_is_stored": True}
    for stored in (None, 1):  # gone, or of another size
        gate = release_gates({**sizes, FIRST: stored})[1]
        assert [row["key"] for row in gate.judge(tables, CONFIG).offending] == [FIRST]


def test_the_names_of_the_gates_are_known_before_anything_is_written():
    assert [gate.name for gate in SHARD_GATES] == [
        "shards_match_their_schema",
        "shards_match_their_index",
        "shards_hold_their_split",
    ]
    assert [gate.name for gate in RELEASE_GATES] == ["release_match_their_schema", "commit_names_what_is_stored"]
