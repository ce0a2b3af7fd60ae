"""Polygons and keypoints of images whose file asks to be turned."""

import json

import pytest

from cv_assets.domain.annotations.records import UprightSize
from cv_assets_tests.domain.annotations.landing import Landing, boxes

# the file holds 100 by 50 pixels; upright, by orientation, the image is 50 by 100 or 100 by 50
BOX = [10, 5, 20, 10]
POLYGON = [10, 5, 30, 5, 30, 15]
UPRIGHT = {
    1: [10, 5, 30, 5, 30, 15],
    2: [90, 5, 70, 5, 70, 15],  # mirrored
    3: [90, 45, 70, 45, 70, 35],  # turned by 180°
    4: [10, 45, 30, 45, 30, 35],  # upside down
    5: [5, 10, 5, 30, 15, 30],  # transposed
    6: [45, 10, 45, 30, 35, 30],  # turned by 90° clockwise
    7: [45, 90, 45, 70, 35, 70],  # transversed
    8: [5, 90, 5, 70, 15, 70],  # turned by 90° counter-clockwise
}


def size(orientation):
    return UprightSize(50, 100, orientation) if orientation >= 5 else UprightSize(100, 50, orientation)


def attributes_of(frame):
    (text,) = frame["attributes"]
    return json.loads(text)


def read_coco(orientation, frame="stored", declared=None, **attributes):
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", **dict(zip(("width", "height"), declared or (), strict=False))}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": BOX, **attributes}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    landing = Landing(["a.jpg"], {"a.json": json.dumps(content)}, {"a.jpg": size(orientation)})
    return landing.annotations(format="coco", frame=frame)


def read_yolo(orientation, line, shape):
    names = f"names: [cat]\nkpt_shape: {shape}\n" if shape else "names: [cat]\n"
    landing = Landing(["a.jpg"], {"a.txt": line, "data.yaml": names}, {"a.jpg": size(orientation)})
    return landing.annotations(format="yolo", frame="stored")


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_coco_polygon_is_turned_with_its_box(orientation):
    frame = read_coco(orientation, segmentation=[POLYGON, POLYGON[::-1][:4] + POLYGON[:2]])
    first, second = attributes_of(frame)["segmentation"]
    xs, ys = first[::2], first[1::2]
    assert (first, len(second)) == (UPRIGHT[orientation], 6)
    assert boxes(frame) == [(min(xs), min(ys), max(xs), max(ys))]


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_coco_keypoints_are_turned_and_their_visibility_stays(orientation):
    x, y = UPRIGHT[orientation][:2]
    found = attributes_of(read_coco(orientation, keypoints=[10, 5, 2, 0, 0, 0, 10, 5, 1], num_keypoints=2))
    # what nobody marked is no place in the image
    assert found == {"keypoints": [x, y, 2, 0, 0, 0, x, y, 1], "num_keypoints": 2}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_yolo_polygon_is_turned_as_ratios_with_its_box(orientation):
    frame = read_yolo(orientation, "0 0.1 0.1 0.3 0.1 0.3 0.3\n", shape=None)
    width, height = size(orientation)[:2]
    turned = [[x * width, y * height] for x, y in attributes_of(frame)["polygon_ratio"]]
    xs, ys = zip(*turned, strict=True)
    assert [number for point in turned for number in point] == pytest.approx(UPRIGHT[orientation])
    assert boxes(frame) == [pytest.approx((min(xs), min(ys), max(xs), max(ys)))]


KEYPOINTS = [
    # kpt_shape, numbers after the box, the same upright after a turn by 90° clockwise
    ("[2, 3]", [0.25, 0.5, 2, 0, 0, 0], [0.5, 0.25, 2, 0, 0, 0]),
    ("[3, 2]", [0.25, 0.5, 0.75, 0, 0.125, 1], [0.5, 0.25, 1, 0.75, 0, 0.125]),
]


@pytest.mark.parametrize(("shape", "written", "upright"), KEYPOINTS)
def test_yolo_keypoints_are_turned_by_the_shape_that_the_yaml_tells(shape, written, upright):
    line = " ".join(map(str, [0, 0.5, 0.5, 0.2, 0.4, *written]))
    assert attributes_of(read_yolo(6, line, shape=shape)) == {"keypoints_ratio": upright}


UNTURNED = [
    {"segmentation": {"counts": [1, 2, 3], "size": [50, 100]}},  # run lengths
    {"segmentation": {"counts": "PPYo0", "size": [50, 100]}},
    {"segmentation": [[1, 2, 3]]},  # half a point
    {"segmentation": [[1, 2, 3, "4"]]},
    {"segmentation": [1, 2, 3, 4]},
    {"segmentation": [[1, 2], None]},
    {"segmentation": [[10**400, 2]]},  # no float holds it
    {"keypoints": [1, 2]},
    {"keypoints": [1, 2, None]},
]


@pytest.mark.parametrize("written", UNTURNED)
def test_an_outline_that_cannot_be_turned_stays_and_says_so(written):
    (name,) = written
    assert attributes_of(read_coco(6, **written)) == {**written, f"{name}_frame": "stored"}


@pytest.mark.parametrize("shape", ["[2]", "[2, 4]", "3", "{}"])
def test_yolo_keypoints_of_a_shape_that_is_not_told_stay_and_say_so(shape):
    found = attributes_of(read_yolo(6, "0 0.5 0.5 0.2 0.4 0.1 0.2 0.3 0.4 0.5 0.6", shape=shape))
    assert found == {"keypoints_ratio": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "keypoints_ratio_frame": "stored"}


@pytest.mark.parametrize("written", [{"segmentation": None}, {"segmentation": "a"}, {"keypoints": 3}, {"area": 9}])
def test_what_is_no_outline_is_left_alone(written):
    assert attributes_of(read_coco(6, **written)) == written


@pytest.mark.parametrize(("orientation", "frame"), [(1, "stored"), (6, "upright"), (6, "auto")])
def test_the_bytes_of_an_outline_stay_where_the_box_stays(orientation, frame):
    mask = {"counts": [1, 2], "size": [50, 100]}
    for segmentation in ([POLYGON], [[0.1, 1e2, 3.0]], mask):
        (text,) = read_coco(orientation, frame, segmentation=segmentation, keypoints=[1, 2, 2])["attributes"]
        assert text == json.dumps({"keypoints": [1, 2, 2], "segmentation": segmentation}, sort_keys=True)


def test_frame_auto_turns_an_outline_whose_file_declares_the_stored_size():
    assert attributes_of(read_coco(6, "auto", (100, 50), segmentation=[POLYGON])) == {"segmentation": [UPRIGHT[6]]}
