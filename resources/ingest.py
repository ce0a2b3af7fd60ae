"""The first look at the uploads: every file that belongs to a dataset is read once, hashed and kept."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from cv_assets.domain.formats import SNIFF_BYTES, sniff
from cv_assets.domain.manifest import image_files
from cv_assets.domain.snapshot import RoleOf, content_reason, size_reason
from resources.content_store import ContentStore
from resources.engine import Engine
from resources.object_store import ObjectStore
from resources.parallel import bounded_map
from resources.probes import ProbeStore
from resources.progress import track
from resources.source import NotRead, Source, SourceFile, open_source
from schemas.codes import PASSING_REASONS, FileRole
from schemas.datasets import DatasetConfig
from schemas.errors import SourceError
from schemas.tables import to_frame

Row = dict[str, object]
NAMES_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source holds for one dataset: files with their role, and the paths that no pattern names."""

    files: list[tuple[SourceFile, FileRole]]
    not_included: list[str]


def list_source(source: Source, config: DatasetConfig) -> Listing:
    """Every file of the source, told apart by the dataset's patterns. Raises SourceError, also if none is an image."""
    role_of = RoleOf(config)
    listing = Listing([], [])
    for file in source.files():
        role = role_of(file.path)
        if role is None:
            listing.not_included.append(file.path)
        else:
            listing.files.append((file, role))
    if not any(role == "image" for _, role in listing.files):
        raise SourceError(
            f"expected image files in {config.source.url} that match {list(config.source.include)}, found none "
            f"({len(listing.not_included)} other files); upload some, or correct source.include"
        )
    return listing


def ingest(
    listing: Listing, source: Source, content: ContentStore, config: DatasetConfig, *, threads: int
) -> Iterator[Row]:
    """One row of `raw_images` a file, in the order of the listing; bytes go to the content store as they are read."""

    def take(entry: tuple[SourceFile, FileRole]) -> Row:
        return _take(entry[0], entry[1], source, content, config)

    yield from bounded_map(take, listing.files, threads=threads)


class Snapshot:
    """The first pass over the uploads of a dataset: bytes are read, hashed, kept and decoded as they come."""

    def __init__(self, store: ObjectStore, config: DatasetConfig, engine: Engine, log: Callable[[str], None]) -> None:
        self._content, self._probes = ContentStore(store), ProbeStore(store, config)
        self._config, self._engine, self._log = config, engine, log
        self.not_included: list[str] = []

    def take(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """A RawImages and a Probes table of what the source holds now. Raises SourceError, StoreError, EngineError."""
        source = open_source(self._config.source.url)
        listing = list_source(source, self._config)
        self.not_included = listing.not_included[:NAMES_TOLD]
        rows: list[Row] = []

        def images() -> Iterator[str]:
            ingested = ingest(listing, source, self._content, self._config, threads=self._engine.threads)
            for row in track(ingested, len(listing.files), label="files", log=self._log):
                rows.append(row)
                if row["role"] == "image" and row["reason"] is None:
                    yield str(row["sha256"])

        fresh = to_frame("probes", list(self._probes.probe(images(), self._engine)))
        snapshot = to_frame("raw_images", rows)
        return snapshot, self._of(snapshot, fresh)

    def probe_again(self, snapshot: pl.DataFrame, probes: pl.DataFrame | None) -> pl.DataFrame:
        """The Probes table of a snapshot; images whose decoder gave up are tried again, the others are as they were."""
        settled = to_frame("probes", []) if probes is None else probes
        settled = settled.filter(pl.col("reason").is_null() | ~pl.col("reason").is_in(PASSING_REASONS))
        ids = image_files(snapshot)["sha256"].unique().sort()
        missing = ids.filter(~ids.is_in(settled["image_id"].implode()))
        again = track(self._probes.probe(missing, self._engine), len(missing), label="images", log=self._log)
        return self._of(snapshot, pl.concat([settled, to_frame("probes", list(again))]))

    def _of(self, snapshot: pl.DataFrame, probes: pl.DataFrame) -> pl.DataFrame:
        """Those of `probes` and of earlier versions that are of images of the snapshot, sorted."""
        every = pl.concat([probes, self._probes.known()]).unique("image_id", keep="first", maintain_order=True)
        return every.join(image_files(snapshot), left_on="image_id", right_on="sha256", how="semi").sort("image_id")


def _take(file: SourceFile, role: FileRole, source: Source, content: ContentStore, config: DatasetConfig) -> Row:
    row: Row = {
        "path": file.path,
        "role": role,
        "size_bytes": file.size_bytes,
        "sha256": None,
        "format": None,
    }
    found = (file.reason, file.detail) if file.reason else size_reason(file.size_bytes, role, config)
    if found is None:
        try:
            data = source.read(file)
        except NotRead as error:
            found = (error.reason, str(error))
        else:
            found = content_reason(data, role)
            row |= {"size_bytes": len(data), "sha256": content.add(data)}
            row["format"] = sniff(data[:SNIFF_BYTES]) if role == "image" else None
    reason, detail = found or (None, None)
    return {**row, "reason": reason, "detail": detail}
