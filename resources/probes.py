"""Probe results, kept by image id: an image is decoded once for a dataset, however many versions hold it."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Final

import polars as pl
from PIL import __version__ as pillow_version

from cv_assets.domain.digests import record_digest
from resources.content_store import decode_items
from resources.engine import Answer, Engine, Item
from resources.object_store import ObjectStore
from resources.parallel import batched
from resources.segments import SEGMENT_ROWS, Segments
from schemas.codes import PASSING_REASONS
from schemas.datasets import DatasetConfig
from schemas.tables import polars_schema, to_frame

# raise it when a probe finds something else in the same bytes
PROBE_VERSION: Final = 6

Row = dict[str, object]


class ProbeStore:
    """Probes of one dataset under one set of limits and one decoder."""

    def __init__(self, store: ObjectStore, config: DatasetConfig) -> None:
        self._limits = asdict(config.limits.to_limits())
        made_by = record_digest({"probe": PROBE_VERSION, "pillow": pillow_version, "limits": self._limits})
        prefix = f"datasets/{config.name}/probes/{made_by[:16]}"
        self._segments = Segments(store, prefix, "probes", ("image_id",))
        self._known: pl.DataFrame | None = None

    def probe(self, images: Iterable[Item], engine: Engine) -> Iterator[Row]:
        """A row of a Probes table for each image that was never probed, as it is decoded; what lasts is kept on the way.

        An item's key is the SHA-256 of its bytes. Raises StoreError, EngineError, CorruptObject.
        """
        known = set(self.known()["image_id"].to_list())

        def fresh() -> Iterator[Item]:
            for image in images:
                if image.key not in known:
                    known.add(image.key)
                    yield image

        answers = decode_items(engine, "probe", {"limits": self._limits}, fresh())
        for segment in batched((to_row(*answer) for answer in answers), SEGMENT_ROWS):
            self._keep(to_frame("probes", segment))
            yield from segment

    def known(self) -> pl.DataFrame:
        """A Probes table of every image that was probed before, as it was when it was first asked for, and by `probe`."""
        if self._known is None:
            self._known = self._segments.load()
        return self._known

    def forget(self, image_ids: Iterable[str]) -> None:
        """Let these images be decoded again by the next probe."""
        self._segments.forget("image_id", image_ids)
        self._known = None

    def _keep(self, probes: pl.DataFrame) -> None:
        passing = pl.col("reason").is_not_null() & pl.col("reason").is_in(PASSING_REASONS)
        lasting = probes.filter(~passing)
        self._segments.append(lasting)
        self._known = pl.concat([self.known(), lasting])


def to_row(image_id: str, answer: Answer) -> Row:
    """A worker's answer to the task `probe` as a row of a Probes table; measures are columns of their own."""
    said = dict(answer.get("probe") or answer["rejected"])
    measures = said.pop("measures", {})
    return {**dict.fromkeys(polars_schema("probes")), "image_id": image_id, **said, **measures}
