"""What a person meets in the Dagster UI: a version is begun, made and looked at in headless Chromium, with the real services."""

from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from cv_assets_tests.browser.ui import find, status_of
from resources.object_store import open_store
from resources.versions import VersionStore

pytestmark = pytest.mark.browser
after_a_run = pytest.mark.usefixtures("run_by_hand")


def test_a_version_is_begun_in_the_ui_and_its_line_runs_without_any_configuration(
    url: str, place: Path, run_by_hand: str
):
    assert status_of(url, run_by_hand) == "SUCCESS"
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


@after_a_run
@pytest.mark.parametrize("asset", ["manifest", "quality_report", "splits"])
def test_people_see_a_picture_of_what_was_made(url: str, browser: webdriver.Chrome, asset: str):
    browser.get(f"{url}/assets/by_hand/{asset}?view=events")
    find(browser, "//*[contains(text(), 'Show Markdown')]").click()
    picture = find(browser, "//img[starts-with(@src, 'data:image/jpeg')]")
    WebDriverWait(browser, 20).until(lambda _: picture.get_property("naturalWidth"))
    assert picture.size["width"] > 300


@after_a_run
def test_checks_tell_what_they_saw_about_the_version(url: str, browser: webdriver.Chrome):
    browser.get(f"{url}/assets/by_hand/splits?view=checks")
    for name in ("groups_stay_together", "duplicates_stay_together", "classes_are_in_train"):
        assert find(browser, f"//*[text()='{name}']")
    assert find(browser, "//*[contains(text(), 'Succeeded')]")
