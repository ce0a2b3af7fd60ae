"""What gates and expectations are to Dagster: one check each, of one asset and one version, and the result of a verdict."""

import warnings
from collections.abc import Iterable
from typing import Any

import dagster as dg

from cv_assets.assets.line import Line
from cv_assets.domain.lineage import MADE_WITH
from schemas.releases import Verdict


def specify(line: Line, asset: str, reads: Iterable[str], **said: Any) -> dg.AssetCheckSpec:
    """The check of an asset that looks at some stored tables; `said` is what else AssetCheckSpec is told of it."""
    deps = {line.key(MADE_WITH.get(name, name)) for name in reads} - {line.key(asset)}
    with warnings.catch_warnings():
        # a check's partitions are marked preview; without them a verdict would speak of no version (docs/adr/0004)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            asset=line.key(asset), partitions_def=line.partitions, additional_deps=sorted(deps), **said
        )


def to_result(verdict: Verdict, key: dg.AssetKey, **more: dg.MetadataValue) -> dg.AssetCheckResult:
    """A verdict as Dagster keeps it, with more metadata."""
    # as it is stored: a number that JSON cannot hold, which no page could show, is null
    said = verdict.model_dump(mode="json", include={"saw", "offending"})
    said["saw"].pop("asked", None)  # what is expected is metadata of the check
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=verdict.name,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity[verdict.severity],
        description=verdict.description,
        metadata={**said, **more},
    )
