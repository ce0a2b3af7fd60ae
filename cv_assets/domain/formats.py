"""Which image format some bytes are, told by their first bytes alone. No decoding, no file names."""

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
