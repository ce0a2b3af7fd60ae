"""When a listing counts as settled, what a sensor remembers, and how a listing differs from a version."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cv_assets.domain.uploads import (
    LISTING,
    Changes,
    Cursor,
    TakenListing,
    compare,
    in_words,
    look_again,
    tell,
    to_listing,
)
from schemas.automation import UploadsConfig
from schemas.tables import to_frame

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
UPLOADS = UploadsConfig.model_validate({"settle": "5m", "every": "60s"})
SHA = {letter: letter * 64 for letter in "abcdef"}


def listed(rows):
    """The listing of some files, in whichever order they come."""
    return to_listing(pl.DataFrame(list(rows), schema=LISTING, orient="row"))


def look(cursor, digest, seconds, uploads=UPLOADS):
    """One look, so many seconds after noon."""
    cursor, left = look_again(cursor, digest, uploads, now=NOON + timedelta(seconds=seconds))
    return cursor, left.total_seconds()


def test_a_listing_has_settled_when_it_was_the_same_for_as_long_as_was_asked():
    cursor, waits = Cursor(), []
    for minute in range(7):
        cursor, left = look(cursor, "a", minute * 60)
        waits.append(left)
    assert waits == [300, 240, 180, 120, 60, 0, 0]


def test_any_change_starts_the_wait_anew():
    cursor = Cursor()
    for minute in range(5):
        cursor, left = look(cursor, "a", minute * 60)
    cursor, left = look(cursor, "b", 300)
    assert left == 300
    cursor, left = look(cursor, "a", 360)  # and back again is a change too
    assert left == 300


def test_words_about_a_listing_stay_until_it_changes():
    cursor, _ = look(Cursor(), "a", 0)
    cursor, _ = look(tell(cursor, "1 new"), "a", 60)
    assert cursor.waiting is not None
    assert cursor.waiting.differs == "1 new"
    cursor, _ = look(cursor, "b", 120)
    assert cursor.waiting is not None
    assert cursor.waiting.differs == ""


JUMPS = [
    # seconds of the looks; is it settled at the last one?
    ([0, 172_800], False),  # the clock jumped two days forward: seen twice is not seen for five minutes
    ([0, 60, 120, 172_800], False),
    ([0, 60, 120, 180, 240, 172_800], True),  # five looks a minute apart have passed all the same
    ([0, 60, 120, 180, 240, -172_800], False),  # back: from here on anew, not two days later
    ([0, 60, 120, -172_800, -172_740, -172_680, -172_620, -172_560, -172_500], True),
    ([0, 1_000], False),  # a pause of the daemon: nobody looked meanwhile
    ([0, 1, 2, 3, 4, 5, 6, 7], False),  # two daemons that look in turn: the time counts
]


@pytest.mark.parametrize(("seconds", "settled"), JUMPS)
def test_neither_a_clock_that_jumps_nor_many_looks_alone_make_a_listing_settled(seconds, settled):
    cursor, left = Cursor(), 0.0
    for at in seconds:
        cursor, left = look(cursor, "a", at)
    assert (left == 0) is settled


def test_the_cursor_outlives_its_text_and_one_that_cannot_be_read_is_forgotten():
    cursor, _ = look(Cursor(taken=TakenListing(digest="d", version="v3")), "a", 0)
    assert Cursor.parse(cursor.model_dump_json()) == cursor
    for text in (None, "", "{", "[]", '{"seen": ["a", "b"]}', "2026-05-01 12:00", '{"taken": {"digest": 7}}'):
        assert Cursor.parse(text) == Cursor()


FILES = [(f"c/{n}.jpg", "image", 100 + n, f"stamp-{n}", None) for n in range(4)]


@given(st.permutations(FILES))
def test_the_order_in_which_a_source_lists_means_nothing(files):
    assert listed(files).digest == listed(FILES).digest


OTHERWISE = {
    "another stamp, so overwritten with as many bytes": ("c/1.jpg", "image", 101, "stamp-x", None),
    "another size": ("c/1.jpg", "image", 102, "stamp-1", None),
    "another role": ("c/1.jpg", "annotation", 101, "stamp-1", None),
    "another name": ("c/x.jpg", "image", 101, "stamp-1", None),
    "a symbolic link now": ("c/1.jpg", "image", 101, None, "symbolic-link"),
    "no stamp": ("c/1.jpg", "image", 101, None, None),
}


@pytest.mark.parametrize("row", OTHERWISE.values(), ids=OTHERWISE)
def test_whatever_changes_in_one_file_changes_the_digest(row):
    assert listed([FILES[0], row, *FILES[2:]]).digest != listed(FILES).digest


def test_names_that_run_together_are_told_apart():
    one = listed([("a", "image", 1, "b", None), ("ab", "image", 1, "", None)])
    other = listed([("a", "image", 1, "", None), ("ab", "image", 1, "b", None)])
    odd = listed([('a","role":"image', "image", 1, "b", None), ("ab\n", "image", 1, "", None)])
    assert len({one.digest, other.digest, odd.digest}) == 3


def held(path, sha=None, size=100, *, role="image", reason=None):
    return {"path": path, "role": role, "size_bytes": size, "sha256": sha and SHA[sha], "reason": reason}


def sighting(path, stamp, sha):
    return {"path": path, "role": "image", "size_bytes": 100, "stamp": stamp, "sha256": SHA[sha]}


SNAPSHOT = [held("a.jpg", "a"), held("b.jpg", "b"), held("e.jpg", size=0, reason="empty-file")]
SEEN = [sighting("a.jpg", "1", "a"), sighting("b.jpg", "2", "b")]
A, B, E = ("a.jpg", "image", 100, "1", None), ("b.jpg", "image", 100, "2", None), ("e.jpg", "image", 0, "3", None)

CASES = {
    "nothing": ([A, B, E], Changes(0, 0, 0)),
    "one more": ([A, B, E, ("c.jpg", "image", 1, "4", None)], Changes(1, 0, 0)),
    "one less": ([A, E], Changes(0, 0, 1)),
    "renamed": ([A, E, ("c.jpg", "image", 100, "2", None)], Changes(1, 0, 1)),
    "overwritten with as many bytes": ([A, ("b.jpg", "image", 100, "9", None), E], Changes(0, 1, 0)),
    "overwritten with more": ([A, ("b.jpg", "image", 200, "9", None), E], Changes(0, 1, 0)),
    "no stamp to go by": ([A, ("b.jpg", "image", 100, None, None), E], Changes(0, 1, 0)),
    "names labels now": ([A, ("b.jpg", "annotation", 100, "2", None), E], Changes(0, 1, 0)),
    "a link now": ([A, ("b.jpg", "image", 0, None, "symbolic-link"), E], Changes(0, 1, 0)),
    "empty no more": ([A, B, ("e.jpg", "image", 7, "3", None)], Changes(0, 1, 0)),
    "empty, touched": ([A, B, ("e.jpg", "image", 0, "7", None)], Changes(0, 0, 0)),
    "all gone": ([], Changes(0, 0, 3)),
}


@pytest.mark.parametrize(("rows", "found"), CASES.values(), ids=CASES)
def test_a_listing_is_compared_with_what_a_version_holds(rows, found):
    snapshot, seen = to_frame("raw_images", SNAPSHOT), to_frame("sightings", SEEN)
    assert compare(listed(rows).table, snapshot, seen) == found


def test_bytes_read_under_an_older_stamp_are_not_taken_for_what_the_version_holds():
    # b.jpg was B, is held as B, was read as C since, and lies there as C
    seen = to_frame("sightings", [*SEEN, sighting("b.jpg", "9", "c")])
    listing = listed([A, ("b.jpg", "image", 100, "9", None), E])
    assert compare(listing.table, to_frame("raw_images", SNAPSHOT), seen).changed == 1
    back = listed([A, B, E])
    assert compare(back.table, to_frame("raw_images", SNAPSHOT), seen).changed == 0


def test_a_file_that_changed_while_it_was_read_is_to_be_taken_again():
    snapshot = to_frame("raw_images", [held("a.jpg", reason="changed-while-reading")])
    assert compare(listed([A]).table, snapshot, to_frame("sightings", [])).changed == 1


def test_a_file_that_could_not_be_read_is_no_news_while_it_lies_there():
    snapshot = to_frame("raw_images", [held("a.jpg", reason="unreadable")])
    assert compare(listed([A]).table, snapshot, to_frame("sightings", [])).total == 0


def test_without_a_version_everything_is_new():
    assert compare(listed(FILES).table, None, to_frame("sightings", [])) == Changes(4, 0, 0)


def test_the_words_say_how_many_and_how_long():
    assert str(Changes(1_000, 2, 0)) == "1,000 new, 2 changed, 0 removed"
    assert str(listed(FILES)) == "4 files, 406 bytes"
    assert str(listed(FILES[:1])) == "1 file, 100 bytes"
    found = [in_words(timedelta(seconds=seconds)) for seconds in (0, 0.2, 90, 3600, 3661)]
    assert found == ["0 s", "1 s", "1 min 30 s", "1 h", "1 h 1 min 1 s"]


def test_a_hundred_thousand_files_are_looked_at_in_seconds_and_the_cursor_stays_small():
    listing = listed((f"c/{n:06d}.jpg", "image", n, str(n), None) for n in range(100_000))
    cursor, _ = look_again(Cursor(), listing.digest, UPLOADS, now=NOON)
    cursor = Cursor(taken=TakenListing(digest=listing.digest, version="v1" * 32), waiting=cursor.waiting)
    cursor = tell(cursor, "1,000,000 new, 1,000,000 changed, 1,000,000 removed since v1")
    assert len(cursor.model_dump_json()) < 500
    assert isinstance(listing.table, pl.DataFrame)
