"""Headless Chromium, one a module, and one Dagster UI for all of them: it takes half a minute to start."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from cv_assets.domain.drawing import draw_uploads
from cv_assets_tests.browser.ui import dagster_dev, make_dataset
from cv_assets_tests.conftest import write_files

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1600,1100",
)  # fmt: skip


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
    write_files(make_dataset(place, "by_hand", owners=["team:vision"]), draw_uploads(7))
    return place


@pytest.fixture(scope="package")
def url(place: Path) -> Iterator[str]:
    """The Dagster UI over both."""
    with dagster_dev(place) as url:
        yield url
