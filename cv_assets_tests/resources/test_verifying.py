"""Every way in which an object can differ from what its version says is found and named; nothing sound is accused."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from cv_assets.domain.digests import bytes_digest
from cv_assets_tests.conftest import write_files
from cv_assets_tests.resources.made import make_open, make_version, sha256
from resources import reading_back, verifying
from resources.content_store import PinnedContent, blob_key
from resources.inspecting import Inspection, Scope
from resources.listing import stamp_of
from resources.object_store import open_store
from resources.tables import table_bytes, table_file
from resources.verifying import verify_version
from resources.versions import VersionStore
from schemas.errors import ConfigurationError, StoreError, StoreUnavailable
from schemas.releases import BuildRecord, ObjectEntry, Record

FILES = {f"circle/{n}.png": f"image {n}".encode() * (n + 1) for n in range(8)}


@pytest.fixture
def version(tmp_path):
    return make_version(open_store(str(tmp_path / "store")), "v1", FILES)


def look(version, **more):
    """A look without a process of its own, which is quicker; and as a record of problems by key."""
    seen = Inspection(VersionStore(version.store, "shapes", "v1"), Scope(**more), lambda _: None).run()
    return {one.key: (one.role, one.problem) for one in seen.problems}


def objects(version):
    """One object of each role: role → key."""
    found = {entry.role: entry.key for entry in version.commit().objects}
    return {**found, "blob": blob_key(sha256(FILES["circle/3.png"]))}


def test_a_sound_version_has_no_problem_wherever_it_lies(any_store):
    made = make_version(any_store, "v1", FILES)
    quick, whole = verify_version(made), verify_version(made, read_data=True)
    assert (quick.passed, whole.passed) == (True, True)
    assert quick.objects == whole.objects == 1 + 7 + 1 + 8  # the record, tables, a shard, blobs
    assert whole.read == whole.objects - 1
    assert whole.read_again == 0


def test_pinned_files_that_are_gone_or_changed_in_the_source_are_told_without_reading_them(tmp_path):
    source = tmp_path / "uploads"
    write_files(source, FILES.items())
    pins = {path: stamp_of((source / path).stat()) for path in FILES}
    made = make_version(open_store(str(tmp_path / "store")), "v1", FILES, source=str(source), pins=pins)
    assert verify_version(made).passed
    assert verify_version(made).objects == 1 + 7 + 1 + 8
    gone, long = (source / f"circle/{n}.png" for n in (1, 3))
    gone.unlink()
    times = long.stat()
    with long.open("ab") as out:
        out.write(b"!")
    os.utime(long, ns=(times.st_atime_ns, times.st_mtime_ns))
    told = {"circle/3.png": ("source", "altered"), "circle/1.png": ("source", "missing")}
    for scope in ({"read_data": False}, {"read_data": True}):
        assert look(made, **scope) == told


def test_every_byte_that_is_read_counts_though_threads_read_at_once(tmp_path, monkeypatch):
    files = {f"circle/{n}.png": bytes([n]) * 100 for n in range(100)}
    write_files(tmp_path / "uploads", files.items())
    pins = {path: stamp_of((tmp_path / "uploads" / path).stat()) for path in files}
    store = open_store(str(tmp_path / "store"))
    made = make_version(store, "v1", files, source=str(tmp_path / "uploads"), pins=pins)
    few = Inspection(made, Scope(read_data=False), lambda _: None).run()
    read = PinnedContent.read_file
    monkeypatch.setattr(PinnedContent, "read_file", lambda self, file: (time.sleep(0.002), read(self, file))[1])
    every = Inspection(made, Scope(read_data=True), lambda _: None).run()
    shards = sum(entry.size_bytes for entry in made.commit().objects if entry.role != "table")
    assert every.read - few.read == 1 + 100
    assert every.read_bytes - few.read_bytes == shards + 100 * 100


@pytest.mark.parametrize("keys_a_request", [1_000, 0], ids=["listed", "among far more of other versions"])
def test_many_objects_of_a_remote_store_are_looked_up_by_listing(any_store, monkeypatch, keys_a_request):
    make_version(any_store, "v1", FILES)
    gone, short = (blob_key(sha256(FILES[f"circle/{n}.png"])) for n in (2, 5))
    any_store.delete(gone)
    any_store.put(short, b"a")
    monkeypatch.setattr(reading_back, "LISTED_FROM", 1)
    monkeypatch.setattr(reading_back, "KEYS_A_REQUEST", keys_a_request)
    found = look(VersionStore(any_store, "shapes", "v1"), read_data=False)
    assert found == {gone: ("blob", "missing"), short: ("blob", "short")}


def test_an_open_version_is_refused_with_what_to_do(version):
    with pytest.raises(ConfigurationError, match="finish it with `cv-assets run shapes --version v2`"):
        verify_version(make_open(version.store, "v2", FILES))


@pytest.mark.parametrize("sample", [0, -0.1, 1.1, float("nan")])
def test_a_sample_that_is_no_share_is_refused(version, sample):
    with pytest.raises(ConfigurationError, match="expected a sample above 0 and at most 1"):
        verify_version(version, read_data=True, sample=sample)
    with pytest.raises(ConfigurationError, match="expected --read-data with --sample"):
        verify_version(version, sample=0.5)


def flipped(data):
    return data[:20] + bytes([data[20] ^ 1]) + data[21:]


# what is done to an object → the problem that is told, without reading the data and with it
DAMAGES = {
    "gone": (None, "missing", "missing"),
    "empty": (lambda _: b"", "short", "short"),
    "cut off": (lambda data: data[:-7], "short", "short"),
    "garbage at the end": (lambda data: data + b"!", "long", "long"),
    "a bit flipped": (flipped, None, "altered"),
    "zeroes in the middle": (lambda data: data[:16] + bytes(4) + data[20:], None, "altered"),
}


@pytest.mark.parametrize("role", ["table", "shard", "blob"])
@pytest.mark.parametrize(("damage", "quick", "whole"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found_and_named(version, role, damage, quick, whole):
    store, key = version.store, objects(version)[role]
    before = store.get(key)
    if damage is None:
        store.delete(key)
    else:
        assert damage(before) != before
        store.put(key, damage(before))
    expected = quick or ("altered" if role == "table" else None)  # tables are always read
    assert look(version, read_data=False) == ({key: (role, expected)} if expected else {})
    assert look(version, read_data=True) == {key: (role, whole)}


def test_valid_bytes_under_the_name_of_another_are_misplaced(version):
    store = version.store
    one, other = (blob_key(sha256(FILES[f"circle/{n}.png"])) for n in (2, 5))
    first, second = store.get(one), store.get(other)
    store.put(one, second)
    store.put(other, first)
    assert look(version, read_data=False) == {one: ("blob", "long"), other: ("blob", "short")}
    found = verify_version(version, read_data=True).problems
    assert {problem.key: problem.problem for problem in found} == {one: "misplaced", other: "misplaced"}
    assert {problem.found for problem in found} == {f"the bytes of {one}", f"the bytes of {other}"}


def test_a_table_that_holds_another_one_is_misplaced_though_its_hash_is_right(version):
    def swap(body):
        (splits,) = (entry for entry in body["objects"] if "/splits-" in entry["key"])
        data = version.store.get(version.find_table_key("manifest"))
        version.store.put(splits["key"], data)
        splits |= {"size_bytes": len(data), "sha256": bytes_digest(data)}

    key = version.find_table_key("splits")
    forge(version, swap)
    assert look(version, read_data=False) == {key: ("table", "misplaced")}


def test_a_table_with_other_rows_than_the_record_says_is_altered_though_its_hash_is_right(version):
    key = put_other_splits(version, lambda sha256: table_file("splits", sha256))
    assert look(version, read_data=False) == {key: ("table", "altered")}


def test_a_table_that_lies_under_the_name_of_other_content_is_misplaced(version):
    key = put_other_splits(version, lambda _: table_file("splits", "0" * 64))
    assert look(version, read_data=False) == {key: ("table", "misplaced")}


def put_other_splits(version, name):
    """Let the record name a table of other rows, whose file is named by what `name` makes of its hash; returns its key."""
    data = table_bytes(version.load_table("splits").head(3), "splits")
    sha256, folder = bytes_digest(data), version.find_table_key("splits").rpartition("/")[0]
    key = f"{folder}/{name(sha256)}"

    def change(body):
        (splits,) = (entry for entry in body["objects"] if "/splits-" in entry["key"])
        splits |= {"key": key, "size_bytes": len(data), "sha256": sha256}

    version.store.put(key, data)
    forge(version, change)
    return key


class Forged(Record, extra="allow"):
    """A record of any fields."""


def forge(version, change):
    """Write a commit record that a program might write: its own hash is right."""
    body = version.commit().model_dump(mode="json")
    change(body)
    version.store.put(version.commit_key, Forged(**body).to_bytes())


ODD_KEYS = (
    "../../secrets",
    "/etc/passwd",
    "datasets/shapes/versions/v2/tables/x",
    "datasets/shapes/versions/v1/../../x",
)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_outside_of_the_version_is_told_and_never_opened(version, key):
    entry = ObjectEntry(key=key, size_bytes=3, sha256="0" * 64, role="shard")
    forge(version, lambda body: body["objects"].append(entry.model_dump()))
    assert look(version, read_data=True) == {key: ("shard", "misplaced")}


def test_a_record_without_one_of_its_tables_is_short(version):
    forge(version, lambda body: body.update(objects=[one for one in body["objects"] if "/splits-" not in one["key"]]))
    assert look(version, read_data=False) == {version.commit_key: ("record", "short")}


@pytest.mark.parametrize("said", [{"key": "x"}, {"bytes": 1}, {"sha256": "0" * 64}], ids=["key", "bytes", "sha256"])
def test_a_shard_that_a_record_does_not_name_among_its_objects_is_told(version, said):
    forge(version, lambda body: body["shards"][0].update(said))
    assert look(version, read_data=True) == {version.commit_key: ("record", "altered")}


def test_the_record_of_another_version_is_misplaced(version):
    version.store.put(version.commit_key, make_version(version.store, "v2", FILES).store.get(version.commit_key))
    other = VersionStore(version.store, "shapes", "v2").commit_key
    version.store.put(version.commit_key, version.store.get(other))
    assert look(version, read_data=False) == {version.commit_key: ("record", "misplaced")}


@pytest.mark.parametrize("damage", [lambda data: data[:-9], flipped, lambda _: b"", lambda _: b"[" * 100_000])
def test_a_damaged_record_is_a_finding(version, damage):
    version.store.put(version.commit_key, damage(version.store.get(version.commit_key)))
    assert look(version, read_data=False) == {version.commit_key: ("record", "altered")}
    assert not verify_version(VersionStore(version.store, "shapes", "v1")).passed


@pytest.mark.parametrize("configuration", [{}, {"source": None}, {"source": {}}, {"source": {"url": 7}}], ids=str)
def test_a_record_that_names_no_source_is_altered_though_its_hash_is_right(version, configuration):
    forge(version, lambda body: body.update(configuration=configuration))
    assert look(version, read_data=True) == {version.commit_key: ("record", "altered")}


def test_another_packing_that_was_recorded_later_is_looked_at_too(version):
    key = version.put_shard("webdataset-1", "train-000000.tar", [b"packed otherwise"])
    entry = ObjectEntry(key=key, size_bytes=16, sha256=bytes_digest(b"packed otherwise"), role="shard")
    build = BuildRecord(build="webdataset-1", digest="0", configuration={}, shards=[], objects=[entry])
    version.save_build(build)
    assert look(version, read_data=True) == {}
    version.store.put(key, b"packed Otherwise")
    assert look(version, read_data=True) == {key: ("shard", "altered")}
    place = "datasets/shapes/versions/v1/builds/webdataset-1.json"
    version.store.put(place, version.store.get(place)[:-3])
    assert look(version, read_data=True) == {place: ("record", "altered")}


def test_a_sample_reads_some_of_the_data_and_seeds_in_a_row_read_all_of_it(version):
    key = objects(version)["blob"]
    version.store.put(key, flipped(version.store.get(key)))
    found = [look(version, read_data=True, sample=0.25, seed=seed) for seed in range(4)]
    assert [one for one in found if one] == [{key: ("blob", "altered")}]


def test_what_is_sound_at_the_second_look_is_no_problem(version, monkeypatch):
    key = objects(version)["blob"]
    find, calls = version.store.find, []

    def garbled_once(asked):
        data = find(asked)
        if asked == key:
            calls.append(key)
            if len(calls) == 1:
                return flipped(data)
        return data

    monkeypatch.setattr(version.store, "find", garbled_once)
    seen = Inspection(version, Scope(read_data=True), lambda _: None).run()
    assert (seen.problems, seen.read_again, len(calls)) == ([], 1, 2)


def test_an_object_that_cannot_be_read_is_told_and_the_others_are_still_looked_at(version, monkeypatch):
    one, other = objects(version)["blob"], objects(version)["shard"]
    find = version.store.find

    def failing(key):
        if key == one:
            raise StoreError("cannot read it: Input/output error")
        return find(key)

    version.store.put(other, flipped(version.store.get(other)))
    monkeypatch.setattr(version.store, "find", failing)
    seen = Inspection(version, Scope(read_data=True), lambda _: None).run()
    assert {problem.key: problem.problem for problem in seen.problems} == {one: "unreadable", other: "altered"}


def test_a_store_that_does_not_answer_is_an_error_and_no_finding(version, monkeypatch):
    def silent(_):
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(version.store, "find", silent)
    with pytest.raises(StoreUnavailable):
        Inspection(version, Scope(read_data=True), lambda _: None).run()


def dying(monkeypatch, *, tables="", blobs=""):
    program = Path(__file__).with_name("dying_inspector.py")
    monkeypatch.setattr(verifying, "COMMAND", (sys.executable, str(program), tables, blobs))
    monkeypatch.setenv("PYTHONPATH", str(program.parents[2]))


def test_a_parser_that_ends_the_process_is_a_finding_about_its_table(version, monkeypatch):
    keys = {version.find_table_key("splits"), version.find_table_key("quality_report")}
    damaged = objects(version)["blob"]
    version.store.put(damaged, flipped(version.store.get(damaged)))
    dying(monkeypatch, tables="splits,quality_report")
    found = verify_version(version, read_data=True)
    assert {one.key: (one.role, one.problem) for one in found.problems} == {
        **dict.fromkeys(keys, ("table", "unreadable")),
        damaged: ("blob", "altered"),
    }
    assert "ended the process by signal 11" in next(one.found for one in found.problems if one.key in keys)


def test_a_death_among_many_reads_is_traced_to_its_object(version, monkeypatch):
    key = objects(version)["blob"]
    dying(monkeypatch, blobs=key.rsplit("/", 1)[-1])
    (found,) = verify_version(version, read_data=True).problems
    assert (found.key, found.role, found.problem) == (key, "blob", "unreadable")
    assert "signal 7" in found.found


def test_a_fault_of_our_own_in_the_process_keeps_its_traceback(version, monkeypatch):
    monkeypatch.setattr(verifying, "COMMAND", (sys.executable, "-c", "raise KeyError('ours')"))
    with pytest.raises(RuntimeError, match=r"ended with status 1:(.|\n)*KeyError: 'ours'"):
        verify_version(version)


def test_an_error_in_the_process_is_the_same_error_here(version, monkeypatch):
    said = json.dumps({"error": "StoreRefused", "message": "the credentials have expired"})
    monkeypatch.setattr(verifying, "COMMAND", (sys.executable, "-c", f"print({said!r})"))
    with pytest.raises(StoreError, match="the credentials have expired"):
        verify_version(version)
