"""Publishers and the collector keep out of each other's way, whichever of them comes first, and whoever was killed."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from resources import leases
from resources.leases import DELETING, LEASE_HOURS, Lease, deleting, publishing, young_leases
from resources.object_store import open_store
from resources.records import tombstone_key
from schemas.errors import ConfigurationError, StoreUnavailable
from schemas.releases import Tombstone


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def age(store, key, hours):
    """Make an object look as if it had been written so long ago."""
    when = (datetime.now(UTC) - timedelta(hours=hours)).timestamp()
    os.utime(store.local_path(key), (when, when))


def test_a_publisher_gives_way_while_a_collector_deletes(any_store):
    with deleting(any_store):
        with (
            pytest.raises(StoreUnavailable, match=r"gc is deleting in .*; run again when it is done"),
            publishing(any_store, "shapes", "v2"),
        ):
            pytest.fail("it went on")
        assert list(any_store.keys("leases")) == []
    with publishing(any_store, "shapes", "v2"):
        assert len(list(any_store.keys("leases/shapes/v2"))) == 1
    assert list(any_store.keys("leases")) == []


def test_a_collector_gives_way_while_a_publisher_is_at_work_and_says_who_it_is(any_store):
    with publishing(any_store, "shapes", "v2"), publishing(any_store, "shapes", "v2"):
        with (
            pytest.raises(StoreUnavailable, match=r"publishing shapes@v2 is under way \(.*:\d+\)"),
            deleting(any_store),
        ):
            pytest.fail("it went on")
        assert young_leases(any_store, DELETING) == []
    with deleting(any_store):
        pass


def test_the_end_of_one_publisher_is_not_the_end_of_the_other_of_the_same_version(store):
    with publishing(store, "shapes", "v2"):
        with publishing(store, "shapes", "v2"):
            pass
        with pytest.raises(StoreUnavailable), deleting(store):
            pytest.fail("it went on")


def test_two_collectors_do_not_delete_at_once(store):
    with deleting(store), pytest.raises(StoreUnavailable, match="gc is under way"), deleting(store):
        pytest.fail("it went on")


def test_the_lease_of_a_killed_process_runs_out_and_is_removed(store):
    lease = Lease(store, "leases/shapes/v2", "publishing shapes@v2", Clock())
    age(store, lease.key, LEASE_HOURS - 0.1)
    with pytest.raises(StoreUnavailable, match="runs out after 1 h"), deleting(store):
        pytest.fail("it went on")
    age(store, lease.key, LEASE_HOURS + 0.1)
    with deleting(store):
        assert store.look(lease.key) is None


class HoursAhead(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(hours=LEASE_HOURS + 1)


def test_a_lease_is_as_old_as_the_clock_of_its_store_says(any_store, monkeypatch):
    lease = Lease(any_store, "leases/shapes/v2", "publishing shapes@v2", Clock())
    monkeypatch.setattr("resources.object_store.datetime", HoursAhead)
    # a disk has no other clock than this machine's, by which the lease has run out
    believed = [] if any_store.is_local else [lease.key]
    assert [entry.key for entry in young_leases(any_store, "leases")] == believed
    assert list(any_store.keys("leases")) == believed


def test_a_lease_that_is_renewed_does_not_run_out(store):
    clock = Clock()
    lease = Lease(store, "leases", "publishing shapes@v2", clock)
    for _ in range(30):
        clock.seconds += 300
        age(store, lease.key, 0.9)
        lease.renew()
        assert datetime.now(UTC) - store.look(lease.key).modified < timedelta(minutes=1)
        lease.require()


def test_a_publisher_that_was_stopped_for_hours_does_not_trust_its_lease_nor_bring_it_back(store):
    clock = Clock()
    lease = Lease(store, "leases", "publishing shapes@v2", clock)
    clock.seconds += 2 * 3600
    with pytest.raises(StoreUnavailable, match=r"was stopped for so long that its lease .* ran out"):
        lease.require()
    store.delete(lease.key)  # as a collector does that finds it too old
    lease.renew()
    assert store.look(lease.key) is None
    with pytest.raises(StoreUnavailable, match="Run again"):
        lease.require()


def test_a_lease_that_a_collector_found_too_old_by_its_clock_is_not_brought_back(store):
    lease = Lease(
        store, "leases", "publishing shapes@v2", Clock()
    )  # by our clock no time passes: this machine was paused
    age(store, lease.key, LEASE_HOURS + 1)
    assert young_leases(store, "leases") == []
    lease.renew()
    assert store.look(lease.key) is None
    with pytest.raises(StoreUnavailable, match="ran out"):
        lease.require()


def test_a_publisher_whose_lease_was_taken_away_fails_at_the_end_of_the_block(store):
    with pytest.raises(StoreUnavailable, match="ran out"), publishing(store, "shapes", "v2") as lease:
        store.delete(lease.key)


def test_a_lease_is_renewed_by_itself_while_the_work_lasts(store, monkeypatch):
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.02)
    with publishing(store, "shapes", "v2") as lease:
        age(store, lease.key, 0.9)
        for _ in range(200):
            if datetime.now(UTC) - store.look(lease.key).modified < timedelta(minutes=1):
                break
            leases.time.sleep(0.02)
        else:
            pytest.fail("it was not renewed")


def test_a_failed_publisher_leaves_no_lease(store):
    with pytest.raises(ValueError, match="a fault of its own"), publishing(store, "shapes", "v2"):
        raise ValueError("a fault of its own")
    assert list(store.keys("leases")) == []


def test_the_name_of_a_removed_version_is_not_published_again(store):
    grave = Tombstone(dataset="shapes", version="v1", digest="0", reason="old")
    store.put_new(tombstone_key("shapes", "v1"), grave.to_bytes())
    with pytest.raises(ConfigurationError, match="shapes@v1 was removed"), publishing(store, "shapes", "v1"):
        pytest.fail("it went on")
