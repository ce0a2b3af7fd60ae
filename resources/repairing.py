"""Brings back what `verify` finds wrong: from another copy of the store, or from the uploads. Never by guessing.

Bytes are taken only if their hash is the one that the commit record or the table raw_images names. What they replace is
kept below `lost/` first. Shards are not packed anew here: one that is missing is written again by its asset.
"""

from collections.abc import Callable, Sequence
from typing import Final

import polars as pl

from cv_assets.domain.digests import bytes_digest
from resources.listing import SourceFile, files_of
from resources.local_disk import LOST
from resources.object_store import ObjectStore, open_store
from resources.progress import track
from resources.records import find_record, parse_record
from resources.source import NotRead, Source, open_source
from resources.urls import is_remote, local_root, require_form
from resources.verifying import verify_version
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig
from schemas.errors import ConfigurationError, CorruptObject, StoreError, StoreUnavailable
from schemas.releases import BuildRecord, CommitRecord, TablePlace
from schemas.upkeep import Problem, Repaired, RepairReport

# the record names the tables, and the table raw_images names the blobs: each may bring to light what is wrong below it
ROUNDS: Final = 3
Origin = tuple[str, bytes]


def open_copy(url: str, store: ObjectStore) -> ObjectStore:
    """Another store to take objects from. Raises ConfigurationError if there is none, or if it is the same one."""
    require_form(url, setting="--from")
    if not is_remote(url):
        folder, found = local_root(url, setting="--from"), "nothing"
        try:
            is_there = folder.is_dir()
        except OSError as error:
            is_there, found = False, str(error.strerror)
        if not is_there:
            raise ConfigurationError(f"--from: expected the folder of another store, found {found} at {folder}")
    copy = open_store(url)
    if copy.url == store.url:
        raise ConfigurationError(f"--from: expected another store than {store.url}, found the same")
    return copy


def repair_version(
    version: VersionStore, *, copies: Sequence[ObjectStore] = (), config: DatasetConfig | None = None
) -> RepairReport:
    """Read every object of a version, and bring back each that is not what it should be.

    `copies` are other stores with the same keys; the source of `config`, if it is given, is searched for blobs. Raises
    ConfigurationError if the version is open and no copy has its record, StoreError for what the store does not do.
    """
    store, repaired, asked = version.store, [], _Copies(copies)
    if (record := _bring_back_record(version, asked)) is not None:
        repaired.append(record)
    problems: list[Problem] = []
    for _ in range(ROUNDS):
        version = VersionStore(store, version.dataset, version.version)  # a record may be kept in the other one
        problems = verify_version(version, read_data=True).problems
        uploads = _Uploads(version, config) if config and any(one.role == "blob" for one in problems) else None
        shown = track(problems, len(problems), label="problems")
        done = [found for problem in shown if (found := _bring_back(version, problem, asked, uploads)) is not None]
        repaired += done
        if not done:
            break
    if problems and not repaired and asked.refused is not None:
        raise asked.refused
    return RepairReport(dataset=version.dataset, version=version.version, repaired=repaired, remaining=problems)


class _Copies:
    """Other stores that are searched, one after the other; one that gives no answer is not asked again."""

    def __init__(self, stores: Sequence[ObjectStore]) -> None:
        self._stores = list(stores)
        self.refused: StoreError | None = None  # the last that one said instead of an answer

    def find(self, key: str, is_right: Callable[[bytes], bool]) -> Origin | None:
        """The first that has the right bytes."""
        for store in list(self._stores):
            try:
                data = store.find(key)
            except StoreError as error:
                self.refused = error
                if isinstance(error, StoreUnavailable):
                    self._stores.remove(store)
                continue
            if data is not None and is_right(data):
                return store.url, data
        return None


def _bring_back(
    version: VersionStore, problem: Problem, copies: _Copies, uploads: "_Uploads | None"
) -> Repaired | None:
    store = version.store
    if problem.role == "record" and "/builds/" in problem.key:
        found = copies.find(problem.key, lambda data: _is_build_of(version, data, problem.key))
        return None if found is None else _replace(store, problem.key, found)
    if problem.sha256 is None or problem.role in {"record", "source"}:
        return None
    sha256 = problem.sha256
    found = copies.find(problem.key, lambda data: bytes_digest(data) == sha256)
    if found is None and problem.role == "blob" and uploads is not None:
        found = uploads.find(sha256)
    return None if found is None else _replace(store, problem.key, found)


def _bring_back_record(version: VersionStore, copies: _Copies) -> Repaired | None:
    """The commit record of a copy, where ours is damaged or gone; it must name the tables that are here."""
    key = version.commit_key
    try:
        if version.commit() is not None or version.store.look(key) is not None:
            return None
    except CorruptObject:
        pass  # what is there is kept below lost/ when it is replaced

    def is_ours(data: bytes) -> bool:
        try:
            record = parse_record(CommitRecord, data, key)
        except CorruptObject:
            return False
        return (record.dataset, record.version) == (version.dataset, version.version) and _names_what_is_here(
            version.store, record
        )

    found = copies.find(key, is_ours)
    return None if found is None else _replace(version.store, key, found)


def _names_what_is_here(store: ObjectStore, record: CommitRecord) -> bool:
    """Does it name tables of ours? Their names tell their content, so damaged ones do not stand in the way.

    One that is gone is known by our own record of its place.
    """
    tables = [entry for entry in record.objects if entry.role == "table"]
    return bool(tables) and all(entry.sha256[:16] in entry.key and _is_held(store, entry.key) for entry in tables)


def _is_held(store: ObjectStore, key: str) -> bool:
    folder, _, file = key.rpartition("/")
    if store.look(key) is not None:
        return True
    try:
        place = find_record(store, TablePlace, f"{folder}/{file.rpartition('-')[0]}.json")
    except CorruptObject:
        return False
    return place is not None and place.file == file


def _is_build_of(version: VersionStore, data: bytes, key: str) -> bool:
    """Is it the record, under its own name, of a packing of what this version holds?"""
    try:
        found, commit = parse_record(BuildRecord, data, key), version.commit()
    except CorruptObject:
        return False
    return commit is not None and found.digest == commit.digest and key.endswith(f"/builds/{found.build}.json")


def _replace(store: ObjectStore, key: str, found: Origin) -> Repaired:
    """Write the right bytes; those that are there are kept aside, as far as they can be read at all."""
    origin, data = found
    try:
        damaged = store.find(key)
    except StoreError:
        damaged = None
    kept_as = None if damaged is None else f"{LOST}/{key}.{bytes_digest(damaged)}"
    if kept_as is not None and damaged is not None:
        store.put_new(kept_as, damaged)
    store.put(key, data)
    store.flush({key: bytes_digest(data)})
    return Repaired(key=key, origin=origin, kept_as=kept_as)


class _Uploads:
    """The source of a dataset, searched for bytes by their hash: under the path they had, then among files of that size."""

    def __init__(self, version: VersionStore, config: DatasetConfig) -> None:
        self._url = config.source.url
        self._source: Source = open_source(self._url)
        files = version.find_table("raw_images")
        assert files is not None  # else no blob would be known to be wrong
        self._rows = files.filter(pl.col("sha256").is_not_null())
        self._by_path = {file.path: file for file in files_of(self._source.listing()) if file.reason is None}
        self._by_size: dict[int, list[SourceFile]] = {}
        for file in self._by_path.values():
            self._by_size.setdefault(file.size_bytes, []).append(file)

    def find(self, sha256: str) -> Origin | None:
        """Bytes with this hash, and the upload that holds them. Raises SourceError if the source cannot be read."""
        rows = self._rows.filter(pl.col("sha256") == sha256)
        named = [self._by_path[path] for path in rows["path"] if path in self._by_path]
        alike = [file for size in rows["size_bytes"].unique() for file in self._by_size.get(size, [])]
        for file in dict.fromkeys([*named, *alike]):
            try:
                data = self._source.read(file).data
            except NotRead:
                continue  # this upload cannot be read; another may hold the same bytes
            if bytes_digest(data) == sha256:
                return f"{self._url}/{file.path}", data
        return None
