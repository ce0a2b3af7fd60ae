"""Old versions are removed whole or not at all, whoever names one meanwhile and wherever the collector ends."""

import shutil
from datetime import timedelta

import pytest

from cv_assets_tests.resources.made import make_open, make_version, sha256
from resources.content_store import ContentStore, blob_key
from resources.garbage import collect_garbage, find_garbage
from resources.object_store import open_store
from resources.records import tombstone_key
from resources.refs import Refs
from resources.versions import VersionStore
from schemas.errors import ConfigurationError
from schemas.releases import Tombstone

NOW = timedelta(0)


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


def five_versions(store):
    for number in range(1, 6):
        make_version(store, f"v{number}", {f"circle/{number}.png": b"image" * number, "circle/all.png": b"shared"})
    return Refs(store, "shapes")


def test_versions_that_are_old_and_unnamed_are_removed_and_their_blobs_follow(store):
    five_versions(store).tag("production", "v2")
    before = {key: store.get(key) for key in store.keys("datasets/shapes/versions/v5")}

    planned = find_garbage(store, grace=NOW, keep_last=2)
    assert [one.version for one in planned.versions] == ["v3", "v1"]
    assert len(planned.blobs) == 2
    assert collect_garbage(store, grace=NOW, keep_last=2).to_json()["versions"] == ["shapes@v3", "shapes@v1"]
    assert list(store.keys("datasets/shapes/versions/v1")) == [tombstone_key("shapes", "v1")]
    assert VersionStore(store, "shapes", "v1").commit() is None
    assert len(collect_garbage(store, grace=NOW, keep_last=2).deleted) == 2
    kept = {blob_key(sha256(data)) for data in (b"shared", *(b"image" * number for number in (2, 4, 5)))}
    assert set(store.keys("blobs")) == kept
    assert {key: store.get(key) for key in store.keys("datasets/shapes/versions/v5")} == before
    with pytest.raises(ConfigurationError, match="v1 was removed"):
        Refs(store, "shapes").resolve("v1")


def test_latest_tagged_pinned_and_open_versions_are_never_removed(store):
    refs = five_versions(store)
    refs.tag("production", "v2")
    refs.pin("v3", "the paper's numbers")
    refs.move_latest("v1", "the others are blurred")
    make_open(store, "v0", {"circle/0.png": b"0"})
    assert [one.version for one in find_garbage(store, grace=NOW, keep_last=1).versions] == ["v4"]
    refs.unpin("v3")
    assert [one.version for one in find_garbage(store, grace=NOW, keep_last=1).versions] == ["v4", "v3"]


def test_age_is_the_order_of_commits_and_not_of_names(store):
    for name in ("v9", "b", "v1", "a"):
        make_version(store, name, {f"circle/{name}.png": name.encode()})
    assert [one.version for one in find_garbage(store, grace=NOW, keep_last=2).versions] == ["b", "v9"]


def test_a_rollback_makes_no_version_younger(store):
    refs = five_versions(store)
    refs.move_latest("v1", "the others are blurred")
    make_version(store, "v6", {"circle/6.png": b"6"})
    assert [one.version for one in find_garbage(store, grace=NOW, keep_last=2).versions] == ["v4", "v3", "v2", "v1"]


def test_a_version_whose_commit_was_not_recorded_in_the_log_is_kept(store):
    five_versions(store)
    for key in list(store.keys("datasets/shapes/refs")):
        store.delete(key)
    assert find_garbage(store, grace=NOW, keep_last=1).versions == []


def test_keep_last_needs_a_version_to_keep(store):
    with pytest.raises(ConfigurationError, match="--keep-last: expected at least 1, found 0"):
        find_garbage(store, grace=NOW, keep_last=0)


class Killed(BaseException):
    """The process ends here."""


def test_a_collection_that_is_killed_at_any_deletion_loses_nothing_and_is_finished_by_the_next(tmp_path, monkeypatch):
    made = open_store(str(tmp_path / "made"))
    five_versions(made)
    ContentStore(made).add(b"an upload whose run was killed")
    collect_garbage(made, grace=NOW)
    deleted = 0
    for stop in range(1, 200):
        shutil.copytree(tmp_path / "made", tmp_path / str(stop))  # with their times
        store = open_store(str(tmp_path / str(stop)))
        with monkeypatch.context() as patch:
            killed = kill_at_deletion(store, stop, patch)
        again = collect_garbage(open_store(str(tmp_path / str(stop))), grace=NOW, keep_last=3)
        collect_garbage(store, grace=NOW, keep_last=3)
        left = {key.split("/")[3] for key in store.keys("datasets/shapes/versions") if "TOMBSTONE" not in key}
        assert left == {"v3", "v4", "v5"}
        assert all(VersionStore(store, "shapes", version).commit() for version in left)
        kept = {blob_key(sha256(data)) for data in (b"shared", *(b"image" * number for number in (3, 4, 5)))}
        assert set(store.keys("blobs")) == kept
        deleted += len(again.deleted)
        if not killed:
            break
    assert stop > 20
    assert deleted > 20


def kill_at_deletion(store, stop, patch):
    """Collect, with an end at so many deletions; was it reached?"""
    delete, done = store.delete, []

    def delete_or_end(key):
        if not key.startswith("gc/deleting"):  # what a kill leaves there is tried in test_leases.py
            done.append(key)
            if len(done) == stop:
                raise Killed
        delete(key)

    patch.setattr(store, "delete", delete_or_end)
    try:
        collect_garbage(store, grace=NOW, keep_last=3)
    except Killed:
        return True
    return False


def test_a_version_that_is_named_while_it_is_being_removed_stays(store, monkeypatch):
    refs = five_versions(store)
    put_new = store.put_new

    def pin_first(key, data):
        if key == tombstone_key("shapes", "v1"):
            refs.pin("v1", "somebody needs it")
        put_new(key, data)

    monkeypatch.setattr(store, "put_new", pin_first)
    assert [one.version for one in collect_garbage(store, grace=NOW, keep_last=3).versions] == ["v2"]
    assert VersionStore(store, "shapes", "v1").commit() is not None
    assert refs.resolve("v1") == "v1"


def test_a_tag_that_is_moved_to_a_version_that_is_being_removed_stays_where_it_was(store, monkeypatch):
    refs = five_versions(store)
    refs.tag("production", "v1")
    put, removed = refs._put, Tombstone(dataset="shapes", version="v2", digest="0" * 64, reason="old")

    def put_too_late(key, data):
        store.put_new(tombstone_key("shapes", "v2"), removed.to_bytes())  # the collector looked at names before
        put(key, data)

    monkeypatch.setattr(refs, "_put", put_too_late)
    with pytest.raises(ConfigurationError, match="v2 was removed"):
        refs.tag("production", "v2", move=True)
    assert refs.tags() == {"production": "v1"}  # or the next collection would remove that, too


def test_a_version_that_is_named_when_it_is_half_removed_is_removed_whole(store, monkeypatch):
    refs = five_versions(store)
    with monkeypatch.context() as patch:
        assert kill_at_deletion(store, 3, patch)
    half = next(version for version in ("v1", "v2") if not VersionStore(store, "shapes", version).commit())
    monkeypatch.setattr(refs, "_is_removed", lambda version: False)  # it looked before the tombstone was written
    monkeypatch.setattr(refs, "_require_committed", lambda version: None)
    refs.pin(half, "somebody needs it")
    collect_garbage(store, grace=NOW, keep_last=3)
    assert [key.rsplit("/", 1)[-1] for key in store.keys(f"datasets/shapes/versions/{half}")] == ["TOMBSTONE.json"]
