"""What follows from each kind of failure: what may pass is tried again, all else is not, and a killed run is noticed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.events import EngineEventData  # how a launched run says its process

from cv_assets import definitions
from cv_assets.assets import line
from cv_assets.assets.line import Line, as_asset
from cv_assets.definitions import build_defs
from cv_assets.failures import RETRY, tell_apart
from cv_assets.processes import PROCESS_TAG, fail_dead_runs, process_tags
from cv_assets_tests.conftest import Place
from resources.configured import ObjectStoreResource
from resources.object_store import ObjectStore
from resources.packing import find_packed
from resources.settings import PROJECT_ROOT
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig
from schemas.errors import (
    CommitStateUnknown,
    CorruptObject,
    GateNotPassed,
    SourceError,
    SourceUnavailable,
    StoreRefused,
    StoreUnavailable,
)

PASSING = [SourceUnavailable, StoreUnavailable, CommitStateUnknown]
LASTING = [SourceError, StoreRefused, CorruptObject, GateNotPassed, TypeError, OSError, MemoryError]
# the pauses between tries are Dagster's; what is tested is who is tried again
AT_ONCE = dg.RetryPolicy(max_retries=RETRY.max_retries, delay=0)


def run_asset(body: Callable[[], None]) -> dg.ExecuteInProcessResult:
    described: dict[str, Any] = {"key": dg.AssetKey("a"), "retry_policy": AT_ONCE}

    @as_asset(described)
    def a() -> None:
        body()

    return dg.materialize([a], raise_on_error=False)


@pytest.mark.parametrize("error", PASSING)
def test_what_may_pass_is_tried_again_until_it_has(error: type[Exception]):
    tries: list[int] = []

    def body() -> None:
        tries.append(1)
        if len(tries) <= 2:
            raise error("no answer for 120 s")

    assert run_asset(body).success
    assert len(tries) == 3


@pytest.mark.parametrize("error", PASSING)
def test_what_does_not_pass_in_all_tries_fails_with_its_own_words(error: type[Exception]):
    tries: list[int] = []

    def body() -> None:
        tries.append(1)
        raise error("no answer for 120 s")

    result = run_asset(body)
    assert not result.success
    assert len(tries) == 1 + RETRY.max_retries
    assert "no answer for 120 s" in str(result.get_step_failure_events()[0].step_failure_data.error)


@pytest.mark.parametrize("error", LASTING)
def test_what_another_try_would_meet_again_is_not_tried_again(error: type[Exception]):
    tries: list[int] = []

    def body() -> None:
        tries.append(1)
        raise error("the same each time")

    result = run_asset(body)
    assert not result.success
    assert len(tries) == 1
    failure = result.get_step_failure_events()[0].step_failure_data
    assert failure.user_failure_data is not None
    assert failure.user_failure_data.description == f"{error.__name__}: the same each time"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, dg.DagsterExecutionInterruptedError])
def test_a_step_that_somebody_ends_is_not_begun_again(interrupt: type[BaseException]):
    tries: list[int] = []

    def body() -> None:
        tries.append(1)
        raise interrupt

    result = run_asset(body)
    assert not result.success
    assert len(tries) == 1
    assert "the run was ended" in str(result.get_step_failure_events()[0].step_failure_data.error)


SLOWLY = """
import time
from resources import ingest
take = ingest._take
ingest._take = lambda *arguments: (time.sleep(0.1), print("taken\\n", end="", flush=True), take(*arguments))[2]
from cv_assets.cli import main
main()
"""


def test_a_command_that_is_interrupted_while_it_reads_ends_at_once_and_another_goes_on(drawn: Place):
    folder = drawn.folder / "datasets"
    folder.mkdir()
    (folder / "shapes.yaml").write_text(f"name: shapes\nsource: {{url: {drawn.uploads}}}\n")
    environment = {**os.environ, "CV_ASSETS_DATASETS": str(folder)}
    command = [sys.executable, "-c", SLOWLY, "run", "shapes", "--select", "raw_images"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=PROJECT_ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)
    assert said[0].count("taken\n") < 80  # of 125
    assert process.returncode == 130
    assert said[1] == (
        "cv-assets: run was interrupted: what was done of shapes@v1 stays; "
        "go on with `cv-assets run shapes --version v1 --select raw_images`\n"
    )
    config = drawn.config()
    assert drawn.version(config, "v1").find_table("raw_images") is None
    assert drawn.run(config, version="v1").success


def test_every_step_has_the_policy_and_a_pool(place: Place):
    defs = build_defs(datasets=[place.config()])
    jobs = [defs.resolve_job_def(name) for name in ("shapes", "shapes__verify", "store__gc_dry_run")]
    steps = {node.name: node.definition for job in jobs for node in job.nodes}
    assert len(steps) == 23
    assert {step.retry_policy for step in steps.values()} == {RETRY}
    pools = {name.removeprefix("shapes__"): step.pool for name, step in steps.items()}
    assert {name for name, pool in pools.items() if pool == "decoding"} == {
        "raw_images",
        "manifest",
        "quality_report",
        "shards",
    }
    assert {name for name, pool in pools.items() if pool == "reading_back"} == {"read_back", "store__look_for_garbage"}
    assert set(pools.values()) == {"decoding", "store", "reading_back"}


def test_the_arguments_of_a_body_stay_as_dagster_reads_them():
    @tell_apart
    def body(context: dg.AssetExecutionContext, object_store: ObjectStoreResource, table: pl.DataFrame) -> None: ...

    of_dataset = Line(DatasetConfig.model_validate({"name": "a", "source": {"url": "b"}}))
    described = of_dataset.describe("release", "", code_version="1", kinds=set())
    made = as_asset(described, ins={"table": dg.AssetIn(key="t")})(body)
    assert made.required_resource_keys == {"object_store", "io_manager"}
    assert set(made.keys_by_input_name) == {"table"}


class Flaky(ObjectStore):
    """A store that does not answer the first times that a table is written or read."""

    left = 0

    def put(self, key: str, data: bytes) -> None:
        if Flaky.left and "/tables/" in key:
            Flaky.left -= 1
            raise StoreUnavailable("no answer for 120 s")
        super().put(key, data)


class FlakyResource(ObjectStoreResource):
    def open(self) -> ObjectStore:
        opened = super().open()
        opened.__class__ = Flaky
        return opened


def test_a_table_that_cannot_be_stored_at_once_is_stored_at_another_try(drawn: Place, monkeypatch: pytest.MonkeyPatch):
    given = definitions.default_resources

    def flaky(url: str) -> dict[str, Any]:
        store = FlakyResource(url=url)
        return {**given(url), "object_store": store, "io_manager": definitions.RetryingTables(object_store=store)}

    monkeypatch.setattr(definitions, "default_resources", flaky)
    monkeypatch.setattr(line, "RETRY", AT_ONCE)
    Flaky.left = 2
    outcome = drawn.run(drawn.config())
    assert outcome.success, outcome.failures
    assert Flaky.left == 0


def test_the_words_of_a_failed_run_are_those_of_our_own_error(drawn: Place):
    assert drawn.run(drawn.config(), select="+splits").success
    version = VersionStore(drawn.store, "shapes", "v1")
    key = version.find_table_key("manifest")
    assert key is not None
    drawn.store.put(key, b"no Parquet")
    (said,) = drawn.run(drawn.config(), version="v1", select="splits").failures
    assert said.startswith("step shapes__splits: CorruptObject: ")
    assert "materialize shapes/manifest again" in said


@dg.asset(retry_policy=AT_ONCE)
def dies_once() -> None:
    mark = Path(os.environ["DAGSTER_HOME"]) / "died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def job_whose_step_dies() -> dg.JobDefinition:
    defs = dg.Definitions([dies_once], jobs=[dg.define_asset_job("dying", executor_def=dg.multiprocess_executor)])
    return defs.resolve_job_def("dying")


def test_a_step_whose_process_is_killed_is_tried_again_where_steps_have_processes(place: Place):
    with dg.DagsterInstance.get() as instance:
        result = dg.execute_job(dg.reconstructable(job_whose_step_dies), instance)
        assert result.success
        assert [event.step_key for event in result.all_events if event.is_step_up_for_retry] == ["dies_once"]


KILLED = """
import os, signal, sys
from resources.content_store import ContentStore
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
ContentStore.keep = die
from cv_assets.cli import main
main(["run", "shapes"])
"""


def test_a_run_that_was_killed_is_marked_and_the_next_one_goes_on_without_it(drawn: Place):
    place_dataset(drawn)
    killed = run_command(drawn, "-c", KILLED)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with dg.DagsterInstance.get() as instance:
        (left,) = instance.get_runs()
        assert left.status == dg.DagsterRunStatus.STARTED
        assert left.remote_job_origin is None  # by this, its tag is its own
        assert instance.event_log_storage.get_concurrency_run_ids() == {left.run_id}  # it holds the pool

    began = time.monotonic()
    again = run_command(drawn, "-c", "from cv_assets.cli import main; main(['run', 'shapes', '--version', 'v1'])")
    assert again.returncode == 0, again.stderr
    assert "committed" in again.stdout
    assert time.monotonic() - began < 60
    with dg.DagsterInstance.get() as instance:
        found = instance.get_run_by_id(left.run_id)
        assert found is not None
        assert found.status == dg.DagsterRunStatus.FAILURE
        assert instance.event_log_storage.get_concurrency_run_ids() == set()
        said = [entry.dagster_event.message for entry in instance.all_logs(left.run_id) if entry.dagster_event]
        assert any(f"(pid {left.tags[PROCESS_TAG].split()[1]}) is gone" in (words or "") for words in said)


KILLED_BEHIND_A_SHARD = """
import os, signal
from resources import packing
save = packing.save_packed
def save_and_die(*arguments): save(*arguments), os.kill(os.getpid(), signal.SIGKILL)
packing.save_packed = save_and_die
from cv_assets.cli import main
main(["run", "shapes"])
"""


def test_a_run_that_was_killed_behind_its_first_shard_is_gone_on_with_and_writes_nothing_again(drawn: Place):
    place_dataset(drawn)
    killed = run_command(drawn, "-c", KILLED_BEHIND_A_SHARD)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    version, store = VersionStore(drawn.store, "shapes", "v1"), drawn.folder / "store"
    shards = [path for path in store.rglob("*.tar") if find_packed(version, path.parent.name, path.name)]
    blobs = [path for path in (store / "blobs").rglob("*") if path.is_file()]
    assert shards  # those that are finished, and not all of them
    assert version.find_table_key("shards") is None
    assert len(blobs) > 100
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (*shards, *blobs)}

    again = run_command(drawn, "-c", "from cv_assets.cli import main; main(['run', 'shapes', '--version', 'v1'])")
    assert again.returncode == 0, again.stderr
    written = [path.name for path, was in before.items() if (path.stat().st_ino, path.stat().st_mtime_ns) != was]
    assert written == []
    assert "committed" in again.stdout


def place_dataset(place: Place) -> None:
    (place.folder / "datasets").mkdir()
    (place.folder / "datasets" / "shapes.yaml").write_text(f"name: shapes\nsource: {{url: '{place.uploads}'}}\n")


def run_command(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CV_ASSETS_DATASETS": str(place.folder / "datasets"), "PYTHONPATH": str(PROJECT_ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment, cwd=PROJECT_ROOT
    )


PROCESSES = {
    "this process": (process_tags(), False),
    "a process that is gone": ({PROCESS_TAG: f"{process_tags()[PROCESS_TAG].split()[0]} 4000001 77"}, True),
    "another process under the same number": ({PROCESS_TAG: process_tags()[PROCESS_TAG] + "1"}, True),
    "a process of another machine": ({PROCESS_TAG: "elsewhere 4000001 77"}, False),
    "nobody knows": ({}, False),
}


@pytest.mark.parametrize(("tags", "is_dead"), PROCESSES.values(), ids=PROCESSES)
def test_only_a_run_whose_own_process_is_gone_is_marked(tags: dict[str, str], is_dead: bool):
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_defs(datasets=[]).resolve_job_def("store__gc_dry_run")
        run = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        assert fail_dead_runs(instance, launched=False) == ([run.run_id] if is_dead else [])
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert (found.status == dg.DagsterRunStatus.FAILURE) is is_dead


def test_the_number_of_a_process_that_is_gone_may_be_that_of_a_thread_by_now():
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        fields = Path(f"/proc/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
        host = process_tags()[PROCESS_TAG].split()[0]
        test_only_a_run_whose_own_process_is_gone_is_marked(
            {PROCESS_TAG: f"{host} {thread.native_id} {fields[19]}"}, is_dead=True
        )
    finally:
        done.set()
        thread.join()


def test_a_run_that_was_launched_with_the_tags_of_another_one_is_judged_by_its_own_process(drawn: Place):
    place_dataset(drawn)
    tags = json.dumps({PROCESS_TAG: f"{process_tags()[PROCESS_TAG].split()[0]} 4000001 77"})
    launch = ["-m", "dagster", "job", "launch", "-m", "cv_assets.definitions", "-j", "shapes__verify", "--tags", tags]
    launched = run_command(drawn, *launch)
    assert launched.returncode == 0, launched.stderr
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        assert PROCESS_TAG in run.tags
        instance.report_run_canceling(run)  # no daemon takes it from the queue here; this one is in progress, too
        assert fail_dead_runs(instance, launched=True) == []
        assert fail_dead_runs(instance, launched=False) == []
        instance.report_engine_event("began", run, EngineEventData({"pid": dg.MetadataValue.text("4000002")}))
        assert fail_dead_runs(instance, launched=False) == []  # another machine's process, for all that is known
        assert fail_dead_runs(instance, launched=True) == [run.run_id]


def test_a_run_that_ended_since_the_runs_were_listed_keeps_its_end(monkeypatch: pytest.MonkeyPatch):
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_defs(datasets=[]).resolve_job_def("store__gc_dry_run")
        tags, _ = PROCESSES["a process that is gone"]
        listed = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        instance.report_run_canceled(listed)
        monkeypatch.setattr(instance, "get_runs", lambda *_: [listed])
        assert fail_dead_runs(instance, launched=False) == []
        found = instance.get_run_by_id(listed.run_id)
        assert found is not None
        assert found.status == dg.DagsterRunStatus.CANCELED
