"""What a version keeps: tables that come back as they were or not at all, and records that are written once."""

import hashlib
import json
import os

import polars as pl
import pytest

from cv_assets.domain.digests import bytes_digest, table_digest
from cv_assets.domain.releasing import build_commit
from cv_assets_tests.domain.tables import config, digests_of, file_row, sound_tables
from resources.object_store import ObjectStore, open_store
from resources.records import list_versions
from resources.tables import read_table, table_bytes
from resources.versions import VersionStore
from schemas.errors import CorruptObject, StoreError, VersionConflict
from schemas.releases import AssetVerdicts, Verdict
from schemas.tables import TABLES, to_frame

FRAMES = {**sound_tables(), "shards": to_frame("shards", []), "release": to_frame("release", [])}
SPLITS = FRAMES["splits"]
OTHER = SPLITS.head(5)


@pytest.fixture
def store():
    return open_store(f"memory:///{os.urandom(8).hex()}")


@pytest.fixture
def version(store):
    return VersionStore(store, "shapes", "v1")


def publish(version):
    version.publish(build_commit(config(), version.version, FRAMES, digests_of(FRAMES), checks=[], objects=[]))


@pytest.mark.parametrize("name", FRAMES)
def test_a_table_comes_back_as_it_was(version, name):
    version.save_table(name, FRAMES[name])
    found = version.load_table(name)
    assert found.equals(FRAMES[name])
    assert found.schema == FRAMES[name].schema
    TABLES[name].validate(found, lazy=True)


def test_equal_tables_are_equal_bytes_however_they_lie_in_memory():
    pieces = pl.concat([SPLITS.head(3), SPLITS.slice(3)], rechunk=False)
    assert table_bytes(pieces) == table_bytes(SPLITS)


@pytest.mark.parametrize("between", [" ", "--", ""])
def test_an_upload_that_is_named_like_the_hash_in_a_footer_spoils_no_table(version, between):
    names = [f"cv_assets.sha256{between}{hashlib.sha256(bytes([n])).hexdigest()}" for n in range(3)]
    frame = to_frame("raw_images", [file_row(name) for name in names])
    version.save_table("raw_images", frame)
    assert version.load_table("raw_images").equals(frame)


def test_a_stored_table_knows_the_digest_of_its_own_rows(version):
    for frame in (SPLITS, OTHER, SPLITS):
        version.save_table("splits", frame)
        assert version.load_stored("splits").digest == table_digest(frame)


def test_the_digest_of_a_table_that_was_read_before_is_known_by_its_name(store, version):
    version.save_table("splits", OTHER)
    assert version.load_digest("splits") == table_digest(OTHER)
    store.delete(version.find_table_key("splits"))
    assert version.load_digest("splits") == table_digest(OTHER)
    with pytest.raises(StoreError, match="materialize shapes/raw_images first"):
        version.load_digest("probes")


def test_a_whole_table_that_lies_under_the_name_of_another_is_not_taken_for_it(store, version):
    version.save_table("splits", OTHER)
    other = store.get(version.find_table_key("splits"))
    version.save_table("splits", SPLITS)
    store.put(version.find_table_key("splits"), other)
    with pytest.raises(CorruptObject, match="holds another table than its name tells"):
        version.load_table("splits")


def flips_of(data, number):
    """So many places of the data, from the first byte to the last."""
    return [(place * (len(data) - 1) // (number - 1), place % 8) for place in range(number)]


@pytest.mark.parametrize("name", ["splits", "manifest"])
def test_a_flipped_bit_is_an_error_or_changes_nothing(store, version, name):
    frame = FRAMES[name]
    version.save_table(name, frame)
    key = version.find_table_key(name)
    data = store.get(key)
    silent, odd = [], []
    for at, bit in flips_of(data, 400):
        damaged = bytearray(data)
        damaged[at] ^= 1 << bit
        store.put(key, bytes(damaged))
        try:
            found = version.load_table(name)
        except CorruptObject:
            continue
        except BaseException as error:  # noqa: BLE001 - what it should never be; a panic of polars is no Exception
            odd.append((at, bit, type(error).__name__))
        else:
            if not found.equals(frame) or found.schema != frame.schema:
                silent.append((at, bit, found.shape))
    assert silent == []
    assert odd == []


def test_a_flipped_bit_in_the_number_of_rows_is_an_error():
    data = table_bytes(SPLITS)
    fewer = []
    for at in range(len(data) - 8 - int.from_bytes(data[-8:-4], "little"), len(data) - 8):
        for bit in (3, 4):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            try:
                found = read_table(bytes(damaged))
            except CorruptObject:
                continue
            except BaseException as error:  # noqa: BLE001 - polars panics, which is no Exception
                assert "Panic" in type(error).__name__  # noqa: PT017
                continue
            fewer += [(at, bit, found.height)] if found.height != SPLITS.height else []
    assert fewer == []


@pytest.mark.parametrize("kept", [0, 1, 4, 100, -1, -4, -8])
def test_a_table_that_was_cut_off_is_an_error(store, version, kept):
    version.save_table("splits", SPLITS)
    store.put(version.find_table_key("splits"), table_bytes(SPLITS, "splits")[:kept])
    with pytest.raises(CorruptObject, match="materialize shapes/splits again"):
        version.load_table("splits")


def test_the_table_of_another_asset_in_its_place_is_an_error(store, version):
    version.save_table("splits", SPLITS)
    store.put(version.find_table_key("splits"), table_bytes(FRAMES["manifest"], "manifest"))
    with pytest.raises(CorruptObject):
        version.load_table("splits")


def test_a_table_that_was_never_written_is_said_with_what_to_do(version):
    assert version.find_table("splits") is None
    with pytest.raises(
        StoreError, match="expected table splits of shapes@v1, found none; materialize shapes/splits first"
    ):
        version.load_table("splits")


def test_a_table_of_an_open_version_may_change(version):
    version.save_table("splits", SPLITS)
    version.save_table("splits", OTHER)
    assert version.load_table("splits").equals(OTHER)


def test_a_table_that_is_written_once_may_be_written_again_with_the_same_rows_only(version):
    version.save_table("raw_images", FRAMES["raw_images"], write_once=True)
    version.save_table("raw_images", FRAMES["raw_images"], write_once=True)
    with pytest.raises(VersionConflict, match="never overwritten: use a new version name"):
        version.save_table("raw_images", FRAMES["raw_images"].head(2), write_once=True)
    assert version.load_table("raw_images").equals(FRAMES["raw_images"])


def test_a_table_that_is_written_once_tells_the_configuration_that_made_it_first(version):
    assert version.find_place("raw_images") is None
    for configuration in ("a" * 64, "b" * 64):  # the second one joins the first: equal rows, under other settings
        version.save_table("raw_images", FRAMES["raw_images"], write_once=True, made_under=configuration)
    assert version.find_place("raw_images").made_under == "a" * 64


def test_a_table_whose_object_is_gone_is_an_error_and_not_a_table_never_written(store, version):
    version.save_table("splits", SPLITS)
    store.delete(version.find_table_key("splits"))
    with pytest.raises(CorruptObject, match="found none; materialize shapes/splits again"):
        version.find_table("splits")


@pytest.mark.parametrize(
    ("table", "cure"),
    [
        ("raw_images", "begin a new version of shapes: this one can be made no more"),
        ("probes", "materialize shapes/raw_images again"),
        ("findings", "materialize shapes/quality_report again"),
        ("splits", "materialize shapes/splits again"),
    ],
)
@pytest.mark.parametrize(
    "damage", [ObjectStore.delete, lambda store, key: store.put(key, b"PAR1")], ids=["gone", "damaged"]
)
def test_a_table_that_is_lost_is_told_with_what_brings_it_back(store, version, damage, table, cure):
    version.save_table(table, to_frame(table, []))
    damage(store, version.find_table_key(table))
    with pytest.raises(CorruptObject, match=cure):
        version.find_table(table)


def test_a_table_that_a_committed_version_lost_is_brought_back_by_repair(store, version):
    committed(version)
    late = VersionStore(store, "shapes", "v1")
    store.delete(late.find_table_key("splits"))
    with pytest.raises(CorruptObject, match="mend the version with `cv-assets repair`"):
        late.load_table("splits")


def test_the_record_of_another_version_is_not_taken_for_its_own(store, version):
    committed(version)
    store.put("datasets/shapes/versions/V1/COMMIT.json", store.get(version.commit_key))
    with pytest.raises(CorruptObject, match="is the record of shapes@v1, which another one may not have"):
        VersionStore(store, "shapes", "V1").commit()


def committed(version):
    """Every table and a shard, and the commit record that names them."""
    for name, frame in FRAMES.items():
        version.save_table(name, frame)
    keys = [version.find_table_key(name) for name in FRAMES]
    objects = [version.describe_object(key, "table") for key in keys]
    shard = version.put_shard("webdataset-1", "train-000000.tar", [b"one"])
    objects.append(version.describe_object(shard, "shard"))
    version.publish(build_commit(config(), version.version, FRAMES, digests_of(FRAMES), checks=[], objects=objects))


def test_nothing_that_a_commit_record_names_may_change(store, version):
    verdicts = AssetVerdicts(asset="splits", table_digests={}, verdicts=[])
    version.save_verdicts(verdicts)
    committed(version)
    before = {key: store.get(key) for key in store.keys("datasets")}

    for name, frame in FRAMES.items():
        version.save_table(name, frame)  # the same again is no change
        with pytest.raises(VersionConflict):
            version.save_table(name, frame.with_columns(pl.all().shift(1)) if frame.height else FRAMES["manifest"])
    version.put_shard("webdataset-1", "train-000000.tar", [b"one"])
    with pytest.raises(VersionConflict):
        version.put_shard("webdataset-1", "train-000000.tar", [b"two"])
    version.save_verdicts(verdicts)
    with pytest.raises(VersionConflict, match="its verdicts stay as they were"):
        version.save_verdicts(verdicts.model_copy(update={"table_digests": {"splits": "0"}}))
    assert {key: store.get(key) for key in store.keys("datasets")} == before


def test_verdicts_that_were_committed_stay_where_a_later_release_says_them_otherwise_or_checks_more(store, version):
    verdict = {"name": "a", "asset": "splits", "passed": True, "severity": "ERROR", "blocking": True}
    said = Verdict.model_validate({**verdict, "description": "No group is torn."})
    version.save_verdicts(AssetVerdicts(asset="splits", table_digests={}, verdicts=[said]))
    committed(version)
    before = store.get("datasets/shapes/versions/v1/verdicts/splits.json")
    otherwise = said.model_copy(update={"description": "Groups stay together.", "saw": {"groups": 3}})
    more = said.model_copy(update={"name": "b", "passed": False})
    version.save_verdicts(AssetVerdicts(asset="splits", table_digests={}, verdicts=[otherwise, more]))
    failed = said.model_copy(update={"passed": False})
    with pytest.raises(VersionConflict, match="now find something else"):
        version.save_verdicts(AssetVerdicts(asset="splits", table_digests={}, verdicts=[failed, more]))
    assert store.get("datasets/shapes/versions/v1/verdicts/splits.json") == before


def test_a_late_run_of_an_open_version_cannot_change_what_another_one_has_committed_meanwhile(store):
    late, early = VersionStore(store, "shapes", "v1"), VersionStore(store, "shapes", "v1")
    assert late.commit() is None  # it has looked, and is slow from here on
    committed(early)
    late.commit = lambda: None
    late.save_table("splits", OTHER)
    late.put_shard("webdataset-2", "train-000000.tar", [b"two"])
    reader = VersionStore(store, "shapes", "v1")
    assert reader.load_table("splits").equals(SPLITS)
    for entry in reader.commit().objects:
        assert reader.describe_object(entry.key, entry.role) == entry


def test_a_commit_record_is_written_once_and_again_with_the_same_content(version):
    assert version.commit() is None
    publish(version)
    first = version.commit()
    publish(version)
    assert version.commit() == first
    others = {**FRAMES, "splits": OTHER}
    other = build_commit(config(), "v1", others, digests_of(others), checks=[], objects=[])
    with pytest.raises(VersionConflict):
        version.publish(other)


BROKEN_RECORDS = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "another record": b'{"name": "v1"}',
    "not UTF-8": b"\xff\xfe",
    "200,000 brackets": b"[" * 200_000,
}


@pytest.mark.parametrize("data", BROKEN_RECORDS.values(), ids=BROKEN_RECORDS)
def test_a_commit_record_that_cannot_be_read_is_an_error_and_not_an_open_version(store, version, data):
    store.put(version.commit_key, data)
    with pytest.raises(CorruptObject, match="restore it from a copy of the store"):
        version.commit()
    with pytest.raises(CorruptObject):
        version.save_table("splits", SPLITS)


@pytest.mark.parametrize("data", [b"{", b'{"name": "v1"}'])
def test_verdicts_that_cannot_be_read_are_an_error_of_the_store(store, version, data):
    version.save_verdicts(AssetVerdicts(asset="splits", table_digests={}, verdicts=[]))
    (key,) = store.keys("datasets")
    store.put(key, data)
    with pytest.raises(StoreError):
        version.find_verdicts("splits")


def test_a_flipped_bit_of_a_commit_record_is_an_error(store, version):
    publish(version)
    data = store.get(version.commit_key)
    for at, bit in flips_of(data, 300):
        damaged = bytearray(data)
        damaged[at] ^= 1 << bit
        store.put(version.commit_key, bytes(damaged))
        with pytest.raises(CorruptObject, match="restore it from a copy"):
            VersionStore(store, "shapes", "v1").commit()


@pytest.mark.parametrize("more", [{"extra": 2}, {"schema_version": 2}], ids=["a field", "a schema"])
def test_what_a_later_release_may_write_is_no_commit_record_of_this_one(store, version, more):
    publish(version)
    body = {**json.loads(store.get(version.commit_key)), **more}
    del body["record_sha256"]
    store.put(version.commit_key, spelled({**body, "record_sha256": bytes_digest(spelled(body))}))
    with pytest.raises(CorruptObject, match="1 validation error"):
        VersionStore(store, "shapes", "v1").commit()


def spelled(body):
    return (json.dumps(body, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


def test_versions_are_listed_committed_or_open(store):
    for name in ("v2", "v10", "v1"):
        VersionStore(store, "shapes", name).save_table("splits", SPLITS)
    VersionStore(store, "shapes_2", "v7").save_table("splits", SPLITS)
    assert list_versions(store, "shapes") == ["v1", "v10", "v2"]
    assert list_versions(store, "circles") == []
