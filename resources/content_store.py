"""Images by the SHA-256 of their bytes: uploads are kept here once, or left where they are and pinned."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, Literal, NamedTuple

import polars as pl

from cv_assets.domain.digests import bytes_digest
from resources.engine import Answer, Engine, Item
from resources.local_disk import find_sizes
from resources.object_store import ObjectStore
from resources.parallel import bounded_map
from resources.source import LocalSource, Source, open_source
from schemas.errors import CorruptObject, SourceChanged, SourceGone, StoreError

# requests under way at once: a store answers many at a time, a disk does not need it
REMOTE_THREADS: Final = 16
BLOBS: Final = "blobs/sha256"


def blob_key(sha256: str) -> str:
    """Key of a blob, spread over 256 folders."""
    return f"{BLOBS}/{sha256[:2]}/{sha256}"


class ContentStore:
    """Bytes that are named by their hash, kept once."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def add(self, data: bytes) -> str:
        """Keep `data` and return its SHA-256 in hex. Bytes that are there already are not written again.

        On local disk the bytes there are compared, so that a rotten blob is healed by the next sound upload of it.
        """
        sha256 = bytes_digest(data)
        key = blob_key(sha256)
        there = self._store.find(key) == data if self._store.is_local else self._store.size(key) == len(data)
        if not there:
            self._store.put(key, data)
        return sha256

    def keep(self, data: bytes, pin: str, *, mode: Literal["copy", "reference"]) -> dict[str, str | None]:
        """What raw_images says of where bytes are: copied here under their `sha256`, or left under their `pin`."""
        if mode == "reference":
            return {"sha256": bytes_digest(data), "pin": pin}
        return {"sha256": self.add(data), "pin": None}

    @property
    def is_local(self) -> bool:
        """Are the bytes read from files of this machine?"""
        return self._store.is_local

    def has(self, blobs: pl.DataFrame) -> pl.Series:
        """For each row of a table with the columns sha256 and size_bytes: is its blob there with that size?"""
        return self._find_sizes(blobs["sha256"]).eq_missing(blobs["size_bytes"])

    def held(self, files: pl.DataFrame) -> set[str]:
        """Hashes of the files of a table with the columns sha256 and size_bytes whose blob is there with that size."""
        hashed = files.drop_nulls("sha256")
        return set(hashed.filter(self.has(hashed))["sha256"])

    def _find_sizes(self, hashes: pl.Series) -> pl.Series:
        """Size in bytes of the blob with each hash, null where there is none."""
        folder = self._store.local_path(BLOBS)
        if folder is None:
            asked = hashes.unique().to_list()
            sizes = bounded_map(self._store.size, map(blob_key, asked), threads=REMOTE_THREADS)
            size_of = dict(zip(asked, sizes, strict=True))
            return pl.Series([size_of[sha256] for sha256 in hashes], dtype=pl.Int64)
        within = pl.select(pl.concat_str(hashes.str.head(2), pl.lit("/"), hashes)).to_series()
        try:
            return find_sizes(folder, within)
        except OSError as error:
            raise StoreError(f"cannot look for images in {folder}: {error}; let this user enter its folders") from error

    def read(self, sha256: str) -> bytes:
        """The bytes with this hash. Raises StoreError if they are gone, CorruptObject if they changed."""
        found = self._store.read(blob_key(sha256), lambda data: _checked(sha256, data))
        if found is None:
            raise StoreError(f"expected an object at {blob_key(sha256)} in {self._store.url}, found none")
        return found

    def decode(
        self, engine: Engine, do: str, arguments: dict[str, Any], blobs: Iterable[str]
    ) -> Iterator[tuple[str, Answer]]:
        """Each blob with what a decoding worker answers of it (resources/worker.py), in order.

        Raises CorruptObject if what was decoded is not what the hash names, StoreError if a blob is gone.
        """
        yield from decode_items(engine, do, arguments, map(self.item, blobs))

    def item(self, sha256: str) -> Item:
        """A blob as decoding workers take it: by its path on local disk, else by its bytes."""
        path = self._store.local_name(blob_key(sha256))
        return Item(sha256, path if path is not None else lambda: self.read(sha256))


class PinnedFile(NamedTuple):
    """A file of the source as it was when it was hashed: its path, how to ask for it again, its size in bytes, its SHA-256."""

    path: str
    pin: str
    size_bytes: int
    sha256: str


class PinnedContent(ContentStore):
    """Bytes that stayed in the source: each hash with every file in which it was found."""

    def __init__(self, store: ObjectStore, source: Source, files: Iterable[PinnedFile]) -> None:
        super().__init__(store)
        self._source, self._files = source, dict[str, list[PinnedFile]]()
        for file in files:
            self._files.setdefault(file.sha256, []).append(file)

    @property
    def is_local(self) -> bool:
        """Are the bytes read from files of this machine?"""
        return isinstance(self._source, LocalSource)

    def files(self) -> list[PinnedFile]:
        """Every file that was pinned; those with the same bytes stand together."""
        return [file for alike in self._files.values() for file in alike]

    def read(self, sha256: str) -> bytes:
        """The bytes with this hash, from the first file that still has them.

        Raises SourceChanged if none has, SourceError if the source cannot be asked.
        """
        first, *others = self._files[sha256]
        try:
            return self.read_file(first)
        except SourceChanged as error:
            for file in others:
                with suppress(SourceChanged):
                    return self.read_file(file)
            if not others:
                raise
            also = f"{len(others)} more held the same bytes and do not either, such as {others[0].path}"
            raise type(error)(f"{error} ({also})") from error

    def read_file(self, file: PinnedFile) -> bytes:
        """The bytes of this file. Raises SourceChanged if they are not what they were, SourceError."""
        data = self._source.read_pinned(file.path, file.pin, file.size_bytes)
        found = bytes_digest(data)
        if found != file.sha256:
            raise SourceChanged(
                f"expected {file.path} to hold the bytes that were pinned (sha256 {file.sha256}), found sha256 {found}; "
                "put them back, or begin a new version"
            )
        return data

    def size_file(self, file: PinnedFile) -> int:
        """Size of this file in bytes. It is read only if its pin no longer tells. Raises what `read_file` does."""
        try:
            return self._source.size_pinned(file.path, file.pin)
        except SourceGone:
            raise
        except SourceChanged:
            return len(self.read_file(file))

    def item(self, sha256: str) -> Item:
        """An image as decoding workers take it: by its bytes, for its path may lead elsewhere by now."""
        return Item(sha256, lambda: self.read(sha256))


def pinned_content(store: ObjectStore, source_url: str, snapshot: pl.DataFrame) -> PinnedContent | None:
    """Where the bytes of a version are read from that stayed in the source; None if it has none.

    `source_url` is all that is needed of the configuration: of a commit record's, which another release may have spelled, no
    more has to be understood. Raises ConfigurationError if nothing can be at that URL.
    """
    pinned = snapshot.filter(pl.col("pin").is_not_null() & pl.col("sha256").is_not_null())
    if pinned.is_empty():
        return None
    files = map(PinnedFile._make, pinned.select(PinnedFile._fields).iter_rows())
    return PinnedContent(store, open_source(source_url), files)


def contents_of(store: ObjectStore, source_url: str, snapshot: pl.DataFrame) -> ContentStore:
    """Where the bytes of a version are read from: its RawImages table says whether they were copied or pinned.

    Raises what `pinned_content` does.
    """
    return pinned_content(store, source_url, snapshot) or ContentStore(store)


def decode_items(
    engine: Engine, do: str, arguments: dict[str, Any], items: Iterable[Item]
) -> Iterator[tuple[str, Answer]]:
    """Each item, named by its hash, with what a decoding worker answers of it. Raises CorruptObject for other bytes."""
    for item, answer in engine.run(do, arguments, items):
        # a worker that died or ran out of time has no hash to tell
        if answer.get("sha256", item.key) != item.key:
            raise _corrupt(item.key, answer["sha256"])
        yield item.key, answer


def _checked(sha256: str, data: bytes) -> bytes:
    found = bytes_digest(data)
    if found != sha256:
        raise _corrupt(sha256, found)
    return data


def _corrupt(sha256: str, found: str) -> CorruptObject:
    return CorruptObject(
        f"expected {blob_key(sha256)} to hold bytes with that hash, found sha256 {found}; "
        "mend a committed version that has the image with `cv-assets repair`. If none has it, delete that object and begin "
        "a new version: what is gone is read from the source again"
    )
