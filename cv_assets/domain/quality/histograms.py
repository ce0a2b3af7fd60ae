"""Counts in bins for people to look at: of numbers, and of where boxes lie. Drawing them is not done here."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from cv_assets.domain.quality.boxes import CORNERS
from cv_assets.domain.quality.wording import plain_number

BINS: Final = 30
CELLS: Final = 20
Numbers = npt.NDArray[np.float64]


def histogram(
    values: pl.Series, *, low: float | None = None, high: float | None = None, is_log: bool = False
) -> dict[str, Any]:
    """Counts in BINS even bins from `low` to `high` (by default the extremes), of the logarithms with `is_log`.

    What lies outside counts in the outermost bins. Keys low, high, is_log, counts, and p05, median and p95 of the values;
    counts are empty if there are none. Few whole numbers have a bin each, from half below to half above it: `is_whole`.
    """
    numbers = values.drop_nulls().cast(pl.Float64).to_numpy()
    numbers = numbers[np.isfinite(numbers) & ((numbers > 0) if is_log else True)]
    if not numbers.size:
        nothing = {"low": 0.0, "high": 0.0, "p05": None, "median": None, "p95": None}
        return {**nothing, "is_log": is_log, "is_whole": False, "counts": []}
    p05, median, p95 = (plain_number(float(one)) for one in np.quantile(numbers, [0.05, 0.5, 0.95]))
    first, last = float(numbers.min()) if low is None else low, float(numbers.max()) if high is None else high
    bins, is_whole = BINS, values.dtype.is_integer() and not is_log and last - first < BINS
    if is_whole:
        first, last, bins = first - 0.5, last + 0.5, round(last - first) + 1
    elif first >= last:
        first, last = (first / 2, first * 2) if is_log else (first - 0.5, first + 0.5)
    counts = (
        _count(np.log(numbers), np.log(first), np.log(last), bins) if is_log else _count(numbers, first, last, bins)
    )
    return {
        "low": plain_number(first),
        "high": plain_number(last),
        "is_log": is_log,
        "is_whole": is_whole,
        "counts": counts,
        "p05": p05,
        "median": median,
        "p95": p95,
    }


def _count(numbers: Numbers, low: float, high: float, bins: int) -> list[int]:
    places = np.floor((numbers - low) / (high - low) * bins + 1e-9)
    return np.bincount(np.clip(places, 0, bins - 1).astype(np.int64), minlength=bins).tolist()


def heat_map(boxes: pl.DataFrame) -> list[list[int]]:
    """How many boxes lie over each cell of a grid of CELLS × CELLS laid over every image, by row from the top.

    `boxes` are those of quality/boxes.py that have an area and an image; what lies outside of the image is cut off.
    """
    edges = [
        (boxes[corner] / boxes[side]).clip(0, 1).to_numpy() * CELLS
        for corner, side in zip(CORNERS, ("width_px", "height_px") * 2, strict=True)
    ]
    left, top = (np.minimum(np.floor(edge), CELLS - 1).astype(np.int64) for edge in edges[:2])
    right, bottom = (np.maximum(np.ceil(edge), 1).astype(np.int64) for edge in edges[2:])
    right, bottom = np.maximum(right, left + 1), np.maximum(bottom, top + 1)
    # each box adds one at two corners and takes one at the others: sums over both axes then fill it
    steps = np.zeros((CELLS + 1, CELLS + 1), dtype=np.int64)
    for rows, columns, step in ((top, left, 1), (top, right, -1), (bottom, left, -1), (bottom, right, 1)):
        np.add.at(steps, (rows, columns), step)
    return steps.cumsum(axis=0).cumsum(axis=1)[:CELLS, :CELLS].tolist()
