"""Upright copies and thumbnails: right side up, without what the original said besides its pixels."""

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageOps

from cv_assets.domain.probing import probe
from cv_assets.domain.rendering import thumbnail, upright_bytes
from cv_assets_tests.domain.images import (
    ORIENTATION,
    XMP,
    decoded,
    encode,
    noise,
    oriented,
    oriented_by_xmp,
    picture,
    xmp_packet,
)
from schemas.images import Limits, Probe

TURNED = range(2, 9)
LIMITS = Limits()
GPS = 0x8825

STORED = [
    # format, mode, options, the largest difference of a channel that is still no loss
    ("JPEG", "RGB", {"quality": 95}, 24),  # saved anew at quality 95, without chroma subsampling
    ("JPEG", "L", {"quality": 95}, 8),
    ("JPEG", "CMYK", {"quality": 95}, 24),
    ("PNG", "RGB", {}, 0),
    ("PNG", "RGBA", {}, 0),
    ("PNG", "LA", {}, 0),
    ("PNG", "P", {}, 0),
    ("PNG", "1", {}, 0),
    ("PNG", "I;16", {}, 0),
    ("WEBP", "RGB", {"lossless": True}, 0),
    ("WEBP", "RGBA", {"lossless": True, "exact": True}, 0),
    ("TIFF", "RGB", {}, 0),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}, 0),
    ("TIFF", "L", {}, 0),
    ("TIFF", "I;16", {}, 0),
]


DEEP = {
    "16 bits": np.linspace(0, 65_535, 80 * 60).astype(np.uint16),
    "12 bits in 16": np.linspace(0, 4_095, 80 * 60).astype(np.uint16),
    "32 bits": np.linspace(0, 65_535, 80 * 60).astype(np.int32),
    "fractions": np.linspace(0, 1, 80 * 60).astype(np.float32),
}


@pytest.mark.parametrize("samples", DEEP.values(), ids=DEEP)
def test_a_thumbnail_of_a_deep_image_is_neither_black_nor_white(samples):
    stored = encode(Image.fromarray(samples.reshape(60, 80)), "TIFF")
    shown = np.asarray(decoded(thumbnail(stored, LIMITS, 80)).convert("L"))
    assert shown.mean() == pytest.approx(127, abs=4)
    assert (shown.min(), shown.max()) == (pytest.approx(0, abs=6), pytest.approx(255, abs=6))


def difference(one, other):
    """The largest difference of a channel between two images."""
    if one.mode.startswith("I"):
        pairs = zip(one.get_flattened_data(), other.get_flattened_data(), strict=True)
        return max(abs(a - b) for a, b in pairs)
    channels = ImageChops.difference(one.convert("RGBA"), other.convert("RGBA")).getextrema()
    return max(high for _, high in channels)


@pytest.mark.parametrize(("pillow_format", "mode", "options", "allowed"), STORED)
@pytest.mark.parametrize("orientation", TURNED)
def test_an_upright_copy_is_the_picture_that_a_viewer_shows(pillow_format, mode, options, allowed, orientation):
    stored = oriented(picture(mode=mode), orientation, pillow_format, **options)
    packed = upright_bytes(stored, LIMITS)
    shown = ImageOps.exif_transpose(decoded(stored))
    assert (decoded(packed).size, decoded(packed).mode) == (shown.size, shown.mode)
    assert difference(decoded(packed), shown) <= allowed
    found = probe(packed, Limits())
    assert isinstance(found, Probe)
    assert (found.exif_orientation, found.format) == (1, probe(stored, Limits()).format)


@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_an_orientation_said_in_xmp_does_not_outlive_the_turn(pillow_format, orientation):
    packed = upright_bytes(oriented_by_xmp(picture(), orientation, pillow_format), LIMITS)
    assert decoded(packed).size == ((48, 64) if orientation == 6 else (64, 48))
    assert probe(packed, Limits()).exif_orientation == 1


def test_a_tiff_that_says_its_orientation_twice_is_turned_once():
    exif = Image.Exif()
    exif[ORIENTATION], exif[XMP] = 6, xmp_packet(6)
    packed = upright_bytes(encode(picture(), "TIFF", exif=exif), LIMITS)
    assert probe(packed, Limits()).exif_orientation == 1


def test_equal_bytes_make_equal_copies():
    for pillow_format in ("JPEG", "PNG", "WEBP", "TIFF"):
        stored = oriented(noise((60, 40)), 6, pillow_format)
        assert upright_bytes(stored, LIMITS) == upright_bytes(stored, LIMITS)
        assert thumbnail(stored, LIMITS, 32) == thumbnail(stored, LIMITS, 32)


def test_an_upright_copy_can_be_made_of_every_image_that_its_dataset_accepts():
    stored = oriented(Image.new("L", (8_100, 8_000)), 6)
    assert isinstance(probe(stored, Limits(max_pixels=100_000_000)), Probe)  # limits: {max_pixels: 100M}
    assert decoded(upright_bytes(stored, Limits(max_pixels=100_000_000))).size == (8_000, 8_100)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_thumbnail_is_a_small_upright_jpeg(mode):
    small = decoded(thumbnail(oriented(picture((640, 480), mode=mode), 6, "PNG"), LIMITS, 72))
    assert (small.format, small.mode, small.size) == ("JPEG", "RGB", (54, 72))


@pytest.mark.parametrize("form", ["JPEG", "GIF"])
def test_a_thumbnail_repeats_no_comment(form):
    stored = encode(picture((200, 150), mode="RGB"), form, comment=b"secret")
    assert b"secret" in stored
    assert b"secret" not in thumbnail(stored, LIMITS, 128)


def test_a_thumbnail_is_made_of_lab_colours_too():
    small = decoded(thumbnail(encode(picture((640, 480), mode="LAB"), "TIFF"), LIMITS, 72))
    assert (small.format, small.size) == ("JPEG", (72, 54))


def test_neither_thumbnails_nor_upright_copies_say_where_a_photo_was_taken():
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010F], exif[GPS] = 6, "ACME secret camera", {1: "N", 2: (48.0, 8.0, 0.0)}
    stored = encode(picture(), "JPEG", exif=exif, xmp=xmp_packet(6), comment=b"ACME secret comment")
    assert b"ACME" in stored
    for made in (thumbnail(stored, LIMITS, 32), upright_bytes(stored, LIMITS)):
        assert GPS not in decoded(made).getexif()
        assert b"ACME secret camera" not in made
        assert b"xmpmeta" not in made
