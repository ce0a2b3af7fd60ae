"""COCO instances files."""

import json

import pytest

from cv_assets_tests.domain.annotations.landing import Landing, boxes, column

IMAGE = {"id": 1, "file_name": "a.jpg", "width": 100, "height": 50}
CATEGORIES = [{"id": 0, "name": "cat"}, {"id": 7, "name": "dog"}]
OBJECT = {"id": 10, "image_id": 1, "category_id": 0, "bbox": [2, 3, 10, 20]}


def document(*annotations, images=(IMAGE,), categories=CATEGORIES):
    return {"images": list(images), "annotations": list(annotations), "categories": categories}


def read(content, images=("a.jpg",), **config):
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    return Landing(images, {"ann.json": text}).annotations(format="coco", **config)


def test_x_y_width_and_height_become_corners_and_ids_become_names():
    frame = read(document(OBJECT, {**OBJECT, "id": 11, "category_id": 7, "bbox": [0.5, 0.5, 1.25, 2]}))
    assert column(frame, "annotation_id", "image_path", "named", "label", "reason") == [
        ("ann.json#1", "a.jpg", "a.jpg", "cat", None),
        ("ann.json#2", "a.jpg", "a.jpg", "dog", None),
    ]
    assert boxes(frame) == [(2, 3, 12, 23), (0.5, 0.5, 1.75, 2.5)]


def test_everything_else_of_an_annotation_becomes_attributes_with_sorted_keys():
    frame = read(document({**OBJECT, "segmentation": [[1, 2, 3, 4, 5, 6]], "iscrowd": 0, "area": 9.5, "note": "été"}))
    assert column(frame, "attributes") == [
        '{"area": 9.5, "id": 10, "iscrowd": 0, "note": "été", "segmentation": [[1, 2, 3, 4, 5, 6]]}'
    ]


def test_an_image_without_annotations_shows_no_objects():
    frame = read(document(OBJECT, images=[IMAGE, {"id": 2, "file_name": "b.jpg"}]), images=["a.jpg", "b.jpg"])
    assert column(frame, "annotation_id", "image_path", "label", "reason") == [
        ("ann.json#1", "a.jpg", "cat", None),
        ("ann.json#image-2", "b.jpg", None, "no-object"),
    ]


ANNOTATIONS = [
    # what differs from a sound annotation, label, box is kept, reason
    ({"image_id": 99}, "cat", True, "no-file"),
    ({"image_id": None}, "cat", True, "no-file"),
    ({"image_id": [1]}, "cat", True, "no-file"),
    ({"image_id": True}, "cat", True, "no-file"),  # True equals 1, but is no id
    ({"image_id": "01"}, "cat", True, "no-file"),
    ({"image_id": 1.5}, "cat", True, "no-file"),
    ({"category_id": 99}, None, True, "unparsable"),
    ({"category_id": None}, None, True, "unparsable"),
    ({"category_id": False}, None, True, "unparsable"),
    ({"bbox": None}, "cat", False, "invalid-box"),
    ({"bbox": []}, "cat", False, "invalid-box"),
    ({"bbox": [1, 2, 3]}, "cat", False, "invalid-box"),
    ({"bbox": [1, 2, 3, 4, 5]}, "cat", False, "invalid-box"),
    ({"bbox": {"x": 1}}, "cat", False, "invalid-box"),
    ({"bbox": ["1", 2, 3, 4]}, "cat", False, "invalid-box"),
    ({"bbox": [True, 2, 3, 4]}, "cat", False, "invalid-box"),
    ({"bbox": [float("nan"), 2, 3, 4]}, "cat", False, "invalid-box"),
    ({"bbox": [1, float("-inf"), 3, 4]}, "cat", False, "invalid-box"),
    ({"bbox": [10**400, 2, 3, 4]}, "cat", False, "invalid-box"),  # no float holds it
    ({"bbox": [1e308, 2, 1e308, 4]}, "cat", False, "invalid-box"),  # finite, but their sum is not
    ({"bbox": [5, 5, 0, 0]}, "cat", True, None),  # no area: a finding for later
    ({"bbox": [-9, -9, 1e6, 1e6]}, "cat", True, None),  # outside its image: likewise
]


@pytest.mark.parametrize(("change", "label", "has_box", "reason"), ANNOTATIONS)
def test_a_broken_annotation_keeps_what_can_be_read(change, label, has_box, reason):
    frame = read(document(OBJECT, {**OBJECT, **change}))
    row = frame.filter(frame["annotation_id"] == "ann.json#2").to_dicts()[0]
    assert (row["label"], row["x_min_px"] is not None, row["reason"]) == (label, has_box, reason)
    assert (row["detail"] is None) == (reason is None)


def test_an_unknown_image_id_is_named_but_never_looked_up():
    frame = read(document({**OBJECT, "image_id": 5}, images=[]), images=["5.jpg"])
    assert column(frame, "annotation_id", "named", "image_path", "reason") == [
        ("5.jpg#0", None, "5.jpg", "no-label"),
        ("ann.json#1", "5", None, "no-file"),
    ]


def test_the_later_of_two_images_with_one_id_is_refused():
    frame = read(document(OBJECT, images=[IMAGE, {**IMAGE, "file_name": "b.jpg"}]))
    assert column(frame, "annotation_id", "image_path", "reason") == [
        ("ann.json#1", "a.jpg", None),
        ("ann.json#image-2", None, "unparsable"),
    ]
    assert "'a.jpg'" in frame["detail"][1]


IMAGES = [3, None, {}, {"id": 2}, {"id": 2, "file_name": ""}, {"id": 2, "file_name": 3}, {"file_name": "b.jpg"}]


@pytest.mark.parametrize("image", IMAGES)
def test_a_broken_image_entry_is_a_row_with_a_reason(image):
    frame = read(document(OBJECT, images=[IMAGE, image]))
    assert column(frame, "annotation_id", "reason") == [("ann.json#1", None), ("ann.json#image-2", "unparsable")]


def test_a_broken_or_repeated_category_is_a_row_with_a_reason():
    frame = read(document(OBJECT, categories=[*CATEGORIES, {"id": 7, "name": "cow"}, {"id": 8, "name": " "}, 3]))
    assert column(frame, "annotation_id", "reason") == [
        ("ann.json#1", None),
        ("ann.json#category-3", "unparsable"),
        ("ann.json#category-4", "unparsable"),
        ("ann.json#category-5", "unparsable"),
    ]


def test_an_annotation_that_is_no_object_is_a_row_with_a_reason():
    assert column(read(document(3, OBJECT)), "annotation_id", "reason") == [
        ("ann.json#1", "unparsable"),
        ("ann.json#2", None),
    ]


LAYOUTS = [
    # a file that is no instances file, what the detail says of it
    ([], "found a list"),
    ("3", "found a str"),
    ({"images": [], "annotations": []}, "no list categories among images, annotations"),
    ({"images": {}, "annotations": [], "categories": []}, "no list images among"),
    # captions, labels, and panoptic files have annotations without boxes
    (document({"id": 1, "image_id": 1, "caption": "a cat"}), "found annotations without bbox"),
    (document({"image_id": 1, "segments_info": []}), "found annotations without bbox"),
    (document({"id": 1, "image_id": 1, "category_id": 7}), "found annotations without bbox"),
    # image_info files list images only, and say nothing of objects
    (document(categories=[]), "found no categories"),
]


@pytest.mark.parametrize(("content", "detail"), LAYOUTS)
def test_another_layout_is_refused_and_says_what_was_expected(content, detail):
    frame = read(json.dumps(content), images=[])
    (row,) = frame.to_dicts()
    assert (row["annotation_id"], row["reason"]) == ("ann.json#0", "unparsable")
    assert row["detail"].startswith("expected COCO instances")
    assert detail in row["detail"]


def test_a_number_that_is_no_json_is_kept_as_text_among_the_attributes():
    text = json.dumps(document({**OBJECT, "area": float("nan"), "score": float("inf")})).replace("10,", "1e999,", 1)
    attributes = json.loads(read(text)["attributes"][0])
    assert (attributes["area"], attributes["score"], attributes["id"]) == ("NaN", "Infinity", "Infinity")


def test_ids_may_be_text():
    content = document(
        {"image_id": "x", "category_id": "c", "bbox": [1, 2, 3, 4]},
        images=[{"id": "x", "file_name": "a.jpg"}],
        categories=[{"id": "c", "name": "cat"}],
    )
    assert column(read(content), "image_path", "label", "attributes") == [("a.jpg", "cat", None)]


@pytest.mark.parametrize("spelled", [1, "1", 1.0])
@pytest.mark.parametrize("image", [1, "1", 1.0])
def test_an_id_is_one_however_it_is_spelled(image, spelled):
    content = document(
        {**OBJECT, "image_id": spelled, "category_id": spelled},
        images=[{**IMAGE, "id": image}],
        categories=[{"id": image, "name": "cat"}],
    )
    assert column(read(content), "image_path", "label", "reason") == [("a.jpg", "cat", None)]


def replaced(value, odd):
    """Every document that differs from `value` in one place, where `odd` stands instead."""
    yield odd
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        for change in replaced(inner, odd):
            copy = dict(value) if isinstance(value, dict) else list(value)
            copy[key] = change
            yield copy


@pytest.mark.parametrize("odd", [None, True, -1, 2.5, 1e308, "", "x", "\ud800", [], [[]], {}, {"a": {}}], ids=repr)
def test_no_odd_value_anywhere_in_a_file_breaks_the_reading(odd):
    sound = document({**OBJECT, "segmentation": [[1, 2, 3]], "iscrowd": 0}, images=[{**IMAGE, "patient": "p"}])
    for content in replaced(sound, odd):
        frame = read(json.dumps(content), group_by="patient")
        assert "a.jpg" in column(frame, "image_path")
