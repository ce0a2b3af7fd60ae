"""The quality report as pictures for the Dagster UI, which keeps metadata more than once: all of them are small JPEGs.

Names from the data are drawn as pixels. Thumbnails come from decoding workers.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl
from PIL import Image, ImageDraw

from cv_assets.domain.quality import plots
from cv_assets.domain.quality.contents import describe_boxes, describe_classes, describe_sizes
from cv_assets.domain.quality.duplicate_lists import list_exact, list_near
from cv_assets.domain.quality.finding_kinds import CLUSTERED, list_kinds
from cv_assets.domain.quality.wording import in_groups
from cv_assets.domain.sketching import BLANK, BLUE, FAINT, INK, PAPER, RED, font, shorten, to_jpeg

Tables = Mapping[str, pl.DataFrame]
Thumbnails = Mapping[str, bytes]
# of a sheet with photos, and of one with bars
PHOTO_BYTES: Final = 42_000
CHART_BYTES: Final = 20_000
KINDS: Final = 8
EXAMPLES: Final = 6
CLUSTERS: Final = 6
MEMBERS: Final = 5
CLASSES: Final = 20
SIDE_PX: Final = 84
_GAP: Final = 8
_NAME_PX: Final = 190
_TEXT_PX: Final = 18
_BAR_PX: Final = 360
_PANEL: Final = (300, 110)
_WORDS_PX: Final = 130


def draw_sheets(tables: Tables, thumbnails: Thumbnails) -> dict[str, bytes]:
    """Name → JPEG: findings, duplicates, classes, sizes and boxes, each left out if there is nothing to show.

    `tables` holds annotations, manifest, findings and near_duplicates; `thumbnails` maps image id → JPEG, and what is
    missing stays grey. Less than 150 kB in all.
    """
    sheets = {
        "findings": draw_findings(tables, thumbnails),
        "duplicates": draw_duplicates(tables, thumbnails),
        "classes": draw_classes(tables),
        "sizes": draw_sizes(tables),
        "boxes": draw_boxes(tables),
    }
    return {name: sheet for name, sheet in sheets.items() if sheet is not None}


def draw_findings(tables: Tables, thumbnails: Thumbnails) -> bytes | None:
    """A row a kind: its name and count, then the worst images, with the box if it is about one."""
    kinds = [
        (kind, pictured)
        for kind in list_kinds(tables, EXAMPLES)
        if kind["code"] not in CLUSTERED and (pictured := [one for one in kind["examples"] if one["size_px"]])
    ][:KINDS]
    if not kinds:
        return None
    cell = SIDE_PX + _GAP
    sheet, draw = _new_sheet(_NAME_PX + EXAMPLES * cell, _GAP + len(kinds) * cell)
    for row, (kind, pictured) in enumerate(kinds):
        top = _GAP + row * cell
        colour = RED if kind["severity"] == "ERROR" else INK
        draw.text((_GAP, top + SIDE_PX // 2 - 18), shorten(kind["code"], 26), colour, font(13))
        draw.text((_GAP, top + SIDE_PX // 2), f"{kind['severity']}  {in_groups(kind['count'])}", FAINT, font(12))
        for column, one in enumerate(pictured):
            place = (_NAME_PX + column * cell, top)
            _paste(sheet, thumbnails.get(one["image_id"]), place)
            _draw_boxes(draw, one, place)
    return to_jpeg(sheet, PHOTO_BYTES)


def draw_duplicates(tables: Tables, thumbnails: Thumbnails) -> bytes | None:
    """A row a cluster, those that are not labelled alike first: images that look alike side by side, their labels below.

    Of files with the same bytes there is one picture, beside the labels that each path has.
    """
    near, exact = list_near(tables)["shown"], list_exact(tables)["shown"]
    shown = sorted([*near, *exact], key=lambda cluster: not cluster["disagrees"])[:CLUSTERS]
    if not shown:
        return None
    cell, tall = SIDE_PX + 3 * _GAP, SIDE_PX + _TEXT_PX + _GAP
    sheet, draw = _new_sheet(_GAP + _WORDS_PX + MEMBERS * cell, _GAP + len(shown) * tall)
    for row, cluster in enumerate(shown):
        top, members = _GAP + row * tall, cluster["members"][:MEMBERS]
        same = len({member["image_id"] for member in members}) == 1
        words, colour = ("the same bytes" if same else "look alike"), FAINT
        if cluster["disagrees"]:
            words, colour = "labelled differently", RED
        draw.text((_GAP, top + SIDE_PX // 2 - 8), words, colour, font(12))
        for column, member in enumerate(members):
            left = _GAP + _WORDS_PX + column * cell
            if column == 0 or not same:
                _paste(sheet, thumbnails.get(member["image_id"]), (left, top))
            label = ", ".join(member["labels"]) or "(no label)"
            draw.text((left, top + SIDE_PX + 1), shorten(label, 16), INK, font(12))
    return to_jpeg(sheet, PHOTO_BYTES)


def draw_classes(tables: Tables) -> bytes | None:
    """A bar a class: how many images have it; the number of annotations is written beside it."""
    shown: list[list[Any]] = describe_classes(tables)["shown"][:CLASSES]
    if not shown:
        return None
    sheet, draw = _new_sheet(_NAME_PX + _BAR_PX + 190, 2 * _GAP + len(shown) * 24)
    longest = max(1, *(images for _, images, _ in shown))
    for row, (label, images, annotations) in enumerate(shown):
        top, width = _GAP + row * 24, images / longest * _BAR_PX
        draw.text((_GAP, top + 2), shorten(label, 26), INK, font(13))
        if images:
            draw.rectangle((_NAME_PX, top, _NAME_PX + width, top + 18), BLUE)
        said = f"{in_groups(images)} images, {in_groups(annotations)} annotations"
        draw.text((_NAME_PX + width + 6, top + 2), said, FAINT, font(12))
    return to_jpeg(sheet, CHART_BYTES)


def draw_sizes(tables: Tables) -> bytes | None:
    """Histograms of the area of the images and of the size of their files."""
    sizes = describe_sizes(tables["manifest"])
    if not sizes["distinct"]:
        return None
    panels = {"area in pixels": sizes["area_px"], "file size in bytes": sizes["size_bytes"]}
    sheet, draw = _new_sheet(len(panels) * (_PANEL[0] + 5 * _GAP), _PANEL[1] + 52)
    for place, (words, data) in enumerate(panels.items()):
        _draw_histogram(draw, data, words, (2 * _GAP + place * (_PANEL[0] + 5 * _GAP), 30))
    return to_jpeg(sheet, CHART_BYTES)


def draw_boxes(tables: Tables) -> bytes | None:
    """Where boxes lie in their images, as a heat map, and how large they are and how many an image has."""
    boxes = describe_boxes(tables)
    if boxes is None:
        return None
    cells: list[list[int]] = boxes["heat"]
    step = 13
    side = step * len(cells)
    sheet, draw = _new_sheet(side + _PANEL[0] + 9 * _GAP, 2 * _PANEL[1] + 104)
    draw.text((2 * _GAP, _GAP), f"where {in_groups(boxes['boxes'])} boxes lie", INK, font(13))
    draw.rectangle((2 * _GAP, 30, 2 * _GAP + side - 1, 30 + side - 1), (240, 242, 245))
    for x, y, opacity, _ in plots.heat(cells):
        left, top = 2 * _GAP + x * step, 30 + y * step
        draw.rectangle((left, top, left + step - 1, top + step - 1), _mix(opacity))
    left = side + 7 * _GAP
    _draw_histogram(draw, boxes["side_ratio"], "side of a box over that of its image", (left, 30))
    _draw_histogram(draw, boxes["per_image"], "boxes of an image", (left, _PANEL[1] + 82))
    return to_jpeg(sheet, CHART_BYTES)


def _new_sheet(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (width, height), PAPER)
    return sheet, ImageDraw.Draw(sheet)


def _paste(sheet: Image.Image, thumbnail: bytes | None, place: tuple[int, int]) -> None:
    """A thumbnail in the upper left of its cell; grey where there is none."""
    if thumbnail is None:
        sheet.paste(BLANK, (*place, place[0] + SIDE_PX, place[1] + SIDE_PX))
        return
    with Image.open(io.BytesIO(thumbnail), formats=("JPEG",)) as opened:
        small = opened.convert("RGB")
    small.thumbnail((SIDE_PX, SIDE_PX))
    sheet.paste(small, place)


def _draw_boxes(draw: ImageDraw.ImageDraw, one: Mapping[str, Any], place: tuple[int, int]) -> None:
    """The boxes of a finding on its thumbnail, the meant one last; a ring where one would hardly be seen."""
    scale = min(1.0, SIDE_PX / max(plots.fit(one["size_px"])))
    boxes: Sequence[Sequence[float]] = one["boxes"]
    for box in reversed(boxes):
        drawn = plots.draw_box(box, one["size_px"])
        x, y, width, height, _ = drawn.mark
        corners = [x, y, x + width, y + height]
        if drawn.ring is not None:
            middle, centre, radius = drawn.ring
            corners = [middle - radius, centre - radius, middle + radius, centre + radius]
            draw.ellipse(list(_moved(corners, place, scale)), outline=RED, width=2)
        else:
            draw.rectangle(list(_moved(corners, place, scale)), outline=RED, width=2)


def _moved(corners: Sequence[float], place: tuple[int, int], scale: float) -> Iterator[float]:
    yield from (place[at % 2] + corner * scale for at, corner in enumerate(corners))


def _draw_histogram(draw: ImageDraw.ImageDraw, data: Mapping[str, Any], words: str, place: tuple[int, int]) -> None:
    left, top = place
    width, height = _PANEL
    draw.text((left, top - 22), words, INK, font(13))
    for bar in plots.bars(data, width, height):
        x, y = left + bar.x, top + bar.y
        draw.rectangle((x, y, x + bar.width, top + height), BLUE)
    draw.line((left, top + height, left + width, top + height), BLANK)
    for tick in plots.ticks(data, width):
        shift = tick.at / width * draw.textlength(tick.text, font(11))
        draw.text((left + tick.at - shift, top + height + 4), tick.text, FAINT, font(11))


def _mix(opacity: float) -> tuple[int, int, int]:
    """The colour of a cell: blue on paper."""
    red, green, blue = (round(paper + (ink - paper) * opacity) for paper, ink in zip(PAPER, BLUE, strict=True))
    return red, green, blue
