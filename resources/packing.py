"""Writes planned shards: images come from the content store, turned upright where their file says so."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from cv_assets.domain.digests import bytes_digest
from cv_assets.domain.packing.formats import FORMATS
from cv_assets.domain.packing.plan import PlannedShard, Sample
from resources.content_store import ContentStore
from resources.engine import Engine
from resources.parallel import bounded_map
from resources.versions import VersionStore
from schemas.errors import StoreError
from schemas.images import Limits
from schemas.releases import ShardEntry, ShardIndex

INDEX = "index.json"


class Packer:
    """Packs the shards of one version."""

    def __init__(self, version: VersionStore, content: ContentStore, engine: Engine, limits: Limits) -> None:
        self._version, self._content, self._engine, self._limits = version, content, engine, asdict(limits)

    def pack(self, shard_format: str, planned: Sequence[PlannedShard]) -> Iterator[ShardEntry]:
        """Write every planned shard in one format; one shard a thread is in memory. Raises StoreError, CorruptObject."""
        threads = self._engine.threads
        yield from bounded_map(lambda plan: self._pack_one(shard_format, plan), planned, threads=threads, ahead=threads)

    def write_index(self, shard_format: str, classes: list[str], entries: Sequence[ShardEntry]) -> None:
        """Write `index.json` of one format, and leave nothing beside it and its shards."""
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
        self._version.put_shard(shard_format, INDEX, index.to_bytes())
        self._version.remove_shards_but(shard_format, {INDEX, *(entry.key.rsplit("/", 1)[-1] for entry in entries)})

    def _pack_one(self, shard_format: str, plan: PlannedShard) -> ShardEntry:
        form = FORMATS[shard_format]
        turned = self._turn_upright([sample for sample in plan.samples if sample.needs_turning])
        data = form.pack(
            plan.samples, lambda sample: turned.get(sample.image_id) or self._content.read(sample.image_id)
        )
        key = self._version.put_shard(shard_format, f"{plan.split}-{plan.number:06d}.{form.extension}", data)
        return ShardEntry(
            format=shard_format,
            split=plan.split,
            key=key,
            samples=len(plan.samples),
            bytes=len(data),
            sha256=bytes_digest(data),
        )

    def _turn_upright(self, samples: Sequence[Sample]) -> dict[str, bytes]:
        """Image id → upright bytes, from decoding workers."""
        if not samples:
            return {}
        ids = (sample.image_id for sample in samples)
        turned: dict[str, bytes] = {}
        for image_id, answer in self._content.decode(self._engine.alone(), "upright", {"limits": self._limits}, ids):
            if "bytes" not in answer:
                raise StoreError(
                    f"image {image_id} was decoded before, and now is not: {answer['rejected']['detail']}; run again"
                )
            turned[image_id] = base64.b64decode(answer["bytes"])
        return turned
