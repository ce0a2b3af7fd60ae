"""The log of `latest`: one object a move, numbered without a gap, created once.

So it needs no more of a store than versions do: compare-and-swap by ETag is not the same on every server. A writer that lost
a number takes the next one, so no move is ever lost.
"""

import re
from collections.abc import Callable
from typing import Final

from cv_assets.domain.versions import LATEST, check_version
from resources.object_store import ObjectStore
from resources.parallel import bounded_map
from resources.records import find_record
from schemas.errors import CorruptObject, VersionConflict
from schemas.releases import LatestEntry

THREADS: Final = 16


class LatestLog:
    """Every move of `latest` of one dataset. What reads it raises CorruptObject if an entry is lost or damaged."""

    def __init__(self, store: ObjectStore, dataset: str) -> None:
        self._store, self._dataset = store, dataset
        self._folder = f"datasets/{dataset}/refs/{LATEST}"

    def history(self) -> list[LatestEntry]:
        """Every entry, oldest first."""
        return list(bounded_map(self._entry, range(1, self.newest() + 1), threads=THREADS))

    def last(self) -> LatestEntry | None:
        """The newest entry, or None if there is none."""
        number = self.newest()
        return self._entry(number) if number else None

    def append(
        self, version: str, reason: str, number: int, *, until: Callable[[LatestEntry], bool] = lambda _: False
    ) -> None:
        """Add an entry, at `number` or after; `until` finds an entry of another writer that makes ours needless."""
        while True:
            entry = LatestEntry(number=number, version=check_version(version), reason=reason)
            try:
                self._store.put_new(self._key(number), entry.to_bytes())
            except VersionConflict:
                if until(self._entry(number)):
                    return
                number += 1
            else:
                return

    def close_gaps(self) -> list[int]:
        """Write an entry that says so in the place of each that is lost from the log, and return their numbers.

        It names what its neighbour does, so that the order in which versions became `latest` stays as it is known.
        """
        newest, lost = self._numbers()
        for number in lost:
            near = number - 1 or next(other for other in range(2, newest + 1) if other not in lost)
            entry = LatestEntry(
                number=number, version=self._entry(near).version, reason="the entry that was here is lost"
            )
            self._store.put_new(self._key(number), entry.to_bytes())
        return lost

    def newest(self) -> int:
        """The highest number of the log. Raises CorruptObject if one below it is lost: then nobody can say what is newest."""
        newest, lost = self._numbers()
        if lost:
            raise self._lost(lost[0])
        return newest

    def _numbers(self) -> tuple[int, list[int]]:
        """The highest number of the log, and those below it that are lost."""
        listed = (re.search(r"/(\d{8,})\.json\Z", key) for key in self._store.keys(self._folder))
        found = {int(entry[1]) for entry in listed if entry}
        newest = max(found, default=0)
        # what is written while the folder is listed may be in the listing or not, whatever its number
        while self._is_there(newest + 1):
            newest += 1
        return newest, [number for number in range(1, newest) if number not in found and not self._is_there(number)]

    def _is_there(self, number: int) -> bool:
        return self._store.look(self._key(number)) is not None

    def _entry(self, number: int) -> LatestEntry:
        found = find_record(self._store, LatestEntry, self._key(number))
        if found is None:
            raise self._lost(number)
        return found

    def _lost(self, number: int) -> CorruptObject:
        return CorruptObject(
            f"expected every move of {self._dataset}@{LATEST} in {self._store.url}, found {self._key(number)} lost and later "
            f"ones there; restore it from a copy of the store, or, where there is none, say what {LATEST} names with "
            f"`cv-assets rollback {self._dataset} VERSION`, which closes the gap"
        )

    def _key(self, number: int) -> str:
        return f"{self._folder}/{number:08d}.json"
