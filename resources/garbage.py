"""Finds what no version needs, and deletes it in two phases: marked first, deleted a grace time later.

A blob is needed while the raw_images table of any version names it, committed or open, and while a file that was requeued
waits for the next version. What cannot be read stops everything: a version that is not understood may need any blob. How
publishers are kept out meanwhile is in leases.py.
"""

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Final

import polars as pl

from cv_assets.domain.lineage import READS
from resources.content_store import BLOBS, REMOTE_THREADS
from resources.leases import LEASE_HOURS, Lease, deleting
from resources.local_disk import is_leftover
from resources.object_store import ObjectStore, Stored
from resources.parallel import batched, bounded_map
from resources.progress import track
from resources.records import is_removed, versions_prefix
from resources.removing import Removal, finish_removals, old_versions, remove_version
from resources.requeue import pending_blobs
from resources.tables import read_table, table_bytes
from resources.versions import VersionStore
from schemas.errors import CorruptObject, CvAssetsError, StoreError

MARKS: Final = "gc/marks"
BATCH: Final = 1_000
# a mark is as old as the object that holds it, unless it was moved from another one
_MARKS_SCHEMA: Final = {"key": pl.String, "marked": pl.Datetime("us", "UTC")}
# objects that a killed process may have left, of writers that need them for a moment only
MOMENTARY_FOLDERS: Final = ("clock", "probes")
OWN_FOLDERS: Final = ("blobs", "datasets", "gc", "leases", "lost", *MOMENTARY_FOLDERS)


@dataclass(slots=True)
class Garbage:
    """What no version needs. After a deletion, `deleted` holds what is gone, and `waiting` what was marked for later."""

    dry_run: bool
    versions: list[Removal] = field(default_factory=list)
    blobs: list[Stored] = field(default_factory=list)
    deleted: list[Stored] = field(default_factory=list)
    waiting: list[Stored] = field(default_factory=list)
    leftovers: list[Stored] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Counts, sizes in bytes, and names, as plain JSON."""
        kinds = {name: getattr(self, name) for name in ("blobs", "deleted", "waiting", "leftovers")}
        return {
            "dry_run": self.dry_run,
            "versions": [f"{one.dataset}@{one.version}" for one in self.versions],
            **{name: {"count": len(found), "bytes": _total(found)} for name, found in kinds.items()},
            "keys": [entry.key for entry in self.blobs + self.leftovers],
        }


def find_garbage(store: ObjectStore, *, grace: timedelta, keep_last: int | None = None) -> Garbage:
    """What a collection would find now; nothing is written. Raises StoreError if anything cannot be read."""
    needed = needed_blobs(store)  # every record is read before anything is concluded
    found = Garbage(dry_run=True, versions=old_versions(store, keep_last))
    found.blobs = _unneeded(store, needed_blobs(store, but_for=found.versions) if found.versions else needed)
    found.leftovers = list(_leftovers(store, grace))
    marked = _marks(store)
    oldest = store.now() - grace
    found.waiting = [blob for blob in found.blobs if not _is_due(blob, marked, oldest)]
    return found


def collect_garbage(store: ObjectStore, *, grace: timedelta, keep_last: int | None = None) -> Garbage:
    """Remove old versions, mark blobs that no version needs, and delete those that were marked at least `grace` ago.

    Raises StoreUnavailable while a publisher is at work; StoreError if a record or a table cannot be read: then nothing
    is deleted.
    """
    with deleting(store) as lease:
        needed_blobs(store)  # every record is read before the first deletion
        found = Garbage(dry_run=False)
        finish_removals(store, lease)
        for old in old_versions(store, keep_last):
            if remove_version(store, old, lease):
                found.versions.append(old)
        found.blobs = _unneeded(store, needed_blobs(store))
        marked = _marks(store)
        oldest = store.now() - grace
        found.deleted = [blob for blob in found.blobs if _is_due(blob, marked, oldest)]
        _delete(store, found.deleted, lease)
        gone = {blob.key for blob in found.deleted}
        found.waiting = [blob for blob in found.blobs if blob.key not in gone]
        _mark(store, found.waiting, marked)
        found.leftovers = list(_leftovers(store, grace))
        _delete_leftovers(store, found.leftovers)
    return found


def needed_blobs(store: ObjectStore, *, but_for: Iterable[Removal] = ()) -> pl.Series:
    """SHA-256 of every blob that a version or a pending request names, each once. Raises StoreError if one cannot tell.

    Versions that are to be left out are read all the same. Of a hundred versions of the same images no more is in memory
    than of two.
    """
    left_out = {(old.dataset, old.version) for old in but_for}
    needed = pl.Series("sha256", pending_blobs(store), pl.String)
    for dataset in store.folders("datasets"):
        # every folder, whatever its name: it may be that of a version which somebody renamed
        for version in store.folders(versions_prefix(dataset)):
            named = _named_by(store, dataset, version)
            if (dataset, version) not in left_out:
                needed = pl.concat([needed, named]).unique()
    return needed


def _named_by(store: ObjectStore, dataset: str, version: str) -> pl.Series:
    try:
        if is_removed(store, dataset, version):
            return pl.Series("sha256", [], pl.String)
        found = VersionStore(store, dataset, version)
        files = found.find_table("raw_images")
        if files is not None:
            return files["sha256"].drop_nulls()
        later = [name for name in READS if name != "raw_images" and found.find_table_key(name) is not None]
        if found.commit() is not None or later:
            raise CorruptObject(f"it is committed or has tables ({', '.join(later)}), but no table raw_images")
    except CvAssetsError as error:
        raise StoreError(
            f"cannot tell which blobs {dataset}@{version} needs, so nothing was deleted: {error}. "
            "Repair that version first (`cv-assets repair`), or move the folder of one that can be made no more out of the store"
        ) from error
    return pl.Series("sha256", [], pl.String)


def _unneeded(store: ObjectStore, needed: pl.Series) -> list[Stored]:
    entries = list(store.entries(BLOBS))
    named = pl.Series("sha256", [entry.key.rsplit("/", 1)[-1] for entry in entries], pl.String)
    return [entry for entry, is_needed in zip(entries, named.is_in(needed.implode()), strict=True) if not is_needed]


def _is_due(blob: Stored, marked: dict[str, datetime], oldest: datetime) -> bool:
    """Was it marked long enough ago, and not written anew since?"""
    when = marked.get(blob.key)
    return when is not None and when <= oldest and blob.modified < when


def _marks(store: ObjectStore) -> dict[str, datetime]:
    """Key → when it was marked first, by the store's clock."""
    found: dict[str, datetime] = {}
    for _, marks in _read_marks(store):
        for key, when in marks.items():
            found[key] = min(found.get(key, when), when)
    return found


def _read_marks(store: ObjectStore) -> Iterator[tuple[str, dict[str, datetime]]]:
    """Each object that holds marks, with when each of them was made: when the object was, if the mark does not say."""
    for entry in list(store.entries(MARKS)):
        try:
            marks = store.read(entry.key, lambda data: read_table(data, "marks"))
        except CorruptObject:
            yield entry.key, {}  # as if they had never been made: what they marked waits once more
            continue
        if marks is not None:
            dated = pl.concat([pl.DataFrame(schema=_MARKS_SCHEMA), marks], how="diagonal")  # older ones have no date
            yield entry.key, {key: when or entry.modified for key, when in dated.iter_rows()}


def _mark(store: ObjectStore, waiting: list[Stored], marked: dict[str, datetime]) -> None:
    """Mark what is not marked yet, and forget marks of what is needed again, rewritten, or gone."""
    fresh = [blob.key for blob in waiting if blob.key not in marked or blob.modified >= marked[blob.key]]
    standing = {blob.key for blob in waiting} - set(fresh)
    outdated = {key: marks for key, marks in _read_marks(store) if not (marks and standing.issuperset(marks))}
    moved = {name: marked[name] for marks in outdated.values() for name in marks if name in standing}
    _put_marks(store, {**dict.fromkeys(fresh), **moved})
    for key in outdated:
        store.delete(key)


def _put_marks(store: ObjectStore, marks: Mapping[str, datetime | None]) -> None:
    if marks:
        frame = pl.DataFrame({"key": list(marks), "marked": list(marks.values())}, _MARKS_SCHEMA)
        store.put(f"{MARKS}/{secrets.token_hex(8)}.parquet", table_bytes(frame, "marks"))


def _delete(store: ObjectStore, blobs: list[Stored], lease: Lease) -> None:
    threads = 1 if store.is_local else REMOTE_THREADS
    for batch in batched(track(blobs, len(blobs), label="images"), BATCH):
        lease.require()
        for _ in bounded_map(lambda blob: store.delete(blob.key), batch, threads=threads):
            pass


def _leftovers(store: ObjectStore, grace: timedelta) -> Iterator[Stored]:
    """What killed writers left behind, by names that only they give. A writer that still lives is never so slow."""
    oldest = store.now() - max(grace, timedelta(hours=LEASE_HOURS))
    momentary = (entry for folder in MOMENTARY_FOLDERS for entry in store.entries(folder))
    root = _root(store)
    # in the store's own folders alone: what lies beside them, even below its root, may be somebody's uploads
    unfinished = () if root is None else chain.from_iterable(_unfinished(root, name) for name in OWN_FOLDERS)
    yield from (entry for entry in (*momentary, *unfinished) if entry.modified < oldest)


def _unfinished(root: Path, below: str) -> Iterator[Stored]:
    for folder, _, names in os.walk(root / below):
        for name in filter(is_leftover, names):
            path = Path(folder, name)
            try:
                status = path.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # its writer lives, and gave it its name meanwhile
            modified = datetime.fromtimestamp(status.st_mtime).astimezone()
            yield Stored(path.relative_to(root).as_posix(), status.st_size, modified, None)


def _delete_leftovers(store: ObjectStore, leftovers: list[Stored]) -> None:
    root = _root(store)
    for entry in leftovers:
        if root is None:
            store.delete(entry.key)
        else:
            (root / entry.key).unlink(missing_ok=True)


def _root(store: ObjectStore) -> Path | None:
    datasets = store.local_path("datasets")
    return None if datasets is None else datasets.parent


def _total(entries: list[Stored]) -> int:
    return sum(entry.size_bytes for entry in entries)
