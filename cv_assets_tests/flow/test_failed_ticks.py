"""A schedule's tick that failed: dagster.yaml has it tried again, so that a source out of reach for a moment costs no night."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import psutil
import pytest
import yaml
from dagster._core.scheduler import DagsterDaemonScheduler
from dagster._core.scheduler.instigation import TickStatus
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import ModuleTarget
from dagster._scheduler.scheduler import ScheduleIterationTimes, launch_scheduled_runs

from cv_assets.beginning import PARTITION_TAG
from cv_assets_tests.conftest import Place, write_drawn
from resources.settings import PROJECT_ROOT

AT_THREE = datetime.now(UTC).replace(hour=3, minute=0, second=0, microsecond=0)  # old ticks are soon forgotten


@pytest.fixture
def scheduled(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    write_drawn(place.uploads, only="camera01")
    datasets = place.folder / "datasets"
    datasets.mkdir()
    said = {"name": "shapes", "source": {"url": str(place.uploads)}, "schedule": {"refresh": "0 3 * * *"}}
    (datasets / "shapes.yaml").write_text(json.dumps(said))
    monkeypatch.setenv("CV_ASSETS_DATASETS", str(datasets))
    before = set(psutil.Process().children())
    yield place
    psutil.wait_procs(
        set(psutil.Process().children()) - before
    )  # the code server ends, and Dagster does not wait for it


def test_a_refresh_that_met_no_source_is_made_good_a_minute_later(scheduled: Place):
    gone, times = scheduled.folder / "gone", dict[str, ScheduleIterationTimes]()
    target = ModuleTarget("cv_assets.definitions", None, working_directory=str(PROJECT_ROOT), location_name="cv_assets")
    with dg.DagsterInstance.get() as instance, create_test_daemon_workspace_context(target, instance) as workspace:
        assert isinstance(instance.scheduler, DagsterDaemonScheduler)
        retries = instance.scheduler.max_tick_retries

        def look(seconds: int) -> None:
            """What the daemon does each minute."""
            now = AT_THREE + timedelta(seconds=seconds)
            list(launch_scheduled_runs(workspace, logging.getLogger(), now, times, max_tick_retries=retries))

        def ticks() -> list[TickStatus]:
            return [
                tick.status
                for state in instance.all_instigator_state()
                for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
            ]

        look(-30)
        scheduled.uploads.rename(gone)
        look(5)
        look(65)
        assert (ticks(), instance.get_runs_count()) == ([TickStatus.FAILURE], 0)
        gone.rename(scheduled.uploads)
        look(125)
        look(185)  # and what succeeded is not done again
        (run,) = instance.get_runs()
        assert (ticks(), run.tags[PARTITION_TAG]) == ([TickStatus.SUCCESS], "v1")


def test_the_container_stack_tries_ticks_as_often():
    def said(folder: str) -> Any:
        return yaml.safe_load((PROJECT_ROOT / folder / "dagster.yaml").read_text())["scheduler"]

    assert said("deploy") == said(".dagster")
