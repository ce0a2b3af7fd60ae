"""Labels in a CSV file with a header: one row an image or a box. UTF-8, any newline, cells up to 131,072 characters."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from cv_assets.domain.annotations.boxes import number_in, to_box
from cv_assets.domain.annotations.records import Entry, unparsable
from cv_assets.domain.annotations.text import listed, shown
from cv_assets.domain.probing import one_line
from schemas.datasets import ColumnNames, DatasetConfig


class _Layout(NamedTuple):
    """Where in a row each thing stands."""

    header: list[str]
    image: int
    label: int
    corners: tuple[int, ...]
    is_spaced: bool  # is the table written with space round its cells, as its header shows? Else a label has it

    @property
    def others(self) -> dict[int, str]:
        needed = {self.image, self.label, *self.corners}
        return {place: name for place, name in enumerate(self.header) if place not in needed}


def parse(data: bytes, path: str, config: DatasetConfig) -> Iterator[Entry]:
    """The rows of one file; its place is the line in which a row ends.

    What the reader of the standard library refuses ends the file: what follows an open quote means nothing.
    """
    lines = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
    rows = ((row, str(lines.line_num)) for row in lines if row)
    is_cut = not data.endswith((b"\n", b"\r"))
    try:
        first_row, _ = next(rows, (list[str](), ""))
        layout = _layout(first_row, config.annotations.columns)
        if isinstance(layout, Entry):
            yield layout
            return
        others = layout.others
        for row, line, is_last in _told_last(rows):
            if is_last and is_cut and len(row) <= max(layout.corners, default=-1):
                # with the box, half of the label may be lost
                yield unparsable(f"the file ends within a row, after {len(row)} cells of {len(layout.header)}", line)
            else:
                yield _entry(row, line, layout, others)
    except csv.Error as error:
        yield unparsable(f"line {lines.line_num}, the rest is not read: {one_line(error)}")


def _told_last(rows: Iterator[tuple[list[str], str]]) -> Iterator[tuple[list[str], str, bool]]:
    """Each row with its line, and whether it is the last one."""
    before: tuple[list[str], str] | None = None
    try:
        for row in rows:
            if before is not None:
                yield (*before, False)
            before = row
    except csv.Error:
        if before is not None:
            yield (*before, False)
        raise
    if before is not None:
        yield (*before, True)


def _layout(first_row: list[str], columns: ColumnNames) -> _Layout | Entry:
    header = [name.strip() for name in first_row]
    named = Counter(filter(None, header))
    if twice := [name for name, count in named.items() if count > 1]:
        cure = "which of them counts is not told: rename or delete all but one"
        return unparsable(f"expected columns of different names, found several named {listed(twice)}; {cure}")
    needed = [columns.image, columns.label, *(columns.corners or ())]
    wrong = [name for name in needed if name not in header]
    if wrong:
        separated = ", separated by commas" if len(header) == 1 else ""
        return unparsable(
            f"expected one column named {' and one named '.join(wrong)}{separated}, found {listed(header)}"
        )
    image, label, *corners = map(header.index, needed)
    return _Layout(header, image, label, tuple(corners), is_spaced=first_row[label] != header[label])


def _entry(row: list[str], line: str, layout: _Layout, others: dict[int, str]) -> Entry:
    missing = len(layout.header) - len(row)
    if missing < 0:
        return unparsable(f"expected at most {len(layout.header)} cells, found {len(row)}", line)
    row = row + [""] * missing
    named, label = row[layout.image].strip(), row[layout.label]
    label = label.strip() if layout.is_spaced or not label.strip() else label
    if not named:
        return unparsable("expected the name of an image, found an empty cell", line)
    if label.startswith(('[{"', '{"')):
        cure = "of Label Studio, export COCO, YOLO or Pascal VOC instead"
        return unparsable(f"expected the name of a class, found JSON, {shown(label)}: {cure}", line)
    corners = [row[place] for place in layout.corners]
    box = to_box([number_in(cell) for cell in corners])
    is_bad = box is None and any(corners)
    return Entry(
        place=line,
        named=named,
        label=label or None,
        box=box,
        attributes={name: row[place] for place, name in others.items()},
        context={layout.header[layout.image]: named, layout.header[layout.label]: label},
        reason=("invalid-box" if is_bad else None) if label else "no-label",
        detail=f"expected four finite numbers, found {shown(corners)}" if is_bad else None,
    )
