"""shards: the images of each split, packed for training."""

import dagster as dg
import polars as pl

from cv_assets.assets.gating import BEFORE_SHARDS, require_gates
from cv_assets.assets.line import Line, as_asset, result
from cv_assets.domain.packing.plan import class_names, plan_shards
from resources.configured import EngineResource, ObjectStoreResource
from resources.content_store import ContentStore
from resources.packing import Packer
from resources.progress import track
from schemas.releases import ShardEntry
from schemas.tables import to_frame


def build_shards(line: Line) -> dg.AssetsDefinition:
    """The asset `shards` of a dataset."""
    config = line.config
    described = line.describe(
        "shards",
        "Shard files of each split with size, SHA-256 and sample count, and an index.json a format. "
        "Refused until every gate before it has passed.",
        code_version="1",
        kinds=set(config.shards.formats),
    )

    @as_asset(described, ins=line.ins("manifest", "splits", "annotations"))
    def shards(
        context: dg.AssetExecutionContext,
        object_store: ObjectStoreResource,
        engine: EngineResource,
        manifest: pl.DataFrame,
        splits: pl.DataFrame,
        annotations: pl.DataFrame,
    ) -> dg.MaterializeResult[pl.DataFrame]:
        store = object_store.open()
        version = line.version(context, store)
        require_gates(version, BEFORE_SHARDS, config, before="shards")
        planned = plan_shards(manifest, splits, annotations, config.shards.max_bytes)
        packer = Packer(version, ContentStore(store), engine.open(), config.limits.to_limits())
        packed: list[ShardEntry] = []
        for shard_format in config.shards.formats:
            entries = packer.pack(shard_format, planned)
            some = list(track(entries, len(planned), label=f"{shard_format} shards", log=context.log.info))
            packer.write_index(shard_format, class_names(manifest), some)
            packed += some
        frame = to_frame("shards", [entry.model_dump() for entry in packed])
        return result(frame, samples=int(frame["samples"].sum()), size_bytes=int(frame["bytes"].sum()))

    return shards
