"""Blobs by SHA-256: uploads are copied here once, and everything later reads only from here."""

import hashlib
from pathlib import Path

from resources.engine import Item
from resources.object_store import ObjectStore
from schemas.errors import CorruptObject


def blob_key(sha256: str) -> str:
    """Key of a blob, spread over 256 folders."""
    return f"blobs/sha256/{sha256[:2]}/{sha256}"


class ContentStore:
    """Bytes that are named by their hash, kept once."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def add(self, data: bytes) -> str:
        """Keep `data` and return its SHA-256 in hex. Bytes that are there already are not written again."""
        sha256 = hashlib.sha256(data).hexdigest()
        key = blob_key(sha256)
        if self._store.size(key) != len(data):
            self._store.put(key, data)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The bytes with this hash. Raises StoreError if they are gone, CorruptObject if they changed."""
        key = blob_key(sha256)
        data = self._store.get(key)
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise CorruptObject(
                f"expected {key} to hold bytes with that hash, found sha256 {found} ({len(data)} bytes); "
                "restore the blob from the upload or from a copy, then run again"
            )
        return data

    def as_item(self, sha256: str) -> Item:
        """A blob for a decoding worker: its path on local disk, else a function that fetches it."""
        path: Path | None = self._store.local_path(blob_key(sha256))
        return Item(sha256, path if path is not None else lambda: self.read(sha256))
