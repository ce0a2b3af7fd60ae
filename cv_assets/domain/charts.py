"""Charts for people: figures over versions, and the histograms of two versions. Names from the data are drawn as pixels."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
from PIL import Image, ImageDraw

from cv_assets.domain.quality import plots
from cv_assets.domain.quality.wording import short_figure
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
COLUMNS: Final = 3
_PANEL: Final = (320, 190)
# room in a panel beside what is drawn, in pixels: left, top, right, bottom
_MARGIN: Final = (58, 32, 18, 34)
# Dagster keeps metadata more than once: a sheet stays small
_SHEET_BYTES: Final = 60_000
_GRID: Final = (222, 225, 230)
_GREY: Final = (176, 184, 196)


def draw_history(history: pl.DataFrame) -> bytes:
    """A JPEG with a small chart for each of FIGURES, its value over the versions; `history` is that of quality/history.py.

    A version that lacks a figure is a gap. What no version has is not shown.
    """
    versions = history["version"].unique(maintain_order=True).to_list()
    by_figure: dict[str, dict[str, float]] = {}
    for version, figure, value in history.select("version", "figure", "value").iter_rows():
        by_figure.setdefault(figure, {})[version] = value
    shown = [figure for figure in FIGURES if figure in by_figure]
    sheet = _new_sheet(len(shown))
    for place, figure in enumerate(shown):
        values = [by_figure[figure].get(version) for version in versions]
        newest = "none" if values[-1] is None else short_figure(values[-1])
        _draw_line(_Panel(sheet, place, f"{FIGURES[figure]}: {newest}"), versions, values)
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
    """One chart of a sheet: the area in which marks of plots.py lie, and what stands around it."""

    def __init__(self, sheet: Image.Image, place: int, title: str, *, top_px: int = 0) -> None:
        self.draw = ImageDraw.Draw(sheet)
        left, top = place % COLUMNS * _PANEL[0], top_px + place // COLUMNS * _PANEL[1]
        self.left, self.top = left + _MARGIN[0], top + _MARGIN[1]
        self.width, self.height = _PANEL[0] - _MARGIN[0] - _MARGIN[2], _PANEL[1] - _MARGIN[1] - _MARGIN[3]
        self.draw.text((left + 10, top + 8), shorten(title, 38), INK, font(13))

    def write_scale(self, low: str, high: str) -> None:
        """Two lines of the grid, and what they stand for."""
        for y, text in ((self.top + self.height, low), (self.top, high)):
            width = self.draw.textlength(text, font(11))
            self.draw.line((self.left, y, self.left + self.width, y), _GRID)
            self.draw.text((self.left - 6 - width, y - 7), text, FAINT, font(11))

    def write_below(self, first: str, last: str) -> None:
        """What stands at either end of the lower edge."""
        width, y = self.draw.textlength(last, font(11)), self.top + self.height + 8
        self.draw.text((self.left, y), first, FAINT, font(11))
        self.draw.text((self.left + self.width - width, y), last, FAINT, font(11))

    def fill(self, mark: plots.Mark, colour: tuple[int, int, int]) -> None:
        """Draw a rectangle, if it has a height."""
        x, y = self.left + mark.x, self.top + mark.y
        if mark.height:
            self.draw.rectangle((x, y, x + mark.width, y + mark.height), colour)


def _draw_line(panel: _Panel, versions: Sequence[str], values: Sequence[float | None]) -> None:
    low, high = plots.scale(values)
    panel.write_scale(short_figure(low), short_figure(high))
    line = plots.line(values, panel.width, panel.height)
    points = [point and (panel.left + point[0], panel.top + point[1]) for point in line]
    for one, following in plots.strokes(points):
        panel.draw.line((*one, *following), BLUE, width=2)
    for point in filter(None, points):
        panel.draw.ellipse((point[0] - 3, point[1] - 3, point[0] + 3, point[1] + 3), BLUE)
    panel.write_below(shorten(versions[0], 18), shorten(versions[-1], 18) if len(versions) > 1 else "")


def _draw_bars(panel: _Panel, evidence: dict[str, Any], colour: tuple[int, int, int]) -> None:
    """The baseline's bars, broad and grey, and the version's before them, narrow; a scale that both share."""
    rows = plots.shown_bins(evidence, plots.BARS)
    panel.write_scale("0 %", f"{plots.largest_share(rows):.0%}")
    for before, after in plots.pairs(evidence, panel.width, panel.height):
        panel.fill(before, _GREY)
        panel.fill(after, colour)
    first, last = (shorten(plots.bin_name(rows[place][0]), 18) for place in (0, -1))
    panel.write_below(first, last if len(rows) > 1 else "")


def _draw_legend(draw: ImageDraw.ImageDraw, names: Mapping[str, tuple[int, int, int]]) -> None:
    left = 10.0
    for name, colour in names.items():
        text = shorten(name, 40)
        draw.rectangle((left, 9, left + 12, 21), colour)
        draw.text((left + 18, 8), text, INK, font(12))
        left += 42 + draw.textlength(text, font(12))


def _new_sheet(panels: int, *, legend_px: int = 0) -> Image.Image:
    columns, rows = min(COLUMNS, max(1, panels)), max(1, -(-panels // COLUMNS))
    return Image.new("RGB", (columns * _PANEL[0], legend_px + rows * _PANEL[1]), PAPER)
