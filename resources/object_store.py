"""Named bytes: one small interface over local disk, S3 and memory. Keys come from us, never from an upload."""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, MemoryStore, from_url

from schemas.errors import ConfigurationError, StoreError, VersionConflict

REMOTE_SCHEMES: Final = frozenset({"s3", "s3a", "gs", "az", "memory"})


class ObjectStore:
    """Put, get and list objects below one root. A put is atomic: a reader sees the whole object or none."""

    def __init__(self, url: str, backend: obstore.store.ObjectStore, root: Path | None) -> None:
        self.url = url
        self._backend, self._root = backend, root

    def put(self, key: str, data: bytes) -> None:
        """Write an object, replacing what is there. Raises StoreError."""
        self._put(key, data, "overwrite")

    def put_new(self, key: str, data: bytes) -> None:
        """Write an object that must not exist yet, or exists with the same bytes.

        Raises VersionConflict if it holds other bytes; of several writers at once exactly one wins.
        """
        try:
            self._put(key, data, "create")
        except AlreadyExistsError:
            found = self.get(key)
            if found != data:
                raise VersionConflict(
                    f"expected {key} to be new, or to hold the same content (sha256 {_sha256(data)}); "
                    f"found other content there (sha256 {_sha256(found)}). It is never overwritten: use a new version name"
                ) from None

    def get(self, key: str) -> bytes:
        """Bytes of an object. Raises StoreError if it is missing or cannot be read."""
        found = self.find(key)
        if found is None:
            raise StoreError(f"expected an object at {key} in {self.url}, found none")
        return found

    def find(self, key: str) -> bytes | None:
        """Bytes of an object, or None if there is none."""
        local = self.local_path(key)
        try:
            # an object appears whole, so a file can be read directly; through obstore it costs four times as much
            return local.read_bytes() if local else obstore.get(self._backend, key).bytes().to_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except (BaseError, OSError) as error:
            raise StoreError(f"cannot read {key} in {self.url}: {_first_line(error)}") from error

    def size(self, key: str) -> int | None:
        """Size of an object in bytes, or None if there is none."""
        try:
            return obstore.head(self._backend, key)["size"]
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise StoreError(f"cannot look up {key} in {self.url}: {_first_line(error)}") from error

    def delete(self, key: str) -> None:
        """Remove an object that no commit record names. Raises StoreError."""
        try:
            obstore.delete(self._backend, key)
        except (BaseError, OSError) as error:
            raise StoreError(f"cannot delete {key} in {self.url}: {_first_line(error)}") from error

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys below a prefix (whole folder names), sorted."""
        pages = obstore.list(self._backend, prefix)
        yield from sorted(entry["path"] for page in pages for entry in page)

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right below a prefix, sorted."""
        found = obstore.list_with_delimiter(self._backend, prefix)["common_prefixes"]
        return sorted(folder.rstrip("/").rsplit("/", 1)[-1] for folder in found)

    def local_path(self, key: str) -> Path | None:
        """Where an object lies on this machine's disk, or None if the store is elsewhere. Raises StoreError for an odd key."""
        if not {"", ".", ".."}.isdisjoint(key.split("/")):
            raise StoreError(f"expected a key of folders and a name below the store's root, found {key!r}")
        return None if self._root is None else self._root / key

    def _put(self, key: str, data: bytes, mode: str) -> None:
        try:
            # one request, so that the object appears at once and create-only holds; objects here are at most one shard
            obstore.put(self._backend, key, data, mode=mode, use_multipart=False)  # type: ignore[arg-type]
        except AlreadyExistsError:
            raise
        except (BaseError, OSError, ValueError) as error:
            raise StoreError(f"cannot write {key} ({len(data)} bytes) to {self.url}: {_first_line(error)}") from error


def open_store(url: str) -> ObjectStore:
    """The store behind a URL: a local path, `file://`, `memory://` or `s3://bucket/prefix`.

    A local folder is made. Raises ConfigurationError for anything else.
    """
    parts = urlsplit(url)
    if parts.scheme in REMOTE_SCHEMES:
        try:
            return ObjectStore(url, _memory(url) if parts.scheme == "memory" else from_url(url), None)
        except (BaseError, ValueError) as error:
            raise ConfigurationError(
                f"cannot use the store {url!r}: {_first_line(error)}; correct CV_ASSETS_STORE"
            ) from error
    if parts.scheme not in {"", "file"}:
        raise ConfigurationError(f"expected a store URL with file:// or s3://, or a local path; found {url!r}")
    root = Path(unquote(parts.path) if parts.scheme == "file" else url).expanduser().absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the store's folder {root}: {error.strerror}; set CV_ASSETS_STORE"
        ) from error
    return ObjectStore(str(root), LocalStore(prefix=root), root)


@cache
def _memory(url: str) -> MemoryStore:
    """One store a URL, so that what is put there can be found again."""
    return MemoryStore()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _first_line(error: BaseException) -> str:
    # obstore appends its debug view of the error, which repeats it at length
    return str(error).split("\n", 1)[0]
