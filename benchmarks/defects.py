"""Ways of spoiling a photo or its boxes, each with the finding that it should make. Where they are put is not said here."""

import io
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageEnhance, ImageFilter, ImageOps

Encoded = tuple[str, bytes]
GPS_IFD, ORIENTATION = 0x8825, 0x0112


@dataclass(frozen=True)
class Defect:
    """One way of spoiling a photo: the finding it should make, how strongly, and which others it makes rightly too."""

    code: str
    strength: str
    spoil: Callable[[Image.Image, random.Random], Encoded]
    also: frozenset[str] = frozenset()


Entry = dict[str, Any]
Objects = list[Entry]


@dataclass(frozen=True)
class Spoilt:
    """One way of spoiling what a COCO file says of an image: its objects, or its own entry."""

    code: str
    strength: str
    spoil: Callable[[Objects, Entry], object]
    also: frozenset[str] = frozenset()


def jpeg(image: Image.Image, quality: int = 90, **options: Any) -> Encoded:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, **options)
    return ".jpg", out.getvalue()


def _other(image: Image.Image, kind: str, suffix: str, **options: Any) -> Encoded:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return suffix, out.getvalue()


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def _lightened(image: Image.Image, left: float) -> Image.Image:
    return Image.eval(image, lambda value: round(255 - (255 - value) * left))


def _flat(image: Image.Image, colours: int, generator: random.Random) -> Image.Image:
    stripes = [tuple(generator.randint(40, 215) for _ in range(3)) for _ in range(colours)]
    flat = Image.new("RGB", (1, colours))
    flat.putdata(stripes)
    return flat.resize(image.size, Image.Resampling.NEAREST)


def _strip(image: Image.Image, ratio: float) -> Image.Image:
    return image.crop((0, image.height // 3, image.width, image.height // 3 + round(image.width * ratio)))


def _barred(image: Image.Image, share: float, colour: str) -> Image.Image:
    """The same size as before, with a bar of `share` of the height above and below."""
    bar = round(image.height * share)
    whole = Image.new("RGB", image.size, colour)
    whole.paste(image.resize((image.width, image.height - 2 * bar)), (0, bar))
    return whole


def _framed(image: Image.Image, share: float, colour: str) -> Image.Image:
    depth = round(min(image.size) * share)
    inner = image.resize((image.width - 2 * depth, image.height - 2 * depth))
    return ImageOps.expand(inner, depth, colour)


def _moved(image: Image.Image, pixels: int) -> Image.Image:
    """As if the camera had moved sideways while the shutter was open."""
    smeared = np.mean([np.roll(np.asarray(image, np.float32), step, axis=1) for step in range(pixels)], axis=0)
    return Image.fromarray(smeared.astype(np.uint8)).crop((pixels, 0, *image.size))


def _with_exif(image: Image.Image, tag: int, value: object) -> Encoded:
    exif = Image.Exif()
    exif[tag] = value
    return jpeg(image, exif=exif)


def _see_through(image: Image.Image) -> Encoded:
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return _other(image, "PNG", ".png")


def _cut(image: Image.Image, share: float) -> Encoded:
    suffix, data = jpeg(image)
    return suffix, data[: round(len(data) * share)]


def _each(code: str, strengths: Iterable[tuple[str, Callable[..., Encoded]]], *also: str) -> list[Defect]:
    return [Defect(code, strength, spoil, frozenset(also)) for strength, spoil in strengths]


def _level(strengths: Iterable[float], change: Callable[[Image.Image, float], Image.Image]) -> Any:
    return [(f"{level:g}", lambda image, _, level=level: jpeg(change(image, level))) for level in strengths]


_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

_ODD = frozenset({"odd-box-size"})
# what is nearly black or white has hardly a colour, and its edge hardly differs
_FAINT = ("grayscale-among-colour", "constant-border")

DEFECTS: list[Defect] = [
    *_each("dark", _level((0.28, 0.2, 0.1), lambda i, s: ImageEnhance.Brightness(i).enhance(s)), "low-information", *_FAINT),
    *_each("light", _level((0.05, 0.03, 0.01), _lightened), "low-information", *_FAINT),
    *_each("blurry", _level((2, 4, 8), lambda i, s: i.filter(ImageFilter.GaussianBlur(s)))),
    *_each("blurry", [("moved 12 px", lambda i, _: jpeg(_moved(i, 12)))], "odd-size"),
    *_each("blurry", [("enlarged 5 ×", lambda i, _: jpeg(_scaled(_scaled(i, 0.2), 5)))], "odd-size"),
    *_each(
        "low-information",
        [(f"{colours} colours", lambda i, g, c=colours: jpeg(_flat(i, c, g))) for colours in (1, 2, 4)],
        "constant-border", "letterboxed", "grayscale-among-colour", "dark", "light", "blurry", "near-duplicate",
    ),
    *_each("grayscale-among-colour", [("L", lambda i, _: jpeg(i.convert("L")))], "unusual-mode"),
    *_each("grayscale-among-colour", [("as RGB", lambda i, _: jpeg(i.convert("L").convert("RGB")))]),
    *_each("grayscale-among-colour", _level((0.04,), lambda i, s: ImageEnhance.Color(i).enhance(s))),
    *_each("odd-size", _level((0.25, 0.5, 3), _scaled), "blurry"),
    *_each("odd-aspect-ratio", _level((0.3, 0.2, 0.1), _strip), "odd-size"),
    *_each("letterboxed", [(f"black {s:g}", lambda i, _, s=s: jpeg(_barred(i, s, "black"))) for s in (0.05, 0.1, 0.2)]),
    *_each("letterboxed", [("white 0.1", lambda i, _: jpeg(_barred(i, 0.1, "white")))]),
    *_each("constant-border", [(f"white {s:g}", lambda i, _, s=s: jpeg(_framed(i, s, "white"))) for s in (0.04, 0.08, 0.15)]),
    *_each("constant-border", [("teal 0.08", lambda i, _: jpeg(_framed(i, 0.08, "teal")))]),
    *_each("truncated", [(f"{s:.0%}", lambda i, _, s=s: _cut(i, s)) for s in (0.3, 0.6, 0.95)]),
    *_each("truncated", [("two bytes", lambda i, _: (".jpg", jpeg(i)[1][:-2]))]),
    *_each("cmyk", [("", lambda i, _: jpeg(i.convert("CMYK")))]),
    *_each("exif-rotated", [(f"{n}", lambda i, _, n=n: _with_exif(i, ORIENTATION, n)) for n in (3, 6)]),
    *_each("invalid-exif", [("orientation 9", lambda i, _: _with_exif(i, ORIENTATION, 9))]),
    *_each("invalid-exif", [("broken", lambda i, _: jpeg(i, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"))]),
    *_each("gps-present", [("", lambda i, _: _with_exif(i, GPS_IFD, {1: "N", 2: (47.0, 22.0, 0.0)}))]),
    *_each("colour-profile", [("", lambda i, _: jpeg(i, icc_profile=_PROFILE))]),
    *_each("transparent", [("", lambda i, _: _see_through(i))], "unusual-mode"),
    *_each("unusual-mode", [("P", lambda i, _: _other(i.quantize(64), "PNG", ".png"))]),
    *_each(
        "unusual-bit-depth",
        [("16", lambda i, _: _other(Image.fromarray(np.asarray(i.convert("L"), np.uint16) * 257), "PNG", ".png"))],
        "unusual-mode", "grayscale-among-colour",
    ),
    *_each(
        "animated",
        [("3 frames", lambda i, _: _other(i, "GIF", ".gif", save_all=True, append_images=[i.rotate(5), i.rotate(9)]))],
        "unusual-mode",
    ),
    *_each("extension-differs", [("PNG as .jpg", lambda i, _: (".jpg", _other(i, "PNG", "")[1]))]),
    *_each("extension-differs", [("none", lambda i, _: ("", jpeg(i)[1]))]),
]  # fmt: skip

COPIES: list[Defect] = [
    Defect("exact-duplicate", "", lambda i, _: jpeg(i)),
    Defect("near-duplicate", "quality 60", lambda i, _: jpeg(i, 60)),
    Defect("near-duplicate", "90 % size", lambda i, _: jpeg(_scaled(i, 0.9))),
    Defect("near-duplicate", "60 % size", lambda i, _: jpeg(_scaled(i, 0.6), 75), frozenset({"odd-size"})),
    Defect("near-duplicate", "lighter", lambda i, _: jpeg(ImageEnhance.Brightness(i).enhance(1.15))),
    Defect("near-duplicate", "cropped 2 %", lambda i, _: jpeg(ImageOps.crop(i, round(min(i.size) * 0.02)))),
]


def _out(by_px: float) -> Callable[[Objects, Entry], object]:
    return lambda objects, image: _box(objects, image["width"] - objects[0]["bbox"][2] + by_px)


def _box(objects: Objects, x: float | None = None, *, width: float | None = None, height: float | None = None) -> None:
    """Change the first box of an image; what is not given stays."""
    given = (x, None, width, height)
    objects[0]["bbox"] = [old if new is None else new for old, new in zip(objects[0]["bbox"], given, strict=True)]


def _fill(objects: Objects, image: Entry, share: float) -> None:
    objects[0]["bbox"] = [0, 0, share * image["width"], share * image["height"]]


def _shrink(objects: Objects, _: Entry) -> None:
    x, y, width, height = objects[0]["bbox"]
    objects[0]["bbox"] = [x, y, width / 9, height / 9]


def _double(objects: Objects, **changes: Any) -> None:
    objects.append({**objects[0], **changes})


def _beside(objects: Objects, _: Entry) -> None:
    x, *others = objects[0]["bbox"]
    _double(objects, bbox=[x + 1, *others])


# of the objects of one image in a COCO file (the first is spoilt) and of the entry of the image itself
SPOILT_OBJECTS: list[Spoilt] = [
    *(Spoilt("box-out-of-bounds", f"{px} px", _out(px)) for px in (1, 5, 50)),
    Spoilt("box-without-area", "flat", lambda o, i: _box(o, width=0)),
    Spoilt("box-without-area", "inverted", lambda o, i: _box(o, width=-o[0]["bbox"][2])),
    *(Spoilt("tiny-box", f"{px} px", lambda o, i, px=px: _box(o, width=px, height=px), _ODD) for px in (1, 2)),
    Spoilt("box-covers-image", "whole", lambda o, i: _fill(o, i, 1), _ODD),
    Spoilt("odd-box-size", "9 × the sides", lambda o, i: _fill(o, i, 0.8)),
    Spoilt("odd-box-size", "1/9 of the sides", _shrink, frozenset({"tiny-box"})),
    Spoilt("duplicate-box", "same", lambda o, i: _double(o)),
    Spoilt("duplicate-box", "one pixel off", _beside),
    Spoilt("duplicate-box", "other label", lambda o, i: _double(o, category_id=1 - o[0]["category_id"])),
    Spoilt("label-differs-by-case", "", lambda o, i: o[0].update(category_id=2), frozenset({"unknown-label"})),
    Spoilt("unknown-label", "case", lambda o, i: o[0].update(category_id=2), frozenset({"label-differs-by-case"})),
    Spoilt("unknown-label", "other", lambda o, i: o[0].update(category_id=3)),
    Spoilt("label-with-space", "", lambda o, i: o[0].update(category_id=4), frozenset({"unknown-label"})),
    Spoilt("declared-size-differs", "swapped", lambda o, i: i.update(width=i["height"], height=i["width"])),
    Spoilt("declared-size-differs", "halved", lambda o, i: i.update(width=i["width"] / 2, height=i["height"] / 2)),
    Spoilt("label-without-file", "", lambda o, i: i.update(file_name=f"lost/{i['id']}.jpg")),
    Spoilt("file-without-label", "", lambda o, i: (o.clear(), i.clear())),
]
