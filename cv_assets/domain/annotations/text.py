"""Words about foreign content: details that fit a line, and strings that a table can hold. No parsing."""

import re
import reprlib
from typing import Final

DETAIL_LENGTH: Final = 200

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_REPR: Final = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80


def shortened(text: str) -> str:
    """`text` as one printable line of at most 200 characters."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:DETAIL_LENGTH])


def shown(value: object) -> str:
    """`value` as a reader of a detail sees it: quoted, and cut however long it is."""
    return _REPR.repr(value)


def listed(names: list[str]) -> str:
    """Names for a detail, the first eight of them; `nothing` if there are none."""
    more = f", … ({len(names)} in all)" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more if names else "nothing"


def is_storable(text: str) -> bool:
    """Can the text be written as UTF-8? A lone surrogate, which JSON may spell as \\ud800, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(text: str) -> str:
    """The text with each lone surrogate spelled out, so that a table can hold it."""
    return text if is_storable(text) else text.encode("utf-8", "backslashreplace").decode()


def lines_of(text: str) -> list[str]:
    """Lines of a text file with any newline; `str.splitlines` would also break at form feeds and U+2028."""
    return _LINE_END.split(text)
