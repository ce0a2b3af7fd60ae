"""Runs that wait for each other: asleep, in words, until somebody ends them, and not for those that have ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psutil
import pytest
from dagster._utils.interrupts import capture_interrupts

from cv_assets.definitions import build_defs
from cv_assets.interruptions import listening
from cv_assets.processes import free_ended_runs, process_tags
from cv_assets_tests.conftest import Place
from cv_assets_tests.resources.places import command
from resources.settings import PROJECT_ROOT

POOL = "decoding"
COMMAND = "from cv_assets.cli import main; main(['run', 'shapes'])"
INTERRUPTED = """
import os, signal
from cv_assets.assets import shards
shards.plan_shards = lambda *_: os.killpg(0, signal.SIGINT)  # as a terminal sends Ctrl-C: to all that run began, too
from cv_assets.cli import main
main(["backfill", "shapes", "--select", "shards", "--json"])
"""


@contextmanager
def other_run_in_pool() -> Iterator[tuple[dg.DagsterInstance, dg.DagsterRun]]:
    """A run that this process executes, for all that is known, and that holds the pool."""
    with dg.DagsterInstance.get() as instance:
        job = build_defs(datasets=[]).resolve_job_def("store__gc_dry_run")
        run = instance.create_run_for_job(job, tags=process_tags(), status=dg.DagsterRunStatus.STARTED)
        instance.event_log_storage.set_concurrency_slots(POOL, 1)
        assert instance.event_log_storage.claim_concurrency_slot(POOL, run.run_id, "a step").is_claimed
        yield instance, run


@pytest.fixture
def shapes(drawn: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The drawn set with a dataset file."""
    folder = drawn.folder / "datasets"
    folder.mkdir()
    (folder / "shapes.yaml").write_text(f"name: shapes\nsource: {{url: '{drawn.uploads}'}}\n")
    monkeypatch.setenv("CV_ASSETS_DATASETS", str(folder))


def start(script: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    return subprocess.Popen([sys.executable, "-c", script], env=environment, cwd=PROJECT_ROOT, **pipes)


@pytest.mark.usefixtures("shapes")
def test_a_run_that_waits_says_so_sleeps_and_can_be_ended():
    with other_run_in_pool() as (instance, _), start(COMMAND) as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith("shapes__raw_images waits: another run is where")
        process = psutil.Process(waiting.pid)
        before = process.cpu_times()
        time.sleep(3)
        after = process.cpu_times()
        assert after.user + after.system - before.user - before.system < 1.5  # without a pause it would be three
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate(timeout=60)
        assert waiting.returncode == 130, said
        assert said.startswith("cv-assets: run was interrupted: what was done of shapes@v1 stays; go on with ")
        assert instance.event_log_storage.get_concurrency_info(POOL).pending_step_count == 0


@pytest.mark.usefixtures("place")
def test_what_an_ended_run_still_holds_is_freed():
    with other_run_in_pool() as (instance, run):
        free_ended_runs(instance)
        assert instance.event_log_storage.get_concurrency_run_ids() == {run.run_id}  # it is in progress
        instance.report_run_failed(run)
        free_ended_runs(instance)
        assert instance.event_log_storage.get_concurrency_run_ids() == set()


@pytest.mark.usefixtures("shapes")
def test_a_backfill_that_somebody_ends_begins_no_other_version():
    for _ in range(2):
        assert command("run", "shapes").exit_code == 0
    ended = start(INTERRUPTED)
    out, said = ended.communicate(timeout=120)
    assert said == (
        "cv-assets: backfill was interrupted: what was done stays; "
        "go on with `cv-assets backfill shapes --versions v1,v2 --select shards`\n"
    )
    assert ended.returncode == 130
    found = json.loads(out)
    assert [(run["was_ended"], run["failures"]) for run in found["runs"]] == [(True, [])]
    assert (found["failed"], found["left"]) == (0, ["v1", "v2"])


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_when_a_run_has_done_its_last_step_is_heard_all_the_same(stop: signal.Signals):
    with listening() as has_come:
        assert not has_come()
        with capture_interrupts():  # as Dagster does around a run; at its end it forgets what it has not looked at
            os.kill(os.getpid(), stop)
        assert has_come()
        assert has_come()
