"""The memory of rejected files in a store: written once a version, the same after a rerun, and never in a version's way."""

import os

import pytest
from pandera.errors import SchemaErrors

from cv_assets_tests.resources.made import make_version, sha256
from resources.content_store import ContentStore
from resources.object_store import open_store
from resources.refs import Refs
from resources.rejections import find_looked_at, list_rejections, remember_rejections
from resources.requeue import Requeues
from resources.versions import VersionStore
from schemas.errors import ConfigurationError, StoreError
from schemas.releases import RequeuedFile
from schemas.tables import to_frame

DAY = 86_400
NOON = 1_777_636_800  # 2026-05-01, UTC
BROKEN = b"broken"


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


def look_at(store, name, files, *, on_day=None):
    """A version that took {path: (bytes, or none if they were not read, and the reason, or none)}; what it remembers."""
    version = VersionStore(store, "shapes", name)
    rows = [row_of(store, path, *said) for path, said in files.items()]
    if version.find_table_key("raw_images") is None:
        version.save_table("raw_images", to_frame("raw_images", rows), write_once=True)
    if on_day is not None:
        when = NOON + on_day * DAY
        os.utime(store.local_path(version.find_table_key("raw_images")), (when, when))
    columns = ("path", "sha256", "size_bytes", "reason", "detail")
    refused = [{"stage": "snapshot"} | {key: row[key] for key in columns} for row in rows if row["reason"]]
    quarantine = to_frame("quarantine", refused)
    version.save_table("quarantine", quarantine)
    remember_rejections(version, quarantine)
    return version


def row_of(store, path, data, reason):
    name = None if data is None else ContentStore(store).add(data)
    said = {"reason": reason, "detail": "told" if reason else None}
    return {"path": path, "role": "image", "size_bytes": len(data or b"0123"), "sha256": name, **said}


def memory(store):
    return {key: store.get(key) for key in store.keys("datasets/shapes/rejections")}


def test_dates_and_attempts_are_those_of_the_snapshots_by_the_clock_of_the_store(store):
    for day, name in enumerate(("v1", "v2", "v10")):
        version = look_at(store, name, {"a.png": (BROKEN, "undecodable"), "b.png": (b"ok", None)}, on_day=day)
    (row,) = list_rejections(version).to_dicts()
    assert (row["path"], row["sha256"], row["reason"]) == ("a.png", sha256(BROKEN), "undecodable")
    assert (row["first_seen"], row["first_version"]) == ("2026-05-01T12:00:00.000Z", "v1")
    assert (row["last_seen"], row["last_version"]) == ("2026-05-03T12:00:00.000Z", "v10")
    assert (row["attempts"], row["state"], row["kept"], row["requeued"]) == (3, "rejected", "yes", False)


def test_every_store_keeps_it(any_store):
    for name in ("v1", "v2", "v10"):  # within one tick of a clock that counts seconds: then in the order of names
        version = look_at(any_store, name, {"a.png": (BROKEN, "undecodable")})
    (row,) = list_rejections(version).to_dicts()
    assert (row["first_version"], row["last_version"], row["attempts"]) == ("v1", "v10", 3)
    assert row["first_seen"].endswith("Z")


def test_a_rerun_counts_nothing_twice_and_writes_nothing(store, monkeypatch):
    files = {"a.png": (BROKEN, "undecodable")}
    look_at(store, "v1", files, on_day=0)
    before = memory(store)
    monkeypatch.setattr(store, "put", lambda key, _: pytest.fail(f"wrote {key}") if "rejections" in key else None)
    version = look_at(store, "v1", files, on_day=5)  # as a copy of the store has it, which kept no times
    assert memory(store) == before
    assert list_rejections(version).select("attempts", "last_seen").rows() == [(1, "2026-05-01T12:00:00.000Z")]


def test_a_verdict_that_changed_replaces_the_one_of_the_same_version(store):
    look_at(store, "v1", {"a.png": (BROKEN, "decoder-died")}, on_day=0)
    version = look_at(store, "v1", {"a.png": (BROKEN, "undecodable")}, on_day=5)
    (row,) = list_rejections(version).to_dicts()
    assert (row["reason"], row["attempts"], row["last_seen"]) == ("undecodable", 1, "2026-05-01T12:00:00.000Z")
    version = look_at(store, "v1", {"a.png": (BROKEN, None)})
    assert list_rejections(version).is_empty()


def test_a_version_that_rejects_nothing_writes_nothing(store):
    version = look_at(store, "v1", {"b.png": (b"ok", None)})
    assert memory(store) == {}
    assert list_rejections(version).is_empty()


def test_damaged_memory_is_no_memory_and_the_versions_own_table_still_tells(store):
    for name in ("v1", "v2"):
        version = look_at(store, name, {"a.png": (BROKEN, "undecodable")})
    for key, data in memory(store).items():
        store.put(key, data[:-9])
    assert list_rejections(version).select("first_version", "attempts").rows() == [("v2", 1)]
    look_at(store, "v1", {"a.png": (BROKEN, "undecodable")})  # a rerun makes it good
    assert list_rejections(version).select("first_version", "attempts").rows() == [("v1", 2)]


def test_a_version_that_was_made_before_there_was_a_memory_is_told_by_its_table(store):
    version = look_at(store, "v1", {"a.png": (BROKEN, "undecodable")})
    for key in memory(store):
        store.delete(key)
    assert list_rejections(version)["attempts"].to_list() == [1]


def test_the_memory_outlives_a_version_that_is_removed(store):
    look_at(store, "v1", {"a.png": (BROKEN, "undecodable")}, on_day=0)
    version = look_at(store, "v2", {"a.png": (BROKEN, "undecodable")}, on_day=1)
    for key in list(store.keys("datasets/shapes/versions/v1")):
        store.delete(key)
    assert list_rejections(version).select("first_version", "attempts").rows() == [("v1", 2)]


def test_what_became_of_a_file_is_said_beside_it(store):
    look_at(store, "v1", {f"{n}.png": (f"{n}".encode(), "undecodable") for n in range(4)})
    version = look_at(
        store,
        "v2",
        {"0.png": (b"0", "undecodable"), "1.png": (b"1", None), "2.png": (b"new", None), "9.png": (b"3", None)},
    )
    rows = list_rejections(version)
    assert dict(rows.select("path", "state").iter_rows()) == {
        "0.png": "rejected", "1.png": "accepted", "2.png": "replaced", "3.png": "gone",
    }  # fmt: skip
    assert rows["last_version"].to_list() == ["v2", "v1", "v1", "v1"]


def test_it_is_said_where_bytes_are_kept_and_what_waits(store):
    files = {
        "kept.png": (b"1", "undecodable"),
        "lost.png": (b"2", "undecodable"),
        "big.png": (None, "bytes-over-limit"),
    }
    version = look_at(store, "v1", files)
    store.delete(f"blobs/sha256/{sha256(b'2')[:2]}/{sha256(b'2')}")
    Requeues(store, "shapes").add([RequeuedFile(path="big.png", sha256=None, size_bytes=4)])
    rows = list_rejections(version)
    assert dict(rows.select("path", "kept").iter_rows()) == {"kept.png": "yes", "lost.png": "no", "big.png": "no"}
    assert rows.filter("requeued")["path"].to_list() == ["big.png"]


def test_bytes_that_stay_in_the_source_are_said_to_be_there(store):
    version = VersionStore(store, "shapes", "v1")
    pinned = {"path": "a.png", "role": "image", "size_bytes": 6, "sha256": sha256(BROKEN), "pin": "1:2"}
    version.save_table("raw_images", to_frame("raw_images", [pinned]), write_once=True)
    refused = {"stage": "probe", "reason": "undecodable", "detail": "told"}
    version.save_table(
        "quarantine", to_frame("quarantine", [{"path": "a.png", "sha256": sha256(BROKEN), "size_bytes": 6, **refused}])
    )
    assert list_rejections(version)["kept"].to_list() == ["source"]


def test_the_version_that_is_asked_is_the_named_one_else_the_last_that_was_looked_at(store):
    refs = Refs(store, "shapes")
    with pytest.raises(ConfigurationError, match=r"whose files were looked at, found none; make one with"):
        find_looked_at(refs, None)
    make_version(store, "v8", {"circle/a.png": b"image"})
    for name, day in (("v9", 40_000), ("v10", 40_001)):
        look_at(store, name, {"a.png": (BROKEN, "undecodable")}, on_day=day)
    VersionStore(store, "shapes", "v11").save_table("raw_images", to_frame("raw_images", []))
    assert (refs.latest(), find_looked_at(refs, None).version) == ("v8", "v10")
    look_at(store, "2024-06", {"a.png": (BROKEN, "undecodable")}, on_day=40_002)  # by name it comes first
    assert find_looked_at(refs, None).version == "2024-06"
    for name, day in (("zeta", 40_003), ("alpha", 40_004)):
        look_at(store, name, {"a.png": (BROKEN, "undecodable")}, on_day=day)
        assert find_looked_at(refs, None).version == name
    assert find_looked_at(refs, "v9").version == "v9"
    with pytest.raises(
        StoreError, match="expected table probes of shapes@v11, found none; materialize shapes/raw_images"
    ):
        list_rejections(find_looked_at(refs, "v11"))


def test_a_version_that_a_gate_stopped_before_its_quarantine_tells_what_it_rejected(store):
    version = VersionStore(store, "shapes", "v1")
    row = {"path": "a.png", "role": "image", "size_bytes": 6, "sha256": ContentStore(store).add(BROKEN)}
    version.save_table("raw_images", to_frame("raw_images", [row]), write_once=True)
    probe = {"image_id": sha256(BROKEN), "reason": "undecodable", "detail": "told"}
    version.save_table("probes", to_frame("probes", [probe]))
    found = find_looked_at(Refs(store, "shapes"), None)
    assert found.version == "v1"
    assert list_rejections(found).select("path", "reason", "state").rows() == [("a.png", "undecodable", "rejected")]


def test_what_is_no_rejection_is_not_remembered(store):
    version = look_at(store, "v1", {"b.png": (b"ok", None)})
    whim = {"path": "a.png", "size_bytes": 4, "stage": "probe", "reason": "whim", "detail": "told"}
    with pytest.raises(SchemaErrors, match="whim"):
        remember_rejections(version, to_frame("quarantine", [whim]))
    assert memory(store) == {}
