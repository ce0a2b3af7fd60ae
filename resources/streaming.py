"""Objects as files: on local disk a shard is read as it is asked for, and is never in memory as a whole."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BytesIO

from resources.object_store import ObjectStore
from schemas.errors import StoreError


@contextmanager
def opened(store: ObjectStore, key: str) -> Iterator[BufferedIOBase]:
    """An object as a file to read; one of a remote store is fetched whole before.

    Raises StoreError if it is missing or cannot be read, also while it is read.
    """
    name = store.local_name(key)
    if name is None or not os.path.isfile(name):  # noqa: PTH113 - and what is missing is said as everywhere
        yield BytesIO(store.get(key))
        return
    try:
        with open(name, "rb") as file:  # noqa: PTH123 - a Path is made for nothing
            yield file
    except OSError as error:
        raise StoreError(f"cannot read {key} in {store.url}: {error.strerror}; mend that, then run again") from error


def size_and_hash(store: ObjectStore, key: str) -> tuple[int, str]:
    """Size in bytes and SHA-256 of an object as it is stored. Raises what `opened` does."""
    with opened(store, key) as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return file.seek(0, os.SEEK_END), sha256
