"""Refuses a version whose gates have not passed, however the asset that comes next was launched."""

from collections.abc import Sequence

from cv_assets.domain.gates import objections
from resources.versions import VersionStore
from schemas.errors import GateNotPassed
from schemas.releases import AssetVerdicts

BEFORE_SHARDS = ("raw_images", "annotations", "manifest", "quarantine", "quality_report", "splits")
BEFORE_RELEASE = (*BEFORE_SHARDS, "shards")


def require_gates(version: VersionStore, assets: Sequence[str], *, before: str) -> list[AssetVerdicts]:
    """The verdicts on `assets`. Raises GateNotPassed if one is missing, failed, or is about other content."""
    verdicts = {asset: version.find_verdicts(asset) for asset in assets}
    looked_at = {name for found in verdicts.values() if found for name in found.table_digests}
    tables = {name: version.load_table(name) for name in sorted(looked_at)}
    against = [objection for asset, found in verdicts.items() for objection in objections(asset, found, tables)]
    if against:
        raise GateNotPassed(
            f"{version.dataset}@{version.version} may not go on to {before}: {'; '.join(against)}. "
            "Look at the failed check in the run or on the asset, mend the cause, and materialize those assets with their checks"
        )
    return [found for found in verdicts.values() if found]
