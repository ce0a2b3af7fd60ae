"""Where uploads land, read-only: what is there, and the bytes of one file. Nothing here follows a link or waits for a pipe."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError
from obstore.store import from_url

from resources.object_store import REMOTE_SCHEMES
from schemas.codes import SnapshotReason
from schemas.errors import SourceError

_ABOUT_THE_FILE = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.EISDIR}
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of the source: path below its root with `/` between folders, size in bytes, why it cannot be read."""

    path: str
    size_bytes: int
    reason: SnapshotReason | None = None
    detail: str | None = None


class NotRead(Exception):
    """One file could not be read; the others can."""

    def __init__(self, reason: SnapshotReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: SnapshotReason = reason


class Source(Protocol):
    """What a snapshot needs of a landing place."""

    def files(self) -> Iterator[SourceFile]:
        """Every file, in the order of its path. Raises SourceError if the source cannot be listed."""
        ...

    def read(self, file: SourceFile) -> bytes:
        """All bytes of a file as it is now. Raises NotRead."""
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

    def read(self, file: SourceFile) -> bytes:
        try:
            descriptor = os.open(self._root / file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as opened:
                before = os.fstat(descriptor)
                if before.st_size != file.size_bytes:
                    raise NotRead(
                        "changed-while-reading",
                        f"{file.size_bytes} bytes listed, {before.st_size} found; let uploads settle",
                    )
                data = opened.read()
                after = os.fstat(descriptor)
        except OSError as error:
            if error.errno not in _ABOUT_THE_FILE:  # the disk or this process: the file may be sound
                raise SourceError(
                    f"cannot read {self._root / file.path}: {error.strerror}; mend that, then run again"
                ) from error
            raise NotRead("unreadable", f"cannot be read: {error.strerror}") from error
        if len(data) != before.st_size or before.st_mtime_ns != after.st_mtime_ns:
            raise NotRead(
                "changed-while-reading",
                f"{before.st_size} bytes before, {after.st_size} after; let uploads settle",
            )
        return data


class RemoteSource:
    """A bucket, or a prefix of one."""

    def __init__(self, url: str, **settings: Any) -> None:
        self._url, self._backend = url, from_url(url, **settings)

    def files(self) -> Iterator[SourceFile]:
        try:
            found = [SourceFile(entry["path"], entry["size"]) for page in obstore.list(self._backend) for entry in page]
        except (BaseError, OSError) as error:
            raise SourceError(
                f"cannot list {self._url}: {str(error).splitlines()[0]}; check source.url and AWS_*"
            ) from error
        yield from sorted(found, key=lambda file: file.path)

    def read(self, file: SourceFile) -> bytes:
        try:
            data = obstore.get(self._backend, file.path).bytes().to_bytes()
        except (FileNotFoundError, PermissionError, PermissionDeniedError) as error:
            raise NotRead("unreadable", f"cannot be read: {str(error).splitlines()[0]}") from error
        except (BaseError, OSError) as error:  # an outage must not become a rejection, which is for good
            raise SourceError(
                f"cannot read {file.path} of {self._url}: {str(error).splitlines()[0]}; run again"
            ) from error
        if len(data) != file.size_bytes:
            raise NotRead(
                "changed-while-reading",
                f"{file.size_bytes} bytes listed, {len(data)} read; let uploads settle",
            )
        return data


def open_source(url: str) -> Source:
    """The source behind a URL: a local path (relative to the working folder), `file://` or `s3://bucket/prefix`."""
    parts = urlsplit(url)
    if parts.scheme in REMOTE_SCHEMES:
        try:
            return RemoteSource(url)
        except (BaseError, ValueError) as error:
            raise SourceError(f"cannot use source.url {url!r}: {str(error).splitlines()[0]}") from error
    if parts.scheme not in {"", "file"}:
        raise SourceError(f"expected source.url to be a local path, file:// or s3://, found {url!r}")
    return LocalSource(Path(unquote(parts.path) if parts.scheme == "file" else url).expanduser().absolute())


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
    return SourceFile(path, status.st_size)
