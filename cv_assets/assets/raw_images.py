"""raw_images: the snapshot of the uploads that fixes what is in a version."""

import dagster as dg
import polars as pl

from cv_assets.assets.line import Line, as_asset, result
from cv_assets.domain.versions import check_version
from resources.configured import WRITE_ONCE, EngineResource, ObjectStoreResource
from resources.content_store import ContentStore
from resources.ingest import ingest, list_source
from resources.object_store import ObjectStore
from resources.progress import track
from resources.source import open_source
from schemas.datasets import DatasetConfig
from schemas.errors import SourceError
from schemas.tables import to_frame


def build_raw_images(line: Line) -> dg.AssetsDefinition:
    """The asset `raw_images` of a dataset."""
    described = line.describe(
        "raw_images",
        "The files of the source as they were when this version was begun. Bytes are in the content store by SHA-256; "
        "the source is never changed, and is not looked at again for this version.",
        code_version="1",
        kinds={"file"},
    )
    described["metadata"] |= {WRITE_ONCE: True, "source": line.config.source.url}

    @as_asset(described)
    def raw_images(
        context: dg.AssetExecutionContext, object_store: ObjectStoreResource, engine: EngineResource
    ) -> dg.MaterializeResult[pl.DataFrame]:
        check_version(context.partition_key)
        store = object_store.open()
        snapshot = line.version(context, store).find_table("raw_images")
        if snapshot is None:
            snapshot = _take_snapshot(context, store, line.config, engine.open().threads)
        else:
            context.log.info("this version has its snapshot; the source is not looked at again")
        rejected = snapshot.drop_nulls("reason")
        return result(snapshot, size_bytes=int(snapshot["size_bytes"].sum()), rejected=rejected.height)

    return raw_images


def _take_snapshot(
    context: dg.AssetExecutionContext, store: ObjectStore, config: DatasetConfig, threads: int
) -> pl.DataFrame:
    source = open_source(config.source.url)
    listing = list_source(source, config)
    if not any(role == "image" for _, role in listing.files):
        raise SourceError(
            f"expected image files in {config.source.url} that match {list(config.source.include)}, found none "
            f"({len(listing.not_included)} other files); upload some, or correct source.include"
        )
    if listing.not_included:
        context.log.info(f"{len(listing.not_included)} files match no pattern, such as {listing.not_included[:3]}")
    rows = ingest(listing, source, ContentStore(store), config, threads=threads)
    return to_frame("raw_images", list(track(rows, len(listing.files), label="files", log=context.log.info)))
