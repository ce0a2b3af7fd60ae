"""raw_images: the snapshot of the uploads that fixes what is in a version."""

import dagster as dg
import polars as pl

from cv_assets.assets.line import Line, as_asset, result
from cv_assets.domain.lineage import configuration_digest
from cv_assets.domain.manifest import build_quarantine
from cv_assets.partitions import add_version
from resources.arrivals import arrivals
from resources.configured import WRITE_ONCE, EngineResource, ObjectStoreResource
from resources.examining import begin_examiner
from resources.ingest import NAMES_TOLD, Snapshot
from resources.leases import publishing
from resources.refs import Refs
from resources.rejections import remember_rejections
from resources.requeue import Requeues
from resources.versions import VersionStore
from schemas.errors import CorruptObject, VersionConflict


def build_raw_images(line: Line) -> dg.AssetsDefinition:
    """The asset `raw_images` of a dataset."""
    described = line.describe(
        "raw_images",
        "The files of the source as they were when this version was begun. Bytes are in the content store by SHA-256 "
        "(or stay in the source, pinned), and every image was decoded once on the way; "
        "the source is never changed, and is not looked at again for this version.",
        code_version="3",
        kinds={"file", "pillow"},
    )
    described["metadata"] |= {WRITE_ONCE: True, "source": line.config.source.url}
    made_under = configuration_digest("raw_images", line.config)

    @as_asset(described)
    def raw_images(
        context: dg.AssetExecutionContext, object_store: ObjectStoreResource, engine: EngineResource
    ) -> dg.MaterializeResult[pl.DataFrame]:
        begin_examiner()  # it imports for seconds until the checks ask
        store = object_store.open()
        version = line.version(context, store)
        # a schedule cannot: it does not know whether a run will follow, or whether somebody only tries it in the UI
        add_version(context.instance, store, version.dataset, version.version)
        Refs(store, version.dataset).require_distinct(version.version)
        workers = engine.open()
        taken = Snapshot(store, line.config, workers, context.log.info)
        snapshot = version.find_table("raw_images")
        if snapshot is None:
            workers.alone().begin()  # where none has begun: it starts while the source is listed
            snapshot, probes = _take(version, taken, made_under)
        else:
            _require_made_under(version, made_under)
            context.log.info("this version has its snapshot; the source is not looked at again")
            Requeues(store, version.dataset).settle_for(version.version)
            probes = _probe_again(version, taken, snapshot)
        version.save_table("probes", probes)
        # here, and not with the table: no gate can keep them from being listed and requeued
        remember_rejections(version, build_quarantine(snapshot, probes))
        rejected = snapshot.drop_nulls("reason").height + probes.drop_nulls("reason").height
        said = {"size_bytes": int(snapshot["size_bytes"].sum()), "rejected": rejected, "files_read": taken.files_read}
        docs = line.data_docs(version, "raw_images")
        said |= {
            "files_that_no_pattern_names": len(taken.not_included),
            "some_of_them": taken.not_included[:NAMES_TOLD],
        }
        return result(snapshot, **said, **docs)

    return raw_images


def _take(version: VersionStore, taken: Snapshot, made_under: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The snapshot, written, and its probes.

    It is not left to the IO manager: until the table names its blobs, only the lease protects them.
    """
    store, requeues = version.store, Requeues(version.store, version.dataset)
    store.require_create_only()
    with publishing(store, version.dataset, version.version) as lease:
        asked = requeues.pending()
        snapshot, probes = taken.take(asked.files)
        lease.require()
        requeues.claim(asked, version.version, taken.brought_back)
        came = arrivals(taken.newest_upload, taken.listing_digest)
        version.save_table("raw_images", snapshot, write_once=True, made_under=made_under, arrivals=came)
        _require_made_under(version, made_under)
        requeues.settle(asked)
    return snapshot, probes


def _probe_again(version: VersionStore, taken: Snapshot, snapshot: pl.DataFrame) -> pl.DataFrame:
    """The probes of a snapshot that was taken before; those that a version was committed with stand as they are."""
    try:
        kept = version.find_table("probes")
    except CorruptObject:
        if version.commit() is not None:
            raise
        kept = None  # the images are there: they are looked at once more
    return kept if kept is not None and version.commit() is not None else taken.probe_again(snapshot, kept)


def _require_made_under(version: VersionStore, configuration: str) -> None:
    """A version has one snapshot, of one source under one set of limits. Raises VersionConflict if that was another one."""
    place = version.find_place("raw_images")
    first = None if place is None else place.made_under
    if first is not None and first != configuration:
        raise VersionConflict(
            f"expected the snapshot of {version.dataset}@{version.version} to be made under this configuration (source, "
            f"limits and annotation files: {configuration[:12]}), found one made under another ({first[:12]}). "
            "It is never taken again: begin a new version, or set them as they were"
        )
