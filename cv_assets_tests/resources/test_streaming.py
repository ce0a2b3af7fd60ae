"""Objects as files: what they hold, and what is said where one is missing, or fails while it is read."""

import errno
import os

import pytest

from cv_assets.domain.digests import bytes_digest
from resources.object_store import open_store
from resources.streaming import opened, size_and_hash
from schemas.errors import StoreError

DATA = bytes(range(256)) * 4_000  # more than is read at once


def test_an_object_is_read_as_a_file_wherever_the_store_is(any_store):
    any_store.put("a/b", DATA)
    with opened(any_store, "a/b") as file:
        assert (file.read(300), file.seek(-10, os.SEEK_END), file.read()) == (DATA[:300], len(DATA) - 10, DATA[-10:])
    assert size_and_hash(any_store, "a/b") == (len(DATA), bytes_digest(DATA))


def test_one_that_is_missing_is_an_error(any_store):
    any_store.put("a/b", b"")
    for key in ("b", "a", "a/b/c"):
        with pytest.raises(StoreError, match=f"expected an object at {key} in "):
            size_and_hash(any_store, key)
    assert size_and_hash(any_store, "a/b") == (0, bytes_digest(b""))


def test_a_disk_that_fails_while_a_file_is_read_is_an_error_of_the_store(tmp_path):
    store = open_store(str(tmp_path))
    store.put("a", DATA)
    with pytest.raises(StoreError, match=r"cannot read a in .*: Input/output error; mend that"), opened(store, "a"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
