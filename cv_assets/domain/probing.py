"""The one probe of an image: bytes in, a record out, one decode. It runs inside a decoding worker.

Order matters: everything that can be refused from the header is refused before a pixel is decoded.
"""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, cast

from PIL import Image, ImageFile

from cv_assets.domain.formats import PILLOW_NAMES, sniff
from cv_assets.domain.orientation import turn_upright, upright_size
from cv_assets.domain.phash import perceptual_hash
from schemas.codes import ImageFormat, Note, ProbeReason
from schemas.images import Limits, Probe, Rejection

ORIENTATION_TAG: Final = 0x0112
BITS_PER_SAMPLE_TAG: Final = 258
# A JPEG decoded at 1/8 still reads all its entropy-coded data; 32 pixels a side are what the hash looks at.
REDUCED_SIDE_PX: Final = 32
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
_MODE_BITS: Final = {"1": 1, "I;16": 16, "I;16B": 16, "I;16L": 16, "I;16N": 16, "I": 32, "F": 32}


class _Refused(Exception):
    def __init__(self, reason: ProbeReason, detail: str) -> None:
        super().__init__(detail)
        self.rejection = Rejection(reason, detail)


@contextmanager
def careful_decoding(limits: Limits) -> Generator[None]:
    """Pillow with its guards up: a pixel bomb raises, a truncated file raises, other warnings are kept quiet."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise RuntimeError("expected ImageFile.LOAD_TRUNCATED_IMAGES to be off; something in this process set it")
    Image.MAX_IMAGE_PIXELS = limits.max_pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def open_image(data: bytes) -> tuple[Image.Image, ImageFormat]:
    """The image behind `data`, header read, pixels not; only the decoder that its first bytes name is asked.

    Raises ValueError if the bytes are of no accepted format, and whatever Pillow raises for a broken header.
    """
    name = sniff(data)
    if name is None:
        raise ValueError("the first bytes are of no accepted format")
    return Image.open(io.BytesIO(data), formats=(PILLOW_NAMES[name],)), name


def probe(data: bytes, limits: Limits) -> Probe | Rejection:
    """Decode every frame of one image under `limits`, and say what it is.

    A JPEG is decoded once at reduced scale, in grey; everything else whole. Never raises for bad input.
    """
    try:
        with careful_decoding(limits):
            image, name = open_image(data)
            with image:
                return _probe_open(image, name, limits, data)
    except _Refused as refused:
        return refused.rejection
    except MemoryError:
        return Rejection("memory-over-limit", "decoding needs more memory than a worker may use")
    except DECODE_ERRORS as error:
        bomb = isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning)
        return Rejection("pixels-over-limit" if bomb else "undecodable", one_line(error))


def one_line(error: BaseException) -> str:
    """Type and message of an error as one printable line of at most 200 characters."""
    # an address in memory differs from run to run, and this line is part of a version's content
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", f"{type(error).__name__}: {error}")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)[:200]


def _probe_open(image: Image.Image, name: ImageFormat, limits: Limits, data: bytes) -> Probe:
    _check_header(image, limits)
    mode, channels, bit_depth = image.mode, len(image.getbands()), _bit_depth(image, name, data)
    stored_size = image.size
    frames = _count_frames(image, limits)
    # Pillow turns a TIFF upright while it loads, and forgets the tag. Asking a PNG for it may decode the pixels
    # and swallow what that raises, so there the pixels come first.
    before = read_orientation(image) if name == "tiff" else None
    small = _decode_first(image, name)
    orientation, is_valid = before or read_orientation(image)
    if before is None:
        width_px, height_px = upright_size(*stored_size, orientation)
        small = turn_upright(small, orientation)
    else:
        width_px, height_px = image.size
    if frames > 1:
        _decode_others(data, frames, limits)
    return Probe(
        format=name,
        width_px=width_px,
        height_px=height_px,
        channels=channels,
        mode=mode,
        bit_depth=bit_depth,
        exif_orientation=orientation,
        frames=frames,
        phash=perceptual_hash(small),
        notes=_notes(name, frames, is_valid),
    )


def _check_header(image: Image.Image, limits: Limits) -> None:
    _check_area(image, limits)
    width_px, height_px = image.size
    if min(width_px, height_px) < limits.min_side_px:
        raise _Refused(
            "side-under-limit", f"{width_px} × {height_px} pixels; a side needs at least {limits.min_side_px}"
        )


def _check_area(image: Image.Image, limits: Limits) -> None:
    width_px, height_px = image.size
    if width_px * height_px > limits.max_pixels:
        raise _Refused("pixels-over-limit", f"{width_px} × {height_px} pixels; at most {limits.max_pixels} are allowed")


def read_orientation(image: Image.Image) -> tuple[int, bool]:
    """(orientation from 1 to 8, was what the file says valid); an absent or invalid value counts as upright."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except DECODE_ERRORS:  # broken metadata round good pixels is common: cameras write it
        return 1, False
    if isinstance(value, int) and 1 <= value <= 8:
        return value, True
    return 1, False


def _bit_depth(image: Image.Image, name: ImageFormat, data: bytes) -> int:
    if name == "png" and data[12:16] == b"IHDR":  # it must come first, and Pillow does not insist
        return data[24]
    if name == "tiff":
        tags = cast("dict[int, tuple[int, ...]]", getattr(image, "tag_v2", {}))
        said = int(max(tags.get(BITS_PER_SAMPLE_TAG, (1,))))
        return said if 1 <= said <= 64 else _MODE_BITS.get(image.mode, 8)
    if name == "pnm" and image.mode == "I":
        return 16  # what netpbm allows; Pillow reads it into 32
    return _MODE_BITS.get(image.mode, 8)


def _count_frames(image: Image.Image, limits: Limits) -> int:
    frames = int(getattr(image, "n_frames", 1))
    if frames > limits.max_frames:
        raise _Refused("frames-over-limit", f"{frames} frames; at most {limits.max_frames} are allowed")
    return frames


def _decode_first(image: Image.Image, name: ImageFormat) -> Image.Image:
    """Decode the first frame and return it small and grey, as it is stored."""
    if name == "jpeg":
        image.draft("L", (REDUCED_SIDE_PX, REDUCED_SIDE_PX))
    image.load()
    if image.mode == "L":
        return image  # what a JPEG is drafted to
    grey = image.getchannel("L") if image.mode == "LAB" else image.convert("L")
    grey.thumbnail((8 * REDUCED_SIDE_PX, 8 * REDUCED_SIDE_PX), Image.Resampling.BOX)
    return grey


def _decode_others(data: bytes, frames: int, limits: Limits) -> None:
    """Decode every further frame; a damaged one refuses the file, whose first frame alone would look sound."""
    image, _ = open_image(data)  # afresh: the reduced scale of the first frame would stay in force
    with image:
        for number in range(1, frames):
            image.seek(number)
            _check_area(image, limits)
            image.load()


def _notes(name: ImageFormat, frames: int, orientation_is_valid: bool) -> tuple[Note, ...]:
    notes: list[Note] = []
    if frames > 1:
        notes.extend(("several-frames", "first-frame-only"))
    elif name == "gif":
        notes.append("first-frame-only")
    if not orientation_is_valid:
        notes.append("orientation-invalid")
    return tuple(notes)
