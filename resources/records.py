"""Where the records of versions lie, and how one is read: what versions, their names and the collector of garbage share."""

from typing import Final, TypeVar

from cv_assets.domain.versions import is_version
from resources.object_store import ObjectStore
from schemas.errors import CorruptObject
from schemas.releases import Record, Tombstone

COMMIT: Final = "COMMIT.json"
TOMBSTONE: Final = "TOMBSTONE.json"

AnyRecord = TypeVar("AnyRecord", bound=Record)


def parse_record(kind: type[AnyRecord], data: bytes, key: str) -> AnyRecord:
    """A record as it was written. Raises CorruptObject if a bit of it differs, or if it is of another kind."""
    try:
        return kind.from_bytes(data)
    except (ValueError, RecursionError) as error:  # pydantic's errors are ValueErrors too
        raise CorruptObject(
            f"{key} is not a {kind.__name__} that this release can read ({str(error).splitlines()[0]}); "
            "restore it from a copy of the store, or, while the version is open, materialize what it is about again"
        ) from error


def find_record(store: ObjectStore, kind: type[AnyRecord], key: str) -> AnyRecord | None:
    """A record of the store, or None if there is none. Raises CorruptObject."""
    return store.read(key, lambda data: parse_record(kind, data, key))


def versions_prefix(dataset: str) -> str:
    """Folder that holds every version of a dataset."""
    return f"datasets/{dataset}/versions"


def list_versions(store: ObjectStore, dataset: str) -> list[str]:
    """Names of all versions that keep anything in the store: committed, open, or removed (a tombstone stays).

    A folder whose name no version can have, as a NAS or a file manager leaves it there, is none.
    """
    return [name for name in store.folders(versions_prefix(dataset)) if is_version(name)]


def version_prefix(dataset: str, version: str) -> str:
    """Folder that holds one version of a dataset."""
    return f"{versions_prefix(dataset)}/{version}"


def commit_key(dataset: str, version: str) -> str:
    """Key of a version's commit record."""
    return f"{version_prefix(dataset, version)}/{COMMIT}"


def tombstone_key(dataset: str, version: str) -> str:
    """Key of the record that says that a version was removed, and that its name is not used again."""
    return f"{version_prefix(dataset, version)}/{TOMBSTONE}"


def is_removed(store: ObjectStore, dataset: str, version: str) -> bool:
    """Was the version removed? Raises CorruptObject if its tombstone cannot be read."""
    return find_record(store, Tombstone, tombstone_key(dataset, version)) is not None
