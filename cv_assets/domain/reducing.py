"""A small copy of an image to measure and to hash: the same scale whatever the format, 8 bits, grey or colour.

A JPEG is decoded at that scale; its reduced decode still reads all of its entropy-coded data. Everything else is
decoded whole and then reduced by the same powers of two.
"""

from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

MOST_SIDE_PX: Final = 2_048
_KEPT_MODES: Final = frozenset({"L", "RGB", "YCbCr"})
_GREY_MODES: Final = frozenset({"1", "LA", "La"})
_WIDE_MODES: Final = frozenset({"F", "I", "I;16", "I;16B", "I;16L", "I;16N"})
_COMMON_TOPS: Final = tuple(2.0**bits - 1 for bits in (8, 10, 12, 14, 16))

Samples = npt.NDArray[np.uint8]


def draft(image: Image.Image, least_side_px: int) -> None:
    """Ask a JPEG that is open and not yet decoded for the scale of `reduce_image`, and for YCbCr where it is stored so."""
    layers = cast("list[tuple[int, ...]]", getattr(image, "layer", ()))
    # with these ids and this transform libjpeg never takes the three for RGB, which it cannot turn into YCbCr
    is_stored_so = [layer[0] for layer in layers] == [1, 2, 3] and image.info.get("adobe_transform", 1) == 1
    image.draft("YCbCr" if is_stored_so else None, (least_side_px, least_side_px))


def reduce_image(image: Image.Image, least_side_px: int) -> Image.Image:
    """A copy of mode L, RGB or YCbCr whose shorter side has that many pixels to one less than twice, or fewer if the image has.

    Transparency is left out: the colours are those that `convert("RGB")` shows, which is how images are loaded for
    training. Samples of more than 8 bits are scaled, not clipped.
    """
    if is_deep(image):
        whole = image.convert("I") if image.mode.startswith("I;16") else image
        return _to_8_bits(_shrink(whole, least_side_px))
    if image.mode == "LAB":  # lightness and two distances from grey round 128: the same build as YCbCr
        return _shrink(Image.merge("YCbCr", image.split()), least_side_px)
    if image.mode in _GREY_MODES:
        return _shrink(image.convert("L"), least_side_px)
    return _shrink(image if image.mode in _KEPT_MODES else image.convert("RGB"), least_side_px)


def samples_of(reduced: Image.Image) -> Samples:
    """What `reduce_image` returned, as luma and two distances from grey: shape (height, width, 1), or (height, width, 4).

    Of four the last means nothing. It is there because pixels of four bytes are copied and gathered as words.
    """
    image = reduced.convert("YCbCr") if reduced.mode == "RGB" else reduced
    # np.asarray of an image takes twice as long
    data = image.tobytes("raw", "L" if image.mode == "L" else "YCbCrX")
    return np.frombuffer(data, np.uint8).reshape(image.height, image.width, -1)


def _shrink(image: Image.Image, least_side_px: int) -> Image.Image:
    by_least = 1 << max(0, (min(image.size) // least_side_px).bit_length() - 1)
    wide, high = (max(by_least, 1 << (side // MOST_SIDE_PX).bit_length()) for side in image.size)
    return image if wide == high == 1 else image.reduce((wide, high))


def is_deep(image: Image.Image) -> bool:
    """Has the image grey samples of more than 8 bits, which Pillow would clip and not scale?"""
    return image.mode in _WIDE_MODES


def _to_8_bits(image: Image.Image) -> Image.Image:
    """A deep image as mode L, scaled.

    Whole numbers fill the smallest common depth that holds them all: a sensor's 12 bits are often stored in 16.
    Fractions run to 1 or to 255, if they stay below it. What has negative numbers runs from its least to its largest.
    """
    samples: npt.NDArray[Any] = np.asarray(image)
    values = np.nan_to_num(samples.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = min(0.0, float(values.min())), float(values.max())
    tops = (1.0, 255.0) if samples.dtype.kind == "f" else _COMMON_TOPS
    top = max(high, low + 1) if low < 0 else next((top for top in tops if high <= top), high)
    return Image.fromarray(((values - low) * (255 / (top - low))).round().astype(np.uint8))
