"""Which files of a source belong to a dataset, and in which role."""

import polars as pl
import pytest

from cv_assets.domain.snapshot import RoleOf, content_reason, has_readable_size, size_reason
from cv_assets_tests.domain.images import encode, picture
from cv_assets_tests.domain.tables import config

PATTERNS = [
    # source.include, path, role
    (["**/*"], "a.jpg", "image"),  # `**` matches no folder, too
    (["**/*"], "deep/down/a.jpg", "image"),
    (["**/*"], ".hidden.jpg", None),  # hidden files are not uploads
    (["**/*"], ".cache/a.jpg", None),
    (["**/*"], "a/.DS_Store", None),
    (["**/.*"], ".hidden.jpg", "image"),  # unless a pattern names the dot
    (["*.jpg"], "a.jpg", "image"),
    (["*.jpg"], "b/a.jpg", None),  # `*` stays within a folder
    (["*.jpg"], "A.JPG", None),  # names are told apart by case
    (["*.jpg"], "a.jpg\n", None),  # a newline is a letter like any other
    (["*.jpg"], "x\n.jpg", "image"),
    (["*.jpg"], "a.jpg.txt", None),
    (["**/*.{jpg,png}"], "b/a.png", "image"),
    (["**/*.{jpg,png}"], "b/a.gif", None),
    (["{train,val}/*.png"], "val/a.png", "image"),
    (["{train,val}/*.png"], "test/a.png", None),
    (["*.png", "b/*.png"], "b/a.png", "image"),  # any of several
    (["[ab].png"], "b.png", "image"),
    (["[!ab].png"], "b.png", None),
    (["a?.png"], "a1.png", "image"),
    (["images/**"], "images/x/y.png", "image"),
    (["**/*"], "a\\b.jpg", "image"),  # a backslash in a name is a letter
    (["**/*"], "-rf.jpg", "image"),
    (["**/*"], "größe/ß.jpg", "image"),
    (["**/*"], "a..b.jpg", "image"),
    (["**/*.jpg"], "a/../b.jpg", "image"),
    (["**/*.jpg"], "./b.jpg", "image"),
    (["**/*.jpg"], "../b.txt", None),
]


@pytest.mark.parametrize(("include", "path", "role"), PATTERNS)
def test_patterns_name_the_images(include, path, role):
    assert RoleOf(config(source={"url": "/landing", "include": include}))(path) == role


def test_a_file_that_annotation_patterns_name_is_no_image():
    role_of = RoleOf(config(annotations={"format": "voc", "include": ["**/*.xml", "**/mask.png"]}))
    assert [role_of(path) for path in ("a.png", "a.xml", "b/mask.png")] == ["image", "annotation", "annotation"]


def test_an_excluded_file_has_no_role_whatever_else_names_it():
    role_of = RoleOf(
        config(
            source={"url": "/landing", "exclude": ["old/**", "**/*.xml"]},
            annotations={"format": "voc", "include": ["**/*.xml"]},
        )
    )
    assert [role_of(path) for path in ("a.png", "old/a.png", "a.xml")] == ["image", None, None]


SIZES = [
    # size in bytes, role, reason
    (0, "image", "empty-file"),
    (0, "annotation", "empty-file"),
    (1, "image", None),
    (1_000, "image", None),
    (1_001, "image", "bytes-over-limit"),
    (1_001, "annotation", None),  # annotation files have a limit of their own
    (2_001, "annotation", "bytes-over-limit"),
]


@pytest.mark.parametrize(("size_bytes", "role", "reason"), SIZES)
def test_a_file_of_the_wrong_size_is_not_read_at_all(size_bytes, role, reason):
    dataset = config(
        limits={"max_bytes": 1_000}, annotations={"format": "voc", "include": ["*.xml"], "max_bytes": "2k"}
    )
    found = size_reason(size_bytes, role, dataset)
    assert (found and found[0]) == reason
    assert found is None or str(size_bytes) in found[1]
    row = pl.DataFrame({"size_bytes": [size_bytes], "role": [role]})
    assert row.select(has_readable_size(dataset)).item() == (reason is None)  # the same rule for a table of them


@pytest.mark.parametrize("role", ["image", "annotation"])
def test_an_empty_file_is_read_only_where_it_says_that_an_image_shows_no_object(role):
    dataset = config(annotations={"format": "yolo", "include": ["*.txt"]})
    is_label = role == "annotation"
    assert size_reason(0, role, dataset) == (None if is_label else ("empty-file", "0 bytes"))
    row = pl.DataFrame({"size_bytes": [0], "role": [role]})
    assert row.select(has_readable_size(dataset)).item() == is_label


def test_bytes_that_are_no_image_are_rejected_before_any_decoder_sees_them():
    assert content_reason(encode(picture(), "PNG"), "image") is None
    assert content_reason(b"<annotation/>", "annotation") is None
    assert content_reason(b"%!PS-Adobe-3.0", "image") == (
        "format-not-allowed",
        "begins with 25 21 50 53 2d 41 64 6f, which is no JPEG, PNG, WebP, BMP, TIFF, PNM or GIF",
    )


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0", "HEIC"),
        (b"\0\0\0\x20ftypavif\0\0\0\0", "AVIF"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"FUJIFILMCCD-RAW 0201", "camera raw"),
        (b"<!doctype html><html>", "HTML"),
        (b"\xef\xbb\xbf<svg xmlns='http:'/>", "SVG"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "git lfs pull"),
    ],
)
def test_what_is_often_met_instead_of_an_image_is_called_by_its_name(data, told):
    reason, detail = content_reason(data, "image")
    assert reason == "format-not-allowed"
    assert told in detail.partition(" (expected JPEG")[0]
