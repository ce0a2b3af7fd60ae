"""New pictures from untrusted ones: thumbnails to look at, upright copies to train on. Runs inside a decoding worker."""

import io
from typing import Final

from PIL import Image

from cv_assets.domain.orientation import turn_upright
from cv_assets.domain.probing import careful_decoding, open_image, read_orientation
from schemas.images import Limits

# Lossy formats are saved once more, at a quality where the loss is below what a decoder's rounding makes of it.
JPEG_QUALITY: Final = 95
THUMBNAIL_QUALITY: Final = 80


def _decode_upright(data: bytes, draft_px: int | None = None) -> tuple[Image.Image, str]:
    """First frame of an accepted image, turned upright, and Pillow's name of its format."""
    with careful_decoding(Limits()):
        image, name = open_image(data)
        pillow_name = image.format or ""
        before = read_orientation(image)[0] if name == "tiff" else None
        if draft_px is not None:
            image.draft("RGB", (draft_px, draft_px))
        image.load()
        orientation = read_orientation(image)[0] if before is None else 1
        return turn_upright(image, orientation), pillow_name


def thumbnail(data: bytes, side_px: int) -> bytes:
    """A JPEG of at most `side_px` × `side_px` pixels, upright, without any metadata of the original."""
    image, _ = _decode_upright(data, draft_px=2 * side_px)
    image = image.getchannel("L") if image.mode == "LAB" else image
    small = image.convert("RGB")
    small.thumbnail((side_px, side_px))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=THUMBNAIL_QUALITY)
    return out.getvalue()


def upright_bytes(data: bytes) -> bytes:
    """The same picture with its pixels upright and no orientation tag, in the same format.

    JPEG is saved at quality 95 without chroma subsampling; every other format without loss. Equal input gives
    equal bytes for one version of Pillow.
    """
    image, name = _decode_upright(data)
    out = io.BytesIO()
    icc = image.info.get("icc_profile")
    if name in {"JPEG", "MPO"}:
        image.save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0, icc_profile=icc)
    elif name == "WEBP":
        image.save(out, "WEBP", lossless=True, exact=True, icc_profile=icc)
    else:
        image.save(out, name)
    return out.getvalue()
