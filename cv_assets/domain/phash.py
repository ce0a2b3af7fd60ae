"""A 64-bit perceptual hash of a small upright greyscale image.

The DCT hash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010): the 8×8 lowest
frequencies, cut at their median. They are taken of the reduced image as it is; ImageHash resamples it to 32×32 by
Lanczos first, which costs twice as much. Its hashes of photos are 0 to 2 bits away.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

LEAST_SIDE_PX: Final = 64
KEPT: Final = 8
_MIDDLE: Final = slice(KEPT * KEPT // 2 - 1, KEPT * KEPT // 2 + 1)


@lru_cache(maxsize=2_048)
def _dct_basis(length: int, block: int) -> npt.NDArray[np.float64]:
    """The KEPT lowest frequencies of the type-II DCT over blocks of pixels; shape (8, number of blocks).

    `length` is in pixels. The last block may be a part of one: taken for a whole, it would stretch the picture, and a
    copy of another size would be 2 bits further away.
    """
    edges = np.minimum(np.arange(-(-length // block) + 1) * block, length)
    middles, weights = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / block
    return weights * np.cos(np.pi * np.arange(KEPT)[:, None] * middles / length)


def perceptual_hashes(images: Sequence[Image.Image]) -> list[str]:
    """Hashes of upright images of any size and mode, as 16 hex digits each, most significant bit first.

    Images are hashed together, which is faster; each gets the hash that it has alone.
    """
    if not images:
        return []
    low = np.stack([_low_frequencies(image if image.mode == "L" else image.convert("L")) for image in images])
    # the last bits of a product depend on the CPU; what should be 0 must not fall on either side of the median
    shares = low.round(6).reshape(len(images), -1)
    middle = np.sort(shares, axis=1)[:, _MIDDLE].mean(axis=1, keepdims=True)
    return [bits.tobytes().hex() for bits in np.packbits(shares > middle, axis=1)]


def _low_frequencies(grey: Image.Image) -> npt.NDArray[np.float64]:
    """The KEPT × KEPT lowest frequencies of an image of mode L."""
    width, height = grey.size
    block = max(1, min(width, height) // LEAST_SIDE_PX)
    small = grey.reduce(block)
    # np.asarray of an image takes twice as long
    pixels = np.frombuffer(small.tobytes(), np.uint8).reshape(small.height, small.width)
    return _dct_basis(height, block) @ pixels.astype(np.float64) @ _dct_basis(width, block).T
