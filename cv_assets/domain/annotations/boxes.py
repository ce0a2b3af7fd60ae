"""Boxes: from foreign numbers to (x_min, y_min, x_max, y_max) in pixels of the upright image.

A box of no area or outside its image stays as it is: that is a finding about the data, not about its reading.
"""

import math
from collections.abc import Sequence

from cv_assets.domain.annotations.records import Entry, UprightSize
from cv_assets.domain.orientation import SWAPS_SIDES, Box, upright_box, upright_size
from schemas.codes import Frame


def number_in(text: str | None) -> float | None:
    """The finite number that a text spells, or None. `1_0`, which Python alone reads as 10, is none."""
    if text is None or "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def number_of(value: object) -> float | None:
    """A JSON number as a finite float, or None: not for true and false, and not for an integer beyond 1e308."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def to_box(numbers: Sequence[float | None]) -> Box | None:
    """Four numbers as a box, or None if there are not four or one is missing."""
    known = [number for number in numbers if number is not None]
    return (known[0], known[1], known[2], known[3]) if len(known) == len(numbers) == 4 else None


def upright_px(entry: Entry, size: UprightSize | None, frame: Frame) -> Box | None:
    """The entry's box in pixels of the upright image; without a size, what can be said without one.

    A box in pixels stays as written where the image is not known; one in ratios cannot be told.
    """
    if entry.box is None or size is None:
        return entry.box if entry.unit == "px" else None
    is_stored = speaks_of_stored(entry, size, frame)
    upright = (size.width_px, size.height_px)
    stored = upright_size(*upright, size.orientation)  # turning the sides twice gives the stored ones back
    box = entry.box if entry.unit == "px" else _scaled(entry.box, stored if is_stored else upright)
    return _turned(box, stored, size.orientation) if is_stored else box


def _turned(box: Box, stored: tuple[int, int], orientation: int) -> Box:
    """The box of the upright image; one whose corners are out of order stays so, as a finding about the data."""
    left, top, right, bottom = upright_box(box, stored, orientation)
    inverted = (box[0] > box[2], box[1] > box[3])
    inverted = inverted[::-1] if orientation in SWAPS_SIDES else inverted
    left, right = (right, left) if inverted[0] else (left, right)
    top, bottom = (bottom, top) if inverted[1] else (top, bottom)
    return (left, top, right, bottom)


def is_finite(box: Box) -> bool:
    """Are all four corners finite? x + width may overflow though both are finite."""
    return all(map(math.isfinite, box))


def is_in_ratios(box: Box) -> bool:
    """Is what was read as pixels a part of the first one? Then it was written in ratios of the image's sides."""
    return min(box) >= 0 and max(box) <= 1 and not all(corner.is_integer() for corner in box)


def speaks_of_stored(entry: Entry, size: UprightSize, frame: Frame) -> bool:
    """Is the stored image meant? With `auto`, the size that the annotation declares tells, where unequal sides swap."""
    if frame != "auto":
        return frame == "stored"
    swaps = size.orientation in SWAPS_SIDES and size.width_px != size.height_px
    return swaps and entry.declared_size_px == (size.height_px, size.width_px)


def _scaled(box: Box, size: tuple[int, int]) -> Box:
    width_px, height_px = size
    return (box[0] * width_px, box[1] * height_px, box[2] * width_px, box[3] * height_px)
