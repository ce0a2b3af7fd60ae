"""Packing: images come from the content store as they were uploaded, and only the turned ones are made anew."""

import io
import json
import tarfile

import pytest

from cv_assets.domain.digests import bytes_digest
from cv_assets.domain.packing.plan import PlannedShard, Sample
from cv_assets_tests.domain.images import decoded, encode, noise, oriented
from resources.content_store import ContentStore, blob_key
from resources.engine import Engine
from resources.object_store import open_store
from resources.packing import Packer, find_packed, save_packed
from resources.versions import VersionStore
from schemas.errors import CorruptObject, StoreError
from schemas.images import Limits
from schemas.releases import ShardEntry, ShardIndex

STRAIGHT = encode(noise((60, 40)), "JPEG")
TURNED = oriented(noise((60, 40), 1), 6, quality=95)


@pytest.fixture(params=["disk", "memory"])
def store(request, tmp_path):
    return open_store(str(tmp_path / "store") if request.param == "disk" else f"memory://{tmp_path}")


@pytest.fixture
def planned(store):
    content = ContentStore(store)
    ids = [(content.add(STRAIGHT), False), (content.add(TURNED), True)]
    samples = [Sample(image_id, "jpg", 1, turn, b"{}", 0) for image_id, turn in sorted(ids)]
    return PlannedShard("train", 0, tuple(samples))


def pack(store, planned, version="v1"):
    packer = Packer(VersionStore(store, "shapes", version), ContentStore(store), Engine(workers=1), Limits())
    entries = list(packer.pack("webdataset-1", "webdataset", [planned]))
    packer.write_index("webdataset-1", "webdataset", ["ant"], entries)
    return entries


def members(store, key):
    with tarfile.open(fileobj=io.BytesIO(store.get(key))) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}


def turned_and_straight(planned):
    one, other = sorted(planned.samples, key=lambda sample: sample.needs_turning, reverse=True)
    return one.image_id, other.image_id


def test_an_image_is_packed_byte_for_byte_unless_it_is_turned(store, planned):
    (entry,) = pack(store, planned)
    found = members(store, entry.key)
    turned, straight = turned_and_straight(planned)
    assert found[f"{straight}.jpg"] == STRAIGHT
    assert decoded(found[f"{turned}.jpg"]).size == (40, 60)
    assert (entry.key, entry.samples) == ("datasets/shapes/versions/v1/shards/webdataset-1/train-000000.tar", 2)


def test_the_index_names_every_shard_with_its_hash(store, planned):
    (entry,) = pack(store, planned)
    data = store.get("datasets/shapes/versions/v1/shards/webdataset-1/index.json")
    assert ShardIndex.from_bytes(data).shards == [entry]
    index = json.loads(data)
    del index["record_sha256"]
    assert index == {
        "schema_version": 1,
        "format": "webdataset",
        "dataset": "shapes",
        "classes": ["ant"],
        "splits": {"train": 2},
        "shards": [entry.model_dump()],
    }


def test_a_shard_that_is_finished_is_not_written_again(store, planned):
    (entry,) = pack(store, planned)
    before = store.look(entry.key)
    assert pack(store, planned) == [entry]
    assert store.look(entry.key) == before
    store.put(entry.key, b"damaged")
    assert pack(store, planned) == [entry]
    assert store.size(entry.key) == entry.bytes


def test_the_same_plan_makes_the_same_bytes(store, planned):
    (first,), (second,) = pack(store, planned, "v1"), pack(store, planned, "v2")
    assert first.sha256 == second.sha256


@pytest.mark.parametrize("is_turned", [False, True], ids=["packed as it is", "turned"])
def test_an_image_whose_stored_bytes_changed_is_not_packed(store, planned, is_turned):
    image_id = turned_and_straight(planned)[0 if is_turned else 1]
    data = bytearray(store.get(blob_key(image_id)))
    data[-200] ^= 4  # among the pixels: it decodes all the same
    store.put(blob_key(image_id), bytes(data))
    with pytest.raises(CorruptObject, match=image_id):
        pack(store, planned)


@pytest.mark.parametrize("is_turned", [False, True], ids=["packed as it is", "turned"])
def test_an_image_that_is_gone_leaves_no_shard_with_a_hole(store, planned, is_turned):
    image_id = turned_and_straight(planned)[0 if is_turned else 1]
    store.delete(blob_key(image_id))
    with pytest.raises(StoreError, match=image_id):
        pack(store, planned)
    assert list(store.keys("datasets")) == []  # no shard, no index, and no word that either is finished


def test_a_shard_is_known_to_be_finished_only_while_its_bytes_are_what_was_written(store):
    version, shard = VersionStore(store, "shapes", "v1"), ("webdataset-1", "train-000000.tar")
    key = version.put_shard(*shard, [b"one"])
    entry = ShardEntry(format="webdataset", split="train", key=key, samples=1, bytes=3, sha256=bytes_digest(b"one"))
    assert find_packed(version, *shard) is None
    save_packed(version, *shard, entry)
    assert find_packed(version, *shard) == entry
    store.put(key, b"0ne")
    assert find_packed(version, *shard) is None
    store.delete(key)
    assert find_packed(version, *shard) is None


def test_a_turned_image_may_take_longer_to_be_written_than_an_image_may_take_to_be_decoded(store):
    slow = oriented(noise((900, 700)), 6, "WEBP", lossless=True)  # 0.01 s to decode, 0.4 s to write without loss
    engine = Engine(workers=1, seconds=0.1)
    content = ContentStore(store)
    sample = Sample(content.add(slow), "webp", len(slow), True, b"{}", 0)
    packer = Packer(VersionStore(store, "shapes", "v1"), content, engine, Limits())
    (entry,) = packer.pack("webdataset-1", "webdataset", [PlannedShard("train", 0, (sample,))])
    assert entry.samples == 1
