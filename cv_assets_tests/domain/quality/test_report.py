"""The report as data: it says what the tables say, the worst first, in bounded size."""

import json

import numpy as np
import polars as pl
import pytest

from cv_assets.domain.quality.drift import build_drift
from cv_assets.domain.quality.finding_kinds import MOST_EXAMPLES
from cv_assets.domain.quality.histograms import BINS, CELLS, heat_map, histogram
from cv_assets.domain.quality.history import build_history
from cv_assets.domain.quality.report import MOST_PICTURES, pictures_wanted
from cv_assets.domain.quality.rulebook import RULES
from cv_assets_tests.domain.quality.reported import NAMES, boxed_tables, finding, report, tables
from cv_assets_tests.domain.tables import config, image_id, label_row, manifest, sound_tables
from schemas.codes import FINDINGS
from schemas.tables import to_frame

SOUND = sound_tables()
CIRCLES = [f"circle/{number}.png" for number in range(8)]


def kinds(held, **settings):
    return {kind["code"]: kind for kind in report(held, **settings)["findings"]["kinds"]}


def test_a_sound_version_passes_and_counts_what_there_is():
    found = report(tables())
    assert found["passed"]
    assert found["blocking"] == []
    assert found["counts"]["images"] == 24
    assert found["findings"]["kinds"] == []
    assert found["findings"]["clean"] == list(RULES)
    assert found["quarantine"]["reasons"] == [
        {"reason": "empty-file", "stage": "snapshot", "files": 1},
        {"reason": "undecodable", "stage": "probe", "files": 1},
    ]


def test_of_each_kind_the_first_rows_are_shown_and_all_are_counted():
    rows = [finding("dark", name, score=place / 10, threshold=0.32) for place, name in enumerate(CIRCLES)]
    dark = kinds(tables(*rows), quality={"thumbnails": 3})["dark"]
    assert [one["path"] for one in dark["examples"]] == CIRCLES[:3]
    assert [one["score"] for one in dark["examples"]] == [0.0, 0.1, 0.2]
    assert (dark["count"], dark["images"], dark["more"]) == (8, 8, 5)
    assert (dark["threshold"], dark["worst"], dark["about"]) == (0.32, "low", "image")


def test_what_blocks_comes_first_and_is_named():
    rows = [
        finding("gps-present", CIRCLES[0], severity="INFO"),
        finding("dark", CIRCLES[0]),
        finding("box-without-area", CIRCLES[1], severity="ERROR"),
        finding("box-without-area", CIRCLES[2], severity="ERROR"),
    ]
    found = report(tables(*rows), failed=("Fewer than 100 images.",))
    assert [kind["code"] for kind in found["findings"]["kinds"]] == ["box-without-area", "dark", "gps-present"]
    assert not found["passed"]
    assert [(one["what"], one.get("code"), one.get("count")) for one in found["blocking"]] == [
        ("finding", "box-without-area", 2),
        ("check", None, None),
    ]


def test_a_version_without_an_accepted_image_is_blocked_and_still_has_a_report():
    empty = {name: SOUND[name].clear() for name in ("manifest", "findings", "near_duplicates", "drift", "annotations")}
    failed = SOUND["quality_report"].with_columns(
        pl.when((pl.col("section") == "result") & (pl.col("name") == "passed"))
        .then(0.0)
        .otherwise("value")
        .alias("value")
    )
    found = report({**SOUND, **empty, "quality_report": failed})
    assert [one["why"] for one in found["blocking"]] == ["No image was accepted; the quarantine below says more."]
    assert found["boxes"] is None
    assert found["sizes"]["shown"] == []


def test_a_box_is_told_by_shares_of_its_image_also_where_it_leaves_it():
    (example,) = kinds(boxed_tables())["box-out-of-bounds"]["examples"]
    assert example["size_px"] == [64, 48]
    assert example["boxes"] == [[-0.25, 0.25, 0.5, 0.75]]
    assert example["labels"] == ["circle"]


def test_the_other_one_of_two_boxes_is_told_too():
    held = boxed_tables()
    told = json.dumps({"other_annotation_id": "circle/1.png#0", "iou_ratio": 0.95})
    row = finding("duplicate-box", "circle/1.png", annotation_id="circle/1.png#1", evidence=told)
    (example,) = kinds({**held, "findings": to_frame("findings", [row])})["duplicate-box"]["examples"]
    assert example["boxes"][1] == [0.0, 0.0, 0.5, 0.5]
    assert example["facts"] == {"iou_ratio": 0.95}


def test_a_rejected_file_has_no_picture_but_its_path():
    row = finding("truncated", "circle/broken.png")
    held = tables(row, finding("dark", CIRCLES[0]))
    (example,) = kinds(held)["truncated"]["examples"]
    assert (example["path"], example["size_px"]) == ("circle/broken.png", None)
    # besides the dark one, the image that is stored twice is shown
    assert pictures_wanted(held, config()) == [image_id(CIRCLES[0]), image_id("square/0.png")]


def test_the_worst_of_every_kind_are_fetched_before_the_second_worst_of_any():
    rows = [finding(code, name) for code in ("dark", "blurry") for name in (CIRCLES if code == "dark" else CIRCLES[4:])]
    wanted = pictures_wanted(tables(*rows), config())
    assert wanted[:4] == [image_id(CIRCLES[place]) for place in (0, 4, 1, 5)]


def test_without_thumbnails_no_picture_is_fetched_and_rows_are_listed():
    held = tables(*(finding("dark", name) for name in CIRCLES))
    settings = {"quality": {"thumbnails": 0}}
    assert pictures_wanted(held, config(**settings)) == []
    assert len(kinds(held, **settings)["dark"]["examples"]) == 8


def test_every_file_of_the_same_bytes_is_listed_with_its_labels():
    exact = report(tables())["duplicates"]["exact"]
    assert (exact["clusters"], exact["members"], exact["disagreeing"]) == (1, 2, 0)
    assert [(one["path"], one["labels"]) for one in exact["shown"][0]["members"]] == [
        ("square/0.png", ["square"]),
        ("square/again.png", ["square"]),
    ]


def near_rows(*clusters, component=None):
    return to_frame(
        "near_duplicates",
        [
            {
                "image_id": image_id(name), "cluster_id": image_id(names[0]), "distance_bits": place,
                "component_id": image_id(component or names[0]),
            }
            for names in clusters
            for place, name in enumerate(names)
        ],
    )  # fmt: skip


def test_clusters_that_are_not_labelled_alike_come_first_and_large_ones_before_small_ones():
    mixed = ["circle/7.png", "square/7.png"]
    near = near_rows(CIRCLES[:2], CIRCLES[2:6], mixed)
    rows = [finding("duplicates-disagree", name, evidence='{"same_bytes":false}') for name in mixed]
    found = report(tables(*rows, near_duplicates=near))["duplicates"]
    assert [len(cluster["members"]) for cluster in found["near"]["shown"]] == [2, 4, 2]
    assert [cluster["disagrees"] for cluster in found["near"]["shown"]] == [True, False, False]
    assert [one["labels"] for one in found["near"]["shown"][0]["members"]] == [["circle"], ["square"]]
    assert [one["distance_bits"] for one in found["near"]["shown"][1]["members"]] == [0, 1, 2, 3]
    assert found["exact"]["disagreeing"] == 0


def test_a_chain_that_was_cut_is_said():
    near = report(tables(near_duplicates=near_rows(CIRCLES[:3], CIRCLES[3:6], component=CIRCLES[0])))["duplicates"][
        "near"
    ]
    assert (near["chains"], near["largest_chain"], near["clusters"]) == (1, 6, 2)


def test_an_image_that_the_cut_of_a_chain_left_alone_is_no_cluster():
    near = near_rows(CIRCLES[:2], CIRCLES[2:3], component=CIRCLES[0])
    found = report(tables(near_duplicates=near))["duplicates"]["near"]
    assert (found["clusters"], found["members"], len(found["shown"])) == (1, 2, 1)
    assert (found["chains"], found["largest_chain"]) == (1, 3)


def test_classes_are_counted_by_images_and_by_annotations():
    found = report(tables())["classes"]
    assert found["shown"] == [["square", 8, 9], ["circle", 8, 8], ["triangle", 8, 8]]
    assert found["unlabelled_images"] == 0


def test_of_many_classes_the_largest_are_shown_and_the_others_are_summed():
    images = {f"{n}_{k}.png": [f"class {n:03}"] for n in range(60) for k in range(1 + n % 3)}
    found = report(tables(manifest=manifest(images)))["classes"]
    assert found["classes"] == 63  # three are only in the annotations
    assert len(found["shown"]) == 40
    assert found["more"]["classes"] == 23
    assert sum(row[1] for row in found["shown"]) + found["more"]["images"] == len(images)


def test_the_heat_map_counts_the_boxes_over_each_cell():
    corners = {"x_min_px": [0.0, 32.0, -9.0], "y_min_px": [0.0, 24.0, 40.0], "x_max_px": [32.0, 64.0, 99.0]}
    boxes = pl.DataFrame({**corners, "y_max_px": [24.0, 48.0, 99.0], "width_px": [64] * 3, "height_px": [48] * 3})
    cells = np.array(heat_map(boxes))
    assert cells.shape == (CELLS, CELLS)
    assert (cells[:10, :10] == 1).all()
    assert (cells[10:16, 10:] == 1).all()
    assert (cells[:10, 10:] == 0).all()
    assert (cells[17:, :10] == 1).all()
    assert (cells[17:, 10:] == 2).all()


def test_a_box_that_is_a_point_at_the_edge_counts_in_one_cell():
    boxes = pl.DataFrame(
        {
            "x_min_px": [64.0],
            "y_min_px": [0.0],
            "x_max_px": [64.0],
            "y_max_px": [0.0],
            "width_px": [64],
            "height_px": [48],
        }
    )
    cells = np.array(heat_map(boxes))
    assert cells.sum() == cells[0, CELLS - 1] == 1


HISTOGRAMS = [
    # values, settings, bins, what lies in the first and the last of them
    ([0.0, 0.5, 1.0], {"low": 0.0, "high": 1.0}, BINS, 1, 1),
    ([-5.0, 0.5, 7.0, 9.0], {"low": 0.0, "high": 1.0}, BINS, 1, 2),  # what lies outside
    ([3, 3, 3, 5], {}, 3, 3, 1),  # few whole numbers have a bin each
    ([1.0, 10.0, 100.0], {"is_log": True}, BINS, 1, 1),
    ([4.0, 4.0], {}, BINS, 0, 0),  # one value lies in the middle
]


@pytest.mark.parametrize(("values", "settings", "bins", "first", "last"), HISTOGRAMS)
def test_every_value_is_in_one_bin(values, settings, bins, first, last):
    found = histogram(pl.Series(values), **settings)
    assert len(found["counts"]) == bins
    assert sum(found["counts"]) == len(values)
    assert (found["counts"][0], found["counts"][-1]) == (first, last)


@pytest.mark.parametrize("values", [[], [None], [float("nan"), float("inf")]])
def test_without_a_value_there_is_no_bin(values):
    assert histogram(pl.Series(values, dtype=pl.Float64))["counts"] == []


def test_thresholds_in_force_are_marked_where_they_are_measured():
    rules = {"dark": 0.2, "blurry": False}
    measures = {one["name"]: one["marks"] for one in report(tables(), quality={"rules": rules})["measures"]}
    assert measures["brightness_p99_ratio"] == [{"code": "dark", "at": 0.2}]
    assert measures["sharpness"] == []
    assert measures["entropy_bits"] == [{"code": "low-information", "at": RULES["low-information"].threshold}]


def test_a_rule_that_is_off_is_said_and_not_called_clean():
    found = report(tables(), quality={"rules": {"cmyk": False}})["findings"]
    assert found["off"] == ["cmyk"]
    assert "cmyk" not in found["clean"]


def drifted(**settings):
    images = manifest({f"{n}.png": ["a"] for n in range(100)})
    values = pl.Series("brightness_ratio", [n / 100 for n in range(100)])
    before, after = images.with_columns(values / 2), images.with_columns(values / 2 + 0.4)
    held = {"manifest": after, "annotations": SOUND["annotations"]}
    earlier = {"manifest": before, "annotations": SOUND["annotations"]}
    drift = build_drift(held, earlier, config(**settings).quality.drift)
    return report(tables(drift=drift), baseline="v0", **settings)


def test_properties_that_drifted_come_first_with_both_histograms():
    found = drifted()
    first = found["drift"]["rows"][0]
    assert (first["property"], first["drifted"]) == ("brightness_ratio", True)
    assert len(first["evidence"]["baseline"]) == len(first["evidence"]["version"]) > 1
    assert found["drift"]["drifted"] == 1
    assert found["passed"]


def test_drift_blocks_where_the_dataset_says_so():
    found = drifted(quality={"drift": {"severity": "ERROR"}})
    assert [one["why"] for one in found["blocking"]] == ["Drifted from the baseline: brightness_ratio."]


def test_the_history_has_a_value_a_version_and_gaps():
    one, other = {"quality_report": SOUND["quality_report"]}, {"quality_report": SOUND["quality_report"].clear()}
    found = report(tables(history=build_history({"v1": one, "v2": other, "v3": one})))["history"]
    images = next(row for row in found if row["figure"] == "records.images")
    # a version without any figure is not in a history
    assert images["versions"] == ["v1", "v3"]
    assert images["values"] == [24.0, 24.0]
    assert report(tables(history=build_history({"v1": one})))["history"] == []


def test_equal_tables_give_equal_reports_in_whichever_order_their_rows_stand():
    rows = [finding(code, name) for code in ("dark", "blurry") for name in CIRCLES]
    held = tables(*rows, near_duplicates=near_rows(CIRCLES[:2], CIRCLES[2:6]))
    turned = {
        name: frame if name in {"findings", "drift", "quality_report"} else frame.reverse()
        for name, frame in held.items()
    }
    assert report(turned) == report(held)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_report_on_everything_with_endless_names_stays_small(name):
    images = {f"{name}{n}/{k}.png": [f"{name}{n}"] for n in range(50) for k in range(4)}
    frame = manifest(images)
    ids = frame["image_id"].to_list()
    rows = [
        finding(code, image_id=one, path=name, evidence=json.dumps({f"n{k}": name for k in range(9)}))
        for code in FINDINGS
        for one in ids[:100]
    ]
    rejected = [
        {"path": f"{name}{n}", "size_bytes": 1, "stage": "probe", "reason": "undecodable", "detail": name}
        for n in range(300)
    ]
    labels = [label_row(path, said[0], image_id=image_id(path)) for path, said in images.items()]
    held = {
        **SOUND,
        "manifest": frame,
        "annotations": to_frame("annotations", labels),
        "findings": to_frame("findings", rows),
        "quarantine": to_frame("quarantine", rejected),
    }
    found = report(held, quality={"thumbnails": 100})
    assert len(json.dumps(found)) < 2_000_000
    shown = sum(len(kind["examples"]) for kind in found["findings"]["kinds"])
    assert len(FINDINGS) < shown <= MOST_EXAMPLES
    assert all(kind["count"] == 100 == len(kind["examples"]) + kind["more"] for kind in found["findings"]["kinds"])
    assert found["quarantine"]["more"] == 240
    assert len(pictures_wanted(held, config(quality={"thumbnails": 100}))) <= MOST_PICTURES
