"""What every drawing of ours has in common: its font, its colours, names cut to fit, and a JPEG that stays small."""

import io
from typing import Final

from PIL import Image, ImageFont

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
    """A name from the data as one line of at most so many characters; what does not print is a replacement character."""
    printable = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: most + 1])
    return printable if len(text) <= most else printable[: most - 1] + "…"


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
