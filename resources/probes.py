"""Probe results, kept by image id: an image is decoded once for a dataset, however many versions hold it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any, Final

import polars as pl
from PIL import __version__ as pillow_version

from cv_assets.domain.digests import bytes_digest, record_digest
from resources.content_store import ContentStore, blob_key
from resources.engine import Engine
from resources.object_store import ObjectStore
from resources.parallel import batched
from resources.versions import read_table, table_bytes
from schemas.datasets import DatasetConfig
from schemas.errors import CorruptObject
from schemas.tables import polars_schema, to_frame

# raise it when a probe finds something else in the same bytes
PROBE_VERSION: Final = 1
SEGMENT_IMAGES: Final = 4_096
# the machine may have been at fault: not remembered, tried again by the next version
PASSING_REASONS: Final = ("decoder-died", "memory-over-limit", "time-over-limit")

Track = Callable[[Iterable[Any], int], Iterator[Any]]


class ProbeStore:
    """Probes of one dataset under one set of limits and one decoder, in segments that are written once."""

    def __init__(self, store: ObjectStore, config: DatasetConfig) -> None:
        self._store, self._content = store, ContentStore(store)
        self._limits = asdict(config.limits.to_limits())
        made_by = record_digest({"probe": PROBE_VERSION, "pillow": pillow_version, "limits": self._limits})
        self._prefix = f"datasets/{config.name}/probes/{made_by[:16]}"

    def probe(self, image_ids: Iterable[str], engine: Engine, track: Track) -> pl.DataFrame:
        """A Probes table with one row for each id, sorted. Only images that were never probed are decoded.

        `track` wraps the images still to do, given their number, to show progress. Raises StoreError, EngineError.
        """
        wanted = pl.DataFrame({"image_id": sorted(set(image_ids))}, schema={"image_id": pl.String})
        known = self._load()
        missing = wanted.join(known, on="image_id", how="anti")["image_id"].to_list()
        answers = engine.run(
            "probe", {"limits": self._limits}, (self._content.as_item(image_id) for image_id in missing)
        )
        rows = (_to_row(item.key, answer) for item, answer in track(answers, len(missing)))
        fresh = [self._keep(to_frame("probes", segment)) for segment in batched(rows, SEGMENT_IMAGES)]
        return pl.concat([known, *fresh]).join(wanted, on="image_id", how="semi").sort("image_id")

    def _load(self) -> pl.DataFrame:
        segments = [read_table(self._store.get(key)) for key in self._store.keys(self._prefix)]
        return pl.concat([to_frame("probes", []), *segments]).unique("image_id")

    def _keep(self, probes: pl.DataFrame) -> pl.DataFrame:
        lasting = probes.filter(pl.col("reason").is_null() | ~pl.col("reason").is_in(PASSING_REASONS))
        data = table_bytes(lasting)
        if not lasting.is_empty():
            self._store.put(f"{self._prefix}/{bytes_digest(data)}.parquet", data)
        return probes


def _to_row(image_id: str, answer: dict[str, Any]) -> dict[str, object]:
    if answer.get("sha256", image_id) != image_id:  # a worker that died or ran out of time has no hash to tell
        raise CorruptObject(
            f"expected {blob_key(image_id)} to hold bytes with that hash, found sha256 {answer['sha256']}; "
            "restore the blob from the upload or from a copy, then run again"
        )
    empty = dict.fromkeys(polars_schema("probes"))
    return {**empty, "image_id": image_id, **(answer.get("probe") or answer["rejected"])}
