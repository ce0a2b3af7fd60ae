"""Where the Data Docs of a version lie: static pages in the store, beside its tables, no part of its content."""

from collections.abc import Sequence

from cv_assets.domain.data_docs import INDEX, asset_page, index_page
from cv_assets.domain.expecting import expectations_key
from resources.records import versions_prefix
from resources.versions import VersionStore


def save_data_docs(version: VersionStore, assets: Sequence[str]) -> None:
    """Write the page of every asset whose expectations were looked at, and one that leads to them."""
    kept = {asset: found.verdicts for asset in assets if (found := version.find_verdicts(expectations_key(asset)))}
    of = f"{version.dataset}@{version.version}"
    pages = {f"{asset}.html": asset_page(of, asset, verdicts) for asset, verdicts in kept.items()}
    for name, page in {**pages, INDEX: index_page(of, kept)}.items():
        version.store.put(_key(version, name), page.encode())


def data_docs_key(version: VersionStore, asset: str) -> str:
    """Key of the page of an asset."""
    return _key(version, f"{asset}.html")


def _key(version: VersionStore, name: str) -> str:
    return f"{versions_prefix(version.dataset)}/{version.version}/docs/expectations/{name}"
