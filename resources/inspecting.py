"""Looks at the objects of one version: from the commit record to the tables, from those to the blobs. Nothing is changed.

`python -m resources.inspecting` does so in a process of its own (resources/verifying.py starts it), which says on the
way what it is about to parse: a table that ends the process is then known by name.
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, TypeVar

import polars as pl

from cv_assets.domain.releasing import CONTENT_TABLES
from cv_assets.domain.sampling import in_sample
from resources.content_store import REMOTE_THREADS, PinnedFile, blob_key, pinned_content
from resources.object_store import open_store
from resources.progress import bars_on, track
from resources.reading_back import Named, ReadingBack, Seen, in_batches
from resources.records import find_record
from resources.tables import read_stored, table_of
from resources.versions import VersionStore
from schemas.errors import ConfigurationError, CorruptObject, CvAssetsError, SourceChanged, SourceGone
from schemas.releases import BuildRecord, CommitRecord, ObjectEntry

Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Scope:
    """How far a look goes: are objects read, which share of them, and what is left out since it ended a process."""

    read_data: bool
    sample: float | None = None
    seed: int = 0
    one_by_one: bool = False
    skipped: tuple[str, ...] = ()

    def takes(self, key: str) -> bool:
        """Is this object to be read?"""
        return self.read_data and (self.sample is None or in_sample(key, self.sample, self.seed))


class Inspection:
    """One look at one version."""

    def __init__(self, version: VersionStore, scope: Scope, tell: Callable[[dict[str, Any]], None]) -> None:
        self._version, self._scope = version, scope
        self._name = f"{version.dataset}@{version.version}"
        self._prefix = f"{version.prefix}/"
        self._back = ReadingBack(version.store, tell, one_by_one=scope.one_by_one)
        self.seen = self._back.seen

    def run(self) -> Seen:
        """Look at everything in scope. Raises ConfigurationError for an open version, StoreUnavailable, StoreRefused."""
        record = self._read_record()
        if record is None:
            return self.seen
        objects = list(self._objects_of(record))
        self._back.expect(objects)
        sound = self._back.check_sizes(objects, read_data=self._scope.read_data)
        frames = {table_of(one.key): self._check_table(one, record) for one in sound if one.role == "table"}
        snapshot = frames.get("raw_images")
        if snapshot is not None:
            blobs = [blob for blob in _blobs_of(snapshot) if blob.key not in self._scope.skipped]
            self._back.expect(blobs)
            sound += self._back.check_sizes(blobs, read_data=self._scope.read_data)
            self._check_source(snapshot, record)
        self._back.check_all([one for one in sound if one.role != "table" and self._scope.takes(one.key)])
        return self.seen

    def _read_record(self) -> CommitRecord | None:
        one = Named(self._version.commit_key, "record")
        self.seen.objects += 1
        try:
            record = _twice(lambda: find_record(self._version.store, CommitRecord, one.key))
        except CorruptObject as error:
            self.seen.say(one, "altered", "a commit record as it was written", str(error))
            return None
        if record is None:
            raise ConfigurationError(
                f"expected a committed version, found {self._name} without a commit record; finish it with "
                f"`cv-assets run {self._version.dataset} --version {self._version.version}`"
            )
        if f"{record.dataset}@{record.version}" != self._name:
            found = f"the record of {record.dataset}@{record.version}"
            self.seen.say(one, "misplaced", f"the record of {self._name}", found)
            return None
        return record

    def _objects_of(self, record: CommitRecord) -> Iterator[Named]:
        """What the commit record and the records of later builds name; a key outside of the version is never opened."""
        itself = Named(self._version.commit_key, "record")
        there = {table_of(entry.key) for entry in record.objects if entry.role == "table"}
        for name in CONTENT_TABLES:
            if name not in there:
                self.seen.say(itself, "short", f"the table {name} among its objects", "no such table")
        shards = {(entry.key, entry.size_bytes, entry.sha256) for entry in record.objects if entry.role == "shard"}
        for shard in record.shards:
            if (shard.key, shard.bytes, shard.sha256) not in shards:
                self.seen.say(itself, "altered", f"the shard {shard.key} among its objects", "no such object")
        for entry in chain(record.objects, *self._builds()):
            one = Named(entry.key, entry.role, entry.size_bytes, entry.sha256)
            if not entry.key.startswith(self._prefix) or {"", ".", ".."} & set(entry.key.split("/")):
                self.seen.say(one, "misplaced", f"a key below {self._prefix}", entry.key)
            elif entry.key not in self._scope.skipped:
                yield one

    def _builds(self) -> Iterable[list[ObjectEntry]]:
        store = self._version.store
        for key in list(store.keys(f"{self._prefix}builds")):
            self.seen.objects += 1
            try:
                found = _twice(lambda key=key: find_record(store, BuildRecord, key))
            except CorruptObject as error:
                self.seen.say(Named(key, "record"), "altered", "a build record as it was written", str(error))
            else:
                yield found.objects if found else []

    def _check_table(self, entry: Named, record: CommitRecord) -> pl.DataFrame | None:
        """The table, if its bytes are those that the record names, and if it holds what the record says of it."""
        data = self._back.check_bytes(entry)
        if data is None:
            return None
        name = table_of(entry.key)
        try:
            with self._back.told(entry.key):
                found = read_stored(data, name, entry.key)
        except CorruptObject as error:
            self.seen.say(entry, "misplaced", f"the table {name}", str(error))
            return None
        said = record.table_digests.get(name)
        if said not in {None, found.digest}:
            self.seen.say(entry, "altered", f"rows with the digest {said}", f"rows with the digest {found.digest}")
            return None
        return found.frame

    def _check_source(self, snapshot: pl.DataFrame, record: CommitRecord) -> None:
        """Files that stayed in the source are asked for by their pins, and read there if they are in scope.

        Each, though one of those with the same bytes is enough to read an image: what is gone is told while others are there.
        """
        content = pinned_content(self._version.store, record.source_url, snapshot)
        if content is None:
            return

        def check(file: PinnedFile) -> None:
            one = Named(file.path, "source", file.size_bytes, file.sha256)
            expected = f"the file that was pinned, with sha256 {one.sha256}"
            try:
                if not self._scope.takes(one.key):
                    size_bytes = content.size_file(file)
                    if size_bytes != one.size_bytes:
                        self.seen.say(one, "altered", expected, f"{size_bytes} bytes instead of {one.size_bytes}")
                    return
                self._back.count_read(len(content.read_file(file)))
            except SourceChanged as error:
                self.seen.say(one, "missing" if isinstance(error, SourceGone) else "altered", expected, str(error))

        files = content.files()
        self.seen.objects += len(files)
        checked = in_batches(check, files, threads=REMOTE_THREADS, batch=1)
        for _ in track(checked, len(files), label="pinned files"):
            pass


def _blobs_of(snapshot: pl.DataFrame) -> list[Named]:
    kept = snapshot.filter(pl.col("sha256").is_not_null() & pl.col("pin").is_null())
    rows = kept.select("sha256", "size_bytes").unique("sha256").sort("sha256").iter_rows()
    return [Named(blob_key(sha256), "blob", size_bytes, sha256) for sha256, size_bytes in rows]


def _twice(read: Callable[[], Said]) -> Said:
    try:
        return read()
    except CorruptObject:
        return read()


def main() -> None:
    """Serve one look: a line of JSON in, lines of JSON out."""
    outgoing = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a parser prints must not be taken for an answer
    asked = json.loads(sys.stdin.readline())
    scope = Scope(**{**asked["scope"], "skipped": tuple(asked["scope"]["skipped"])})

    def tell(said: dict[str, Any]) -> None:
        outgoing.write(json.dumps(said) + "\n")

    try:
        version = VersionStore(open_store(asked["store"]), asked["dataset"], asked["version"])
        with bars_on(asked["terminal"]):
            seen = Inspection(version, scope, tell).run()
    except CvAssetsError as error:
        tell({"error": type(error).__name__, "message": str(error)})
        return
    tell({"done": {**asdict(seen), "problems": [problem.model_dump() for problem in seen.problems]}})


if __name__ == "__main__":
    main()
