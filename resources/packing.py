"""Writes planned shards: images come from the content store, turned upright where their file says so."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from cv_assets.domain.digests import RunningDigest, bytes_digest
from cv_assets.domain.packing.formats import FORMATS
from cv_assets.domain.packing.plan import PlannedShard, Sample
from resources.content_store import ContentStore
from resources.engine import Engine
from resources.parallel import bounded_map
from resources.records import find_record
from resources.streaming import size_and_hash
from resources.versions import VersionStore
from schemas.errors import StoreError
from schemas.images import Limits
from schemas.releases import ObjectEntry, ShardEntry, ShardIndex

INDEX = "index.json"
# Of files smaller than this, handing the interpreter from thread to thread costs more than a second core gives.
LEAST_BYTES_SHARED = 32_000
# To write a turned image without loss takes up to fifty times as long as to decode it, which is what was timed.
PATIENCE = 20.0


class Packer:
    """Packs the shards of one version, each kind of packing in a folder of its own."""

    def __init__(self, version: VersionStore, content: ContentStore, engine: Engine, limits: Limits) -> None:
        self._version, self._content, self._engine, self._limits = version, content, engine, asdict(limits)

    def pack(self, build: str, shard_format: str, planned: Sequence[PlannedShard]) -> Iterator[ShardEntry]:
        """Write every planned shard in one format. Raises StoreError, CorruptObject.

        A shard that an earlier run has finished is not written again.
        """
        threads = self._threads_for(planned)
        yield from bounded_map(
            lambda plan: self._pack_one(build, shard_format, plan), planned, threads=threads, ahead=threads
        )

    def write_index(
        self, build: str, shard_format: str, classes: list[str], entries: Sequence[ShardEntry]
    ) -> ObjectEntry:
        """Write `index.json` of one format, and return what it is as an object."""
        splits: dict[str, int] = {}
        for entry in entries:
            splits[entry.split] = splits.get(entry.split, 0) + entry.samples
        index = ShardIndex(
            format=shard_format,
            dataset=self._version.dataset,
            classes=classes,
            splits=splits,
            shards=list(entries),
        )
        data = index.to_bytes()
        key = self._version.put_shard(build, INDEX, [data])
        return ObjectEntry(key=key, size_bytes=len(data), sha256=bytes_digest(data), role="index")

    def _threads_for(self, planned: Sequence[PlannedShard]) -> int:
        samples = [sample for shard in planned for sample in shard.samples]
        is_small = sum(sample.size_bytes for sample in samples) < LEAST_BYTES_SHARED * len(samples)
        is_just_copied = self._content.is_local and not any(sample.needs_turning for sample in samples)
        return 1 if is_small and is_just_copied else self._engine.threads

    def _pack_one(self, build: str, shard_format: str, plan: PlannedShard) -> ShardEntry:
        form = FORMATS[shard_format]
        name = f"{plan.split}-{plan.number:06d}.{form.extension}"
        if (done := find_packed(self._version, build, name)) is not None:
            return done
        turned = self._turn_upright([sample for sample in plan.samples if sample.needs_turning])
        parts = form.pack(
            plan.samples, lambda sample: turned.get(sample.image_id) or self._content.read(sample.image_id)
        )
        digest = RunningDigest()
        key = self._version.put_shard(build, name, digest.passing(parts))
        entry = ShardEntry(
            format=shard_format,
            split=plan.split,
            key=key,
            samples=len(plan.samples),
            bytes=digest.size_bytes,
            sha256=digest.sha256(),
        )
        save_packed(self._version, build, name, entry)
        return entry

    def _turn_upright(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        """Image id → upright bytes, from decoding workers."""
        if not samples:
            return {}
        ids = (sample.image_id for sample in samples)
        turned: dict[str, bytes] = {}
        engine = self._engine.alone(patience=PATIENCE)
        for image_id, answer in self._content.decode(engine, "upright", {"limits": self._limits}, ids):
            if "bytes" not in answer:
                raise StoreError(
                    f"image {image_id} was decoded before, and now cannot be turned upright: "
                    f"{answer['rejected']['detail']}; run again, or leave it out of the next version (source.exclude)"
                )
            turned[image_id] = base64.b64decode(answer["bytes"])
        return turned


def save_packed(version: VersionStore, build: str, file_name: str, entry: ShardEntry) -> None:
    """Keep that a shard of an open version is written, so that a run which goes on need not write it again."""
    version.store.put(_packed_key(version, build, file_name), entry.to_bytes())


def find_packed(version: VersionStore, build: str, file_name: str) -> ShardEntry | None:
    """The shard that an earlier run wrote, if its object is still what was written."""
    entry = find_record(version.store, ShardEntry, _packed_key(version, build, file_name))
    if entry is None or version.store.size(entry.key) != entry.bytes:
        return None
    return entry if size_and_hash(version.store, entry.key) == (entry.bytes, entry.sha256) else None


def _packed_key(version: VersionStore, build: str, file_name: str) -> str:
    return f"{version.prefix}/packed/{build}/{file_name}.json"
