"""Suite files: what teams expect without code, and every mistake names file, place, value and cure."""

import json

import pytest

from cv_assets.assets.line import Line
from cv_assets.checks.expectations import build_expectation_checks
from resources.dataset_files import load_dataset, load_datasets
from resources.settings import PROJECT_ROOT
from schemas.errors import ConfigurationError

NAMED = "name: shapes\nsource: {url: uploads}\n"


def write(folder, text, name="shapes.yaml"):
    path = folder / name
    path.write_text(text)
    return path


RANGE = "{expect: column_values_to_be_between, column: width_px, min_value: 32}"
GX = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "width_px", "min_value": 32}}

# the suite, and words that its message must hold
SUITE_MISTAKES = {
    "no table": ("manifst: []", ["manifst", "did you mean 'manifest'"]),
    "no list": ("manifest: {expect: a}", ["manifest", "expected a list"]),
    "no mapping": ("manifest: [width_px]", ["manifest.0", "width_px"]),
    "no type": ("manifest: [{column: width_px}]", ["manifest.0.expect", "required"]),
    "a misspelt type": (f"manifest: [{RANGE.replace('values', 'valeus')}]", ["expect", "did you mean 'column_values_to_be_bet"]),
    "a type of another engine": ("manifest: [{expect: unexpected_rows}]", ["manifest.0.expect", "no such type"]),
    "a misspelt argument": (f"manifest: [{RANGE.replace('min_value', 'min_valu')}]", ["min_valu", "did you mean 'min_value'"]),
    "a missing argument": ("manifest: [{expect: column_values_to_be_in_set, column: format}]", ["value_set", "required"]),
    "an unknown column": (f"manifest: [{RANGE.replace('width_px', 'with_px')}]", ["'with_px'", "did you mean 'width_px'"]),
    "a column of another table": (f"splits: [{RANGE}]", ["splits.0", "no column 'width_px'", "known are"]),
    "a column of lists": (f"manifest: [{RANGE.replace('width_px', 'labels')}]", ["no column 'labels'", "'label'"]),
    "a range of words": (f"manifest: [{RANGE.replace('width_px', 'format')}]", ["format holds text", "of kind number"]),
    "a number in words": (f"manifest: [{RANGE.replace('32', 'many')}]", ["min_value", "'many'"]),
    "a number that is none": (f"manifest: [{RANGE.replace('32', '.nan')}]", ["min_value", "nan"]),
    "a range backwards": (f"manifest: [{RANGE.replace('min_value: 32', 'min_value: 9, max_value: 3')}]", ["max_value", "3"]),
    "a range without an end": (f"manifest: [{RANGE.replace(', min_value: 32', '')}]", ["neither min_value nor max_value"]),
    "half a row": ("splits: [{expect: table_row_count_to_be_between, min_value: 0.5}]", ["whole numbers"]),
    "a share beyond all": (f"manifest: [{RANGE[:-1]}, mostly: 99}}]", ["mostly", "99", "less than or equal to 1"]),
    "a share of nothing": (f"manifest: [{RANGE[:-1]}, mostly: 0}}]", ["mostly", "0", "greater than 0"]),
    "a table below another one": (
        "manifest: [{expect: table_row_count_to_equal, value: 3, table: splits}]",
        ["manifest.0.table: found 'splits' below 'manifest'"]),
    "a name that a gate has": (f"manifest: [{RANGE[:-1]}, name: image_ids_are_unique}}]", ["name: found image_ids_are_unique"]),
    "a severity of another world": (f"manifest: [{RANGE[:-1]}, severity: critical}}]", ["manifest.0.severity", "critical"]),
    "a name that is a sentence": (f"manifest: [{RANGE[:-1]}, name: 'A name'}}]", ["manifest.0.name", "A name"]),
    "a pattern that is none": (
        "annotations: [{expect: column_values_to_match_regex, column: label, regex: '('}]", ["regex", "not a regular expression"]),
    "a condition in code": (f"manifest: [{RANGE[:-1]}, row_condition: 'x > 1'}}]", ["row_condition", "where"]),
    "where there is no column": (f"manifest: [{RANGE[:-1]}, where: {{lable: a}}}}]", ["'lable'", "did you mean 'label'"]),
    "where a word is a number": (f"manifest: [{RANGE[:-1]}, where: {{label: 3}}}}]", ["where.label", "3", "holds text"]),
    "a set of the wrong kind": (
        "splits: [{expect: column_values_to_be_in_set, column: image_is_in_manifest, value_set: ['yes']}]", ["holds flag"]),
    "the same twice": (f"manifest: [{RANGE}, {RANGE}]", ["manifest_column_values_to_be_between_width_px more than once"]),
    "one name twice": (
        f"manifest: [{RANGE[:-1]}, name: a}}]\nsplits: [{{expect: table_row_count_to_equal, value: 3, name: a}}]", ["a more"]),
    "a list": ("- manifest", ["expected tables", "list"]),
    "a key given twice": ("manifest: []\nmanifest: []", ["given twice"]),
    "an alias": ("manifest: &a []\nsplits: *a", ["aliases"]),
}  # fmt: skip
GX_MISTAKES = {
    "a table that is a key": (
        {"meta": {"defaults": True}, "expectations": [{**GX, "meta": {"table": "defaults"}}]},
        ["expectations.0.meta.table", "'defaults'"],
    ),
    "no table": ({"expectations": [GX]}, ["expectations.0.meta.table", "None", "manifest"]),
    "no such table": ({"expectations": [{**GX, "meta": {"table": "shards"}}]}, ["expectations.0.meta.table", "'shards'"]),
    "no type": ({"meta": {"table": "manifest"}, "expectations": [{"kwargs": {}}]}, ["expectations.0.type", "name the type"]),
    "an unknown type": (
        {"meta": {"table": "manifest"}, "expectations": [{**GX, "type": "expect_the_best"}]}, ["expect_the_best", "no such type"]),
    "a severity of another world": (
        {"meta": {"table": "manifest"}, "expectations": [{**GX, "severity": "blocker"}]},
        ["expectations.0.severity: found 'blocker'", "critical"]),
    "an unknown key of an expectation": (
        {"expectations": [{**GX, "meta": {"table": "manifest", "wher": {"format": "png"}}}]},
        ["expectations.0.meta.wher: found an unknown key", "table, name, where"]),
    "an unknown key of the suite": (
        {"meta": {"table": "manifest", "defualts": False}, "expectations": [GX]}, ["meta.defualts: found an unknown key"]),
    "a mistake in one of another table": (
        {"expectations": [{**GX, "meta": {"table": "manifest"}}, {"type": "expect_table_row_count_to_equal",
         "kwargs": {"valu": 3}, "meta": {"table": "splits"}}]}, ["expectations.1: found", "valu: no such argument"]),
    "a name that is a sentence": (
        {"expectations": [{**GX, "meta": {"table": "manifest", "name": "A name"}}]}, ["expectations.0.meta.name: found 'A name'"]),
    "no mapping": ([GX], ["expected tables", "list"]),
}  # fmt: skip


def suite_folder(tmp_path):
    """A folder of datasets that knows `shapes`, and the folder of suites beside it."""
    datasets, suites = tmp_path / "datasets", tmp_path / "expectations"
    datasets.mkdir()
    suites.mkdir()
    write(datasets, NAMED)
    return datasets, suites


def said_of(datasets, path, words):
    with pytest.raises(ConfigurationError) as caught:
        load_datasets(datasets)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert [word for word in words if word not in message] == []
    assert max(map(len, message.splitlines())) < 1_500
    return message


@pytest.mark.parametrize(("text", "words"), SUITE_MISTAKES.values(), ids=SUITE_MISTAKES)
def test_a_mistake_in_a_suite_is_said_with_file_place_value_and_cure(tmp_path, text, words):
    datasets, suites = suite_folder(tmp_path)
    said_of(datasets, write(suites, text), words)


@pytest.mark.parametrize(("content", "words"), GX_MISTAKES.values(), ids=GX_MISTAKES)
def test_a_mistake_in_a_suite_of_great_expectations_is_said_too(tmp_path, content, words):
    datasets, suites = suite_folder(tmp_path)
    said_of(datasets, write(suites, json.dumps(content), "shapes.json"), words)


def test_a_suite_in_json_is_json(tmp_path):
    datasets, suites = suite_folder(tmp_path)
    for text, word in (
        ("{", "cannot be read as JSON"),
        ('{"a": 1, "a": 2}', "given twice"),
        ('{"a": NaN}', "NaN"),
        ("[" * 10_000, "JSON"),
    ):
        said_of(datasets, write(suites, text, "shapes.json"), [word])


def test_all_mistakes_of_a_suite_are_said_at_once(tmp_path):
    datasets, suites = suite_folder(tmp_path)
    path = write(suites, f"manifest: [{{expect: a}}, {RANGE}, {{expect: b}}]\nzzz: 1")
    message = said_of(datasets, path, ["manifest.0.expect", "manifest.2.expect", "zzz"])
    assert len(message.splitlines()) == 3


def test_a_suite_without_a_dataset_is_a_mistake_and_so_are_two_of_one(tmp_path):
    datasets, suites = suite_folder(tmp_path)
    stray = write(suites, "manifest: []", "shape.yaml")
    said_of(datasets, stray, ["expected the name of a dataset, one of shapes"])
    stray.unlink()
    write(suites, "manifest: []")
    second = write(suites, "{}", "shapes.json")
    said_of(datasets, datasets / "shapes.yaml", ["expectations", "shapes.json", "shapes.yaml", "keep one"])
    second.unlink()
    write(datasets, NAMED + "expectations: {defaults: false}")
    said_of(datasets, datasets / "shapes.yaml", ["keep one"])


def test_a_dataset_has_its_suite_and_without_a_file_the_default_one(tmp_path):
    datasets, suites = suite_folder(tmp_path)
    (plain,) = load_datasets(datasets)
    assert (plain.expectations.own, plain.expectations.defaults) == ([], True)

    write(suites, f"defaults: false\nmanifest: [{RANGE}]")
    (tuned,) = load_datasets(datasets)
    assert tuned == load_dataset(datasets / "shapes.yaml")
    (only,) = tuned.expectations.own
    assert (only.check_name, only.severity, only.table) == (
        "manifest_column_values_to_be_between_width_px",
        "WARN",
        "manifest",
    )
    assert (only.arguments, tuned.expectations.defaults) == ({"column": "width_px", "min_value": 32}, False)


def test_a_suite_of_great_expectations_is_read_as_it_writes_it(tmp_path):
    datasets, suites = suite_folder(tmp_path)
    serialized = {
        "name": "shapes",
        "id": None,
        "meta": {"great_expectations_version": "1.24.1", "table": "manifest", "defaults": False},
        "notes": None,
        "expectations": [
            {
                **GX,
                "severity": "critical",
                "id": "1b",
                "meta": {"name": "wide_enough", "where": {"format": "png"}},
                "rendered_content": [],
            },
            {
                "type": "expect_column_values_to_be_in_set",
                "kwargs": {"column": "split", "value_set": ["train"], "batch_id": "b", "mostly": None},
                "meta": {"table": "splits"},
                "severity": "info",
                "description": "All is for training.",
            },
        ],
    }  # fmt: skip
    write(suites, json.dumps(serialized), "shapes.json")
    (dataset,) = load_datasets(datasets)
    splits, wide = sorted(dataset.expectations.own, key=lambda found: found.severity, reverse=True)
    assert (wide.check_name, wide.severity, wide.where, wide.arguments) == (
        "wide_enough", "ERROR", {"format": "png"}, {"column": "width_px", "min_value": 32})  # fmt: skip
    assert (splits.table, splits.severity, splits.description) == ("splits", "WARN", "All is for training.")
    assert splits.arguments == {"column": "split", "value_set": ["train"]}
    assert not dataset.expectations.defaults


@pytest.mark.parametrize("folder", ["datasets", "examples/datasets"])
def test_the_suites_that_are_shipped_are_sound(folder):
    datasets = load_datasets(PROJECT_ROOT / folder)
    assert any(dataset.expectations.own for dataset in datasets)
    for dataset in datasets:
        assert build_expectation_checks(Line(dataset))
