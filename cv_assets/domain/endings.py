"""Where an image file ends by its own account: what lies behind its end marker is no part of it.

Only the formats that have an end are walked, marker by marker: JPEG, PNG, GIF and WebP.
"""

import re
import struct
from collections.abc import Callable
from typing import Final

from cv_assets.domain.formats import sniff
from schemas.codes import ImageFormat

# every marker but stuffed zeros, restarts and those that stand alone; ITU T.81, annex B
# (fill bytes before a marker need no pattern: the last of them is found, at a hundredth of the time)
_JPEG_MARKER: Final = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")
_JPEG_END: Final = b"\xd9"
_GIF_EXTENSION: Final = 0x21
_GIF_IMAGE: Final = 0x2C
_GIF_END: Final = 0x3B


def has_end(name: ImageFormat) -> bool:
    """Does a file of this format say where it ends?"""
    return name in _WALKS


def find_end(data: bytes, name: ImageFormat) -> int | None:
    """Offset of the first byte behind the end marker, or None if there is no such marker.

    A file that was cut off may place its end beyond its last byte. Raises KeyError for a format without an end.
    """
    return _WALKS[name](data)


def declares_more(data: bytes) -> bool:
    """Does a file say that it is longer than it is? One that merely lacks its end may be damaged in another way."""
    name = sniff(data)
    end = find_end(data, name) if name is not None and has_end(name) else None
    return end is not None and end > len(data)


def _jpeg_end(data: bytes) -> int | None:
    if data.endswith(b"\xff\xd9"):  # nearly every file, and a walk through its pixels is a twentieth of their decode
        return len(data)
    at = 2
    while found := _JPEG_MARKER.search(data, at):
        at = found.end()
        if found[1] == _JPEG_END:
            return at
        at += max(2, int.from_bytes(data[at : at + 2]))  # a segment's length counts itself
    return None


def _png_end(data: bytes) -> int | None:
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + length
        if kind == b"IEND":
            return at
    return None


def _gif_end(data: bytes) -> int | None:
    try:
        at = 13 + _gif_colours(data[10])
        while data[at] != _GIF_END:
            if data[at] == _GIF_EXTENSION:
                at = _behind_blocks(data, at + 2)
            elif data[at] == _GIF_IMAGE:
                at = _behind_blocks(data, at + 10 + _gif_colours(data[at + 9]) + 1)
            else:
                at += 1  # what stands between blocks is skipped by decoders too
    except IndexError:
        return None
    return at + 1


def _gif_colours(flags: int) -> int:
    """Bytes of the colour table that these flags announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _behind_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += data[at] + 1
    return at + 1


def _webp_end(data: bytes) -> int:
    size = int.from_bytes(data[4:8], "little")
    return 8 + size + size % 2


_WALKS: Final[dict[ImageFormat, Callable[[bytes], int | None]]] = {
    "jpeg": _jpeg_end,
    "png": _png_end,
    "gif": _gif_end,
    "webp": _webp_end,
}
