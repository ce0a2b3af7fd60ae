"""Refuses a version whose gates have not passed, however the asset that comes next was launched."""

from collections.abc import Sequence
from typing import NamedTuple

from cv_assets.domain.expecting import (
    expectation_objections,
    expectations_key,
    lasting_verdicts,
)
from cv_assets.domain.lineage import MADE_WITH, READS, why_stale
from cv_assets.domain.written_gates import objections
from resources.tables import StoredTable
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig
from schemas.errors import GateNotPassed
from schemas.releases import AssetVerdicts

BEFORE_RELEASE = tuple(READS)
BEFORE_SHARDS = tuple(asset for asset in READS if asset != "shards")


class Passed(NamedTuple):
    """What was let go on: verdicts, and the tables that they are about as they were read for it, with their digests."""

    verdicts: list[AssetVerdicts]
    tables: dict[str, StoredTable]
    digests: dict[str, str]


def require_gates(version: VersionStore, assets: Sequence[str], config: DatasetConfig, *, before: str) -> Passed:
    """The tables of `assets` and the verdicts on them: of the gates, and of the expectations that do not depend on the clock.

    Raises GateNotPassed if one that blocks is missing, failed, or is about other content, or if a table is not what its
    inputs and the configuration make of it.
    """
    verdicts = {asset: version.find_verdicts(asset) for asset in assets}
    expected = {asset: version.find_verdicts(expectations_key(asset)) for asset in assets}
    wanted = [*(table for table, asset in MADE_WITH.items() if asset in assets), *assets]
    tables = {name: found for name in wanted if (found := version.find_stored(name)) is not None}
    digests = {name: found.digest for name, found in tables.items()}
    against = [f"{name} is not made; materialize {MADE_WITH.get(name, name)}" for name in wanted if name not in tables]
    for asset, found in verdicts.items():
        if asset not in digests:
            continue
        against += why_stale(asset, version.find_making(asset), digests, config)
        against += objections(asset, found, digests, is_committed=version.commit() is not None)
        against += expectation_objections(asset, expected[asset], digests, config)
    if against:
        raise GateNotPassed(
            f"{version.dataset}@{version.version} may not go on to {before}: {'; '.join(against)}. "
            "Look at the failed check in the run or on the asset, mend the cause, and materialize those assets with their checks"
        )
    lasting = [
        found.model_copy(update={"verdicts": lasting_verdicts(asset, found, digests, config)})
        for asset, found in expected.items()
        if found
    ]
    return Passed([*(found for found in verdicts.values() if found), *lasting], tables, digests)
