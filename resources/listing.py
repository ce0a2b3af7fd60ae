"""What a landing place lists, as a table: no file is read for it, and no link is followed."""

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from schemas.codes import SnapshotReason
from schemas.errors import SourceError, SourceUnavailable

# one row a file, sorted by path; `modified_seconds` since 1970, none where the source does not say, or no calendar has it
LISTED: Final = {
    "path": pl.String(),
    "size_bytes": pl.Int64(),
    "reason": pl.String(),
    "detail": pl.String(),
    "stamp": pl.String(),
    "modified_seconds": pl.Float64(),
}
# what the system says of a file; a time may lie beyond the years that 64 bits hold in nanoseconds
_STATUS: Final = {"path": pl.String(), "size_bytes": pl.Int64(), "ns": pl.Int128(), "inode": pl.UInt64()}
_STAMP: Final = pl.concat_str("ns", pl.lit(":"), "inode")
_CALENDAR_SECONDS: Final = (-62_135_596_800, 253_402_300_800)  # the years 1 to 9999

Identity = tuple[int, int]  # of a folder: device and inode


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of the source: path below its root with `/` between folders, size in bytes, why it cannot be read.

    `stamp` changes when the bytes do, and is known without reading them: the ETag of an object, or modification time in
    nanoseconds and inode of a local file.
    """

    path: str
    size_bytes: int
    reason: SnapshotReason | None = None
    detail: str | None = None
    stamp: str | None = None


def files_of(listed: pl.DataFrame) -> Iterator[SourceFile]:
    """Each row of a LISTED table as a file that can be read."""
    columns = ("path", "size_bytes", "reason", "detail", "stamp")
    yield from (SourceFile(*row) for row in listed.select(columns).iter_rows())


def to_listed(sound: pl.DataFrame, odd: list[SourceFile]) -> pl.DataFrame:
    """A LISTED table of files to read, as columns (path, size_bytes, stamp, modified_seconds), and of what is none."""
    dated = pl.when(pl.col("modified_seconds").is_between(*_CALENDAR_SECONDS, closed="left")).then("modified_seconds")
    every = sound.with_columns(modified_seconds=dated)
    if odd:
        rows = [(file.path, file.size_bytes, file.reason, file.detail) for file in odd]
        schema = {name: LISTED[name] for name in ("path", "size_bytes", "reason", "detail")}
        every = pl.concat([every, pl.DataFrame(rows, schema=schema, orient="row")], how="diagonal")
    lacking = [pl.lit(None, dtype).alias(name) for name, dtype in LISTED.items() if name not in every.columns]
    return every.with_columns(lacking).select(list(LISTED)).sort("path")


def list_folder(root: Path) -> pl.DataFrame:
    """Every file below a folder of this machine. Raises SourceError if one of its folders cannot be listed.

    Columns, and no object a file: of fifty thousand files nearly all are as they were, and no one looks at them singly.
    """
    paths, sizes, times_ns, inodes = [], [], [], []
    odd: list[SourceFile] = []
    folders = [""]
    while folders:
        above = folders.pop()
        for entry in _scan(f"{root}/{above}", may_be_gone=above != ""):
            path = above + entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{path}/")
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone since it was listed: as if it had never been seen
            except OSError as error:  # names may be listed, and nothing more
                raise _unlistable(f"{root}/{above}", error) from error
            if not stat.S_ISREG(status.st_mode) or not (path.isascii() or _is_text(path)):
                odd.append(_describe(path, status))
                continue
            paths.append(path)
            sizes.append(status.st_size)
            times_ns.append(status.st_mtime_ns)
            inodes.append(status.st_ino)
    sound = pl.DataFrame({"path": paths, "size_bytes": sizes, "ns": times_ns, "inode": inodes}, schema=_STATUS)
    seconds = pl.col("ns") / 1e9
    return to_listed(sound.select("path", "size_bytes", stamp=_STAMP, modified_seconds=seconds), odd)


def stamp_of(status: os.stat_result) -> str:
    """Modification time in nanoseconds and inode of a local file, as `list_folder` writes it."""
    return f"{status.st_mtime_ns}:{status.st_ino}"


def identity_of(root: Path) -> Identity:
    """Device and inode of a folder that was there. Raises SourceUnavailable if there is none any more."""
    try:
        found = root.stat()
    except OSError as error:
        raise SourceUnavailable(
            f"expected {root} to stay while it is read, found {error.strerror}; mount it again, then run again"
        ) from error
    return found.st_dev, found.st_ino


def _scan(folder: str, *, may_be_gone: bool) -> Iterator[os.DirEntry[str]]:
    """The entries of a folder, each good until the next: their status is asked for by a descriptor, not by a long path.

    A folder that may be gone since it was listed then has none.
    """
    try:
        # one that has become a link is no folder of this source any more; its root may be one. A slash at its end would follow
        no_link = os.O_NOFOLLOW if may_be_gone else 0
        descriptor = os.open(folder.rstrip("/") or "/", os.O_RDONLY | os.O_DIRECTORY | no_link)
        try:
            with os.scandir(descriptor) as entries:
                yield from entries
        finally:
            os.close(descriptor)
    except OSError as error:
        if not (may_be_gone and isinstance(error, FileNotFoundError)):
            raise _unlistable(folder, error) from error


def _unlistable(folder: str, error: OSError) -> SourceError:
    return SourceError(f"cannot list {Path(folder)}: {error.strerror}; a snapshot must see every file")


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _describe(path: str, status: os.stat_result) -> SourceFile:
    """A directory entry that is nothing to read, with the reason. Its name may be any bytes."""
    if not _is_text(path):
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        # names that differ must not become one; a sound name could be spelt like the escape
        shown = f"{shown} [{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}]"
        return SourceFile(shown, status.st_size, "name-not-text", "the name is not UTF-8; rename the upload")
    if stat.S_ISLNK(status.st_mode):
        return SourceFile(path, 0, "symbolic-link", "a symbolic link is not followed; upload the file itself")
    return SourceFile(path, 0, "not-a-regular-file", "a pipe, socket or device cannot be an upload")
