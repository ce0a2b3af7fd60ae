"""What is expected of a dataset: the tables that are spoken of, the suite, and what holds a version back."""

import polars as pl
import pytest

from cv_assets.domain.digests import table_digest
from cv_assets.domain.expected_tables import ASSETS, DERIVED_FROM, Seen, expected_table
from cv_assets.domain.expecting import (
    DEFAULT_SUITE,
    Answer,
    asked,
    expectation_objections,
    is_of_the_moment,
    lasting_verdicts,
    not_asked,
    rows_meant,
    settings_read,
    suite_of,
    tables_read,
    to_verdict,
)
from cv_assets.domain.gates import gate_names
from cv_assets.domain.lineage import MADE_WITH, READS
from cv_assets_tests.domain.tables import config, file_row, image_id, label_row, manifest, probe_row
from schemas.expectation_types import COLUMNS, TABLES
from schemas.expectations import Expectations
from schemas.releases import AssetVerdicts
from schemas.tables import polars_schema, to_frame

NOT_NULL = {"expect": "column_values_to_not_be_null", "column": "image_id", "name": "ids"}


def tables():
    """Four images (one of two classes, one unlabelled, one in two files), a rejected file and one that does not decode."""
    images = manifest({"a.png": ["cat"], "b.png": ["cat", "dog"], "c.png": [], "d.png": (["dog"], ["x", "y"])})
    twice = pl.when(image_id=image_id("d.png")).then(pl.lit(["d.png", "e.png"])).otherwise("paths").alias("paths")
    files = [*map(file_row, ("a.png", "b.png", "c.png", "d.png", "broken.png"))]
    files += [file_row("e.png", same_as="d.png"), file_row("empty.png", reason="empty-file", size_bytes=0)]
    files.append(file_row("labels.csv", role="annotation"))
    boxes = [
        label_row("a.png", "cat", box=(0, 0, 32, 24)),
        label_row("b.png", "cat", box=(0, 0, 64, 48)),
        label_row("b.png", "dog", place=1),
        label_row("d.png", "dog", box=(10, 10, 10, 20)),
        label_row("broken.png", None, image_id=None, reason="file-quarantined", detail="told"),
        label_row("c.png", None, reason="no-label"),
    ]
    probes = [probe_row(name) for name in ("a.png", "b.png", "c.png", "d.png")]
    probes.append(probe_row("broken.png", reason="undecodable"))
    splits = [
        ("a.png", "train", "a.png"),
        ("b.png", "val", "a.png"),
        ("c.png", None, "c.png"),
        ("d.png", "val", "d.png"),
    ]
    return {
        "raw_images": to_frame("raw_images", files),
        "probes": to_frame("probes", probes),
        "annotations": to_frame("annotations", boxes),
        "manifest": images.with_columns(twice),
        "drift": to_frame("drift", []),
        "splits": to_frame(
            "splits",
            [{"image_id": image_id(name), "split": side, "unit": image_id(unit)} for name, side, unit in splits],
        ),
    }  # fmt: skip


def seen(**settings):
    return Seen(tables(), config(**settings), newest_upload_age_hours=2.5)


def row_of(table, **by):
    """The one row of a derived table that fits."""
    return expected_table(table, seen()).filter(**by).to_dicts()[0]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_the_columns_that_a_suite_may_name_of_the_kinds_that_it_may_expect(table):
    kinds = {pl.String: "text", pl.Boolean: "flag"}
    found = {name: kinds.get(type(dtype), "number") for name, dtype in expected_table(table, seen()).schema.items()}
    assert found == COLUMNS[table]
    assert not any(dtype.is_nested() for dtype in expected_table(table, seen()).dtypes)


@pytest.mark.parametrize("table", ["annotations", "manifest", "drift", "splits"])
def test_every_plain_column_of_a_stored_table_may_be_spoken_of(table):
    plain = {name for name, dtype in polars_schema(table).items() if not dtype.is_nested()}
    assert plain <= COLUMNS[table].keys()


@pytest.mark.parametrize("table", TABLES)
def test_a_version_without_any_row_has_the_tables_too(table):
    empty = {name: to_frame(name, []) for name in tables()}
    frame = expected_table(table, Seen(empty, config()))
    assert (frame.columns, frame.height) == (list(COLUMNS[table]), 1 if table == "uploads" else 0)


def test_no_check_reads_what_comes_later_in_the_line_than_its_asset():
    order = list(READS)
    for table, asset in ASSETS.items():
        made = {MADE_WITH.get(name, name) for name in DERIVED_FROM[table]}
        assert {name for name in made if order.index(name) > order.index(asset)} == set()


def test_uploads_count_what_was_rejected_before_and_after_decoding():
    assert row_of("uploads") == {
        "files": 8,
        "image_files": 7,
        "annotation_files": 1,
        "size_bytes": 7_000,
        "rejected": 2,
        "rejected_share": 2 / 7,
        "newest_upload_age_hours": 2.5,
    }


def test_annotations_know_their_image_and_the_size_of_their_box():
    half = row_of("annotations", annotation_id="a.png#0")
    assert (half["box_width_px"], half["box_height_px"], half["box_share"]) == (32, 24, 0.25)
    assert row_of("annotations", annotation_id="d.png#0")["box_share"] == 0
    assert row_of("annotations", annotation_id="b.png#1")["box_share"] is None
    accepted = expected_table("annotations", seen()).group_by("image_is_accepted").len().sort("image_is_accepted")
    assert list(accepted.iter_rows()) == [(False, 1), (True, 5)]


def test_the_manifest_counts_what_hangs_on_an_image():
    keys = ("path", "label", "path_count", "label_count", "group_count", "annotation_count", "short_side_px")
    said = {
        name: tuple(row_of("manifest", image_id=image_id(name))[key] for key in keys) for name in ("b.png", "d.png")
    }
    assert said == {"b.png": ("b.png", None, 1, 2, 0, 2, 48), "d.png": ("d.png", "dog", 2, 1, 2, 1, 48)}
    assert row_of("manifest", image_id=image_id("c.png"))["label_count"] == 0
    assert row_of("manifest", image_id=image_id("a.png"))["aspect_ratio"] == 64 / 48


def test_an_annotation_that_cannot_be_read_whole_counts_neither_for_its_image_nor_for_its_class():
    sound = tables()
    torn = to_frame("annotations", [label_row("c.png", "bird", reason="invalid-box", detail="told")])
    frames = sound | {"annotations": pl.concat([sound["annotations"], torn])}
    for table in ("manifest", "classes"):  # as labels, and images of a class, are counted
        assert expected_table(table, Seen(frames, config())).equals(expected_table(table, Seen(sound, config())))


def test_classes_have_shares_and_a_class_that_is_missing_has_a_row():
    frame = expected_table("classes", seen(classes=["bird", "cat", "dog"]))
    assert list(frame.iter_rows()) == [
        ("bird", 0, 0, 0.0, 0.0),
        ("cat", 2, 2, 2 / 3, 0.5),
        ("dog", 2, 2, 2 / 3, 0.5),
    ]


def test_splits_know_in_how_many_splits_their_unit_is():
    units = {row["unit"]: row["unit_splits"] for row in expected_table("splits", seen()).to_dicts()}
    assert units == {image_id("a.png"): 2, image_id("c.png"): 0, image_id("d.png"): 1}


def test_the_default_suite_goes_on_beside_a_suite_unless_it_is_switched_off_or_replaced():
    names = [one.check_name for one in suite_of(config(), "manifest")]
    assert "images_are_no_slivers" in names
    assert "classes_have_three_images" in names  # classes are an affair of the manifest
    beside = config(expectations={"manifest": [NOT_NULL]})
    assert [one.check_name for one in suite_of(beside, "manifest")] == [*names, "ids"]
    instead = config(expectations={"defaults": False, "manifest": [NOT_NULL]})
    assert [one.check_name for one in suite_of(instead, "manifest")] == ["ids"]
    assert suite_of(instead, "splits") == []
    replaced = config(expectations={"manifest": [{**NOT_NULL, "name": "images_are_no_slivers"}]})
    found = [one.expect for one in suite_of(replaced, "manifest") if one.check_name == "images_are_no_slivers"]
    assert found == [NOT_NULL["expect"]]


def test_the_default_suite_speaks_of_every_table_and_takes_no_gates_name():
    assert {one.table for one in DEFAULT_SUITE.own} == set(TABLES)
    assert len(DEFAULT_SUITE.own) >= 12
    assert [one.check_name for one in DEFAULT_SUITE.own if one.check_name in gate_names(ASSETS[one.table])] == []
    assert all(one.name and one.description for one in DEFAULT_SUITE.own)


ROWS = [
    ({}, ["a", "b", "c", None]),
    ({"kind": "a"}, ["a"]),
    ({"kind": ["a", "c"]}, ["a", "c"]),
    ({"kind": None}, [None]),
    ({"kind": ["b", None]}, ["b", None]),
    ({"kind": ["a", "b"], "property": "y"}, ["b"]),
    ({"kind": "z"}, []),
]


@pytest.mark.parametrize(("where", "meant"), ROWS)
def test_where_names_the_rows_that_are_meant(where, meant):
    frame = pl.DataFrame({"kind": ["a", "b", "c", None], "property": ["x", "y", "y", "y"]})
    row = {"expect": "table_row_count_to_be_between", "min_value": 1, "where": where}
    (expectation,) = Expectations.model_validate({"drift": [row]}).own
    assert rows_meant(frame, expectation)["kind"].to_list() == meant


STRICT = {"manifest": [{**NOT_NULL, "severity": "ERROR"}], "defaults": False}


def digests_of(found):
    return {name: table_digest(frame) for name, frame in found.items()}


def judged(dataset, *, asset="manifest", passed=True):
    """Verdicts as a look at the tables would leave them."""
    suite = suite_of(dataset, asset)
    found = [to_verdict(one, Answer(passed=passed, observed=0.5)) for one in suite]
    digests = {name: digest for name, digest in digests_of(tables()).items() if name in tables_read(suite)}
    return AssetVerdicts(
        asset=f"{asset}.expectations", table_digests=digests | settings_read(suite, dataset), verdicts=found
    )


def against(verdicts, *, suite=STRICT, found=None):
    return expectation_objections("manifest", verdicts, digests_of(found or tables()), config(expectations=suite))


def test_nothing_is_said_against_a_version_whose_strict_expectations_hold():
    assert against(judged(config(expectations=STRICT))) == []


def test_a_version_is_held_back_by_what_was_not_looked_at_or_on_other_content():
    assert against(None) == ["the expectations of manifest have not been looked at"]
    shorter = {**tables(), "manifest": tables()["manifest"].head(2)}
    stale = "the expectations of manifest were looked at on other content of manifest"
    assert against(judged(config(expectations=STRICT)), found=shorter) == [stale]


def test_a_version_is_held_back_by_what_failed_in_words_that_say_what_was_seen():
    (said,) = against(judged(config(expectations=STRICT), passed=False))
    assert said.startswith(
        "manifest: ids failed: Expect column values to not be null: column image_id. Saw {'observed'"
    )


CHANGES = {
    "another column": {**NOT_NULL, "column": "path", "severity": "ERROR"},
    "another share": {**NOT_NULL, "mostly": 0.5, "severity": "ERROR"},
    "other rows": {**NOT_NULL, "where": {"label": "cat"}, "severity": "ERROR"},
    "another name": {**NOT_NULL, "name": "names", "severity": "ERROR"},
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
def test_a_strict_expectation_that_was_changed_since_is_not_met_by_the_old_verdict(changed):
    verdicts = judged(config(expectations=STRICT))
    (said,) = against(verdicts, suite={"manifest": [changed], "defaults": False})
    assert "was added or changed since its expectations were looked at" in said


def test_a_verdict_on_classes_is_none_once_the_dataset_file_names_others():
    rare = {
        "expect": "column_values_to_be_between",
        "column": "images",
        "min_value": 1,
        "severity": "ERROR",
        "name": "rare",
    }
    suite = {"classes": [rare], "defaults": False}
    before, after = config(expectations=suite), config(expectations=suite, classes=["bird"])
    kept, digests = judged(before), digests_of(tables())
    assert expectation_objections("manifest", kept, digests, before) == []
    (said,) = expectation_objections("manifest", kept, digests, after)
    assert said == "the expectations of manifest were looked at on other content of classes of the dataset file"
    assert lasting_verdicts("manifest", kept, digests, after) == []


def test_what_only_warns_holds_nothing_back():
    mild = {"manifest": [NOT_NULL], "defaults": False}
    assert against(None, suite=mild) == []
    assert against(judged(config(expectations=mild), passed=False), suite=mild) == []
    # nor does its sentence, or the name that people read
    said = {**STRICT["manifest"][0], "description": "Said better."}
    assert against(judged(config(expectations=STRICT)), suite={"manifest": [said], "defaults": False}) == []


def test_a_commit_record_holds_no_verdict_that_depends_on_the_clock_or_is_stale():
    dataset = config()
    kept = judged(dataset, asset="raw_images")
    names = [one.name for one in lasting_verdicts("raw_images", kept, digests_of(tables()), dataset)]
    assert names == ["few_uploads_are_rejected"]
    assert [one.check_name for one in DEFAULT_SUITE.own if is_of_the_moment(one)] == ["uploads_still_come"]
    changed = {**tables(), "probes": to_frame("probes", [])}
    assert lasting_verdicts("raw_images", kept, digests_of(changed), dataset) == []
    assert lasting_verdicts("raw_images", None, {}, dataset) == []


def test_a_verdict_is_plain_json_and_says_what_was_asked():
    (expectation,) = Expectations.model_validate({"manifest": [{**NOT_NULL, "where": {"label": ["cat"]}}]}).own
    verdict = to_verdict(expectation, Answer(passed=False, rows=4, unexpected=1, offending=[{"image_id": None}]))
    kept = AssetVerdicts(asset="manifest.expectations", table_digests={}, verdicts=[verdict])
    assert AssetVerdicts.from_bytes(kept.to_bytes()) == kept
    assert verdict.saw == {"asked": asked(expectation), "rows": 4, "unexpected": 1}
    assert verdict.saw["asked"]["where"] == {"label": ["cat"]}
    assert not_asked(expectation).passed


def test_a_suite_can_be_written_down_and_read_again():
    given = {"manifest": [{**NOT_NULL, "where": {"label": ["cat", None]}}], "defaults": False}
    suite = Expectations.model_validate(given)
    assert Expectations.model_validate(suite.model_dump(mode="json")) == suite
