"""The one probe of an image: what is accepted and what is said of it, what is refused and why."""

import io
import struct
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from cv_assets.domain.probing import probe
from cv_assets_tests.domain.images import (
    animation,
    encode,
    noise,
    oriented,
    oriented_by_xmp,
    picture,
    png,
    png_chunk,
    tiff,
)
from schemas.codes import IMAGE_FORMATS, NOTES, PROBE_REASONS
from schemas.images import Limits, Probe, Rejection

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
DRAWN = [
    # Pillow's format, mode drawn, options → format, mode, channels, bits a channel
    ("JPEG", "L", {}, ("jpeg", "L", 1, 8)),
    ("JPEG", "RGB", {}, ("jpeg", "RGB", 3, 8)),
    ("JPEG", "RGB", {"progressive": True}, ("jpeg", "RGB", 3, 8)),
    ("JPEG", "CMYK", {}, ("jpeg", "CMYK", 4, 8)),
    ("PNG", "1", {}, ("png", "1", 1, 1)),
    ("PNG", "L", {}, ("png", "L", 1, 8)),
    ("PNG", "LA", {}, ("png", "LA", 2, 8)),
    ("PNG", "P", {}, ("png", "P", 1, 8)),
    ("PNG", "P", {"bits": 4}, ("png", "P", 1, 4)),
    ("PNG", "RGB", {}, ("png", "RGB", 3, 8)),
    ("PNG", "RGBA", {}, ("png", "RGBA", 4, 8)),
    ("PNG", "I;16", {}, ("png", "I;16", 1, 16)),
    ("GIF", "L", {}, ("gif", "P", 1, 8)),  # Pillow reads back a palette
    ("GIF", "P", {}, ("gif", "P", 1, 8)),
    ("BMP", "1", {}, ("bmp", "1", 1, 1)),
    ("BMP", "L", {}, ("bmp", "L", 1, 8)),
    ("BMP", "P", {}, ("bmp", "P", 1, 8)),
    ("BMP", "RGB", {}, ("bmp", "RGB", 3, 8)),
    ("BMP", "RGBA", {}, ("bmp", "RGB", 3, 8)),  # the fourth byte of such a BMP means nothing
    ("TIFF", "1", {}, ("tiff", "1", 1, 1)),
    ("TIFF", "L", {}, ("tiff", "L", 1, 8)),
    ("TIFF", "P", {}, ("tiff", "P", 1, 8)),
    ("TIFF", "RGB", {}, ("tiff", "RGB", 3, 8)),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}, ("tiff", "RGB", 3, 8)),
    ("TIFF", "RGB", {"compression": "jpeg"}, ("tiff", "RGB", 3, 8)),
    ("TIFF", "RGBA", {}, ("tiff", "RGBA", 4, 8)),
    ("TIFF", "CMYK", {}, ("tiff", "CMYK", 4, 8)),
    ("TIFF", "LAB", {}, ("tiff", "LAB", 3, 8)),
    ("TIFF", "I;16", {}, ("tiff", "I;16", 1, 16)),
    ("TIFF", "F", {}, ("tiff", "F", 1, 32)),
    ("WEBP", "RGB", {}, ("webp", "RGB", 3, 8)),
    ("WEBP", "RGBA", {}, ("webp", "RGBA", 4, 8)),
    ("PPM", "1", {}, ("pnm", "1", 1, 1)),
    ("PPM", "L", {}, ("pnm", "L", 1, 8)),
    ("PPM", "RGB", {}, ("pnm", "RGB", 3, 8)),
]


@pytest.mark.parametrize(("pillow_format", "mode", "options", "said"), DRAWN)
def test_a_sound_image_is_described_as_it_is(pillow_format, mode, options, said):
    found = probe(encode(picture(mode=mode), pillow_format, **options), Limits())
    assert isinstance(found, Probe)
    assert (found.format, found.mode, found.channels, found.bit_depth) == said
    assert (found.width_px, found.height_px, found.frames, found.exif_orientation) == (64, 48, 1, 1)
    assert len(found.phash) == 16
    assert found.format in IMAGE_FORMATS
    assert set(found.notes) <= set(NOTES)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("write", [oriented, oriented_by_xmp])
def test_the_size_is_that_of_the_upright_image(pillow_format, orientation, write):
    found = probe(write(picture(), orientation, pillow_format), Limits())
    assert isinstance(found, Probe)
    assert found.exif_orientation == orientation
    assert (found.width_px, found.height_px) == ((48, 64) if orientation > 4 else (64, 48))
    assert found.notes == ()


@pytest.mark.parametrize("orientation", [0, 9, 255, 65_535])
@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "WEBP"])
def test_an_orientation_that_means_nothing_counts_as_upright_and_is_noted(pillow_format, orientation):
    found = probe(oriented(picture(), orientation, pillow_format), Limits())
    assert isinstance(found, Probe)
    assert (found.exif_orientation, found.width_px, found.height_px) == (1, 64, 48)
    assert found.notes == ("orientation-invalid",)


@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("kept", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97])
def test_a_cut_off_image_is_undecodable(pillow_format, kept):
    whole = encode(noise((120, 90)), pillow_format)
    found = probe(whole[: int(len(whole) * kept)], Limits())
    assert isinstance(found, Rejection)
    assert found.reason == "undecodable"
    assert found.detail


def test_a_side_and_an_area_are_allowed_up_to_their_limit():
    limits = Limits(max_pixels=64 * 48, min_side_px=48)
    assert isinstance(probe(encode(picture((64, 48)), "PNG"), limits), Probe)
    over = probe(encode(picture((64, 49)), "PNG"), limits)
    assert over.reason == "pixels-over-limit"
    assert "3072" in over.detail
    under = probe(encode(picture((64, 47)), "PNG"), limits)
    assert (under.reason, under.detail) == ("side-under-limit", "64 × 47 pixels; a side needs at least 48")


@pytest.mark.parametrize("pillow_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_frames_are_allowed_up_to_their_limit(pillow_format):
    found = probe(animation(12, pillow_format), Limits(max_frames=12))
    assert isinstance(found, Probe)
    assert (found.frames, found.notes) == (12, ("several-frames", "first-frame-only"))
    refused = probe(animation(13, pillow_format), Limits(max_frames=12))
    assert (refused.reason, refused.detail) == ("frames-over-limit", "13 frames; at most 12 are allowed")


@pytest.mark.parametrize("pillow_format", ["PNG", "GIF", "WEBP", "TIFF"])
def test_a_broken_later_frame_refuses_an_image_whose_first_frame_is_sound(pillow_format):
    frames = [noise((40, 40), seed) for seed in range(4)]
    whole = encode(frames[0], pillow_format, save_all=True, append_images=frames[1:], lossless=True)
    assert isinstance(probe(whole, Limits()), Probe)
    found = probe(whole[:-2_000], Limits())
    assert isinstance(found, Rejection)
    assert found.reason == "undecodable"


def test_a_later_frame_with_damaged_pixels_refuses_an_animation():
    data = bytearray(encode(noise((40, 40)), "PNG", save_all=True, append_images=[noise((40, 40), 1)]))
    at = data.index(b"fdAT")
    data[at + 12 : at + 40] = bytes(28)
    found = probe(bytes(data), Limits())
    assert (type(found), found.reason) == (Rejection, "undecodable")


def test_a_format_that_no_signature_names_never_reaches_a_decoder():
    for pillow_format in ("EPS", "PDF", "ICO", "PCX", "TGA", "JPEG2000", "SGI", "MSP", "DDS"):
        mode = "1" if pillow_format == "MSP" else "RGB"
        found = probe(encode(picture(mode=mode), pillow_format), Limits())
        assert found == Rejection("undecodable", "ValueError: the first bytes are of no accepted format")


def test_lenient_decoding_that_another_library_switched_on_is_noticed(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    found = probe(encode(picture(), "PNG"), Limits())
    assert isinstance(found, Rejection)
    assert "LOAD_TRUNCATED_IMAGES" in found.detail


ENDING = ["JPEG", "PNG", "GIF", "WEBP"]
ARCHIVE = io.BytesIO()
with zipfile.ZipFile(ARCHIVE, "w") as opened:
    opened.writestr("run.py", "print()")


@pytest.mark.parametrize("pillow_format", ENDING)
@pytest.mark.parametrize("behind", [b"\0", bytes(4_000), ARCHIVE.getvalue(), encode(picture(), "PNG")])
def test_bytes_after_the_image_are_noted_and_change_nothing_else_that_is_said_of_it(pillow_format, behind):
    image = encode(picture(), pillow_format)
    found, alone = probe(image + behind, Limits()), probe(image, Limits())
    assert "trailing-bytes" not in alone.notes
    assert found == replace(alone, notes=(*alone.notes, "trailing-bytes"))


@pytest.mark.parametrize("pillow_format", ["BMP", "TIFF", "PPM"])
def test_a_format_without_an_end_marker_has_nothing_noted(pillow_format):
    image = encode(picture(), pillow_format)
    assert probe(image + bytes(100), Limits()) == probe(image, Limits())


# a decoder that has read all of a JPEG's rows may or may not insist on two more bytes
MARKED = [("JPEG", 2, bytes(2)), ("PNG", 12, b""), ("GIF", 1, b"")]


@pytest.mark.parametrize(("pillow_format", "length", "instead"), MARKED)
def test_a_whole_image_without_its_end_marker_is_accepted_and_noted(pillow_format, length, instead):
    image = encode(picture(), pillow_format)
    found = probe(image[:-length] + instead, Limits())
    assert isinstance(found, Probe)
    assert "ends-early" in found.notes


def test_the_end_of_a_thumbnail_in_the_metadata_is_not_the_end_of_the_image():
    exif = b"Exif\0\0" + encode(picture((16, 16)), "JPEG")
    image = encode(picture(), "JPEG", exif=exif)
    assert "trailing-bytes" not in probe(image, Limits()).notes
    assert "trailing-bytes" in probe(image + b"\0", Limits()).notes
    assert "ends-early" in probe(image[:-2] + bytes(2), Limits()).notes


def test_further_images_that_a_jpeg_declares_are_no_trailing_bytes():
    whole = encode(picture(), "MPO", save_all=True, append_images=[picture((64, 48), "L")])
    found = probe(whole + bytes(8), Limits())
    assert (found.frames, found.notes) == (2, ("several-frames", "first-frame-only"))
    # a photo with a gain map (Ultra HDR), which Pillow reads as one image
    xmp = b'http://ns.adobe.com/xap/1.0/\0<rdf:Description hdrgm:Version="1.0"/>'
    with_gain_map = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp + whole[2:]
    found = probe(with_gain_map, Limits())
    assert (found.frames, found.notes) == (1, ())


def with_palette_alpha(*alpha):
    """A PNG of two colours, each of which has an alpha value."""
    image = Image.new("P", (20, 20))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (0, 0, 10, 20))
    return encode(image, "PNG", transparency=bytes(alpha))


TRANSPARENT = {
    "an alpha channel": encode(picture(mode="RGBA"), "PNG"),
    "an alpha channel beside grey": encode(picture(mode="LA"), "PNG"),
    "lossy, with alpha": encode(picture(mode="RGBA"), "WEBP"),
    "TIFF with alpha": encode(picture(mode="RGBA"), "TIFF"),
    "a palette with alpha": with_palette_alpha(255, 128),
    "a colour that stands for nothing": encode(Image.new("RGB", (20, 20), (1, 2, 3)), "PNG", transparency=(1, 2, 3)),
    "a grey that stands for nothing": encode(Image.new("L", (20, 20), 7), "PNG", transparency=7),
}
OPAQUE = {
    "no alpha": encode(picture(), "PNG"),
    "an alpha channel that hides nothing": encode(picture().convert("RGBA"), "PNG"),
    "a palette whose alpha hides nothing": with_palette_alpha(255, 255),
    "a colour that no pixel has": encode(Image.new("RGB", (20, 20), (1, 2, 3)), "PNG", transparency=(1, 2, 4)),
}


@pytest.mark.parametrize("data", TRANSPARENT.values(), ids=TRANSPARENT)
def test_a_pixel_that_is_not_opaque_is_noted(data):
    assert "transparent" in probe(data, Limits()).notes


@pytest.mark.parametrize("data", OPAQUE.values(), ids=OPAQUE)
def test_transparency_that_hides_nothing_is_not_noted(data):
    assert "transparent" not in probe(data, Limits()).notes


@pytest.mark.parametrize(
    ("depth", "colours", "pixels", "hidden", "is_noted"),
    [  # Pillow scales samples to 8 bits, and leaves the colour that stands for nothing at the depth of the file
        (2, 0, b"\x1b", (2,), True),
        (4, 0, b"\x5f", (15,), True),
        (4, 0, b"\x3f", (3,), True),
        (4, 0, b"\x5f", (3,), False),
        (16, 0, b"\x04\xb0", (0x04B0,), True),
        (16, 0, b"\x04\xb0", (255,), False),
        (16, 2, b"\x04\xb0\x09\x60\x0e\x10", (0x04B0, 0x0960, 0x0E10), True),
        (16, 2, b"\x04\xb0\x09\x60\x0e\x10", (4, 9, 14), False),
    ],
)
def test_the_colour_that_stands_for_nothing_is_one_of_the_depth_of_the_file(depth, colours, pixels, hidden, is_noted):
    chunk = png_chunk(b"tRNS", struct.pack(f">{len(hidden)}H", *hidden))
    rows = (b"\0" + pixels * (16 * depth * len(hidden) // 8 // len(pixels))) * 16
    found = probe(png(16, 16, chunk, depth=depth, colours=colours, rows=rows), Limits())
    assert ("transparent" in found.notes) is is_noted


def with_exif(**tags):
    """EXIF with these directories, by number."""
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    for tag, fields in tags.items():
        exif.get_ifd(int(tag[1:], 16)).update(fields)
    return exif


NORTH = {1: "N", 2: (52.0, 31.0, 0.0)}


def test_the_position_that_a_tiff_names_is_noted():
    tags = ImageFileDirectory_v2()
    tags[0x8825] = NORTH
    assert probe(encode(picture(), "TIFF", tiffinfo=tags), Limits()).notes == ("gps-present",)


@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "WEBP"])
def test_a_position_is_noted_and_other_metadata_are_not(pillow_format):
    located = encode(picture(), pillow_format, exif=with_exif(x8825=NORTH))
    assert probe(located, Limits()).notes == ("gps-present",)
    assert probe(encode(picture(), pillow_format, exif=with_exif()), Limits()).notes == ()


@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_colour_profile_is_noted(pillow_format):
    assert probe(encode(picture(), pillow_format, icc_profile=SRGB), Limits()).notes == ("colour-profile",)


@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0" + bytes(40),
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",  # 65,535 fields, and none there
        b"Exif\0\0" + with_exif().tobytes()[:-6],  # the last field is cut off
        # the position's directory is at "abcd"
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x25\x88\x02\0\x04\0\0\0abcd\0\0\0\0",
    ],
)
def test_exif_that_cannot_be_read_is_noted_and_the_image_accepted(pillow_format, block):
    found = probe(encode(picture(), pillow_format, exif=block), Limits())
    assert isinstance(found, Probe)
    assert "exif-invalid" in found.notes
    assert found.exif_orientation == 1


def test_exif_that_says_of_itself_that_it_is_empty_is_sound():
    assert probe(encode(noise((64, 48)), "JPEG", exif=Image.Exif()), Limits()).notes == ()


def test_colours_that_a_decoder_must_not_turn_into_others_are_decoded_as_they_are():
    plain, kept = (probe(encode(picture(), "JPEG", keep_rgb=kept), Limits()) for kept in (False, True))
    assert kept.measures.brightness_ratio == pytest.approx(plain.measures.brightness_ratio, abs=0.01)
    assert kept.measures.colour_ratio == pytest.approx(plain.measures.colour_ratio, abs=0.05)


def test_the_bit_depth_of_a_png_is_read_from_its_header_wherever_that_stands():
    whole = encode(picture(), "PNG")
    for text in (b"Comment\0" + bytes(8), b"Comment\0" + b"\xff" * 20):
        found = probe(whole[:8] + png_chunk(b"tEXt", text) + whole[8:], Limits())
        # Pillow opens such a file; a bit depth outside 1 to 64 breaks the manifest's schema, and with it the version
        assert found.bit_depth == 8


MAPS = [
    # header of a netpbm file, its samples, bits a channel
    (b"P5 20 20 65535\n", bytes(800), 16),
    (b"P5 20 20 1023\n", bytes(800), 16),  # two bytes a sample
    (b"P6 20 20 65535\n", bytes(2400), 16),
    (b"P6 20 20 256\n", bytes(2400), 16),
    (b"P3 20 20 65535\n", b"1 " * 1200, 16),
    (b"P6 20 20 255\n", bytes(1200), 8),
    (b"P6 20 20 100\n", bytes(1200), 8),
    (b"P5 20 20 255\n", bytes(400), 8),
    (b"P2 20 20 255\n", b"1 " * 400, 8),
    (b"P4 20 20\n", bytes(60), 1),
    (b"P1 20 20\n", b"1 " * 400, 1),
]


@pytest.mark.parametrize(("header", "samples", "bits"), MAPS)
def test_a_netpbm_file_has_16_bits_where_a_sample_needs_two_bytes(header, samples, bits):
    assert probe(header + samples, Limits()).bit_depth == bits


@pytest.mark.parametrize(
    "bits",
    [
        (3, 1, struct.pack("<H", 8)),  # SHORT, as the standard says
        (12, 1, struct.pack("<d", 8.0)),  # DOUBLE
        (5, 1, struct.pack("<II", 8, 1)),  # RATIONAL
    ],
)
def test_a_tiff_that_writes_its_bit_depth_as_another_type_is_refused_or_has_a_whole_number(bits):
    found = probe(tiff(64, 48, bits, pixels=bytes(64 * 48)), Limits())
    assert isinstance(found, Rejection) or type(found.bit_depth) is int


SIGNATURES = st.sampled_from(
    [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"MM\0+", b"BM", b"RIFF\0\0\0\0WEBPVP8X", b"P6 ", b""]
)


@given(signature=SIGNATURES, tail=st.binary(max_size=400))
def test_no_bytes_at_all_make_the_probe_raise(signature, tail):
    found = probe(signature + tail, Limits())
    if isinstance(found, Rejection):
        assert found.reason in PROBE_REASONS
        assert found.detail.isprintable()
        assert len(found.detail) <= 200


def test_probing_leaves_no_warning_and_no_limit_of_its_own_on_the_next_image():
    assert isinstance(probe(encode(picture(), "PNG"), Limits(max_pixels=10)), Rejection)
    assert isinstance(probe(encode(picture(), "PNG"), Limits()), Probe)
    assert Limits().max_pixels == Image.MAX_IMAGE_PIXELS
