"""Brings the files of one folder to one version: removes, keeps, links or copies each. Which files those are is not decided here.

Names are handed to the system as they are: a Path for each of 50,000 files would cost more than the link.
"""

import errno
import json
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from cv_assets.domain.digests import bytes_digest
from cv_assets.domain.placing import Placing
from resources.content_store import REMOTE_THREADS, ContentStore, PinnedContent
from resources.object_store import ObjectStore
from resources.parallel import bounded_map
from resources.progress import track
from resources.working_tree import WorkingTree
from schemas.errors import ConfigurationError, CorruptObject, StoreError

CLASSES: Final = "classes.json"
# this file system, this owner or this file takes no hard link: copy instead
_NO_LINKS: Final = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to lie in the folder, and how it gets there."""

    layout: Literal["source", "classes"] = "source"
    splits: tuple[str, ...] = ()
    quarantined: bool = False
    how: Literal["best", "link", "copy"] = "best"
    verify: bool = False
    force: bool = False


@dataclass(slots=True)
class CheckedOut:
    """What was done: counts of files, bytes in all, and the paths that were changed by somebody else and so were kept.

    `why_copied` says why files were copied that were to be linked if that can be; None if none were. `absent_classes` are
    classes of the version that have no folder in this choice of its images.
    """

    dataset: str
    version: str
    digest: str
    files: int = 0
    size_bytes: int = 0
    linked: int = 0
    copied: int = 0
    unchanged: int = 0
    removed: int = 0
    left_out: int = 0
    absent_classes: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    why_copied: str | None = None


class File(NamedTuple):
    """A file of the folder as it was laid out: hash and size of its bytes, and what told that nobody changed it since.

    The time is -1 for one that is about to be laid out: if it is there, its bytes tell.
    """

    sha256: str
    size_bytes: int
    mtime_ns: int = -1
    inode: int = 0


# of each path, what may lie there: of a checkout that was killed, the file of before or the one that it was to bring
Before = dict[str, tuple[File, ...]]


class Layout:
    """The files of one folder on their way to one version. Raises ConfigurationError if links are wished for and cannot be."""

    def __init__(
        self, tree: WorkingTree, store: ObjectStore, content: ContentStore, wish: Wish, done: CheckedOut
    ) -> None:
        self._tree, self._store, self._content, self._wish, self._done = tree, store, content, wish, done
        self._no_links = None if wish.how == "copy" else _why_no_links(store, content)
        if wish.how == "link" and self._no_links:
            raise ConfigurationError(
                f"--link: expected a store on local disk that holds the images, found that {self._no_links}; leave it "
                "out, to copy them"
            )
        self._links = wish.how != "copy" and self._no_links is None
        self._blobs = str(store.local_path("blobs/sha256") or "")
        self._now: dict[str, File] = {}
        self._doubted: set[str] = set()  # hashes of blobs whose link was written to: so may the blob have been

    def bring(self, before: Before | None, wanted: dict[str, File], classes: bytes) -> dict[str, File]:
        """Remove, keep, link or copy every file, and write the names of classes, if there are any.

        Returns what lies there then, as far as it is known. Raises ConfigurationError where a file or a link is in the place of
        a folder, CorruptObject, StoreError.
        """
        named = {CLASSES} if classes else set[str]()
        files = {path: file for path, file in wanted.items() if path not in named}
        self._done.files, self._done.size_bytes = len(files), sum(file.size_bytes for file in files.values())
        missing = _by_folder(files)
        if before is not None:
            for path in _by_folder(before.keys() - wanted.keys()):
                self._remove(path, before[path])
            missing = [path for path in missing if not self._leave(path, before.get(path, ()), files[path])]
        shown = track(missing, len(missing), label="files")
        to_copy = [(path, files[path]) for path in shown if not self._link(path, files[path])]
        self._copy(to_copy)
        if classes:
            self._write_classes((before or {}).get(CLASSES, ()), wanted[CLASSES], classes)
        return self._now

    def _write_classes(self, old: tuple[File, ...], new: File, data: bytes) -> None:
        there = self._tree.look(CLASSES)
        mine = there is None or self._wish.force or self._is_ours(CLASSES, there, old)
        if mine or (there is not None and self._has_bytes(CLASSES, there, new)):
            self._now[CLASSES] = _described(new.sha256, self._tree.write(CLASSES, data))
        else:
            self._keep(CLASSES, old)

    def _remove(self, path: str, old: tuple[File, ...]) -> None:
        there = self._tree.look(path)
        if there is None:
            return
        if self._is_ours(path, there, old) or self._wish.force:
            self._tree.remove(path)
            self._done.removed += 1
        else:
            self._keep(path, old)

    def _leave(self, path: str, old: tuple[File, ...], new: File) -> bool:
        """Leave what lies there, if it is the file or somebody's own, and put that down; False if the file is to be brought."""
        there = self._tree.look(path)
        if there is None:
            return False
        if self._is_right(path, there, old, new):
            if self._wish.how != "best" and self._is_blob(there, new) != (self._wish.how == "link"):
                return False  # a copy that is to be a link, or the other way round
            self._done.unchanged += 1
            self._now[path] = _described(new.sha256, there)
            return True
        if not (self._wish.force or self._is_ours(path, there, old)):
            self._keep(path, old)
            return True
        if any(one.sha256 == new.sha256 for one in old):
            self._doubted.add(new.sha256)
        return False

    def _is_right(self, path: str, there: os.stat_result, old: tuple[File, ...], new: File) -> bool:
        """Does the file that is wanted lie there? It is read where nothing else tells, or if it is to be verified."""
        verify = self._wish.verify
        untouched = next((one for one in old if _is_untouched(there, one)), None)
        if untouched is not None:
            return untouched.sha256 == new.sha256 and (not verify or self._has_bytes(path, there, new))
        # of a run that was killed: its links are known by their inode
        may_be_link = self._links and not verify and all(one.mtime_ns < 0 for one in old)
        return (may_be_link and self._is_blob(there, new)) or self._has_bytes(path, there, new)

    def _is_ours(self, path: str, there: os.stat_result, old: tuple[File, ...]) -> bool:
        """Is what lies there what was laid out, by this or by an earlier checkout, one that was killed included?"""
        # a checkout that was copied, moved or restored has other inodes, and no time that was not set
        return any(_is_untouched(there, one) or self._has_bytes(path, there, one) for one in old)

    def _has_bytes(self, path: str, there: os.stat_result, file: File) -> bool:
        return there.st_size == file.size_bytes and self._tree.has_bytes(path, file.sha256)

    def _keep(self, path: str, old: tuple[File, ...]) -> None:
        self._done.kept.append(path)
        if old:
            self._now[path] = old[0]

    def _link(self, path: str, new: File) -> bool:
        """Link a file to its blob; False if it is to be copied."""
        if not self._links:
            return False
        blob = self._blob(new.sha256)
        status = self._prepare(blob, new)
        try:
            if not self._tree.link(blob, path):
                self._tree.link_over(blob, path)
        except OSError as error:
            if self._wish.how == "link" or error.errno not in _NO_LINKS:
                cure = " (leave --link out)" if error.errno in _NO_LINKS else ""
                raise StoreError(f"{self._tree.explain('link', path, error)}{cure}") from error
            self._links = error.errno == errno.EMLINK  # one image has too many names; the others can be linked
            self._no_links = f"{self._tree.root} takes no hard link to the store {self._store.url}: {error.strerror}"
            return False
        self._done.linked += 1
        self._now[path] = _described(new.sha256, status)
        return True

    def _prepare(self, blob: str, new: File) -> os.stat_result:
        """See to it that a blob has its size (with `verify`, its hash), and that nobody writes to it from now on."""
        try:
            status = os.stat(blob)  # noqa: PTH116
        except OSError as error:
            raise StoreError(
                f"expected a blob at {blob}: {error.strerror}; `cv-assets repair` brings one back that is gone"
            ) from error
        if status.st_size != new.size_bytes:
            raise CorruptObject(
                f"expected {new.size_bytes} bytes at {blob}, found {status.st_size}; `cv-assets repair` mends it"
            )
        if self._wish.verify or new.sha256 in self._doubted:
            self._content.read(new.sha256)
        if status.st_mode & 0o222:
            with suppress(PermissionError):  # it belongs to somebody else, who alone may change its mode
                os.chmod(blob, stat.S_IMODE(status.st_mode) & ~0o222)  # noqa: PTH101
        return status

    def _is_blob(self, there: os.stat_result, new: File) -> bool:
        try:
            blob = os.stat(self._blob(new.sha256))  # noqa: PTH116
        except FileNotFoundError:
            return False
        return (blob.st_ino, blob.st_dev, blob.st_size) == (there.st_ino, there.st_dev, new.size_bytes)

    def _copy(self, files: list[tuple[str, File]]) -> None:
        """Copy or download; what is read is hashed, and several are read at once."""
        threads = (os.cpu_count() or 1) if self._store.is_local else REMOTE_THREADS
        read = bounded_map(lambda one: self._content.read(one[1].sha256), files, threads=threads)
        for (path, new), data in track(zip(files, read, strict=True), len(files), label="files"):
            self._now[path] = _described(new.sha256, self._tree.write(path, data))
            self._done.copied += 1
            self._done.why_copied = self._no_links

    def _blob(self, sha256: str) -> str:
        return f"{self._blobs}/{sha256[:2]}/{sha256}"


def files_of(placing: Placing) -> tuple[dict[str, File], bytes]:
    """What is to be laid out by path, and the file that names the classes, which is among it; empty where there are none."""
    wanted = {path: File(sha256, size) for path, sha256, size in placing.files.iter_rows()}
    if not placing.classes:
        return wanted, b""
    text = json.dumps({"classes": placing.classes}, indent=2, sort_keys=True, ensure_ascii=False)
    classes = f"{text}\n".encode()
    return {**wanted, CLASSES: File(bytes_digest(classes), len(classes))}, classes


def _why_no_links(store: ObjectStore, content: ContentStore) -> str | None:
    if isinstance(content, PinnedContent):
        return "the images stay in the source (source.mode: reference), which the store only refers to"
    return None if store.is_local else f"the store {store.url} is not a folder of this machine"


def _by_folder(paths: Iterable[str]) -> list[str]:
    """In the order of their folders, so that each is opened once."""
    return sorted(paths, key=lambda path: path.rpartition("/")[::2])


def _described(sha256: str, status: os.stat_result) -> File:
    return File(sha256, status.st_size, status.st_mtime_ns, status.st_ino)


def _is_untouched(there: os.stat_result, old: File) -> bool:
    return (there.st_size, there.st_mtime_ns, there.st_ino) == old[1:]
