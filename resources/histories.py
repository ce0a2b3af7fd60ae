"""The tables behind a dataset's figures over time: of the releases before a version, as far as they are still there."""

from itertools import islice
from typing import Final

import polars as pl

from resources.baselines import earlier_releases
from resources.parallel import bounded_map
from resources.versions import VersionStore
from schemas.errors import TRANSIENT, StoreError, StoreRefused

THREADS: Final = 8
TABLES: Final = ("quality_report", "drift")


def load_history(version: VersionStore, n: int = 20) -> dict[str, dict[str, pl.DataFrame]]:
    """Version → quality_report and drift, of the last `n` releases before this one, oldest first, without itself.

    A table that an older release did not write, or that is damaged (`cv-assets verify` tells), is left out: a picture of
    the past stops no new version. Raises StoreUnavailable, StoreRefused.
    """
    names = list(dict.fromkeys(entry.version for entry in earlier_releases(version)))

    def load(name: str) -> tuple[str, dict[str, pl.DataFrame]] | None:
        other = VersionStore(version.store, version.dataset, name)
        return (name, _tables(other)) if _is_committed(other) else None

    loaded = bounded_map(load, reversed(names), threads=THREADS, ahead=THREADS)
    newest_first = list(islice((one for one in loaded if one is not None), n))
    return dict(reversed(newest_first))


def _is_committed(version: VersionStore) -> bool:
    try:
        return version.commit() is not None
    except StoreError as error:
        _require_passable(error)
        return False


def _tables(version: VersionStore) -> dict[str, pl.DataFrame]:
    found: dict[str, pl.DataFrame] = {}
    for name in TABLES:
        try:
            table = version.find_table(name)
        except StoreError as error:
            _require_passable(error)
        else:
            if table is not None:
                found[name] = table
    return found


def _require_passable(error: StoreError) -> None:
    """Only what is missing or damaged is passed over; a store without an answer is none."""
    if isinstance(error, (*TRANSIENT, StoreRefused)):
        raise error
