"""The perceptual hash: near for the same picture, far for another, and the one that ImageHash defines."""

import csv
import statistics

import pytest
from PIL import Image

from cv_assets.domain.phash import perceptual_hash
from cv_assets.domain.probing import probe
from cv_assets_tests.domain.images import decoded, encode, noise, oriented
from schemas.images import Limits


def distance(one, other):
    """Bits that differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


PICTURE = noise((14, 11)).resize((400, 300), Image.Resampling.BICUBIC)  # blots, like the shapes of a photo
SAME = {
    "saved at quality 60": decoded(encode(PICTURE, "JPEG", quality=60)),
    "saved at quality 20": decoded(encode(PICTURE, "JPEG", quality=20)),
    "half as large": PICTURE.resize((200, 150)),
    "ten times as small": PICTURE.resize((40, 30)),
    "three times as large": PICTURE.resize((1_200, 900)),
    "stretched": PICTURE.resize((300, 300)),
    "in grey": PICTURE.convert("L"),
    "with a palette": PICTURE.quantize(64),
    "with an opaque alpha channel": PICTURE.convert("RGBA"),
    "a little brighter": PICTURE.point(lambda value: min(255, value + 8)),
}


@pytest.mark.parametrize("image", SAME.values(), ids=SAME)
def test_the_same_picture_stays_within_six_bits(image):
    assert distance(perceptual_hash(image), perceptual_hash(PICTURE)) <= 6


def test_other_pictures_are_far_away():
    hashes = [perceptual_hash(noise((64, 64), seed)) for seed in range(8)]
    assert min(distance(one, other) for one in hashes for other in hashes if one != other) > 12


def test_a_picture_without_any_detail_has_a_hash_too():
    for colour in ("black", "grey", "white"):
        assert len(perceptual_hash(Image.new("RGB", (50, 50), colour))) == 16


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "TIFF"])
def test_the_hash_is_that_of_the_upright_picture(orientation, pillow_format):
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what undoes each, as Pillow numbers its transpositions
    stored = PICTURE.transpose(Image.Transpose(turns[orientation])) if orientation > 1 else PICTURE
    found = probe(oriented(stored, orientation, pillow_format), Limits())
    assert (found.width_px, found.height_px) == (400, 300)
    assert distance(found.phash, perceptual_hash(PICTURE)) <= 6


def rows_of(folder, most):
    with (folder / "images.csv").open(newline="") as opened:
        rows = [row for row in csv.DictReader(opened) if row["load"] == "ok"]
    return rows[:: max(1, len(rows) // most)]


@pytest.mark.data
@pytest.mark.parametrize("name", ["bccd", "clothing", "grocery", "omniglot"])
def test_real_pictures_have_the_hash_that_imagehash_gave_them(real_data, name):
    for row in rows_of(real_data / name, most=25):
        with Image.open(real_data / name / "data" / row["path"]) as image:
            assert perceptual_hash(image) == row["phash"]


@pytest.mark.data
@pytest.mark.parametrize("name", ["bccd", "clothing", "grocery", "omniglot"])
def test_decoding_at_reduced_scale_moves_a_hash_by_two_bits_at_the_median(real_data, name):
    found = [
        distance(probe((real_data / name / "data" / row["path"]).read_bytes(), Limits()).phash, row["phash"])
        for row in rows_of(real_data / name, most=400)
    ]
    assert statistics.median(found) <= 2
    assert max(found) <= 8
