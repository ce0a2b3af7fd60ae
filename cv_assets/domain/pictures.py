"""Pictures for people: a contact sheet of classes, bars of splits. Names from the data are drawn as pixels, never as markup."""

import io
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl
from PIL import Image, ImageDraw

from cv_assets.domain.sketching import BLANK, INK, PAPER, font, shorten, to_jpeg

THUMBNAIL_PX: Final = 72
THUMBNAILS_PER_CLASS: Final = 6
CLASSES_SHOWN: Final = 12
BARS_SHOWN: Final = 40
# Dagster keeps metadata more than once: a sheet stays small, whatever the dataset
_SHEET_BYTES: Final = 60_000
_GAP: Final = 6
_NAME_PX: Final = 190
_ROW_PX: Final = 22
_BAR_PX: Final = 420
COLOURS: Final = (
    (46, 110, 180),
    (240, 160, 50),
    (70, 160, 110),
    (190, 80, 120),
    (120, 100, 180),
    (110, 110, 110),
)


def sheet_plan(manifest: pl.DataFrame) -> dict[str, list[str]]:
    """Class → image ids to show: the largest classes, and of each the first images by id (which is a fair draw)."""
    one_row = _by_label(manifest.select("image_id", "labels"))
    by_class = one_row.group_by("labels").agg(pl.col("image_id").sort(), pl.len().alias("images"))
    shown = by_class.sort("images", "labels", descending=[True, False]).head(CLASSES_SHOWN)
    return {label: ids[:THUMBNAILS_PER_CLASS] for label, ids in shown.select("labels", "image_id").iter_rows()}


def contact_sheet(plan: Mapping[str, Sequence[str]], thumbnails: Mapping[str, bytes]) -> bytes:
    """A JPEG with a row a class: its name, then its images. `thumbnails` maps image id → JPEG; a missing one stays grey."""
    cell = THUMBNAIL_PX + _GAP
    sheet = Image.new("RGB", (_NAME_PX + THUMBNAILS_PER_CLASS * cell, _GAP + max(1, len(plan)) * cell), PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, (label, ids) in enumerate(plan.items()):
        top = _GAP + row * cell
        draw.text((_GAP, top + THUMBNAIL_PX // 2 - 8), shorten(label, 26), INK, font(13))
        for column, image_id in enumerate(ids):
            left = _NAME_PX + column * cell
            if image_id in thumbnails:
                with Image.open(io.BytesIO(thumbnails[image_id]), formats=("JPEG",)) as thumbnail:
                    shift = ((THUMBNAIL_PX - thumbnail.width) // 2, (THUMBNAIL_PX - thumbnail.height) // 2)
                    sheet.paste(thumbnail, (left + shift[0], top + shift[1]))
            else:
                draw.rectangle((left, top, left + THUMBNAIL_PX, top + THUMBNAIL_PX), BLANK)
    return to_jpeg(sheet, _SHEET_BYTES)


def class_bars(manifest: pl.DataFrame, splits: pl.DataFrame, names: Sequence[str]) -> bytes:
    """A JPEG with a bar a class, cut by split in the order of `names`, the count of images of each part written in it."""
    dealt = splits.drop_nulls("split").join(manifest.select("image_id", "labels"), on="image_id")
    counts = _by_label(dealt).group_by("labels", "split").len()
    table: dict[str, dict[str, int]] = {}
    for label, split, number in counts.iter_rows():
        table.setdefault(label, {})[split] = number
    largest_first = sorted(table.items(), key=lambda item: (-sum(item[1].values()), item[0]))[:BARS_SHOWN]
    longest = max((sum(parts.values()) for _, parts in largest_first), default=1)
    height = (len(largest_first) + 1) * (_ROW_PX + 4) + _GAP
    sheet = Image.new("RGB", (_NAME_PX + _BAR_PX + 60, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    _draw_legend(draw, names)
    for row, (label, parts) in enumerate(largest_first, start=1):
        top = _GAP + row * (_ROW_PX + 4)
        draw.text((_GAP, top + 3), shorten(label, 26), INK, font(13))
        left = float(_NAME_PX)
        for place, name in enumerate(names):
            width = parts.get(name, 0) / longest * _BAR_PX
            if width:  # one of no width would be drawn a pixel wide
                draw.rectangle((left, top, left + width, top + _ROW_PX), _colour(place))
            if width > 24:
                draw.text((left + 4, top + 3), str(parts.get(name, 0)), PAPER, font(13))
            left += width
        draw.text((left + 6, top + 3), str(sum(parts.values())), INK, font(13))
    return to_jpeg(sheet, _SHEET_BYTES)


def _by_label(images: pl.DataFrame) -> pl.DataFrame:
    """A row for each image and label of it; one that has none is shown, too."""
    return images.explode("labels", empty_as_null=True).with_columns(pl.col("labels").fill_null("(no label)"))


def _draw_legend(draw: ImageDraw.ImageDraw, names: Sequence[str]) -> None:
    left = float(_NAME_PX)
    for place, name in enumerate(names):
        draw.rectangle((left, _GAP, left + 14, _GAP + 14), _colour(place))
        draw.text((left + 20, _GAP), name, INK, font(13))
        left += 40 + draw.textlength(name, font(13))


def _colour(place: int) -> tuple[int, int, int]:
    return COLOURS[place % len(COLOURS)]
