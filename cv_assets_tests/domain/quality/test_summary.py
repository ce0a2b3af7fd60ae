"""The figures of the quality report."""

import json

import polars as pl
import pytest

from cv_assets.domain.quality.summary import CLASSES, EVIDENCE_ROWS, PROPERTIES, build_report, largest_figures
from cv_assets_tests.domain.tables import MEASURES, file_row, image_id, label_row, sound_tables
from schemas.tables import TABLES, to_frame

SOUND = {name: table for name, table in sound_tables().items() if name not in {"splits", "quality_report"}}


def figures(**tables):
    frame = TABLES["quality_report"].validate(build_report({**SOUND, **tables}), lazy=True)
    return {f"{section}/{name}": value for section, name, value in frame.select("section", "name", "value").iter_rows()}


def evidence(name, **tables):
    frame = build_report({**SOUND, **tables})
    return json.loads(frame.filter(pl.col("name") == name)["evidence"][0])


FIGURES = [
    ("records/files", 27),
    ("records/annotation_files", 1),
    ("records/images", 24),
    ("records/quarantined", 2),
    ("records/annotations", 25),
    ("records/unlabelled_images", 0),
    ("records/files_without_label", 0),
    ("records/labels_without_file", 0),
    ("records/duplicate_groups", 1),
    ("records/landed", 27),
    ("records/accepted", 24),
    ("records/duplicate", 1),  # 24 + 1 + 2 = 27
    ("result/passed", 1),
    ("nulls/annotations.image_id", 2),  # the two rejected files
    ("nulls/annotations.label", 2),
    ("nulls/annotations.group", 27),
    ("duplicates/exact_groups", 1),
    ("duplicates/with_several_labels", 0),
    ("classes/images of square", 8),
    ("classes/annotations of square", 9),  # one of them under a second path
    ("sizes/smallest_image", 64 * 48),
    ("properties/width_px.median", 64),
    ("properties/sharpness.p05", MEASURES["sharpness"]),
    ("properties/size_bytes.p95", 1_000),
    ("annotations/boxes", 0),
    ("annotations/zero_area_boxes", 0),
    ("annotations/file-quarantined", 2),
    ("quarantine/undecodable", 1),
    ("quarantine/empty-file", 1),
]


@pytest.mark.parametrize(("name", "value"), FIGURES)
def test_a_figure_is_what_the_tables_say(name, value):
    assert figures()[name] == value


def test_boxes_without_area_are_counted_and_named():
    boxes = [(1, 1, 5, 5), (1, 1, 1, 5), (3, 3, 3, 3)]
    rows = [label_row("circle/1.png", "circle", place=n, box=box) for n, box in enumerate(boxes)]
    annotations = to_frame("annotations", rows)
    assert figures(annotations=annotations)["annotations/boxes"] == 3
    assert figures(annotations=annotations)["annotations/zero_area_boxes"] == 2
    assert evidence("zero_area_boxes", annotations=annotations) == ["circle/1.png#1", "circle/1.png#2"]


def test_duplicates_of_several_labels_are_counted_and_named():
    twin = pl.when(image_id=image_id("square/0.png"))
    manifest = SOUND["manifest"].with_columns(
        twin.then(pl.lit(["circle", "square"])).otherwise("labels").alias("labels")
    )
    assert figures(manifest=manifest)["duplicates/with_several_labels"] == 1
    assert evidence("with_several_labels", manifest=manifest) == [["square/0.png", "square/again.png"]]


def test_the_smallest_and_the_largest_image_are_named():
    large = pl.when(image_id=image_id("circle/5.png")).then(4_000).otherwise("width_px").alias("width_px")
    manifest = SOUND["manifest"].with_columns(large)
    assert figures(manifest=manifest)["sizes/largest_image"] == 4_000 * 48
    assert evidence("largest_image", manifest=manifest)["paths"] == ["circle/5.png"]


def test_a_file_that_is_neither_accepted_nor_quarantined_fails_the_report():
    files = pl.concat([SOUND["raw_images"], to_frame("raw_images", [file_row("new.png")])])
    assert figures(raw_images=files)["result/passed"] == 0


def test_a_file_that_is_accepted_and_quarantined_fails_the_report():
    twice = SOUND["quarantine"].head(1).with_columns(path=pl.lit("circle/0.png"))
    assert figures(quarantine=pl.concat([SOUND["quarantine"], twice]))["result/passed"] == 0


def test_further_files_of_the_same_bytes_are_duplicates_each():
    more = pl.when(image_id=image_id("circle/1.png")).then(pl.lit(["circle/1.png", "a.png", "b.png"]))
    manifest = SOUND["manifest"].with_columns(more.otherwise("paths").alias("paths"))
    files = [file_row(name, same_as="circle/1.png") for name in ("a.png", "b.png")]
    found = figures(manifest=manifest, raw_images=pl.concat([SOUND["raw_images"], to_frame("raw_images", files)]))
    assert (found["records/landed"], found["records/accepted"], found["records/duplicate"]) == (29, 24, 3)
    assert found["result/passed"] == 1


def test_each_measure_has_its_median_and_its_ends():
    ranks = {name: place for place, name in enumerate(SOUND["manifest"]["image_id"])}
    sharpness = pl.col("image_id").replace_strict(ranks, return_dtype=pl.Float64)
    found = figures(manifest=SOUND["manifest"].with_columns(sharpness.alias("sharpness")))
    names = {name.removeprefix("properties/") for name in found if name.startswith("properties/")}
    assert names == {f"{column}.{end}" for column in PROPERTIES for end in ("p05", "median", "p95")}
    assert set(MEASURES) <= set(PROPERTIES)
    assert [found[f"properties/sharpness.{end}"] for end in ("p05", "median", "p95")] == [1, 12, 22]


def test_findings_are_counted_by_code():
    dark = {"code": "dark", "severity": "WARN", "evidence": "{}"}
    findings = to_frame("findings", [dark, dark, {**dark, "code": "blurry"}])
    counted = {name: value for name, value in figures(findings=findings).items() if name.startswith("findings/")}
    assert counted == {"findings/blurry": 1, "findings/dark": 2}


def test_a_report_without_findings_counts_none():
    tables = {name: table for name, table in SOUND.items() if name != "findings"}
    assert "findings" not in build_report(tables)["section"]
    assert "findings" not in build_report({**tables, "findings": SOUND["findings"].clear()})["section"]


def test_a_version_without_an_image_has_a_report_that_fails():
    empty = {name: table.clear() for name, table in SOUND.items()}
    assert figures(**empty)["result/passed"] == 0
    assert "sizes/smallest_image" not in figures(**empty)


def test_evidence_is_cut_at_twenty():
    rows = [label_row(f"{n}.png", None, image_id=None, reason="no-file") for n in range(50)]
    annotations = to_frame("annotations", rows)
    assert figures(annotations=annotations)["annotations/no-file"] == 50
    assert len(evidence("no-file", annotations=annotations)) == EVIDENCE_ROWS


def test_of_many_classes_the_largest_are_shown_where_there_is_little_room():
    names = {f"{n:05}{'x' * 300} of it": n % 5_000 for n in range(10_000)}
    rows = [{"section": "classes", "name": f"{of} of {name}", "value": float(value), "unit": of, "evidence": None}
            for name, value in names.items() for of in ("images", "annotations")]  # fmt: skip
    report = build_report(SOUND)
    shown = largest_figures(
        pl.concat([report.filter(pl.col("section") != "classes"), to_frame("quality_report", rows)])
    )
    assert shown["classes"].pop("classes") == 10_000
    assert sorted(set(shown["classes"].values())) == list(range(4_980, 5_000))
    assert len(shown["classes"]) == 2 * CLASSES
    assert len(json.dumps(shown)) < 30_000


def test_few_classes_are_all_shown_beside_the_other_figures():
    shown = largest_figures(build_report(SOUND))
    assert (shown["result"]["passed"], shown["records"]["images"]) == (1, 24)
    assert shown["classes"]["annotations of square"] == 9
    assert len(shown["classes"]) == 2 * shown["classes"]["classes"] + 1 == 7
    assert largest_figures(build_report({name: table.clear() for name, table in SOUND.items()}))["classes"] == {
        "classes": 0
    }


def test_row_order_means_nothing():
    turned = {name: table.sample(fraction=1.0, shuffle=True, seed=3) for name, table in SOUND.items()}
    assert build_report(turned).equals(build_report(SOUND))
