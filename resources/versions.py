"""What a version keeps in the store, and under which keys: tables, verdicts, shards, the commit record."""

import hashlib
import io
import re
from typing import Final, Literal, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from cv_assets.domain.digests import bytes_digest
from cv_assets.domain.versions import check_version
from resources.object_store import ObjectStore
from schemas.errors import CorruptObject, StoreError, VersionConflict
from schemas.releases import AssetVerdicts, CommitRecord, Making, ObjectEntry, Record

COMMIT: Final = "COMMIT.json"
_NAME: Final = "cv_assets.table"
_HASH: Final = "cv_assets.sha256"
_UNSET: Final = b"0" * 64
# in the footer, key and value stand next to each other, with the value's length between them
_HASH_PLACE: Final = re.compile(rb"\A(.*cv_assets\.sha256[^0-9a-f]{1,4}?)([0-9a-f]{64})", re.DOTALL)  # the last one

AnyRecord = TypeVar("AnyRecord", bound=Record)


class VersionStore:
    """The records of one version of one dataset. What the commit record names is not changed any more."""

    def __init__(self, store: ObjectStore, dataset: str, version: str) -> None:
        self._store = store
        self.dataset, self.version = dataset, check_version(version)
        self._prefix = f"{versions_prefix(dataset)}/{version}"

    def table_key(self, name: str) -> str:
        """Key of a table."""
        return f"{self._prefix}/tables/{name}.parquet"

    def shard_key(self, shard_format: str, file_name: str) -> str:
        """Key of a shard file or its index."""
        return f"{self._prefix}/shards/{shard_format}/{file_name}"

    @property
    def commit_key(self) -> str:
        """Key of the commit record."""
        return f"{self._prefix}/{COMMIT}"

    def save_table(self, name: str, frame: pl.DataFrame, *, write_once: bool = False) -> None:
        """Write a table as one Parquet object, all of it or nothing.

        Raises VersionConflict if it would change a table that is written once or that the commit record names.
        """
        if write_once or self.commit() is not None:
            found = self.find_table(name)
            # by content, not by bytes: another release of the encoder may spell the same table differently
            if found is None or not found.equals(frame):
                self._store.put_new(self.table_key(name), table_bytes(frame, name))
        else:
            self._store.put(self.table_key(name), table_bytes(frame, name))

    def load_table(self, name: str) -> pl.DataFrame:
        """A table. Raises StoreError if it was never written, CorruptObject if its bytes are damaged."""
        found = self.find_table(name)
        if found is None:
            raise StoreError(
                f"expected table {name} of {self.dataset}@{self.version}, found none; materialize {self.dataset}/{name} first"
            )
        return found

    def find_table(self, name: str) -> pl.DataFrame | None:
        """A table, or None if it was never written. Raises CorruptObject."""
        data = self._store.find(self.table_key(name))
        if data is None:
            return None
        try:
            return read_table(data, name)
        except CorruptObject as error:
            raise CorruptObject(f"{self.table_key(name)} is damaged: {error}; materialize it again") from error

    def save_verdicts(self, verdicts: AssetVerdicts) -> None:
        """Keep what the checks of one asset found; refuses to change what a commit record was written upon."""
        key, data = self._verdicts_key(verdicts.asset), verdicts.to_bytes()
        committed = self.commit() is not None
        if not committed or (found := self._store.find(key)) is None:
            self._store.put(key, data)
        elif found != data:
            raise VersionConflict(
                f"the checks of {verdicts.asset} now find something else about {self.dataset}@{self.version}, "
                "which is committed; its verdicts stay as they were. Look at what the check saw, then make a new version"
            )

    def find_verdicts(self, asset: str) -> AssetVerdicts | None:
        """What the checks of an asset found, or None if they never ran."""
        data = self._store.find(self._verdicts_key(asset))
        return None if data is None else _parse(AssetVerdicts, data, self._verdicts_key(asset))

    def save_making(self, making: Making) -> None:
        """Keep what a table was made from; that of a committed version stays as it is."""
        if self.commit() is None:
            self._store.put(self._making_key(making.asset), making.to_bytes())

    def find_making(self, asset: str) -> Making | None:
        """What a table was made from, or None if it never was."""
        data = self._store.find(self._making_key(asset))
        return None if data is None else _parse(Making, data, self._making_key(asset))

    def remove_shards_but(self, shard_format: str, file_names: set[str]) -> None:
        """Remove what an earlier packing left in the folder of a format; a reader may glob it. Only while open."""
        for key in self._store.keys(f"{self._prefix}/shards/{shard_format}"):
            if key.rsplit("/", 1)[-1] not in file_names and self.commit() is None:
                self._store.delete(key)

    def put_shard(self, shard_format: str, file_name: str, data: bytes) -> str:
        """Write a shard or an index and return its key; one that a commit record names is never changed."""
        key = self.shard_key(shard_format, file_name)
        if self.commit() is None:
            self._store.put(key, data)
        else:
            self._store.put_new(key, data)
        return key

    def describe_object(self, key: str, role: Literal["table", "shard", "index"]) -> ObjectEntry:
        """Size and hash of an object as it is stored. Raises StoreError if it is missing."""
        data = self._store.get(key)
        return ObjectEntry(key=key, size_bytes=len(data), sha256=bytes_digest(data), role=role)

    def require_shard(self, entry: ObjectEntry) -> ObjectEntry:
        """The entry of a shard that is stored with its size; its hash was read back by the gates. Raises StoreError."""
        size_bytes = self._store.size(entry.key)
        if size_bytes != entry.size_bytes:
            found = "none" if size_bytes is None else f"{size_bytes} bytes"
            raise StoreError(
                f"expected {entry.key} with {entry.size_bytes} bytes, found {found}; materialize shards again, with its checks"
            )
        return entry

    def publish(self, record: CommitRecord) -> None:
        """Write the commit record, last and once; a record of the same content is left as it is.

        Raises VersionConflict if the version is committed with other content.
        """
        found = self.commit()
        if found is None or found.digest != record.digest:
            self._store.put_new(self.commit_key, record.to_bytes())

    def commit(self) -> CommitRecord | None:
        """The commit record, or None while the version is open. Raises CorruptObject."""
        data = self._store.find(self.commit_key)
        return None if data is None else _parse(CommitRecord, data, self.commit_key)

    def _making_key(self, asset: str) -> str:
        return f"{self._prefix}/made/{asset}.json"

    def _verdicts_key(self, asset: str) -> str:
        return f"{self._prefix}/verdicts/{asset}.json"


def _parse(kind: type[AnyRecord], data: bytes, key: str) -> AnyRecord:
    try:
        return kind.from_bytes(data)
    except ValidationError as error:
        raise CorruptObject(
            f"{key} is not a {kind.__name__} that this release can read ({error.error_count()} errors); "
            "restore it from a copy of the store, or, while the version is open, materialize what it is about again"
        ) from error


def versions_prefix(dataset: str) -> str:
    """Folder that holds every version of a dataset."""
    return f"datasets/{dataset}/versions"


def table_bytes(frame: pl.DataFrame, name: str = "") -> bytes:
    """A frame as Parquet: zstd, a checksum a page, and in the footer the table's name and a SHA-256 of the whole file.

    Page checksums leave the footer open: a flipped bit there reads as fewer rows, or ends the process.
    """
    marked = frame.to_arrow().replace_schema_metadata({_NAME: name, _HASH: _UNSET})
    out = io.BytesIO()
    pq.write_table(marked, out, compression="zstd", write_page_checksum=True)
    data = out.getvalue()
    return _set_hash(data, hashlib.sha256(data).hexdigest().encode())


def read_table(data: bytes, name: str = "") -> pl.DataFrame:
    """Inverse of `table_bytes`. Raises CorruptObject if a bit differs, or if it is the table of another name."""
    said = _HASH_PLACE.search(data)
    if said is None or hashlib.sha256(_set_hash(data, _UNSET)).hexdigest().encode() != said[2]:
        raise CorruptObject("its bytes are not the bytes that were written")
    table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
    found = (table.schema.metadata or {}).get(_NAME.encode(), b"").decode()
    if found != name:
        raise CorruptObject(f"it holds the table {found!r}, not {name!r}")
    frame = pl.from_arrow(table.replace_schema_metadata(None))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _set_hash(data: bytes, value: bytes) -> bytes:
    return _HASH_PLACE.sub(lambda found: found[1] + value, data, count=1)


def list_versions(store: ObjectStore, dataset: str) -> list[str]:
    """Names of all versions that keep anything in the store, committed or open."""
    return store.folders(versions_prefix(dataset))
