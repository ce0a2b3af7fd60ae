"""Turning a stored image and its boxes upright."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from cv_assets.domain.orientation import turn_upright, upright_box, upright_size
from cv_assets_tests.domain.images import decoded, oriented, picture

INVERSE = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
ORIENTATIONS = st.integers(1, 8)
SIDES = st.integers(1, 5_000)


@st.composite
def boxes(draw):
    """A size, and a box within it on quarter pixels, which floats hold exactly."""
    width, height = draw(SIDES), draw(SIDES)
    xs = sorted(draw(st.integers(0, 4 * width)) / 4 for _ in range(2))
    ys = sorted(draw(st.integers(0, 4 * height)) / 4 for _ in range(2))
    return (width, height), (xs[0], ys[0], xs[1], ys[1])


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


@given(drawn=boxes(), orientation=ORIENTATIONS)
def test_a_box_that_is_turned_and_turned_back_is_itself(drawn, orientation):
    size, box = drawn
    turned = upright_box(box, size, orientation)
    assert upright_box(turned, upright_size(*size, orientation), INVERSE[orientation]) == box


@given(drawn=boxes(), orientation=ORIENTATIONS)
def test_a_turned_box_lies_inside_the_turned_image_and_keeps_its_area(drawn, orientation):
    size, box = drawn
    turned = upright_box(box, size, orientation)
    width, height = upright_size(*size, orientation)
    assert 0 <= turned[0] <= turned[2] <= width
    assert 0 <= turned[1] <= turned[3] <= height
    assert area(turned) == area(box)


@given(drawn=boxes(), orientation=ORIENTATIONS)
def test_corners_given_in_any_order_come_back_in_order(drawn, orientation):
    size, (left, top, right, bottom) = drawn
    swapped = upright_box((right, bottom, left, top), size, orientation)
    assert swapped == upright_box((left, top, right, bottom), size, orientation)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("box", [(3, 5, 11, 7), (0, 0, 1, 1), (0, 0, 30, 20), (29, 19, 30, 20), (7, 0, 8, 20)])
def test_a_box_goes_where_the_pixels_under_it_go(box, orientation):
    stored = Image.new("L", (30, 20))
    stored.paste(255, box)
    turned = turn_upright(stored, orientation)
    assert turned.size == upright_size(30, 20, orientation)
    assert turned.getbbox() == upright_box(box, (30, 20), orientation)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_as_pillow_turns_them(orientation):
    stored = decoded(oriented(picture(), orientation, "PNG"))
    assert turn_upright(stored, orientation).tobytes() == ImageOps.exif_transpose(stored).tobytes()


@pytest.mark.parametrize("orientation", [0, 9, -1, 255])
def test_a_box_under_an_orientation_that_means_nothing_is_a_mistake_of_the_caller(orientation):
    with pytest.raises(ValueError, match=f"from 1 to 8, found {orientation}"):
        upright_box((0, 0, 1, 1), (2, 2), orientation)
