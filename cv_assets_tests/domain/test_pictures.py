"""Pictures for people: small, whatever the data set, and with names drawn as pixels."""

import polars as pl
import pytest

from cv_assets.domain.pictures import (
    BARS_SHOWN,
    CLASSES_SHOWN,
    COLOURS,
    THUMBNAILS_PER_CLASS,
    class_bars,
    contact_sheet,
    sheet_plan,
)
from cv_assets.domain.rendering import thumbnail
from cv_assets_tests.domain.images import decoded, encode, noise
from cv_assets_tests.domain.tables import image_id, manifest
from schemas.images import Limits

NAMES = [
    "x" * 5_000,
    "größe ﷺ 漢字 😀 " * 40,
    "new\nline\ttab\0NUL",
    "\u202eright to left",
    "<script>alert(1)</script>",
    "![](http://evil/x)",
    "",
    " ",
]
SPLITS = ("train", "val", "test")
THUMBNAIL = thumbnail(encode(noise((200, 200)), "PNG"), Limits(), 72)


def many_classes(classes=500):
    names = [f"{number} {NAMES[number % len(NAMES)]}" for number in range(classes)]
    return manifest({f"{n}/{k}.png": [name] for n, name in enumerate(names) for k in range(8)})


def dealt(images):
    splits = [SPLITS[number % 3] for number in range(images.height)]
    return images.select("image_id", pl.Series("split", splits), pl.col("image_id").alias("unit"))


def named(images, label):
    return images.with_columns(labels=pl.lit([label]))


def near(pixel, colour):
    return all(abs(one - other) < 30 for one, other in zip(pixel, colour, strict=True))


def test_a_contact_sheet_of_500_classes_stays_small():
    plan = sheet_plan(many_classes())
    sheet = contact_sheet(plan, {one: THUMBNAIL for ids in plan.values() for one in ids})
    assert decoded(sheet).format == "JPEG"
    assert len(sheet) < 150_000


def test_bars_of_500_classes_stay_small():
    images = many_classes()
    bars = class_bars(images, dealt(images), SPLITS)
    assert decoded(bars).format == "JPEG"
    assert len(bars) < 150_000


def test_bars_of_thirty_splits_with_long_names_are_drawn():
    images = manifest({f"{n}.png": ["a"] for n in range(30)})
    names = [f"{'s' * 29}_{n}" for n in range(30)]
    splits = images.select("image_id", pl.Series("split", names), pl.col("image_id").alias("unit"))
    assert decoded(class_bars(images, splits, names)).format == "JPEG"


def test_images_without_a_label_are_shown_as_such():
    images = manifest({"a.png": [], "b.png": [], "c.png": ["cat"]})
    assert {label: len(ids) for label, ids in sheet_plan(images).items()} == {"(no label)": 2, "cat": 1}
    bare = manifest({f"{n}.png": [] for n in range(6)})
    assert class_bars(bare, dealt(bare), SPLITS) == class_bars(named(bare, "(no label)"), dealt(bare), SPLITS)


def test_a_split_without_an_image_of_a_class_has_no_bar():
    images = manifest({f"{n}.png": ["cat"] for n in range(6)})
    all_in_train = dealt(images).with_columns(split=pl.lit("train"))
    bars = decoded(class_bars(images, all_in_train, SPLITS)).convert("RGB")
    row = [bars.getpixel((x, bars.height - 20)) for x in range(bars.width)]
    assert any(near(pixel, COLOURS[0]) for pixel in row)
    assert not any(near(pixel, colour) for pixel in row for colour in COLOURS[1:3])


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_drawn(name):
    images = manifest({"a.png": [name]})
    assert decoded(contact_sheet(sheet_plan(images), {image_id("a.png"): THUMBNAIL})).format == "JPEG"
    assert decoded(class_bars(images, dealt(images), SPLITS)).format == "JPEG"


def test_a_sheet_shows_the_largest_classes_and_the_first_images_of_each():
    images = manifest({f"{label}/{n}.png": [label] for k, label in enumerate("abcdefghijklmnop") for n in range(k + 1)})
    plan = sheet_plan(images)
    assert list(plan) == list("ponmlkjihgfe")
    assert len(plan) == CLASSES_SHOWN
    assert plan["p"] == sorted(image_id(f"p/{n}.png") for n in range(16))[:THUMBNAILS_PER_CLASS]


def test_a_version_without_images_or_labels_has_pictures_too():
    for images in (manifest({}), manifest({"a.png": []})):
        assert decoded(contact_sheet(sheet_plan(images), {})).format == "JPEG"
        assert decoded(class_bars(images, dealt(images), SPLITS)).format == "JPEG"


def test_equal_tables_make_equal_pictures():
    images = many_classes(BARS_SHOWN + 5)
    turned = images.reverse()
    assert sheet_plan(turned) == sheet_plan(images)
    assert class_bars(turned, dealt(images).reverse(), SPLITS) == class_bars(images, dealt(images), SPLITS)
