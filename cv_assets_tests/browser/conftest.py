"""Headless Chromium, one a module, and one Dagster UI for all of them: it takes half a minute to start.

The versions that tests look at are made here, by whichever test comes first: so each of them can be run alone, or by a worker
that was not given the others.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from cv_assets_tests.browser.ui import RUN_SECONDS, ask, dagster_dev, make_dataset, status_of, wait_until
from cv_assets_tests.conftest import drawn_files, write_files
from cv_assets_tests.servers.lacking import leave_out
from resources.object_store import open_store
from resources.versions import VersionStore

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1600,1100",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        leave_out("chromium", "chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets: `shapes`, whose uploads are watched and not there yet, and `by_hand`, which waits for a person."""
    place = tmp_path_factory.mktemp("ui")
    make_dataset(
        place,
        "shapes",
        uploads={"settle": "5s", "every": "5s"},
        schedule={"refresh": "0 3 * * *", "verify": "0 4 * * *"},
        freshness="36h",
    )
    write_files(make_dataset(place, "by_hand", owners=["team:vision"]), drawn_files())
    return place


@pytest.fixture(scope="package")
def url(place: Path) -> Iterator[str]:
    """The Dagster UI over both."""
    with dagster_dev(place) as url:
        yield url


@pytest.fixture(scope="package")
def run_by_hand(url: str, place: Path) -> str:
    """Id of the run that made v1 of `by_hand`, begun as the UI begins it; it has ended."""
    repository = {"repositoryName": "__repository__", "repositoryLocationName": "cv_assets"}
    added = ask(
        url,
        "mutation($p: String!, $r: RepositorySelector!) {addDynamicPartition(partitionKey: $p, partitionsDefName: "
        '"by_hand_versions", repositorySelector: $r) {__typename ... on PythonError {message}}}',
        {"p": "v1", "r": repository},
    )
    assert added["addDynamicPartition"]["__typename"] == "AddDynamicPartitionSuccess", added
    launched = ask(
        url,
        "mutation($e: ExecutionParams!) {launchRun(executionParams: $e) {__typename ... on LaunchRunSuccess {run {runId}} "
        "... on PythonError {message} ... on RunConfigValidationInvalid {errors {message}}}}",
        {
            "e": {
                "selector": {**repository, "jobName": "by_hand"},
                "runConfigData": {},
                "mode": "default",
                "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "v1"}]},
            }
        },
    )
    assert launched["launchRun"]["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["launchRun"]["run"]["runId"]
    wait_until(lambda: status_of(url, run_id) in {"SUCCESS", "FAILURE", "CANCELED"}, RUN_SECONDS, place / "dev.log")
    return run_id


@pytest.fixture(scope="package")
def taken(url: str, place: Path) -> VersionStore:
    """The version that the sensor began once `shapes` had uploads."""
    write_files(place / "uploads" / "shapes", drawn_files())
    return wait_for_version(place, "v1")


@pytest.fixture(scope="package")
def taken_again(taken: VersionStore, place: Path) -> VersionStore:
    """The version that it began once one of them was gone."""
    (place / "uploads" / "shapes" / "circle" / "camera01_1.jpg").unlink()
    return wait_for_version(place, "v2")


def wait_for_version(place: Path, name: str) -> VersionStore:
    version = VersionStore(open_store(str(place / "store")), "shapes", name)
    # the checks of the release run after the commit, and are the last to write
    wait_until(lambda: version.find_verdicts("release") is not None, RUN_SECONDS, place / "dev.log")
    return version
