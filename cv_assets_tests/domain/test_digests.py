"""Digests: equal for equal content, and for nothing else."""

import hashlib

import polars as pl
import pytest

from cv_assets.domain.digests import bytes_digest, record_digest, table_digest
from cv_assets_tests.domain.tables import sound_tables

TABLE = pl.DataFrame(
    {"path": ["a", "b"], "size": [1, 2], "share": [0.5, None], "labels": [["x"], []]},
    schema={"path": pl.String, "size": pl.Int64, "share": pl.Float64, "labels": pl.List(pl.String)},
)

OTHERS = {
    "another value": TABLE.with_columns(size=pl.Series([1, 3])),
    "a row less": TABLE.head(1),
    "a row twice": pl.concat([TABLE, TABLE.tail(1)]),
    "another order": TABLE.reverse(),
    "another name of a column": TABLE.rename({"path": "paths"}),
    "a column less": TABLE.drop("share"),
    "null for a value": TABLE.with_columns(path=pl.Series(["a", None])),
    "the word null": TABLE.with_columns(path=pl.Series(["a", "null"])),
    "an empty text": TABLE.with_columns(path=pl.Series(["a", ""])),
    "null for an empty list": TABLE.with_columns(labels=pl.Series([["x"], None], dtype=pl.List(pl.String))),
    "one label in two": TABLE.with_columns(labels=pl.Series([["x", ""], []])),
    "a label that looks like two": TABLE.with_columns(labels=pl.Series([['x","y'], []])),
    "rows that a newline seems to end": TABLE.with_columns(path=pl.Series(['a"}\n{"path":"', "b"])),
    "nothing": TABLE.clear(),
}


def test_a_table_has_the_digest_of_its_rows_as_json_lines():
    lines = '{"path":"a","size":1,"share":0.5,"labels":["x"]}\n{"path":"b","size":2,"share":null,"labels":[]}\n'
    assert table_digest(TABLE) == hashlib.sha256(lines.encode()).hexdigest()


def test_how_a_table_lies_in_memory_means_nothing():
    in_pieces = pl.concat([TABLE.head(1), TABLE.tail(1)], rechunk=False)
    assert in_pieces.n_chunks() == 2
    assert table_digest(in_pieces) == table_digest(TABLE)
    for table in sound_tables().values():
        assert table_digest(pl.from_arrow(table.to_arrow())) == table_digest(table)


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_other_content_has_another_digest(other):
    assert table_digest(other) != table_digest(TABLE)


def test_the_order_of_keys_means_nothing_and_that_of_lists_does():
    assert record_digest({"a": 1, "b": [1, 2]}) == record_digest({"b": [1, 2], "a": 1})
    assert record_digest({"a": 1, "b": [1, 2]}) != record_digest({"a": 1, "b": [2, 1]})


def test_what_json_cannot_hold_has_no_digest():
    with pytest.raises(ValueError, match="JSON"):
        record_digest({"share": float("nan")})


def test_bytes_have_their_sha256():
    assert bytes_digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
