"""Holds single objects against what a version says of them: there, of their size, with their hash. Nothing is changed."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, TypeVar

from cv_assets.domain.digests import bytes_digest
from resources.content_store import REMOTE_THREADS
from resources.object_store import ObjectStore
from resources.parallel import batched, bounded_map
from resources.progress import track
from schemas.errors import StoreError, StoreRefused, StoreUnavailable
from schemas.upkeep import Problem

BATCH: Final = 256
LISTED_FROM: Final = 1_000  # so many blobs of a remote store are quicker listed than asked for
KEYS_A_REQUEST: Final = 1_000
CURES: Final = {
    "record": "repair it from another copy of the store (--from URL)",
    "table": "repair it from another copy of the store (--from URL)",
    "report": "repair it from another copy of the store (--from URL); one that is missing is written anew by quality_report",
    "index": "repair it from another copy of the store (--from URL)",
    "shard": "repair it from another copy of the store (--from URL); one that is missing is written anew by its asset",
    "blob": "repair it from another copy of the store (--from URL), or from the uploads (--from-source)",
    "source": "put the file back as it was, or begin a new version",
}

Thing = TypeVar("Thing")
Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Named:
    """An object that a version names, with its size in bytes and its SHA-256 in hex."""

    key: str
    role: Any
    size_bytes: int = 0
    sha256: str = ""


@dataclass(slots=True)
class Seen:
    """What was looked at so far."""

    objects: int = 0
    read: int = 0
    read_bytes: int = 0
    read_again: int = 0
    problems: list[Problem] = field(default_factory=list)

    def say(self, entry: Named, problem: Any, expected: str, found: str) -> None:
        """Put a problem down."""
        said = {"problem": problem, "expected": expected, "found": found, "cure": CURES[entry.role]}
        told = Problem(key=entry.key, sha256=entry.sha256 or None, role=entry.role, **said)
        self.problems.append(told)


class ReadingBack:
    """Checks of the objects of one store; problems go to `seen`.

    With `one_by_one` every object is told before it is touched, and when it is done.
    """

    def __init__(self, store: ObjectStore, tell: Callable[[dict[str, Any]], None], *, one_by_one: bool) -> None:
        self._store, self._tell, self._one_by_one = store, tell, one_by_one
        self._by_hash: dict[str, str] = {}
        self.seen, self._counting = Seen(), threading.Lock()

    def expect(self, entries: Iterable[Named]) -> None:
        """Objects of the version: bytes of one of these under the name of another are misplaced, not altered."""
        self._by_hash |= {entry.sha256: entry.key for entry in entries}

    def count_read(self, size_bytes: int, *, again: int = 0) -> None:
        """One more object was read. Threads do so at once: a sum that is read before and written after would lose some."""
        with self._counting:
            self.seen.read += 1
            self.seen.read_bytes += size_bytes
            self.seen.read_again += again

    def check_sizes(self, entries: list[Named], *, read_data: bool) -> list[Named]:
        """Those that are there with their size; with `read_data`, one of another size is read to tell whose it is."""
        self.seen.objects += len(entries)
        sizes = _sizes_of(self._store, [entry.key for entry in entries])
        sound: list[Named] = []
        for entry in entries:
            if sizes.get(entry.key) == entry.size_bytes or self._look_again(entry, read_data=read_data):
                sound.append(entry)
        return sound

    def _look_again(self, entry: Named, *, read_data: bool) -> bool:
        """Is an object that did not seem so there with its size after all, as a listing may lag behind? Else it is told."""
        size_bytes = self._store.size(entry.key)
        if size_bytes == entry.size_bytes:
            self.seen.read_again += 1
            return True
        if size_bytes is None:
            self.seen.say(entry, "missing", f"{entry.size_bytes} bytes", "no object")
            return False
        if read_data and self.check_bytes(entry) is None:
            return False  # whose bytes they are was told
        kind = "short" if size_bytes < entry.size_bytes else "long"
        self.seen.say(entry, kind, f"{entry.size_bytes} bytes", f"{size_bytes} bytes")
        return False

    def check_bytes(self, entry: Named) -> bytes | None:
        """The bytes of an object, if they are what its hash names; else None, and the problem is told.

        What differs is read a second time before it is called so: the transfer may have been at fault.
        """
        problem = ("missing", "no object")
        with self.told(entry.key, even_alone=False):
            for attempt in (1, 2):
                try:
                    data = self._store.find(entry.key)
                except (StoreUnavailable, StoreRefused):
                    raise
                except StoreError as error:
                    problem = ("unreadable", str(error))
                    continue
                if data is None:
                    continue
                found = bytes_digest(data)
                if found == entry.sha256:
                    self.count_read(len(data), again=attempt - 1)
                    return data
                problem = self._classify(entry, len(data), found)
        self.seen.say(entry, problem[0], f"{entry.size_bytes} bytes with sha256 {entry.sha256}", problem[1])
        return None

    def check_all(self, entries: list[Named]) -> None:
        """Read and hash: large objects a few at a time, blobs in batches."""
        cores = os.cpu_count() or 1
        many = 1 if self._one_by_one else cores if self._store.is_local else REMOTE_THREADS
        for is_blob, threads, batch in ((False, min(many, cores), 1), (True, many, BATCH)):
            some = [entry for entry in entries if (entry.role == "blob") is is_blob]
            read = in_batches(self._has_its_bytes, some, threads=threads, batch=batch)
            for _ in track(read, len(some), label="images" if is_blob else "shards"):
                pass

    @contextmanager
    def told(self, key: str, *, even_alone: bool = True) -> Iterator[None]:
        """Say what is being handled, in case that it ends the process."""
        if not (even_alone or self._one_by_one):
            yield
            return
        self._tell({"begin": key})
        try:
            yield
        finally:
            self._tell({"end": key})

    def _has_its_bytes(self, entry: Named) -> bool:
        return self.check_bytes(entry) is not None

    def _classify(self, entry: Named, size_bytes: int, found: str) -> tuple[str, str]:
        if found in self._by_hash:
            return "misplaced", f"the bytes of {self._by_hash[found]}"
        if size_bytes == entry.size_bytes:
            return "altered", f"sha256 {found}"
        return ("short" if size_bytes < entry.size_bytes else "long"), f"{size_bytes} bytes"


def in_batches(
    function: Callable[[Thing], Said], things: Iterable[Thing], *, threads: int, batch: int
) -> Iterable[Said]:
    """`map` over threads, so many things a task: a task for each small file would cost more than the file."""

    def work(some: list[Thing]) -> list[Said]:
        return [function(one) for one in some]

    return chain.from_iterable(bounded_map(work, batched(things, batch), threads=threads, ahead=2 * threads))


def _sizes_of(store: ObjectStore, keys: list[str]) -> dict[str, int | None]:
    """Key → size in bytes; of many blobs in a remote store by listing their folders."""
    if store.is_local:
        return {key: store.size(key) for key in keys}
    if len(keys) < LISTED_FROM:
        return dict(in_batches(lambda key: (key, store.size(key)), keys, threads=REMOTE_THREADS, batch=1))
    wanted: dict[str, set[str]] = {}
    for key in keys:
        wanted.setdefault(key.rsplit("/", 1)[0], set()).add(key)

    def look(folder: str) -> dict[str, int | None]:
        # other versions may have far more there: a listing that takes as many requests as the keys themselves is given up
        some = store.entries(folder, most=KEYS_A_REQUEST * len(wanted[folder]))
        return {entry.key: entry.size_bytes for entry in some if entry.key in wanted[folder]}

    found: dict[str, int | None] = {}
    for listed in bounded_map(look, wanted, threads=REMOTE_THREADS):
        found |= listed
    unseen = [key for key in keys if key not in found]
    return found | dict(in_batches(lambda key: (key, store.size(key)), unseen, threads=REMOTE_THREADS, batch=1))
