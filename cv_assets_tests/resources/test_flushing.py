"""A disk that fails a write, and what it kept of what it had taken: the kernel tells so once, at the next flush."""

import errno
import os

import pytest

from cv_assets.domain.releasing import build_commit
from cv_assets_tests.domain.tables import config, digests_of
from cv_assets_tests.resources.made import make_open, make_version, sha256, tables_of
from resources import local_disk, object_store
from resources.content_store import blob_key
from resources.object_store import open_store
from resources.versions import VersionStore
from schemas.errors import ObjectsLost, StoreError

FILES = {"a/x.png": b"one", "b/y.png": b"two"}
HASHES = {"one": sha256(b"one"), "two": sha256(b"two")}


@pytest.fixture
def store(tmp_path):
    made = open_store(str(tmp_path / "store"))
    for key in HASHES:
        made.put(key, key.encode())
    return made


@pytest.fixture
def failing(monkeypatch):
    """Flushing whole file systems fails."""

    def fail(folders):
        raise OSError(errno.EIO, "syncfs failed")

    monkeypatch.setattr(local_disk, "_can_flush_all", lambda: True)
    monkeypatch.setattr(local_disk, "_flush_file_systems", fail)


def test_a_file_system_without_hard_links_is_named_as_such(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")  # as exFAT and some shares answer

    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(StoreError, match="has no hard links, by which one of several writers is first"):
        open_store(str(tmp_path / "store")).require_create_only()
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_files_that_still_hold_what_was_written_are_written_anew_and_flushed(store, failing, monkeypatch):
    flushed, fsync = [], os.fsync
    before = {key: store.local_path(key).stat().st_ino for key in HASHES}

    def note(descriptor):
        flushed.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    store.flush(HASHES, at_once=True)
    after = {key: store.local_path(key).stat().st_ino for key in HASHES}
    assert [store.get(key) for key in HASHES] == [b"one", b"two"]
    assert all(before[key] != after[key] for key in HASHES)
    assert set(after.values()) <= set(flushed)


def test_a_file_that_holds_other_bytes_is_named_and_not_made_to_last(store, failing):
    store.local_path("two").write_bytes(b"twO")
    inode = store.local_path("two").stat().st_ino
    with pytest.raises(ObjectsLost, match="1 objects, such as two, hold other bytes") as caught:
        store.flush(HASHES, at_once=True)
    assert caught.value.keys == ["two"]
    assert store.local_path("two").stat().st_ino == inode


def test_a_file_that_cannot_be_read_any_more_is_lost_too_but_no_other_error_is_taken_for_that(
    store, failing, monkeypatch
):
    read = type(store.local_path("two")).read_bytes

    def broken(code):
        def read_bytes(path):
            if path.name == "two":
                raise OSError(code, os.strerror(code))
            return read(path)

        monkeypatch.setattr("pathlib.Path.read_bytes", read_bytes)

    broken(errno.EIO)
    with pytest.raises(ObjectsLost):
        store.flush(HASHES, at_once=True)
    broken(errno.EMFILE)
    with pytest.raises(StoreError, match="Too many open files") as caught:
        store.flush(HASHES, at_once=True)
    assert not isinstance(caught.value, ObjectsLost)


def test_a_version_whose_image_was_lost_is_not_committed_and_the_image_is_gone_for_whoever_looks(store, failing):
    version, tables = make_open(store, "v1", FILES), tables_of(FILES)
    record = build_commit(config(), "v1", tables, digests_of(tables), checks=[], objects=[])
    key = blob_key(sha256(b"two"))
    store.local_path(key).write_bytes(b"twO")
    with pytest.raises(ObjectsLost, match=key):
        version.publish(record, {blob_key(name): name for name in map(sha256, FILES.values())})
    assert VersionStore(store, "shapes", "v1").commit() is None
    # the next flush says that all is well: only its absence keeps the next run from committing what is left of it
    assert store.look(key) is None
    assert [store.get(kept) for kept in store.keys(f"lost/{key.rpartition('/')[0]}")] == [b"twO"]
    assert store.get(blob_key(sha256(b"one"))) == b"one"


def test_what_was_lost_is_removed_where_it_cannot_be_moved(store, failing):
    version, tables = make_open(store, "v1", FILES), tables_of(FILES)
    record = build_commit(config(), "v1", tables, digests_of(tables), checks=[], objects=[])
    store.local_path("lost").write_bytes(b"no folder")  # as on a full disk, nothing can be made below it
    key = blob_key(sha256(b"two"))
    store.local_path(key).write_bytes(b"twO")
    with pytest.raises(ObjectsLost, match=key):
        version.publish(record, {key: sha256(b"two")})
    assert store.look(key) is None


def test_a_run_that_comes_second_flushes_what_it_may_have_written_over_and_deletes_nothing(store, monkeypatch):
    version = make_version(store, "v1", FILES)
    named = {entry.key: entry.sha256 for entry in version.commit().objects}
    flushed = []

    def flush(hashes, *, root, at_once):
        flushed.append((dict(hashes), at_once))
        return list(named)

    monkeypatch.setattr(object_store, "flush", flush)
    with pytest.raises(ObjectsLost):
        VersionStore(store, "shapes", "v1").publish(version.commit())
    assert flushed == [(named, False)]  # of the whole file system's errors, other versions are to be told
    assert all(store.look(key) is not None for key in named)


def test_what_a_committed_version_has_no_more_is_no_failure_of_the_disk(store):
    version = make_version(store, "v1", FILES)
    store.delete(version.find_table_key("splits"))
    VersionStore(store, "shapes", "v1").flush_committed()


def test_another_run_that_committed_meanwhile_keeps_what_its_record_names(store, failing, monkeypatch):
    version = make_version(store, "v1", FILES)
    record, key = version.commit(), version.find_table_key("splits")
    late = VersionStore(store, "shapes", "v1")
    monkeypatch.setattr(late, "_is_committed_as", lambda record: False)  # it looked before
    store.local_path(key).write_bytes(b"otherwise")
    with pytest.raises(ObjectsLost, match=key):
        late.publish(record)
    assert store.look(key) is not None


def test_a_file_that_is_gone_is_said_and_nothing_is_written_anew(store, failing):
    inode = store.local_path("one").stat().st_ino
    with pytest.raises(StoreError, match="No such file"):
        store.flush({**HASHES, "three": "0"}, at_once=False)
    assert store.local_path("one").stat().st_ino == inode


def test_what_is_lost_is_told_though_the_others_cannot_be_written_anew(store, failing, monkeypatch):
    def full(path, parts, *, flushed=False):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(local_disk, "_write", full)
    with pytest.raises(StoreError, match="No space left") as caught:
        store.flush(HASHES, at_once=True)
    assert not isinstance(caught.value, ObjectsLost)
    store.local_path("two").write_bytes(b"twO")
    with pytest.raises(ObjectsLost):
        store.flush(HASHES, at_once=True)
