"""raw_images: the snapshot of the uploads that fixes what is in a version."""

import dagster as dg
import polars as pl

from cv_assets.assets.line import Line, as_asset, result
from resources.configured import WRITE_ONCE, EngineResource, ObjectStoreResource
from resources.ingest import Snapshot


def build_raw_images(line: Line) -> dg.AssetsDefinition:
    """The asset `raw_images` of a dataset."""
    described = line.describe(
        "raw_images",
        "The files of the source as they were when this version was begun. Bytes are in the content store by SHA-256, "
        "and every image was decoded once on the way; "
        "the source is never changed, and is not looked at again for this version.",
        code_version="1",
        kinds={"file", "pillow"},
    )
    described["metadata"] |= {WRITE_ONCE: True, "source": line.config.source.url}

    @as_asset(described)
    def raw_images(
        context: dg.AssetExecutionContext, object_store: ObjectStoreResource, engine: EngineResource
    ) -> dg.MaterializeResult[pl.DataFrame]:
        version = line.version(context, object_store.open())
        taken = Snapshot(object_store.open(), line.config, engine.open(), context.log.info)
        snapshot = version.find_table("raw_images")
        if snapshot is None:
            snapshot, probes = taken.take()
        else:
            context.log.info("this version has its snapshot; the source is not looked at again")
            probes = taken.probe_again(snapshot, version.find_table("probes"))
        version.save_table("probes", probes)
        rejected = snapshot.drop_nulls("reason").height + probes.drop_nulls("reason").height
        said = {"size_bytes": int(snapshot["size_bytes"].sum()), "rejected": rejected}
        return result(snapshot, **said, files_that_no_pattern_names=taken.not_included)

    return raw_images
