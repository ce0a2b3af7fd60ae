"""new_uploads: watches the source of a dataset, and begins the next version once what lies there has settled.

What a version is begun for is decided in beginning.py; here is when one looks, and what is remembered between two looks.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg

from cv_assets.assets.line import Line
from cv_assets.beginning import Leave, decide, look_at_versions, to_run_request
from cv_assets.domain.uploads import Cursor, Listing, TakenListing, in_words, look_again, tell
from resources.arrivals import listing_taken
from resources.configured import ObjectStoreResource
from resources.object_store import ObjectStore
from resources.uploads import changes_since, has_requeued, has_snapshot, list_uploads
from resources.versions import VersionStore
from schemas.automation import UploadsConfig


def now_utc() -> datetime:
    """This machine's clock."""
    return datetime.now(UTC)


def build_new_uploads(
    line: Line, uploads: UploadsConfig, *, clock: Callable[[], datetime] = now_utc
) -> dg.SensorDefinition:
    """The sensor of a dataset. It runs from the start: who writes `uploads:` asks for it."""
    name = line.config.name

    @dg.sensor(
        name=f"{name}_new_uploads",
        job_name=name,
        minimum_interval_seconds=int(uploads.every.total_seconds()),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Lists the source of {name} and begins the next version once the same has been seen for "
        f"{in_words(uploads.settle)} and at least {uploads.min_files:,} of its files differ from the last version.",
        metadata={"source": line.config.source.url},
    )
    def new_uploads(
        context: dg.SensorEvaluationContext, object_store: ObjectStoreResource
    ) -> dg.SensorResult | dg.SkipReason:
        store, listing = object_store.open(), list_uploads(line.config)
        cursor = Cursor.parse(context.cursor)
        if (
            cursor.taken is None
            or cursor.taken.digest != listing.digest
            or _took_another(store, name, cursor.taken)
            or _is_outdone(context.instance, store, name, cursor.taken)
        ):
            cursor, left = look_again(cursor, listing.digest, uploads, now=clock())
            if left > timedelta(0):
                said = cursor.waiting.differs if cursor.waiting else ""
                said = said or _differs(context.instance, store, line, listing)
                return _skip(
                    tell(cursor, said), f"Found {listing}: {said}; settled in {in_words(left)} if it stays so."
                )
        elif has_snapshot(store, name, cursor.taken.version) and not has_requeued(store, name):
            # what was waited for is gone again: looks at it would otherwise add up over days
            return _skip(Cursor(taken=cursor.taken), f"Nothing new: {listing}, which {cursor.taken.version} holds.")
        return _act(context.instance, store, line, listing, cursor)

    return new_uploads


def _took_another(store: ObjectStore, dataset: str, taken: TakenListing) -> bool:
    """Did the version that was begun for a listing take another one, as the source changed before its run came to it?"""
    took = None if taken.is_held else listing_taken(VersionStore(store, dataset, taken.version))
    return took is not None and took != taken.digest


def _is_outdone(instance: dg.DagsterInstance, store: ObjectStore, dataset: str, taken: TakenListing) -> bool:
    """Has a version been made since, by a person, from what the source listed between two looks of ours?"""
    newest = look_at_versions(instance, store, dataset).newest
    return newest != taken.version and has_snapshot(store, dataset, taken.version)


def _act(
    instance: dg.DagsterInstance, store: ObjectStore, line: Line, listing: Listing, cursor: Cursor
) -> dg.SensorResult:
    """Begin a version for a listing that has settled, or say why not."""
    assert line.config.uploads is not None
    found = decide(instance, store, line.config, listing, least=line.config.uploads.min_files)
    if isinstance(found, Leave):
        kept = (
            Cursor(taken=TakenListing(digest=listing.digest, version=found.held_by, is_held=True))
            if found.held_by
            else cursor
        )
        return _skip(kept, f"Found {listing}: {found.reason}.")
    return dg.SensorResult(
        run_requests=[to_run_request(line.config, found)],
        dynamic_partitions_requests=[line.partitions.build_add_request([found.version])],
        cursor=Cursor(taken=TakenListing(digest=listing.digest, version=found.version)).model_dump_json(),
    )


def _skip(cursor: Cursor, reason: str) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=cursor.model_dump_json())


def _differs(instance: dg.DagsterInstance, store: ObjectStore, line: Line, listing: Listing) -> str:
    newest = look_at_versions(instance, store, line.config.name).newest
    since = f"since {newest}" if newest else "and no version yet"
    return f"{changes_since(listing, store, line.config, newest)} {since}"
