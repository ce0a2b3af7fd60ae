"""The first look at the uploads: every file that belongs to a dataset is read once, hashed and kept.

A file that is listed as it was when an earlier version read it is not read again.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Final, NamedTuple, Protocol, cast

import polars as pl

from cv_assets.domain.digests import record_digest
from cv_assets.domain.formats import SNIFF_BYTES, sniff
from cv_assets.domain.manifest import image_files
from cv_assets.domain.snapshot import RoleOf, content_reason, has_readable_size, size_reason, with_roles
from cv_assets.domain.uploads import to_listing
from resources.content_store import REMOTE_THREADS, ContentStore, contents_of
from resources.engine import Engine, Item
from resources.listing import SourceFile, files_of
from resources.object_store import ObjectStore
from resources.parallel import batched, bounded_map
from resources.probes import ProbeStore
from resources.progress import track
from resources.requeue import KeptFiles
from resources.segments import SEGMENT_ROWS, Segments
from resources.source import Content, LocalSource, NotRead, Source, open_source
from resources.urls import require_apart
from schemas.codes import PASSING_REASONS, FileRole
from schemas.datasets import DatasetConfig
from schemas.errors import SourceChanged, SourceError
from schemas.releases import RequeuedFile
from schemas.tables import polars_schema, to_frame

Row = dict[str, object]
Entry = tuple[SourceFile, FileRole]
NAMES_TOLD: Final = 20
BATCH: Final = 16
# A worker takes 0.2 s to start, as long as one takes to decode about 10 MB of photos, of which even the least costs something.
COST_OF_A_WORKER: Final = 10_000_000
COST_OF_ONE: Final = 20_000
# raise it when the same bytes would give another row of raw_images
SIGHTING_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class Uploads:
    """What a source holds for one dataset: a LISTED table with the column `role`, and the paths that no pattern names."""

    files: pl.DataFrame
    not_included: list[str]

    def newest_upload(self) -> datetime | None:
        """When the source says that a file was last written; None where it says so of none."""
        seconds = self.files["modified_seconds"].max()
        return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, float) else None


class Taken(NamedTuple):
    """One file of a snapshot: its row of raw_images, its stamp in the source, and its bytes if they are still at hand."""

    row: Row
    stamp: str | None
    data: bytes | None


class Readable(Protocol):
    """Where the bytes of listed files come from."""

    def read(self, file: SourceFile) -> Content:
        """All bytes of a file. Raises NotRead, SourceError, StoreError."""
        ...


def list_source(source: Source, config: DatasetConfig) -> Uploads:
    """Every file of the source, told apart by the dataset's patterns. Raises SourceError, also if none is an image."""
    every = with_roles(source.listing(), config)
    is_named = pl.col("role").is_not_null()
    listing = Uploads(every.filter(is_named), every.filter(~is_named)["path"].to_list())
    if not (listing.files["role"] == "image").any():
        raise SourceError(
            f"expected image files in {config.source.url} that match {list(config.source.include)}, found none "
            f"({len(listing.not_included)} other files); upload some, or correct source.include"
        )
    include = list(config.annotations.include)
    if include and not (listing.files["role"] == "annotation").any():
        raise SourceError(
            f"expected annotation files in {config.source.url} that match {include}, found none "
            f"({len(listing.not_included)} files that no pattern names); upload them, or correct annotations.include"
        )
    return listing


def entries_of(files: pl.DataFrame) -> list[Entry]:
    """The files of a listing one by one, with their role."""
    return list(zip(files_of(files), cast("list[FileRole]", files["role"].to_list()), strict=True))


def ingest(
    entries: Iterable[Entry], source: Readable, content: ContentStore, config: DatasetConfig, *, threads: int
) -> Iterator[Taken]:
    """What is found in each file, in the order given; bytes go to the content store as they are read."""

    def take(some: list[Entry]) -> list[Taken]:
        return [_take(file, role, source, content, config) for file, role in some]

    # of small files, handing each to a thread by itself costs more than reading it; of far ones, many are under way
    size = BATCH if content.is_local and isinstance(source, LocalSource) else 1
    for taken in bounded_map(take, batched(entries, size), threads=threads):
        yield from taken


def sightings_of(store: ObjectStore, config: DatasetConfig) -> Segments:
    """What is remembered of the files of a dataset's source, told apart by their stamp."""
    place = {"url": config.source.url, "mode": config.source.mode, "sighting": SIGHTING_VERSION}
    prefix = f"datasets/{config.name}/sightings/{record_digest(place)[:16]}"
    return Segments(store, prefix, "sightings", ("path", "role", "size_bytes", "stamp"))


class Snapshot:
    """The first pass over the uploads of a dataset: bytes are read, hashed, kept and decoded as they come."""

    def __init__(self, store: ObjectStore, config: DatasetConfig, engine: Engine, log: Callable[[str], None]) -> None:
        self._store, self._config, self._engine, self._log = store, config, engine, log
        self._content, self._probes = ContentStore(store), ProbeStore(store, config)
        self._sightings = sightings_of(store, config)
        self.not_included: list[str] = []
        self.newest_upload: datetime | None = None
        self.listing_digest: str | None = None
        self.files_read = 0
        self.brought_back: list[str] = []

    def take(self, requeued: Sequence[RequeuedFile] = ()) -> tuple[pl.DataFrame, pl.DataFrame]:
        """A RawImages and a Probes table of what the source holds now. Raises SourceError, StoreError, EngineError.

        Files that are requeued are read and decoded again, whatever is remembered of them; where the source has one no
        more, and its bytes are kept, those are taken under its path.
        """
        began_ns = time.time_ns()
        self._sightings.forget("path", {one.path for one in requeued})
        self._probes.forget({one.sha256 for one in requeued if one.sha256 is not None})
        rows: list[Row] = []
        # memory is read while the source is listed, and old blobs are looked for while what is new is decoded
        with ThreadPoolExecutor(1) as beside:
            remembered = beside.submit(self._remember)
            source = open_source(self._config.source.url)
            require_apart(self._config.source.url, self._store.url)
            listing = list_source(source, self._config)
            self.not_included = listing.not_included
            self.newest_upload = listing.newest_upload()
            self.listing_digest = to_listing(listing.files).digest
            kept, absent = self._look_for_absent(listing, requeued)
            seen = self._seen_before(listing.files, remembered.result())
            unkept = partial(self._lost, seen, source)
            if self._store.is_local:  # a remote store is asked last: no failure shall wait for a million answers
                unkept = beside.submit(unkept).result
            fresh = entries_of(listing.files.join(seen, on="path", how="anti", maintain_order="left"))

            def lost() -> Iterator[Entry]:
                gone = unkept()
                self._sightings.forget("path", gone["path"])  # or the old pin could be remembered beside the new one
                yield from entries_of(listing.files.join(gone, on="path", how="semi"))

            taken = chain.from_iterable(
                ingest(entries, place, self._content, self._config, threads=self._threads(source))
                for entries, place in ((fresh, source), (absent, kept), (lost(), source))
            )
            shown = track(taken, len(fresh) + len(absent), label="files", log=self._log)
            for _ in self._probes.probe(self._images(shown, rows, source, began_ns), self._engine_for(fresh)):
                pass  # it is known from here on
        self._forget_the_past(listing.files, remembered.result())
        self.files_read = len(rows)
        read = to_frame("raw_images", rows)
        snapshot = pl.concat([seen.join(read, on="path", how="anti"), read]).sort("path", maintain_order=True)
        return snapshot, self.probe_again(snapshot, None)

    def _images(self, taken: Iterable[Taken], rows: list[Row], source: Source, began_ns: int) -> Iterator[Item]:
        """What is to be decoded of what was taken; every row is added to `rows`, and remembered if its stamp can be trusted."""
        recent: list[Row] = []
        for row, stamp, data in taken:
            rows.append(row)
            if row["sha256"] is not None and source.is_settled(stamp, began_ns):
                recent.append({**row, "stamp": stamp})
            if row["role"] == "image" and row["reason"] is None:
                yield self._as_item(str(row["sha256"]), data)
            if len(recent) == SEGMENT_ROWS:
                self._sightings.append(to_frame("sightings", recent))
                recent.clear()
        self._sightings.append(to_frame("sightings", recent))

    def probe_again(self, snapshot: pl.DataFrame, probes: pl.DataFrame | None) -> pl.DataFrame:
        """The Probes table of a snapshot; images whose decoder gave up before are tried again."""
        is_settled = pl.col("reason").is_null() | ~pl.col("reason").is_in(PASSING_REASONS)
        settled = self._probes.known().filter(is_settled)
        if probes is not None:  # what the version had first goes before what has become known since
            settled = pl.concat([probes.filter(is_settled), settled]).unique(
                "image_id", keep="first", maintain_order=True
            )
        asked = image_files(snapshot).select(image_id="sha256").unique()
        found = settled.join(asked, on="image_id", how="semi")
        missing = asked.join(found, on="image_id", how="anti")["image_id"].sort()
        if not missing.is_empty():
            content = contents_of(self._store, self._config.source.url, snapshot)
            again = self._probes.probe(map(content.item, missing), self._engine)
            done = list(track(again, len(missing), label="images", log=self._log))
            found = pl.concat([found, to_frame("probes", done)])
        return found.sort("image_id")

    def _look_for_absent(self, listing: Uploads, requeued: Sequence[RequeuedFile]) -> tuple[KeptFiles, list[Entry]]:
        """Requeued images that the source has no more and whose bytes are kept; what stays in the source is never kept."""
        role_of, listed = RoleOf(self._config), set(listing.files["path"].to_list() if requeued else ())
        absent = [one for one in requeued if one.path not in listed and role_of(one.path) == "image"]
        kept = KeptFiles(self._content, absent if self._config.source.mode == "copy" else [])
        entries: list[Entry] = [(file, "image") for file in kept.files()]
        self.brought_back = [file.path for file, _ in entries]
        lost = sorted({one.path for one in absent} - set(self.brought_back))
        if lost:
            self._log(f"requeued, but neither in the source nor kept: {lost[:NAMES_TOLD]}, {len(lost)} in all")
        return kept, entries

    def _remember(self) -> pl.DataFrame:
        """A Sightings table of every file that was read before; the probes of images are at hand afterwards, too."""
        self._probes.known()
        return self._sightings.load()

    def _seen_before(self, files: pl.DataFrame, sightings: pl.DataFrame) -> pl.DataFrame:
        """RawImages rows of the files that are listed as they were when they were last read.

        Not of one that would not be read under the limits of today.
        """
        readable = files.filter(pl.col("reason").is_null() & has_readable_size(self._config))
        listed = readable.select("path", "role", "size_bytes", "stamp")
        same = listed.join(sightings, on=listed.columns, how="inner", maintain_order="left")
        return same.select(list(polars_schema("raw_images")))

    def _forget_the_past(self, files: pl.DataFrame, sightings: pl.DataFrame) -> None:
        """Of a landing place that is emptied again and again, what was there before would soon be most of what is remembered."""
        if sightings.height > 2 * max(files.height, SEGMENT_ROWS):
            self._sightings.keep(files.select("path", "role", "size_bytes", "stamp"))

    def _lost(self, seen: pl.DataFrame, source: Source) -> pl.DataFrame:
        """Those of the rows whose bytes were kept, here or as a version of an object, and are there no more."""
        if self._config.source.mode == "copy":
            return seen.filter(~self._content.has(seen))
        # any other pin is the stamp that was just listed; a version ends, and the same bytes are uploaded as another one
        versioned = seen.filter(pl.col("pin").str.starts_with("version:"))

        def is_lost(row: tuple[str, str]) -> bool:
            try:
                source.size_pinned(*row)
            except SourceChanged:
                return True
            return False

        asked = bounded_map(is_lost, versioned.select("path", "pin").iter_rows(), threads=REMOTE_THREADS)
        return versioned.filter(pl.Series(list(asked), dtype=pl.Boolean))

    def _as_item(self, sha256: str, data: bytes | None) -> Item:
        return self._content.item(sha256) if data is None else Item(sha256, lambda: data)

    def _engine_for(self, fresh: list[Entry]) -> Engine:
        costs = sum(file.size_bytes + COST_OF_ONE for file, _ in fresh)
        return self._engine if costs > COST_OF_A_WORKER else self._engine.alone()

    def _threads(self, source: Source) -> int:
        near = self._store.is_local and isinstance(source, LocalSource)
        return self._engine.threads if near else max(REMOTE_THREADS, self._engine.threads)


def _take(file: SourceFile, role: FileRole, source: Readable, content: ContentStore, config: DatasetConfig) -> Taken:
    row: Row = {**dict.fromkeys(polars_schema("raw_images")), "path": file.path, "role": role}
    row["size_bytes"] = file.size_bytes
    found = (file.reason, file.detail) if file.reason else size_reason(file.size_bytes, role, config)
    data = None
    if found is None:
        try:
            data, pin = source.read(file)
        except NotRead as error:
            found = (error.reason, str(error))
        else:
            found = content_reason(data, role)
            row |= content.keep(data, pin, mode=config.source.mode)
            row["format"] = sniff(data[:SNIFF_BYTES]) if role == "image" else None
    row["reason"], row["detail"] = found or (None, None)
    at_hand = data if config.source.mode == "reference" or not content.is_local else None
    return Taken(row, file.stamp, at_hand)
