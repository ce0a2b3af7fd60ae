"""When the uploads of a version came, and what its source listed. It is kept beside the version, and is no part of its content."""

from datetime import UTC, datetime

from resources.records import find_record, versions_prefix
from resources.versions import VersionStore
from schemas.releases import Arrivals


def save_arrivals(version: VersionStore, newest: datetime | None, listing: str | None = None) -> None:
    """Keep when the newest file of a snapshot was last modified (None where the source does not say), and its listing's digest."""
    said = None if newest is None else newest.astimezone(UTC).isoformat(timespec="seconds")
    version.store.put(_key(version), Arrivals(newest_upload=said, listing=listing).to_bytes())


def listing_taken(version: VersionStore) -> str | None:
    """Digest of the listing that the snapshot of a version took; None if it has none, or was made before this was kept."""
    found = find_record(version.store, Arrivals, _key(version))
    return None if found is None or version.find_table_key("raw_images") is None else found.listing


def newest_upload_age_hours(version: VersionStore, now: datetime) -> float | None:
    """How old the newest upload of a version is, to a hundredth of an hour; None if it was never written down."""
    found = find_record(version.store, Arrivals, _key(version))
    if found is None or found.newest_upload is None:
        return None
    return round((now - datetime.fromisoformat(found.newest_upload)).total_seconds() / 3600, 2)


def _key(version: VersionStore) -> str:
    return f"{versions_prefix(version.dataset)}/{version.version}/arrivals.json"
