"""The table as a whole: what has a row, which reason wins, and that order does not matter."""

import json

import polars as pl
import pytest

from cv_assets.domain.annotations.table import build_annotations
from cv_assets_tests.bounds import in_cpu_s
from cv_assets_tests.domain.annotations.landing import BOX, Landing, boxes, column, image_id, voc, voc_object
from schemas.codes import ANNOTATION_REASONS
from schemas.datasets import DatasetConfig

CSV = "image,label,x,y,X,Y\n"
COLUMNS = {"x_min": "x", "y_min": "y", "x_max": "X", "y_max": "Y"}


def every_reason() -> Landing:
    """A source in which each reason occurs."""
    objects = (voc_object("cat", 1, 2, 3, 4), voc_object("dog", 1, 2, 3, "nan"))
    return Landing(
        images=["a.jpg", "empty.jpg", "none.jpg", "big.jpg", "torn.jpg", "x/two.jpg", "y/two.jpg"],
        labels={
            "a.xml": voc("a.jpg", *objects),
            "big.xml": voc("big.jpg", *objects),
            "empty.xml": voc("empty.jpg"),
            "lost.xml": voc("lost.jpg", *objects),
            "torn.xml": voc("torn.jpg"),
            "two.xml": voc("two.jpg", *objects),
            "broken.xml": "<annotation>",
        },
        rejected=["big.jpg"],
        undecodable=["torn.jpg"],
    )


def test_each_reason_keeps_what_is_known():
    frame = every_reason().annotations(format="voc")
    yes, box = True, [1.0, 2.0, 3.0, 4.0]
    expected = {
        # annotation: label, image path, has an image id, box, reason
        "a.xml#1": ("cat", "a.jpg", yes, box, None),
        "a.xml#2": ("dog", "a.jpg", yes, None, "invalid-box"),
        "big.xml#1": ("cat", "big.jpg", False, box, "file-quarantined"),
        "big.xml#2": ("dog", "big.jpg", False, None, "file-quarantined"),  # the image before the box
        "broken.xml#0": (None, None, False, None, "unparsable"),
        "empty.xml#0": (None, "empty.jpg", yes, None, "no-object"),
        "lost.xml#1": ("cat", None, False, box, "no-file"),
        "lost.xml#2": ("dog", None, False, None, "no-file"),
        "none.jpg#0": (None, "none.jpg", yes, None, "no-label"),
        "torn.xml#0": (None, "torn.jpg", False, None, "file-quarantined"),
        "two.xml#1": ("cat", None, False, box, "ambiguous-file"),
        "two.xml#2": ("dog", None, False, None, "ambiguous-file"),
        "x/two.jpg#0": (None, "x/two.jpg", yes, None, "no-label"),
        "y/two.jpg#0": (None, "y/two.jpg", yes, None, "no-label"),
    }
    found = {
        row["annotation_id"]: (
            row["label"],
            row["image_path"],
            row["image_id"] is not None,
            None if row["x_min_px"] is None else [row[name] for name in BOX],
            row["reason"],
        )
        for row in frame.to_dicts()
    }
    assert found == expected
    assert set(frame["reason"].drop_nulls()) == set(ANNOTATION_REASONS)
    assert frame.filter(pl.col("reason").is_not_null() & (pl.col("reason") != "no-object"))["detail"].null_count() == 0


def test_the_size_that_a_file_declares_is_kept_whatever_becomes_of_the_entry():
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 90, "height": 40.5}, {"id": 2, "file_name": "b.jpg"}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, "nan"]}],
    }
    declared = ("annotation_id", "declared_width_px", "declared_height_px")
    frame = Landing(["a.jpg", "b.jpg"], {"c.json": json.dumps(coco)}).annotations(format="coco")
    assert column(frame, *declared) == [("c.json#1", 90, 40.5), ("c.json#image-2", None, None)]
    labels = {"a.xml": voc("a.jpg", voc_object("cat", 1, 2, 3, 4), size=(7, 8)), "lost.xml": voc("x.jpg", size=(-1, 2))}
    frame = Landing(["a.jpg", "b.jpg"], labels).annotations(format="voc")
    assert column(frame, *declared) == [("a.xml#1", 7, 8), ("b.jpg#0", None, None), ("lost.xml#0", -1, 2)]


def test_a_row_tells_all_that_is_wrong_in_one_line():
    row = every_reason().annotations(format="voc").filter(pl.col("annotation_id") == "lost.xml#2").to_dicts()[0]
    assert row["detail"].startswith("no image file fits 'lost.jpg'; expected four finite numbers as xmin")


def coco_of(file_name: str) -> str:
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": file_name}],
            "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}],
            "categories": [{"id": 1, "name": file_name}],
        }
    )


LOST = [
    # format, the one image that is left, label files by the name that each gives an image and a class
    ("csv", "cats/001.jpg", {"l.csv": "image,label\ndogs/001.jpg,dogs/001.jpg\ncats/001.jpg,cats/001.jpg\n"}),
    ("csv", "a.jpg", {"l.csv": "image,label\na.png,a.png\na.jpg,a.jpg\n"}),
    ("coco", "train/1.jpg", {f"annotations/{name}.json": coco_of(f"{name}/1.jpg") for name in ("val", "train")}),
    (
        "voc",
        "b/1.jpg",
        {f"Annotations/{name}.xml": voc(f"{name}/1.jpg", voc_object(f"{name}/1.jpg", 1, 2, 3, 4)) for name in "ab"},
    ),
]


@pytest.mark.parametrize(("kind", "image", "labels"), LOST)
def test_a_label_whose_image_is_gone_is_not_given_to_the_image_of_another_label(kind, image, labels):
    frame = Landing([image], labels).annotations(format=kind)
    by_label = {row["label"]: row for row in frame.to_dicts()}
    assert len(by_label) == frame.height == 2
    assert (by_label[image]["image_path"], by_label[image]["reason"]) == (image, None)
    (lost,) = (row for label, row in by_label.items() if label != image)
    assert (lost["image_path"], lost["reason"]) == (None, "no-file")
    assert f"{image!r} is named {image!r} in " in lost["detail"]


def test_each_path_of_equal_bytes_has_its_own_rows():
    landing = Landing(["a.jpg", "twin.jpg"], {"l.csv": "image,label\na.jpg,cat\n"}, same_bytes={"twin.jpg": "a.jpg"})
    assert column(landing.annotations(format="csv"), "image_path", "image_id", "label", "reason") == [
        ("a.jpg", image_id("a.jpg"), "cat", None),
        ("twin.jpg", image_id("a.jpg"), None, "no-label"),
    ]


def test_an_image_without_annotation_has_a_row_unless_the_snapshot_rejected_it():
    landing = Landing(["a.jpg", "b.jpg"], {}, rejected=["a.jpg"], undecodable=["b.jpg"])
    (row,) = landing.annotations(format="csv").select("image_path", "image_id", "reason").rows()
    assert row == ("b.jpg", None, "file-quarantined")


def test_an_annotation_file_that_the_snapshot_rejected_is_not_read():
    landing = Landing(["a.jpg"], {"a.xml": voc("a.jpg")}, rejected=["a.xml"])
    assert column(landing.annotations(format="voc"), "reason") == ["no-label"]


@pytest.mark.parametrize("name", ["folder", "csv", "voc", "coco", "yolo", "none"])
def test_an_empty_source_gives_an_empty_table(name):
    assert Landing().annotations(format=name).is_empty()


def test_the_order_of_files_does_not_matter():
    landing = every_reason()
    config = DatasetConfig.model_validate(
        {"name": "drawn", "source": {"url": "/x"}, "annotations": {"format": "voc", "include": ["*"]}}
    )
    frames = [
        build_annotations(config, files, landing.reader, landing.stored_sizes)
        for files in (landing.files, landing.files.reverse(), landing.files.sample(fraction=1, shuffle=True, seed=3))
    ]
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])


def test_what_reading_raises_is_not_taken_for_broken_content():
    def read(sha256):
        raise ValueError("the store is gone")

    landing = Landing(["a.jpg"], {"a.xml": voc("a.jpg")})
    config = DatasetConfig.model_validate(
        {"name": "drawn", "source": {"url": "/x"}, "annotations": {"format": "voc", "include": ["*"]}}
    )
    with pytest.raises(ValueError, match="the store is gone"):
        build_annotations(config, landing.files, read, landing.stored_sizes)


def test_a_hundred_thousand_boxes_take_seconds():
    images = [f"images/{number}.jpg" for number in range(5_000)]
    content = {
        "images": [{"id": number, "file_name": f"{number}.jpg"} for number in range(5_000)],
        "annotations": [
            {"id": n, "image_id": n % 5_000, "category_id": 1, "bbox": [n % 90, 1, 5, 5], "iscrowd": 0}
            for n in range(100_000)
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    landing = Landing(images, {"annotations/ann.json": json.dumps(content)})
    frame = in_cpu_s(10, lambda: landing.annotations(format="coco"))
    assert (frame.height, frame["reason"].null_count()) == (100_000, 100_000)
    assert boxes(frame.head(1)) == [(0, 1, 5, 6)]
