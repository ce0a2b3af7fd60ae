"""Digests of content: the same for equal content, whatever wrote it and in whichever order its keys stand."""

import hashlib
import io
import json
from typing import Any

import polars as pl


def bytes_digest(data: bytes) -> str:
    """SHA-256 of some bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def table_digest(frame: pl.DataFrame) -> str:
    """SHA-256 in hex over the rows as JSON lines; independent of the Parquet encoder and its version."""
    out = io.BytesIO()  # as a string it would be decoded and encoded once more
    frame.write_ndjson(out)
    return hashlib.sha256(out.getbuffer()).hexdigest()


def record_digest(record: Any) -> str:
    """SHA-256 in hex over plain data as canonical JSON."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
