"""What runs by itself, as people see it: uploads become a version, versions are gone over, and what was read back shows."""

from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

from cv_assets_tests.browser.ui import RUN_SECONDS, ask, find, status_of, wait_until
from resources.versions import VersionStore

pytestmark = pytest.mark.browser
ASSETS = ("raw_images", "annotations", "manifest", "quarantine", "quality_report", "splits", "shards", "release")


def test_uploads_become_a_version_with_nobody_at_the_keyboard(url: str, taken: VersionStore, browser: webdriver.Chrome):
    record = taken.commit()
    assert record is not None
    assert record.counts.images == 122
    browser.get(f"{url}/locations/cv_assets/sensors/shapes_new_uploads")
    assert find(browser, "//*[contains(text(), 'begins the next version once')]")
    assert find(browser, '//*[contains(text(), \'"version":"v1"\')]')  # the cursor


@pytest.mark.usefixtures("taken_again")
def test_a_backfill_in_the_ui_goes_over_every_version_and_changes_nothing(url: str, place: Path):
    before = files_of(place)
    asked: dict[str, Any] = {
        "assetSelection": [{"path": ["shapes", name]} for name in ASSETS],
        "partitionNames": ["v1", "v2"],
        "fromFailure": False,
    }
    launched = ask(
        url,
        "mutation($p: LaunchBackfillParams!) {launchPartitionBackfill(backfillParams: $p) {__typename "
        "... on LaunchBackfillSuccess {backfillId} ... on PythonError {message}}}",
        {"p": asked},
    )["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def status() -> str:
        query = "query($b: String!) {partitionBackfillOrError(backfillId: $b) {... on PartitionBackfill {status}}}"
        return ask(url, query, {"b": launched["backfillId"]})["partitionBackfillOrError"]["status"]

    wait_until(lambda: status().startswith(("COMPLETED", "FAILED")), 2 * RUN_SECONDS, place / "dev.log")
    assert status() == "COMPLETED_SUCCESS"
    assert files_of(place) == before


def files_of(place: Path) -> dict[str, bytes]:
    folder = place / "store" / "datasets" / "shapes" / "versions"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("taken")
def test_what_was_read_back_shows_on_the_release(url: str, place: Path, browser: webdriver.Chrome):
    selector = {"repositoryName": "__repository__", "repositoryLocationName": "cv_assets", "jobName": "shapes__verify"}
    launched = ask(
        url,
        "mutation($e: ExecutionParams!) {launchRun(executionParams: $e) {... on LaunchRunSuccess {run {runId}} "
        "... on PythonError {message}}}",
        {"e": {"selector": selector, "runConfigData": {}, "mode": "default"}},
    )["launchRun"]
    run_id = launched["run"]["runId"]
    wait_until(lambda: status_of(url, run_id) in {"SUCCESS", "FAILURE"}, RUN_SECONDS, place / "dev.log")
    assert status_of(url, run_id) == "SUCCESS"
    browser.get(f"{url}/assets/shapes/release?view=events")
    assert find(browser, "//*[contains(text(), 'was read back')]")
    browser.get(f"{url}/assets/shapes/release?view=overview")
    assert find(browser, "//div[contains(., 'Warns if more than 36 hours')]")
