"""A folder of files that belongs to a person: names are opened below it one by one, so that no link leads out of it.

Nothing is known of versions here. A file appears whole or not at all.
"""

import errno
import fcntl
import os
import secrets
import unicodedata
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cv_assets.domain.digests import bytes_digest
from schemas.errors import ConfigurationError, StoreError

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LOCKS: Final = {errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}
_PROBE: Final = ".cv-assets-é"
FILE_MODE: Final = 0o644


class WorkingTree:
    """The files below one root. Keeps the folder open that was used last, with those above it.

    So a run over paths in the order of their folders looks up each folder once. Every method raises StoreError for
    what the disk does not do, and ConfigurationError for a root that is no folder, or a path below a file or a link.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._open: list[tuple[str, int]] = [("", os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))]
        except OSError as error:
            raise ConfigurationError(f"cannot use {root} as a folder: {error.strerror}; name another") from error

    def __enter__(self) -> Self:
        """Keep others out of the folder meanwhile, where its file system has locks. Raises ConfigurationError if one is in it."""
        try:
            fcntl.flock(self._open[0][1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._close()
            raise ConfigurationError(
                f"another checkout is at work in {self.root}; run again when it has ended, or name another folder"
            ) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for _, descriptor in self._open:
            os.close(descriptor)

    def is_empty(self) -> bool:
        """Is there nothing in the root?"""
        with os.scandir(self._open[0][1]) as entries:
            return next(entries, None) is None

    def look(self, path: str) -> os.stat_result | None:
        """What is at a path, a link as itself; None if nothing is."""
        found = self._find(path, create=False)
        if found is None:
            return None
        with suppress(FileNotFoundError):
            return os.stat(path.rpartition("/")[2], dir_fd=found, follow_symlinks=False)
        return None

    def link(self, target: str, path: str) -> bool:
        """A hard link to a file, under a name that must be free; False if the name is taken. Raises OSError."""
        try:
            os.link(target, path.rpartition("/")[2], dst_dir_fd=self._enter(path))
        except FileExistsError:
            return False
        return True

    def link_over(self, target: str, path: str) -> None:
        """A hard link to a file in place of what is there. Raises OSError."""
        folder, temporary = self._enter(path), _temporary()
        os.link(target, temporary, dst_dir_fd=folder)
        self._put_in_place(folder, temporary, path)

    def write(self, path: str, data: bytes) -> os.stat_result:
        """Write a file, in place of what is there."""
        folder, temporary = self._enter(path), _temporary()
        try:
            descriptor = os.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE, dir_fd=folder
            )
            with os.fdopen(descriptor, "wb", buffering=0) as out:
                view = memoryview(data)
                while view:
                    view = view[out.write(view) :]
                status = os.fstat(out.fileno())
            self._put_in_place(folder, temporary, path)
        except OSError as error:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise self.explain("write", path, error) from error
        return status

    def read(self, path: str) -> bytes | None:
        """The bytes of a regular file; None if there is nothing, or something else."""
        folder = self._find(path, create=False)
        if folder is None:
            return None
        try:
            name = path.rpartition("/")[2]
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO}:
                return None
            raise self.explain("read", path, error) from error
        with os.fdopen(descriptor, "rb") as opened:
            try:
                return opened.read()
            except IsADirectoryError:
                return None

    def has_bytes(self, path: str, sha256: str) -> bool:
        """Does a regular file hold bytes with this hash?"""
        data = self.read(path)
        return data is not None and bytes_digest(data) == sha256

    def remove(self, path: str) -> None:
        """Remove a file, and the folders above it that it leaves empty."""
        folder = self._find(path, create=False)
        if folder is None:
            return
        try:
            os.unlink(path.rpartition("/")[2], dir_fd=folder)
        except OSError as error:
            raise self.explain("remove", path, error) from error
        self._remove_empty(path.rpartition("/")[0])

    def folds_names(self) -> bool:
        """Does this file system take names for one that differ in case, or in how Unicode spells them?"""
        self.write(_PROBE, b"")
        try:
            other = (_PROBE.upper(), unicodedata.normalize("NFD", _PROBE))
            return any(self.look(name) is not None for name in other)
        finally:
            self.remove(_PROBE)

    def explain(self, what: str, path: str, error: OSError) -> StoreError:
        """The error to raise for one of the system."""
        return StoreError(
            f"cannot {what} {self.root / path}: {error.strerror}; mend that, then run again: what was done stays"
        )

    def _enter(self, path: str) -> int:
        found = self._find(path, create=True)
        assert found is not None
        return found

    def _find(self, path: str, *, create: bool) -> int | None:
        """Descriptor of the folder that holds a path, opened from the root down; None if it is not there."""
        folder = path.rpartition("/")[0]
        if self._open[-1][0] == folder:
            return self._open[-1][1]
        while self._open[-1][0] and not f"{folder}/".startswith(f"{self._open[-1][0]}/"):
            os.close(self._open.pop()[1])
        above, descriptor = self._open[-1]
        for name in folder[len(above) :].strip("/").split("/"):
            if not name:
                break
            opened = self._open_folder(name, descriptor, create=create)
            if opened is None:
                return None
            above, descriptor = f"{above}/{name}".lstrip("/"), opened
            self._open.append((above, descriptor))
        return descriptor

    def _open_folder(self, name: str, above: int, *, create: bool) -> int | None:
        try:
            return os.open(name, _FOLDER, dir_fd=above)
        except FileNotFoundError:
            if not create:
                return None
        except OSError as error:
            raise ConfigurationError(
                f"expected {name!r} below {self.root} to be a folder, found a file or a link, which is not followed; "
                "move it away, or use an empty folder"
            ) from error
        try:
            os.mkdir(name, dir_fd=above)
        except OSError as error:
            raise self.explain("make the folder", name, error) from error
        return os.open(name, _FOLDER, dir_fd=above)

    def _put_in_place(self, folder: int, temporary: str, path: str) -> None:
        try:
            os.rename(temporary, path.rpartition("/")[2], src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(temporary, dir_fd=folder)
            raise

    def _remove_empty(self, folder: str) -> None:
        while folder:
            above = self._find(folder, create=False)
            if above is None:
                return
            try:
                os.rmdir(folder.rpartition("/")[2], dir_fd=above)
            except OSError:
                return  # something else is in it
            folder = folder.rpartition("/")[0]


def _temporary() -> str:
    return f".cv-assets.{secrets.token_hex(8)}.tmp"
