"""How a report spells things: foreign text, cut to what there is room for, and numbers. Escaping is done where it is shown."""

import json
import math
import unicodedata
from collections.abc import Callable
from typing import Any, Final

PATH_LENGTH: Final = 120
LABEL_LENGTH: Final = 40
VALUE_LENGTH: Final = 90
# what stands for a number that is none: files may say boxes whose area nobody can count
NO_NUMBER: Final = "–"
# up to here a whole number is told as it is
_LEAST_IN_THOUSANDS: Final = 9_999.5
_DIGITS: Final = 6
# no script needs more accents on one letter; a heap of them covers the lines above
MARKS_ON_A_LETTER: Final = 3


def visible(text: str) -> str:
    """`text` with everything spelled out that a reader would not see, or that would move or cover what stands around it."""
    if text.isascii() and text.isprintable():
        return text
    kept: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char).startswith("M") else 0
        if marks <= MARKS_ON_A_LETTER:
            kept.append(char if char.isprintable() else f"⟨U+{ord(char):04X}⟩")
        elif marks == MARKS_ON_A_LETTER + 1:
            kept.append("…")
    return "".join(kept)


def shortened_path(path: str) -> str:
    """Of a long path both ends: folders tell where it is from, the last name what it is."""
    half = PATH_LENGTH // 2
    return path if len(path) <= PATH_LENGTH else f"{path[: half - 1]}…{path[-half:]}"


def shortened_label(label: str) -> str:
    """A label as far as it fits a chart; the beginning tells it apart."""
    return label if len(label) <= LABEL_LENGTH else f"{label[: LABEL_LENGTH - 1]}…"


def shortened_value(value: Any) -> Any:
    """A value of a finding's evidence: a number or a yes or no as it is, anything else as text of bounded length."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return plain_number(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= VALUE_LENGTH else f"{text[: VALUE_LENGTH - 1]}…"


def plain_number(value: float | None) -> float | None:
    """A number of six significant digits, or None for one that JSON cannot hold."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def in_groups(count: int) -> str:
    """A whole number for people: 12,345."""
    return f"{count:,}"


def figure(value: float | None, digits: int = 4) -> str:
    """A measured number for people: so many digits that count, and every one before the point."""
    if value is None:
        return NO_NUMBER
    # what it is once it is rounded decides on the unit: 999,500 is 1M
    rounded = float(f"{value:.3g}") if abs(value) >= _LEAST_IN_THOUSANDS else value
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(rounded) >= max(factor, _LEAST_IN_THOUSANDS):
            scaled = rounded / factor
            return f"{scaled:.3g}{suffix}" if abs(scaled) < 1e3 else f"{scaled:.0f}{suffix}"
    text = f"{value:.{digits}g}"
    return text if value % 1 and abs(value) < 1e3 and "e+" not in text else f"{value:.0f}"


def short_figure(value: float | None) -> str:
    """A measured number for people, where many stand side by side."""
    return figure(value, 3)


def in_percent(share: float | None) -> str:
    """A share for people."""
    if share is None:
        return NO_NUMBER
    return f"{share:.0%}" if share >= 0.1 or share == 0 else f"{share:.1%}"


def in_bytes(size_bytes: float | None) -> str:
    """A size for people."""
    if size_bytes is None:
        return NO_NUMBER
    # the least of each is what would be 1000 of the unit before, once it is rounded
    for unit, factor, least in (("GB", 1e9, 999.95e6), ("MB", 1e6, 999.95e3), ("kB", 1e3, 999.5)):
        if size_bytes >= least:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes:.0f} B"


# of a column's name what is its unit, and how a value of it is spelled; without one it is a plain figure
_UNITS: Final[dict[str, Callable[[float], str]]] = {
    "_px": lambda value: f"{figure(value)} px",
    "_bytes": in_bytes,
    "_ratio": short_figure,
    "_bits": short_figure,
}


def fact(item: tuple[str, Any]) -> str:
    """A name and a value of a finding's evidence in words: height_px 480 as `height 480 px`."""
    name, value = item
    if name == "detail":  # a sentence by itself
        return str(value)
    unit = next((one for one in _UNITS if name.endswith(one)), "")
    words = name.removesuffix(unit).replace("_", " ")
    if isinstance(value, bool):
        return words if value else f"not {words}"
    if isinstance(value, int | float):
        return f"{words} {_UNITS.get(unit, figure)(value)}"
    return f"{words}: {value}"


def plural(count: int, noun: str) -> str:
    """A count of something, such as 2 boxes or 1 property."""
    if count == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{in_groups(count)} {noun[:-1]}ies"
    return f"{in_groups(count)} {noun}{'es' if noun.endswith(('s', 'x')) else 's'}"


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "count": in_groups,
    "figure": figure,
    "short": short_figure,
    "percent": in_percent,
    "size": in_bytes,
    "fact": fact,
    "of": plural,
}
