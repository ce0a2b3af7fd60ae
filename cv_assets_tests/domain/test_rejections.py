"""What is remembered of rejected files: one row a file over all versions, and what has become of it."""

import pytest

from cv_assets.domain.rejections import find_by_id, merge_rejections, rejections_of, with_state
from schemas.tables import TABLES, to_frame

A, B = "a" * 64, "b" * 64


def refused(path, sha256, *, reason="undecodable", size_bytes=10):
    """A row of a Quarantine table."""
    return {
        "path": path,
        "sha256": sha256,
        "size_bytes": size_bytes,
        "stage": "probe",
        "reason": reason,
        "detail": "told",
    }


def met(version, *rows):
    """What a version remembers; v2 looked a day after v1."""
    return rejections_of(to_frame("quarantine", list(rows)), version=version, seen=f"2026-05-0{version[1:]}T12:00:00Z")


def merged(*parts):
    return TABLES["rejections"].validate(merge_rejections(parts), lazy=True)


def landed(path, sha256, *, size_bytes=10, role="image"):
    """A row of a RawImages table."""
    return {"path": path, "role": role, "size_bytes": size_bytes, "sha256": sha256}


def test_a_file_is_one_row_with_its_first_and_last_meeting_and_what_was_said_last():
    first, last = refused("a.png", A), refused("a.png", A, reason="time-over-limit")
    (row,) = merged(met("v1", first), met("v2", first), met("v3", last)).to_dicts()
    assert (row["first_version"], row["last_version"], row["attempts"]) == ("v1", "v3", 3)
    assert (row["first_seen"], row["last_seen"]) == ("2026-05-01T12:00:00Z", "2026-05-03T12:00:00Z")
    assert row["reason"] == "time-over-limit"


def test_versions_that_were_handed_in_out_of_order_are_told_apart_by_their_times():
    one = refused("a.png", A)
    assert merged(met("v3", one), met("v1", one)).equals(merged(met("v1", one), met("v3", one)))


def test_of_equal_times_the_part_that_comes_last_is_the_last():
    parts = [met("v1", refused("a.png", A, reason=reason)) for reason in ("undecodable", "decoder-died")]
    assert merged(*parts)["reason"].to_list() == ["decoder-died"]


def test_other_bytes_under_the_same_path_are_another_file_and_equal_bytes_elsewhere_too():
    rows = merged(met("v1", refused("a.png", A)), met("v2", refused("a.png", B), refused("b.png", B)))
    assert rows.select("path", "sha256", "attempts").rows() == [("a.png", A, 1), ("a.png", B, 1), ("b.png", B, 1)]


def test_bytes_that_were_first_too_many_to_read_are_the_same_file_once_they_are_read():
    unread = refused("a.png", None, reason="bytes-over-limit")
    (row,) = merged(met("v1", unread), met("v2", refused("a.png", A))).to_dicts()
    assert (row["sha256"], row["reason"], row["attempts"]) == (A, "undecodable", 2)
    other = refused("a.png", None, reason="bytes-over-limit", size_bytes=99)
    assert merged(met("v1", other), met("v2", refused("a.png", A)))["attempts"].to_list() == [1, 1]


def test_nothing_rejected_is_an_empty_table():
    assert merged().is_empty()
    assert merged(met("v1")).is_empty()


STATES = [
    # what landed under the path, is it quarantined, and what that makes of a row that was met with hash A and 10 bytes
    (landed("a.png", A), True, "rejected"),
    (landed("a.png", A), False, "accepted"),
    (landed("a.png", None), True, "rejected"),  # over a limit of bytes now, and so not read
    (landed("a.png", B), True, "replaced"),
    (landed("a.png", B), False, "replaced"),
    (landed("a.png", None, size_bytes=11), True, "replaced"),
    (landed("b.png", A), False, "gone"),
    (landed("a.png", A, role="annotation"), False, "gone"),
]


@pytest.mark.parametrize(("there", "is_refused", "state"), STATES)
def test_a_version_says_what_has_become_of_a_file(there, is_refused, state):
    snapshot = to_frame("raw_images", [there])
    quarantine = to_frame("quarantine", [refused(there["path"], there["sha256"])] if is_refused else [])
    (row,) = with_state(merged(met("v1", refused("a.png", A))), snapshot, quarantine).to_dicts()
    assert row["state"] == state


def test_an_id_is_a_path_or_a_hash_or_its_beginning():
    one, other = "ab12" + "0" * 60, "ab13" + "0" * 60
    rows = merged(
        met("v1", refused("a.png", one), refused("again.png", one), refused("ab13", other), refused("none.png", None)),
        met("v2", refused("a.png", other)),
    )

    def found(wanted):
        return find_by_id(rows, wanted).select("path", "sha256").rows()

    assert found("a.png") == [("a.png", other)]  # the content seen last
    assert found(one) == found("ab12") == [("a.png", one), ("again.png", one)]
    assert found("ab13") == [("ab13", other)]  # a path goes first
    assert found("none.png") == [("none.png", None)]
    assert found("ab1") == found("") == found("b.png") == found(".*") == []
    assert len(found("ab130")) == 2
