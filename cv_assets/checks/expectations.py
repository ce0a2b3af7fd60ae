"""Looks at what is expected of the tables of one asset, each expectation a check of its own; keeps verdicts and Data Docs."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from cv_assets.assets.line import STORE_POOL, Line
from cv_assets.checks.verdicts import specify, to_result
from cv_assets.domain.expected_tables import ASSETS, DERIVED_FROM, Seen
from cv_assets.domain.expecting import (
    asked,
    expectations_key,
    is_of_the_moment,
    not_asked,
    sentence,
    settings_read,
    suite_of,
    tables_read,
    to_verdict,
)
from cv_assets.failures import RETRY, told_apart
from resources.arrivals import newest_upload_age_hours
from resources.configured import ObjectStoreResource
from resources.data_docs import save_data_docs
from resources.expectations import look_at_version
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig
from schemas.expectations import Expectation
from schemas.releases import AssetVerdicts, Verdict

EXPECTED_ASSETS = tuple(dict.fromkeys(ASSETS.values()))


def build_expectation_checks(line: Line) -> list[dg.AssetChecksDefinition]:
    """The checks of every asset of which anything is expected, a definition an asset."""
    suites = {asset: suite_of(line.config, asset) for asset in EXPECTED_ASSETS}
    return [_build(line, asset, suite) for asset, suite in suites.items() if suite]


def _build(line: Line, asset: str, suite: Sequence[Expectation]) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"{line.config.name}__{asset}_expectations",
        specs=[_specify(line, asset, expectation) for expectation in suite],
        retry_policy=RETRY,
        pool=STORE_POOL,
    )
    def judge(
        context: dg.AssetCheckExecutionContext, object_store: ObjectStoreResource
    ) -> Iterator[dg.AssetCheckResult]:
        with told_apart():
            version = VersionStore(object_store.open(), line.config.name, context.partition_key)
            verdicts = judge_expectations(version, line.config, asset, now=datetime.now(UTC))
            docs = line.data_docs(version, asset)
        for verdict in verdicts:
            yield to_result(verdict, line.key(asset), **docs)

    return judge


def judge_expectations(version: VersionStore, config: DatasetConfig, asset: str, *, now: datetime) -> list[Verdict]:
    """Look at every expectation of an asset, keep the verdicts and their pages, and give the verdicts.

    What is kept of a committed version stays as it is, and what depends on the clock is not asked of it again: how old its
    uploads are today says nothing about it.
    """
    key, suite = expectations_key(asset), suite_of(config, asset)
    is_committed = version.commit() is not None
    # of an open version they are written anew, damaged or not
    kept = version.find_verdicts(key) if is_committed else None
    past = {one.check_name for one in suite if is_committed and is_of_the_moment(one)}
    stored = {name: found for name in tables_read(suite) if (found := version.find_stored(name)) is not None}
    tables = {name: found.frame for name, found in stored.items()}
    seen = Seen(tables, config, newest_upload_age_hours(version, now))
    answers = look_at_version([one for one in suite if one.check_name not in past], seen)
    before = {verdict.name: verdict for verdict in (kept.verdicts if kept else ())}
    verdicts = [
        before.get(name, not_asked(one)) if (name := one.check_name) in past else to_verdict(one, answers[name])
        for one in suite
    ]
    if not (is_committed and kept):
        digests = {name: found.digest for name, found in stored.items()} | settings_read(suite, config)
        version.save_verdicts(AssetVerdicts(asset=key, table_digests=digests, verdicts=verdicts))
    save_data_docs(version, asset)  # of what is kept: so pages that were lost come again
    return verdicts


def _specify(line: Line, asset: str, expectation: Expectation) -> dg.AssetCheckSpec:
    return specify(
        line,
        asset,
        DERIVED_FROM[expectation.table],
        name=expectation.check_name,
        description=expectation.description or sentence(expectation),
        blocking=expectation.severity == "ERROR",
        metadata={"table": expectation.table, "expectation": asked(expectation)},
    )
