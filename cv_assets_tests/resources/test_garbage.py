"""What is collected and what is not: two phases, names respected, nothing touched while one record cannot be read."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from cv_assets_tests.resources.made import make_open, make_version, sha256
from resources.content_store import ContentStore, blob_key
from resources.garbage import collect_garbage, find_garbage
from resources.leases import publishing
from resources.object_store import open_store
from resources.records import tombstone_key
from resources.tables import table_bytes
from resources.versions import VersionStore
from schemas.errors import StoreError, StoreUnavailable

NOW, DAY = timedelta(0), timedelta(hours=24)
ONE, TWO, THREE = ({f"circle/{n}.png": f"image {n}".encode() * n} for n in (1, 2, 3))
LOOSE = b"an upload whose run was killed"


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


def age(store, keys, hours):
    """Make objects look as if they had been written so long ago."""
    when = (datetime.now(UTC) - timedelta(hours=hours)).timestamp()
    for key in keys:
        os.utime(store.local_path(key), (when, when))


def loose_blob(store):
    """A blob that no version names, a week old where that can be feigned."""
    key = blob_key(ContentStore(store).add(LOOSE))
    if store.is_local:
        age(store, [key], 168)
    pass_a_second(store)
    return key


def pass_a_second(store):
    """S3 tells the time by the second: what was marked in this one is no older than nothing."""
    if store.url.startswith("s3:"):
        time.sleep(1.1)


class TwoDaysAhead(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + timedelta(days=2)


def test_what_a_store_holds_is_as_old_as_its_own_clock_says(any_store, monkeypatch):
    loose = loose_blob(any_store)
    collect_garbage(any_store, grace=DAY)  # marks it
    monkeypatch.setattr("resources.object_store.datetime", TwoDaysAhead)
    waiting = [entry.key for entry in find_garbage(any_store, grace=DAY).waiting]
    assert waiting == ([] if any_store.is_local else [loose])  # a disk has no other clock than this machine's


def names(garbage):
    return [entry.key for entry in garbage.deleted]


def test_a_blob_that_no_version_names_is_marked_first_and_deleted_by_the_next_collection(any_store):
    make_version(any_store, "v1", ONE)
    make_open(any_store, "v2", TWO)
    loose = loose_blob(any_store)
    before = set(any_store.keys("datasets"))

    found = find_garbage(any_store, grace=NOW)
    assert [entry.key for entry in found.blobs] == [loose]
    assert list(any_store.keys("gc")) == []

    first = collect_garbage(any_store, grace=NOW)
    assert (names(first), [entry.key for entry in first.waiting]) == ([], [loose])
    assert any_store.look(loose) is not None
    pass_a_second(any_store)
    assert names(collect_garbage(any_store, grace=NOW)) == [loose]
    assert any_store.look(loose) is None
    assert {data for version in (ONE, TWO) for data in version.values()} == {
        any_store.get(key) for key in any_store.keys("blobs")
    }
    assert set(any_store.keys("datasets")) == before
    assert names(collect_garbage(any_store, grace=NOW)) == []
    assert list(any_store.keys("gc")) == []


def test_nothing_is_deleted_before_the_grace_time_is_over(store):
    make_version(store, "v1", ONE)
    loose = loose_blob(store)
    collect_garbage(store, grace=DAY)
    age(store, store.keys("gc/marks"), 23)
    assert [entry.key for entry in collect_garbage(store, grace=DAY).waiting] == [loose]
    age(store, store.keys("gc/marks"), 25)
    assert names(collect_garbage(store, grace=DAY)) == [loose]


def test_a_blob_that_was_written_anew_after_its_mark_waits_again(store):
    make_version(store, "v1", ONE)
    loose = loose_blob(store)
    collect_garbage(store, grace=DAY)
    age(store, store.keys("gc/marks"), 25)
    store.put(loose, LOOSE)
    age(store, [loose], 1)
    assert [entry.key for entry in collect_garbage(store, grace=DAY).waiting] == [loose]
    age(store, store.keys("gc/marks"), 23)
    assert names(collect_garbage(store, grace=DAY)) == []
    assert store.look(loose) is not None


def test_a_marked_blob_that_a_version_names_again_is_kept_and_its_mark_forgotten(store):
    make_version(store, "v1", ONE)
    loose = loose_blob(store)
    collect_garbage(store, grace=DAY)
    age(store, store.keys("gc/marks"), 25)
    with publishing(store, "shapes", "v2"):  # the same bytes come back, and the blob is taken as it is
        make_open(store, "v2", {"square/again.png": LOOSE})
    assert names(collect_garbage(store, grace=DAY)) == []
    assert store.get(loose) == LOOSE
    assert list(store.keys("gc")) == []


def test_the_grace_time_of_a_blob_begins_anew_when_it_was_needed_meanwhile_and_that_of_its_company_does_not(store):
    make_version(store, "v1", ONE)
    loose, other = loose_blob(store), blob_key(ContentStore(store).add(b"another"))
    age(store, [other], 168)
    collect_garbage(store, grace=DAY)
    age(store, store.keys("gc/marks"), 20)
    with publishing(store, "shapes", "v2"):
        made = make_open(store, "v2", {"square/again.png": LOOSE})
    collect_garbage(store, grace=DAY)
    for key in store.keys("datasets/shapes/versions/v2"):
        store.delete(key)
    assert made.commit() is None
    due = find_garbage(store, grace=timedelta(hours=19))
    assert {entry.key for entry in due.blobs} == {loose, other}
    assert [entry.key for entry in due.waiting] == [loose]


def test_a_mark_that_does_not_say_when_it_was_made_is_as_old_as_its_object(store):
    loose = loose_blob(store)
    store.put("gc/marks/older.parquet", table_bytes(pl.DataFrame({"key": [loose]}), "marks"))
    age(store, ["gc/marks/older.parquet"], 23)
    assert names(collect_garbage(store, grace=DAY)) == []
    age(store, ["gc/marks/older.parquet"], 25)
    assert names(collect_garbage(store, grace=DAY)) == [loose]


def test_marks_that_are_damaged_count_as_never_made_and_are_made_again(store):
    loose = loose_blob(store)
    store.put("gc/marks/damaged.parquet", b"")
    assert names(collect_garbage(store, grace=DAY)) == []
    (marks,) = store.keys("gc/marks")
    assert marks != "gc/marks/damaged.parquet"
    age(store, [loose], 168)
    assert names(collect_garbage(store, grace=NOW)) == [loose]


def test_no_collection_begins_while_a_snapshot_is_taken(store):
    make_version(store, "v1", ONE)
    loose = loose_blob(store)
    collect_garbage(store, grace=NOW)
    with publishing(store, "shapes", "v2"):
        assert ContentStore(store).add(LOOSE) in loose  # looked up, found, and not written again
        with pytest.raises(StoreUnavailable, match="publishing shapes@v2 is under way"):
            collect_garbage(store, grace=NOW)
        make_open(store, "v2", {"square/again.png": LOOSE})
    assert names(collect_garbage(store, grace=NOW)) == []
    assert store.get(loose) == LOOSE


def cut_off(data):
    return data[:-9]


def altered(data):
    return data[:40] + bytes([data[40] ^ 4]) + data[41:]


UNREADABLE = {
    "a commit record that is cut off": (lambda version: version.commit_key, cut_off),
    "a commit record with a flipped bit": (lambda version: version.commit_key, altered),
    "a table that is cut off": (lambda version: version.find_table_key("raw_images"), cut_off),
    "a table with a flipped bit": (lambda version: version.find_table_key("raw_images"), altered),
    "a table that is gone": (lambda version: version.find_table_key("raw_images"), None),
    "a tombstone of nothing": (lambda version: tombstone_key("shapes", version.version), lambda _: b""),
}


@pytest.mark.parametrize(("which", "damage"), UNREADABLE.values(), ids=UNREADABLE)
def test_one_record_that_cannot_be_read_stops_everything(store, which, damage):
    for name, files in (("v1", ONE), ("v2", TWO), ("v3", THREE)):
        make_version(store, name, files)
    loose_blob(store)
    collect_garbage(store, grace=NOW)
    key = which(VersionStore(store, "shapes", "v2"))
    store.delete(key) if damage is None else store.put(key, damage(store.find(key)))
    before = list(store.keys("blobs")) + list(store.keys("datasets"))
    for collect in (find_garbage, collect_garbage):
        with pytest.raises(StoreError, match=r"cannot tell which blobs shapes@v2 needs, so nothing was deleted"):
            collect(store, grace=NOW, keep_last=1)
    assert list(store.keys("blobs")) + list(store.keys("datasets")) == before


def test_a_version_whose_folder_was_renamed_stops_everything(store):
    version = make_version(store, "v1", ONE)
    folder = store.local_path(version.prefix)
    folder.rename(folder.with_name("v1 (old)"))
    with pytest.raises(StoreError, match=r"cannot tell which blobs shapes@v1 \(old\) needs, so nothing was deleted"):
        collect_garbage(store, grace=NOW)


def test_tables_without_the_snapshot_that_they_were_made_from_stop_everything(store):
    version = make_open(store, "v1", ONE)
    version.save_table(
        "splits", version.load_table("raw_images").select(image_id="sha256", split="role", unit="sha256")
    )
    store.delete("datasets/shapes/versions/v1/tables/raw_images.json")
    with pytest.raises(StoreError, match=r"has tables \(splits\), but no table raw_images"):
        collect_garbage(store, grace=NOW)


def test_temporary_files_of_killed_writers_go_once_they_are_old_and_no_others(store):
    make_version(store, "v1", ONE)
    root = store.local_path("x").parent
    old = [root / "blobs" / "sha256" / "ab#1", root / "datasets" / f".COMMIT.json.{'0' * 16}.tmp"]
    for path in old:
        path.write_bytes(b"half")
        os.utime(path, (0, 0))
    # uploads may lie below the store's folder
    young, others = root / "blobs" / "young#2", [root / "notes.tmp", root / "parts" / "scan#12", root / "scan#13"]
    (root / "parts").mkdir()
    for path in (young, *others):
        path.write_bytes(b"half")
    for path in others:
        os.utime(path, (0, 0))
    assert sorted(entry.key for entry in find_garbage(store, grace=NOW).leftovers) == sorted(
        path.relative_to(root).as_posix() for path in old
    )
    collect_garbage(store, grace=NOW)
    assert [path.exists() for path in (*old, young, *others)] == [False, False, True, True, True, True]


def test_a_temporary_file_that_is_renamed_during_the_look_is_passed_over(store, monkeypatch):
    make_version(store, "v1", ONE)

    def walk_then_rename(root, walk=os.walk):
        for folder, folders, files in walk(root):
            yield folder, folders, [*files, f".{'0' * 64}.{'0' * 16}.tmp"]  # was there when the folder was read

    monkeypatch.setattr(os, "walk", walk_then_rename)
    assert find_garbage(store, grace=NOW).leftovers == []


def test_publishers_and_collectors_at_once_never_lose_an_image(store):
    images = [f"image {number}".encode() for number in range(30)]
    for data in images:
        ContentStore(store).add(data)
    age(store, store.keys("blobs"), 168)
    collect_garbage(store, grace=NOW)  # all are marked: the next collection would delete every one
    deleted = []

    def publish(mine):
        for number in mine:
            while True:
                try:
                    with publishing(store, "shapes", f"v{number}"):
                        make_open(store, f"v{number}", {"circle/a.png": images[number]})
                    break
                except StoreUnavailable:
                    time.sleep(0.001)
            time.sleep(0.05)  # between two versions a collector gets its turn

    def collect(publishers):
        while not all(publisher.done() for publisher in publishers):
            try:
                deleted.extend(names(collect_garbage(store, grace=NOW)))
            except StoreUnavailable:
                time.sleep(0.001)

    with ThreadPoolExecutor(3) as pool:
        publishers = [pool.submit(publish, range(first, 30, 2)) for first in (0, 1)]
        pool.submit(collect, publishers).result(timeout=120)
        for publisher in publishers:
            publisher.result()
    assert deleted, "no collection got its turn: the test has tried nothing"
    for number, data in enumerate(images):
        assert VersionStore(store, "shapes", f"v{number}").find_table("raw_images")["sha256"].to_list() == [
            sha256(data)
        ]
        assert store.get(blob_key(sha256(data))) == data
