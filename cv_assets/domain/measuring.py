"""What the pixels of a reduced image look like, in a few numbers: light, contrast, sharpness, colour, bars and borders.

Sums are of whole numbers, so that they are the same on every machine; results are rounded to 4 decimals.
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from schemas.images import Measures

DECIMALS: Final = 4
# A grid of at most so many points a side stands for the image; points, not averages, keep its extremes.
SAMPLED_SIDE: Final = 64
# Rows and columns that sharpness is measured along; 16 or 64 of each tell blurred from sharp no better.
LINES: Final = 8
# Below this contrast there is nothing that could be blurred.
FLAT_RATIO: Final = 0.01
# What rounding to whole grey levels adds to the mean square of a second difference: (1 + 4 + 1) / 12.
ROUNDING_NOISE: Final = 0.5
# Mean square of the first difference, in grey levels, below which a direction has no edges (as in stripes).
FEWEST_EDGES: Final = 2.0
# Grey levels that the pixels of a bar may differ by, and the share of a row that must not differ more.
EVEN_LEVELS: Final = 16
EVEN_SHARE: Final = 0.98
# Behind a bar the picture begins at once, all along it; behind the empty margin of a product photo it does not.
PICTURE_SHARE: Final = 0.5

Samples = npt.NDArray[np.uint8]


def measure(colour: Image.Image, grey: Image.Image) -> Measures:
    """Measures of a reduced upright image of mode L, RGB or YCbCr, and of the same in grey (mode L).

    Brightness is luma (ITU-R BT.601) over 255. Sharpness is 1 for an ideal step between two areas, towards 0 for what
    is blurred, whatever the contrast; 1 as well if there is nothing to see. A picture of one colour is all border.
    """
    samples = _sample(colour)
    light = np.bincount(samples[..., 0].ravel(), minlength=256)
    mean, deviation = _moments(light)
    dark_end, light_end = _ends(light, 0.05, 0.99)
    contrast = deviation / 255
    bars, border = _even_sides(samples)
    return Measures(
        brightness_ratio=_rounded(mean / 255),
        brightness_p05_ratio=_rounded(dark_end / 255),
        brightness_p99_ratio=_rounded(light_end / 255),
        contrast_ratio=_rounded(contrast),
        sharpness=1.0 if contrast < FLAT_RATIO else _rounded(_sharpness(grey)),
        entropy_bits=_rounded(_entropy(light)),
        colour_ratio=_rounded(_distance_from_grey(samples)),
        bars_ratio=_rounded(bars),
        border_ratio=_rounded(border),
    )


def _rounded(value: float) -> float:
    return round(float(value), DECIMALS) + 0.0  # no -0.0


def _sample(colour: Image.Image) -> Samples:
    """Points of the image as luma and two distances from grey; shape (height, width, 3), or (height, width, 1)."""
    size = (min(SAMPLED_SIDE, colour.width), min(SAMPLED_SIDE, colour.height))
    small = colour.resize(size, Image.Resampling.NEAREST)
    points = small.convert("YCbCr") if small.mode == "RGB" else small
    return np.frombuffer(points.tobytes(), np.uint8).reshape(size[1], size[0], -1)


_LEVELS: Final = np.arange(256)
_POWERS: Final = np.stack([_LEVELS, _LEVELS * _LEVELS], axis=1)


def _moments(counts: npt.NDArray[np.intp]) -> tuple[float, float]:
    """Mean and standard deviation of the levels."""
    total = int(counts.sum())
    first, second = (int(power) for power in counts @ _POWERS)
    mean = first / total
    return mean, max(0.0, second / total - mean * mean) ** 0.5


def _ends(counts: npt.NDArray[np.intp], low: float, high: float) -> tuple[int, int]:
    """The lowest levels that at least these shares of the samples do not exceed."""
    reached = counts.cumsum()
    total = int(reached[-1])
    first, last = reached.searchsorted((math.ceil(low * total), math.ceil(high * total)))
    return int(first), int(last)


def _entropy(counts: npt.NDArray[np.intp]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def _distance_from_grey(samples: Samples) -> float:
    """How far the 1 % that lean most to either side are from the middle; 0 to 1. A quarter of the points will do."""
    if samples.shape[2] == 1:
        return 0.0
    ends = [_ends(np.bincount(samples[::2, ::2, band].ravel(), minlength=256), 0.01, 0.99) for band in (1, 2)]
    return max(max(128 - low, high - 128) for low, high in ends) / 128


def _sharpness(grey: Image.Image) -> float:
    """The least over two scales and two directions: noise hides a blur at the finer one, and motion blurs one way.

    Along a line, √(Σ second difference² / Σ difference over two pixels²): both grow alike with contrast.
    """
    pixels = np.frombuffer(grey.tobytes(), np.uint8).reshape(grey.height, grey.width)
    powers = [found for along in (pixels, pixels.T) for found in _edge_powers(along)]
    edged = [pair for pair in powers if pair[1] >= FEWEST_EDGES] or powers
    return min((max(0.0, fine - ROUNDING_NOISE) / (coarse + 0.1) for fine, coarse in edged), default=1.0) ** 0.5


def _edge_powers(pixels: Samples) -> Iterator[tuple[float, float]]:
    """Mean squares of the second difference and of the difference over two pixels, along about LINES rows.

    First for the rows as they are, then for those of the image at half the scale; none where a row is too short.
    """
    step = max(2, pixels.shape[0] // LINES)
    upper = pixels[step // 2 : -1 : step].astype(np.float64)
    twice = upper + pixels[step // 2 + 1 :: step]
    even = twice.shape[1] // 2 * 2
    for unit, lines in ((1, upper), (4, twice[:, :even:2] + twice[:, 1:even:2])):
        slopes = lines[:, 1:] - lines[:, :-1]
        bends = slopes[:, 1:] - slopes[:, :-1]
        if bends.size:
            fine = float(np.vdot(bends, bends)) / (bends.size * unit * unit)
            # (a + b)² = 2 a² + 2 b² - (a - b)², for each slope a and the next one b
            yield fine, 4 * float(np.vdot(slopes, slopes)) / (slopes.size * unit * unit) - fine


def _even_sides(samples: Samples) -> tuple[float, float]:
    """(share of the area in bars on two opposite sides, share of the area in a frame on all four); one is 0."""
    corners = samples[:: samples.shape[0] - 1 or 1, :: samples.shape[1] - 1 or 1, 0]
    if int(corners.max()) - int(corners.min()) > EVEN_LEVELS:
        return 0.0, 0.0
    is_even = (np.abs(samples.astype(np.int16) - samples[0, 0]) <= EVEN_LEVELS).all(axis=2)
    rows, columns = is_even.mean(axis=1), is_even.mean(axis=0)
    (top, bottom), (left, right) = _depths(rows), _depths(columns)
    height, width = is_even.shape
    if top == height or left == width:
        return 0.0, 1.0
    if min(top, bottom, left, right) > 0:
        return 0.0, 1 - (height - top - bottom) * (width - left - right) / (height * width)
    return max(_bars(rows, top, bottom), _bars(columns, left, right)), 0.0


def _depths(shares: npt.NDArray[np.float64]) -> tuple[int, int]:
    """How many lines are even from the first on, and from the last on back."""
    uneven = np.flatnonzero(shares < EVEN_SHARE)
    return (int(uneven[0]), len(shares) - 1 - int(uneven[-1])) if len(uneven) else (len(shares), len(shares))


def _bars(shares: npt.NDArray[np.float64], first: int, last: int) -> float:
    """Share of the lines in two bars of about the same depth, behind which the picture begins at once."""
    least, most = sorted((first, last))
    if least == 0 or most > 1.5 * least + 1:
        return 0.0
    # the line next to a bar may be half of each
    behind = shares[[min(first + 1, len(shares) - 1), max(len(shares) - last - 2, 0)]]
    return (first + last) / len(shares) if (behind <= 1 - PICTURE_SHARE).all() else 0.0
