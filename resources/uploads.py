"""One look at a dataset's uploads, which reads no file: what the source lists, and how that differs from a version."""

from dataclasses import replace

import polars as pl

from cv_assets.domain.snapshot import with_roles
from cv_assets.domain.uploads import Changes, Listing, compare, to_listing
from resources.ingest import sightings_of
from resources.object_store import ObjectStore
from resources.requeue import Requeues
from resources.source import open_source
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig


def list_uploads(config: DatasetConfig) -> Listing:
    """Every file of the source that the dataset's patterns name.

    Raises ConfigurationError if nothing can be at its URL, SourceError if it cannot be listed.
    """
    files = with_roles(open_source(config.source.url).listing(), config).drop_nulls("role")
    return to_listing(files)


def changes_since(listing: Listing, store: ObjectStore, config: DatasetConfig, version: str | None) -> Changes:
    """How a listing differs from the snapshot of a version; without a version, everything is new.

    What waits for another try counts too; what the version took from the content store does not count as removed.
    """
    requeues = Requeues(store, config.name)
    waiting = len(requeues.pending().files)
    snapshot = None if version is None else VersionStore(store, config.name, version).find_table("raw_images")
    if version is not None and snapshot is not None:
        kept = pl.Series("path", requeues.brought_back(version), pl.String)
        kept = kept.filter(~kept.is_in(listing.table["path"].implode()))
        snapshot = snapshot.filter(~pl.col("path").is_in(kept.implode()))
    return replace(compare(listing.table, snapshot, sightings_of(store, config).load()), requeued=waiting)


def has_requeued(store: ObjectStore, dataset: str) -> bool:
    """Does any file wait for another try?"""
    return bool(Requeues(store, dataset).pending().files)


def has_snapshot(store: ObjectStore, dataset: str, version: str) -> bool:
    """Is it fixed what is in the version?"""
    return VersionStore(store, dataset, version).find_table_key("raw_images") is not None
