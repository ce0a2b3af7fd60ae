"""What is expected of a dataset: the default suite, what became of each expectation, and whether that holds a version back.

How an expectation is looked at is not said here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from cv_assets.domain.digests import record_digest
from cv_assets.domain.expected_tables import AGE, ASSETS, DERIVED_FROM, SETTINGS
from cv_assets.domain.gates import gate_names
from schemas.datasets import DatasetConfig
from schemas.expectations import Expectation, Expectations
from schemas.releases import AssetVerdicts, Verdict

# What is right of nearly every data set, and what the gates do not say already. Thresholds are generous: an alarm that
# always rings is not heard.
DEFAULT_SUITE: Final = Expectations.model_validate(
    {
        "uploads": [
            {"expect": "column_values_to_be_between", "column": "rejected_share", "max_value": 0.05,
             "name": "few_uploads_are_rejected",
             "description": "At most one image file in twenty is rejected; `cv-assets quarantine` says which, and why."},
            {"expect": "column_values_to_be_between", "column": AGE, "min_value": -24, "max_value": 8_760,
             "name": "uploads_still_come", "description": "The newest upload is at most a year old, and not of tomorrow."},
        ],
        "annotations": [
            {"expect": "column_values_to_be_in_set", "column": "image_is_accepted", "value_set": [True],
             "where": {"reason": None}, "severity": "ERROR", "name": "labels_speak_of_accepted_images",
             "description": "Every label or box belongs to an image of this version."},
            {"expect": "column_value_lengths_to_be_between", "column": "label", "min_value": 1, "max_value": 100,
             "name": "labels_are_short_names", "description": "Labels are 1 to 100 characters long."},
            {"expect": "column_values_to_be_between", "column": "box_share", "max_value": 1, "mostly": 0.99,
             "name": "boxes_are_no_larger_than_images", "description": "Nearly every box is at most as large as its image."},
        ],
        "manifest": [
            {"expect": "column_values_to_be_between", "column": "aspect_ratio", "min_value": 0.1, "max_value": 10,
             "mostly": 0.99, "name": "images_are_no_slivers", "description": "Nearly no image is ten times longer than wide."},
            {"expect": "column_values_to_be_between", "column": "path_count", "max_value": 1, "mostly": 0.9,
             "name": "few_images_are_uploaded_twice", "description": "At most one image in ten lies in several files."},
            {"expect": "column_proportion_of_unique_values_to_be_between", "column": "phash", "min_value": 0.5,
             "name": "images_differ_from_each_other",
             "description": "There are at least half as many different perceptual hashes as there are images."},
            {"expect": "column_mean_to_be_between", "column": "brightness_ratio", "min_value": 0.05, "max_value": 0.98,
             "name": "images_are_neither_black_nor_white", "description": "On average images are neither black nor white."},
        ],
        "classes": [
            {"expect": "column_values_to_be_between", "column": "images", "min_value": 3,
             "name": "classes_have_three_images", "description": "Every class has at least three images."},
        ],
        "drift": [
            {"expect": "column_values_to_be_between", "column": "js_distance", "max_value": 0.5, "where": {"drifted": True},
             "name": "nothing_is_another_data_set",
             "description": "What has drifted since the last release still overlaps with it for the most part."},
        ],
        "splits": [
            {"expect": "column_values_to_be_in_set", "column": "image_is_in_manifest", "value_set": [True],
             "severity": "ERROR", "name": "splits_speak_of_the_manifest",
             "description": "Every image that is dealt is one of the manifest."},
            {"expect": "column_values_to_be_between", "column": "unit_splits", "max_value": 1, "severity": "ERROR",
             "name": "units_are_in_one_split", "description": "What must stay together is in one split."},
            {"expect": "column_proportion_of_non_null_values_to_be_between", "column": "split", "min_value": 0.5,
             "name": "most_images_are_dealt", "description": "At least half of the images belong to a split."},
        ],
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What a look at one expectation gave. `observed` is plain JSON; `rows` were looked at, `unexpected` of them broke it.

    `problem` says why it could not be looked at; it has not passed then. `note` is what else a reader should know.
    """

    passed: bool
    sentence: str = ""
    observed: Any = None
    rows: int | None = None
    unexpected: int | None = None
    unexpected_percent: float | None = None
    offending: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    problem: str | None = None
    note: str | None = None


def suite_of(config: DatasetConfig, asset: str) -> list[Expectation]:
    """What is expected of the tables of one asset: the dataset's own, after those of the default suite that stand."""
    own = config.expectations.own
    replaced = {one.check_name for one in own}
    defaults = DEFAULT_SUITE.own if config.expectations.defaults else []
    every = [*(one for one in defaults if one.check_name not in replaced), *own]
    return [one for one in every if ASSETS[one.table] == asset]


def tables_read(expectations: Sequence[Expectation]) -> list[str]:
    """Names of the stored tables that expectations need, sorted."""
    return sorted({name for one in expectations for name in DERIVED_FROM[one.table]})


def settings_read(expectations: Sequence[Expectation], config: DatasetConfig) -> dict[str, str]:
    """What expectations read of the dataset file beside tables: its name there → its digest."""
    given = config.model_dump(mode="json")
    return {name: record_digest(given[SETTINGS[name][1]]) for name in _settings_named(expectations)}


def names_taken(config: DatasetConfig) -> list[str]:
    """Names of expectations that a gate of the same asset has already."""
    return sorted(one.check_name for one in config.expectations.own if one.check_name in gate_names(ASSETS[one.table]))


def expectations_key(asset: str) -> str:
    """Under which name the verdicts on the expectations of an asset are kept, beside those of its gates."""
    return f"{asset}.expectations"


def is_of_the_moment(expectation: Expectation) -> bool:
    """Does the answer depend on the clock?"""
    return expectation.table == "uploads" and AGE in (*expectation.columns, *expectation.where)


def asked(expectation: Expectation) -> dict[str, Any]:
    """What is asked, as plain JSON: a verdict on anything else is no verdict on it."""
    said = expectation.model_dump(mode="json", exclude={"name", "severity", "description"})
    return {name: value for name, value in said.items() if name != "where" or value}


def to_verdict(expectation: Expectation, answer: Answer) -> Verdict:
    """The answer as a verdict that is kept with the version."""
    saw = {
        "observed": answer.observed,
        "rows": answer.rows,
        "unexpected": answer.unexpected,
        "unexpected_percent": answer.unexpected_percent,
        "problem": answer.problem,
        "note": answer.note,
    }
    return Verdict(
        name=expectation.check_name,
        asset=ASSETS[expectation.table],
        passed=answer.passed,
        severity=expectation.severity,
        blocking=expectation.severity == "ERROR",
        description=expectation.description or answer.sentence or sentence(expectation),
        saw={"asked": asked(expectation), **{name: value for name, value in saw.items() if value is not None}},
        offending=answer.offending,
    )


def not_asked(expectation: Expectation) -> Verdict:
    """The verdict on a version that was committed before anybody asked: it is too late to hold it back."""
    why = "the version is committed, and its age says nothing about it"
    verdict = to_verdict(expectation, Answer(passed=True))
    return verdict.model_copy(update={"saw": {**verdict.saw, "not_asked": why}})


def sentence(expectation: Expectation) -> str:
    """An expectation in plain words, where nobody has said it better."""
    arguments = ", ".join(f"{name} {value}" for name, value in expectation.arguments.items())
    return f"Expect {expectation.expect.replace('_', ' ')}: {arguments}."


def rows_meant(frame: pl.DataFrame, expectation: Expectation) -> pl.DataFrame:
    """The rows that `where` names; all of them without it."""
    for column, given in expectation.where.items():
        values = given if isinstance(given, list) else [given]
        plain = [value for value in values if value is not None]
        is_meant = pl.lit(value=False)
        if plain and frame.schema[column].is_numeric():  # 640 and 640.0 are one number, whatever the column is made of
            is_meant = pl.col(column).cast(pl.Float64).is_in([float(value) for value in plain]).fill_null(value=False)
        elif plain:
            is_meant = pl.col(column).is_in(plain).fill_null(value=False)
        frame = frame.filter(is_meant | pl.col(column).is_null() if None in values else is_meant)
    return frame


def expectation_objections(
    asset: str, verdicts: AssetVerdicts | None, digests: Mapping[str, str], config: DatasetConfig
) -> list[str]:
    """Why nothing may go on from `asset`: each a sentence; none if every expectation of severity ERROR held on just these tables.

    `verdicts` are those under `expectations_key(asset)`; `digests` holds that of every table of `tables_read`.
    """
    blocking = [one for one in suite_of(config, asset) if one.severity == "ERROR"]
    if not blocking:
        return []
    if verdicts is None:
        return [f"the expectations of {asset} have not been looked at"]
    stale = _stale(blocking, verdicts, {**digests, **settings_read(blocking, config)})
    if stale:
        return [f"the expectations of {asset} were looked at on other content of {', '.join(stale)}"]
    found = {verdict.name: verdict for verdict in verdicts.verdicts}
    return [said for one in blocking if (said := _objection(asset, one, found.get(one.check_name)))]


def lasting_verdicts(
    asset: str, verdicts: AssetVerdicts | None, digests: Mapping[str, str], config: DatasetConfig
) -> list[Verdict]:
    """The verdicts that a commit record may hold: on what is expected today, on just these tables, and not on the clock."""
    suite = [one for one in suite_of(config, asset) if not is_of_the_moment(one)]
    if verdicts is None or _stale(suite, verdicts, {**digests, **settings_read(suite, config)}):
        return []
    expected = {one.check_name: asked(one) for one in suite}
    return [verdict for verdict in verdicts.verdicts if expected.get(verdict.name) == verdict.saw.get("asked")]


def _settings_named(expectations: Sequence[Expectation]) -> list[str]:
    tables = {one.table for one in expectations}
    return [name for name, (table, _) in SETTINGS.items() if table in tables]


def _stale(expectations: Sequence[Expectation], verdicts: AssetVerdicts, digests: Mapping[str, str]) -> list[str]:
    known = verdicts.table_digests
    names = [*tables_read(expectations), *_settings_named(expectations)]
    return [name for name in names if name not in digests or known.get(name) != digests[name]]


def _objection(asset: str, expectation: Expectation, verdict: Verdict | None) -> str | None:
    if verdict is None or verdict.saw.get("asked") != asked(expectation):
        return f"{asset}: {expectation.check_name} was added or changed since its expectations were looked at"
    if verdict.passed:
        return None
    saw = {name: value for name, value in verdict.saw.items() if name != "asked"}
    return f"{asset}: {verdict.name} failed: {verdict.description} Saw {saw}"
