"""What a version keeps in the store, and under which keys: tables, verdicts, shards, the commit record.

Tables, reports and shards lie under keys that tell their content, so that of several runs of one version none can change
what another one has committed; which is the version's is said by a small record, and from the commit on by that.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import polars as pl

from cv_assets.domain.digests import bytes_digest, table_digest
from cv_assets.domain.lineage import MADE_WITH
from cv_assets.domain.versions import check_version
from resources.local_disk import set_aside
from resources.object_store import ObjectStore
from resources.records import AnyRecord, commit_key, find_record, is_removed, version_prefix
from resources.streaming import size_and_hash
from resources.tables import StoredTable, known_digest, read_stored, table_bytes, table_file, table_of
from schemas.errors import CorruptObject, ObjectsLost, StoreError, VersionConflict
from schemas.releases import (
    Arrivals,
    AssetVerdicts,
    BuildRecord,
    CommitRecord,
    Making,
    ObjectEntry,
    ObjectRole,
    TablePlace,
)


class VersionStore:
    """The records of one version of one dataset. What the commit record names is not changed any more.

    It is a short look: whether the version is open is asked once, and again by `publish`. Who writes upon an older answer
    changes nothing that is committed, because keys tell their content (docs/adr/0010).
    """

    def __init__(self, store: ObjectStore, dataset: str, version: str) -> None:
        self._store = store
        self.dataset, self.version = dataset, check_version(version)
        self.prefix = version_prefix(dataset, version)  # of all its keys
        self._committed: CommitRecord | None = None
        self._has_looked = False

    @property
    def store(self) -> ObjectStore:
        """The store that holds the version."""
        return self._store

    @property
    def commit_key(self) -> str:
        """Key of the commit record."""
        return commit_key(self.dataset, self.version)

    def shard_key(self, build: str, file_name: str) -> str:
        """Key of a shard file or its index; a build is one way of packing the version, in one format."""
        return f"{self.prefix}/shards/{build}/{file_name}"

    def find_table_key(self, name: str) -> str | None:
        """Key of a table as it is now: as the commit record names it, else as it was last written."""
        record = self.commit()
        for entry in record.objects if record else ():
            if entry.role == "table" and table_of(entry.key) == name:
                return entry.key
        place = self.find_place(name)
        return None if place is None else f"{self.prefix}/tables/{place.file}"

    def save_table(
        self, name: str, frame: pl.DataFrame, *, write_once: bool = False,
        made_under: str | None = None, arrivals: Arrivals | None = None,
    ) -> None:  # fmt: skip
        """Write a table as one Parquet object, all of it or nothing.

        With a table that is written once is kept what it was first made under, and from which uploads (TablePlace).
        Raises VersionConflict if it would change a table that is written once or that the commit record names.
        """
        fixed = write_once or self.commit() is not None
        if fixed and self._has_table(name, frame):
            return
        data = table_bytes(frame, name)
        file = table_file(name, bytes_digest(data))
        self._store.put(f"{self.prefix}/tables/{file}", data)
        place = TablePlace(table=name, file=file, made_under=made_under, arrivals=arrivals).to_bytes()
        if not fixed:
            self._store.put(self._place_key(name), place)
            return
        try:
            self._store.put_new(self._place_key(name), place)
        except VersionConflict:
            # a run at the same moment was first; another release of the encoder may spell the same table differently
            self._has_table(name, frame)

    def _has_table(self, name: str, frame: pl.DataFrame) -> bool:
        """Is this table there already? Raises VersionConflict if another one is."""
        found = self.find_table(name)
        if found is not None and not found.equals(frame):
            raise VersionConflict(
                f"expected table {name} of {self.dataset}@{self.version} to stay as it was written "
                f"(digest {table_digest(found)}), found other content (digest {table_digest(frame)}). "
                "It is never overwritten: use a new version name"
            )
        return found is not None

    def load_table(self, name: str) -> pl.DataFrame:
        """A table. Raises StoreError if it was never written, CorruptObject if its bytes are damaged or gone."""
        return self.load_stored(name).frame

    def load_stored(self, name: str) -> StoredTable:
        """A table that knows its digest; raises what `load_table` does."""
        found = self.find_stored(name)
        if found is None:
            raise StoreError(
                f"expected table {name} of {self.dataset}@{self.version}, found none; "
                f"materialize {self.dataset}/{MADE_WITH.get(name, name)} first"
            )
        return found

    def load_digest(self, name: str) -> str:
        """`table_digest` of a table, which is read only if this process does not know it yet; raises what `load_table` does."""
        key = self.find_table_key(name)
        known = None if key is None else known_digest(key)
        return self.load_stored(name).digest if known is None else known

    def find_table(self, name: str) -> pl.DataFrame | None:
        """A table, or None if it was never written. Raises CorruptObject if its bytes are damaged or gone."""
        found = self.find_stored(name)
        return None if found is None else found.frame

    def find_stored(self, name: str) -> StoredTable | None:
        """A table that knows its digest, or None; raises what `find_table` does."""
        key = self.find_table_key(name)
        if key is None:
            return None
        try:
            found = self._store.read(key, lambda data: read_stored(data, name, key))
        except CorruptObject as error:
            raise CorruptObject(f"{key} is damaged: {error}; {self._cure(name)}") from error
        if found is None:
            raise CorruptObject(f"expected an object at {key}, found none; {self._cure(name)}")
        return found

    def _cure(self, table: str) -> str:
        if self.commit() is not None:
            return "mend the version with `cv-assets repair`"
        if table == "raw_images":  # made by no rerun
            return f"begin a new version of {self.dataset}: this one can be made no more"
        return f"materialize {self.dataset}/{MADE_WITH.get(table, table)} again"

    def save_verdicts(self, verdicts: AssetVerdicts) -> None:
        """Keep what the checks of one asset found; what a commit record was written upon stays as it was said then.

        Raises VersionConflict if a check that was made then is about other content now, or ends otherwise.
        """
        kept = self.find_verdicts(verdicts.asset) if self.commit() is not None else None
        if kept is None:
            self._store.put(self._verdicts_key(verdicts.asset), verdicts.to_bytes())
            return
        passed = {verdict.name: verdict.passed for verdict in kept.verdicts}
        same = all(passed.get(verdict.name, verdict.passed) == verdict.passed for verdict in verdicts.verdicts)
        if not same or kept.table_digests != verdicts.table_digests:
            raise VersionConflict(
                f"the checks of {verdicts.asset} now find something else about {self.dataset}@{self.version}, "
                "which is committed; its verdicts stay as they were. Look at what the check saw, then make a new version"
            )

    def find_verdicts(self, asset: str) -> AssetVerdicts | None:
        """What the checks of an asset found, or None if they never ran."""
        return self._read(AssetVerdicts, self._verdicts_key(asset))

    def find_place(self, name: str) -> TablePlace | None:
        """What was written down with a table when it was last written, or None if it never was."""
        return self._read(TablePlace, self._place_key(name))

    def save_making(self, making: Making) -> None:
        """Keep what a table was made from; that of a committed version stays as it is."""
        if self.commit() is None:
            self._store.put(self._making_key(making.asset), making.to_bytes())

    def find_making(self, asset: str) -> Making | None:
        """What a table was made from, or None if it never was."""
        return self._read(Making, self._making_key(asset))

    def put_shard(self, build: str, file_name: str, parts: Iterable[bytes]) -> str:
        """Write a shard or an index and return its key; one that a commit record names is never changed."""
        key = self.shard_key(build, file_name)
        record = self.commit()
        if record is not None and any(entry.key == key for entry in record.objects):
            self._store.put_new(key, b"".join(parts))
        else:
            self._store.put_parts(key, parts)
        return key

    def describe_object(self, key: str, role: ObjectRole) -> ObjectEntry:
        """Size and hash of an object as it is stored. Raises StoreError if it is missing."""
        size_bytes, sha256 = size_and_hash(self._store, key)
        return ObjectEntry(key=key, size_bytes=size_bytes, sha256=sha256, role=role)

    def require_shard(self, entry: ObjectEntry) -> ObjectEntry:
        """The entry of a shard that is stored with its size; its hash was read back by the gates. Raises StoreError."""
        size_bytes = self._store.size(entry.key)
        if size_bytes != entry.size_bytes:
            found = "none" if size_bytes is None else f"{size_bytes} bytes"
            raise StoreError(
                f"expected {entry.key} with {entry.size_bytes} bytes, found {found}; materialize shards again, with its checks"
            )
        return entry

    def publish(self, record: CommitRecord, blobs: Mapping[str, str] = MappingProxyType({})) -> None:
        """Make everything durable that the version consists of, then write the commit record, last and once.

        `blobs` holds the key of each with its SHA-256. A record of the same content is left as it is. Raises VersionConflict
        if the version is committed with other content, ObjectsLost if the disk has not kept what it consists of.
        """
        hashes = {entry.key: entry.sha256 for entry in record.objects} | {**blobs}
        if self._is_committed_as(record):
            self.flush_committed(blobs)
            return
        self._require_not_removed()
        self._store.require_create_only()
        self._flush(hashes)
        # a run at the same moment may be first; equal content may be described otherwise
        with suppress(VersionConflict):
            self._store.put_new(self.commit_key, record.to_bytes())
        self._is_committed_as(record)

    def flush_committed(self, blobs: Mapping[str, str] = MappingProxyType({})) -> None:
        """Make durable what is there of a committed version: a run that came second may have written equal bytes over it."""
        record = self.commit()
        if record is not None and self._store.is_local:
            named = {entry.key: entry.sha256 for entry in record.objects} | {**blobs}
            self._store.flush({key: sha256 for key, sha256 in named.items() if self._store.look(key) is not None})

    def _flush(self, hashes: Mapping[str, str]) -> None:
        try:
            self._store.flush(hashes, at_once=True)
        except ObjectsLost as error:
            self._has_looked = False
            if self.commit() is None:  # no later flush would tell of them, and the next run would commit what is left
                for key in error.keys:
                    set_aside(key, root=Path(self._store.url))
            raise

    def _require_not_removed(self) -> None:
        """An object that was deleted can be created anew: only the tombstone keeps the name from a second life."""
        if is_removed(self._store, self.dataset, self.version):
            raise VersionConflict(
                f"{self.dataset}@{self.version} was removed, and its name is not used again; use a new version name"
            )

    def _is_committed_as(self, record: CommitRecord) -> bool:
        self._has_looked = False
        found = self.commit()
        if found is not None and found.digest != record.digest:
            raise VersionConflict(
                f"expected {self.dataset}@{self.version} to be open, or committed with digest {record.digest}; "
                f"found it committed with digest {found.digest}. It is never changed: use a new version name"
            )
        return found is not None

    def commit(self) -> CommitRecord | None:
        """The commit record, or None while the version is open. Raises CorruptObject."""
        if not self._has_looked:
            self._committed = self._read_commit()
            self._has_looked = True
        return self._committed

    def _read_commit(self) -> CommitRecord | None:
        found = self._read(CommitRecord, self.commit_key)
        if found is not None and (found.dataset, found.version) != (self.dataset, self.version):
            raise CorruptObject(
                f"{self.commit_key} is the record of {found.dataset}@{found.version}, which another one may not have; "
                "on a disk that folds case, their names are one"
            )
        return found

    def save_build(self, build: BuildRecord) -> None:
        """Record another packing of a committed version, once."""
        self._store.put_new(f"{self.prefix}/builds/{build.build}.json", build.to_bytes())

    def builds(self) -> list[BuildRecord]:
        """The packings that were made after the commit, sorted by name."""
        found = (self._read(BuildRecord, key) for key in self._store.keys(f"{self.prefix}/builds"))
        return [build for build in found if build is not None]

    def _place_key(self, name: str) -> str:
        return f"{self.prefix}/tables/{name}.json"

    def _making_key(self, asset: str) -> str:
        return f"{self.prefix}/made/{asset}.json"

    def _verdicts_key(self, asset: str) -> str:
        return f"{self.prefix}/verdicts/{asset}.json"

    def _read(self, kind: type[AnyRecord], key: str) -> AnyRecord | None:
        return find_record(self._store, kind, key)
