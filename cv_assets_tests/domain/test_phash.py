"""The perceptual hash: near for the same picture, far for another, and next to the one that ImageHash defines."""

import csv
import functools
import statistics
from itertools import combinations

import pytest
from PIL import Image

from cv_assets.domain.phash import perceptual_hashes
from cv_assets.domain.probing import probe
from cv_assets.domain.reducing import reduce_image, samples_of
from cv_assets_tests.domain.images import decoded, encode, noise, oriented
from schemas.images import Limits


def luma(image):
    return samples_of(reduce_image(image, 64))[..., 0]


def perceptual_hash(image):
    return perceptual_hashes([luma(image)])[0]


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


@pytest.fixture(scope="session")
def hash_of():
    """Hash of a real picture, decoded once for all that ask."""

    @functools.cache
    def found(path):
        return probe(path.read_bytes(), Limits()).phash

    return found


PHOTOS = ["bccd", "clothing", "grocery"]
# pairs whose hashes are at most so many bits apart, by the parts of their names
NEAR = {
    "bccd": (4, {("BloodImage_00037", "BloodImage_00038")}),
    "clothing": (4, {("637a56e4", "6075b4a5")}),
    "grocery": (4, {("Floury-Potato_006", "Floury-Potato_016")}),
}


@pytest.mark.data
@pytest.mark.parametrize("name", [*PHOTOS, "omniglot"])
def test_real_pictures_have_nearly_the_hash_that_imagehash_gave_them(real_data, name):
    found = []
    for row in rows_of(real_data / name, most=25):
        with Image.open(real_data / name / "data" / row["path"]) as image:
            found.append(distance(perceptual_hash(image), row["phash"]))
    assert statistics.median(found) <= 2
    assert max(found) <= 6


@pytest.mark.data
@pytest.mark.parametrize("name", [*PHOTOS, "omniglot"])
def test_decoding_at_reduced_scale_moves_a_hash_by_no_bit_at_the_median(real_data, hash_of, name):
    found = [
        distance(hash_of(real_data / name / "data" / row["path"]), row["phash"])
        for row in rows_of(real_data / name, most=400)
    ]
    assert statistics.median(found) == 0
    assert max(found) <= 6


@pytest.mark.data
@pytest.mark.parametrize("name", PHOTOS)
def test_the_near_duplicates_of_real_photos_are_found_and_no_others(real_data, hash_of, name):
    most, pairs = NEAR[name]
    rows = {row["sha256"]: row["path"] for row in rows_of(real_data / name, most=10_000)}
    hashes = {path: hash_of(real_data / name / "data" / path) for path in sorted(rows.values())}
    near = {pair for pair in combinations(hashes, 2) if distance(*(hashes[path] for path in pair)) <= most}
    assert len(near) == len(pairs)
    for one, other in pairs:
        assert any(one in " ".join(pair) and other in " ".join(pair) for pair in near)


@pytest.mark.parametrize("size", [(200, 150), (333, 251), (190, 143), (130, 97), (1_023, 767)])
def test_another_size_hardly_moves_a_hash_whether_or_not_it_divides_evenly(size):
    assert distance(perceptual_hash(PICTURE.resize(size)), perceptual_hash(PICTURE)) <= 2


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (3, 5), (8, 4_000)])
def test_a_picture_of_any_shape_has_a_hash(size):
    assert len(perceptual_hash(noise(size))) == 16


def test_a_hash_does_not_depend_on_what_is_hashed_with_it():
    images = [noise(size, seed) for seed, size in enumerate([(300, 200), (200, 300), (300, 200), (9, 9)])]
    assert perceptual_hashes([luma(image) for image in images]) == [perceptual_hash(image) for image in images]
    assert perceptual_hashes([]) == []
