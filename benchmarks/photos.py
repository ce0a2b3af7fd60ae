"""Photos to measure on: drawn, as large and as hard to decode as those of a camera's small JPEGs. Equal counts, equal bytes."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH_PX, HEIGHT_PX, QUALITY = 500, 375, 92


def draw_photos(folder: Path, count: int) -> list[Path]:
    """`count` JPEGs of about 98 kB each in ten class folders; those that are there already are left alone."""
    paths = [folder / f"class{number % 10}" / f"{number:06d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(draw_photo(number))
    return paths


def draw_photo(number: int) -> bytes:
    """One JPEG of about 98 kB; equal numbers, equal bytes."""
    generator = np.random.default_rng(number)
    coarse = generator.integers(0, 255, (12, 16, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BICUBIC), dtype=np.int16)
    grain = generator.normal(0, 14, (HEIGHT_PX, WIDTH_PX, 1)).astype(np.int16)
    out = io.BytesIO()
    Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
