"""raw_images: the snapshot of the uploads that fixes what is in a version."""

import dagster as dg
import polars as pl

from cv_assets.assets.line import Line, as_asset, result
from resources.arrivals import save_arrivals
from resources.configured import WRITE_ONCE, EngineResource, ObjectStoreResource
from resources.ingest import Snapshot
from resources.leases import publishing
from resources.requeue import Requeues


def build_raw_images(line: Line) -> dg.AssetsDefinition:
    """The asset `raw_images` of a dataset."""
    described = line.describe(
        "raw_images",
        "The files of the source as they were when this version was begun. Bytes are in the content store by SHA-256 "
        "(or stay in the source, pinned), and every image was decoded once on the way; "
        "the source is never changed, and is not looked at again for this version.",
        code_version="2",
        kinds={"file", "pillow"},
    )
    described["metadata"] |= {WRITE_ONCE: True, "source": line.config.source.url}

    @as_asset(described)
    def raw_images(
        context: dg.AssetExecutionContext, object_store: ObjectStoreResource, engine: EngineResource
    ) -> dg.MaterializeResult[pl.DataFrame]:
        store = object_store.open()
        version = line.version(context, store)
        requeues = Requeues(store, version.dataset)
        taken = Snapshot(store, line.config, engine.open(), context.log.info)
        snapshot = version.find_table("raw_images")
        if snapshot is None:
            store.require_create_only()
            # written here and not by the IO manager: until the table names them, only the lease protects its blobs
            with publishing(store, version.dataset, version.version) as lease:
                asked = requeues.pending()
                snapshot, probes = taken.take(asked.files)
                lease.require()
                requeues.claim(asked, version.version, taken.brought_back)
                save_arrivals(version, taken.newest_upload)
                version.save_table("raw_images", snapshot, write_once=True)
                requeues.settle(asked)
        else:
            context.log.info("this version has its snapshot; the source is not looked at again")
            probes = taken.probe_again(snapshot, version.find_table("probes"))
        version.save_table("probes", probes)
        rejected = snapshot.drop_nulls("reason").height + probes.drop_nulls("reason").height
        said = {"size_bytes": int(snapshot["size_bytes"].sum()), "rejected": rejected, "files_read": taken.files_read}
        docs = line.data_docs(version, "raw_images")
        return result(snapshot, **said, files_that_no_pattern_names=taken.not_included, **docs)

    return raw_images
