"""When the uploads of a version came, and what its source listed. It is no part of the version's content.

It is written down with the place of its snapshot, in one object that is created once: of two runs, only the one whose
snapshot it is tells.
"""

from datetime import UTC, datetime

from resources.versions import VersionStore
from schemas.releases import Arrivals


def arrivals(newest: datetime | None, listing: str | None) -> Arrivals:
    """When the newest file of a snapshot was last modified (None where the source does not say), and its listing's digest."""
    said = None if newest is None else newest.astimezone(UTC).isoformat(timespec="seconds")
    return Arrivals(newest_upload=said, listing=listing)


def listing_taken(version: VersionStore) -> str | None:
    """Digest of the listing that the snapshot of a version took; None if it has none, or if it was not written down."""
    found = _find(version)
    return None if found is None else found.listing


def newest_upload_age_hours(version: VersionStore, now: datetime) -> float | None:
    """How old the newest upload of a version is, to a hundredth of an hour; None if it was not written down."""
    found = _find(version)
    if found is None or found.newest_upload is None:
        return None
    return round((now - datetime.fromisoformat(found.newest_upload)).total_seconds() / 3600, 2)


def _find(version: VersionStore) -> Arrivals | None:
    place = version.find_place("raw_images")
    return None if place is None else place.arrivals
