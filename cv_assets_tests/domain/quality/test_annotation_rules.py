"""The rules about annotations: boxes, labels, files, declared sizes. Images here are 64 × 48 pixels unless they say otherwise."""

import json
import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cv_assets.domain.quality.overlaps import find_overlaps
from cv_assets_tests.bounds import in_cpu_s
from cv_assets_tests.domain.annotations.landing import Landing, voc, voc_object
from cv_assets_tests.domain.quality.ruled import CORNERS, boxed, findings, images, labels, named
from cv_assets_tests.domain.tables import image_id, label_row

ONE = images({"a.png": {}})
FULL = (0, 0, 64, 48)

BOXES = [
    # box in an image of 64 × 48, the findings that it makes with their scores
    ((1, 1, 9, 9), {}),
    (FULL, {"box-covers-image": 1.0}),
    ((0, 0, 63, 48), {"box-covers-image": 63 / 64}),
    ((1, 1, 63, 47.5), {}),  # 94 % of the image
    ((-0.5, 10, 20, 48.5), {}),  # corners are rounded
    ((-0.6, 10, 20, 40), {"box-out-of-bounds": 0.6}),
    ((10, 10, 20, 50), {"box-out-of-bounds": 2.0}),
    ((70, 10, 60, 20), {"box-out-of-bounds": 6.0, "box-without-area": -10.0}),
    ((100, 100, 110, 110), {"box-out-of-bounds": 62.0}),
    ((-100, -100, 200, 200), {"box-out-of-bounds": 152.0, "box-covers-image": 1.0}),
    ((10, 10, 10, 20), {"box-without-area": 0.0}),
    ((10, 10, 5, 20), {"box-without-area": -5.0}),
    ((10, 10, 10, 10), {"box-without-area": 0.0}),
    ((10, 10, 12.9, 40), {"tiny-box": 2.9}),
    ((10, 10, 13, 40), {}),
    ((-1e308, 0, 1e308, 10), {"box-out-of-bounds": 1e308}),  # its width is no number
]


@pytest.mark.parametrize(("box", "expected"), BOXES)
def test_a_box_makes_its_findings_and_no_other(box, expected):
    found = findings(manifest=ONE, annotations=boxed(box)).filter(pl.col("annotation_id").is_not_null())
    assert dict(found.select("code", "score").rows()) == pytest.approx(expected, rel=1e-5)
    assert set(found["annotation_id"]) <= {"a.png#0"}
    assert set(found["image_id"]) <= {image_id("a.png")}


def test_a_box_whose_image_is_not_there_may_still_be_without_area():
    lost = labels(label_row("lost.png", "cat", box=(5, 5, 5, 9), image_id=None, image_path=None, reason="no-file"))
    assert set(findings(annotations=lost, manifest=ONE.clear())["code"]) == {"box-without-area", "label-without-file"}


def test_an_inverted_box_is_told_from_a_flat_one():
    found = named(findings("box-without-area", manifest=ONE, annotations=boxed((5, 5, 5, 9), (9, 9, 5, 12))))
    assert [evidence["inverted"] for _, _, evidence in found] == [True, False]  # the worse first


def iou(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - shared)


def placed(boxes):
    """Boxes with groups as find_overlaps takes them."""
    rows = [
        {"place": place, "group": group, "box_width_px": box[2] - box[0], "box_height_px": box[3] - box[1]}
        | dict(zip(CORNERS, map(float, box), strict=True))
        for place, (group, box) in enumerate(boxes)
    ]
    return pl.DataFrame(rows, schema_overrides={"box_width_px": pl.Float64, "box_height_px": pl.Float64})


def pairwise(boxes, least):
    """What find_overlaps should find, by looking at every pair."""
    found = {}
    for place, (group, box) in enumerate(boxes):
        scores = [(iou(box, other), -n) for n, (its, other) in enumerate(boxes[:place]) if its == group]
        if scores and max(scores)[0] >= least:
            found[place] = (-max(scores)[1], max(scores)[0])
    return found


side = st.floats(0.01, 200).map(lambda number: round(number, 2))
corner = st.floats(-300, 300).map(lambda number: round(number, 2))


@st.composite
def crowds(draw):
    """Boxes near one another, in two groups."""
    boxes = []
    for _ in range(draw(st.integers(1, 4))):
        x, y, width, height = draw(corner), draw(corner), draw(side), draw(side)
        for _ in range(draw(st.integers(1, 4))):
            off = [draw(st.sampled_from([0.0, 0.01, -0.03, 0.06, 0.1, -0.2, 0.4])) for _ in range(4)]
            left, top = x + off[0] * width, y + off[1] * height
            boxes.append(
                (draw(st.integers(0, 1)), (left, top, left + width * (1 + off[2]), top + height * (1 + off[3])))
            )
    return draw(st.permutations(boxes))


@settings(max_examples=150, deadline=None)
@given(crowds(), st.sampled_from([0.5, 0.7, 0.9, 0.99]))
def test_overlaps_are_those_that_every_pair_would_show(boxes, least):
    found = find_overlaps(placed(boxes), least)
    expected = {place: other for place, other in pairwise(boxes, least).items() if abs(other[1] - least) > 1e-9}
    got = {place: (other, score) for place, other, score in found.rows() if abs(score - least) > 1e-9}
    assert got.keys() == expected.keys()
    assert [got[place][1] for place in got] == pytest.approx([expected[place][1] for place in got])


def test_overlaps_in_a_crowd_of_ten_thousand_boxes_are_those_that_every_pair_would_show():
    generator = np.random.default_rng(2)
    low, sides = generator.uniform(0, 4_000, (10_000, 2)), generator.uniform(20, 60, (10_000, 2))
    low[9_000:], sides[9_000:] = low[:1_000] + 0.5, sides[:1_000]  # a tenth stands twice
    boxes = np.hstack([low, low + sides])
    found = find_overlaps(placed([(0, tuple(box)) for box in boxes.tolist()]), 0.8)
    areas = sides.prod(axis=1)
    expected = set()
    for place in range(1, 10_000):
        ends = np.minimum(boxes[:place, 2:], boxes[place, 2:]) - np.maximum(boxes[:place, :2], boxes[place, :2])
        shared = np.clip(ends, 0, None).prod(axis=1)
        if (shared / (areas[:place] + areas[place] - shared)).max() >= 0.8:
            expected.add(place)
    assert set(found["place"]) == expected
    assert len(expected) >= 1_000


def test_ten_thousand_boxes_in_one_place_take_no_ten_thousand_squared():
    generator = random.Random(4)
    jittered = [(0, (generator.random(), generator.random(), 100, 100)) for _ in range(10_000)]
    found = in_cpu_s(10, lambda: find_overlaps(placed(jittered), 0.9))
    assert found.height == 9_999


@pytest.mark.parametrize(("far", "scores"), [(1e15, [1.0]), (1e21, [1.0]), (1e150, [1.0]), (1e300, [])])
def test_boxes_of_any_size_are_looked_at_without_filling_the_memory(far, scores):
    boxes = [(0, 0, far, far), (0, 0, 1.5 * far, 1.5 * far), (0, 0, 1.5 * far, 1.5 * far)]
    assert find_overlaps(placed([(0, box) for box in boxes]), 0.9)["iou_ratio"].to_list() == scores  # 1e600 is no area
    annotations = boxed(*boxes)
    found = findings("duplicate-box", manifest=ONE, annotations=annotations)
    assert found["annotation_id"].to_list() == ["a.png#2"]


def test_of_boxes_that_are_one_all_but_the_first_are_found():
    annotations = labels(
        label_row("a.png", "cat", place=1, box=(10, 10, 30, 30)),
        label_row("a.png", "cat", place=2, box=(10, 10, 30, 29)),
        label_row("a.png", "cat", place=3, box=(10, 10, 30, 30)),
        label_row("a.png", "cat", place=4, box=(10, 10, 30, 20)),  # another one
        label_row("a.png", "dog", place=5, box=(10, 10, 30, 29.5)),  # another label, and not the same corners
        label_row("a.png", "dog", place=6, box=(10, 10, 30, 20)),  # two labels for one box
        label_row("b.png", "cat", place=7, box=(10, 10, 30, 30)),  # another image
    )
    found = findings("duplicate-box", manifest=images({"a.png": {}, "b.png": {}}), annotations=annotations)
    evidence = {row: said for row, (_, _, said) in zip(found["annotation_id"], named(found), strict=True)}
    assert {row: (said["other_annotation_id"], said["other_label"]) for row, said in evidence.items()} == {
        "a.png#2": ("a.png#1", "cat"),
        "a.png#3": ("a.png#1", "cat"),
        "a.png#6": ("a.png#4", "cat"),
    }
    assert found["score"].to_list() == [1.0, 1.0, 0.95]


def test_a_box_is_odd_beside_those_of_its_class():
    generator = random.Random(1)
    cats = [(1, 1, 11 + generator.uniform(-2, 2), 11 + generator.uniform(-2, 2)) for _ in range(40)]
    dogs = [(1, 1, 61, 41)] * 5
    rows = [label_row("a.png", "cat", place=n, box=box) for n, box in enumerate([*cats, (1, 1, 61, 41)])]
    rows += [label_row("a.png", "dog", place=100 + n, box=box) for n, box in enumerate(dogs)]
    ((_, score, evidence),) = named(findings("odd-box-size", manifest=ONE, annotations=labels(*rows)))
    assert score > 10
    assert (evidence["label"], evidence["x_max_px"]) == ("cat", 61)
    assert evidence["usual_area_ratio"] == pytest.approx(100 / (64 * 48), rel=0.1)


def test_of_few_boxes_none_is_odd():
    few = boxed(*[(1, 1, 9, 9)] * 18, FULL)
    assert findings("odd-box-size", manifest=ONE, annotations=few).is_empty()


def test_boxes_of_one_fixed_size_are_odd_only_where_they_really_differ():
    fixed = boxed(*[(1, 1, 11, 11)] * 30, (1, 1, 11.5, 11.5), (1, 1, 41, 31))
    ((_, _, evidence),) = named(findings("odd-box-size", manifest=ONE, annotations=fixed))
    assert evidence["x_max_px"] == 41


def test_labels_that_no_class_is_named_like_are_found_with_the_class_they_may_mean():
    rows = [label_row("a.png", label, place=n) for n, label in enumerate(["cat", "Cat", "dog ", "cow"])]
    said = {"settings": {"classes": ["cat", "dog"]}, "manifest": ONE, "annotations": labels(*rows)}
    found = findings("unknown-label", **said)
    assert {text["label"]: text["perhaps"] for _, _, text in named(found)} == {"Cat": "cat", "dog ": "dog", "cow": None}
    assert findings("unknown-label", **{**said, "settings": {}}).is_empty()


def test_labels_with_space_round_them_are_found():
    rows = [label_row("a.png", label, place=n) for n, label in enumerate(["a cat", " cat", "cat\t", "cat\u00a0"])]
    found = named(findings("label-with-space", manifest=ONE, annotations=labels(*rows)))
    assert sorted(text["label"] for _, _, text in found) == sorted([" cat", "cat\t", "cat\u00a0"])


BOXED = {"bbox": [1, 2, 3, 4], "image_id": 1}
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "categories": [{"id": 1, "name": " cat"}, {"id": 2, "name": "dog"}],
}
AS_WRITTEN = {
    "csv": {"labels.csv": "image,label\na.jpg, cat\na.jpg,dog\n"},
    "voc": {"a.xml": voc("a.jpg", voc_object(" cat", 1, 2, 3, 4), voc_object("\n  dog\n", 1, 2, 3, 4))},
    "coco": {"a.json": json.dumps({**COCO, "annotations": [{**BOXED, "category_id": 1}, {**BOXED, "category_id": 2}]})},
    "yolo": {"classes.txt": " cat\ndog\n", "a.txt": "0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n"},
    "yolo, YAML": {"data.yaml": "names: [' cat', dog]", "a.txt": "0 .5 .5 .1 .1\n1 .5 .5 .1 .1\n"},
}


@pytest.mark.parametrize("name", AS_WRITTEN)
def test_space_that_a_file_writes_round_a_label_is_found_in_every_format(name):
    frame = Landing(["a.jpg"], AS_WRITTEN[name]).annotations(format=name.partition(",")[0])
    assert sorted(frame["label"].drop_nulls()) == [" cat", "dog"]
    assert [text["label"] for *_, text in named(findings("label-with-space", annotations=frame))] == [" cat"]


def test_a_file_whose_labels_cannot_be_read_has_none():
    files = {"a.txt": "0 .5 .5 .1 .1\n", "b.txt": "", "sub/classes.txt": "cat", "sub/c.txt": "0 .5 .5 .1 .1\n"}
    files |= {"sub/e.txt": "0 nan .5 .1 .1\n", "sub/f.txt": "0 nan .5 .1 .1\n0 .5 .5 .1 .1\n"}
    landing = Landing(["a.jpg", "b.jpg", "sub/c.jpg", "d.jpg", "sub/e.jpg", "sub/f.jpg"], files)
    frame = landing.annotations(format="yolo")
    told = {"annotations": {"format": "yolo", "include": ["**/*.txt"]}}
    found = findings("file-without-label", annotations=frame, raw_images=landing.files, settings=told)
    assert sorted({path for path, *_ in named(found)}) == ["a.jpg", "d.jpg", "sub/e.jpg"]


SPELLINGS = [
    # labels, and those of them that are the rarer spelling
    (["cat", "cat", "Cat"], ["Cat"]),
    (["CAT", "CAT", "cat", "Cat"], ["Cat", "cat"]),
    (["cat", "Cat"], ["cat"]),  # equally often: the first in order is the usual one
    (["cat", "cats"], []),
    (["cat", "cat "], []),  # space has a rule of its own
    (["cat", "cat", "Cat "], ["Cat "]),
    (["café", "café", "cafe\u0301"], ["cafe\u0301"]),
]


@pytest.mark.parametrize(("said", "rarer"), SPELLINGS)
def test_of_two_spellings_the_rarer_is_found(said, rarer):
    rows = [label_row("a.png", label, place=n) for n, label in enumerate(said)]
    found = named(findings("label-differs-by-case", manifest=ONE, annotations=labels(*rows)))
    assert sorted(text["label"] for _, _, text in found) == rarer


def test_files_without_a_label_are_found_unless_no_labels_are_wanted():
    rows = [
        label_row("a.png", None, reason="no-label", detail="no annotation names this file"),
        label_row("b.png", None, reason="no-object"),  # somebody looked, and saw nothing
        label_row("c.png", "cat"),
    ]
    found = findings("file-without-label", annotations=labels(*rows))
    assert named(found) == [("a.png", None, {"detail": "no annotation names this file"})]
    none = {"annotations": {"format": "none"}}
    assert findings("file-without-label", annotations=labels(*rows), settings=none).is_empty()


def test_labels_without_a_file_are_found_under_the_path_of_their_annotation_file():
    lost = {"image_path": None, "image_id": None, "source": "x#1/labels.csv"}
    rows = [
        label_row("lost.png", "cat", reason="no-file", place=2, **lost),
        label_row("twins.png", "cat", reason="ambiguous-file", place=3, **lost),
        label_row("torn.png", "cat", reason="file-quarantined", place=4, **lost),  # the quarantine tells that
    ]
    found = named(findings("label-without-file", annotations=labels(*rows)))
    assert [(path, text["named"], text["reason"]) for path, _, text in found] == [
        ("x#1/labels.csv", "lost.png", "no-file"),
        ("x#1/labels.csv", "twins.png", "ambiguous-file"),
    ]


DECLARED = [
    # declared size, EXIF orientation of an image that is 64 × 48 upright; is it swapped, or None if nothing is wrong
    ((64, 48), 1, None),
    ((48, 64), 1, True),
    ((48, 64), 3, True),  # turned upside down: its sides stay
    ((48, 64), 6, None),  # the stored size
    ((64, 48), 6, None),  # the upright size
    ((640, 480), 1, False),
    ((640, 480), 6, False),
    ((64, 47), 1, False),
    ((0, 0), 1, False),
]


@pytest.mark.parametrize(("declared", "orientation", "swapped"), DECLARED)
def test_a_declared_size_fits_the_file_or_is_a_finding(declared, orientation, swapped):
    size = dict(zip(("declared_width_px", "declared_height_px"), map(float, declared), strict=True))
    rows = [label_row("a.png", "cat", place=n, **size) for n in range(3)]
    manifest = images({"a.png": {"exif_orientation": orientation}})
    found = named(findings("declared-size-differs", manifest=manifest, annotations=labels(*rows)))
    if swapped is None:
        assert found == []
    else:
        ((path, score, evidence),) = found
        assert (path, evidence["swapped"], evidence["annotations"]) == ("a.png", swapped, 3)
        nearest = [(64, 48), (48, 64)] if orientation == 6 else [(64, 48)]
        assert score == min(max(abs(declared[0] - w), abs(declared[1] - h)) for w, h in nearest)


def test_the_threshold_of_a_declared_size_allows_for_rounding():
    rows = [label_row("a.png", "cat", declared_width_px=64.4, declared_height_px=48.0)]
    said = {"manifest": ONE, "annotations": labels(*rows)}
    assert findings("declared-size-differs", **said).height == 1
    allowing = {"quality": {"rules": {"declared-size-differs": 0.5}}}
    assert findings("declared-size-differs", settings=allowing, **said).is_empty()


def test_a_swapped_coco_file_is_found_from_its_bytes():
    text = (
        '{"images": [{"id": 1, "file_name": "a.jpg", "width": 50, "height": 100}], "categories": [{"id": 1, "name": "c"}],'
        ' "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}]}'
    )
    annotations = Landing(["a.jpg"], {"ann.json": text}).annotations(format="coco")
    manifest = images({"a.jpg": {"width_px": 100, "height_px": 50}})
    ((path, score, evidence),) = named(findings("declared-size-differs", manifest=manifest, annotations=annotations))
    assert (path, score, evidence["swapped"]) == ("a.jpg", 50.0, True)
