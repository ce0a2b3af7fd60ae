"""EXIF orientation, decided once: how a stored image and its boxes turn into the upright one.

Orientation values and their meaning: Exif 2.3, CIPA DC-008, tag 0x0112.
"""

from typing import Final

from PIL import Image

SWAPS_SIDES: Final = frozenset({5, 6, 7, 8})

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Box = tuple[float, float, float, float]


def upright_size(width_px: int, height_px: int, orientation: int) -> tuple[int, int]:
    """(width, height) of the upright image, in pixels, from those of the stored one."""
    return (height_px, width_px) if orientation in SWAPS_SIDES else (width_px, height_px)


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """The upright pixels of a decoded image whose file says `orientation` (1 to 8)."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def upright_box(box: Box, size: tuple[int, int], orientation: int) -> Box:
    """A box of the stored image as a box of the upright one.

    `box` is (x_min, y_min, x_max, y_max) in pixels of the stored image, `size` its (width, height).
    The corners come back ordered. Raises ValueError for an orientation outside 1 to 8.
    """
    if orientation not in range(1, 9):
        raise ValueError(f"expected an EXIF orientation from 1 to 8, found {orientation}")
    corners = (
        upright_point(box[0], box[1], size, orientation),
        upright_point(box[2], box[3], size, orientation),
    )
    xs = sorted(x for x, _ in corners)
    ys = sorted(y for _, y in corners)
    return (xs[0], ys[0], xs[1], ys[1])


def upright_point(x: float, y: float, size: tuple[int, int], orientation: int) -> tuple[float, float]:
    """A point of the stored image, whose (width, height) is `size`, as one of the upright image."""
    width, height = size
    return {
        1: (x, y),
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (height - y, x),
        7: (height - y, width - x),
        8: (y, width - x),
    }[orientation]
