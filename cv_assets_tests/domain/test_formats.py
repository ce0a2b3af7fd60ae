"""Which format some first bytes are of."""

import pytest

from cv_assets.domain.formats import EXTENSIONS, PILLOW_NAMES, SNIFF_BYTES, sniff
from cv_assets_tests.domain.images import encode, picture
from schemas.codes import IMAGE_FORMATS

HEADS = [
    (b"\xff\xd8\xff\xe0\x00\x10JFIF", "jpeg"),  # JFIF
    (b"\xff\xd8\xff\xe1\x00\x10Exif", "jpeg"),  # a camera's
    (b"\xff\xd8\xff\xdb", "jpeg"),  # bare, right at the quantization tables
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),  # little endian
    (b"MM\x00*", "tiff"),  # big endian
    (b"II+\x00", "tiff"),  # BigTIFF
    (b"MM\x00+", "tiff"),
    (b"BM\x36\x00", "bmp"),
    (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "webp"),
    (b"P1\n2 2", "pnm"),  # the six netpbm formats
    (b"P3 2 2", "pnm"),
    (b"P6\t2 2", "pnm"),
]

REFUSED = [
    b"",  # nothing
    b"\xff\xd8",  # cut off before the third byte
    b"\x89PNG\n\x1a\n\x00",  # a PNG that went through a text-mode transfer
    b"RIFF\x24\x00\x00\x00WAVEfmt ",  # a sound in the same container
    b"RIFF\x24\x00\x00\x00AVI LIST",
    b"P6",  # the magic number alone
    b"P62 2 255 ",  # no white space after it
    b"P7\nWIDTH 2",  # PAM
    b"Pf\n2 2\n-1",  # floating point map
    b"P0\n",
    b"%!PS-Adobe-3.0 EPSF",  # EPS, which Pillow hands to Ghostscript
    b"\xc5\xd0\xd3\xc6\x20\x00",  # EPS with a preview
    b"8BPS\x00\x01\x00\x00",  # PSD
    b"%PDF-1.7\n%\xe2\xe3",
    b"<svg xmlns='http://www",
    b"<?xml version='1.0'?>",
    b"SIMPLE  =          ",  # FITS
    b"DanM\x00\x00",  # MSP
    b"\x00\x00\x01\x00\x01\x00",  # an icon
    b"\x00\x00\x00\x0cjP  \r\n\x87\n",  # JPEG 2000
    b"\x00\x00\x00\x20ftypavif",  # AVIF
    b"\x00\x00\x00\x18ftypheic",
    b"DDS \x7c\x00\x00\x00",
    b"PK\x03\x04\x14\x00",  # a ZIP archive
    b"\x80\x04\x95\x10\x00",  # a pickle
    b"#!/bin/sh\nrm -rf",
    b" \xff\xd8\xff\xe0",  # one byte too early
]


@pytest.mark.parametrize(("head", "name"), HEADS)
def test_the_first_bytes_tell_an_accepted_format(head, name):
    assert sniff(head) == name
    assert sniff((head + bytes(64))[:SNIFF_BYTES]) == name


@pytest.mark.parametrize("head", REFUSED)
def test_anything_else_is_of_no_format(head):
    assert sniff(head) is None
    assert sniff(head[:SNIFF_BYTES]) is None


@pytest.mark.parametrize("name", IMAGE_FORMATS)
def test_what_pillow_writes_is_recognized_and_every_format_has_an_extension(name):
    assert sniff(encode(picture(), PILLOW_NAMES[name])[:SNIFF_BYTES]) == name
    assert EXTENSIONS[name].isalpha()
