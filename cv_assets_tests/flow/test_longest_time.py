"""How long a run may last: dagster.yaml bounds those that Dagster can end, and that go on when they are begun again."""

import logging
import time

import dagster as dg
import pytest
from dagster._daemon.monitoring.run_monitoring import check_run_timeout  # what the daemon does with a run that lasts

from cv_assets.processes import process_tags
from cv_assets_tests.conftest import Place
from cv_assets_tests.sensors.daemon import defs_of

A_WEEK = 7 * 24 * 3600.0
ENDED, LASTS = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED
RUNS = {
    "launched": ("shapes", {}, ENDED),
    "of the command line, which works on though it is marked": ("shapes", process_tags(), LASTS),
    "over all versions": ("shapes__backfill", {}, LASTS),
    "reads a bucket back, each time from its start": ("shapes__verify", {}, LASTS),
    "looks through the whole store": ("store__gc_dry_run", {}, LASTS),
}


@pytest.mark.parametrize(("job", "tags", "status"), RUNS.values(), ids=RUNS)
def test_a_run_that_lasts_a_week_is_ended_only_where_that_helps(
    place: Place, job: str, tags: dict[str, str], status: dg.DagsterRunStatus
):
    with dg.DagsterInstance.get() as instance:
        made = defs_of(place.config()).resolve_job_def(job)
        # a launched run has the tags of its job
        run = instance.create_run_for_job(made, tags={**made.run_tags, **tags}, status=LASTS)
        (record,) = instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))
        since_long = record._replace(start_time=time.time() - A_WEEK)
        check_run_timeout(instance, since_long, logging.getLogger(), instance.run_monitoring_max_runtime_seconds)
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status == status
