"""Images that tests draw: every accepted format, sound ones and ones with something amiss."""

import io
import random
import struct
import zlib

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

ORIENTATION = 0x0112
XMP = 700


def picture(size=(64, 48), mode="RGB"):
    """A picture without any symmetry, so that no turn of it looks like another."""
    linear = Image.linear_gradient("L").resize(size)
    radial = Image.radial_gradient("L").resize(size)
    whole = Image.merge("RGB", (linear, radial, linear.transpose(Image.Transpose.TRANSPOSE).resize(size)))
    whole.paste((250, 20, 20), (4, 4, size[0] // 3, size[1] // 4))
    whole.paste((10, 10, 90), (size[0] // 2, size[1] - size[1] // 3, size[0] - 6, size[1] - 4))
    if mode in {"RGBA", "LA"}:
        whole.putalpha(linear)
    return whole.convert(mode)


def noise(size, seed=0):
    """A picture that no encoder can make small."""
    return Image.frombytes("RGB", size, random.Random(seed).randbytes(size[0] * size[1] * 3))


def encode(image, pillow_format, **options):
    """The bytes of an image file."""
    out = io.BytesIO()
    image.save(out, pillow_format, **options)
    return out.getvalue()


def decoded(data):
    """The pixels of an image file, as they are stored."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def oriented(image, orientation, pillow_format="JPEG", **options):
    """The bytes of an image file whose EXIF tag holds any value."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encode(image, pillow_format, exif=exif, **options)


def xmp_packet(orientation):
    """An XMP packet that speaks of the orientation, as photo editors write one."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{orientation}"/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def oriented_by_xmp(image, orientation, pillow_format):
    """The bytes of an image file that says its orientation in XMP alone."""
    packet = xmp_packet(orientation)
    if pillow_format == "PNG":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet.decode())
        return encode(image, "PNG", pnginfo=text)
    if pillow_format == "TIFF":
        tags = ImageFileDirectory_v2()
        tags[XMP] = packet
        return encode(image, "TIFF", tiffinfo=tags)
    return encode(image, pillow_format, xmp=packet)


def animation(frames, pillow_format, size=(16, 16)):
    """The bytes of an image file with so many different frames."""
    first, *others = [noise(size, seed) for seed in range(frames)]
    return encode(first, pillow_format, save_all=True, append_images=others)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks, depth=8, colours=2, rows=bytes(20)):
    """A PNG with this header, the given chunks, and these pixels (without them 20 bytes); 0 is grey, 2 are three colours."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0))
    body = png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + body


BYTES = (3, 1, struct.pack("<H", 8))


def tiff(width, height, bits_per_sample=BYTES, pixels=b""):
    """A grey TIFF with this header; `bits_per_sample` is (type, count, value) as it is written down."""
    entries = [
        (256, 4, 1, struct.pack("<I", width)),
        (257, 4, 1, struct.pack("<I", height)),
        (258, *bits_per_sample),
        (259, 3, 1, struct.pack("<H", 1)),
        (262, 3, 1, struct.pack("<H", 1)),
        (273, 4, 1, struct.pack("<I", 300)),
        (277, 3, 1, struct.pack("<H", 1)),
        (278, 4, 1, struct.pack("<I", height)),
        (279, 4, 1, struct.pack("<I", len(pixels))),
    ]
    after = 8 + 2 + 12 * len(entries) + 4
    fields = extra = b""
    for tag, kind, number, value in entries:
        at = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", after + len(extra))
        extra += value if len(value) > 4 else b""
        fields += struct.pack("<HHI", tag, kind, number) + at
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + fields + bytes(4) + extra
    return head.ljust(300, b"\0") + pixels
