"""Where the marks of a chart lie. What stands around them is said by the templates.

Places are in pixels of the chart's own area, from its upper left corner; rounded, so that equal data is equal text.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeVar

from cv_assets.domain.quality.distributions import most_moved
from cv_assets.domain.quality.wording import figure, in_groups

THUMBNAIL_PX: Final = 128
# a box that is hardly seen on a thumbnail gets a ring around it
RING_PX: Final = 11.0
LEAST_SEEN_PX: Final = 7.0
# how far a box is drawn outside of its image
MARGIN_PX: Final = 5.0
# bars of few values are still seen
LEAST_BAR_PX: Final = 1.5
# categories that are shown one by one: as rows of a table, and as bars; the bins of numbers are fewer than these bars
CATEGORIES: Final = 10
BARS: Final = 20

BinName = str | Sequence[float | None] | None
Bar = tuple[BinName, float, float]
Point = TypeVar("Point")


class Mark(NamedTuple):
    """A rectangle and what it says when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    title: str = ""


class Tick(NamedTuple):
    """A place on an axis in pixels, and what stands there."""

    at: float
    text: str


def bars(histogram: Mapping[str, Any], width: float, height: float) -> list[Mark]:
    """One mark a bin that is not empty, of a record of quality/histograms.py."""
    counts: list[int] = histogram["counts"]
    most, step = max(counts, default=0), width / max(1, len(counts))
    return [
        Mark(
            *_rounded(place * step, height - (tall := max(LEAST_BAR_PX, count / most * height)), step * 0.9, tall),
            f"{_bin(histogram, place)}: {in_groups(count)}",
        )
        for place, count in enumerate(counts)
        if count
    ]


def place_of(histogram: Mapping[str, Any], value: float, width: float) -> float | None:
    """Where a value lies on the axis of a histogram; None outside of it."""
    low, high = histogram["low"], histogram["high"]
    if not low <= value <= high or high == low:
        return None
    if histogram["is_log"]:
        return round((math.log(value) - math.log(low)) / (math.log(high) - math.log(low)) * width, 1) if value else None
    return round((value - low) / (high - low) * width, 1)


def ticks(histogram: Mapping[str, Any], width: float) -> list[Tick]:
    """Both ends of a histogram's axis and its middle; of bins that are one whole number each, the first and the last."""
    bins = len(histogram["counts"])
    if histogram["is_whole"]:
        places = sorted({0, bins - 1})
        return [Tick(round((place + 0.5) / bins * width, 1), _bin(histogram, place)) for place in places]
    return [Tick(round(share * width, 1), _edge(histogram, share * bins)) for share in (0, 0.5, 1)] if bins else []


def _bin(histogram: Mapping[str, Any], place: int) -> str:
    if histogram["is_whole"]:
        return figure(histogram["low"] + 0.5 + place)
    return f"{_edge(histogram, place)} to {_edge(histogram, place + 1)}"


def _edge(histogram: Mapping[str, Any], place: float) -> str:
    low, high, bins = histogram["low"], histogram["high"], len(histogram["counts"])
    share = place / bins
    return figure(low * (high / low) ** share if histogram["is_log"] else low + (high - low) * share)


def heat(cells: Sequence[Sequence[int]]) -> Iterator[tuple[int, int, float, str]]:
    """Column, row, opacity and words of each cell that is not empty; `cells` as of `heat_map`."""
    most = max((max(row) for row in cells), default=0)
    for y, row in enumerate(cells):
        for x, count in enumerate(row):
            if count:
                yield x, y, round((count / most) ** 0.8, 3), f"{in_groups(count)} boxes"


class Sizes(NamedTuple):
    """A plot of image sizes: circles (x, y, radius, words), and the ticks of both axes."""

    circles: list[tuple[float, float, float, str]]
    across: list[Tick]
    up: list[Tick]


def sizes(shown: Sequence[Sequence[int]], width: float, height: float) -> Sizes:
    """Width across, height up, both on one logarithmic scale; the area of a circle is how many images have the size."""
    sides = [math.log2(side) for row in shown for side in row[:2]]
    if not sides:
        return Sizes([], [], [])
    low, high = math.floor(min(sides) - 0.2), math.ceil(max(sides) + 0.2)
    most = max(row[2] for row in shown)

    def place(side: int, room: float) -> float:
        return round((math.log2(side) - low) / (high - low) * room, 1)

    circles = [
        (place(wide, width), round(height - place(tall, height), 1), round(max(2.0, 18 * math.sqrt(count / most)), 1),
         f"{wide} × {tall}: {in_groups(count)}")
        for wide, tall, count in shown
    ]  # fmt: skip
    powers = range(low, high + 1, max(1, (high - low) // 5))
    return Sizes(
        circles,
        [Tick(place(2**power, width), str(2**power)) for power in powers if power >= 0],
        [Tick(round(height - place(2**power, height), 1), str(2**power)) for power in powers if power >= 0],
    )


def tallest(shown: Sequence[Mapping[str, Any]]) -> int:
    """Height of the tallest thumbnail among some that stand side by side."""
    return max((fit(one["size_px"])[1] for one in shown if one["size_px"]), default=0)


def fit(size_px: Sequence[int]) -> tuple[int, int]:
    """Width and height of the thumbnail of an image of that size; none is enlarged."""
    scale = min(1.0, THUMBNAIL_PX / max(size_px))
    return max(1, round(size_px[0] * scale)), max(1, round(size_px[1] * scale))


class Drawn(NamedTuple):
    """A box on a thumbnail, and the ring around it if it is hardly seen: x, y and radius."""

    mark: Mark
    ring: tuple[float, float, float] | None


def draw_box(box: Sequence[float], size_px: Sequence[int]) -> Drawn:
    """A box, given as shares of an image's sides, on the thumbnail of that image. What lies far outside is cut off."""
    (wide, tall), (left, top, right, bottom) = fit(size_px), box
    (x, end), (y, below) = (
        sorted(min(max(one * room, -MARGIN_PX), room + MARGIN_PX) for one in ends)
        for ends, room in (((left, right), wide), ((top, bottom), tall))
    )
    is_small = max(end - x, below - y) < LEAST_SEEN_PX
    ring = (round((x + end) / 2, 1), round((y + below) / 2, 1), RING_PX) if is_small else None
    return Drawn(Mark(*_rounded(x, y, end - x, below - y)), ring)


def pairs(evidence: Mapping[str, Any], width: float, height: float) -> list[tuple[Mark, Mark]]:
    """Bars of a drift table's evidence: of each bin that of the baseline, broad, and that of the version, narrow."""
    rows = shown_bins(evidence, BARS)
    most, step = largest_share(rows), width / max(1, len(rows))
    drawn: list[tuple[Mark, Mark]] = []
    for place, (name, one, other) in enumerate(rows):
        words = f"{bin_name(name)}: {one:.1%} → {other:.1%}"
        broad, narrow = (
            Mark(*_rounded((place + inset) * step, height - tall, (1 - 2 * inset) * step, tall), words)
            for inset, tall in ((0.06, one / most * height), (0.28, other / most * height))
        )
        drawn.append((broad, narrow))
    return drawn


def shares(evidence: Mapping[str, Any]) -> list[tuple[str, float, float, float, float]]:
    """CATEGORIES of a drift table's evidence: name, both shares, and both as parts of the largest."""
    rows = shown_bins(evidence, CATEGORIES)
    most = largest_share(rows)
    return [(bin_name(name), one, other, round(one / most, 4), round(other / most, 4)) for name, one, other in rows]


def shown_bins(evidence: Mapping[str, Any], most: int) -> list[Bar]:
    """Bins of a drift table's evidence with both shares; of many categories those that moved most, and the others as one."""
    return most_moved(list(zip(evidence["bins"], evidence["baseline"], evidence["version"], strict=True)), most)


def largest_share(rows: Sequence[Bar]) -> float:
    """What a bar of full height stands for."""
    return max([0.01, *(max(one, other) for _, one, other in rows)])


def bin_name(one: BinName) -> str:
    """A bin in words: a category, the rare ones, one value, or what lies between two edges."""
    if one is None or isinstance(one, str):
        return "(all others)" if one is None else one
    low, high = one
    if low == high:
        return "all" if low is None else figure(low)
    if high is None:
        return f"above {figure(low or 0.0)}"
    return f"up to {figure(high)}" if low is None else f"{figure(low)} to {figure(high)}"


def line(values: Sequence[float | None], width: float, height: float) -> list[tuple[float, float, float] | None]:
    """A figure over versions: x, y and value of each, None for a gap."""
    low, high = scale(values)
    last = max(1, len(values) - 1)
    return [
        None
        if value is None
        else (round(place / last * width, 1), round(height - (value - low) / (high - low) * height, 1), value)
        for place, value in enumerate(values)
    ]


def strokes(points: Sequence[Point | None]) -> list[tuple[Point, Point]]:
    """What joins the points of a line: from each to the next, and nothing across a gap."""
    return [(one, following) for one, following in pairwise(points) if one is not None and following is not None]


def scale(values: Sequence[float | None]) -> tuple[float, float]:
    """Both ends of the axis of a figure over versions: from 0 up, unless what moves would not be seen then."""
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    if low <= high / 2 or high - low < 1e-3 * high:
        return min(0.0, low), max(0.0, high) or float(low == 0)
    room = (high - low) / 4
    return low - room, high + room


def _rounded(*numbers: float) -> tuple[float, float, float, float]:
    x, y, width, height = (round(number, 1) for number in numbers)
    return x, y, width, height
