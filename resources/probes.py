"""Probe results, kept by image id: an image is decoded once for a dataset, however many versions hold it."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Final

import polars as pl
from PIL import __version__ as pillow_version

from cv_assets.domain.digests import bytes_digest, record_digest
from resources.content_store import ContentStore
from resources.engine import Answer, Engine
from resources.object_store import ObjectStore
from resources.parallel import batched
from resources.versions import read_table, table_bytes
from schemas.codes import PASSING_REASONS
from schemas.datasets import DatasetConfig
from schemas.errors import CorruptObject
from schemas.tables import polars_schema, to_frame

# raise it when a probe finds something else in the same bytes
PROBE_VERSION: Final = 1
SEGMENT_IMAGES: Final = 4_096

Row = dict[str, object]


class ProbeStore:
    """Probes of one dataset under one set of limits and one decoder, in segments that are written once."""

    def __init__(self, store: ObjectStore, config: DatasetConfig) -> None:
        self._store, self._content = store, ContentStore(store)
        self._limits = asdict(config.limits.to_limits())
        made_by = record_digest({"probe": PROBE_VERSION, "pillow": pillow_version, "limits": self._limits})
        self._prefix = f"datasets/{config.name}/probes/{made_by[:16]}"

    def probe(self, image_ids: Iterable[str], engine: Engine) -> Iterator[Row]:
        """A row of a Probes table for each id that was never probed, as it is decoded; what lasts is kept on the way.

        Raises StoreError, EngineError, CorruptObject.
        """
        known = set(self.known()["image_id"])

        def fresh() -> Iterator[str]:
            for image_id in image_ids:
                if image_id not in known:
                    known.add(image_id)
                    yield image_id

        answers = self._content.decode(engine, "probe", {"limits": self._limits}, fresh())
        for segment in batched((_to_row(*answer) for answer in answers), SEGMENT_IMAGES):
            self._keep(to_frame("probes", segment))
            yield from segment

    def known(self) -> pl.DataFrame:
        """A Probes table of every image that was probed before. A damaged segment counts as never made: it is made again."""
        segments: list[pl.DataFrame] = []
        for key in self._store.keys(self._prefix):
            try:
                segments.append(read_table(self._store.get(key)))
            except CorruptObject:
                continue
        return pl.concat([to_frame("probes", []), *segments]).unique("image_id")

    def _keep(self, probes: pl.DataFrame) -> None:
        lasting = probes.filter(pl.col("reason").is_null() | ~pl.col("reason").is_in(PASSING_REASONS))
        data = table_bytes(lasting)
        if not lasting.is_empty():
            self._store.put(f"{self._prefix}/{bytes_digest(data)}.parquet", data)


def _to_row(image_id: str, answer: Answer) -> Row:
    empty = dict.fromkeys(polars_schema("probes"))
    return {**empty, "image_id": image_id, **(answer.get("probe") or answer["rejected"])}
