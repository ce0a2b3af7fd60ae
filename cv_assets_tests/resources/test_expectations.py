"""Great Expectations over tables in memory: every type that a suite may hold is answered, and offenders are named."""

import gc
import importlib
import inspect
import os
import re
import subprocess
import sys
import warnings
import weakref
from pathlib import Path

import polars as pl
import pytest

from cv_assets.domain.expected_tables import Seen, expected_table
from cv_assets.domain.expecting import DEFAULT_SUITE, to_verdict
from cv_assets_tests.domain.tables import config, image_id, label_row, manifest, probe_row
from cv_assets_tests.domain.test_expecting import tables
from resources.examiner import GreatExpectations
from resources.expectations import look_at, look_at_version
from resources.settings import PROJECT_ROOT
from schemas.expectation_types import ARGUMENTS, TABLES, TYPES
from schemas.expectations import PREFIX, Expectations
from schemas.tables import to_frame

SEEN = Seen(tables(), config(), newest_upload_age_hours=2.5)
FRAMES = {table: expected_table(table, SEEN) for table in TABLES}


@pytest.fixture(scope="module")
def core():
    """The expectations that the installed release of Great Expectations knows, by type."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # modules of Python that it imports by their old names
        found = importlib.import_module("great_expectations.expectations.core")
    classes = [made for _, made in inspect.getmembers(found, inspect.isclass) if hasattr(made, "expectation_type")]
    return {made.expectation_type: made for made in classes}


def one(expect, **arguments):
    return {"expect": expect, **arguments}


def answers(*rows, table="manifest", frames=FRAMES):
    """What comes of these expectations of one table, in their order."""
    suite = Expectations.model_validate({table: list(rows)}).own
    found = look_at(suite, frames)
    return [found[expectation.check_name] for expectation in suite]


@pytest.mark.parametrize("expect", TYPES)
def test_a_type_has_the_arguments_that_great_expectations_gives_it(expect, core):
    fields = core[PREFIX + expect].__fields__
    kind = TYPES[expect]
    assert {*kind.required, *kind.optional} <= fields.keys()
    base = {name for name, field in fields.items() if field.required}
    assert base <= {*kind.required}
    assert {*kind.required, *kind.optional} <= ARGUMENTS.keys()


EVERY = {
    "column_values_to_not_be_null": ({"column": "path"}, True),
    "column_values_to_be_null": ({"column": "label", "mostly": 0.25}, True),
    "column_values_to_be_unique": ({"column": "image_id"}, True),
    "column_values_to_be_between": ({"column": "path_count", "max_value": 1}, False),
    "column_values_to_be_in_set": ({"column": "format", "value_set": ["png"]}, True),
    "column_values_to_not_be_in_set": ({"column": "label", "value_set": ["cat"]}, False),
    "column_values_to_match_regex": ({"column": "path", "regex": r"\.png$"}, True),
    "column_values_to_not_match_regex": ({"column": "path", "regex": "^b"}, False),
    "column_values_to_match_regex_list": ({"column": "path", "regex_list": ["^a", "png$"], "match_on": "any"}, True),
    "column_values_to_not_match_regex_list": ({"column": "path", "regex_list": ["^x", "gif$"]}, True),
    "column_value_lengths_to_be_between": ({"column": "path", "max_value": 4}, False),
    "column_value_lengths_to_equal": ({"column": "path", "value": 5}, True),
    "column_values_to_not_be_outliers": ({"column": "path_count", "method": "iqr", "multiplier": 1.5}, False),
    "column_value_z_scores_to_be_less_than": ({"column": "path_count", "threshold": 3, "double_sided": True}, True),
    "column_distinct_values_to_be_in_set": ({"column": "label", "value_set": ["cat", "dog", "emu"]}, True),
    "column_distinct_values_to_contain_set": ({"column": "label", "value_set": ["emu"]}, False),
    "column_distinct_values_to_equal_set": ({"column": "label", "value_set": ["cat", "dog"]}, True),
    "column_most_common_value_to_be_in_set": ({"column": "format", "value_set": ["png"]}, True),
    "column_min_to_be_between": ({"column": "label_count", "min_value": 1}, False),
    "column_max_to_be_between": ({"column": "label_count", "min_value": 2, "max_value": 2}, True),
    "column_mean_to_be_between": ({"column": "label_count", "min_value": 1, "max_value": 1}, True),
    "column_median_to_be_between": ({"column": "label_count", "max_value": 1, "strict_max": True}, False),
    "column_stdev_to_be_between": ({"column": "label_count", "min_value": 0.8, "max_value": 0.9}, True),
    "column_sum_to_be_between": ({"column": "annotation_count", "max_value": 4}, True),
    "column_quantile_values_to_be_between": (
        {"column": "label_count", "quantile_ranges": {"quantiles": [0, 1], "value_ranges": [[0, 0], [None, 2]]}}, True),
    "column_proportion_of_non_null_values_to_be_between": ({"column": "label", "min_value": 0.6}, False),
    "column_proportion_of_unique_values_to_be_between": ({"column": "phash", "min_value": 1}, True),
    "column_unique_value_count_to_be_between": ({"column": "label", "max_value": 1}, False),
    "column_pair_values_to_be_equal": ({"column_A": "label_count", "column_B": "annotation_count"}, True),
    "column_pair_values_a_to_be_greater_than_b": ({"column_A": "height_px", "column_B": "width_px"}, False),
    "column_pair_values_to_be_in_set": (
        {"column_A": "format", "column_B": "mode", "value_pairs_set": [["png", "RGB"]]}, True),
    "compound_columns_to_be_unique": ({"column_list": ["format", "mode"]}, False),
    "select_column_values_to_be_unique_within_record": ({"column_list": ["width_px", "height_px"]}, True),
    "multicolumn_sum_to_equal": ({"column_list": ["width_px", "height_px"], "sum_total": 112}, True),
    "table_row_count_to_be_between": ({"min_value": 5}, False),
    "table_row_count_to_equal": ({"value": 4}, True),
}  # fmt: skip


def test_every_type_that_a_suite_may_hold_is_answered():
    assert EVERY.keys() == TYPES.keys()
    found = answers(*(one(expect, **arguments) for expect, (arguments, _) in EVERY.items()))
    said = {expect: (answer.passed, answer.problem) for expect, answer in zip(EVERY, found, strict=True)}
    assert said == {expect: (passes, None) for expect, (_, passes) in EVERY.items()}
    # in words of Great Expectations, or in none
    assert sum(bool(answer.sentence) for answer in found) >= 34
    assert not any(re.search(r"\$\w", answer.sentence) or PREFIX in answer.sentence for answer in found)


def test_every_type_is_answered_on_an_empty_table_too():
    empty = {**FRAMES, "manifest": FRAMES["manifest"].clear()}
    found = answers(*(one(expect, **arguments) for expect, (arguments, _) in EVERY.items()), frames=empty)
    assert {expect for expect, answer in zip(EVERY, found, strict=True) if answer.problem} <= {
        "column_quantile_values_to_be_between",
        "column_values_to_not_be_outliers",
        "column_most_common_value_to_be_in_set",
        "column_value_z_scores_to_be_less_than",
        *(f"column_{figure}_to_be_between" for figure in ("min", "max", "mean", "median", "stdev")),
    }


def test_a_figure_of_nothing_is_said_to_be_none():
    empty = {**FRAMES, "manifest": FRAMES["manifest"].clear()}
    (found,) = answers(one("column_mean_to_be_between", column="brightness_ratio", min_value=0.1), frames=empty)
    assert (found.passed, found.problem) == (
        False,
        "there is no such figure: rows that are meant: 0, with a value: none",
    )


@pytest.mark.usefixtures("core")
def test_no_table_outlives_its_look(monkeypatch):
    held, convert = [], pl.DataFrame.to_pandas

    def to_pandas(frame):
        held.append(weakref.ref(made := convert(frame)))
        return made

    monkeypatch.setattr(pl.DataFrame, "to_pandas", to_pandas)
    arguments = {"column": "width_px", "min_value": 1}
    question = {"key": "wide", "type": "expect_column_mean_to_be_between", "kwargs": arguments}
    assert GreatExpectations().answer([question], FRAMES["manifest"])["wide"]["passed"]
    gc.collect()
    assert [reference() for reference in held] == [None]


def test_the_rows_that_broke_it_are_counted_and_named():
    (found,) = answers(one("column_values_to_be_between", column="label_count", min_value=1, max_value=1))
    assert (found.passed, found.rows, found.unexpected, found.unexpected_percent) == (False, 4, 2, 50.0)
    named = {row["image_id"]: row["label_count"] for row in found.offending}
    assert named == {image_id("b.png"): 2, image_id("c.png"): 0}
    (tolerant,) = answers(one("column_values_to_be_between", column="label_count", min_value=1, mostly=0.75))
    assert (tolerant.passed, tolerant.unexpected, tolerant.offending) == (True, 1, [])


def test_only_the_first_twenty_rows_are_shown():
    many = manifest({f"{number}.png": [] for number in range(50)})
    frames = {"manifest": expected_table("manifest", Seen({**tables(), "manifest": many}, config()))}
    (found,) = answers(one("column_values_to_be_between", column="label_count", min_value=1), frames=frames)
    assert (found.unexpected, len(found.offending)) == (50, 20)
    assert [row["image_id"] for row in found.offending] == many["image_id"].to_list()[:20]


def test_where_asks_of_some_rows_only_and_names_the_right_ones():
    rows = {"where": {"reason": None}}
    accepted = one("column_values_to_be_in_set", column="image_is_accepted", value_set=[True])
    every, meant = answers(accepted, {**accepted, **rows, "name": "meant"}, table="annotations")
    assert (every.passed, every.offending) == (False, [{"annotation_id": "broken.png#0", "image_is_accepted": False}])
    assert (meant.passed, meant.rows) == (True, 4)
    late = one("column_values_to_be_between", column="box_share", max_value=0.5, where={"label": "cat"})
    (found,) = answers(late, table="annotations")
    assert [row["annotation_id"] for row in found.offending] == ["b.png#0"]


WHERE = [
    # what `where` says of four images, all 64 px wide, and how many it means
    ({"width_px": 64}, 4),
    ({"width_px": 64.0}, 4),
    ({"width_px": [64, 640.5]}, 4),
    ({"width_px": [64.5, None]}, 0),
    ({"brightness_ratio": 0}, 0),
    ({"label": ["cat", None]}, 3),
]


@pytest.mark.parametrize(("where", "rows"), WHERE)
def test_a_number_means_the_rows_with_that_number_however_it_is_spelt(where, rows):
    (found,) = answers(one("column_values_to_be_unique", column="image_id", where=where))
    assert (found.passed, found.rows, found.problem) == (True, rows, None)
    assert found.note == (None if rows else "`where` means no row")


def test_rows_that_cannot_be_told_fail_their_own_expectation_alone():
    odd = {"manifest": FRAMES["manifest"].with_columns(width_px=pl.lit("wide"))}
    broken, sound = answers(
        one("column_values_to_be_unique", column="image_id", where={"width_px": 64}),
        one("column_values_to_be_unique", column="image_id"),
        frames=odd,
    )
    assert (broken.passed, sound.passed) == (False, True)
    assert "the rows that are meant cannot be told" in str(broken.problem)


def test_two_expectations_of_one_column_are_two_and_the_same_one_under_two_names_is_answered_twice():
    low = one("column_values_to_be_between", column="width_px", min_value=1)
    high = one("column_values_to_be_between", column="width_px", min_value=1_000)
    found = answers({**low, "name": "low"}, {**high, "name": "high"}, {**low, "name": "low_again"})
    assert [answer.passed for answer in found] == [True, False, True]


def test_an_expectation_that_fails_within_does_not_keep_the_others_from_being_looked_at():
    odd = {"manifest": FRAMES["manifest"].with_columns(width_px=pl.lit("wide"))}
    broken, sound = answers(
        one("column_mean_to_be_between", column="width_px", min_value=1),
        one("column_mean_to_be_between", column="height_px", min_value=1),
        frames=odd,
    )
    assert not broken.passed
    assert broken.problem
    assert (sound.passed, sound.problem) == (True, None)


def test_a_table_that_is_missing_or_odd_fails_its_own_expectations_alone():
    given = tables()
    del given["drift"]
    given["splits"] = given["splits"].drop("unit")
    found = look_at_version(DEFAULT_SUITE.own, Seen(given, config(), 2.5))
    assert found["nothing_is_another_data_set"].problem == "the table drift is not there; materialize quality_report"
    assert "do not hold to their schema" in str(found["units_are_in_one_split"].problem)
    assert not found["units_are_in_one_split"].passed
    assert found["images_are_no_slivers"].passed


def test_an_age_that_nobody_wrote_down_is_not_young():
    found = look_at_version(DEFAULT_SUITE.own, Seen(tables(), config(), None))
    assert not found["uploads_still_come"].passed
    assert "was not written down" in str(found["uploads_still_come"].problem)
    assert found["few_uploads_are_rejected"].problem is None
    old = look_at_version(DEFAULT_SUITE.own, Seen(tables(), config(), 9_000.0))["uploads_still_come"]
    assert (old.passed, old.offending) == (False, [{"newest_upload_age_hours": 9_000.0}])


# kind of expectation → a suite that holds of the tables, and a change to the tables that it finds
KINDS = {
    "nulls": ("splits", one("column_values_to_not_be_null", column="split", mostly=0.75), "splits",
              lambda frame: frame.with_columns(split=pl.lit(None, pl.String))),
    "uniqueness": ("manifest", one("column_values_to_be_unique", column="phash"), "manifest",
                   lambda frame: frame.with_columns(phash=pl.lit("0" * 16))),
    "ranges": ("manifest", one("column_values_to_be_between", column="width_px", min_value=32), "manifest",
               lambda frame: frame.with_columns(width_px=pl.lit(8))),
    "sets": ("annotations", one("column_values_to_be_in_set", column="label", value_set=["cat", "dog"]), "annotations",
             lambda frame: frame.with_columns(label=pl.lit("caat"))),
    "class share": ("classes", one("column_max_to_be_between", column="object_share", max_value=0.8), "annotations",
                    lambda frame: frame.with_columns(label=pl.lit("cat"))),
    "referential integrity": ("annotations", DEFAULT_SUITE.annotations[0].model_dump(), "probes",
                              lambda frame: frame.head(1)),
    "stability": ("drift", one("column_values_to_be_between", column="psi", max_value=0.25), "drift",
                  lambda _: to_frame("drift", [{"property": "sharpness", "kind": "number", "baseline_rows": 90, "rows": 90,
                                                "psi": 0.6, "js_distance": 0.4, "ks_statistic": 0.3, "ks_p_value": 0.01,
                                                "drifted": True, "evidence": "{}"}])),
}  # fmt: skip


@pytest.mark.parametrize(("table", "row", "changed", "change"), KINDS.values(), ids=KINDS)
def test_each_kind_of_expectation_holds_and_is_broken_by_what_it_is_for(table, row, changed, change):
    suite = Expectations.model_validate({table: [row]}).own
    name = suite[0].check_name
    assert look_at_version(suite, SEEN)[name].passed
    broken = {**tables(), changed: change(tables()[changed])}
    answer = look_at_version(suite, Seen(broken, config()))[name]
    assert (answer.passed, answer.problem) == (False, None)


def test_figures_of_no_size_are_said_as_text_so_that_a_verdict_can_be_kept():
    endless = {"manifest": FRAMES["manifest"].with_columns(sharpness=pl.lit(float("inf")))}
    (expectation,) = Expectations.model_validate(
        {"manifest": [one("column_max_to_be_between", column="sharpness", max_value=1)]}
    ).own
    verdict = to_verdict(expectation, look_at([expectation], endless)[expectation.check_name])
    assert (verdict.passed, verdict.saw["observed"]) == (False, "inf")
    assert verdict.to_bytes()


def test_names_from_the_data_are_text_also_where_they_look_like_templates():
    label = "$column <script>"
    frames = {
        "annotations": expected_table(
            "annotations",
            Seen({"annotations": to_frame("annotations", [label_row("a.png", label)]),
                  "probes": to_frame("probes", [probe_row("a.png")])}, config()),
        )
    }  # fmt: skip
    (found,) = answers(
        one("column_values_to_be_in_set", column="label", value_set=["$x <b>"]), table="annotations", frames=frames
    )
    assert found.offending == [{"annotation_id": "a.png#0", "label": label}]
    assert "$x <b>" in found.sentence


ALONE = """
import sys
import cv_assets.definitions
assert "great_expectations" not in sys.modules
from resources.expectations import look_at
from schemas.expectations import Expectations
import polars as pl
assert look_at([], {}) == {}
assert "great_expectations" not in sys.modules
names = ["emu", "cat", "dog", "ant", "bee"]
row = {"expect": "column_distinct_values_to_equal_set", "column": "label", "value_set": names}
suite = Expectations.model_validate({"classes": [row]}).own
frame = pl.DataFrame({"label": ["x", "y", "z", "v", "w"]})
print(list(look_at(suite, {"classes": frame}).values())[0])
assert "great_expectations" not in sys.modules
"""


def test_it_is_imported_elsewhere_leaves_no_file_prints_nothing_and_answers_alike_under_any_hash_seed(tmp_path):
    said = set()
    for seed in ("1", "2"):
        home = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": str(PROJECT_ROOT), "PYTHONHASHSEED": seed}
        found = subprocess.run(
            [sys.executable, "-W", "error", "-c", ALONE],
            capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, **home},
        )  # fmt: skip
        assert (found.returncode, found.stderr) == (0, "")
        said.add(found.stdout)
    assert len(said) == 1
    assert list(Path(tmp_path).iterdir()) == []


SELDOM = """
import sys
from cv_assets_tests.resources.test_expectations import EVERY, FRAMES, PREFIX
from resources.examiner import GreatExpectations
every = [{"key": name, "type": PREFIX + name, "kwargs": arguments} for name, (arguments, _) in EVERY.items()]
assert GreatExpectations().answer(every, FRAMES["manifest"]).keys() == EVERY.keys()
from great_expectations.expectations.core import expect_column_kl_divergence_to_be_less_than as asks_for_both
assert [name for name in sys.modules if name.startswith(("altair.", "scipy.stats."))] == []
assert asks_for_both.stats.entropy([1, 1], [1, 1]) == 0
assert asks_for_both.alt.Chart.__module__.startswith("altair.")
"""


def test_what_no_type_of_a_suite_asks_for_is_imported_when_something_does():
    home = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    found = subprocess.run([sys.executable, "-c", SELDOM], capture_output=True, text=True, check=False, env=home)
    assert (found.returncode, found.stderr) == (0, "")
