"""Where uploads land, read-only: what is there, and the bytes of one file. Nothing here follows a link or waits for a pipe."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError

from resources.backends import is_remote, local_root, remote_backend
from resources.object_store import DEADLINE_SECONDS
from resources.retrying import in_words, is_passing, persist, seconds_from
from schemas.codes import SnapshotReason
from schemas.errors import SourceChanged, SourceError, SourceUnavailable

# a file system counts its time in steps of up to 2 s (FAT): within one, a change need not show
SETTLED_NS: Final = 2_500_000_000
Answer = TypeVar("Answer")
_ABOUT_THE_FILE = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.EISDIR}
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of the source: path below its root with `/` between folders, size in bytes, why it cannot be read.

    `stamp` changes when the bytes do, and is known without reading them: the ETag of an object, or modification time in
    nanoseconds and inode of a local file. `modified` is when the source says that it was last written.
    """

    path: str
    size_bytes: int
    reason: SnapshotReason | None = None
    detail: str | None = None
    stamp: str | None = None
    modified: datetime | None = field(default=None, compare=False)


class Content(NamedTuple):
    """The bytes of a file, and the pin by which just these bytes can be asked for again."""

    data: bytes
    pin: str


class NotRead(Exception):
    """One file could not be read; the others can."""

    def __init__(self, reason: SnapshotReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: SnapshotReason = reason


class _Changed(Exception):
    """A local file is not the one that was listed."""


class Source(Protocol):
    """What a snapshot needs of a landing place."""

    def files(self) -> Iterator[SourceFile]:
        """Every file, in the order of its path. Raises SourceError if the source cannot be listed."""
        ...

    def read(self, file: SourceFile) -> Content:
        """All bytes of a file, if it still is the file that was listed. Raises NotRead, SourceError."""
        ...

    def read_pinned(self, path: str, pin: str) -> bytes:
        """The bytes that were read under this pin. Raises SourceChanged if they are not there any more, SourceError."""
        ...

    def is_settled(self, stamp: str | None, now_ns: int) -> bool:
        """Does any change after `now_ns` (this machine's clock) show in a stamp that is now this one?"""
        ...


class LocalSource:
    """A folder on this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def files(self) -> Iterator[SourceFile]:
        if not self._root.is_dir():
            what = "something else" if self._root.exists() else "nothing"
            raise SourceError(f"expected a folder with uploads at {self._root}, found {what}; correct source.url")
        yield from sorted(self._walk(self._root, ""), key=lambda file: file.path)

    def _walk(self, folder: Path, prefix: str) -> Iterator[SourceFile]:
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            raise SourceError(f"cannot list {folder}: {error.strerror}; a snapshot must see every file") from error
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), f"{prefix}{entry.name}/")
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone since it was listed: as if it had never been seen
            yield _describe(prefix + entry.name, status)

    def read(self, file: SourceFile) -> Content:
        try:
            return Content(self._read(file.path, str(file.stamp)), str(file.stamp))
        except _Changed as error:
            raise NotRead("changed-while-reading", f"{error}; let uploads settle") from error
        except OSError as error:
            if error.errno not in _ABOUT_THE_FILE:  # the disk or this process: the file may be sound
                raise SourceError(
                    f"cannot read {self._root / file.path}: {error.strerror}; mend that, then run again"
                ) from error
            raise NotRead("unreadable", f"cannot be read: {error.strerror}") from error

    def read_pinned(self, path: str, pin: str) -> bytes:
        try:
            return self._read(path, pin)
        except (_Changed, OSError) as error:
            raise SourceChanged(
                f"expected {self._root / path} as it was pinned: {error}; put it back, or begin a new version"
            ) from error

    def is_settled(self, stamp: str | None, now_ns: int) -> bool:
        return stamp is not None and now_ns - int(stamp.split(":")[0]) > SETTLED_NS

    def _read(self, path: str, stamp: str) -> bytes:
        """All bytes of a regular file that has this stamp before and after. Raises _Changed, OSError."""
        descriptor = os.open(self._root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb", buffering=0) as opened:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode) or _stamp(before) != stamp:  # it may be a pipe or a huge file by now
                raise _Changed(f"listed as {stamp}, found as {_stamp(before)} with {before.st_size} bytes")
            data = opened.readall()
            after = os.fstat(descriptor)
        if _stamp(after) != stamp or len(data) != before.st_size:
            raise _Changed(f"{before.st_size} bytes before, {after.st_size} after")
        return data


class RemoteSource:
    """A bucket, or a prefix of one."""

    def __init__(self, url: str) -> None:
        self._url, self._backend = url, remote_backend(url, setting="source.url")
        self._deadline_seconds = seconds_from("CV_ASSETS_STORE_DEADLINE", DEADLINE_SECONDS)

    def files(self) -> Iterator[SourceFile]:
        try:
            pages = self._ask(lambda: list(obstore.list(self._backend)))
        except (BaseError, OSError) as error:
            raise self._explain("list", error) from error
        found = [
            SourceFile(one["path"], one["size"], stamp=one["e_tag"], modified=one["last_modified"])
            for page in pages
            for one in page
        ]
        yield from sorted(found, key=lambda file: file.path)

    def read(self, file: SourceFile) -> Content:
        try:
            content = self._ask(lambda: self._fetch(file.path, {"if_match": file.stamp} if file.stamp else {}))
        except PreconditionError as error:
            raise NotRead("changed-while-reading", "replaced since it was listed; let uploads settle") from error
        except (FileNotFoundError, PermissionError, PermissionDeniedError) as error:
            raise NotRead("unreadable", f"cannot be read: {in_words(error)}") from error
        except (BaseError, OSError) as error:  # an outage must not become a rejection, which is for good
            raise self._explain(f"read {file.path} of", error) from error
        if len(content.data) != file.size_bytes:
            raise NotRead(
                "changed-while-reading", f"{file.size_bytes} bytes listed, {len(content.data)} read; let uploads settle"
            )
        return content

    def read_pinned(self, path: str, pin: str) -> bytes:
        kind, _, value = pin.partition(":")
        try:
            return self._ask(
                lambda: self._fetch(path, {"version": value} if kind == "version" else {"if_match": value})
            ).data
        except (PreconditionError, FileNotFoundError) as error:
            raise SourceChanged(
                f"expected {path} of {self._url} as it was pinned ({pin}): {in_words(error)}"
            ) from error
        except (BaseError, OSError) as error:
            raise self._explain(f"read {path} of", error) from error

    def is_settled(self, stamp: str | None, now_ns: int) -> bool:
        return stamp is not None

    def _fetch(self, path: str, options: Any) -> Content:
        answer = obstore.get(self._backend, path, options=options)
        meta = answer.meta
        data = answer.bytes().to_bytes()
        if len(data) != meta["size"]:
            raise ConnectionError(f"{meta['size']} bytes announced, {len(data)} received")
        return Content(data, f"version:{meta['version']}" if meta["version"] else f"etag:{meta['e_tag']}")

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        return persist(call, deadline_seconds=self._deadline_seconds)

    def _explain(self, what: str, error: BaseException) -> SourceError:
        message = f"cannot {what} {self._url}: {in_words(error)}"
        if is_passing(error):
            return SourceUnavailable(f"{message}; tried for {self._deadline_seconds:g} s. Run again")
        return SourceError(f"{message}; check source.url and AWS_*")


def open_source(url: str) -> Source:
    """The source behind a URL: a local path (relative to the working folder), `file://` or `s3://bucket/prefix`."""
    return RemoteSource(url) if is_remote(url) else LocalSource(local_root(url, setting="source.url"))


def _describe(path: str, status: os.stat_result) -> SourceFile:
    """The row of one directory entry, with the reason if it is nothing to read. Its name may be any bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        # names that differ must not become one; a sound name could be spelt like the escape
        shown = f"{shown} [{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}]"
        return SourceFile(shown, status.st_size, "name-not-text", "the name is not UTF-8; rename the upload")
    if stat.S_ISLNK(status.st_mode):
        return SourceFile(path, 0, "symbolic-link", "a symbolic link is not followed; upload the file itself")
    if not stat.S_ISREG(status.st_mode):
        return SourceFile(path, 0, "not-a-regular-file", "a pipe, socket or device cannot be an upload")
    return SourceFile(path, status.st_size, stamp=_stamp(status), modified=_modified(status))


def _modified(status: os.stat_result) -> datetime | None:
    """None for a time that no calendar has: whoever writes a file may date it as they like."""
    try:
        return datetime.fromtimestamp(status.st_mtime, UTC)
    except (OSError, OverflowError, ValueError):
        return None


def _stamp(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}:{status.st_ino}"
