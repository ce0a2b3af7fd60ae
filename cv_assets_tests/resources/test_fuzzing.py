"""Sixty thousand damaged images through real workers: each is answered, and each answer is one that a version can hold."""

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from cv_assets.domain.manifest import build_manifest, build_quarantine
from cv_assets_tests.domain.images import animation, encode, noise, oriented, picture
from cv_assets_tests.domain.tables import file_row
from resources.engine import Engine, Item
from resources.probes import to_row
from schemas.codes import PROBE_REASONS
from schemas.tables import TABLES, to_frame

DRAWN, FOUND = 50_000, 10_000
MOST_BYTES = 12_000
# an edited header may promise much: what it promises within the limits is what is decoded
LIMITS = {"limits": {"max_pixels": 1_000_000}}
FIELDS = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0", b"\0\1", b"\1\0", b"\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f")


def drawn_images() -> list[bytes]:
    """A small image of every format, in the modes and with the extras that have code of their own."""
    image, size = picture((24, 18)), (24, 18)
    plain = [encode(image, name) for name in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")]
    modes = [
        encode(picture(size, mode), name)
        for name, mode in (("PNG", "1"), ("PNG", "P"), ("PNG", "I;16"), ("JPEG", "L"), ("JPEG", "CMYK"), ("TIFF", "F"))
    ]
    alpha = [encode(picture(size, "RGBA"), name) for name in ("PNG", "TIFF", "WEBP")]
    packed = [
        encode(image, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    ]
    several = [animation(3, name, (12, 10)) for name in ("GIF", "PNG", "WEBP", "TIFF")]
    turned = [oriented(image, 6, name) for name in ("JPEG", "PNG", "WEBP", "TIFF")]
    other = [encode(image, "JPEG", progressive=True), encode(noise((20, 20)), "WEBP", lossless=True)]
    return [*plain, *modes, *alpha, *packed, *several, *turned, *other]


def damaged(seeds: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` copies of the seeds, each with one to three kinds of damage; the same for the same seed."""
    generator = random.Random(seed)
    for number in range(count):
        data = bytearray(seeds[number % len(seeds)])
        for _ in range(generator.choice((1, 1, 1, 2, 3))):
            if data:
                generator.choice(KINDS)(data, generator, seeds)
        yield bytes(data)


def flip_bits(data, generator, seeds):
    for _ in range(generator.randint(1, 8)):
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)


def fill_run(data, generator, seeds):
    at, length = generator.randrange(len(data)), generator.randint(1, 32)
    data[at : at + length] = generator.choice((bytes(length), b"\xff" * length, generator.randbytes(length)))


def cut_off(data, generator, seeds):
    del data[generator.randrange(len(data)) :]


def splice(data, generator, seeds):
    other = generator.choice(seeds)
    data[generator.randrange(len(data)) :] = other[generator.randrange(len(other)) :]


def repeat_block(data, generator, seeds):
    at, length = generator.randrange(len(data)), generator.randint(1, 200)
    data[at:at] = data[at : at + length] * generator.randint(1, 3)


def drop_block(data, generator, seeds):
    at = generator.randrange(len(data))
    del data[at : at + generator.randint(1, 64)]


def edit_header(data, generator, seeds):
    at, field = generator.randrange(min(len(data), 96)), generator.choice(FIELDS)
    data[at : at + len(field)] = field


KINDS = (flip_bits, flip_bits, fill_run, cut_off, splice, repeat_block, drop_block, edit_header, edit_header)


def probe_all(images, folder):
    """(row of a Probes table, bytes) of each, through two real workers; a file lives until it is answered."""

    def items():
        for number, data in enumerate(images):
            path = folder / str(number)
            path.write_bytes(data)
            yield Item(str(number), path)

    for number, (item, answer) in enumerate(Engine(workers=2).run("probe", LIMITS, items())):
        assert item.key == str(number)
        # a worker that died has not said which bytes it was given
        yield to_row(answer.get("sha256", f"{number:064x}"), answer), item.payload.stat().st_size
        item.payload.unlink()


def check(images, total, folder):
    """Every image is accepted or rejected, for a reason of the closed set and in one line, and fits the tables."""
    rows, files = {}, []
    for row, size_bytes in probe_all(images, folder):
        assert (row["reason"] is None) != (row["phash"] is None)
        if row["reason"] is not None:
            assert row["reason"] in PROBE_REASONS
            assert row["detail"].isprintable()
            assert 0 < len(row["detail"]) <= 200
        rows[row["image_id"]] = row
        files.append(file_row(f"{len(files):06}", sha256=row["image_id"], size_bytes=size_bytes))
    assert len(files) == total
    raw, probes = to_frame("raw_images", files), to_frame("probes", list(rows.values()))
    manifest = TABLES["manifest"].validate(build_manifest(raw, probes, to_frame("annotations", [])), lazy=True)
    quarantine = TABLES["quarantine"].validate(build_quarantine(raw, probes), lazy=True)
    assert manifest["paths"].list.len().sum() + quarantine.height == total
    return Counter(quarantine["reason"]), manifest.height


def test_fifty_thousand_damaged_images_are_all_answered(tmp_path):
    seeds = drawn_images()
    assert max(map(len, seeds)) < MOST_BYTES
    reasons, accepted = check(damaged(seeds, DRAWN, seed=11), DRAWN, tmp_path)
    # neither all of it rubbish nor all of it harmless: both sides of the probe are tried
    assert reasons["undecodable"] > DRAWN // 5
    assert accepted > DRAWN // 10


@pytest.mark.data
def test_odd_files_that_are_damaged_further_are_all_answered(real_data, tmp_path):
    files = sorted(path for path in (real_data / "odd-pillow" / "data").rglob("*") if path.is_file())
    seeds = [path.read_bytes() for path in files if 0 < path.stat().st_size < MOST_BYTES]
    reasons, accepted = check(damaged(seeds, FOUND, seed=12), FOUND, tmp_path)
    assert reasons["undecodable"] > FOUND // 5
    assert accepted > FOUND // 10
