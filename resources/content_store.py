"""Blobs by SHA-256: uploads are copied here once, and everything later reads only from here."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from resources.engine import Answer, Engine, Item
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
        """Keep `data` and return its SHA-256 in hex. Bytes that are there already are not written again.

        On local disk the bytes there are compared, so that a rotten blob is healed by the next sound upload of it.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        key = blob_key(sha256)
        there = self._store.find(key) == data if self._store.local_path(key) else self._store.size(key) == len(data)
        if not there:
            self._store.put(key, data)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The bytes with this hash. Raises StoreError if they are gone, CorruptObject if they changed."""
        key = blob_key(sha256)
        data = self._store.get(key)
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise _corrupt(sha256, found)
        return data

    def decode(
        self, engine: Engine, do: str, arguments: dict[str, Any], blobs: Iterable[str]
    ) -> Iterator[tuple[str, Answer]]:
        """Each blob with what a decoding worker answers of it (resources/worker.py), in order.

        Raises CorruptObject if what was decoded is not what the hash names, StoreError if a blob is gone.
        """
        for item, answer in engine.run(do, arguments, map(self._as_item, blobs)):
            # a worker that died or ran out of time has no hash to tell
            if answer.get("sha256", item.key) != item.key:
                raise _corrupt(item.key, answer["sha256"])
            yield item.key, answer

    def _as_item(self, sha256: str) -> Item:
        path = self._store.local_path(blob_key(sha256))
        return Item(sha256, path if path is not None else lambda: self.read(sha256))


def _corrupt(sha256: str, found: str) -> CorruptObject:
    return CorruptObject(
        f"expected {blob_key(sha256)} to hold bytes with that hash, found sha256 {found}; "
        "restore the blob from the upload or from a copy (a new version of the sound upload does), then run again"
    )
