"""What the rules find in the real data sets. Every number is from their READMEs, or was counted by hand."""

from pathlib import Path

import polars as pl
import pytest

from cv_assets_tests.domain.quality.landed import land
from cv_assets_tests.domain.quality.ruled import findings, named
from cv_assets_tests.domain.tables import config

pytestmark = pytest.mark.data


def found_in(root: Path, images, labels=(), **settings):
    """Findings by code."""
    if labels:
        settings["annotations"] = {**settings["annotations"], "include": labels}
    found = findings(settings=settings, **land(root, config(**settings), images, labels))
    return {code: rows for (code,), rows in found.group_by("code")}


def paths(rows):
    return sorted(rows["path"])


def test_bccd_has_two_flat_boxes_seven_double_ones_and_three_under_the_wrong_label(real_data):
    found = found_in(
        real_data / "bccd/data",
        ["JPEGImages/*.jpg"],
        ["Annotations/*.xml"],
        annotations={"format": "voc"},
        classes=["RBC", "WBC", "Platelets"],
    )
    flat = {path: said["x_min_px"] for path, _, said in named(found["box-without-area"])}
    assert flat == {"JPEGImages/BloodImage_00338.jpg": 504, "JPEGImages/BloodImage_00343.jpg": 181}
    assert found["duplicate-box"].height == 7
    # a white cell of 31 × 27 pixels is a platelet, platelets of 150 pixels are white cells
    assert paths(found["odd-box-size"]) == [f"JPEGImages/BloodImage_{n}.jpg" for n in ("00113", "00133", "00135")]
    unfounded = {
        "box-out-of-bounds", "class-imbalance", "class-missing", "dark", "declared-size-differs", "file-without-label",
        "grayscale-among-colour", "letterboxed", "light", "low-information", "odd-size", "taxonomy-differs", "truncated",
        "unknown-label",
    }  # fmt: skip
    assert not unfounded & set(found)


def test_clothing_has_labels_without_a_file_files_without_a_label_and_classes_of_one_image(real_data):
    found = found_in(
        real_data / "clothing/data",
        ["images/*.jpg"],
        ["images.csv"],
        annotations={"format": "csv"},
        group_by="sender_id",
        classes=["T-Shirt", "Dress", "Sock"],
    )
    assert found["file-without-label"].height == 12
    lost = named(found["label-without-file"])
    assert [(path, said["label"]) for path, _, said in lost] == [("images.csv", "Skip")] * 4
    ((_, score, imbalance),) = named(found["class-imbalance"])
    assert (score, imbalance["largest"]) == (86, "T-Shirt")
    assert {said["class"]: score for _, score, said in named(found["rare-class"])} == {
        "Body": 1, "Other": 1, "Polo": 6, "Hoodie": 7, "Blazer": 8, "Outwear": 8, "Top": 9,
    }  # fmt: skip
    assert {said["class"] for *_, said in named(found["too-few-groups"])} == {"Body", "Other", "Polo"}
    assert [said["class"] for *_, said in named(found["class-missing"])] == ["Sock"]
    assert found["unknown-label"].height == 372 - 86 - 13
    assert not {"dark", "light", "odd-size", "low-information", "grayscale-among-colour"} & set(found)


def test_grocery_has_pictures_of_products_among_its_photos(real_data):
    dataset = [f"dataset/{part}/**/*.jpg" for part in ("train", "val", "test", "iconic-images-and-descriptions")]
    found = found_in(real_data / "grocery/data", [*dataset, "sample_images/**/*.jpg"])
    iconic = sorted(
        path.relative_to(real_data / "grocery/data").as_posix()
        for path in (real_data / "grocery/data/dataset/iconic-images-and-descriptions").rglob("*.jpg")
    )
    assert len(iconic) == 7
    assert paths(found["odd-size"]) == iconic  # 198 × 198 pixels among photos of 348
    assert set(found["constant-border"]["path"]) <= set(iconic)
    assert not {"dark", "light", "low-information", "grayscale-among-colour", "truncated"} & set(found)


def test_drawings_of_one_bit_are_not_all_wrong(real_data):
    settings = {"annotations": {"format": "folder", "class_depth": 2}}
    found = found_in(real_data / "omniglot/data", ["**/*.png"], **settings)
    assert not {"blurry", "dark", "grayscale-among-colour", "low-information", "odd-size", "unusual-mode"} & set(found)


def test_odd_files_are_found_for_what_they_are(real_data):
    found = found_in(real_data / "odd-pillow/data", ["**/*"], annotations={"format": "none"})
    assert paths(found["truncated"]) == [
        "apng/syntax_num_frames_high.png",
        "bmp/b/shortfile.bmp",
        "timeout-6646305047838720",
        "truncated_end_chunk.png",
        "truncated_image.png",
        "truncated_jpeg.jpg",
        "ultrahdr.jpg",
    ]
    assert paths(found["cmyk"]) == ["pil_sample_cmyk.jpg", "tiff_strip_cmyk_jpeg.tif", "tiff_tiled_cmyk_jpeg.tif"]
    turned = {path for path in paths(found["exif-rotated"]) if "orientation" in path}
    assert turned == {
        *(f"hopper_orientation_{n}.jpg" for n in range(2, 9)),
        *(f"hopper_orientation_{n}.webp" for n in (3, 4, 6, 7, 8)),
        *(f"g4_orientation_{n}.tif" for n in (3, 5, 6)),
        "xmp_tags_orientation.png",
        "xmp_tags_orientation_exiftool.png",
    }
    assert {"hopper_bad_exif.jpg", "invalid-exif.jpg"} <= set(found["invalid-exif"]["path"])
    assert paths(found["gps-present"]) == ["exif_gps.jpg"]
    frames = dict(found["animated"].select("path", "score").rows())
    assert (frames["chi.gif"], frames["multipage.tiff"], frames["dispose_bgnd.gif"]) == (31, 3, 5)
    modes = {said["mode"] for *_, said in named(found["unusual-mode"])}
    assert {"LAB", "I;16", "I;16B", "I", "1"} <= modes
    assert not {"RGB", "CMYK"} & modes
    assert found["unusual-bit-depth"].filter(pl.col("path") == "16bit.cropped.tif").height == 1
    assert "file-without-label" not in found  # none are wanted
