"""The sensor dead_runs says what it found, what it did about it, and what is to do."""

import dagster as dg
import pytest
from dagster._core.events import EngineEventData

from cv_assets.processes import PROCESS_TAG, process_tags
from cv_assets.sensors.dead_runs import dead_runs
from cv_assets_tests.conftest import Place

GONE = {PROCESS_TAG: f"{process_tags()[PROCESS_TAG].split()[0]} 4000001 77", "dagster/partition": "v3"}


@pytest.fixture
def instance(place: Place):
    """With the settings of the project: what was killed is started again twice."""
    with dg.DagsterInstance.get() as instance:
        yield instance


def look(instance: dg.DagsterInstance) -> str:
    with dg.build_sensor_context(instance=instance) as context:
        said = dead_runs(context)
    assert isinstance(said, dg.SkipReason)
    return said.skip_message or ""


def begin(
    instance: dg.DagsterInstance, tags: dict[str, str], status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED
) -> dg.DagsterRun:
    job = dg.GraphDefinition("shapes").to_job()
    return instance.create_run_for_job(job, tags=tags, status=status)


# a run that was ended between its record and its start would stay as it is, and whoever begins versions would wait for it
@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED])
def test_a_run_of_the_command_line_is_told_with_the_command_that_goes_on(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
):
    run = begin(instance, GONE, status)
    said = look(instance)
    assert f"Found run {run.run_id} (shapes, version v3) in progress and its process gone" in said
    assert "Marked it as failed. Run `cv-assets run shapes --version v3`; what is finished is not made again." in said
    assert look(instance) == "Found no run whose process is gone."


def test_of_runs_that_live_nothing_is_said(instance: dg.DagsterInstance):
    begin(instance, process_tags())
    begin(instance, process_tags(), dg.DagsterRunStatus.NOT_STARTED)
    begin(instance, {}, dg.DagsterRunStatus.NOT_STARTED)  # Dagster is about to launch it
    assert look(instance) == "Found no run whose process is gone."


LAUNCHED = [("0", "Re-execute it in the UI; "), ("2", "Nothing is to do: Dagster starts it again; ")]


@pytest.mark.parametrize(("retries", "cure"), LAUNCHED)
def test_of_a_run_that_dagster_launched_it_says_whether_that_starts_it_again(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, retries: str, cure: str
):
    run = begin(instance, {"dagster/max_retries": retries})
    monkeypatch.setattr(dg.DagsterRun, "remote_job_origin", object())
    instance.report_engine_event("began", run, EngineEventData({"pid": dg.MetadataValue.text("4000002")}))
    assert cure in look(instance)
