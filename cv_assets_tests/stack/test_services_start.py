"""The container stack without containers: its commands, health checks and order, against a PostgreSQL server."""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cv_assets.domain.drawing import draw_uploads
from cv_assets_tests.servers.lacking import leave_out
from cv_assets_tests.servers.ports import free_port
from cv_assets_tests.stack.compose_file import read_compose
from cv_assets_tests.stack.native import NativeStack, interruptible
from cv_assets_tests.stack.postgres import find_binaries, running_postgres
from resources.settings import PROJECT_ROOT

pytestmark = pytest.mark.stack

LOCATION = "cv_assets"
VERSION = "v1"
RUN_SECONDS = 120.0
# every character here means something in a URL, and none may reach the server as that
PASSWORD = "p@ss:w/rd %41#?&+=é"

ADD_PARTITION = """
mutation($selector: RepositorySelector!, $set: String!, $version: String!) {
  addDynamicPartition(repositorySelector: $selector, partitionsDefName: $set, partitionKey: $version) { __typename }
}"""
RUN_STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } } }
}"""


def write_home(home: Path, *, code_port: int) -> None:
    """DAGSTER_HOME as the compose file mounts it, with the code server on loopback."""
    home.mkdir()
    (home / "dagster.yaml").write_text((PROJECT_ROOT / "deploy" / "dagster.yaml").read_text())
    workspace = yaml.safe_load((PROJECT_ROOT / "deploy" / "workspace.yaml").read_text())
    workspace["load_from"][0]["grpc_server"].update(host="127.0.0.1", port=code_port)
    (home / "workspace.yaml").write_text(yaml.safe_dump(workspace))


def write_dataset(folder: Path) -> None:
    """One dataset, with drawn uploads."""
    for path, data in draw_uploads(7):
        (folder / "uploads" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "uploads" / path).write_bytes(data)
    (folder / "datasets").mkdir()
    config = {"name": "shapes", "source": {"url": str(folder / "uploads")}, "annotations": {"format": "folder"}}
    (folder / "datasets" / "shapes.yaml").write_text(yaml.safe_dump(config))


def build_stack(folder: Path, *, database_port: int) -> NativeStack:
    """The services over what was written to `folder`, with free ports for those of the compose file."""
    code_port, web_port = free_port(), free_port()
    write_home(folder / "home", code_port=code_port)
    write_dataset(folder)
    return NativeStack(
        folder=folder,
        places={
            "/app": str(PROJECT_ROOT),
            "/dagster": str(folder / "home"),
            "0.0.0.0": "127.0.0.1",  # not on every interface of this machine
            "4000": str(code_port),
            "3000": str(web_port),
        },
        settings={
            "DAGSTER_POSTGRES_PASSWORD": PASSWORD,
            "AWS_ACCESS_KEY_ID": "unused",
            "AWS_SECRET_ACCESS_KEY": "unused",
        },
        environment={
            "DAGSTER_HOME": str(folder / "home"),
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": str(database_port),
            "CV_ASSETS_DATASETS": str(folder / "datasets"),
            "CV_ASSETS_STORE": str(folder / "store"),
            "LANG": "C.UTF-8",
        },
    )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeStack]:
    """The services, started and healthy; afterwards, all ended when they were asked to."""
    binaries = find_binaries()
    if binaries is None:
        leave_out("postgresql", "PostgreSQL is not installed here (Debian: apt-get install postgresql)")
    port, given = free_port(), read_compose()["services"]["postgres"]["environment"]
    native = build_stack(tmp_path_factory.mktemp("stack"), database_port=port)
    database = running_postgres(
        binaries, port=port, user=given["POSTGRES_USER"], password=PASSWORD, database=given["POSTGRES_DB"]
    )
    with interruptible(), database:
        try:
            native.start()
            yield native
        finally:
            killed = native.stop()
        assert killed == [], native.logs()


def ask(stack: NativeStack, query: str, **values: Any) -> dict[str, Any]:
    """The webserver's answer to a GraphQL query."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.places['3000']}/graphql",
        json.dumps({"query": query, "variables": values}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.load(response)
    assert "errors" not in answer, f"{answer}\n{stack.logs()}"
    return answer["data"]


def test_every_service_passes_its_own_health_check(stack: NativeStack) -> None:
    running = [name for name, process in stack.processes.items() if process.poll() is None]
    assert running == ["code", "webserver", "daemon"]
    assert [name for name in running if not stack.is_healthy(name)] == [], stack.logs()
    assert stack.processes["migrate"].returncode == 0


def test_the_webserver_has_loaded_the_code_location_without_an_error(stack: NativeStack) -> None:
    query = """{ workspaceOrError { ... on Workspace { locationEntries {
        name loadStatus locationOrLoadError { __typename ... on PythonError { message } } } } } }"""
    assert ask(stack, query)["workspaceOrError"]["locationEntries"] == [
        {"name": LOCATION, "loadStatus": "LOADED", "locationOrLoadError": {"__typename": "RepositoryLocation"}}
    ], stack.logs()


def test_the_webserver_hears_the_heart_of_every_daemon(stack: NativeStack) -> None:
    query = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
    statuses = ask(stack, query)["instance"]["daemonHealth"]["allDaemonStatuses"]
    required = {status["daemonType"]: status["healthy"] for status in statuses if status["required"]}
    assert {"QUEUED_RUN_COORDINATOR", "MONITORING", "SENSOR"} <= set(required)
    assert [name for name, healthy in required.items() if not healthy] == [], stack.logs()


def test_a_run_that_the_webserver_is_asked_for_makes_a_release(stack: NativeStack) -> None:
    repository = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}
    added = ask(stack, ADD_PARTITION, selector=repository, set="shapes_versions", version=VERSION)
    assert added["addDynamicPartition"]["__typename"] == "AddDynamicPartitionSuccess"
    params = {
        "selector": {**repository, "jobName": "shapes"},
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": VERSION}]},
        "runConfigData": {},
        "mode": "default",
    }
    launched = ask(stack, LAUNCH, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    assert wait_for_end(stack, launched["run"]["runId"]) == "SUCCESS", stack.logs()
    assert (stack.folder / "store" / "datasets" / "shapes" / "versions" / VERSION / "COMMIT.json").exists()


def wait_for_end(stack: NativeStack, run_id: str) -> str:
    """The status that a run ends with, or its last one when it takes too long."""
    deadline = time.monotonic() + RUN_SECONDS
    while True:
        status = ask(stack, RUN_STATUS, id=run_id)["runOrError"]["status"]
        if status in ("SUCCESS", "FAILURE", "CANCELED") or time.monotonic() > deadline:
            return status
        time.sleep(0.5)
