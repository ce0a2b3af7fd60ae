"""Which checks of a version have failed so far, by the verdicts that are kept with it. What a check looks at is not said here."""

from collections.abc import Iterable, Iterator

from cv_assets.domain.expecting import expectations_key
from resources.versions import VersionStore
from schemas.errors import CorruptObject
from schemas.releases import AssetVerdicts, Verdict


def list_failed(version: VersionStore, assets: Iterable[str]) -> list[str]:
    """A sentence for each gate and expectation of severity ERROR of these assets that failed on the tables of now.

    What has not been looked at yet is no failure. Raises CorruptObject, StoreError.
    """
    keys = [key for asset in assets for key in (asset, expectations_key(asset))]
    return [f"{one.asset}: {one.name} failed: {one.description}" for key in keys for one in _failed(version, key)]


def find_kept(version: VersionStore, key: str) -> AssetVerdicts | None:
    """The kept verdicts; of an open version a damaged record counts as none, as its checks write it anew.

    Raises CorruptObject for one of a committed version.
    """
    try:
        return version.find_verdicts(key)
    except CorruptObject:
        if version.commit() is not None:
            raise
        return None


def _failed(version: VersionStore, key: str) -> Iterator[Verdict]:
    kept = find_kept(version, key)
    failed = [one for one in kept.verdicts if one.blocking and not one.passed] if kept else []
    # tables are read only where something failed
    if kept and failed and _is_of_now(version, kept):
        yield from failed


def _is_of_now(version: VersionStore, kept: AssetVerdicts) -> bool:
    """Are the tables that were looked at still the same? Names of settings are among them, which are no tables."""
    tables = ((digest, version.find_stored(name)) for name, digest in kept.table_digests.items())
    return all(table is None or table.digest == digest for digest, table in tables)
