"""Charts for people: figures over versions, and the histograms of two versions. Names from the data are drawn as pixels."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import polars as pl
from PIL import Image, ImageDraw

from cv_assets.domain.sketching import BLUE, FAINT, INK, PAPER, RED, font, shorten, to_jpeg

# what is shown of a history, if it is there: figure → title
FIGURES: Final[dict[str, str]] = {
    "records.images": "images",
    "records.quarantined": "quarantined files",
    "findings.all": "findings",
    "properties.brightness_ratio.median": "median brightness",
    "properties.contrast_ratio.median": "median contrast",
    "properties.sharpness.median": "median sharpness",
    "records.annotations": "annotations",
    "drift.largest_psi": "largest PSI",
    "drift.properties": "properties that drifted",
}
HISTOGRAMS_SHOWN: Final = 6
# all of a property of numbers, and the most frequent of many categories
BINS_SHOWN: Final = 20
COLUMNS: Final = 3
_PANEL: Final = (320, 190)
# room in a panel beside what is drawn, in pixels: left, top, right, bottom
_MARGIN: Final = (58, 32, 18, 34)
# Dagster keeps metadata more than once: a sheet stays small
_SHEET_BYTES: Final = 60_000
_GRID: Final = (222, 225, 230)
_GREY: Final = (176, 184, 196)

Point = tuple[float, float]
Area = tuple[float, float, float, float]


def draw_history(history: pl.DataFrame, figures: Mapping[str, str] = FIGURES) -> bytes:
    """A JPEG with a small chart a figure, its value over the versions; `history` is that of quality/history.py.

    A version that lacks a figure is a gap. What no version has is not shown.
    """
    versions = history["version"].unique(maintain_order=True).to_list()
    by_figure: dict[str, dict[str, float]] = {}
    for version, figure, value in history.select("version", "figure", "value").iter_rows():
        by_figure.setdefault(figure, {})[version] = value
    shown = [figure for figure in figures if figure in by_figure]
    sheet = _new_sheet(len(shown))
    for place, figure in enumerate(shown):
        values = [by_figure[figure].get(version) for version in versions]
        newest = "none" if values[-1] is None else _spell(values[-1])
        _draw_line(_Panel(sheet, place, f"{figures[figure]}: {newest}"), versions, values)
    return to_jpeg(sheet, _SHEET_BYTES)


def draw_drift(drift: pl.DataFrame, baseline: str, version: str) -> bytes:
    """A JPEG with the two histograms of each property that moved most: those called drift first, then by PSI.

    `drift` is a table of schemas.tables.Drift; `baseline` and `version` are what the legend calls the two sides.
    """
    compared = drift.drop_nulls("psi").sort(["drifted", "psi", "property"], descending=[True, True, False])
    shown = compared.head(HISTOGRAMS_SHOWN)
    sheet = _new_sheet(shown.height, legend_px=26)
    _draw_legend(ImageDraw.Draw(sheet), {baseline: _GREY, version: BLUE, f"{version}, drifted": RED})
    for place, row in enumerate(shown.iter_rows(named=True)):
        panel = _Panel(sheet, place, f"{row['property']}: PSI {row['psi']:.3g}", top_px=26)
        _draw_bars(panel, json.loads(row["evidence"]), RED if row["drifted"] else BLUE)
    return to_jpeg(sheet, _SHEET_BYTES)


class _Panel:
    """One chart of a sheet: where it lies, and how a share of its width and height becomes a pixel."""

    def __init__(self, sheet: Image.Image, place: int, title: str, *, top_px: int = 0) -> None:
        self.draw = ImageDraw.Draw(sheet)
        left, top = place % COLUMNS * _PANEL[0], top_px + place // COLUMNS * _PANEL[1]
        self.left, self.top = left + _MARGIN[0], top + _MARGIN[1]
        self.right, self.bottom = left + _PANEL[0] - _MARGIN[2], top + _PANEL[1] - _MARGIN[3]
        self.draw.text((left + 10, top + 8), shorten(title, 38), INK, font(13))

    def place(self, across: float, up: float) -> Point:
        """Pixel of a point, given as shares of the area from its lower left corner."""
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top)

    def write_scale(self, low: str, high: str) -> None:
        """Two lines of the grid, and what they stand for."""
        for up, text in ((0.0, low), (1.0, high)):
            (_, y), width = self.place(0, up), self.draw.textlength(text, font(11))
            self.draw.line((self.left, y, self.right, y), _GRID)
            self.draw.text((self.left - 6 - width, y - 7), text, FAINT, font(11))

    def write_below(self, first: str, last: str) -> None:
        """What stands at either end of the lower edge."""
        width = self.draw.textlength(last, font(11))
        self.draw.text((self.left, self.bottom + 8), first, FAINT, font(11))
        self.draw.text((self.right - width, self.bottom + 8), last, FAINT, font(11))


def _draw_line(panel: _Panel, versions: Sequence[str], values: Sequence[float | None]) -> None:
    known = [value for value in values if value is not None]
    low, high = _scale(known)
    panel.write_scale(_spell(low), _spell(high))
    last = max(1, len(values) - 1)
    points = [
        None if one is None else panel.place(at / last, (one - low) / (high - low)) for at, one in enumerate(values)
    ]
    for one, following in pairwise(points):
        if one and following:
            panel.draw.line((*one, *following), BLUE, width=2)
    for point in filter(None, points):
        panel.draw.ellipse((point[0] - 3, point[1] - 3, point[0] + 3, point[1] + 3), BLUE)
    panel.write_below(shorten(versions[0], 18), shorten(versions[-1], 18) if len(versions) > 1 else "")


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """From 0 up, unless what moves would not be seen then."""
    low, high = min(values), max(values)
    if low <= high / 2 or high - low < 1e-3 * high:
        return min(0.0, low), max(0.0, high) or float(low == 0)
    room = (high - low) / 4
    return low - room, high + room


def _draw_bars(panel: _Panel, evidence: dict[str, Any], colour: tuple[int, int, int]) -> None:
    """The baseline's bars, broad and grey, and the version's before them, narrow; a scale that both share."""
    bins, before, after = (evidence[name][:BINS_SHOWN] for name in ("bins", "baseline", "version"))
    most = max(0.01, *before, *after)
    panel.write_scale("0 %", f"{most:.0%}")
    step = 1 / len(bins)
    for at, (share, other) in enumerate(zip(before, after, strict=True)):
        _fill(panel, (at + 0.06) * step, (at + 0.94) * step, share / most, _GREY)
        _fill(panel, (at + 0.28) * step, (at + 0.72) * step, other / most, colour)
    panel.write_below(_name(bins[0]), _name(bins[-1]) if len(bins) > 1 else "")


def _fill(panel: _Panel, left: float, right: float, up: float, colour: tuple[int, int, int]) -> None:
    if up > 0:
        panel.draw.rectangle((*panel.place(left, up), *panel.place(right, 0)), colour)


def _name(one: str | list[float | None] | None) -> str:
    """A bin in words: a category, all others, one value, or what lies up to or above an edge. The font has no ≤."""
    if not isinstance(one, list):
        return "(others)" if one is None else shorten(one, 16)
    low, high = one
    if low == high:
        return "all" if low is None else _spell(low)
    return f"to {_spell(high)}" if high is not None else f"above {_spell(low or 0.0)}"


def _draw_legend(draw: ImageDraw.ImageDraw, names: Mapping[str, tuple[int, int, int]]) -> None:
    left = 10.0
    for name, colour in names.items():
        text = shorten(name, 40)
        draw.rectangle((left, 9, left + 12, 21), colour)
        draw.text((left + 18, 8), text, INK, font(12))
        left += 42 + draw.textlength(text, font(12))


def _spell(value: float) -> str:
    """A number in at most seven characters, as a rule: 12 345 as 12.3k, 0.123456 as 0.123."""
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= factor:
            return f"{value / (1e3 if suffix == 'k' else factor):.3g}{suffix}"
    return f"{value:.0f}" if abs(value) >= 1e3 else f"{value:.3g}"


def _new_sheet(panels: int, *, legend_px: int = 0) -> Image.Image:
    columns, rows = min(COLUMNS, max(1, panels)), max(1, -(-panels // COLUMNS))
    return Image.new("RGB", (columns * _PANEL[0], legend_px + rows * _PANEL[1]), PAPER)
