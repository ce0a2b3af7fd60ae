"""Small files that promise much: each is refused from its header, at once and without memory."""

import base64
import functools
import json
import struct
import subprocess
import sys
import zlib

import pytest
from PIL import Image

from cv_assets.domain.probing import probe
from cv_assets_tests.domain.images import encode, picture, png, png_chunk, tiff
from resources.settings import PROJECT_ROOT
from schemas.images import Limits, Rejection


def many_frames(frames):
    """A GIF that repeats its only frame."""
    data = encode(picture((16, 12)).quantize(4), "GIF")
    at = data.index(b",", 13 + 3 * 4)
    return data[:at] + data[at:-1] * frames + b";"


def endless_pages():
    """A TIFF whose last directory leads back to the first."""
    data = bytearray(encode(picture((16, 12)), "TIFF"))
    (first,) = struct.unpack("<I", data[4:8])
    (entries,) = struct.unpack("<H", data[first : first + 2])
    last = first + 2 + 12 * entries
    data[last : last + 4] = data[4:8]
    return bytes(data)


def wide_screen():
    """A sound GIF whose screen is said to have 144 million pixels."""
    data = encode(picture((16, 12)), "GIF")
    return data[:6] + struct.pack("<HH", 12_000, 12_000) + data[10:]


def webp(kind, body):
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


@functools.cache
def deflated():
    """200 MB of nothing, which take a second to deflate: once, and only where a test asks for them."""
    return zlib.compress(bytes(200_000_000), 1)


def png_with(kind):
    return png(64, 48, png_chunk(kind, b"a\0\0" + deflated()))


LOSSLESS = b"\x2f" + struct.pack("<I", 11_999 | 11_999 << 14) + bytes(21)
LOSSY = b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", 16_383, 16_383) + bytes(40)
BMP_HEADER = struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 1, 1, 0, 0)
SOF0 = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, 65_535, 65_535, 1) + b"\x01\x11\x00"

# bytes, or what makes them; and the reason, None where any will do
BOMBS = {
    "PNG 50,000 squared": (png(50_000, 50_000), "pixels-over-limit"),
    "PNG 20,000 squared": (png(20_000, 20_000), "pixels-over-limit"),
    "PNG as wide as the format allows": (png(2**31 - 1, 1), "pixels-over-limit"),
    "PNG as high as the format allows": (png(1, 2**31 - 1), "pixels-over-limit"),
    "PNG larger than the format allows": (png(2**32 - 1, 2**32 - 1), "pixels-over-limit"),
    "PNG just over the limit": (png(8_000, 8_001), "pixels-over-limit"),
    "PNG of zero width": (png(0, 40), None),
    "PNG of zero height": (png(40, 0), None),
    "PNG one pixel high": (png(64_000, 1), "side-under-limit"),
    "PNG of ten million frames": (png(16, 16, png_chunk(b"acTL", struct.pack(">II", 10**7, 0))), "frames-over-limit"),
    "JPEG 65,535 squared": (b"\xff\xd8" + SOF0 + b"\xff\xda" + bytes(40), "pixels-over-limit"),
    "GIF 65,535 squared": (b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + bytes(6) + b"," + bytes(40), None),
    "BMP 30,000 squared": (b"BM" + BMP_HEADER, "pixels-over-limit"),
    "PNM 50,000 squared": (b"P6 50000 50000 255\n" + bytes(40), "pixels-over-limit"),
    "PNM with a width of ten digits": (b"P6 9999999999 1 255\n" + bytes(40), "pixels-over-limit"),
    "PNM of negative width": (b"P6 -8 8 255\n" + bytes(40), None),
    "PNM of a million digits": (b"P6 " + b"9" * 1_000_000 + b" 1 255\n", None),
    "TIFF 100,000 squared": (tiff(100_000, 100_000), "pixels-over-limit"),
    "TIFF of zero width": (tiff(0, 10), None),
    "TIFF whose directory follows itself": (b"II*\0\x08\0\0\0\0\0\x08\0\0\0", None),
    "WebP 16,384 squared": (
        b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0" + b"VP8 \0\0\0\0", None,
    ),
    "PNG of 144 million pixels in 17 kB": (encode(Image.new("1", (12_000, 12_000)), "PNG"), "pixels-over-limit"),
    "GIF of 144 million pixels": (wide_screen(), "pixels-over-limit"),
    "WebP, lossless, 12,000 squared": (webp(b"VP8L", LOSSLESS), "pixels-over-limit"),
    "WebP, lossy, 16,383 squared": (webp(b"VP8 ", LOSSY), "pixels-over-limit"),
    "GIF of 10,000 frames": (many_frames(10_000), "frames-over-limit"),
    "PNG text of 200 MB": (functools.partial(png_with, b"zTXt"), None),
    "PNG colour profile of 200 MB": (functools.partial(png_with, b"iCCP"), None),
}  # fmt: skip

# these may be accepted, but neither take long nor much memory
ODD = {"TIFF whose pages never end": endless_pages(), "GIF of 1,000 frames": many_frames(1_000)}

CHILD = """
import base64, json, sys, time
from pathlib import Path
from cv_assets.domain.probing import probe
from schemas.images import Limits

def most_memory_bytes():
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024

bombs = {name: base64.b64decode(data) for name, data in json.load(sys.stdin).items()}
before = most_memory_bytes()
for name, data in bombs.items():
    took = []
    while not took or (min(took) > 1 and len(took) < 3):  # others on this machine take caches and cores from it
        start = time.process_time()
        probe(data, Limits())
        took.append(time.process_time() - start)
    print(json.dumps([name, min(took), most_memory_bytes() - before]))
"""


@pytest.mark.parametrize(("data", "reason"), BOMBS.values(), ids=BOMBS)
def test_what_a_header_promises_is_refused(data, reason):
    found = probe(bytes_of(data), Limits())
    assert isinstance(found, Rejection)
    assert reason is None or found.reason == reason


def bytes_of(data):
    return data if isinstance(data, bytes) else data()


def test_a_bomb_costs_less_than_a_second_and_50_mb():
    all_of_them = {name: bytes_of(data) for name, (data, _) in BOMBS.items()} | ODD
    sent = json.dumps({name: base64.b64encode(data).decode() for name, data in all_of_them.items()})
    done = subprocess.run(
        [sys.executable, "-c", CHILD], input=sent, capture_output=True, text=True, check=True, cwd=PROJECT_ROOT
    )
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(measured) == len(all_of_them)
    assert [row for row in measured if row[1] > 1 or row[2] > 50_000_000] == []
