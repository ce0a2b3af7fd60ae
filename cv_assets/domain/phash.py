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

from cv_assets.domain.reducing import Samples

KEPT: Final = 8
_MIDDLE: Final = slice(KEPT * KEPT // 2 - 1, KEPT * KEPT // 2 + 1)


@lru_cache(maxsize=2_048)
def _dct_basis(length: int) -> npt.NDArray[np.float64]:
    """The KEPT lowest frequencies of the type-II DCT over `length` pixels; shape (8, length)."""
    return np.cos(np.pi * np.arange(KEPT)[:, None] * (np.arange(length) + 0.5) / length)


def perceptual_hashes(images: Sequence[Samples]) -> list[str]:
    """Hashes of the luma of reduced upright images, each of shape (height, width): 16 hex digits, most significant bit first.

    Images are hashed together, which is faster; each gets the hash that it has alone.
    """
    if not images:
        return []
    low = np.stack([_low_frequencies(image) for image in images])
    # the last bits of a product depend on the CPU; what should be 0 must not fall on either side of the median
    shares = low.round(6).reshape(len(images), -1)
    middle = np.sort(shares, axis=1)[:, _MIDDLE].mean(axis=1, keepdims=True)
    return [bits.tobytes().hex() for bits in np.packbits(shares > middle, axis=1)]


def _low_frequencies(image: Samples) -> npt.NDArray[np.float64]:
    height, width = image.shape
    return _dct_basis(height) @ image.astype(np.float64) @ _dct_basis(width).T
