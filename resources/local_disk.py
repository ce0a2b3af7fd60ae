"""Durable writing on this machine's disk: a name that is created once, and files that survive a power cut."""

import ctypes
import errno
import hashlib
import os
import platform
import re
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import polars as pl
from pyarrow.fs import LocalFileSystem

# since Linux 5.8, syncfs reports writes that failed earlier
_SYNCFS_REPORTS: Final = (5, 8)
_WRITE_BYTES: Final = 1 << 18
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
LOST: Final = "lost"  # folder of what was found damaged


def create_durably(path: Path, data: bytes, *, root: Path) -> None:
    """Create a file with this content, flushed, under a name that must be free. Raises FileExistsError, OSError.

    The name appears by `link`, which refuses to replace; of several writers exactly one succeeds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(_temporary_name(path.name))
    try:
        _write(temporary, [data], flushed=True)
        os.link(temporary, path)
    except OSError as error:
        if error.errno in _NO_LINKS:
            said = (
                "its file system has no hard links, by which one of several writers is first; keep the store on another"
            )
            raise OSError(error.errno, said) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)
    flush_folders({path.parent}, root=root)


def read_file(path: str) -> bytes:
    """All bytes of a file. Raises OSError."""
    with open(path, "rb", buffering=0) as opened:  # noqa: PTH123 - half the time of Path.read_bytes
        return opened.readall()


def find_sizes(folder: Path, names: pl.Series) -> pl.Series:
    """Size in bytes of each file below a folder, or null where there is none, in order. Raises OSError.

    In one call, beside which Python goes on: a version asks for all of its blobs.
    """
    root = os.fsencode(folder) + b"/"
    found = LocalFileSystem().get_file_info([root + name for name in names.cast(pl.Binary).to_list()])
    return pl.Series([about.size for about in found], dtype=pl.Int64)  # only files have one


def replace(path: str, parts: Iterable[bytes]) -> None:
    """Write a file, whole or not at all, replacing what is there; durable after `flush`. Raises OSError.

    Twice as fast for a photo, and ten times for a shard, as the same through the object store's library.
    """
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/{_temporary_name(name)}"
    try:
        _write(temporary, parts)
        os.rename(temporary, path)  # noqa: PTH104 - a Path takes as long as to open the file
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def is_leftover(name: str) -> bool:
    """Is this the name of a temporary file, as a writer leaves it behind when it is killed?"""
    return bool(re.search(r"\A\..*\.[0-9a-f]{16}\.tmp\Z|#\d+\Z", name))


def flush(hashes: Mapping[str, str], *, root: Path, at_once: bool = False) -> list[str]:
    """Make the content and the names of files below the root durable; `hashes` holds the SHA-256 of each. Raises OSError.

    With `at_once` a whole file system is flushed in one call where that is possible, as PostgreSQL does at recovery: for a
    thousand new files of 98 kB it takes a fifth of the time of a thousand calls. After a failure the kernel may call a page
    clean that never reached the disk: the files are written anew, and flushed one by one. Returned are those that hold other
    bytes by now, or cannot be read: they are lost, and no flush would tell of them again.
    """
    folders = {root / folder for folder in {name.rpartition("/")[0] for name in hashes}}
    try:
        if at_once and _can_flush_all():
            _flush_file_systems(folders)
        else:
            _flush_each(root / name for name in hashes)
            flush_folders(folders, root=root)
    except FileNotFoundError:  # it is gone, which is no failure of the disk
        raise
    except OSError:
        lost = [name for name, sha256 in hashes.items() if not _holds(root / name, sha256)]
        try:
            for name in hashes.keys() - lost:
                _write_anew(root / name)
            flush_folders(folders, root=root)
        except OSError:
            if not lost:
                raise
        return lost
    return []


def set_aside(name: str, *, root: Path) -> None:
    """Move a damaged file below the root's folder of such, unread; remove it where there is no room even for that.

    As far as the disk lets: what is wrong with it was told before.
    """
    aside = root / LOST / f"{name}.{secrets.token_hex(8)}"
    try:
        aside.parent.mkdir(parents=True, exist_ok=True)
        (root / name).replace(aside)
    except OSError:
        with suppress(OSError):
            (root / name).unlink(missing_ok=True)


def flush_folders(folders: Iterable[Path], *, root: Path) -> None:
    """Make the names in these folders durable, and the names of the folders themselves, up to the root."""
    every = {above for folder in folders for above in (folder, *folder.parents) if above.is_relative_to(root)}
    _flush_each(sorted(every, key=lambda folder: -len(folder.parts)))


def _can_flush_all() -> bool:
    version = tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])
    return sys.platform == "linux" and version >= _SYNCFS_REPORTS


def _flush_file_systems(folders: Iterable[Path]) -> None:
    """One syncfs for each file system that these folders lie on: a store may have mounts below its root."""
    libc = ctypes.CDLL(None, use_errno=True)
    for folder in {folder.stat().st_dev: folder for folder in folders}.values():
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if libc.syncfs(descriptor) != 0:
                raise OSError(ctypes.get_errno(), "syncfs failed", str(folder))
        finally:
            os.close(descriptor)


def _flush_each(paths: Iterable[Path]) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _holds(path: Path, sha256: str) -> bool:
    """Does a file hold the bytes with this hash? A page that was dropped is read again from where the write failed."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return False


def _write_anew(path: Path) -> None:
    temporary = path.with_name(_temporary_name(path.name))
    try:
        _write(temporary, [path.read_bytes()], flushed=True)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(path: Path | str, parts: Iterable[bytes], *, flushed: bool = False) -> None:
    """A new file with this content, in a folder that is made if need be; `flushed` once it is on the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o644)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, flags, 0o644)
    try:
        for written in _in_writes(parts):
            view = memoryview(written)
            while view:
                view = view[os.write(descriptor, view) :]  # the kernel may take less than it is given
        if flushed:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _in_writes(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Small parts joined, so that each write is worth its call."""
    waiting: list[bytes] = []
    size_bytes = 0
    for part in parts:
        waiting.append(part)
        size_bytes += len(part)
        if size_bytes >= _WRITE_BYTES:
            yield b"".join(waiting)
            waiting, size_bytes = [], 0
    yield b"".join(waiting)


def _temporary_name(name: str) -> str:
    return f".{name}.{secrets.token_hex(8)}.tmp"
