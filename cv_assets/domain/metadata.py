"""What an image file says beside its pixels: orientation, place, colour profile, and whether it ends where it should."""

import struct
import warnings
import zlib
from typing import Final

from PIL import Image

from cv_assets.domain.endings import find_end, has_end
from schemas.codes import ImageFormat, Note

ORIENTATION_TAG: Final = 0x0112
EXIF_TAGS: Final = 0x8769
GPS_TAGS: Final = 0x8825
# What Pillow's decoders raise on damaged input; anything else is a bug and is reported as such by the worker.
DECODE_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    OverflowError,
    NotImplementedError,
    ZeroDivisionError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def read_orientation(image: Image.Image) -> tuple[int, bool]:
    """(orientation from 1 to 8, was what the file says valid); an absent or invalid value counts as upright."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except DECODE_ERRORS:  # broken metadata round good pixels is common: cameras write it
        return 1, False
    if isinstance(value, int) and 1 <= value <= 8:
        return value, True
    return 1, False


def metadata_notes(image: Image.Image) -> list[Note]:
    """Colour profile, position, and EXIF that cannot be right. To be asked when the orientation is."""
    notes: list[Note] = []
    if image.info.get("icc_profile"):
        notes.append("colour-profile")
    if not _is_exif_sound(image):
        notes.append("exif-invalid")
    if _has_position(image):
        notes.append("gps-present")
    return notes


def _is_exif_sound(image: Image.Image) -> bool:
    """Pillow reads what it can of a damaged block and warns, or falls silent; here each of that counts."""
    block = image.info.get("exif")
    if block is None:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exif = Image.Exif()
            exif.load(block)
            fields = dict(exif)
            exif.get_ifd(EXIF_TAGS)
            exif.get_ifd(GPS_TAGS)
    except (*DECODE_ERRORS, Warning):
        return False
    if not fields:
        return _declares_nothing(block)
    return all(isinstance(fields.get(tag, 0), int) for tag in (EXIF_TAGS, GPS_TAGS))


def _declares_nothing(block: bytes) -> bool:
    """Does an EXIF block say itself that it has no fields? Pillow writes such, and reads damaged ones as if they were."""
    tiff = block.removeprefix(b"Exif\x00\x00")
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
    except struct.error:
        return False
    return count == 0


def _has_position(image: Image.Image) -> bool:
    try:
        exif = image.getexif()
        return GPS_TAGS in exif and bool(exif.get_ifd(GPS_TAGS))
    except DECODE_ERRORS:
        return False


def ending_notes(image: Image.Image, data: bytes, name: ImageFormat) -> list[Note]:
    """Is the end marker missing, or is there more behind it? Further images that a JPEG declares may lie there (MPF)."""
    if not has_end(name):
        return []
    end = find_end(data, name)
    if end is None or end > len(data):
        return ["ends-early"]
    return ["trailing-bytes"] if end < len(data) and "mp" not in image.info else []
