"""Named bytes: one small interface over local disk, S3 and memory. Keys come from us, never from an upload."""

import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from cv_assets.domain.digests import bytes_digest
from resources.backends import Backends, local_backends, remote_backends
from resources.keys import require_key
from resources.local_disk import create_durably, flush, is_leftover, read_file, replace
from resources.pages import list_objects
from resources.retrying import in_words, is_passing, is_refusal, persist, receive
from resources.urls import is_remote, local_root
from schemas.errors import (
    CommitStateUnknown,
    ConfigurationError,
    CorruptObject,
    ObjectsLost,
    StoreError,
    StoreRefused,
    StoreUnavailable,
    VersionConflict,
)

_FAILURES: Final = (BaseError, OSError, ValueError)
_ABSENT: Final = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
_proven: set[str] = set()  # URLs of stores that were seen to honour create-only writes

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Stored:
    """What a store says of an object: size in bytes, and when it was written, by the store's own clock."""

    key: str
    size_bytes: int
    modified: datetime
    etag: str | None


class ObjectStore:
    """Put, get and list objects below one root. A put is atomic: a reader sees the whole object or none.

    Requests to a remote store are tried again until a deadline; what the store refuses is raised at once. Every method
    raises StoreRefused, StoreUnavailable, or StoreError for what this machine's disk does not do.
    """

    def __init__(self, url: str, backends: Backends, root: Path | None) -> None:
        self.url, self._root, self._deadline_seconds = url, root, backends.deadline_seconds
        self._backends, self._backend = backends, backends.asking()

    @property
    def is_local(self) -> bool:
        """Is it a folder of this machine?"""
        return self._root is not None

    def put(self, key: str, data: bytes) -> None:
        """Write an object, replacing what is there. On local disk it is durable after `flush`."""
        self.put_parts(key, [data], size_bytes=len(data))

    def put_parts(self, key: str, parts: Iterable[bytes], *, size_bytes: int | None = None) -> None:
        """`put` of what comes part by part, on local disk never in memory as a whole; a size that is known is told in errors."""
        if (local := self.local_name(key)) is not None:
            what = f"write {key} to" if size_bytes is None else f"write {key} ({size_bytes} bytes) to"
            self._ask(what, lambda: replace(local, parts))
        else:
            self._send(key, b"".join(parts), "overwrite")

    def put_new(self, key: str, data: bytes) -> None:
        """Write an object that must not exist yet, or exists with the same bytes; on local disk it is durable at once.

        Raises VersionConflict if it holds other bytes: of several writers at once exactly one wins. Raises
        CommitStateUnknown if no answer came and none can be had.
        """
        try:
            self._create(key, data)
        except (AlreadyExistsError, FileExistsError):
            self._compare(key, data, self.get(key))
            self.flush({key: bytes_digest(data)})  # the writer that came first may not have got so far
        except StoreUnavailable as error:
            self._resolve(key, data, error)

    def get(self, key: str) -> bytes:
        """Bytes of an object. Raises StoreError if it is missing or cannot be read."""
        if (found := self.find(key)) is None:
            raise StoreError(f"expected an object at {key} in {self.url}, found none")
        return found

    def find(self, key: str) -> bytes | None:
        """Bytes of an object, or None if there is none."""
        # an object appears whole, so a file can be read directly; through obstore it costs four times as much
        local = self.local_name(key)
        try:
            return self._ask(
                f"read {key} in", lambda: read_file(local) if local else self._fetch(key), may_be_absent=True
            )
        except _ABSENT:
            return None

    def read(self, key: str, parse: Callable[[bytes], Result]) -> Result | None:
        """What `parse` makes of an object, or None if there is none.

        Bytes that came over a network and that `parse` calls a CorruptObject are read once more: the transfer may be at
        fault.
        """
        if (found := self.find(key)) is None:
            return None
        try:
            return parse(found)
        except CorruptObject:
            if self.is_local:
                raise
            return parse(self.get(key))

    def look(self, key: str) -> Stored | None:
        """Size and time of an object without reading it, or None if there is none."""
        local = self.local_path(key)
        try:
            if local is not None:
                status = self._ask(f"look up {key} in", local.stat, may_be_absent=True)
                if not stat.S_ISREG(status.st_mode):
                    return None
                return Stored(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC), None)
            found = self._ask(f"look up {key} in", lambda: obstore.head(self._backend, key), may_be_absent=True)
        except _ABSENT:
            return None
        return Stored(key, found["size"], found["last_modified"], found["e_tag"])

    def size(self, key: str) -> int | None:
        """Size of an object in bytes, or None if there is none."""
        return None if (found := self.look(key)) is None else found.size_bytes

    def delete(self, key: str) -> None:
        """Remove an object that no commit record names; one that is not there is no error."""
        require_key(key)
        with suppress(*_ABSENT):
            self._ask(f"delete {key} in", lambda: obstore.delete(self._backend, key), may_be_absent=True)

    def entries(self, prefix: str, *, most: int | None = None) -> Iterator[Stored]:
        """Objects below a prefix (whole folder names), sorted by key; if so asked, the listing ends after the first so many."""
        list_them = partial(list_objects, self._backend, prefix, deadline_seconds=self._deadline_seconds, most=most)
        listed = self._ask(f"list {prefix} in", list_them)
        found = (
            Stored(entry["path"], entry["size"], entry["last_modified"], entry["e_tag"])
            for entry in listed
            if not is_leftover(entry["path"].rsplit("/", 1)[-1])
        )
        yield from sorted(found, key=lambda entry: entry.key)

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys below a prefix (whole folder names), sorted."""
        yield from (entry.key for entry in self.entries(prefix))

    def folders(self, prefix: str) -> list[str]:
        """Names of the folders right below a prefix, sorted."""
        found = self._ask(f"list {prefix} in", lambda: obstore.list_with_delimiter(self._backend, prefix))
        return sorted(folder.rstrip("/").rsplit("/", 1)[-1] for folder in found["common_prefixes"])

    def local_path(self, key: str) -> Path | None:
        """Where an object lies on this machine's disk, or None if the store is elsewhere. Raises StoreError for an odd key."""
        return None if (name := self.local_name(key)) is None else Path(name)

    def local_name(self, key: str) -> str | None:
        """`local_path` as a string: a Path takes as long to make as a file to open."""
        require_key(key)
        return None if self._root is None else f"{self._root}/{key}"

    def flush(self, hashes: Mapping[str, str], *, at_once: bool = False) -> None:
        """Make objects durable that were put before, each key with the SHA-256 of its bytes.

        On local disk they and their names survive a power cut from here on. `at_once` is fast for many, and uses up what the
        file system has to tell of others, too. Raises ObjectsLost if the disk has not kept them.
        """
        # a remote store acknowledges what it has made durable
        if (root := self._root) and (lost := self._ask("flush", lambda: flush(hashes, root=root, at_once=at_once))):
            raise ObjectsLost(
                f"expected the disk of {self.url} to keep what it took; a write failed, and {len(lost)} objects, such as "
                f"{lost[0]}, hold other bytes. Look after the disk; repair a version that is committed, else begin another",
                keys=lost,
            )

    def now(self) -> datetime:
        """The time by the store's own clock, which dates its objects; this machine's clock may be off by hours."""
        if self.is_local:
            return datetime.now(UTC)
        key = f"clock/{secrets.token_hex(8)}"
        self.put(key, b"")
        found = self.look(key)
        self.delete(key)
        if found is None:
            raise StoreError(f"expected {key} in {self.url} right after it was written, found nothing")
        return found.modified

    def require_create_only(self) -> None:
        """Prove once that the store refuses a second create-only write of a key; versions rest on it.

        Raises StoreRefused, which says what to do, also if the store cannot be written at all.
        """
        if self.url in _proven:
            return
        key = f"probes/create-only-{secrets.token_hex(8)}"
        self.put_new(key, b"first")
        try:
            self.put_new(key, b"second")
        except VersionConflict:
            _proven.add(self.url)
        else:
            raise StoreRefused(
                f"expected the store {self.url} to refuse a second create-only write of {key}, found it accepted: it "
                "ignores If-None-Match, so two runs could overwrite one version. Use a server that honours it (AWS S3, "
                "Ceph, MinIO, SeaweedFS; an old release or a proxy between may drop the header)"
            )
        finally:
            with suppress(StoreError):  # what the writes met with is what matters
                self.delete(key)

    def _fetch(self, key: str) -> bytes:
        return receive(obstore.get(self._backends.reading(), key), deadline_seconds=self._deadline_seconds)

    def _create(self, key: str, data: bytes) -> None:
        local, root = self.local_path(key), self._root
        if local is not None and root is not None:
            self._ask(f"write {key} ({len(data)} bytes) to", lambda: create_durably(local, data, root=root))
        else:
            self._send(key, data, "create")

    def _send(self, key: str, data: bytes, mode: Literal["create", "overwrite"]) -> None:
        # one request, so that the object appears at once and nothing is left of half an upload
        what, backend = f"write {key} ({len(data)} bytes) to", self._backends.writing(len(data))
        self._ask(what, lambda: obstore.put(backend, key, data, mode=mode, use_multipart=False))

    def _compare(self, key: str, data: bytes, found: bytes) -> None:
        if found != data:
            raise VersionConflict(
                f"expected {key} to be new, or to hold the same content (sha256 {bytes_digest(data)}); "
                f"found other content there (sha256 {bytes_digest(found)}). It is never overwritten: use a new version name"
            )

    def _resolve(self, key: str, data: bytes, error: StoreUnavailable) -> None:
        """A create-only write got no answer: it landed if the object is there with the same bytes."""
        try:
            found = self.find(key)
        except StoreError:
            found = None
        if found is None:
            raise CommitStateUnknown(
                f"{error}. Whether {key} was written is not known, and nothing was deleted; run again once the store answers"
            ) from error
        self._compare(key, data, found)

    def _ask(self, what: str, call: Callable[[], Result], *, may_be_absent: bool = False) -> Result:
        """The result of one request, tried again while that helps. Existence stays the error it is, and absence if asked."""
        try:
            return call() if self.is_local else persist(call, deadline_seconds=self._deadline_seconds)
        except (AlreadyExistsError, FileExistsError):
            raise
        except _FAILURES as error:
            if may_be_absent and isinstance(error, _ABSENT) and not is_refusal(error):
                raise
            raise self._explain(what, error) from error

    def _explain(self, what: str, error: Exception) -> StoreError:
        message = f"cannot {what} {self.url}: {in_words(error)}"
        if is_refusal(error) and not self.is_local:
            return StoreRefused(message)
        if not self.is_local and is_passing(error):
            return StoreUnavailable(
                f"{message}; tried for {self._deadline_seconds:g} s. Run again when the store answers: what was done stays"
            )
        if self._root is not None and "No space left" in message:
            message += f"; {shutil.disk_usage(self._root).free} bytes are free there. Free some, then run again"
        return StoreError(message)


def open_store(url: str) -> ObjectStore:
    """The store behind a URL: a local path, `file://`, `memory://` or `s3://bucket/prefix`.

    A local folder is made. Raises ConfigurationError for anything else.
    """
    if is_remote(url):
        return ObjectStore(url, remote_backends(url, setting="CV_ASSETS_STORE"), None)
    root = local_root(url, setting="CV_ASSETS_STORE")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the store's folder {root}: {error.strerror}; set CV_ASSETS_STORE"
        ) from error
    return ObjectStore(str(root), local_backends(root), root)
