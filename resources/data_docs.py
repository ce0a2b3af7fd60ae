"""Where the Data Docs of a version lie: static pages in the store, beside its tables, no part of its content."""

from collections.abc import Mapping, Sequence

from cv_assets.domain.data_docs import INDEX, asset_page, index_page
from cv_assets.domain.expected_tables import ASSETS
from cv_assets.domain.expecting import expectations_key
from resources.verdicts import find_kept
from resources.versions import VersionStore
from schemas.releases import Verdict


def save_data_docs(version: VersionStore, asset: str) -> None:
    """Write the page of an asset whose expectations were looked at, and the one that leads to those of every such asset."""
    of, expected = _name(version), find_expected(version)
    version.store.put(data_docs_key(version, asset), asset_page(of, asset, expected[asset]).encode())
    version.store.put(_key(version, INDEX), index_page(of, expected).encode())


def find_expected(version: VersionStore) -> dict[str, list[Verdict]]:
    """Asset → the verdicts that are kept on what is expected of it, for each that was looked at.

    Raises what `find_kept` does.
    """
    kept = {asset: find_kept(version, expectations_key(asset)) for asset in dict.fromkeys(ASSETS.values())}
    return {asset: found.verdicts for asset, found in kept.items() if found}


def make_data_docs(version: VersionStore, expected: Mapping[str, Sequence[Verdict]]) -> dict[str, bytes]:
    """File name → page, for every asset and for the one that leads to them."""
    of = _name(version)
    pages = {f"{asset}.html": asset_page(of, asset, verdicts) for asset, verdicts in expected.items()}
    return {name: page.encode() for name, page in {**pages, INDEX: index_page(of, expected)}.items()}


def data_docs_key(version: VersionStore, asset: str) -> str:
    """Key of the page of an asset."""
    return _key(version, f"{asset}.html")


def _name(version: VersionStore) -> str:
    return f"{version.dataset}@{version.version}"


def _key(version: VersionStore, name: str) -> str:
    return f"{version.prefix}/docs/expectations/{name}"
