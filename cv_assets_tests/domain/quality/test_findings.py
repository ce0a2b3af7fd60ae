"""The table of findings, and the rulebook behind it."""

import importlib
import json
import pkgutil
import random

import polars as pl
import pytest

from cv_assets.domain.quality import rules
from cv_assets.domain.quality.evidence import MAX_EVIDENCE, cut
from cv_assets.domain.quality.rulebook import RULES, check_rules
from cv_assets_tests.domain.quality.ruled import boxed, findings, images, labels, named
from cv_assets_tests.domain.tables import config, image_id, label_row, sound_tables
from schemas.codes import FINDINGS
from schemas.errors import ConfigurationError

DARK = images({"a.png": {"brightness_p99_ratio": 0.1}, "b.png": {"brightness_p99_ratio": 0.2}})


def tuned(**rules_settings):
    """The settings of a dataset that tunes rules; a code is spelt with underscores."""
    return {"quality": {"rules": {code.replace("_", "-"): value for code, value in rules_settings.items()}}}


def test_every_code_has_one_rule_in_the_file_of_its_name():
    assert set(RULES) == set(FINDINGS)
    files = {module.name for module in pkgutil.iter_modules(rules.__path__)}
    assert files == {code.replace("-", "_") for code in RULES}
    for code, rule in RULES.items():
        module = importlib.import_module(f"{rules.__name__}.{code.replace('-', '_')}")
        assert module.RULE is rule
        assert rule.code == code


@pytest.mark.parametrize("code", RULES)
def test_a_rule_says_in_a_sentence_what_it_finds_and_in_which_unit(code):
    rule = RULES[code]
    assert rule.description[0].isupper()
    assert rule.description.endswith(".")
    assert rule.unit or rule.threshold is None
    assert rule.threshold is None or rule.bounds[0] <= rule.threshold <= rule.bounds[1]


def test_nothing_blocks_unless_a_dataset_says_so():
    assert {rule.severity for rule in RULES.values()} == {"WARN", "INFO"}


def test_a_threshold_of_the_dataset_is_in_force_and_is_told():
    found = findings("dark", manifest=DARK, settings=tuned(dark=0.15))
    assert found.select("path", "score", "threshold").rows() == [("a.png", 0.1, 0.15)]


def test_a_severity_of_the_dataset_is_told():
    assert set(findings("dark", manifest=DARK)["severity"]) == {"WARN"}
    severe = findings("dark", manifest=DARK, settings=tuned(dark={"severity": "ERROR"}))
    assert severe["severity"].to_list() == ["ERROR"] * 2


def test_a_rule_that_is_switched_off_finds_nothing():
    assert findings("dark", manifest=DARK, settings=tuned(dark=False)).is_empty()


def test_findings_are_sorted_by_code_then_worst_first_then_by_image():
    said = {
        f"{n}.png": {"brightness_p99_ratio": 0.1 + n % 3 / 10, "brightness_p05_ratio": 0.96 + n % 2 / 50}
        for n in range(9)
    }
    found = findings(manifest=images(said)).filter(pl.col("code").is_in(["dark", "light"]))
    assert found["code"].to_list() == ["dark"] * 9 + ["light"] * 9
    dark, light = found.partition_by("code")
    assert dark["score"].is_sorted()
    assert light["score"].is_sorted(descending=True)
    for each in (dark, light):
        for same in each.partition_by("score"):
            assert same["image_id"].is_sorted()


def test_row_order_means_nothing():
    tables = {name: table for name, table in sound_tables().items() if name in {"raw_images", "quarantine"}}
    said = {f"{n}.png": {"brightness_p99_ratio": 0.1, "mode": "L", "labels": [str(n % 3)]} for n in range(9)}
    generator = random.Random(3)
    boxes = [tuple(generator.choice([0, 5, 10, 70]) for _ in range(4)) for _ in range(60)]
    tables |= {"manifest": images(said, ordinary=90), "annotations": boxed(*boxes, path="3.png")}
    turned = {name: table.sample(fraction=1.0, shuffle=True, seed=3) for name, table in tables.items()}
    assert findings(**turned).equals(findings(**tables))
    assert findings(**tables).height > 60


def test_empty_tables_have_no_findings():
    assert findings().is_empty()


def test_scores_are_rounded_and_evidence_is_json_with_sorted_keys():
    said = {"a.png": {"brightness_p99_ratio": 0.12345678901, "contrast_ratio": 1 / 3}}
    found = findings("dark", manifest=images(said))
    assert found["score"].to_list() == [0.123457]
    assert found["evidence"].to_list() == ['{"brightness_ratio":0.5,"contrast_ratio":0.333333}']


def test_names_are_told_as_they_are():
    name = 'x/<script>alert("1")</script>\n\u2028.png'
    said = {name: {"brightness_p99_ratio": 0.1, "labels": [name]}}
    found = findings(manifest=images(said), annotations=labels(label_row(name, f" {name}")))
    assert found.filter(code="dark")["path"].to_list() == [name]
    ((_, _, evidence),) = named(found.filter(code="label-with-space"))
    assert evidence["label"] == f" {name}"


def test_long_evidence_is_cut_and_says_how_long_it_was():
    many = [f"class {number:03d} of a taxonomy that goes on and on" for number in range(300)]
    rows = [label_row("a.png", label, place=place) for place, label in enumerate(many)]
    found = findings("taxonomy-differs", annotations=labels(*rows), settings={"classes": ["cat"]})
    (text,) = found["evidence"]
    assert len(text) <= MAX_EVIDENCE
    evidence = json.loads(text)
    assert evidence["only_in_labels"] == many[:20]
    assert evidence["only_in_labels_count"] == 300
    assert evidence["only_in_classes"] == ["cat"]


def test_a_label_as_long_as_a_book_is_cut():
    rows = [label_row("a.png", " " + "\x01é" * 50_000)]
    (text,) = findings("label-with-space", annotations=labels(*rows))["evidence"]
    assert len(text) <= MAX_EVIDENCE
    assert json.loads(text)["label"].endswith("…")


@pytest.mark.parametrize(
    "evidence",
    [
        {"a": ["x" * 5_000] * 50, "b": {str(n): "\x00" * 900 for n in range(90)}},
        {str(n): "\x00" * 100 for n in range(20)},
        {str(n): "x" * 900 for n in range(900)},
        {"a": [[["x" * 400] * 30] * 30] * 30},
    ],
)
def test_evidence_of_any_shape_is_bounded(evidence):
    text = cut(json.dumps(evidence))
    assert len(text) <= MAX_EVIDENCE
    assert json.loads(text)


def test_tables_in_order_have_no_finding_about_an_image():
    found = findings(**{name: sound_tables()[name] for name in ("raw_images", "annotations", "manifest", "quarantine")})
    assert set(found.drop_nulls("image_id")["code"]) <= {"exact-duplicate", "duplicates-disagree"}


MISTAKES = [
    (
        {"cmyk": 0.5},
        r"dataset shapes: quality\.rules\.cmyk: the threshold is 0\.5, but this rule has none; leave it out",
    ),
    (
        {"dark": 32},
        r"quality\.rules\.dark: the threshold is 32; expected a number from 0 to 1 \(brightness .* default 0\.32",
    ),
    ({"duplicate_box": 0.2}, r"expected a number from 0\.5 to 1"),
    ({"tiny_box": -1}, "expected a number of at least 0 "),
]


@pytest.mark.parametrize(("rules_settings", "message"), MISTAKES)
def test_a_threshold_that_a_rule_cannot_use_is_a_mistake_of_the_dataset_file(rules_settings, message):
    with pytest.raises(ConfigurationError, match=message):
        check_rules(config(**tuned(**rules_settings)))


def test_thresholds_and_severities_that_rules_can_use_are_accepted():
    check_rules(config(**tuned(cmyk=False, dark=0.2, blurry={"severity": "ERROR"}, animated={"severity": "WARN"})))
    check_rules(config())


def test_a_finding_about_an_image_names_it():
    found = findings("dark", manifest=DARK)
    assert found["image_id"].to_list() == [image_id("a.png"), image_id("b.png")]
    assert found["annotation_id"].null_count() == 2
