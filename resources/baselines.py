"""Which releases a version goes by, with their tables: its baseline, and the release before it, whatever the baseline is.

Each is chosen once and kept beside the version, so that a rerun or a backfill goes by the same, whatever was released
since. How two versions are compared is not said here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final

import polars as pl

from cv_assets.domain.digests import bytes_digest
from cv_assets.domain.versions import LATEST
from resources.records import find_record, is_removed
from resources.refs import Refs
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig
from schemas.errors import ConfigurationError, CorruptObject, StoreError, VersionConflict
from schemas.releases import BaselineRecord, LatestEntry

# names of the records beside a version
BASELINE: Final = "baseline"
PREVIOUS: Final = "previous"


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """A committed version, the dataset's configuration at that time, and its manifest and annotations.

    near_duplicates is among the tables if that version has one. After a removal by `cv-assets gc` only the name and the
    digest are known: `is_removed`, and there are no tables.
    """

    version: str
    digest: str
    configuration: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    is_removed: bool = False

    def lends_near_duplicates(self, config: DatasetConfig) -> bool:
        """Were its near duplicates found with the settings of today, so that a search can go on from them?"""
        settings = self.configuration.get("quality", {}).get("near_duplicates")
        return "near_duplicates" in self.tables and settings == config.quality.near_duplicates.model_dump(mode="json")


def find_baseline(version: VersionStore, config: DatasetConfig) -> Baseline | None:
    """What a version is compared with by `quality.drift.baseline`, or None if there is nothing.

    `latest` is the release before this one, whatever was released or rolled back later. Never the version itself. The
    first answer is kept, None too; while the version is open it is given anew if the setting changes or the release is
    removed. Raises ConfigurationError if the setting names no committed version, StoreError, CorruptObject.
    """
    return _load(version, _settle(version, BASELINE, config.quality.drift.baseline))


def find_previous(version: VersionStore, baseline: Baseline | None = None) -> Baseline | None:
    """The release before a version, on whose clusters its own go on, or None if there was none.

    Kept as the baseline is, but asked of no setting: what a version is compared with must not change names of clusters.
    `baseline` is given back if that is it, so that no table is read twice. Raises StoreError, CorruptObject.
    """
    kept = _settle(version, PREVIOUS, LATEST)
    if baseline is not None and (baseline.version, baseline.digest) == (kept.version, kept.digest):
        return baseline
    return _load(version, kept)


def earlier_releases(version: VersionStore) -> list[LatestEntry]:
    """Every move of `latest` before it first named this version, oldest first; all of them if it never did."""
    return list(
        takewhile(lambda entry: entry.version != version.version, Refs(version.store, version.dataset).history())
    )


def _settle(version: VersionStore, name: str, setting: str | None) -> BaselineRecord:
    """The record of that name: the kept one if it still holds, else a new one."""
    kept = _find_record(version, name)
    if kept is None or (version.commit() is None and not _holds(version, kept, setting)):
        return _keep(version, name, _choose(version, setting), first=kept is None)
    return kept


def _find_record(version: VersionStore, name: str) -> BaselineRecord | None:
    try:
        return find_record(version.store, BaselineRecord, _key(version, name))
    except CorruptObject:
        if version.commit() is not None:
            raise
        return None  # of an open version nothing rests on it yet


def _holds(version: VersionStore, kept: BaselineRecord, setting: str | None) -> bool:
    return kept.setting == setting and (kept.version is None or _other(version, kept.version).commit() is not None)


def _keep(version: VersionStore, name: str, chosen: BaselineRecord, *, first: bool) -> BaselineRecord:
    key, data = _key(version, name), chosen.to_bytes()
    if first:
        try:
            version.store.put_new(key, data)
        except VersionConflict:
            # another run of this version was first, or the record is damaged
            found = _find_record(version, name)
            if found is not None and (version.commit() is not None or found.setting == chosen.setting):
                return found
        else:
            return chosen
    version.store.put(key, data)
    version.store.flush({key: bytes_digest(data)})
    return chosen


def _choose(version: VersionStore, setting: str | None) -> BaselineRecord:
    found = next(_candidates(version, setting), None)
    commit = None if found is None else found.commit()
    if found is None or commit is None:
        return BaselineRecord(setting=setting, version=None, digest=None)
    return BaselineRecord(setting=setting, version=found.version, digest=commit.digest)


def _candidates(version: VersionStore, setting: str | None) -> Iterator[VersionStore]:
    """Committed versions to compare with, the best first."""
    if setting is None or setting == version.version:
        return
    if setting == LATEST:
        others = (_other(version, entry.version) for entry in reversed(earlier_releases(version)))
        yield from (other for other in others if other.commit() is not None)
        return
    where = f"quality.drift.baseline of dataset {version.dataset}"
    try:
        other = _other(version, Refs(version.store, version.dataset).resolve(setting))
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}; name another one there, or `latest`") from error
    if other.commit() is None:
        raise ConfigurationError(
            f"{where}: expected a committed version, found {other.version} open; finish it with "
            f"`cv-assets run {version.dataset} --version {other.version}`, or name another"
        )
    if other.version != version.version:
        yield other


def _load(version: VersionStore, kept: BaselineRecord) -> Baseline | None:
    if kept.version is None or kept.digest is None:
        return None
    other = _other(version, kept.version)
    commit = other.commit()
    if commit is None and is_removed(version.store, version.dataset, kept.version):
        return Baseline(kept.version, kept.digest, is_removed=True)
    if commit is None or commit.digest != kept.digest:
        found = "no commit record" if commit is None else f"digest {commit.digest}"
        raise StoreError(
            f"{version.dataset}@{version.version} is compared with {kept.version}: expected it with digest {kept.digest}, "
            f"found {found}; repair that version (`cv-assets repair`)"
        )
    tables = {name: other.load_table(name) for name in ("manifest", "annotations")}
    near_duplicates = other.find_table("near_duplicates")
    if near_duplicates is not None:
        tables["near_duplicates"] = near_duplicates
    return Baseline(kept.version, kept.digest, commit.configuration, tables)


def _other(version: VersionStore, name: str) -> VersionStore:
    return VersionStore(version.store, version.dataset, name)


def _key(version: VersionStore, name: str) -> str:
    return f"{version.prefix}/{name}.json"
