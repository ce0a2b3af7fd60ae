"""A small data set that needs no download: shapes on paper, with the defects that real uploads have. Equal seeds, equal bytes."""

import io
import random
from collections.abc import Iterator
from typing import Final

from PIL import Image, ImageChops, ImageDraw

CLASSES: Final = ("circle", "square", "triangle")
CAMERAS: Final = 8
SHOTS: Final = 5
SIDE_PX: Final = 96


def draw_uploads(seed: int) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of each file: CLASS/cameraNN_N.{jpg,png}, 120 plain images and five files that are not.

    Two names for the same bytes, one photo that its EXIF tag turns, one cut-off JPEG, one text file.
    """
    generator = random.Random(seed)
    for label in CLASSES:
        for camera in range(1, CAMERAS + 1):
            for shot in range(1, SHOTS + 1):
                extension = "png" if shot == SHOTS else "jpg"
                yield f"{label}/camera{camera:02d}_{shot}.{extension}", _encode(_draw(label, generator), extension)
    turned = _draw("triangle", generator)
    yield "triangle/camera01_turned.jpg", _encode(turned, "jpg", orientation=6)
    whole = _encode(_draw("circle", generator), "jpg")
    yield "circle/camera02_cut_off.jpg", whole[: len(whole) // 2]
    repeated = _encode(_draw("square", generator), "jpg")
    yield "square/camera03_again.jpg", repeated
    yield "square/camera03_once.jpg", repeated
    yield "square/notes.txt", b"Camera 3 was moved on the second day.\n"


def _draw(label: str, generator: random.Random) -> Image.Image:
    paper = tuple(generator.randint(190, 250) for _ in range(3))
    ink = tuple(generator.randint(20, 150) for _ in range(3))
    image = Image.new("RGB", (SIDE_PX, SIDE_PX + 16), paper)
    draw = ImageDraw.Draw(image)
    size = generator.randint(24, 60)
    left, top = generator.randint(4, SIDE_PX - size - 4), generator.randint(4, SIDE_PX - size)
    box = (left, top, left + size, top + size)
    if label == "circle":
        draw.ellipse(box, fill=ink)
    elif label == "square":
        draw.rectangle(box, fill=ink)
    else:
        draw.polygon([(left, top + size), (left + size, top + size), (left + size // 2, top)], fill=ink)
    return _photograph(image, generator)


def _photograph(image: Image.Image, generator: random.Random) -> Image.Image:
    """The picture under a light from above, with grain: as a camera sees it, and no two alike."""
    light = Image.linear_gradient("L").resize(image.size).point([value // 5 for value in range(256)])
    grain = Image.frombytes("L", image.size, generator.randbytes(image.width * image.height))
    shade = ImageChops.add(light, grain.point([value // 16 for value in range(256)]))
    return ImageChops.subtract(image, Image.merge("RGB", (shade, shade, shade)))


def _encode(image: Image.Image, extension: str, *, orientation: int | None = None) -> bytes:
    out = io.BytesIO()
    if extension == "png":
        image.save(out, "PNG")
        return out.getvalue()
    if orientation is None:
        image.save(out, "JPEG", quality=90)
        return out.getvalue()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(out, "JPEG", quality=90, exif=exif)
    return out.getvalue()
