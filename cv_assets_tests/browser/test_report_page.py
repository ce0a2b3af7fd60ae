"""The report as a browser shows it: from a file, without a script, wide and narrow, light and dark, whatever names are in it."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from cv_assets_tests.domain.quality.reported import NAMES, boxed_tables, finding, page_of, tables
from cv_assets_tests.domain.quality.test_page import full
from cv_assets_tests.domain.quality.test_report import CIRCLES, near_rows
from cv_assets_tests.domain.tables import sound_tables
from schemas.tables import to_frame

pytestmark = pytest.mark.browser

# every text with its colour, and the colour of what it stands on
CONTRASTS = """
const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
  .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const parse = text => text.match(/[\\d.]+/g).map(Number);
const ground = element => {
  for (let one = element; one; one = one.parentElement) {
    const colour = parse(getComputedStyle(one).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
};
return [...document.querySelectorAll('body *')]
  .filter(one => one.checkVisibility() && [...one.childNodes].some(node => node.nodeType == 3 && node.data.trim()))
  .map(one => {
    const inSvg = one instanceof SVGElement;
    const ink = luminance(parse(getComputedStyle(one)[inSvg ? 'fill' : 'color'])), paper = luminance(ground(one));
    return [(Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05), one.textContent.trim().slice(0, 40)];
  });
"""


@pytest.fixture(scope="module")
def plain() -> str:
    """A page with something in each of its sections."""
    rows = [finding("dark", name, score=0.1, threshold=0.32) for name in CIRCLES]
    rows += [
        finding("box-without-area", CIRCLES[0], severity="ERROR"),
        finding("gps-present", CIRCLES[1], severity="INFO"),
    ]
    evidence = {
        "bins": [[None, 0.4], [0.4, None]], "baseline": [0.5, 0.5], "version": [0.1, 0.9], "description": "mean brightness",
        "threshold": 0.25, "note": None,
    }  # fmt: skip
    drift = {
        "property": "brightness_ratio",
        "kind": "number",
        "baseline_rows": 90,
        "rows": 100,
        "psi": 0.9,
        "drifted": True,
    }
    return page_of(
        tables(
            *rows,
            annotations=boxed_tables()["annotations"],
            drift=to_frame("drift", [{**drift, "evidence": json.dumps(evidence)}]),
            near_duplicates=near_rows(CIRCLES[:3]),
        ),
        baseline="v0",
    )


def show(browser: webdriver.Chrome, folder: Path, html: str) -> None:
    (folder / "page.html").write_text(html, encoding="utf-8")
    browser.get((folder / "page.html").as_uri())


def errors(browser: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


def test_pictures_show_and_nothing_is_refused(browser: webdriver.Chrome, tmp_path: Path, plain: str):
    errors(browser)
    show(browser, tmp_path, plain)
    pictures = browser.find_elements(By.CSS_SELECTOR, "details[open] img")
    assert pictures
    assert all(one.get_property("naturalWidth") > 0 for one in pictures)
    assert errors(browser) == []


def test_the_box_lies_on_its_picture(browser: webdriver.Chrome, tmp_path: Path):
    show(browser, tmp_path, page_of(boxed_tables()))
    picture = browser.find_element(By.CSS_SELECTOR, "#kind-box-out-of-bounds img").rect
    box = browser.find_element(By.CSS_SELECTOR, "#kind-box-out-of-bounds rect.meant").rect
    assert box["x"] == pytest.approx(picture["x"] - 5, abs=2)
    assert box["y"] == pytest.approx(picture["y"] + 12, abs=2)
    assert box["width"] == pytest.approx(37, abs=3)


def test_a_kind_folds_and_unfolds_by_mouse_and_by_keyboard(browser: webdriver.Chrome, tmp_path: Path, plain: str):
    show(browser, tmp_path, plain)
    details = browser.find_element(By.ID, "kind-gps-present")
    summary = details.find_element(By.TAG_NAME, "summary")
    assert not details.get_property("open")
    summary.click()
    assert details.get_property("open")
    assert details.find_element(By.TAG_NAME, "img").is_displayed()
    summary.send_keys(Keys.ENTER)
    assert not details.get_property("open")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_name_runs_loads_or_overflows(browser: webdriver.Chrome, tmp_path: Path, name: str):
    errors(browser)
    show(browser, tmp_path, full(name))
    assert browser.title == "shapes@v1: quality report"
    assert browser.execute_script("return document.scripts.length") == 0
    asked = browser.execute_script("return performance.getEntriesByType('resource').map(one => one.name)")
    assert [one for one in asked if not one.startswith("data:")] == []
    assert is_as_wide_as_its_window(browser)
    assert errors(browser) == []


def is_as_wide_as_its_window(browser: webdriver.Chrome) -> bool:
    return browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("width", [360, 760, 1280])
def test_the_page_fits_every_window(browser: webdriver.Chrome, tmp_path: Path, plain: str, width: int):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for html in (plain, full(NAMES["length"])):
            show(browser, tmp_path, html)
            assert is_as_wide_as_its_window(browser)
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(browser: webdriver.Chrome, tmp_path: Path, plain: str, scheme: str):
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        show(browser, tmp_path, plain)
        found = browser.execute_script(CONTRASTS)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(found) > 100
    assert [(round(contrast, 2), text) for contrast, text in found if contrast < 4.5] == []


def test_headings_and_pictures_are_told_to_those_who_do_not_see_them(
    browser: webdriver.Chrome, tmp_path: Path, plain: str
):
    show(browser, tmp_path, plain)
    levels = browser.execute_script(
        "return [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(one => +one.tagName[1])"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    pictures = "img:not([alt]), img[alt=''], svg:not([aria-hidden]):not([aria-label])"
    assert browser.find_elements(By.CSS_SELECTOR, pictures) == []


def test_an_empty_version_has_a_page(browser: webdriver.Chrome, tmp_path: Path):
    held = sound_tables()
    empty = {name: frame.clear() for name, frame in held.items() if name != "quality_report"}
    show(browser, tmp_path, page_of({**empty, "quality_report": held["quality_report"]}))
    text = browser.find_element(By.TAG_NAME, "body").text
    for said in (
        "Nothing was found",
        "No image has a class.",
        "No image file was rejected.",
        "No two images look alike.",
    ):
        assert said in text
