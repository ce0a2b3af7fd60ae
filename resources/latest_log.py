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
# entries beyond the last one that are asked for, at once: as many may be lost in a row and are noticed
LOOKED_AHEAD: Final = 8


class LatestLog:
    """Every move of `latest` of one dataset. What reads an entry that is lost or damaged raises CorruptObject."""

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
        listed = (re.search(r"/(\d{8,})\.json\Z", key) for key in self._store.keys(self._folder))
        newest = max((int(entry[1]) for entry in listed if entry), default=0)
        lost = [number for number in range(1, newest) if not self._is_there(number)]
        for number in lost:
            near = number - 1 or next(other for other in range(2, newest + 1) if other not in lost)
            entry = LatestEntry(
                number=number, version=self._entry(near).version, reason="the entry that was here is lost"
            )
            self._store.put_new(self._key(number), entry.to_bytes())
        return lost

    def newest(self) -> int:
        """The highest number of the log. Raises CorruptObject if entries follow the lack of one.

        It is found by doubling and halving, for readers never list. Where that meets the place of a lost entry, it stops
        too low: so it is looked for entries beyond.
        """
        number = self._climb(0)
        while any(bounded_map(self._is_there, range(number + 2, number + 2 + LOOKED_AHEAD), threads=THREADS)):
            if not self._is_there(number + 1):
                raise self._lost(number + 1)
            number = self._climb(number)  # others have written meanwhile
        return number

    def _climb(self, known: int) -> int:
        """A number from `known` on whose entry is there, and the next one's is not."""
        step = 1
        while self._is_there(known + step):
            step *= 2
        below, above = known + step // 2, known + step
        while above - below > 1:
            middle = (above + below) // 2
            if self._is_there(middle):
                below = middle
            else:
                above = middle
        return below

    def _is_there(self, number: int) -> bool:
        return self._store.look(self._key(number)) is not None

    def _entry(self, number: int) -> LatestEntry:
        key = self._key(number)
        try:
            found = find_record(self._store, LatestEntry, key)
        except CorruptObject as error:
            raise CorruptObject(
                f"expected a move of {self._dataset}@{LATEST} at {key} in {self._store.url}, found none that this release can "
                "read; restore it from a copy of the store, or, where there is none and no newer release has written it, "
                f"delete it and {self._say_what_it_names()}"
            ) from error
        if found is None:
            raise self._lost(number)
        return found

    def _lost(self, number: int) -> CorruptObject:
        return CorruptObject(
            f"expected every move of {self._dataset}@{LATEST} in {self._store.url}, found {self._key(number)} lost and later "
            f"ones there; restore it from a copy of the store, or, where there is none, {self._say_what_it_names()}"
        )

    def _say_what_it_names(self) -> str:
        return f"say what {LATEST} names with `cv-assets rollback {self._dataset} VERSION`, which closes the gap"

    def _key(self, number: int) -> str:
        return f"{self._folder}/{number:08d}.json"
