"""What teams expect of a version: checks of their own, verdicts that hold it back however it is launched, and Data Docs."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import dagster as dg
import pytest

from cv_assets.assets.gating import BEFORE_SHARDS, require_gates
from cv_assets.checks.expectations import EXPECTED_ASSETS, judge_expectations
from cv_assets.domain.expecting import expectations_key, suite_of
from cv_assets_tests.conftest import Place, drawn_files, write_files
from cv_assets_tests.domain.images import encode, noise
from cv_assets_tests.resources.places import command, said_in_lines, shared_place
from resources.data_docs import data_docs_key
from resources.reports import PAGE, load_report
from schemas.errors import GateNotPassed

EVIL = "<script>alert(1)<b>"
SUITE = {
    "annotations": [
        {"expect": "column_values_to_be_in_set", "column": "label", "value_set": ["circle", "square", "triangle"],
         "name": "labels_are_shapes"},
    ],
    "manifest": [
        {"expect": "column_values_to_be_between", "column": "width_px", "min_value": 8, "severity": "ERROR",
         "name": "images_are_wide"},
    ],
}  # fmt: skip
IN_YEARS = datetime.now(UTC) + timedelta(days=4_000)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A committed version; one class has a name that nobody should have given."""
    with shared_place(tmp_path_factory) as place:
        write_files(place.uploads, drawn_files()[::4])
        write_files(place.uploads, [(f"{EVIL}/{seed}.png", encode(noise((40, 40), seed), "PNG")) for seed in range(5)])
        outcome = place.run(place.config(expectations=SUITE))
        assert outcome.success, outcome.failures
        yield place, outcome


@pytest.fixture
def committed(made, tmp_path_factory):
    with shared_place(tmp_path_factory, like=made[0]) as place:
        yield place


def judge(place: Place, asset: str, *, now: datetime, suite=SUITE):
    """Verdicts by name, as a check of one asset gives them at this moment."""
    config = place.config(expectations=suite)
    return {one.name: one for one in judge_expectations(place.version(config, "v1"), config, asset, now=now)}


def kept(place: Place, asset: str):
    found = place.version(place.config(), "v1").find_verdicts(expectations_key(asset))
    return {verdict.name: verdict for verdict in found.verdicts} if found else {}


def test_each_expectation_is_a_check_of_its_own_with_the_severity_of_the_suite(made):
    place, outcome = made
    with dg.DagsterInstance.get() as instance:
        records = instance.get_records_for_run(
            outcome.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ).records
    found = {}
    for record in records:
        check = record.event_log_entry.asset_check_evaluation
        if check and "data_docs" in check.metadata:
            found[check.asset_key.path[-1], check.check_name] = check
            assert check.partition == "v1"
    config = place.config(expectations=SUITE)
    expected = {(asset, one.check_name): one.severity for asset in EXPECTED_ASSETS for one in suite_of(config, asset)}
    assert {key: check.severity.value for key, check in found.items()} == expected
    broken = found["annotations", "labels_are_shapes"]
    assert not broken.passed
    assert broken.metadata["saw"].value["unexpected"] == 5
    assert [row["label"] for row in broken.metadata["offending"].value] == [EVIL] * 5
    with dg.DagsterInstance.get() as instance:
        key = dg.AssetKey(["shapes", "manifest"])
        (made_once,) = instance.fetch_materializations(key, limit=5).records
    assert made_once.asset_materialization is not None
    assert made_once.asset_materialization.metadata["data_docs"].value == broken.metadata["data_docs"].value.replace(
        "annotations.html", "manifest.html"
    )
    assert any(line.startswith("annotations: labels_are_shapes — label values must") for line in outcome.warnings)


def test_data_docs_are_in_the_store_and_names_in_them_are_text(made):
    place, _ = made
    version = place.version(place.config(), "v1")
    page = version.store.get(data_docs_key(version, "annotations")).decode()
    assert "&lt;script&gt;alert(1)&lt;b&gt;" in page
    assert "<script" not in page
    contents = version.store.get(data_docs_key(version, "index")).decode()
    for asset in EXPECTED_ASSETS:
        assert version.store.look(data_docs_key(version, asset)) is not None
        assert f'href="{asset}.html#' in contents


def test_the_commit_record_holds_the_verdicts_but_none_that_depends_on_the_clock(made):
    place, _ = made
    record = place.version(place.config(), "v1").commit()
    assert record is not None
    names = {check.name for check in record.checks}
    assert {"labels_are_shapes", "images_are_wide", "units_are_in_one_split", "few_uploads_are_rejected"} <= names
    assert "uploads_still_come" in kept(place, "raw_images")
    assert "uploads_still_come" not in names


def test_a_committed_version_stays_as_it_is_whatever_is_expected_of_it_later_and_grows_no_older(committed):
    before = committed.objects("datasets/shapes/versions/v1/")
    assert judge(committed, "raw_images", now=IN_YEARS)["uploads_still_come"].passed
    stricter = {"manifest": [{**SUITE["manifest"][0], "min_value": 5_000}]}
    assert not judge(committed, "manifest", now=IN_YEARS, suite=stricter)["images_are_wide"].passed
    again = committed.run(committed.config(expectations=SUITE), version="v1")
    assert again.success, again.failures
    assert committed.objects("datasets/shapes/versions/v1/") == before


def test_a_version_that_was_committed_before_anybody_expected_anything_gets_verdicts_and_none_on_its_age(committed):
    version = committed.folder / "store" / "datasets" / "shapes" / "versions" / "v1"
    (version / "tables" / "raw_images.json").unlink()
    for asset in EXPECTED_ASSETS:
        (version / "verdicts" / f"{expectations_key(asset)}.json").unlink()
        judge(committed, asset, now=IN_YEARS)
    assert kept(committed, "raw_images")["uploads_still_come"].saw["not_asked"]
    assert not kept(committed, "annotations")["labels_are_shapes"].passed


def opened(monkeypatch):
    """What a browser is asked to show."""
    pages: list[Path] = []
    monkeypatch.setattr("webbrowser.open", lambda url: pages.append(Path(url2pathname(urlsplit(url).path))) or True)
    return pages


def test_data_docs_open_from_the_command_line_wherever_the_store_is(committed, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for key in list(committed.store.keys("datasets/shapes/versions/v1/docs")):
        committed.store.delete(key)  # they are made of the verdicts
    pages = opened(monkeypatch)
    done = command("report", "shapes@v1", "--docs", "--open")
    assert (done.exit_code, pages[0].name) == (0, "index.html")
    assert "  WARN  labels_are_shapes: " in done.stdout
    assert said_in_lines(done.stdout)
    assert all((pages[0].parent / f"{asset}.html").is_file() for asset in EXPECTED_ASSETS)
    assert command("report", "shapes@v1", "--docs", "manifest", "--open").stdout.startswith("manifest: ")
    assert "images_are_wide" in pages[1].read_text()
    said = json.loads(command("report", "shapes@v1", "--docs", "manifest", "--json").stdout)["expectations"]
    assert "images_are_wide" in {one["name"] for one in said["manifest"]}
    done = command("report", "shapes@v1", "--docs", "shards")
    assert (done.exit_code, "among raw_images, annotations, manifest" in done.stderr) == (2, True)


def test_pages_of_a_committed_version_that_were_lost_come_again(committed):
    version = committed.version(committed.config(), "v1")
    before = committed.objects("datasets/shapes/versions/v1/docs/")
    for key in list(version.store.keys("datasets/shapes/versions/v1/docs")):
        version.store.delete(key)
    for asset in EXPECTED_ASSETS:
        judge(committed, asset, now=IN_YEARS)
    assert committed.objects("datasets/shapes/versions/v1/docs/") == before


@pytest.mark.parametrize("damaged", ["annotations", "manifest"])
def test_a_damaged_record_of_an_open_version_is_written_anew_by_its_check_and_stops_no_other(committed, damaged):
    version = committed.version(committed.config(), "v1")
    version.store.delete(version.commit_key)
    sound = version.store.get(key := f"datasets/shapes/versions/v1/verdicts/{expectations_key(damaged)}.json")
    version.store.put(key, sound + b"x")
    assert judge(committed, "annotations", now=datetime.now(UTC))["boxes_are_no_larger_than_images"].passed
    judge(committed, damaged, now=datetime.now(UTC))
    assert version.store.get(key) == sound


TALL = {"manifest": [{**SUITE["manifest"][0], "min_value": 5_000}]}
NEW = {"splits": [{"expect": "table_row_count_to_be_between", "min_value": 1, "severity": "ERROR", "name": "new"}]}
FRESH = {
    "uploads": [
        {"expect": "column_values_to_be_between", "column": "newest_upload_age_hours", "max_value": 24,
         "severity": "ERROR", "name": "fresh"},
    ],
}  # fmt: skip


def test_an_expectation_that_blocks_holds_the_version_back_until_it_holds_or_is_changed(tmp_path_factory):
    with shared_place(tmp_path_factory) as place:
        write_files(place.uploads, drawn_files()[::8])
        outcome = place.run(place.config(expectations=TALL))
        assert not outcome.success
        assert any(line.startswith("manifest: images_are_wide — ") for line in outcome.failures)
        version = place.version(place.config(), "v1")
        assert version.find_table("splits") is None
        # there is no page: the command names the check instead, and says how one is made all the same
        said = command("report", "shapes@v1")
        assert said.exit_code == 1
        assert "as a check before it failed: manifest: images_are_wide failed: " in said.stderr
        (select,) = re.findall(r"`cv-assets run shapes --version v1 --select (\S+)`", said.stderr)
        assert place.run(place.config(expectations=TALL), version="v1", select=select).success
        page = load_report(version, PAGE).decode()
        assert "This version is blocked." in page
        assert "manifest: images_are_wide failed: " in page
        assert command("report", "shapes@v1").exit_code == 1

        # the rest of the line, as one can launch it without the check that failed
        assert place.run(place.config(), version="v1", select="quarantine,quality_report,splits").success
        (line,) = place.run(place.config(expectations=TALL), version="v1", select="shards").failures
        assert "shapes@v1 may not go on to shards: manifest: images_are_wide failed: width_px values must" in line
        # it is asked for less: then it is to be looked at again
        (line,) = place.run(place.config(expectations=SUITE), version="v1", select="shards").failures
        assert "manifest: images_are_wide was added or changed since its expectations were looked at" in line
        judge(place, "manifest", now=datetime.now(UTC))
        require_gates(version, BEFORE_SHARDS, place.config(expectations=SUITE), before="shards")
        with pytest.raises(GateNotPassed, match="splits: new was added or changed since"):
            require_gates(version, BEFORE_SHARDS, place.config(expectations=NEW), before="shards")
        # an open version grows older, and may be held back for it
        assert judge(place, "raw_images", now=datetime.now(UTC), suite=FRESH)["fresh"].passed
        assert not judge(place, "raw_images", now=IN_YEARS, suite=FRESH)["fresh"].passed
        with pytest.raises(GateNotPassed, match="raw_images: fresh failed"):
            require_gates(version, BEFORE_SHARDS, place.config(expectations=FRESH), before="shards")
