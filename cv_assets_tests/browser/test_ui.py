"""What a person meets in the Dagster UI: a version is begun, made and looked at in headless Chromium, with the real services."""

from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from cv_assets_tests.browser.ui import RUN_SECONDS, ask, find, status_of, wait_until
from resources.object_store import open_store
from resources.versions import VersionStore

pytestmark = pytest.mark.browser


def test_a_version_is_begun_in_the_ui_and_its_line_runs_without_any_configuration(url: str, place: Path):
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
    assert status_of(url, run_id) == "SUCCESS"
    record = VersionStore(open_store(str(place / "store")), "by_hand", "v1").commit()
    assert record is not None
    assert record.counts.images == 122


def test_the_graph_shows_the_line_in_a_group_of_its_dataset(url: str, browser: webdriver.Chrome):
    browser.get(f"{url}/locations/cv_assets/asset-groups/by_hand/lineage")
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


@pytest.mark.parametrize("asset", ["manifest", "quality_report", "splits"])
def test_people_see_a_picture_of_what_was_made(url: str, browser: webdriver.Chrome, asset: str):
    browser.get(f"{url}/assets/by_hand/{asset}?view=events")
    find(browser, "//*[contains(text(), 'Show Markdown')]").click()
    picture = find(browser, "//img[starts-with(@src, 'data:image/jpeg')]")
    WebDriverWait(browser, 20).until(lambda _: picture.get_property("naturalWidth"))
    assert picture.size["width"] > 300


def test_checks_tell_what_they_saw_about_the_version(url: str, browser: webdriver.Chrome):
    browser.get(f"{url}/assets/by_hand/splits?view=checks")
    for name in ("groups_stay_together", "duplicates_stay_together", "classes_are_in_train"):
        assert find(browser, f"//*[text()='{name}']")
    assert find(browser, "//*[contains(text(), 'Succeeded')]")
