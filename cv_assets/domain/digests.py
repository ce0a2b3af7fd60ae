"""Digests of content: the same for equal content, whatever wrote it and in whichever order its keys stand."""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl


def bytes_digest(data: bytes) -> str:
    """SHA-256 of some bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


class RunningDigest:
    """Size and SHA-256 of an object whose parts pass one by one."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def passing(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The same parts, each counted as it is handed on."""
        for part in parts:
            self._hash.update(part)
            self.size_bytes += len(part)
            yield part

    def sha256(self) -> str:
        """The hash of what has passed so far, in hex."""
        return self._hash.hexdigest()


def table_digest(frame: pl.DataFrame) -> str:
    """SHA-256 in hex over the rows as JSON lines; independent of the Parquet encoder and its version."""
    out = io.BytesIO()  # as a string it would be decoded and encoded once more
    frame.write_ndjson(out)
    return hashlib.sha256(out.getbuffer()).hexdigest()


def record_digest(record: Any) -> str:
    """SHA-256 in hex over plain data as canonical JSON."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
