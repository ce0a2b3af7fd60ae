"""Measures of drawn pictures whose light, colour, sharpness and borders are known; and what planted defects do to photos."""

import io
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps

from cv_assets.domain.measuring import measure
from cv_assets.domain.probing import probe
from cv_assets.domain.reducing import MOST_SIDE_PX, reduce_image, samples_of
from cv_assets_tests.domain.images import encode, noise, picture
from cv_assets_tests.domain.tables import MEASURES
from schemas.images import Limits
from schemas.tables import TABLES, to_frame

# below it a photo is called blurred; see the rule of that name
BLURRED = 0.35
# by the least side that images are measured at: a blur of so many pixels is seen in pictures of 350 to 640
LEAST_BLUR_PX = {64: 6, 128: 3}


def measured(image, side=64):
    """Measures of an image as the probe takes them, without a file between."""
    return measure([samples_of(reduce_image(image, side))])[0]


def blots(size=(600, 450)):
    """Areas of one colour each with edges as sharp as pixels are, in a frame without any pattern."""
    return noise((12, 9), 3).resize(size, Image.Resampling.NEAREST)


def saved(image, pillow_format="JPEG", side=64, **options):
    """Measures of the image after it was saved and probed."""
    return probe(encode(image, pillow_format, **options), Limits(min_measured_side_px=side)).measures


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr"])
def test_half_black_and_half_white_is_what_it_says(mode):
    image = Image.new("L", (200, 100), 255)
    image.paste(0, (0, 0, 100, 100))
    found = measured(image.convert(mode))
    assert (found.brightness_ratio, found.brightness_p05_ratio, found.brightness_p99_ratio) == (0.5, 0.0, 1.0)
    assert (found.contrast_ratio, found.entropy_bits, found.colour_ratio) == (0.5, 1.0, 0.0)


@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_picture_of_one_colour_is_all_border_and_not_blurred(level):
    found = measured(Image.new("RGB", (300, 200), (level, level, level)))
    light = round(level / 255, 4)
    assert (found.brightness_ratio, found.brightness_p05_ratio, found.brightness_p99_ratio) == (light, light, light)
    assert (found.contrast_ratio, found.entropy_bits) == (0.0, 0.0)
    assert (found.sharpness, found.border_ratio, found.bars_ratio) == (1.0, 1.0, 0.0)


def test_percentiles_are_those_that_the_pixels_stay_under():
    found = measured(Image.fromarray(np.tile(np.arange(100, dtype=np.uint8), (64, 1))[:, :100].repeat(2, axis=1)))
    assert found.brightness_p05_ratio == pytest.approx(4.5 / 255, abs=2 / 255)
    assert found.brightness_p99_ratio == pytest.approx(98.5 / 255, abs=2 / 255)


@pytest.mark.parametrize(
    ("colour", "least", "most"),
    [
        ((128, 128, 128), 0.0, 0.0),
        ((140, 128, 120), 0.03, 0.12),  # a warm grey
        ((255, 0, 0), 0.95, 1.0),
        ((0, 0, 255), 0.95, 1.0),
        ((0, 255, 0), 0.7, 1.0),
    ],
)
def test_colour_is_the_distance_from_grey_of_the_most_coloured_pixels(colour, least, most):
    image = Image.new("RGB", (200, 200), (90, 90, 90))
    image.paste(colour, (0, 0, 200, 10))  # 5 % of the area
    assert least <= measured(image).colour_ratio <= most
    image.paste((90, 90, 90), (2, 0, 200, 10))
    assert measured(image).colour_ratio == 0.0  # 0.05 % of it is dirt


def test_a_grey_picture_that_is_stored_in_colour_has_no_colour():
    assert saved(blots().convert("L").convert("RGB"), quality=60).colour_ratio < 0.03
    assert saved(blots(), quality=60).colour_ratio > 0.3


@pytest.mark.parametrize("contrast", [0.5, 0.2])
def test_sharpness_does_not_depend_on_contrast(contrast):
    image = blots()
    pale = Image.blend(Image.new("RGB", image.size, (120, 120, 120)), image, contrast)
    assert measured(pale).sharpness == pytest.approx(measured(image).sharpness, abs=0.05)


@pytest.mark.parametrize("pillow_format", ["PNG", "JPEG"])
@pytest.mark.parametrize("side", LEAST_BLUR_PX)
@pytest.mark.parametrize("times", [1, 4 / 3, 8 / 3, 16 / 3])
@pytest.mark.parametrize("size", [(600, 450), (400, 533)])
def test_a_blurred_picture_is_told_from_a_sharp_one_in_any_format(pillow_format, side, times, size):
    blurred = blots(size).filter(ImageFilter.GaussianBlur(LEAST_BLUR_PX[side] * times))
    assert saved(blots(size), pillow_format, side).sharpness > 0.6
    assert saved(blurred, pillow_format, side).sharpness < BLURRED


@pytest.mark.parametrize("side", LEAST_BLUR_PX)
def test_a_picture_that_was_moved_while_it_was_taken_is_blurred_one_way(side):
    pixels, far = np.asarray(blots(), dtype=np.float64), 5 * LEAST_BLUR_PX[side]
    for axis in (0, 1):
        moved = sum(np.roll(pixels, step, axis=axis) for step in range(far)) / far
        assert saved(Image.fromarray(moved.astype(np.uint8)), side=side).sharpness < BLURRED


@pytest.mark.parametrize("side", LEAST_BLUR_PX)
def test_stripes_are_sharp_though_nothing_changes_along_them(side):
    wide = 2_560 // side
    stripes = Image.fromarray(np.tile(np.arange(304) // wide % 2 * 200, (304, 1)).astype(np.uint8))
    assert measured(stripes, side).sharpness > 0.9
    assert measured(stripes.rotate(90), side).sharpness > 0.9


@pytest.mark.parametrize("side", LEAST_BLUR_PX)
def test_noise_does_not_hide_that_a_picture_is_blurred(side):
    blurred = np.asarray(blots().filter(ImageFilter.GaussianBlur(6)), dtype=np.float64)
    grain = np.random.default_rng(1).normal(0, 2, blurred.shape[:2])[..., None]
    assert saved(Image.fromarray(np.clip(blurred + grain, 0, 255).astype(np.uint8)), side=side).sharpness < BLURRED


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (190, 30, 30)])
@pytest.mark.parametrize("share", [0.05, 0.12, 0.25])
@pytest.mark.parametrize("upright", [True, False])
def test_bars_are_measured_on_two_sides(colour, share, upright):
    image = blots()
    deep = round(image.height * share)
    image.paste(colour, (0, 0, image.width, deep))
    image.paste(colour, (0, image.height - deep, image.width, image.height))
    found = saved(image if upright else image.rotate(90, expand=True), quality=75)
    assert found.bars_ratio == pytest.approx(2 * share, abs=0.05)
    assert found.border_ratio == 0.0


@pytest.mark.parametrize("colour", ["black", "white", (190, 30, 30)])
@pytest.mark.parametrize("deep", [25, 60, 130])
def test_a_frame_is_measured_on_four_sides(colour, deep):
    framed = ImageOps.expand(blots((600 - 2 * deep, 450 - 2 * deep)), deep, colour)
    found = saved(framed, quality=75)
    wanted = 1 - (600 - 2 * deep) * (450 - 2 * deep) / (600 * 450)
    assert found.border_ratio == pytest.approx(wanted, abs=0.06)
    assert found.bars_ratio == 0.0


def on_white(box):
    """A dark disc in a box on a white ground: a product photo."""
    image = Image.new("RGB", (400, 400), "white")
    disc = Image.radial_gradient("L").resize((box[2] - box[0], box[3] - box[1])).point(lambda v: 255 * (v < 180))
    image.paste((40, 60, 20), box[:2], disc)
    return image


def test_what_lies_on_white_has_a_border_and_no_bars_even_where_it_touches_a_side():
    assert saved(on_white((100, 100, 300, 300))).border_ratio == pytest.approx(0.75, abs=0.1)
    for box in ((100, 60, 400, 340), (0, 100, 400, 300), (60, -50, 340, 300)):
        assert saved(on_white(box)).bars_ratio == 0.0


@pytest.mark.parametrize(
    "sides",
    [
        ((0, 0, 600, 60),),  # one bar: a sky
        ((0, 0, 600, 20), (0, 350, 600, 450)),  # of very different depth
    ],
)
def test_what_is_even_on_one_side_or_unevenly_deep_is_no_bar(sides):
    image = blots()
    for box in sides:
        image.paste((0, 0, 0), box)
    assert saved(image).bars_ratio == 0.0


def test_bars_of_two_colours_are_no_bars():
    image = blots()
    image.paste((0, 0, 0), (0, 0, 600, 60))
    image.paste((255, 255, 255), (0, 390, 600, 450))
    assert saved(image).bars_ratio == 0.0


@pytest.mark.parametrize("pillow_format", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_the_same_picture_measures_alike_in_every_format(pillow_format):
    image = blots((500, 375)).filter(ImageFilter.GaussianBlur(1))
    found, direct = asdict(saved(image, pillow_format)), asdict(measured(image))
    for name, most in {"sharpness": 0.15, "entropy_bits": 0.4}.items():
        assert found.pop(name) == pytest.approx(direct.pop(name), abs=most)
    assert found == pytest.approx(direct, abs=0.04)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "LAB", "I;16", "I", "F", "YCbCr"])
def test_every_mode_is_measured_about_as_its_grey_or_colour_picture(mode):
    grey = measured(picture((300, 200)).convert("L")).brightness_ratio
    image = picture((300, 200)).convert("L").convert(mode) if mode in {"I", "F", "I;16"} else None
    if mode in {"I;16", "I"}:  # 16 bits of the same picture
        deep = np.asarray(picture((300, 200)).convert("L")).astype(np.int32) * 257
        image = Image.fromarray(deep if mode == "I" else deep.astype(np.uint16))
    found = measured(image or picture((300, 200)).convert("RGB" if mode == "LAB" else mode))
    assert found.brightness_ratio == pytest.approx(grey, abs=0.12)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_samples_of_many_bits_are_scaled_by_the_depth_that_they_fill(bits):
    ramp = np.tile(np.linspace(0, 2**bits - 1, 256), (200, 1))
    found = measured(Image.fromarray(ramp.astype(np.uint16)))
    assert found.brightness_ratio == pytest.approx(0.5, abs=0.02)
    assert found.brightness_p99_ratio > 0.96


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 255.0), (-3.0, 9.0), (0.0, 4e9), (-7.0, -7.0)])
def test_fractions_are_scaled_whatever_they_run_to(low, high):
    found = measured(Image.fromarray(np.tile(np.linspace(low, high, 256, dtype=np.float32), (200, 1))))
    assert 0 <= found.brightness_p05_ratio <= found.brightness_p99_ratio <= 1
    assert found.brightness_ratio == pytest.approx(0.5 if high > low else 0.0, abs=0.02)


def test_samples_that_are_no_numbers_count_as_black():
    samples = np.full((50, 50), np.nan, dtype=np.float32)
    samples[:25] = np.inf
    assert measured(Image.fromarray(samples)).brightness_ratio == 0.0


@pytest.mark.parametrize("side", LEAST_BLUR_PX)
@pytest.mark.parametrize("size", [(4_000, 3_000), (129, 128), (127, 300), (40, 30), (9_000, 10), (2, 5_000), (1, 1)])
def test_the_reduced_image_has_one_scale_and_a_bounded_size(size, side):
    small = reduce_image(Image.new("RGB", size), side)
    assert max(small.size) < MOST_SIDE_PX
    assert min(small.size) < 2 * side
    assert min(small.size) >= min(*size, side)


def test_a_quarter_turn_changes_no_measure_much():
    image = blots()
    one, other = measured(image), measured(image.transpose(Image.Transpose.ROTATE_90))
    assert asdict(replace(other, entropy_bits=one.entropy_bits)) == pytest.approx(asdict(one), abs=0.05)


@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from(["1", "L", "RGB", "CMYK"]), st.integers(0, 2**32)
)  # fmt: skip
def test_a_picture_of_any_size_has_measures_that_a_manifest_may_hold(width, height, mode, seed):
    found = asdict(measured(noise((width, height), seed).convert(mode)))
    assert list(found) == list(MEASURES)
    assert all(type(value) is float and value == round(value, 4) for value in found.values())
    row = {"image_id": "0" * 64, "paths": ["a"], "format": "png", "size_bytes": 1, "width_px": width}
    row |= {"height_px": height, "channels": 1, "mode": mode, "bit_depth": 8, "exif_orientation": 1, "frames": 1}
    row |= {"phash": "0" * 16, "notes": [], "labels": [], "groups": [], **found}
    TABLES["manifest"].validate(to_frame("manifest", [row]), lazy=True)


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90), st.sampled_from(["L", "RGB", "YCbCr"])), max_size=8))
def test_what_is_measured_of_an_image_does_not_depend_on_its_company(images):
    drawn = [noise((width, height), seed).convert(mode) for seed, (width, height, mode) in enumerate(images)]
    together = measure([samples_of(reduce_image(one, 64)) for one in drawn])
    assert together == [measured(one) for one in drawn]


PHOTOS = ["bccd/data/JPEGImages", "clothing/data/images", "grocery/data/dataset/train"]


def photos(real_data, folder, most):
    paths = sorted((real_data / folder).rglob("*.jpg"))
    return [path.read_bytes() for path in paths[:: max(1, len(paths) // most)]]


@pytest.mark.data
@pytest.mark.parametrize("side", LEAST_BLUR_PX)
@pytest.mark.parametrize("folder", PHOTOS)
def test_real_photos_are_neither_blurred_nor_barred_nor_dark_nor_grey(real_data, folder, side):
    limits = Limits(min_measured_side_px=side)
    found = [probe(data, limits).measures for data in photos(real_data, folder, most=60)]
    assert sum(one.sharpness < BLURRED for one in found) <= len(found) // 50
    assert max(one.bars_ratio for one in found) == 0.0
    assert min(one.brightness_p99_ratio for one in found) > 0.32
    assert max(one.brightness_p05_ratio for one in found) < 0.9
    assert min(one.colour_ratio for one in found) > 0.03
    assert min(one.entropy_bits for one in found) > 3


@pytest.mark.data
@pytest.mark.parametrize("side", LEAST_BLUR_PX)
@pytest.mark.parametrize("folder", PHOTOS)
def test_real_photos_that_are_blurred_enough_to_be_seen_are_all_found(real_data, folder, side):
    for data in photos(real_data, folder, most=15):
        image = Image.open(io.BytesIO(data))
        for radius in (LEAST_BLUR_PX[side], 8, 24):
            assert saved(image.filter(ImageFilter.GaussianBlur(radius)), side=side, quality=90).sharpness < BLURRED


@pytest.mark.data
def test_the_one_real_photo_that_is_out_of_focus_is_found(real_data):
    """A dress in the set clothing; seen by eye to be blurred."""
    paths = sorted((real_data / "clothing/data/images").glob("*.jpg"))
    blurred = [path.name for path in paths if probe(path.read_bytes(), Limits()).measures.sharpness < BLURRED]
    assert blurred == ["00070a23-9faf-4682-8243-59f307880f4b.jpg"]
