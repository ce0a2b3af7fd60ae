"""Where uploads land, read-only: what is there, and the bytes of one file. Nothing here follows a link or waits for a pipe."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import obstore
import polars as pl
from obstore.exceptions import BaseError, InvalidPathError, PermissionDeniedError, PreconditionError

from resources.backends import list_raw_keys, remote_backends
from resources.keys import tabulate, why_no_path
from resources.listing import Identity, SourceFile, identity_of, list_folder, stamp_of
from resources.pages import list_objects
from resources.retrying import has_code, in_words, is_about_the_object, is_passing, persist, receive
from resources.urls import is_remote, local_root
from schemas.codes import SnapshotReason
from schemas.errors import SourceChanged, SourceError, SourceGone, SourceUnavailable

# a file system counts its time in steps of up to 2 s (FAT): within one, a change need not show
SETTLED_NS: Final = 2_500_000_000
Answer = TypeVar("Answer")
_ABOUT_THE_FILE = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.EISDIR}
)


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
    """A local file is not the one that was listed or pinned, or changes while it is read."""


class Source(Protocol):
    """What a snapshot needs of a landing place."""

    def listing(self) -> pl.DataFrame:
        """Every file, as a LISTED table. Raises SourceError if the source cannot be listed."""
        ...

    def read(self, file: SourceFile) -> Content:
        """All bytes of a file, if it still is the file that was listed. Raises NotRead, SourceError."""
        ...

    def read_pinned(self, path: str, pin: str, size_bytes: int) -> bytes:
        """What may be the bytes under this pin, as their hash will tell. Raises SourceChanged if it cannot be, SourceError."""
        ...

    def size_pinned(self, path: str, pin: str) -> int:
        """How many bytes there are under just this pin; none are read. Raises what `read_pinned` does."""
        ...

    def is_settled(self, stamp: str | None, now_ns: int) -> bool:
        """Does any change after `now_ns` (this machine's clock) show in a stamp that is now this one?"""
        ...


class LocalSource:
    """A folder on this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listed: Identity | None = None  # the folder that was listed: another may come to lie at its path

    def listing(self) -> pl.DataFrame:
        try:
            if not self._root.is_dir():
                what = "something else" if self._root.exists() else "nothing"
                raise SourceError(f"expected a folder with uploads at {self._root}, found {what}; correct source.url")
        except OSError as error:
            raise SourceError(
                f"expected a folder with uploads at {self._root}, found {error.strerror}; let this user enter it, or correct "
                "source.url"
            ) from error
        self._listed = identity_of(self._root)
        listed = list_folder(self._root)
        self._require_root()  # else what is listed may be half of one folder, or of two
        return listed

    def read(self, file: SourceFile) -> Content:
        try:
            return Content(self._read(file.path, file.size_bytes, str(file.stamp)), str(file.stamp))
        except _Changed as error:
            self._require_root()
            raise NotRead("changed-while-reading", f"{error}; let uploads settle") from error
        except OSError as error:
            self._require_root()
            if error.errno not in _ABOUT_THE_FILE:
                raise self._not_of_the_file(file.path, error) from error
            raise NotRead("unreadable", f"cannot be read: {_said(error)}") from error

    def read_pinned(self, path: str, pin: str, size_bytes: int) -> bytes:
        try:
            return self._read(path, size_bytes)  # a file that was restored or moved has another stamp
        except (_Changed, OSError) as error:
            raise self._not_as_pinned(path, error) from error

    def size_pinned(self, path: str, pin: str) -> int:
        try:
            found = os.lstat(f"{self._root}/{path}")
            _require(found, found.st_size, pin)
        except (_Changed, OSError) as error:
            raise self._not_as_pinned(path, error) from error
        return found.st_size

    def is_settled(self, stamp: str | None, now_ns: int) -> bool:
        return stamp is not None and now_ns - int(stamp.split(":")[0]) > SETTLED_NS

    def _read(self, path: str, size_bytes: int, stamp: str | None = None) -> bytes:
        """All bytes of a regular file of this size, and of this stamp if one is given. Raises _Changed, OSError."""
        # joined as a string: a Path takes as long as to open the file
        descriptor = os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb", buffering=0) as opened:
            before = os.fstat(descriptor)
            _require(before, size_bytes, stamp)
            data = opened.readall()
            after = os.fstat(descriptor)
        if stamp_of(after) != stamp_of(before) or len(data) != size_bytes:
            raise _Changed(f"it had {size_bytes} bytes before it was read, and has {after.st_size} after")
        return data

    def _require_root(self) -> None:
        """Raise SourceUnavailable unless the folder is the one that was listed: without it, every file would be missing."""
        found = identity_of(self._root)
        if self._listed is not None and found != self._listed:
            raise SourceUnavailable(
                f"expected {self._root} to stay the folder that was listed, found another in its place; if a disk lies "
                "there, mount it again, then run again"
            )

    def _not_as_pinned(self, path: str, error: _Changed | OSError) -> SourceError:
        self._require_root()
        if isinstance(error, OSError) and error.errno not in {*_ABOUT_THE_FILE, errno.EIO}:  # a twin may be sound
            return self._not_of_the_file(path, error)
        kind = SourceGone if isinstance(error, FileNotFoundError) else SourceChanged
        said = f"expected {self._root / path} as it was pinned: {_said(error)}"
        return kind(f"{said}; put its bytes back, or begin a new version")

    def _not_of_the_file(self, path: str, error: OSError) -> SourceError:
        """The disk or this process is at fault, and the file may be sound."""
        return SourceError(f"cannot read {self._root / path}: {error.strerror}; mend that, then run again")


def _said(error: _Changed | OSError) -> str:
    if isinstance(error, _Changed):
        return str(error)
    return "a symbolic link is in its place" if error.errno == errno.ELOOP else str(error.strerror)


def _require(status: os.stat_result, size_bytes: int, stamp: str | None) -> None:
    """Raise _Changed unless this is a regular file of that size and stamp: it may be a pipe or a huge one by now.

    The size tells where the stamp does not: of a file that grew within one step of the clock.
    """
    if not stat.S_ISREG(status.st_mode):
        raise _Changed("it is no regular file")
    if status.st_size != size_bytes:
        raise _Changed(f"it had {size_bytes} bytes, and has {status.st_size}")
    if stamp not in {None, stamp_of(status)}:
        raise _Changed(f"modification time and inode were {stamp}, and are {stamp_of(status)}")


class RemoteSource:
    """A bucket, or a prefix of one."""

    def __init__(self, url: str) -> None:
        self._url, self._backends = url, remote_backends(url, setting="source.url")
        self._deadline_seconds = self._backends.deadline_seconds

    def listing(self) -> pl.DataFrame:
        try:
            found = self._ask(lambda: list_objects(self._backends.asking(), deadline_seconds=self._deadline_seconds))
        except InvalidPathError as error:
            return self._list_odd_keys(error)
        except (BaseError, OSError) as error:
            raise self._explain("list", error) from error
        return tabulate({one["path"]: one for one in found}, [])

    def _list_odd_keys(self, error: InvalidPathError) -> pl.DataFrame:
        """A listing in which keys that are no paths are rows with a reason: one of them shall not hide all others."""
        if not self._url.lower().startswith(("s3://", "s3a://")):
            raise SourceError(
                f"expected keys in {self._url} that are paths, found one that is not ({in_words(error)}); rename that object"
            ) from error
        try:
            every = list_raw_keys(self._url, deadline_seconds=self._deadline_seconds)
        except OSError as failed:
            raise self._explain("list", failed) from failed
        odd = [
            SourceFile(one["key"], one["size"], "key-not-a-path", f"{why}; rename the object")
            for one in every
            if one["key"] and (why := why_no_path(one["key"])) is not None
        ]
        names = {file.path for file in odd}
        found = {one["key"].removesuffix("/"): one for one in reversed(every) if one["key"] not in names}
        return tabulate(found, odd)  # of an object and a mark of its path the object counts, which is listed first

    def read(self, file: SourceFile) -> Content:
        try:
            content = self._ask(lambda: self._fetch(file.path, {"if_match": file.stamp} if file.stamp else {}))
        except PreconditionError as error:
            raise NotRead("changed-while-reading", "replaced since it was listed; let uploads settle") from error
        except (BaseError, OSError) as error:  # an outage must not become a rejection, which is for good
            raise self._blame(file.path, error) from error
        if len(content.data) != file.size_bytes:
            raise NotRead(
                "changed-while-reading", f"{file.size_bytes} bytes listed, {len(content.data)} read; let uploads settle"
            )
        return content

    def _blame(self, path: str, error: Exception) -> NotRead | SourceError:
        """What a failed read is the fault of: this object alone, or credentials, bucket or network, which are that of none."""
        if is_about_the_object(error):
            try:
                self._ask(lambda: next(iter(obstore.list(self._backends.asking(), chunk_size=1)), None))
            except InvalidPathError:
                pass  # there was an answer, with a key that is no path
            except (BaseError, OSError) as worse:
                return self._explain(f"read {path} of", worse)
            return NotRead("unreadable", f"cannot be read: {in_words(error)}")
        if isinstance(error, FileNotFoundError | PermissionDeniedError) and not has_code(error):
            return SourceUnavailable(
                f"cannot read {path} of {self._url}: {in_words(error)}, without a code as a store gives it; something between "
                "may have answered in its place. Run again when the source answers"
            )
        return self._explain(f"read {path} of", error)

    def read_pinned(self, path: str, pin: str, size_bytes: int) -> bytes:
        return self._ask_pinned(path, pin, lambda options: self._fetch(path, options).data)

    def size_pinned(self, path: str, pin: str) -> int:
        def look(options: Any) -> int:
            try:
                return obstore.get(self._backends.asking(), path, options=options | {"head": True}).meta["size"]
            except (FileNotFoundError, PermissionDeniedError):
                # the answer to HEAD has no body, and so no code that tells whether it is about the object
                return obstore.get(self._backends.reading(), path, options=options).meta["size"]

        return self._ask_pinned(path, pin, look)

    def _ask_pinned(self, path: str, pin: str, call: Callable[[Any], Answer]) -> Answer:
        kind, _, value = pin.partition(":")
        try:
            return self._ask(lambda: call({"version": value} if kind == "version" else {"if_match": value}))
        except (BaseError, OSError) as error:
            if not isinstance(error, PreconditionError):
                blamed = self._blame(path, error)
                if not isinstance(blamed, NotRead):
                    raise blamed from error
            changed = SourceGone if isinstance(error, FileNotFoundError) else SourceChanged
            raise changed(
                f"expected {path} of {self._url} as it was pinned ({pin}): {in_words(error)}; "
                "restore that object, or begin a new version"
            ) from error

    def is_settled(self, stamp: str | None, now_ns: int) -> bool:
        return stamp is not None

    def _fetch(self, path: str, options: Any) -> Content:
        answer = obstore.get(self._backends.reading(), path, options=options)
        pin = pin_of(answer.meta["version"], answer.meta["e_tag"])
        return Content(receive(answer, deadline_seconds=self._deadline_seconds), pin)

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        return persist(call, deadline_seconds=self._deadline_seconds)

    def _explain(self, what: str, error: BaseException) -> SourceError:
        message = f"cannot {what} {self._url}: {in_words(error)}"
        if is_passing(error):
            return SourceUnavailable(f"{message}; tried for {self._deadline_seconds:g} s. Run again")
        return SourceError(f"{message}; check source.url and AWS_*")


def pin_of(version: str | None, e_tag: str | None) -> str:
    """How to ask for these bytes again. The version `null`, of buckets that keep none (any more), is whatever came last."""
    return f"etag:{e_tag}" if version in {None, "", "null"} else f"version:{version}"


def open_source(url: str) -> Source:
    """The source behind a URL: a local path (relative to the working folder), `file://` or `s3://bucket/prefix`.

    Raises ConfigurationError for anything else, or if the environment does not tell how to reach it.
    """
    return RemoteSource(url) if is_remote(url) else LocalSource(local_root(url, setting="source.url"))
