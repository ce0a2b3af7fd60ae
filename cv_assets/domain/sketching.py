"""What every drawing of ours has in common: its font, its colours, names cut to fit, and a JPEG that stays small."""

import io
from functools import cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

INK: Final = (30, 34, 42)
FAINT: Final = (120, 126, 136)
PAPER: Final = (255, 255, 255)
BLANK: Final = (225, 225, 225)
BLUE: Final = (46, 110, 180)
RED: Final = (196, 66, 60)
QUALITIES: Final = (75, 60, 45, 30, 15)


def font(size_px: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """The font that comes with Pillow, so that a drawing is the same on every machine."""
    return ImageFont.load_default(size_px)


def shorten(text: str, most: int) -> str:
    """A name from the data as one line of at most so many characters; what the font cannot draw is spelled, as `\\xe4`.

    It has ASCII and little more, and draws one box for all else: names in Hebrew or Chinese would look alike.
    """
    drawn = [char if _has_glyph(char) else char.encode("unicode_escape").decode() for char in text[: most + 1]]
    if len("".join(drawn)) <= most:
        return "".join(drawn)
    while len("".join(drawn)) >= most:
        del drawn[-1]  # whole: half an escape would name another character
    return "".join(drawn) + "…"


@cache
def _has_glyph(char: str) -> bool:
    return char.isprintable() and _drawn(char) != _drawn("\uffff")


def _drawn(char: str) -> bytes:
    """A character's pixels; the same for all that the font lacks."""
    paper = Image.new("L", (48, 48))
    ImageDraw.Draw(paper).text((0, 0), char, 255, font(32))
    return paper.tobytes()


def to_jpeg(sheet: Image.Image, most_bytes: int) -> bytes:
    """A JPEG of the best quality that stays within `most_bytes`, or else of the lowest."""
    data = b""
    for quality in QUALITIES:
        out = io.BytesIO()
        sheet.save(out, "JPEG", quality=quality)
        data = out.getvalue()
        if len(data) <= most_bytes:
            break
    return data
