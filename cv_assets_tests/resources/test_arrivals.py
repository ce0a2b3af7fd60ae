"""When the uploads of a version came: said by the source, kept beside the version, and asked at a moment."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from cv_assets_tests.domain.tables import config, file_row
from resources.arrivals import arrivals, listing_taken, newest_upload_age_hours
from resources.ingest import list_source
from resources.listing import files_of
from resources.object_store import open_store
from resources.source import open_source
from resources.versions import VersionStore
from schemas.errors import VersionConflict
from schemas.tables import to_frame

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def version(tmp_path):
    return VersionStore(open_store(str(tmp_path / "store")), "shapes", "v1")


def test_a_folder_says_when_a_file_was_last_written(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"a")
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    assert open_source(str(tmp_path)).listing()["modified_seconds"].to_list() == [NOON.timestamp()]


def test_a_file_that_is_dated_beyond_all_calendars_has_no_date_and_is_read(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"a")
    try:
        os.utime(path, (2**56, 2**56))
    except OverflowError:
        pytest.skip("no such date can be given to a file here")
    source = open_source(str(tmp_path))
    newest = list_source(source, config()).newest_upload()
    assert newest is None or newest.year < 10_000
    assert [source.read(file).data for file in files_of(source.listing())] == [b"a"]


def test_a_bucket_says_it_too(bucket):
    bucket.put("uploads/a.png", b"a")
    newest = list_source(open_source(f"{bucket.url}/uploads"), config()).newest_upload()
    assert newest is not None
    assert abs(datetime.now(UTC) - newest) < timedelta(minutes=10)


AGES = [(timedelta(hours=1), 1.0), (timedelta(days=2, minutes=30), 48.5), (timedelta(seconds=-36), -0.01)]


def take(version, newest, listing="a listing", path="a.png"):
    """A snapshot of one file."""
    frame = to_frame("raw_images", [file_row(path)])
    version.save_table("raw_images", frame, write_once=True, arrivals=arrivals(newest, listing))


@pytest.mark.parametrize(("later", "hours"), AGES)
def test_the_age_is_that_of_the_moment_at_which_one_asks(version, later, hours):
    take(version, NOON)
    assert newest_upload_age_hours(version, NOON + later) == hours


def test_an_age_that_the_source_does_not_say_is_not_known(version):
    assert newest_upload_age_hours(version, NOON) is None
    take(version, None)
    assert newest_upload_age_hours(version, NOON) is None


def test_equal_times_are_said_alike_wherever_the_clock_stands():
    assert arrivals(NOON, None) == arrivals(NOON.astimezone(tz=None), None)


def test_of_two_runs_the_one_whose_snapshot_stands_tells_what_was_listed(version):
    take(version, NOON)
    with pytest.raises(VersionConflict):
        take(VersionStore(version.store, "shapes", "v1"), NOON + timedelta(days=1), "another listing", "b.png")
    assert listing_taken(version) == "a listing"
    assert newest_upload_age_hours(version, NOON) == 0.0
