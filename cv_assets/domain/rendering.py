"""New pictures from untrusted ones: thumbnails to look at, upright copies to train on. Runs inside a decoding worker."""

import io
from typing import Any, Final

from PIL import Image

from cv_assets.domain.metadata import read_orientation
from cv_assets.domain.orientation import turn_upright
from cv_assets.domain.probing import careful_decoding, open_image
from cv_assets.domain.reducing import is_deep, reduce_image
from schemas.images import Limits

# Lossy formats are saved once more, at a quality where the loss is below what a decoder's rounding makes of it.
JPEG_QUALITY: Final = 95
THUMBNAIL_QUALITY: Final = 80


def _decode_upright(data: bytes, limits: Limits, draft_px: int | None = None) -> tuple[Image.Image, str]:
    """First frame of an accepted image, turned upright, and Pillow's name of its format."""
    with careful_decoding(limits):
        image, name = open_image(data)
        pillow_name = image.format or ""
        before = read_orientation(image)[0] if name == "tiff" else None
        if draft_px is not None:
            image.draft("RGB", (draft_px, draft_px))
        image.load()
        orientation = read_orientation(image)[0] if before is None else 1
        return turn_upright(image, orientation), pillow_name


def thumbnail(data: bytes, limits: Limits, side_px: int) -> bytes:
    """A JPEG of at most `side_px` × `side_px` pixels, upright, without any metadata of the original."""
    image, _ = _decode_upright(data, limits, draft_px=2 * side_px)
    image = image.getchannel("L") if image.mode == "LAB" else image
    small = (reduce_image(image, side_px) if is_deep(image) else image).convert("RGB")
    small.info = {}  # a comment in it would be written again
    small.thumbnail((side_px, side_px))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=THUMBNAIL_QUALITY)
    return out.getvalue()


def upright_bytes(data: bytes, limits: Limits) -> bytes:
    """The first frame with its pixels upright and no orientation in any metadata, in the same format.

    JPEG is saved at quality 95 without chroma subsampling; every other format without loss of what Pillow decodes
    (8 bits a channel for colour). Colour profile and transparency are kept. Equal input gives equal bytes for one
    version of Pillow.
    """
    image, name = _decode_upright(data, limits)
    options: dict[str, Any] = {"icc_profile": image.info.get("icc_profile")}
    if name in {"JPEG", "MPO"}:
        name, options = "JPEG", {**options, "quality": JPEG_QUALITY, "subsampling": 0}
    elif name == "WEBP":
        options |= {"lossless": True, "exact": True}
    plain = image.copy()  # without the tags of the file: EXIF and XMP would turn it once more
    plain.info = {key: value for key, value in image.info.items() if key == "transparency"}
    out = io.BytesIO()
    plain.save(out, name, **options)
    return out.getvalue()
