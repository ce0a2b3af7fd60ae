"""Everything that the quality report finds out about a version, from its tables alone: no image is looked at again."""

from collections.abc import Mapping

import polars as pl

from cv_assets.domain.quality.drift import build_drift
from cv_assets.domain.quality.findings import build_findings
from cv_assets.domain.quality.near_duplicates import Earlier, find_near_duplicates
from cv_assets.domain.quality.summary import build_report
from schemas.datasets import DatasetConfig

Tables = Mapping[str, pl.DataFrame]


def judge(
    tables: Tables, config: DatasetConfig, *, baseline: Tables | None, earlier: Earlier | None
) -> dict[str, pl.DataFrame]:
    """The tables near_duplicates, findings, drift and quality_report of a version.

    `tables` holds its raw_images, annotations, manifest and quarantine; `baseline` the manifest and annotations of the
    version that it is compared with; `earlier` near duplicates that were found before under the same settings.
    """
    near = find_near_duplicates(tables["manifest"], config.quality.near_duplicates, earlier)
    known = {**tables, "near_duplicates": near}
    findings = build_findings(known, config)
    return {
        "near_duplicates": near,
        "findings": findings,
        "drift": build_drift(tables, baseline, config.quality.drift),
        "quality_report": build_report({**known, "findings": findings}),
    }
