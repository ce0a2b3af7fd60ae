"""What is wrong comes back from where it can be proved; what cannot be proved is left and told; nothing is thrown away."""

import os

import pytest

from cv_assets_tests.conftest import write_files
from cv_assets_tests.domain.tables import config
from cv_assets_tests.resources.made import make_open, make_version, sha256
from resources.content_store import blob_key
from resources.object_store import open_store
from resources.repairing import open_copy, repair_version
from resources.verifying import verify_version
from resources.versions import VersionStore
from schemas.errors import ConfigurationError, StoreError, StoreUnavailable
from schemas.releases import BuildRecord, CommitRecord

FILES = {f"circle/{n}.png": f"image {n}".encode() * (n + 1) for n in range(6)}
BLOB = blob_key(sha256(FILES["circle/3.png"]))


@pytest.fixture
def store():
    """In memory, where a look at a version needs no process of its own."""
    made = open_store(f"memory:///{os.urandom(8).hex()}")
    make_version(made, "v1", FILES)
    return made


@pytest.fixture
def copy(store):
    return copied(store, open_store(f"memory:///{os.urandom(8).hex()}"))


def copied(store, other):
    for key, data in everything(store).items():
        other.put(key, data)
    return other


@pytest.fixture
def dataset(tmp_path):
    write_files(tmp_path / "uploads", FILES.items())
    return config(source={"url": str(tmp_path / "uploads")})


def version(store):
    return VersionStore(store, "shapes", "v1")


def everything(store):
    return {key: store.get(key) for prefix in ("blobs", "datasets") for key in store.keys(prefix)}


def damage_all(store):
    """Every object that the version names, and the commit record, is altered; the bytes that are there now."""
    keys = [version(store).commit_key, *(entry.key for entry in version(store).commit().objects)]
    damaged = {key: b"!" + store.get(key)[1:] for key in [*keys, *store.keys("blobs")]}
    for key, data in damaged.items():
        store.put(key, data)
    return damaged


def test_a_sound_version_needs_no_repair(store, copy):
    before = everything(store)
    report = repair_version(version(store), copies=[copy])
    assert (report.repaired, report.remaining) == ([], [])
    assert everything(store) == before


def test_everything_comes_back_from_a_copy_and_what_it_replaced_is_kept(store, copy):
    before = everything(store)
    damaged = damage_all(store)
    report = repair_version(version(store), copies=[copy])
    assert report.remaining == []
    assert {one.key for one in report.repaired} == set(damaged)
    assert everything(store) == before
    for one in report.repaired:
        assert one.origin == copy.url
        assert one.kept_as == f"lost/{one.key}.{sha256(damaged[one.key])}"
        assert store.get(one.kept_as) == damaged[one.key]
    assert verify_version(version(store), read_data=True).passed


@pytest.mark.parametrize("key", ["the record", "raw_images", "splits", "shard", "blob"])
def test_an_object_that_is_gone_comes_back_from_a_copy(store, copy, key):
    names = {"the record": version(store).commit_key, "blob": BLOB}
    names |= {entry.key.rsplit("/")[-1].split("-")[0]: entry.key for entry in version(store).commit().objects}
    names["shard"] = names["train"]
    before = everything(store)
    store.delete(names[key])
    (repaired,) = repair_version(version(store), copies=[copy]).repaired
    assert (repaired.key, repaired.kept_as) == (names[key], None)
    assert everything(store) == before


def test_the_record_comes_back_though_a_table_is_gone_with_it(store, copy):
    before = everything(store)
    splits = next(entry.key for entry in version(store).commit().objects if "/splits-" in entry.key)
    store.delete(splits)
    store.put(version(store).commit_key, b"cut")
    report = repair_version(version(store), copies=[copy])
    assert report.remaining == []
    assert {one.key for one in report.repaired} == {splits, version(store).commit_key}
    assert everything(store) == before


def test_a_record_with_other_rows_for_a_table_that_is_gone_is_not_taken(store, copy):
    body = version(copy).commit().model_dump(mode="json")
    (splits,) = (entry for entry in body["objects"] if "/splits-" in entry["key"])
    ours = splits["key"]
    splits["sha256"] = "0" * 64
    splits["key"] = f"{ours.rpartition('-')[0]}-{'0' * 16}.parquet"
    copy.put(version(copy).commit_key, CommitRecord.model_validate(body).to_bytes())
    store.delete(ours)
    store.put(version(store).commit_key, b"cut")
    assert repair_version(version(store), copies=[copy]).repaired == []
    assert store.get(version(store).commit_key) == b"cut"


def test_a_store_on_disk_is_repaired_from_another_on_disk(tmp_path, store):
    one, other = (copied(store, open_store(str(tmp_path / name))) for name in ("one", "other"))
    before = everything(one)
    damage_all(one)
    assert repair_version(version(one), copies=[other]).remaining == []
    assert everything(one) == before


def test_a_copy_with_the_same_damage_is_passed_over_for_a_sound_one(tmp_path, store, copy):
    sound = open_store(str(tmp_path / "sound"))
    sound.put(BLOB, copy.get(BLOB))
    for place in (store, copy):
        place.put(BLOB, b"rotten")
    assert repair_version(version(store), copies=[copy]).repaired == []
    report = repair_version(version(store), copies=[copy, sound])
    assert [(one.key, one.origin) for one in report.repaired] == [(BLOB, sound.url)]


def test_a_copy_that_cannot_be_read_is_passed_over_and_told_only_if_no_other_helps(store, copy, monkeypatch):
    broken = open_store(f"memory:///{os.urandom(8).hex()}")

    def find(key):
        raise StoreError(f"cannot read {key}")

    monkeypatch.setattr(broken, "find", find)
    store.put(BLOB, b"rotten")
    with pytest.raises(StoreError, match="cannot read"):
        repair_version(version(store), copies=[broken])
    assert repair_version(version(store), copies=[broken, copy]).remaining == []
    assert everything(store) == everything(copy)


def test_a_copy_that_gives_no_answer_is_asked_once_and_the_uploads_are_searched_all_the_same(
    store, dataset, monkeypatch
):
    down, asked = open_store(f"memory:///{os.urandom(8).hex()}"), []

    def find(key):
        asked.append(key)
        raise StoreUnavailable(f"cannot read {key}")

    monkeypatch.setattr(down, "find", find)
    for name in (1, 3):
        store.put(blob_key(sha256(FILES[f"circle/{name}.png"])), b"rotten")
    assert repair_version(version(store), copies=[down], config=dataset).remaining == []
    assert len(asked) == 1


def test_the_record_of_a_later_packing_comes_back_from_a_copy(store, copy):
    digest = version(store).commit().digest
    build = BuildRecord(build="webdataset-1", digest=digest, configuration={}, shards=[], objects=[])
    version(store).save_build(build)
    key = "datasets/shapes/versions/v1/builds/webdataset-1.json"
    alien = open_store(f"memory:///{os.urandom(8).hex()}")
    alien.put(key, build.model_copy(update={"digest": "0"}).to_bytes())  # of other content under the same names
    copy.put(key, store.get(key))
    store.put(key, b"{}")
    assert [one.key for one in repair_version(version(store), copies=[alien]).remaining] == [key]
    report = repair_version(version(store), copies=[copy])
    assert ([one.key for one in report.repaired], report.remaining) == ([key], [])


def test_without_a_sound_copy_the_loss_is_told_and_nothing_is_changed(store, copy):
    damaged = damage_all(copy)
    store.put(BLOB, b"rotten")
    before = everything(store)
    report = repair_version(version(store), copies=[copy])
    assert damaged
    assert report.repaired == []
    assert [(one.key, one.problem) for one in report.remaining] == [(BLOB, "short")]
    assert everything(store) == before
    assert list(store.keys("lost")) == []


def test_an_image_comes_back_from_the_uploads(store, dataset):
    store.put(BLOB, b"rotten")
    (repaired,) = repair_version(version(store), config=dataset).repaired
    assert (repaired.key, repaired.origin) == (BLOB, f"{dataset.source.url}/circle/3.png")
    assert store.get(BLOB) == FILES["circle/3.png"]
    assert store.get(repaired.kept_as) == b"rotten"


def test_an_image_that_was_renamed_among_the_uploads_is_found_by_its_bytes(tmp_path, store, dataset):
    (tmp_path / "uploads/circle/3.png").rename(tmp_path / "uploads/circle/moved.png")
    (tmp_path / "uploads/circle/3.png").write_bytes(b"another photo")
    store.delete(BLOB)
    (repaired,) = repair_version(version(store), config=dataset).repaired
    assert repaired.origin == f"{dataset.source.url}/circle/moved.png"


def test_an_upload_that_changed_is_not_taken_for_the_image(tmp_path, store, dataset):
    changed = FILES["circle/3.png"].replace(b"3", b"8")
    (tmp_path / "uploads/circle/3.png").write_bytes(changed)
    store.delete(BLOB)
    report = repair_version(version(store), config=dataset)
    assert report.repaired == []
    assert [one.problem for one in report.remaining] == ["missing"]
    assert store.find(BLOB) is None


def test_the_uploads_bring_back_no_table_and_no_shard(store, dataset):
    keys = [entry.key for entry in version(store).commit().objects]
    for key in keys:
        store.put(key, b"rotten")
    report = repair_version(version(store), config=dataset)
    assert (report.repaired, {one.key for one in report.remaining}) == ([], set(keys))


def test_the_record_of_another_content_is_not_taken_though_it_has_the_same_name(tmp_path, store):
    other = open_store(str(tmp_path / "other"))
    make_version(other, "v1", {"square/x.png": b"another v1"})
    store.put(version(store).commit_key, b"rotten")
    report = repair_version(version(store), copies=[other])
    assert report.repaired == []
    assert [(one.role, one.problem) for one in report.remaining] == [("record", "altered")]
    assert store.get(version(store).commit_key) == b"rotten"


def test_an_open_version_is_not_committed_by_a_repair(tmp_path, store):
    other = open_store(str(tmp_path / "other"))
    make_version(other, "v2", {"square/x.png": b"a v2 of somebody else's"})
    made = make_open(store, "v2", FILES)
    with pytest.raises(ConfigurationError, match="found shapes@v2 without a commit record"):
        repair_version(made, copies=[other])
    assert store.find(made.commit_key) is None


@pytest.mark.parametrize(
    "url", ["s3:///copy", "s3://bucket/copy?versions", "s3://a bucket", "s3:/bucket/copy", "nowhere"]
)
def test_a_copy_that_cannot_be_used_is_told_as_the_one_that_was_named_and_not_as_the_store(store, url):
    with pytest.raises(ConfigurationError, match=r"--from\b") as caught:
        open_copy(url, store)
    assert "CV_ASSETS_STORE" not in str(caught.value)
