"""The one probe of an image: bytes in, a record out, one decode. It runs inside a decoding worker.

Order matters: everything that can be refused from the header is refused before a pixel is decoded. What is measured of
the pixels is measured of some images at a time (measuring.py).
"""

import io
import re
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from cv_assets.domain.endings import declares_more
from cv_assets.domain.formats import PILLOW_NAMES, sniff
from cv_assets.domain.measuring import measure
from cv_assets.domain.metadata import DECODE_ERRORS, ending_notes, metadata_notes, read_orientation
from cv_assets.domain.orientation import turn_upright, upright_size
from cv_assets.domain.phash import perceptual_hashes
from cv_assets.domain.reducing import Samples, draft, reduce_image, samples_of
from schemas.codes import ImageFormat, Note, ProbeReason
from schemas.images import Limits, Probe, Rejection

NEW_SUBFILE_TYPE_TAG: Final = 254
BITS_PER_SAMPLE_TAG: Final = 258
SUB_IFDS_TAG: Final = 330
_MODE_BITS: Final = {"1": 1, "I;16": 16, "I;16B": 16, "I;16L": 16, "I;16N": 16, "I": 32, "F": 32}


@dataclass(frozen=True, slots=True)
class Decoded:
    """An image after its decode: the fields of its Probe that need no more, and what is left of its pixels, upright.

    `samples` are those of the reduced image (reducing.py).
    """

    said: dict[str, Any]
    samples: Samples


class _Refused(Exception):
    def __init__(self, reason: ProbeReason, detail: str) -> None:
        super().__init__(detail)
        self.rejection = Rejection(reason, detail)


@contextmanager
def careful_decoding(limits: Limits) -> Generator[None]:
    """Pillow with its guards up: a pixel bomb raises, other warnings are kept quiet.

    Many images may be decoded within: to set it up for each takes 2 % of the time that a small one takes.
    """
    Image.MAX_IMAGE_PIXELS = limits.max_pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def open_image(data: bytes) -> tuple[Image.Image, ImageFormat]:
    """The image behind `data`, header read, pixels not; only the decoder that its first bytes name is asked.

    Raises ValueError if the bytes are of no accepted format, RuntimeError if Pillow would let a truncated file pass, and
    whatever it raises for a broken header.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise RuntimeError("expected ImageFile.LOAD_TRUNCATED_IMAGES to be off; something in this process set it")
    name = sniff(data)
    if name is None:
        raise ValueError("the first bytes are of no accepted format")
    image = _read_header(data, PILLOW_NAMES[name])
    if name == "png":
        _scale_hidden_colour(image, data)
    return image, name


def _read_header(data: bytes, decoder: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=(decoder,))
    except UnidentifiedImageError:
        # Pillow keeps to itself what its decoder found wrong, such as 12 bits in a JPEG
        read, _ = Image.OPEN[decoder]
        read(io.BytesIO(data), "")
        raise


def _scale_hidden_colour(image: Image.Image, data: bytes) -> None:
    """Give the colour that stands for nothing the depth that Pillow decodes a PNG to; it leaves that of the file."""
    hidden, top = image.info.get("transparency"), 2 ** _bit_depth(image, "png", data) - 1
    if isinstance(hidden, int) and image.mode == "L":
        image.info["transparency"] = (hidden & top) * 255 // top
    elif isinstance(hidden, tuple) and top > 255:
        image.info["transparency"] = tuple(level >> 8 for level in cast("tuple[int, ...]", hidden))


def probe(data: bytes, limits: Limits) -> Probe | Rejection:
    """Decode every frame of one image under `limits`, and say what it is. Never raises for bad input."""
    with careful_decoding(limits):
        found = decode(data, limits)
    return describe([found])[0] if isinstance(found, Decoded) else found


def describe(images: Sequence[Decoded]) -> list[Probe]:
    """What is known of each image. What is said of one does not depend on the others."""
    hashes = perceptual_hashes([image.samples[..., 0] for image in images])
    measures = measure([image.samples for image in images])
    return [
        Probe(**image.said, phash=phash, measures=found)
        for image, phash, found in zip(images, hashes, measures, strict=True)
    ]


def decode(data: bytes, limits: Limits) -> Decoded | Rejection:
    """Decode every frame of one image, within `careful_decoding` under the same limits. Never raises for bad input.

    A JPEG is decoded once at reduced scale; everything else whole.
    """
    try:
        image, name = open_image(data)
        with image:
            return _decode_open(image, name, limits, data)
    except _Refused as refused:
        return refused.rejection
    except MemoryError:
        return Rejection("memory-over-limit", "decoding needs more memory than a worker may use")
    except DECODE_ERRORS as error:
        if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
            # Pillow goes on with a limit, which may be twice the dataset's
            size = one_line(error).partition(" exceeds")[0]
            return Rejection("pixels-over-limit", f"{size}; at most {limits.max_pixels} pixels are allowed")
        return Rejection("undecodable", one_line(error) + ("; the file ends early" if declares_more(data) else ""))


def one_line(error: BaseException) -> str:
    """Type and message of an error, and its notes, as one printable line of at most 200 characters."""
    said = ", ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    # an address in memory differs from run to run, and this line is part of a version's content
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", said)
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)[:200]


def _decode_open(image: Image.Image, name: ImageFormat, limits: Limits, data: bytes) -> Decoded:
    _check_header(image, limits)
    mode, channels, bit_depth = image.mode, len(image.getbands()), _bit_depth(image, name, data)
    stored_size = image.size
    frames = _count_frames(image, limits)
    # Pillow turns a TIFF upright while it loads, and forgets the tag. Asking a PNG for it may decode the pixels
    # and swallow what that raises, so there the pixels come first.
    before = _read_metadata(image) if name == "tiff" else None
    if name == "jpeg":
        draft(image, limits.min_measured_side_px)
        # in one piece: in pieces of 64 kB the decode takes 2 to 5 % longer
        cast("ImageFile.ImageFile", image).decodermaxblock = len(data)
    image.load()
    orientation, notes = before or _read_metadata(image)
    small = reduce_image(image, limits.min_measured_side_px)
    if before is None:
        width_px, height_px = upright_size(*stored_size, orientation)
        small = turn_upright(small, orientation)
    else:
        width_px, height_px = image.size
    if _has_transparent_pixel(image):
        notes.append("transparent")
    notes += ending_notes(image, data, name)
    if frames > 1:
        _decode_others(data, frames, limits)
    said = {
        "format": name,
        "width_px": width_px,
        "height_px": height_px,
        "channels": channels,
        "mode": mode,
        "bit_depth": bit_depth,
        "exif_orientation": orientation,
        "frames": frames,
        "notes": (*_frame_notes(name, frames), *notes),
    }
    return Decoded(said, samples_of(small))


def _check_header(image: Image.Image, limits: Limits) -> None:
    if _is_preview(image):
        raise _Refused(
            "undecodable",
            "camera raw (such as DNG or NEF): only its preview could be read; convert it to TIFF, PNG or JPEG",
        )
    _check_area(image, limits)
    width_px, height_px = image.size
    if min(width_px, height_px) < limits.min_side_px:
        raise _Refused(
            "side-under-limit", f"{width_px} × {height_px} pixels; a side needs at least {limits.min_side_px}"
        )


def _is_preview(image: Image.Image) -> bool:
    """Is the first page of a TIFF a reduced copy (NewSubfileType) of what a page below it (SubIFDs) holds?"""
    tags = cast("dict[int, object]", getattr(image, "tag_v2", {}))
    kind = tags.get(NEW_SUBFILE_TYPE_TAG, 0)
    return SUB_IFDS_TAG in tags and isinstance(kind, int) and kind & 1 == 1


def _check_area(image: Image.Image, limits: Limits) -> None:
    width_px, height_px = image.size
    if width_px * height_px > limits.max_pixels:
        raise _Refused("pixels-over-limit", f"{width_px} × {height_px} pixels; at most {limits.max_pixels} are allowed")


def _read_metadata(image: Image.Image) -> tuple[int, list[Note]]:
    """Orientation from 1 to 8, and notes on what the file says beside its pixels."""
    orientation, is_valid = read_orientation(image)
    notes = metadata_notes(image)
    return orientation, notes if is_valid else [*notes, "orientation-invalid"]


def _bit_depth(image: Image.Image, name: ImageFormat, data: bytes) -> int:
    if name == "png" and data[12:16] == b"IHDR":  # it must come first, and Pillow does not insist
        return data[24]
    if name == "tiff":
        tags = cast("dict[int, tuple[int, ...]]", getattr(image, "tag_v2", {}))
        said = int(max(tags.get(BITS_PER_SAMPLE_TAG, (1,))))
        return said if 1 <= said <= 64 else _MODE_BITS.get(image.mode, 8)
    if name == "pnm" and _largest_sample(image) > 255:
        return 16  # what netpbm allows; Pillow reads grey into 32, and colour into 8
    return _MODE_BITS.get(image.mode, 8)


def _largest_sample(image: Image.Image) -> int:
    """What the header of a PNM says, as far as its decoder has to know; 255 otherwise."""
    (tile,) = cast("ImageFile.ImageFile", image).tile
    return 65_535 if image.mode == "I" else next((said for said in tile.args or () if isinstance(said, int)), 255)


def _count_frames(image: Image.Image, limits: Limits) -> int:
    frames = int(getattr(image, "n_frames", 1))
    if frames > limits.max_frames:
        raise _Refused("frames-over-limit", f"{frames} frames; at most {limits.max_frames} are allowed")
    return frames


def _has_transparent_pixel(image: Image.Image) -> bool:
    """Is some pixel of the decoded first frame not opaque?"""
    if not image.has_transparency_data:
        return False
    if image.mode == "I;16":  # Pillow would clip its samples to 8 bits, and then compare
        return bool((np.asarray(image) == image.info["transparency"]).any())
    opaque = image if "A" in image.getbands() else image.convert("RGBA")
    least = cast("tuple[int, int]", opaque.getchannel("A").getextrema())[0]
    return least < 255


def _decode_others(data: bytes, frames: int, limits: Limits) -> None:
    """Decode every further frame; a damaged one refuses the file, whose first frame alone would look sound."""
    image, _ = open_image(data)  # afresh: the reduced scale of the first frame would stay in force
    with image:
        for number in range(1, frames):
            try:
                image.seek(number)
                _check_area(image, limits)
                image.load()
            except DECODE_ERRORS as error:
                error.add_note(f"in frame {number + 1} of {frames}")
                raise


def _frame_notes(name: ImageFormat, frames: int) -> tuple[Note, ...]:
    if frames > 1:
        return ("several-frames", "first-frame-only")
    return ("first-frame-only",) if name == "gif" else ()
