"""The rules about images: what each finds among ordinary ones, and what it leaves alone."""

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from cv_assets.domain.probing import probe
from cv_assets.domain.quality.rulebook import RULES
from cv_assets.domain.quality.rules.extension_differs import EXTENSIONS
from cv_assets_tests.domain.quality.ruled import findings, images, named
from cv_assets_tests.domain.tables import MEASURES, image_id
from schemas.codes import IMAGE_FORMATS
from schemas.images import Limits, Rejection
from schemas.tables import to_frame

# measure → the rule that holds it against a threshold
MEASURED = [
    ("brightness_p99_ratio", "dark"),
    ("brightness_p05_ratio", "light"),
    ("sharpness", "blurry"),
    ("entropy_bits", "low-information"),
    ("colour_ratio", "grayscale-among-colour"),
    ("bars_ratio", "letterboxed"),
    ("border_ratio", "constant-border"),
]
# what an image is → the findings that this alone makes
TRAITS = [
    ({"frames": 3}, "animated"),
    ({"mode": "CMYK", "channels": 4}, "cmyk"),
    ({"exif_orientation": 6}, "exif-rotated"),
    ({"notes": ["exif-invalid"]}, "invalid-exif"),
    ({"notes": ["orientation-invalid"]}, "invalid-exif"),
    ({"notes": ["colour-profile"]}, "colour-profile"),
    ({"notes": ["gps-present"]}, "gps-present"),
    ({"notes": ["transparent"]}, "transparent"),
    ({"notes": ["ends-early"]}, "truncated"),
    ({"mode": "I;16"}, "unusual-mode"),
    ({"bit_depth": 16}, "unusual-bit-depth"),
    ({"width_px": 640}, "odd-aspect-ratio odd-size"),
    ({"height_px": 190, "width_px": 16}, "odd-aspect-ratio"),  # as large as the others
    ({"format": "jpeg"}, "extension-differs"),
]


@pytest.mark.parametrize(("measure", "code"), MEASURED)
def test_a_measure_is_a_finding_beyond_its_threshold_and_not_at_it(measure, code):
    rule = RULES[code]
    step = -0.001 if rule.worst == "low" else 0.001
    said = {
        name: {measure: rule.threshold + beyond}
        for name, beyond in (("at.png", 0), ("bad.png", step), ("worse.png", 2 * step))
    }
    found = findings(code, manifest=images(said))
    assert [(path, score) for path, score, _ in named(found)] == [
        ("worse.png", pytest.approx(rule.threshold + 2 * step)),
        ("bad.png", pytest.approx(rule.threshold + step)),
    ]
    assert found["threshold"].to_list() == [rule.threshold] * 2


@pytest.mark.parametrize(("trait", "codes"), TRAITS)
def test_a_trait_makes_its_finding_and_no_other(trait, codes):
    found = findings(manifest=images({"a.png": trait}))
    about = found.filter(pl.col("image_id") == image_id("a.png"))
    assert about["code"].to_list() == codes.split()
    assert found.filter(pl.col("image_id").is_not_null()).height == about.height


def test_an_ordinary_image_has_no_finding():
    assert findings(manifest=images({})).filter(pl.col("image_id").is_not_null()).is_empty()


def test_grey_images_are_a_finding_only_where_most_are_coloured():
    grey = {f"{number}.png": {"colour_ratio": 0.0} for number in range(10)}
    assert findings("grayscale-among-colour", manifest=images(grey, ordinary=11)).height == 10
    assert findings("grayscale-among-colour", manifest=images(grey, ordinary=10)).is_empty()
    assert findings("grayscale-among-colour", manifest=images(grey, ordinary=0)).is_empty()


def test_drawings_of_one_bit_say_little_and_are_still_no_finding_unless_they_are_blank():
    bits = {"thin.png": 0.16, "drawing.png": 0.4, "blank.png": 0.0}
    said = {name: {"bit_depth": 1, "mode": "1", "entropy_bits": entropy} for name, entropy in bits.items()}
    found = named(findings("low-information", manifest=images(said)))
    assert [path for path, _, _ in found] == ["blank.png"]


def test_an_image_without_a_group_is_found_only_where_others_have_one():
    some = images({"a.png": {"groups": ["cam1"]}, "b.png": {"groups": ["cam2"]}, "c.png": {}}, ordinary=0)
    assert [path for path, *_ in named(findings("image-without-group", manifest=some))] == ["c.png"]
    assert findings("image-without-group", manifest=images({"c.png": {}})).is_empty()


def test_a_picture_of_one_colour_is_no_frame_round_nothing():
    assert findings("constant-border", manifest=images({"a.png": {"border_ratio": 1.0}})).is_empty()


SIZES = [
    # sizes of the ordinary images, and which of others are odd beside them
    ([(100, 100)] * 30, {(100, 101): False, (120, 120): False, (200, 100): True, (140, 140): True, (70, 70): True}),
    ([(100, 100 + 10 * n) for n in range(30)], {(100, 100): False, (20, 20): True, (1_000, 1_000): True}),
    ([(2**n, 2**n) for n in range(3, 13)], {(8, 8): False, (4096, 4096): False}),  # everything is usual
    ([(100, 100)] * 3, {(400, 400): True}),
]


@pytest.mark.parametrize(("usual", "others"), SIZES)
def test_a_size_is_odd_beside_the_others(usual, others):
    said = {f"{number}.png": {"width_px": w, "height_px": h} for number, (w, h) in enumerate(usual)}
    for (width, height), is_odd in others.items():
        odd = {"odd.png": {"width_px": width, "height_px": height}}
        found = findings("odd-size", manifest=images({**said, **odd}, ordinary=0))
        assert [path for path, _, _ in named(found)] == (["odd.png"] if is_odd else [])


def test_half_as_large_is_as_odd_as_twice_as_large():
    said = {"half.png": {"width_px": 32, "height_px": 24}, "twice.png": {"width_px": 128, "height_px": 96}}
    (_, one, _), (_, other, evidence) = named(findings("odd-size", manifest=images(said)))
    assert one == pytest.approx(other)
    assert evidence["usual_side_px"] == pytest.approx((64 * 48) ** 0.5)


def test_a_mode_is_unusual_by_its_rarity():
    palettes = {f"{number}.png": {"mode": "P"} for number in range(4)}
    assert findings("unusual-mode", manifest=images(palettes, ordinary=20)).is_empty()
    found = named(findings("unusual-mode", manifest=images(palettes, ordinary=60)))
    assert len(found) == 4
    assert found[0][1:] == (0.0625, {"channels": 3, "mode": "P", "usual": "RGB"})


def test_a_dataset_of_16_bits_has_no_unusual_bit_depth_but_those_of_8():
    deep = {f"{number}.png": {"bit_depth": 16, "mode": "I;16"} for number in range(50)}
    found = findings("unusual-bit-depth", manifest=images({**deep, "flat.png": {"bit_depth": 8}}, ordinary=0))
    assert [path for path, _, _ in named(found)] == ["flat.png"]


NAMES = [
    ("a.jpg", "jpeg", True),
    ("a.JPEG", "jpeg", True),
    ("a.b/c", "jpeg", False),
    ("a.png", "jpeg", False),
    ("a.", "png", False),
    ("a.png.jpg", "png", False),
    ("dir.jpg/a.png", "png", True),
    ("a.TIFF", "tiff", True),
    ("a.pgm", "pnm", True),
]


@pytest.mark.parametrize(("path", "kind", "fits"), NAMES)
def test_a_name_fits_its_format_or_is_a_finding(path, kind, fits):
    found = findings("extension-differs", manifest=images({path: {"format": kind}}))
    assert found.is_empty() == fits


def test_each_path_of_an_image_is_looked_at():
    said = {"a.png": {"paths": ["a.png", "b.jpg", "c"]}}
    found = named(findings("extension-differs", manifest=images(said)))
    assert [(path, evidence["extension"]) for path, _, evidence in found] == [("b.jpg", "jpg"), ("c", "")]


def test_every_format_has_extensions():
    assert set(EXTENSIONS) == set(IMAGE_FORMATS)


def _encoded(kind, **options):
    pixels = np.random.default_rng(5).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


CUT = [(kind, kept) for kind in ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP") for kept in (0.1, 0.66, 0.97)]


# of a GIF that ends in its header Pillow knows no more than that it is none
@pytest.mark.parametrize(("kind", "kept"), [one for one in CUT if one != ("GIF", 0.1)])
def test_a_file_that_breaks_off_is_found(kind, kept):
    data = _encoded(kind)
    refused = probe(data[: int(len(data) * kept)], Limits())
    assert isinstance(refused, Rejection)
    row = {"path": "torn", "sha256": image_id("torn"), "size_bytes": 9, "stage": "probe", "reason": refused.reason}
    other = {**row, "path": "odd", "sha256": image_id("odd"), "detail": "ValueError: no palette"}
    quarantine = to_frame("quarantine", [{**row, "detail": refused.detail}, other])
    ((path, _, evidence),) = named(findings("truncated", quarantine=quarantine))
    assert (path, evidence["accepted"], evidence["detail"]) == ("torn", False, refused.detail)


def test_measures_of_the_tables_in_tests_are_ordinary():
    for measure, code in MEASURED:
        rule, value = RULES[code], MEASURES[measure]
        assert value > rule.threshold if rule.worst == "low" else value < rule.threshold
