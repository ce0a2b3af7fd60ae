"""release: the commit record, written last and once. From then on the version is there for readers."""

from collections.abc import Iterable

import dagster as dg
import polars as pl

from cv_assets.assets.gating import BEFORE_RELEASE, require_gates
from cv_assets.assets.line import Line, as_asset, result
from cv_assets.domain.releasing import build_commit
from cv_assets.partitions import begun_versions
from resources.configured import ObjectStoreResource
from resources.content_store import ContentStore, blob_key
from resources.object_store import ObjectStore
from resources.packing import INDEX
from resources.refs import Refs
from resources.reports import FILES, find_report_key
from resources.tables import StoredTable
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig
from schemas.errors import StoreError, VersionConflict
from schemas.releases import CommitRecord, ObjectEntry
from schemas.tables import to_frame


def build_release(line: Line) -> dg.AssetsDefinition:
    """The asset `release` of a dataset."""
    described = line.describe(
        "release",
        "The version's commit record: every object with key, size and hash, counts, configuration, digests. Readers start "
        "from it. Refused until every gate has passed; never changed afterwards.",
        code_version="1",
        kinds={"json"},
    )

    # on each of them, for Dagster orders a selection by direct dependencies, and `splits,release` leaves the shards out
    @as_asset(described, deps=[line.key(asset) for asset in BEFORE_RELEASE])
    def release(
        context: dg.AssetExecutionContext, object_store: ObjectStoreResource
    ) -> dg.MaterializeResult[pl.DataFrame]:
        store = object_store.open()
        version = line.version(context, store)
        record = version.commit()
        if record is None:
            record = _publish(version, line.config)
        else:
            version.flush_committed()  # this run may have written equal bytes over what another one committed
        # also for a version that was committed before: the run that did so may have ended between the two
        Refs(store, version.dataset).advance(version.version, later=_begun_after(context.instance, version))
        frame = to_frame("release", [entry.model_dump() for entry in record.objects])
        return result(frame, version_digest=record.digest, counts=record.counts.model_dump(), splits=record.splits)

    return release


def _begun_after(instance: dg.DagsterInstance, version: VersionStore) -> list[str]:
    """Versions that were begun after this one."""
    begun = begun_versions(instance, version.store, version.dataset)
    return begun[begun.index(version.version) + 1 :] if version.version in begun else []


def _publish(version: VersionStore, config: DatasetConfig) -> CommitRecord:
    passed = require_gates(version, BEFORE_RELEASE, config, before="release")
    checks = [verdict for found in passed.verdicts for verdict in found.verdicts]
    tables = {name: found.frame for name, found in passed.tables.items()}
    blobs = require_blobs(version.store, tables["raw_images"])
    objects = list_objects(version, passed.tables.values(), tables["shards"])
    record = build_commit(config, version.version, tables, passed.digests, checks=checks, objects=objects)
    if any(found.entry.key != version.find_table_key(name) for name, found in passed.tables.items()):
        raise VersionConflict(
            f"expected the tables of {version.dataset}@{version.version} to stay as the gates saw them, found that another "
            "run made some of them anew meanwhile; let it end, then materialize release again"
        )
    version.publish(record, blobs)
    return record


def require_blobs(store: ObjectStore, snapshot: pl.DataFrame) -> dict[str, str]:
    """Key → SHA-256 of the blobs of a RawImages table. Raises StoreError unless every one is there with its size."""
    copied = snapshot.filter(pl.col("sha256").is_not_null() & pl.col("pin").is_null())
    blobs = copied.unique("sha256")
    missing = blobs.filter(~ContentStore(store).has(blobs))["sha256"].sort()
    if len(missing):
        raise StoreError(
            f"expected every blob of the snapshot in {store.url}; {len(missing)} are missing or short, such as "
            f"{blob_key(missing[0])}. Restore them from a copy, or begin a new version, which takes them from the source"
        )
    return {blob_key(sha256): sha256 for sha256 in blobs["sha256"]}


def list_objects(version: VersionStore, tables: Iterable[StoredTable], shards: pl.DataFrame) -> list[ObjectEntry]:
    """Every object of the version, with its tables as they were read; but no blobs, which the table raw_images names."""
    files = [find_report_key(version, name) for name in FILES]
    reports = [version.describe_object(key, "report") for key in files if key is not None]
    folders = shards["key"].str.replace("[^/]+$", "").unique().sort()
    indexes = [version.describe_object(f"{folder}{INDEX}", "index") for folder in folders]
    packed = [
        version.require_shard(ObjectEntry(key=key, size_bytes=size_bytes, sha256=sha256, role="shard"))
        for key, size_bytes, sha256 in shards.select("key", "bytes", "sha256").iter_rows()
    ]
    return sorted([*(table.entry for table in tables), *reports, *indexes, *packed], key=lambda entry: entry.key)
