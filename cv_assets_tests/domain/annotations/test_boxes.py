"""Boxes of images whose file asks to be turned."""

import json

import pytest

from cv_assets.domain.annotations.records import UprightSize
from cv_assets_tests.domain.annotations.landing import Landing, boxes, column, voc, voc_object

# the file holds 100 by 50 pixels; upright, by orientation, the image is 50 by 100 or 100 by 50
AS_STORED = (10, 5, 30, 15)
UPRIGHT = {
    1: (10, 5, 30, 15),
    2: (70, 5, 90, 15),  # mirrored
    3: (70, 35, 90, 45),  # turned by 180°
    4: (10, 35, 30, 45),  # upside down
    5: (5, 10, 15, 30),  # transposed
    6: (35, 10, 45, 30),  # turned by 90° clockwise
    7: (35, 70, 45, 90),  # transversed
    8: (5, 70, 15, 90),  # turned by 90° counter-clockwise
}


def size(orientation):
    return UprightSize(50, 100, orientation) if orientation >= 5 else UprightSize(100, 50, orientation)


def read_voc(orientation, frame, declared=None, stored=None):
    text = voc("a.jpg", voc_object("cat", *AS_STORED), size=declared)
    landing = Landing(["a.jpg"], {"a.xml": text}, {"a.jpg": stored or size(orientation)})
    (box,) = boxes(landing.annotations(format="voc", frame=frame))
    return box


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_frame_upright_leaves_a_box_as_it_is(orientation):
    assert read_voc(orientation, "upright", (100, 50)) == AS_STORED


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_frame_stored_turns_a_box_with_its_image(orientation):
    assert read_voc(orientation, "stored") == UPRIGHT[orientation]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_frame_auto_turns_a_box_whose_file_declares_the_stored_size(orientation):
    assert read_voc(orientation, "auto", (100, 50)) == UPRIGHT[orientation]


KEPT = [
    (6, (50, 100), None),  # declares the upright size
    (6, None, None),  # declares none
    (6, (640, 480), None),  # declares that of another image
    (6, (100, 100), UprightSize(100, 100, 6)),  # a square tells nothing
    (3, (100, 50), None),  # turned by 180° both sizes are equal
    (1, (50, 100), None),  # declares swapped sides of an image that is not turned
]


@pytest.mark.parametrize(("orientation", "declared", "stored"), KEPT)
def test_frame_auto_leaves_a_box_where_nothing_speaks_for_the_stored_image(orientation, declared, stored):
    assert read_voc(orientation, "auto", declared, stored) == AS_STORED


@pytest.mark.parametrize(("declared", "box"), [((100, 50), UPRIGHT[6]), ((50, 100), AS_STORED)])
def test_coco_declares_the_size_of_its_images_too(declared, box):
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": declared[0], "height": declared[1]}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 10]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    landing = Landing(["a.jpg"], {"a.json": json.dumps(content)}, {"a.jpg": size(6)})
    assert boxes(landing.annotations(format="coco")) == [box]


INVERTED = {(True, False): (30, 5, 10, 15), (False, True): (10, 15, 30, 5), (True, True): (30, 15, 10, 5)}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("inverted", INVERTED)
def test_a_box_whose_corners_are_out_of_order_stays_so_when_it_is_turned(orientation, inverted):
    text = voc("a.jpg", voc_object("cat", *INVERTED[inverted]), size=(100, 50))
    landing = Landing(["a.jpg"], {"a.xml": text}, {"a.jpg": size(orientation)})
    (box,) = boxes(landing.annotations(format="voc", frame="stored"))
    left, top, right, bottom = UPRIGHT[orientation]
    across, down = inverted[::-1] if orientation >= 5 else inverted
    assert box == (
        right if across else left, bottom if down else top, left if across else right, top if down else bottom
    )  # fmt: skip


CORNERS_IN_PX = [
    # corners, are they ratios of the image's sides?
    ((0.1, 0.2, 0.6, 0.7), True),  # as Open Images and AutoML write them
    ((0, 0, 1, 0.5), True),
    ((0.5, 0.5, 0.5, 0.5), True),
    ((0, 0, 1, 1), False),  # a placeholder in pixels, for all that can be told: a finding about the data
    ((0, 0, 0, 0), False),
    ((0.1, 0.2, 1.5, 0.7), False),
    ((-0.1, 0.2, 0.6, 0.7), False),
]


@pytest.mark.parametrize(("corners", "is_refused"), CORNERS_IN_PX)
def test_corners_within_the_first_pixel_are_ratios_and_no_box_in_pixels(corners, is_refused):
    landing = Landing(["a.jpg"], {"a.xml": voc("a.jpg", voc_object("cat", *corners))})
    frame = landing.annotations(format="voc")
    assert column(frame, "label", "reason") == [("cat", "invalid-box" if is_refused else None)]
    assert boxes(frame) == [corners]  # as it was written, for whoever looks
    assert is_refused == ("multiply ratios by the image's sides" in (frame["detail"][0] or ""))
