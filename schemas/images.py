"""What is known of one image after its one decode. Plain records, so that a decoding worker starts fast."""

from dataclasses import dataclass

from schemas.codes import ImageFormat, Note, ProbeReason


@dataclass(frozen=True, slots=True)
class Limits:
    """What an image may ask of the machine; checked before its pixels are decoded.

    Sizes are in bytes, sides and areas in pixels of the stored image. It is measured on a copy (reducing.py) whose shorter
    side has at least `min_measured_side_px` pixels, unless the image has fewer.
    """

    max_bytes: int = 64_000_000
    max_pixels: int = 64_000_000
    min_side_px: int = 8
    max_frames: int = 1_000
    min_measured_side_px: int = 64


@dataclass(frozen=True, slots=True)
class Measures:
    """What the pixels look like, from the reduced upright image; each rounded, so that no CPU's last bits show.

    Brightness is perceived brightness over 255; shares and ratios run from 0 to 1.
    """

    brightness_ratio: float
    brightness_p05_ratio: float
    brightness_p99_ratio: float
    contrast_ratio: float
    sharpness: float
    entropy_bits: float
    colour_ratio: float
    bars_ratio: float
    border_ratio: float


@dataclass(frozen=True, slots=True)
class Probe:
    """An accepted image: width and height in pixels of the *upright* image, phash as 16 hex digits."""

    format: ImageFormat
    width_px: int
    height_px: int
    channels: int
    mode: str
    bit_depth: int
    exif_orientation: int
    frames: int
    phash: str
    measures: Measures
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejection:
    """An image that was not accepted: a closed reason, and one line that says what was found."""

    reason: ProbeReason
    detail: str
