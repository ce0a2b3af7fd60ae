"""Bugs that are planted on purpose, to prove that the harness catches them. They change a child of publisher.py, no more.

Each is a mistake that has been made in such code: see the tests in test_planted_bugs.py for what catches it.
"""

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from obstore.exceptions import AlreadyExistsError

import resources.local_disk
import resources.object_store
from resources.object_store import ObjectStore, Stored
from resources.versions import VersionStore
from schemas.errors import VersionConflict

Change = Any  # ruff and pyright do not follow what is put in the place of a method


def commit_first() -> None:
    """Tables and shards are written after the commit record that names them."""
    held: dict[str, bytes] = {}
    true_put, true_put_new, true_find, true_look, true_flush = (
        ObjectStore.put_parts, ObjectStore.put_new, ObjectStore.find, ObjectStore.look, ObjectStore.flush,
    )  # fmt: skip

    def put_parts(self: ObjectStore, key: str, parts: Iterable[bytes], *, size_bytes: int | None = None) -> None:
        if "/shards/" in key or key.endswith(".parquet"):
            held[key] = b"".join(parts)
        else:
            true_put(self, key, parts, size_bytes=size_bytes)

    def put_new(self: ObjectStore, key: str, data: bytes) -> None:
        true_put_new(self, key, data)
        if key.endswith("COMMIT.json"):
            for late, bytes_ in held.items():
                true_put(self, late, [bytes_])

    def find(self: ObjectStore, key: str) -> bytes | None:
        return held[key] if key in held else true_find(self, key)

    def look(self: ObjectStore, key: str) -> Stored | None:
        return Stored(key, len(held[key]), datetime.now(UTC), None) if key in held else true_look(self, key)

    def flush(self: ObjectStore, hashes: Any, *, at_once: bool = False) -> None:
        true_flush(self, {key: sha256 for key, sha256 in hashes.items() if key not in held}, at_once=at_once)

    _change(ObjectStore, put_parts=put_parts, put_new=put_new, find=find, look=look, flush=flush)


def no_flush() -> None:
    """Nothing is flushed before the commit record."""
    _change(resources.object_store, flush=lambda hashes, *, root, at_once: [])


def no_fsync() -> None:
    """What is created once is not flushed either."""
    _change(os, fsync=lambda descriptor: None)


def rename_for_link() -> None:
    """A file is created by `rename`, which replaces what is there."""

    def link(source: Any, target: Any) -> None:
        if os.path.exists(target):  # noqa: PTH110 - looked first, as such code does
            raise FileExistsError(target)
        os.replace(source, target)  # noqa: PTH105

    _change(os, link=link)


def exists_is_failure() -> None:
    """An object that is there already is taken for another writer's, also if it is our own whose reply was lost."""

    def put_new(self: Change, key: str, data: bytes) -> None:
        try:
            self._create(key, data)
        except (AlreadyExistsError, FileExistsError) as error:
            raise VersionConflict(f"{key} exists") from error

    def publish(self: Change, record: Any, blobs: Any = MappingProxyType({})) -> None:
        self.store.flush({entry.key: entry.sha256 for entry in record.objects} | blobs)
        put_new(self.store, self.commit_key, record.to_bytes())

    _change(ObjectStore, put_new=put_new)
    _change(VersionStore, publish=publish)


def exists_is_success() -> None:
    """An object that is there already is taken for our own, also if it is another writer's."""

    def put_new(self: Change, key: str, data: bytes) -> None:
        try:
            self._create(key, data)
        except (AlreadyExistsError, FileExistsError):
            return

    def publish(self: Change, record: Any, blobs: Any = MappingProxyType({})) -> None:
        put_new(self.store, self.commit_key, record.to_bytes())

    _change(ObjectStore, put_new=put_new, require_create_only=lambda self: None)
    _change(VersionStore, publish=publish)


def _change(owner: Any, **members: Any) -> None:
    for name, member in members.items():
        assert hasattr(owner, name), f"{owner} has no {name} any more: the planted bug is none"
        setattr(owner, name, member)


BUGS: Final[dict[str, Callable[[], None]]] = {
    bug.__name__: bug
    for bug in (
        commit_first, no_flush, no_fsync, rename_for_link, exists_is_failure, exists_is_success,
    )
}  # fmt: skip
