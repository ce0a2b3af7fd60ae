"""Which image a foreign name means."""

import pytest

from cv_assets.domain.annotations.matching import ImageIndex
from cv_assets_tests.bounds import in_cpu_s

FOUND = [
    # files, the annotation file, the name in it, the image meant
    (["images/a.jpg"], "ann.csv", "images/a.jpg", "images/a.jpg"),  # the path as it stands
    (["images/a.jpg"], "ann.csv", r".\images\\a.jpg", "images/a.jpg"),  # Windows, with noise
    (["images/a.jpg"], "ann.csv", "/images/a.jpg", "images/a.jpg"),
    (["x/images/a.jpg", "y/images/a.jpg"], "y/ann.csv", "images/a.jpg", "y/images/a.jpg"),  # beside the file
    (["x/images/a.jpg", "y/images/a.jpg"], "y/deep/er/ann.csv", "images/a.jpg", "y/images/a.jpg"),  # and above
    (["a.jpg", "train/a.jpg"], "train/ann.json", "a.jpg", "train/a.jpg"),  # a bare name is beside it first
    (["a.jpg", "train/a.jpg"], "ann.json", "a.jpg", "a.jpg"),
    (["images/a.jpg", "train/images/a.jpg"], "train/ann.json", "images/a.jpg", "images/a.jpg"),  # a path below the source
    (["p/q/a.jpg", "p/r/a.jpg"], "ann.csv", "/home/me/q/a.jpg", "p/q/a.jpg"),  # the longest path that ends alike
    (["p/q/a.jpg", "p/r/a.jpg"], "ann.csv", r"C:\data\r\a.jpg", "p/r/a.jpg"),
    (["p/q/a.jpg"], "ann.csv", "file:///other/a.jpg", "p/q/a.jpg"),  # the name alone, being unique
    (["JPEGImages/1.jpg"], "Annotations/1.xml", "1.jpg", "JPEGImages/1.jpg"),
    # several of one name: the one nearest to the annotation file
    (["VOC2007/JPEGImages/1.jpg", "VOC2012/JPEGImages/1.jpg"], "VOC2012/Annotations/1.xml", "1.jpg", "VOC2012/JPEGImages/1.jpg"),
    (["x/1.jpg", "x/sub/1.jpg", "y/1.jpg"], "x/ann.csv", "/home/pi/1.jpg", "x/1.jpg"),
    # without an extension, or with another one
    (["images/0f3a.jpg"], "images.csv", "0f3a", "images/0f3a.jpg"),
    (["images/a.JPG"], "ann.csv", "a.jpg", "images/a.JPG"),
    (["images/a.png"], "ann.csv", "images/a.jpg", "images/a.png"),
    (["photo.v2.jpg", "photo.jpg"], "ann.csv", "photo.v2", "photo.v2.jpg"),
    (["x/1.jpg", "y/1.jpg"], "ann.csv", "y/1", "y/1.jpg"),
    (["a.jpg", "a.png"], "ann.csv", "a.png", "a.png"),  # the whole name before the stem
]  # fmt: skip


@pytest.mark.parametrize(("paths", "beside", "named", "expected"), FOUND)
def test_a_name_finds_the_image_it_means(paths, beside, named, expected):
    match = ImageIndex(paths).find(named, beside)
    assert (match.path, match.reason) == (expected, None)


AMBIGUOUS = [
    (["x/a.jpg", "y/a.jpg"], "ann.csv", "a.jpg"),
    (["x/a.jpg", "y/a.jpg"], "other/ann.csv", "z/a.jpg"),
    (["x/1/a.jpg", "x/2/a.jpg", "y/a.jpg"], "x/ann.csv", "a.jpg"),  # two are equally near
    (["a.jpg", "a.png"], "ann.csv", "a"),
    (["x/a.JPG", "x/a.png"], "x/ann.csv", "a.jpg"),
]


@pytest.mark.parametrize(("paths", "beside", "named"), AMBIGUOUS)
def test_several_that_fit_equally_are_ambiguous(paths, beside, named):
    match = ImageIndex(paths).find(named, beside)
    assert (match.path, match.reason) == (None, "ambiguous-file")
    assert "files fit" in match.detail


NOT_NAMES = [
    "",
    "   ",
    "/",
    ".",
    "..",
    "../a.jpg",  # A14: a name is a key, and what climbs is no key
    "../../etc/passwd",
    r"..\..\a.jpg",
    "images/../a.jpg",
    "images/../../a.jpg",
    "a.jpg\0",
    "\0",
    "\0/a.jpg",
    "%2e%2e/%2e%2e/etc/passwd",  # nothing is decoded
    "%2e%2e%2fa.jpg",
    "/etc/passwd",
    r"C:\Windows\win.ini",
    "file:///etc/passwd",
    "x" * 5_000 + "/a.jpg",  # longer than any path
    "A.JPG",  # case twins are two images
    "\ud800.jpg",
]


@pytest.mark.parametrize("named", NOT_NAMES)
def test_a_name_that_tricks_paths_finds_nothing(named):
    match = ImageIndex(["a.jpg", "images/b.gif"]).find(named, "labels/ann.csv")
    assert (match.path, match.reason) == (None, "no-file")


def test_the_order_of_files_does_not_matter():
    paths = ["x/a.jpg", "y/a.jpg", "y/a.png", "z/q/a.jpg", "a.b.jpg"]
    for named in ("a.jpg", "a", "q/a.jpg", "a.b"):
        for beside in ("ann.csv", "y/ann.csv", "z/ann.csv"):
            assert ImageIndex(paths).find(named, beside) == ImageIndex(paths[::-1]).find(named, beside)


def test_a_name_that_ten_thousand_folders_share_is_looked_up_fast():
    images = ImageIndex([f"p{n}/JPEGImages/slice.jpg" for n in range(10_000)])

    def look_up():
        found = [images.find("slice.jpg", f"p{n}/Annotations/slice.xml").path for n in range(10_000)]
        assert found == [f"p{n}/JPEGImages/slice.jpg" for n in range(10_000)]
        assert {images.find(f"q{n}/slice.jpg", "ann.csv").reason for n in range(1_000)} == {"ambiguous-file"}

    in_cpu_s(2, look_up)


def test_a_path_of_five_hundred_folders_is_indexed_fast():
    deep = "/".join("a" * 500)

    def index():
        images = ImageIndex([f"{deep}/{n}/1.jpg" for n in range(2_000)])
        assert images.find(f"{deep}/7/1.jpg", "ann.csv").path == f"{deep}/7/1.jpg"
        assert images.find("/home/7/1.jpg", "ann.csv").path == f"{deep}/7/1.jpg"

    in_cpu_s(5, index)
