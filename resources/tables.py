"""How a table is spelled as one Parquet file that tells when a bit of it has changed. Where it is kept is not said here."""

import hashlib
import io
import re
from dataclasses import dataclass
from typing import Final

import polars as pl
import pyarrow.parquet as pq

from cv_assets.domain.digests import bytes_digest, table_digest
from schemas.errors import CorruptObject
from schemas.releases import ObjectEntry

_NAME: Final = "cv_assets.table"
_HASH: Final = "cv_assets.sha256"
_UNSET: Final = b"0" * 64
# in the footer, key and value stand next to each other, with the value's length between them
_HASH_PLACE: Final = re.compile(rb"\A(.*cv_assets\.sha256[^0-9a-f]{1,4}?)([0-9a-f]{64})", re.DOTALL)  # the last one
# the part of a file's hash that stands in its name → digest of the rows that were read from it
_digests: dict[str, str] = {}
_MOST_DIGESTS: Final = 4_096


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table as it was read from the store, and the object that it was read from."""

    frame: pl.DataFrame
    entry: ObjectEntry

    @property
    def digest(self) -> str:
        """`table_digest` of the rows, found once for the same file: a run asks a dozen times for that of each table."""
        told = _told(self.entry.sha256)
        found = _digests.get(told)
        if found is None:
            if len(_digests) >= _MOST_DIGESTS:
                _digests.clear()
            found = _digests[told] = table_digest(self.frame)
        return found


def table_file(table: str, sha256: str) -> str:
    """Name of the file of a table with this SHA-256: it tells its content."""
    return f"{table}-{_told(sha256)}.parquet"


def table_of(key: str) -> str:
    """The table that a key with such a name at its end is of."""
    return key.rsplit("/", 1)[-1].rpartition("-")[0]


def known_digest(file: str) -> str | None:
    """Digest of the rows in a file with this name, if they were read by this process before."""
    return _digests.get(file.removesuffix(".parquet").rpartition("-")[2])


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
    found = pl.read_parquet_metadata(data).get(_NAME, "")
    if found != name:
        raise CorruptObject(f"it holds the table {found!r}, not {name!r}")
    return pl.read_parquet(data)


def read_stored(data: bytes, name: str, key: str) -> StoredTable:
    """A table with the object that it was read from. Raises what `read_table` does, and if the key tells other content."""
    frame, sha256 = read_table(data, name), bytes_digest(data)
    if not key.endswith(f"/{table_file(name, sha256)}"):
        raise CorruptObject("it holds another table than its name tells")
    return StoredTable(frame, ObjectEntry(key=key, size_bytes=len(data), sha256=sha256, role="table"))


def _told(sha256: str) -> str:
    """The part of a file's hash that its name tells."""
    return sha256[:16]


def _set_hash(data: bytes, value: bytes) -> bytes:
    return _HASH_PLACE.sub(lambda found: found[1] + value, data, count=1)
