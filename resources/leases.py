"""Leases: how a publisher that reuses old blobs and a collector that deletes unused ones keep out of each other's way.

Each writes its own lease first and then looks for the other's, so of two that begin at once at least one sees the other
and gives way. Ages are told by the store's clock alone. A lease is renewed while its work lasts; that of a killed process
counts for an hour more.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final

from resources.object_store import ObjectStore, Stored
from resources.records import find_record
from resources.refs import Refs
from schemas.errors import StoreError, StoreUnavailable
from schemas.releases import LeaseRecord

LEASE_HOURS: Final = 1.0
RENEW_SECONDS: Final = 300.0
PUBLISHING: Final = "leases"
DELETING: Final = "gc/deleting"


class Lease:
    """A promise to the others, renewed by a thread. It is held for as long as `require` does not raise."""

    def __init__(self, store: ObjectStore, folder: str, purpose: str, clock: Callable[[], float]) -> None:
        self._store, self._clock, self.purpose = store, clock, purpose
        self.key = f"{folder}/{secrets.token_hex(8)}.json"
        self._data = LeaseRecord(purpose=purpose, holder=f"{socket.gethostname()}:{os.getpid()}").to_bytes()
        self._renewed_seconds, self._is_gone = clock(), False
        self._store.put(self.key, self._data)

    def renew(self) -> None:
        """Make the lease young again, unless the others may have stopped to believe in it.

        It may have grown old by our clock; or by the store's alone, as on a machine that was paused, and then it was removed.
        """
        began = self._clock()
        self._is_gone = self._is_gone or self._store.look(self.key) is None
        if self._is_young() and not self._is_gone:
            self._store.put(self.key, self._data)
            if self._is_young():  # this process may have been stopped on the way
                self._renewed_seconds = began

    def require(self) -> None:
        """Raises StoreUnavailable unless the lease was held all the time since it was taken."""
        if not self._is_young() or self._is_gone or self._store.look(self.key) is None:
            raise StoreUnavailable(
                f"{self.purpose} was stopped for so long that its lease {self.key} ran out; "
                "nothing was written since. Run again"
            )

    def release(self) -> None:
        """Tell the others that the work is done. Where the store does not answer, the lease runs out by itself."""
        with suppress(StoreError):
            self._store.delete(self.key)

    def _is_young(self) -> bool:
        """Half of what the others wait: what the lease allows must be done before it ends."""
        return self._clock() - self._renewed_seconds < LEASE_HOURS * 3600 / 2


@contextmanager
def publishing(store: ObjectStore, dataset: str, version: str) -> Iterator[Lease]:
    """Hold off the collector, from before the first blob of a snapshot is looked up until raw_images is written.

    `require` of the lease is to be called right before raw_images is written; the end of the block calls it once more.
    Raises StoreUnavailable while a collector deletes, ConfigurationError for a name that no version can have.
    """
    Refs(store, dataset).require_free(version)
    purpose = f"publishing {dataset}@{version}"
    with _hold(store, f"{PUBLISHING}/{dataset}/{version}", purpose) as lease:
        if young_leases(store, DELETING):
            raise StoreUnavailable(f"cannot begin {purpose}: gc is deleting in {store.url}; run again when it is done")
        yield lease
        lease.require()


@contextmanager
def deleting(store: ObjectStore) -> Iterator[Lease]:
    """Hold off publishers and other collectors while objects are deleted; `require` of the lease before each batch.

    Raises StoreUnavailable while a publisher is at work, or another collector.
    """
    with _hold(store, DELETING, "gc") as lease:
        others = [entry for folder in (PUBLISHING, DELETING) for entry in young_leases(store, folder)]
        others = [entry for entry in others if entry.key != lease.key]
        if others:
            raise StoreUnavailable(
                f"cannot delete now: {_holders(store, others)}; run again when that is done "
                f"(the lease of a killed process runs out after {LEASE_HOURS:g} h)"
            )
        yield lease


def young_leases(store: ObjectStore, folder: str) -> list[Stored]:
    """Leases that count, by the store's clock; those that ran out are removed."""
    entries = list(store.entries(folder))
    if not entries:
        return []
    oldest = store.now() - timedelta(hours=LEASE_HOURS)
    for entry in entries:
        if entry.modified <= oldest:
            store.delete(entry.key)
    return [entry for entry in entries if entry.modified > oldest]


@contextmanager
def _hold(store: ObjectStore, folder: str, purpose: str) -> Iterator[Lease]:
    lease = Lease(store, folder, purpose, _seconds)
    over = threading.Event()
    renewal = threading.Thread(target=_keep_young, args=(lease, over), name=f"lease {purpose}", daemon=True)
    renewal.start()
    try:
        yield lease
    finally:
        over.set()
        renewal.join()
        lease.release()


def _keep_young(lease: Lease, over: threading.Event) -> None:
    while not over.wait(RENEW_SECONDS):
        try:
            lease.renew()
        except StoreError:
            continue  # the next one may succeed; whether the lease held is asked where it matters


def _seconds() -> float:
    """Seconds that also count while the machine sleeps, and that no one sets."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _holders(store: ObjectStore, entries: list[Stored]) -> str:
    found = [find_record(store, LeaseRecord, entry.key) for entry in entries[:3]]
    return (
        ", ".join(f"{lease.purpose} is under way ({lease.holder})" for lease in found if lease) or "others are at work"
    )
