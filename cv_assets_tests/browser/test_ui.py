"""What a person meets in the Dagster UI: a version is begun, made and looked at in headless Chromium, with the real services."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from cv_assets.domain.drawing import draw_uploads
from cv_assets_tests.conftest import write_files
from resources.object_store import open_store
from resources.settings import PROJECT_ROOT
from resources.versions import VersionStore

pytestmark = pytest.mark.browser
START_SECONDS, RUN_SECONDS = 90, 120
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1600,1100",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ui")
    for name in ("home", "datasets"):
        (folder / name).mkdir()
    shutil.copy(PROJECT_ROOT / ".dagster" / "dagster.yaml", folder / "home")
    write_files(folder / "uploads", draw_uploads(7))
    config = {"name": "shapes", "owners": ["team:vision"], "source": {"url": str(folder / "uploads")}}
    (folder / "datasets" / "shapes.yaml").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def url(place: Path) -> Iterator[str]:
    """`dagster dev` as `make dev` starts it, in a place of its own."""
    port = free_port()
    places = {"DAGSTER_HOME": "home", "CV_ASSETS_STORE": "store", "CV_ASSETS_DATASETS": "datasets"}
    environment = {**os.environ, **{name: str(place / folder) for name, folder in places.items()}}
    dagster = Path(sys.executable).with_name("dagster")
    command = [str(dagster), "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
    with (place / "dev.log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=PROJECT_ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_until(lambda: is_up(f"http://127.0.0.1:{port}/server_info"), START_SECONDS, place / "dev.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGINT)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


def test_a_version_is_begun_in_the_ui_and_its_line_runs_without_any_configuration(url: str, place: Path):
    repository = {"repositoryName": "__repository__", "repositoryLocationName": "cv_assets"}
    added = ask(
        url,
        "mutation($p: String!, $r: RepositorySelector!) {addDynamicPartition(partitionKey: $p, partitionsDefName: "
        '"shapes_versions", repositorySelector: $r) {__typename ... on PythonError {message}}}',
        {"p": "v1", "r": repository},
    )
    assert added["addDynamicPartition"]["__typename"] == "AddDynamicPartitionSuccess", added
    launched = ask(
        url,
        "mutation($e: ExecutionParams!) {launchRun(executionParams: $e) {__typename ... on LaunchRunSuccess {run {runId}} "
        "... on PythonError {message} ... on RunConfigValidationInvalid {errors {message}}}}",
        {
            "e": {
                "selector": {**repository, "jobName": "shapes"},
                "runConfigData": {},
                "mode": "default",
                "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "v1"}]},
            }
        },
    )
    assert launched["launchRun"]["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["launchRun"]["run"]["runId"]
    wait_until(lambda: status_of(url, run_id) in {"SUCCESS", "FAILURE", "CANCELED"}, RUN_SECONDS, place / "dev.log")
    assert status_of(url, run_id) == "SUCCESS"
    record = VersionStore(open_store(str(place / "store")), "shapes", "v1").commit()
    assert record is not None
    assert record.counts.images == 122


def test_the_graph_shows_the_line_in_a_group_of_its_dataset(url: str, browser: webdriver.Chrome):
    browser.get(f"{url}/asset-groups/cv_assets/shapes")
    for name in (
        "raw_images",
        "annotations",
        "manifest",
        "quarantine",
        "quality_report",
        "splits",
        "shards",
        "release",
    ):
        assert find(browser, f"//*[text()='{name}']")


@pytest.mark.parametrize("asset", ["manifest", "splits"])
def test_people_see_a_picture_of_what_was_made(url: str, browser: webdriver.Chrome, asset: str):
    browser.get(f"{url}/assets/shapes/{asset}?view=events")
    find(browser, "//*[contains(text(), 'Show Markdown')]").click()
    picture = find(browser, "//img[starts-with(@src, 'data:image/jpeg')]")
    WebDriverWait(browser, 20).until(lambda _: picture.get_property("naturalWidth"))
    assert picture.size["width"] > 300


def test_checks_tell_what_they_saw_about_the_version(url: str, browser: webdriver.Chrome):
    browser.get(f"{url}/assets/shapes/splits?view=checks")
    for name in ("groups_stay_together", "duplicates_stay_together", "classes_are_in_train"):
        assert find(browser, f"//*[text()='{name}']")
    assert find(browser, "//*[contains(text(), 'Succeeded')]")


def find(browser: webdriver.Chrome, xpath: str) -> WebElement:
    """The first element there, as soon as it is."""
    return WebDriverWait(browser, 30).until(lambda opened: opened.find_element(By.XPATH, xpath))


def ask(url: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Data of a GraphQL answer: what the UI itself asks."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = json.load(answer)
    assert "errors" not in found, found
    return found["data"]


def status_of(url: str, run_id: str) -> str:
    return ask(url, "query($r: ID!) {runOrError(runId: $r) {... on Run {status}}}", {"r": run_id})["runOrError"][
        "status"
    ]


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_until(is_true: Any, seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            pytest.fail(f"nothing after {seconds} s; the log ends with:\n{log.read_text()[-3000:]}")
        time.sleep(0.5)


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]
