"""Which image format some bytes are, told by their first bytes alone. No decoding, no file names."""

import re
from typing import Final

from schemas.codes import ImageFormat

SNIFF_BYTES: Final = 16

# Pillow's name for each format; what is not listed here is never handed to a decoder.
PILLOW_NAMES: Final[dict[ImageFormat, str]] = {
    "bmp": "BMP",
    "gif": "GIF",
    "jpeg": "JPEG",
    "png": "PNG",
    "pnm": "PPM",
    "tiff": "TIFF",
    "webp": "WEBP",
}

# The extension a packed sample gets. It comes from the content, never from an upload's name.
EXTENSIONS: Final[dict[ImageFormat, str]] = {
    "bmp": "bmp",
    "gif": "gif",
    "jpeg": "jpg",
    "png": "png",
    "pnm": "ppm",
    "tiff": "tif",
    "webp": "webp",
}

_SIGNATURES: Final[tuple[tuple[bytes, ImageFormat], ...]] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"BM", "bmp"),
)

# What lies among uploads instead, and what helps; nothing of it is decoded.
_OTHERS: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = tuple(
    (re.compile(signature, re.DOTALL | re.IGNORECASE), said)
    for signature, said in (
        (rb".{4}ftyp(hei|hev|mif1)", "HEIC, as phones write it: convert it"),
        (rb".{4}ftypavi", "AVIF: convert it"),
        (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL: convert it"),
        (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ", "JPEG 2000: convert it"),
        (rb".{4}ftypcrx|FUJIFILMCCD-RAW|IIR[OS]|IIU\0", "a camera raw file: convert it"),
        (rb"8BPS", "a Photoshop file: export the image"),
        (rb"%PDF", "a PDF: export its images"),
        (rb"<!DOCTYPE html|<html", "an HTML page: what was meant to be downloaded is still to be fetched"),
        (rb"(\xef\xbb\xbf)?\s*<(\?xml|svg)", "SVG or other XML: draw it as pixels"),
        (rb"version https://", "a pointer of Git LFS: `git lfs pull` fetches the file"),
    )
)


def sniff(head: bytes) -> ImageFormat | None:
    """Format by the first 16 bytes, or None if it is none of the accepted ones."""
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    # P1 to P6 are the six netpbm formats; white space must follow the magic number
    if len(head) > 2 and head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return "pnm"
    return None


def name_other(head: bytes) -> str | None:
    """What the first 16 bytes of a file of no accepted format are, and what helps, or None if that is not known either."""
    return next((said for signature, said in _OTHERS if signature.match(head)), None)
