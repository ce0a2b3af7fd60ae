"""Rejected files that the next version is to try once more: what was asked for, what a version took of it, and kept bytes.

A request lies below `datasets/NAME/requeue/pending/` until a version's snapshot has taken it, and then in that version's
`requeue/taken/VERSION.json`. A run that is killed between the two leaves it pending, and the version after takes it as
well; so do two versions that are begun at once. Either way a file is looked at once more than was asked, and no more.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from cv_assets.domain.digests import bytes_digest
from cv_assets.domain.snapshot import RoleOf
from resources.content_store import ContentStore
from resources.leases import publishing
from resources.listing import SourceFile
from resources.object_store import ObjectStore
from resources.records import find_record
from resources.source import Content, NotRead, open_source
from schemas.datasets import DatasetConfig
from schemas.errors import CorruptObject
from schemas.releases import Requeue, RequeuedFile, TakenRequeue

# no version can have this name
_LEASE: Final = "_requeue"


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits for the next version: files by path, each once, and the keys of the requests that name them."""

    files: list[RequeuedFile]
    keys: list[str]


@dataclass(frozen=True, slots=True)
class Requeued:
    """What became of a wish: files that wait now, files that waited already, and (file, why not) of those that do not.

    `absent` are paths among the first that the source has no more: the next version takes their kept bytes.
    """

    accepted: list[RequeuedFile] = field(default_factory=list)
    already: list[RequeuedFile] = field(default_factory=list)
    refused: list[tuple[RequeuedFile, str]] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


class Requeues:
    """The requests of one dataset."""

    def __init__(self, store: ObjectStore, dataset: str) -> None:
        self._store, self._dataset = store, dataset
        self._prefix = f"datasets/{dataset}/requeue"

    def pending(self) -> Pending:
        """What waits now. Raises CorruptObject if a request cannot be read."""
        keys = list(self._store.keys(f"{self._prefix}/pending"))
        found = {_identity(one): one for key in keys for one in self._read(key)}
        return Pending([found[identity] for identity in sorted(found)], keys)

    def add(self, files: Sequence[RequeuedFile]) -> None:
        """Let some files wait; equal requests are one object, as old as the last of them."""
        data = Requeue(dataset=self._dataset, files=list(files)).to_bytes()
        sha256 = bytes_digest(data)
        key = f"{self._prefix}/pending/{sha256}.json"
        self._store.put(key, data)
        self._store.flush({key: sha256})

    def claim(self, pending: Pending, version: str, brought_back: Sequence[str]) -> None:
        """Write down what a version's snapshot took; to be called right before that snapshot is written."""
        if pending.files:
            taken = TakenRequeue(
                dataset=self._dataset, version=version, files=pending.files, brought_back=sorted(brought_back)
            )
            self._store.put(self._taken_key(version), taken.to_bytes())

    def settle(self, pending: Pending) -> None:
        """Let what was taken wait no more; to be called right after the snapshot was written."""
        for key in pending.keys:
            self._store.delete(key)

    def settle_for(self, version: str) -> None:
        """The same for a version whose run ended before that. What was asked for since its snapshot waits on.

        A damaged record settles nothing: those files are looked at once more, which is no reason to stop a version.
        """
        with suppress(CorruptObject):
            taken, stored = self._find_taken(version), self._store.look(self._taken_key(version))
            if taken is None or stored is None:
                return
            known = {_identity(one) for one in taken.files}
            for key in list(self._store.keys(f"{self._prefix}/pending")):
                asked = self._store.look(key)
                is_older = asked is not None and asked.modified < stored.modified  # an equal request may come again
                if is_older and {_identity(one) for one in self._read(key)} <= known:
                    self._store.delete(key)

    def brought_back(self, version: str) -> list[str]:
        """Paths of a version whose bytes were taken from the content store, as the source had them no more."""
        found = self._find_taken(version)
        return [] if found is None else found.brought_back

    def _read(self, key: str) -> list[RequeuedFile]:
        try:
            found = find_record(self._store, Requeue, key)
        except CorruptObject as error:
            raise CorruptObject(f"{error}. Or delete {key}, and requeue those files again") from error
        return [] if found is None else found.files

    def _find_taken(self, version: str) -> TakenRequeue | None:
        return find_record(self._store, TakenRequeue, self._taken_key(version))

    def _taken_key(self, version: str) -> str:
        return f"{self._prefix}/taken/{version}.json"


class KeptFiles:
    """Requeued files that the source has no more: their bytes come from the content store, by their hash."""

    def __init__(self, content: ContentStore, files: Iterable[RequeuedFile]) -> None:
        known = {one.path: one for one in files}
        blobs = [(one.sha256, one.size_bytes) for one in known.values()]
        asked = pl.DataFrame(blobs, schema={"sha256": pl.String, "size_bytes": pl.Int64}, orient="row")
        here = content.held(asked)
        self._content = content
        self._kept = {path: one for path, one in sorted(known.items()) if one.sha256 in here}

    def files(self) -> Iterator[SourceFile]:
        """Every file whose bytes are there, in the order of its path; they are in no listing, so they have no stamp."""
        yield from (SourceFile(path, one.size_bytes) for path, one in self._kept.items())

    def read(self, file: SourceFile) -> Content:
        """The bytes, hashed anew. Raises NotRead if they changed, StoreError."""
        try:
            return Content(self._content.read(str(self._kept[file.path].sha256)), pin="")  # copied, so never pinned
        except CorruptObject as error:
            raise NotRead("unreadable", f"the bytes that were kept are damaged: {error}") from error


def requeue(store: ObjectStore, config: DatasetConfig, rejected: pl.DataFrame) -> Requeued:
    """Let files wait for the next version, if that can read them: in the source, else from the content store.

    `rejected` has path, sha256, size_bytes and state, as `list_rejections` gives them. Raises StoreUnavailable while a
    collector deletes, ConfigurationError if nothing can be at the source's URL, SourceError if it cannot be listed.
    """
    listed = set(open_source(config.source.url).listing()["path"].to_list())
    requeues, done = Requeues(store, config.name), Requeued()
    with publishing(store, config.name, _LEASE) as lease:  # a collector may be about to delete what is kept
        offer = _Offer(RoleOf(config), listed, ContentStore(store).held(rejected), copies=config.source.mode == "copy")
        pending = requeues.pending().files
        waiting, paths = {_identity(one) for one in pending}, {one.path for one in pending}
        for path, sha256, size_bytes, state in rejected.select("path", "sha256", "size_bytes", "state").iter_rows():
            one = RequeuedFile(path=path, sha256=sha256, size_bytes=size_bytes)
            if _identity(one) in waiting:
                done.already.append(one)
            elif (obstacle := offer.why_not(one, state, paths)) is not None:
                done.refused.append((one, obstacle))
            else:
                done.accepted.append(one)
                paths.add(path)
                done.absent.extend({path} - listed)
        if done.accepted or done.already:
            lease.require()
            # what waits already, too: a version that was killed may have taken it, and would settle what is older
            requeues.add([*done.accepted, *done.already])
    return done


@dataclass(frozen=True, slots=True)
class _Offer:
    """What the next version can read: paths of the source that the dataset names, and hashes whose bytes are kept."""

    role_of: RoleOf
    listed: set[str]
    kept: set[str]
    copies: bool

    def why_not(self, file: RequeuedFile, state: str, waiting: set[str]) -> str | None:
        """Why another try of this file is not possible, or None; `waiting` are paths of which some bytes wait already."""
        if state == "accepted":
            return "it is accepted by now"
        if self.role_of(file.path) != "image":
            return "the dataset's patterns do not name it as an image any more; mend source.include"
        if state == "replaced":
            return "its path holds other bytes by now, and those are looked at in any case"
        return None if file.path in self.listed else self._why_not_kept(file, waiting)

    def _why_not_kept(self, file: RequeuedFile, waiting: set[str]) -> str | None:
        if file.path in waiting:
            return (
                "other bytes of its path wait already, and a version holds one file a path; requeue it after that one"
            )
        if self.copies and file.sha256 in self.kept:
            return None
        lacking = "were never read" if file.sha256 is None else "are not kept"
        return f"the source has it no more, and its bytes {lacking}; upload it again"


def pending_blobs(store: ObjectStore) -> list[str]:
    """SHA-256 of every blob that a pending request of any dataset may need. Raises CorruptObject."""
    every = (one for dataset in store.folders("datasets") for one in Requeues(store, dataset).pending().files)
    return [one.sha256 for one in every if one.sha256 is not None]


def _identity(file: RequeuedFile) -> tuple[str, str, int]:
    return (file.path, file.sha256 or "", file.size_bytes)
