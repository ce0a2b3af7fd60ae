"""release: the commit record, written last and once. From then on the version is there for readers."""

import dagster as dg
import polars as pl

from cv_assets.assets.gating import BEFORE_RELEASE, require_gates
from cv_assets.assets.line import Line, as_asset, result
from cv_assets.domain.releasing import build_commit
from resources.configured import ObjectStoreResource
from resources.packing import INDEX
from resources.versions import VersionStore
from schemas.releases import ObjectEntry
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

    @as_asset(described, deps=[line.key("shards")])
    def release(
        context: dg.AssetExecutionContext, object_store: ObjectStoreResource
    ) -> dg.MaterializeResult[pl.DataFrame]:
        version = line.version(context, object_store.open())
        checks = [
            verdict
            for found in require_gates(version, BEFORE_RELEASE, line.config, before="release")
            for verdict in found.verdicts
        ]
        tables = {name: version.load_table(name) for name in BEFORE_RELEASE}
        objects = list_objects(version, tables["shards"], line.config.shards.formats)
        record = build_commit(line.config, version.version, tables, checks=checks, objects=objects)
        version.publish(record)
        frame = to_frame("release", [entry.model_dump() for entry in objects])
        return result(frame, version_digest=record.digest, counts=record.counts.model_dump(), splits=record.splits)

    return release


def list_objects(version: VersionStore, shards: pl.DataFrame, formats: tuple[str, ...]) -> list[ObjectEntry]:
    """Every object of the version but its blobs, which the table raw_images names by hash and size."""
    tables = [version.describe_object(version.table_key(name), "table") for name in ("probes", *BEFORE_RELEASE)]
    indexes = [version.describe_object(version.shard_key(name, INDEX), "index") for name in formats]
    packed = [
        version.require_shard(ObjectEntry(key=key, size_bytes=size_bytes, sha256=sha256, role="shard"))
        for key, size_bytes, sha256 in shards.select("key", "bytes", "sha256").iter_rows()
    ]
    return sorted([*tables, *indexes, *packed], key=lambda entry: entry.key)
