"""Bugs planted in the publisher prove that the harness would see them: each is caught, and by what it should be caught by."""

import errno

import pytest

from cv_assets_tests.faults import crash_points, rivals
from cv_assets_tests.faults.crash_points import local_steps
from cv_assets_tests.faults.durability import Disk
from cv_assets_tests.faults.planted import BUGS
from cv_assets_tests.faults.reader import Partial, seen_version
from cv_assets_tests.faults.syscalls import Call, why_not

watched = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@watched
def test_a_commit_record_that_is_written_first_is_caught_by_the_reader(bench):
    at_commit = [call.number for call in local_steps(bench) if call.paths[-1].name == "COMMIT.json"]
    tally = crash_points.kill_at_steps(bench, [at_commit[0] - 10], bug="commit_first")
    assert any("is named and not there" in failure for failure in tally.failures)
    assert tally.survived == 0


@watched
@pytest.mark.parametrize(
    ("bug", "what"),
    [("no_flush", "bytes or name of train-000000.tar"), ("no_fsync", "bytes of COMMIT.json")],
)
def test_what_is_not_flushed_is_caught_by_the_order_of_calls(bench, bug, what):
    failures = crash_points.unflushed_at_commit(bench, bug).failures
    assert any(what in failure for failure in failures)


@watched
@pytest.mark.parametrize("bug", ["rename_for_link", "exists_is_success"])
def test_a_publisher_that_does_not_see_the_other_one_is_caught_when_it_is_overtaken(bench, bug):
    failures = rivals.paused_before_commit(bench, alike=False, bug=bug).failures
    assert any("the one that was slow ended as Ending(outcome='published'" in failure for failure in failures)
    overwritten = any("what was committed first is overwritten" in failure for failure in failures)
    assert overwritten is (bug == "rename_for_link")


def test_an_existing_object_that_is_taken_for_a_failure_is_caught_when_the_reply_is_lost(bench, bucket):
    (failure,) = rivals.lost_commit(bench, bucket, bug="exists_is_failure").failures
    assert "VersionConflict" in failure


@watched
def test_an_existing_object_that_is_taken_for_a_failure_is_caught_when_its_equal_overtakes(bench):
    (failure,) = rivals.paused_before_commit(bench, alike=True, bug="exists_is_failure").failures
    assert "VersionConflict" in failure


def test_every_planted_bug_is_told_of_here():
    assert set(BUGS) == {
        "commit_first", "no_flush", "no_fsync", "rename_for_link", "exists_is_success", "exists_is_failure",
    }  # fmt: skip


def test_the_reader_sees_what_is_missing_short_altered_or_cut(bench):
    place = bench.local()
    assert bench.publishers.run(place.order()).outcome == "published"
    assert seen_version(place.read, "shapes", "v1") == bench.digest
    shard = next(place.root.rglob("train-*.tar"))
    blob = next(path for path in (place.root / "blobs").rglob("*") if path.is_file())
    record = next(place.root.rglob("COMMIT.json"))
    for path, damaged in (
        (shard, None),
        (shard, shard.read_bytes()[:-1]),
        (blob, b"x" + blob.read_bytes()[1:]),
        (blob, b""),
        (record, record.read_bytes()[:-40]),
        (record, None),
    ):
        sound = path.read_bytes()
        path.unlink() if damaged is None else path.write_bytes(damaged)
        with pytest.raises(Partial):
            seen_version(place.read, "shapes", "v1")
        path.write_bytes(sound)
    assert seen_version(place.read, "shapes", "v1") == bench.digest


def test_the_model_of_a_disk_loses_what_was_not_flushed(tmp_path):
    disk, folder = Disk(tmp_path), tmp_path / "a"
    temporary, final = folder / ".x.tmp", folder / "x"

    def call(name, *paths):
        disk.follow(Call(0, name, paths))

    call("mkdir", folder)
    call("rename", temporary, final)
    assert disk.lacks([final]) == ["bytes of a/x", "name a", "name a/x"]
    call("fsync", final)
    call("fsync", folder)
    assert disk.lacks([final]) == ["name a"]
    call("fsync", tmp_path)
    assert disk.lacks([final]) == []
    call("rename", temporary, final)
    assert disk.lacks([final]) == ["bytes of a/x", "name a/x"]
    call("syncfs", folder)
    assert disk.lacks([final]) == []


@watched
def test_a_call_that_is_made_to_fail_does_fail(bench):
    # a harness that strikes nothing would pass everything
    tally = crash_points.fail_at_steps(bench, ("link", "linkat"), [1], errno.EIO)
    assert tally.notes == {"failed": 1}
    killed = crash_points.kill_at_steps(bench, [1])
    assert killed.notes == {"killed": 1}


@watched
def test_a_fault_that_strikes_nothing_is_no_survival_unless_it_lay_beyond_the_end(bench):
    missed = crash_points.fail_at_steps(bench, ("link", "linkat"), [1_000], errno.EIO)
    assert missed.failures == ["1000: the fault struck nothing"]
    assert missed.survived == 0
    beyond = crash_points.kill_at_steps(bench, [len(local_steps(bench)) + 1])
    assert (beyond.failures, beyond.notes) == ([], {"published": 1, "missed": 1})
