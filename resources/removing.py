"""Removes old versions whole: a tombstone first, then the commit record, then the rest, so that no reader sees half a one."""

from dataclasses import dataclass
from typing import Final

from cv_assets.domain.versions import sort_versions
from resources.leases import Lease
from resources.object_store import ObjectStore
from resources.records import commit_key, find_record, is_removed, list_versions, tombstone_key, version_prefix
from resources.refs import Refs
from schemas.errors import ConfigurationError
from schemas.releases import CommitRecord, Tombstone

REASON: Final = "older than the versions that are kept"


@dataclass(frozen=True, slots=True)
class Removal:
    """A committed version that is older than those to be kept, with the digest of its content."""

    dataset: str
    version: str
    digest: str


def old_versions(store: ObjectStore, keep_last: int | None) -> list[Removal]:
    """Committed versions older than the newest `keep_last` of their dataset, in the order in which they first became latest.

    Never one that is latest, tagged or pinned, and none whose place in that order is not recorded. Raises ConfigurationError
    if none would be kept.
    """
    if keep_last is None:
        return []
    if keep_last < 1:
        raise ConfigurationError(f"--keep-last: expected at least 1, found {keep_last}")
    return [old for dataset in store.folders("datasets") for old in _old_of(store, dataset, keep_last)]


def remove_version(store: ObjectStore, old: Removal, lease: Lease) -> bool:
    """Remove a version; False if it was given a name meanwhile, and so stays.

    Whoever names a version writes the name and then looks for a tombstone; here the tombstone is written first. A run
    that is killed on the way is finished by the next one.
    """
    lease.require()
    grave = tombstone_key(old.dataset, old.version)
    record = Tombstone(dataset=old.dataset, version=old.version, digest=old.digest, reason=REASON)
    store.put_new(grave, record.to_bytes())
    record_key = commit_key(old.dataset, old.version)
    # what is left of one that was half removed has no record: no name makes a version of it again
    if old.version in _named(Refs(store, old.dataset)) and store.look(record_key) is not None:
        store.delete(grave)
        return False
    store.delete(record_key)  # from here on it is no version for any reader
    for key in list(store.keys(version_prefix(old.dataset, old.version))):
        if key != grave:
            store.delete(key)
    return True


def finish_removals(store: ObjectStore, lease: Lease) -> None:
    """Go on with removals that were begun by a run that was killed."""
    for dataset in store.folders("datasets"):
        for version in list_versions(store, dataset):
            grave = find_record(store, Tombstone, tombstone_key(dataset, version))
            keys = store.keys(version_prefix(dataset, version))
            if grave is not None and any(key != tombstone_key(dataset, version) for key in keys):
                remove_version(store, Removal(dataset, version, grave.digest), lease)


def _old_of(store: ObjectStore, dataset: str, keep_last: int) -> list[Removal]:
    refs = Refs(store, dataset)
    named, order = _named(refs), list(dict.fromkeys(entry.version for entry in refs.history()))
    committed: dict[str, str] = {}
    for version in sort_versions(list_versions(store, dataset)):
        record = find_record(store, CommitRecord, commit_key(dataset, version))
        if record is not None and not is_removed(store, dataset, version) and version in order:
            committed[version] = record.digest
    newest_first = sorted(committed, key=order.index, reverse=True)
    return [Removal(dataset, old, committed[old]) for old in newest_first[keep_last:] if old not in named]


def _named(refs: Refs) -> set[str]:
    latest = refs.latest()
    return {*refs.tags().values(), *refs.pins(), *([latest] if latest else ())}
