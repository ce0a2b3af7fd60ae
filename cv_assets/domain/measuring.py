"""What the pixels of reduced images look like, in a few numbers: light, contrast, sharpness, colour, bars and borders.

Some images are measured at a time: for one alone, calling numpy takes twice as long as what it computes. Sums are of
whole numbers, so that they are the same on every machine and in any company; results are rounded to 4 decimals.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cv_assets.domain.reducing import Samples
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

# Sizes of images whose places are kept, each in 60 kB.
CACHED_SIZES: Final = 256

Whole = npt.NDArray[np.int64]
Words = npt.NDArray[np.unsignedinteger[Any]]
Figures = npt.NDArray[np.float64]


class _Lines(NamedTuple):
    """Where lines across an image lie: places among all pixels, rows first, then columns; and of the lines next to them.

    `places` has shape (2, pixels). `counts` says how many rows and how many columns there are, and how many pixels one has,
    an even number; shape (2 directions, 2).
    """

    places: Whole
    counts: Whole


def measure(images: Sequence[Samples]) -> list[Measures]:
    """Measures of reduced upright images, as `samples_of` gives them: shape (height, width, 1), or (height, width, 4).

    Brightness is luma (ITU-R BT.601) over 255. Sharpness is 1 for an ideal step between two areas, towards 0 for what
    is blurred, whatever the contrast; 1 as well if there is nothing to see. A picture of one colour is all border.
    """
    if not images:
        return []
    words = [_as_words(image) for image in images]
    grids = [_grid(*image.shape[:2]) for image in images]
    sharpness = _sharpness(words)
    found: dict[int, Measures] = {}
    kinds = [(grid.shape, image.dtype) for grid, image in zip(grids, words, strict=True)]
    for shape, dtype in set(kinds):
        places = [place for place, kind in enumerate(kinds) if kind == (shape, dtype)]
        points = np.empty((len(places), *shape), dtype)
        for row, place in enumerate(places):
            words[place].take(grids[place], out=points[row], mode="clip")  # "raise" would go through a buffer
        figures = _figures(points.view(np.uint8).reshape(*points.shape, -1), sharpness[places])
        found |= zip(places, (Measures(*row) for row in figures), strict=True)
    return [found[place] for place in range(len(images))]


def _as_words(image: Samples) -> Words:
    """An image with a number for each pixel, shape (height, width); its first byte is the luma."""
    return image.view(np.uint8 if image.shape[2] == 1 else np.uint32)[..., 0]


@lru_cache(maxsize=CACHED_SIZES)
def _grid(height: int, width: int) -> Whole:
    """Places, among all pixels row by row, of points on an even grid of at most SAMPLED_SIDE a side."""
    rows, columns = (_even_places(side) for side in (height, width))
    return rows[:, None] * width + columns


def _even_places(side: int) -> Whole:
    count = min(SAMPLED_SIDE, side)
    return (2 * np.arange(count) + 1) * side // (2 * count)


def _figures(points: Samples, sharpness: Figures) -> list[list[float]]:
    """The fields of Measures, in their order, of images whose points have one shape: (images, height, width, 1 or 4)."""
    counts = _count(points[..., 0].reshape(len(points), -1))
    total = math.prod(points.shape[1:3])
    first, second = (counts @ _POWERS).T
    mean = first / total
    contrast = np.sqrt(np.maximum(0.0, second / total - mean * mean)) / 255
    dark_end, light_end = _ends(counts, 0.05, 0.99)
    columns = (
        mean / 255,
        dark_end / 255,
        light_end / 255,
        contrast,
        np.where(contrast < FLAT_RATIO, 1.0, sharpness),
        _entropy(counts / total),
        _distance_from_grey(points),
        *_even_sides(points),
    )
    return (np.stack(columns, axis=1).round(DECIMALS) + 0.0).tolist()  # no -0.0


_LEVELS: Final = np.arange(256)
_POWERS: Final = np.stack([_LEVELS, _LEVELS * _LEVELS], axis=1)


def _count(levels: Samples) -> Whole:
    """How often each of the 256 levels occurs in each row; shape (rows, 256)."""
    numbered = levels + np.arange(0, 256 * len(levels), 256)[:, None]
    return np.bincount(numbered.ravel(), minlength=256 * len(levels)).reshape(-1, 256)


def _ends(counts: Whole, low: float, high: float) -> tuple[Whole, Whole]:
    """The lowest levels that at least these shares of the samples of each row do not exceed."""
    reached = counts.cumsum(axis=1)
    samples = reached[0, -1]  # of every row
    first, last = ((reached >= math.ceil(share * samples)).argmax(axis=1) for share in (low, high))
    return first, last


def _entropy(shares: Figures) -> Figures:
    return -(shares * np.log2(shares, where=shares > 0, out=np.zeros_like(shares))).sum(axis=1)


def _distance_from_grey(points: Samples) -> Figures:
    """How far the 1 % that lean most to either side are from the middle; 0 to 1. A quarter of the points will do."""
    if points.shape[3] == 1:
        return np.zeros(len(points))
    bands = np.moveaxis(points[:, ::2, ::2, 1:3], 3, 0)
    low, high = _ends(_count(bands.reshape(2 * len(points), -1)), 0.01, 0.99)
    return np.maximum(128 - low, high - 128).reshape(2, -1).max(axis=0) / 128


@lru_cache(maxsize=CACHED_SIZES)
def _lines(height: int, width: int) -> _Lines:
    """About LINES rows and as many columns."""
    pixels = np.arange(height * width).reshape(height, width)
    ways = [_take_lines(pixels), _take_lines(pixels.T)]
    counts = np.array([way.shape[1:] for way in ways])
    return _Lines(np.concatenate([way.reshape(2, -1) for way in ways], axis=1), counts)


def _take_lines(pixels: Whole) -> Whole:
    """About LINES rows, and the next one of each; shape (2, lines, an even number of pixels)."""
    step, even = max(2, pixels.shape[0] // LINES), pixels.shape[1] // 2 * 2
    return np.stack([pixels[step // 2 : -1 : step, :even], pixels[step // 2 + 1 :: step, :even]])


def _sharpness(images: Sequence[Words]) -> Figures:
    """The least over two scales and two directions: noise hides a blur at the finer one, and motion blurs one way.

    Along a line, √(Σ second difference² / Σ difference over two pixels²): both grow alike with contrast.
    """
    every = [_lines(*image.shape) for image in images]
    luma = [
        image.take(one.places).view(np.uint8)[:, :: image.itemsize] for image, one in zip(images, every, strict=True)
    ]
    numbers, lengths = np.moveaxis(np.stack([one.counts for one in every]), -1, 0)
    is_there = numbers * lengths > 0  # image, direction
    powers = np.full((2, *is_there.shape, 2), np.nan)  # (fine and coarse), image, direction, scale
    if is_there.any():
        powers[:, is_there] = _edge_powers(np.concatenate(luma, axis=1), lengths[is_there], numbers[is_there])
    fine, coarse = powers
    ratios = np.maximum(0.0, fine - ROUNDING_NOISE) / (coarse + 0.1)
    is_known, is_edged = ~np.isnan(ratios), coarse >= FEWEST_EDGES
    counted = np.where(is_edged.any(axis=(1, 2), keepdims=True), is_edged, is_known)
    least = ratios.min(axis=(1, 2), where=counted, initial=np.inf)
    return np.sqrt(np.where(np.isinf(least), 1.0, least))


def _edge_powers(luma: Samples, lengths: Whole, lines: Whole) -> Figures:
    """Mean squares of the second difference and of the difference over two pixels; shape (2, blocks, scales).

    `luma` has the lines, one after another, and those next to them; shape (2, pixels). A block is so many lines of one
    length. First for the lines as they are, then for those of the image at half the scale; NaN where lines are too short.
    """
    upper, lower = luma.astype(np.int16)
    both = upper + lower
    full = _powers_at(1, upper, lengths, lines)
    return np.stack([full, _powers_at(4, both[::2] + both[1::2], lengths // 2, lines)], axis=2)


def _powers_at(unit: int, values: npt.NDArray[np.int16], lengths: Whole, lines: Whole) -> Figures:
    """The two mean squares over the lines of each block, one after another in `values`, a level being `unit`; (2, blocks)."""
    ends = np.repeat(lengths, lines).cumsum()
    slopes, bends = np.zeros_like(values), np.zeros_like(values)
    np.subtract(values[1:], values[:-1], out=slopes[:-1])
    slopes[ends - 1] = 0  # from one line to the next
    np.subtract(slopes[1:], slopes[:-1], out=bends[:-1])
    bends[ends - 1] = bends[ends - 2] = 0
    begins = (lines * lengths).cumsum() - lines * lengths
    squares = np.stack(
        [np.add.reduceat(np.square(steps, dtype=np.int32), begins, dtype=np.int64) for steps in (bends, slopes)]
    )
    numbers = lines * np.stack([lengths - 2, lengths - 1])
    fine, steep = squares / np.where(lengths > 2, numbers * unit * unit, np.nan)
    # (a + b)² = 2 a² + 2 b² - (a - b)², for each slope a and the next one b
    return np.stack([fine, 4 * steep - fine])


def _even_sides(points: Samples) -> Figures:
    """(share of the area in bars on two opposite sides, share of the area in a frame on all four); one of them is 0."""
    height, width = points.shape[1:3]
    corners = points[:, :: height - 1 or 1, :: width - 1 or 1, 0].reshape(len(points), -1)
    found = np.zeros((2, len(points)))
    framed = np.flatnonzero(np.ptp(corners, axis=1) <= EVEN_LEVELS)  # the others cannot have either
    if len(framed):
        bands = np.moveaxis(points[framed][..., :3].astype(np.int16), 3, 0)
        is_even = np.logical_and.reduce([np.abs(band - band[:, :1, :1]) <= EVEN_LEVELS for band in bands])
        for place, rows, columns in zip(framed, is_even.mean(axis=2), is_even.mean(axis=1), strict=True):
            found[:, place] = _bars_and_border(rows, columns)
    return found


def _bars_and_border(rows: Figures, columns: Figures) -> tuple[float, float]:
    """The two shares, from the share of even points in each row and in each column."""
    (top, bottom), (left, right) = _depths(rows), _depths(columns)
    height, width = len(rows), len(columns)
    if top == height or left == width:
        return 0.0, 1.0
    if min(top, bottom, left, right) > 0:
        return 0.0, 1 - (height - top - bottom) * (width - left - right) / (height * width)
    return max(_bars(rows, top, bottom), _bars(columns, left, right)), 0.0


def _depths(shares: Figures) -> tuple[int, int]:
    """How many lines are even from the first on, and from the last on back."""
    uneven = np.flatnonzero(shares < EVEN_SHARE)
    return (int(uneven[0]), len(shares) - 1 - int(uneven[-1])) if len(uneven) else (len(shares), len(shares))


def _bars(shares: Figures, first: int, last: int) -> float:
    """Share of the lines in two bars of about the same depth, behind which the picture begins at once."""
    least, most = sorted((first, last))
    if least == 0 or most > 1.5 * least + 1:
        return 0.0
    # the line next to a bar may be half of each
    behind = shares[[min(first + 1, len(shares) - 1), max(len(shares) - last - 2, 0)]]
    return (first + last) / len(shares) if (behind <= 1 - PICTURE_SHARE).all() else 0.0
