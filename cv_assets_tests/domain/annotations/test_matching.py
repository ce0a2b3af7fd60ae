"""Which image a foreign name means."""

import pytest

from cv_assets.domain.annotations.claims import by_name, by_name_in_lists
from cv_assets.domain.annotations.matching import ImageIndex
from cv_assets.domain.annotations.records import Entry, Sources
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


LOST = [
    # files, the annotation file, the name of an image that is gone, the folder that should hold it
    (["dogs/2.jpg", "cats/1.jpg"], "ann.csv", "dogs/1.jpg", "dogs"),
    (["dogs/2.jpg", "cats/1.jpg"], "ann.csv", "dogs/1", "dogs"),
    (["dogs/2.jpg", "cats/1.png"], "ann.csv", "dogs/1.jpg", "dogs"),
    (["set/val/2.jpg", "set/train/1.jpg"], "set/annotations/val.json", "val/1.jpg", "set/val"),
    (["x/val/2.jpg", "y/val/x/1.jpg"], "x/ann.json", "val/1.jpg", "x/val"),
    (["sub/2.jpg", "1.jpg"], "ann.csv", "sub/1.jpg", "sub"),  # which ends in the name of the other
    (["p/q/2.jpg", "q/1.jpg"], "ann.csv", "p/q/1.jpg", "p/q"),
    (["b/1.jpg", "a/3.jpg"], "ann.csv", "home/me/data/b/3.jpg", "b"),  # as another machine has it
]


@pytest.mark.parametrize(("paths", "beside", "named", "folder"), LOST)
def test_a_name_in_a_folder_that_is_there_means_no_image_of_another_folder(paths, beside, named, folder):
    match = ImageIndex(paths).find(named, beside)
    assert (match.path, match.reason) == (None, "no-file")
    assert match.detail == f"no image file fits {named!r}: the folder {folder!r} has none"


FOUND_ELSEWHERE = [
    # files, the annotation file, the name in it, the image meant
    (["images/2.jpg", "train/images/1.jpg"], "ann.csv", "images/1.jpg", "train/images/1.jpg"),  # only more in front
    (["q/2.jpg", "p/q/1.png"], "ann.csv", "q/1.jpg", "p/q/1.png"),
    (["dogs/x/2.jpg", "cats/1.jpg"], "ann.csv", "dogs/1.jpg", "cats/1.jpg"),  # no image lies in dogs itself
]


@pytest.mark.parametrize(("paths", "beside", "named", "expected"), FOUND_ELSEWHERE)
def test_a_folder_that_is_there_does_not_hide_an_image_whose_path_agrees(paths, beside, named, expected):
    assert ImageIndex(paths).find(named, beside).path == expected


TWO_NAMES = [
    # files, a name that spells the image, a name that does not, and why the second has its image or not
    (["cats/1.jpg"], "cats/1.jpg", "dogs/1.jpg", None),
    (["cats/1.jpg"], "cats/1", "dogs/1", None),
    (["cats/1.jpg"], "/home/me/cats/1.jpg", "/home/me/dogs/1.jpg", None),  # it ends in the whole path
    (["a.jpg"], "a.jpg", "a.png", None),
    (["a.JPG"], "a.JPG", "a.jpg", None),  # case twins are two images
    (["cats/1.jpg"], "cats/1.jpg", "1.jpg", None),  # the same hand does not call one image by two names
    (["cats/1.jpg"], "cats/1.jpg", "/home/me/cats/1.jpg", "cats/1.jpg"),
    (["cats/1.jpg"], "cats/1.jpg", "1", None),
    (["old/1.jpg", "2.jpg"], "old/1.jpg", "1.jpg", None),  # the one of the root is gone
    (["cats/1.jpg"], "cats/1.jpg", r".\cats\1", "cats/1.jpg"),
    (["set/cats/1.jpg"], "cats/2.jpg", "/home/me/1.jpg", "set/cats/1.jpg"),  # which nothing spells
]


@pytest.mark.parametrize("order", [1, -1])
def test_an_image_that_is_called_by_its_name_is_not_given_to_one_of_another_extension(order):
    names = ("1.jpg", "1.png", "1")[::order]
    entries = [("ann.csv", Entry(place=str(at), named=named)) for at, named in enumerate(names)]
    matcher = by_name(Sources((), ("images/1.jpg",), {}.__getitem__), ImageIndex(["images/1.jpg"]), entries)
    found = {entry.named: matcher(source, entry).path for source, entry in entries}
    assert found == {"1.jpg": "images/1.jpg", "1.png": None, "1": "images/1.jpg"}


@pytest.mark.parametrize(("paths", "spelled", "other", "expected"), TWO_NAMES)
@pytest.mark.parametrize("order", [1, -1])
def test_an_image_that_one_name_spells_is_not_given_to_a_name_that_differs(paths, spelled, other, expected, order):
    entries = [("ann.csv", Entry(place=str(at), named=named)) for at, named in enumerate((spelled, other)[::order])]
    matcher = by_name(Sources((), tuple(paths), {}.__getitem__), ImageIndex(paths), entries)
    match = {entry.named: matcher(source, entry) for source, entry in entries}[other]
    assert (match.path, match.reason) == (expected, None if expected else "no-file")
    assert expected or match.detail.endswith(f"{paths[0]!r} is named {spelled!r} in 'ann.csv'")


TWO_FILES = [
    # images, the two annotation files, how both name an image, the only one of that name, what the second file's means
    (["train/1.jpg", "val/2.jpg"], ["train/a.json", "val/a.json"], "1.jpg", None),  # it stood beside the second file
    (["x/i/1.jpg", "y/i/2.jpg"], ["x/a.csv", "y/a.csv"], "i/1.jpg", None),
    (["train/1.jpg", "2.jpg"], ["train/a.json", "all.json"], "1.jpg", "train/1.jpg"),  # of the root, all is below
]


@pytest.mark.parametrize(("paths", "files", "named", "expected"), TWO_FILES)
def test_an_image_that_one_file_names_is_not_given_to_a_file_that_means_its_own_folder(paths, files, named, expected):
    entries = [(file, Entry(place="1", named=named)) for file in files]
    matcher = by_name(Sources((), tuple(paths), {}.__getitem__), ImageIndex(paths), entries)
    first, second = (matcher(*entry) for entry in entries)
    assert (first.path, second.path, second.reason) == (paths[0], expected, None if expected else "no-file")
    assert expected or second.detail == f"no image file fits {named!r}: {paths[0]!r} is named {named!r} in {files[0]!r}"


TWO_FOLDERS = [
    # images, annotation files with how they name the only image of that name, which of them have it
    (["train/1.jpg"], {"train/a.json": "1.jpg", "val/a.json": "1.jpg"}, ["train/a.json"]),  # val/ has lost all its images
    (["train/1.jpg"], {"train/a.json": "train/1.jpg", "val/a.json": "1.jpg"}, ["train/a.json"]),
    (["train/1.jpg"], {"train/a.json": "1", "val/a.json": "1.jpg"}, ["train/a.json"]),
    (["x/i/1.jpg"], {"x/a.csv": "i/1.jpg", "y/a.csv": "i/1.jpg"}, ["x/a.csv"]),
    (["07/i/1.jpg", "12/i/2.jpg"], {"07/a/1.xml": "1.jpg", "12/a/1.xml": "1.jpg"}, ["07/a/1.xml"]),  # as VOC has them
    (["train/1.jpg"], {"all/a.json": "1.jpg"}, ["all/a.json"]),  # which no other one names
    (["train/1.jpg"], {"all/a.json": "1.jpg", "more/b.json": "1.jpg"}, ["all/a.json", "more/b.json"]),  # equally far
    (["train/1.jpg"], {"train/a.json": "1.jpg", "all/a.json": "train/1.jpg"}, ["all/a.json", "train/a.json"]),
    (["set/train/1.jpg"], {"set/train/a.json": "1.jpg", "more/a.json": "train/1.jpg"}, ["more/a.json", "set/train/a.json"]),
    (["set/train/1.jpg"], {"set/train/a.json": "1.jpg", "set/a.json": "1.jpg"}, ["set/a.json", "set/train/a.json"]),
    (["train/1.jpg"], {"train/a/b.json": "1.jpg", "train/a.json": "1.jpg"}, ["train/a.json", "train/a/b.json"]),
    (["x/i/1.jpg"], {"x/a.csv": "1.jpg", "y/a.csv": "y/i/1.jpg"}, ["x/a.csv"]),  # it says more, of another folder
    (["cafe\u0301/1.jpg"], {"caf\u00e9/a.json": "1.jpg", "val/a.json": "1.jpg"}, ["caf\u00e9/a.json"]),  # one folder
]  # fmt: skip


@pytest.mark.parametrize(("paths", "names", "expected"), TWO_FOLDERS)
@pytest.mark.parametrize("order", [1, -1])
def test_an_image_that_a_nearer_file_names_is_not_given_to_one_elsewhere(paths, names, expected, order):
    entries = [(file, Entry(place="1", named=named)) for file, named in list(names.items())[::order]]
    matcher = by_name(Sources((), tuple(paths), {}.__getitem__), ImageIndex(paths), entries)
    matches = {entry[0]: matcher(*entry) for entry in entries}
    assert sorted(file for file, match in matches.items() if match.path == paths[0]) == expected
    for match in matches.values():
        assert match.path or match.reason == "ambiguous-file"
        assert match.path or match.detail.endswith("which lies nearer; if it is meant, write its whole path")


HOMES = [
    # images, label files with the names in them, which images the first file finds
    (["train/1.jpg", "val/2.jpg"], {"val/a.json": ["1.jpg", "2.jpg"]}, [None, "val/2.jpg"]),
    (["train/1.png", "val/2.jpg"], {"val/a.json": ["1.jpg", "2.jpg"]}, [None, "val/2.jpg"]),
    (["train/1.jpg", "val/2.jpg"], {"val/a.json": ["/me/1.jpg", "/me/2.jpg"]}, [None, "val/2.jpg"]),
    (["x/i/1.jpg", "y/i/2.jpg"], {"y/a.csv": ["i/1.jpg", "i/2.jpg"]}, [None, "y/i/2.jpg"]),
    (["07/i/1.jpg", "12/i/2.jpg"], {"12/a/1.xml": ["1.jpg"], "12/a/2.xml": ["2.jpg"]}, [None]),  # as VOC has them
    (["train/1.jpg", "val/2.jpg"], {"val/a.json": ["1.jpg"]}, ["train/1.jpg"]),  # nothing tells what val/ is of
    (["train/1.jpg", "val/2.jpg"], {"all/a.json": ["1.jpg", "2.jpg"]}, ["train/1.jpg", "val/2.jpg"]),
    (["x/1.jpg", "2.jpg"], {"a.csv": ["1.jpg", "2.jpg"]}, ["x/1.jpg", "2.jpg"]),  # below, but no farther away
    (["train/1.jpg", "val/2.jpg"], {"val/a.json": ["train/1.jpg", "2.jpg"]}, ["train/1.jpg", "val/2.jpg"]),  # spelled
    (["other/1.jpg", "set/train/2.jpg"], {"set/val/a.json": ["1.jpg", "2.jpg"], "set/train/a.json": ["2.jpg"]},
     ["other/1.jpg", None]),  # the one near by is not its own
    (["raw/x/1.jpg", "raw/y/2.jpg"], {"raw/y/a.csv": ["/me/x/1.jpg", "2.jpg"]}, ["raw/x/1.jpg", "raw/y/2.jpg"]),
]  # fmt: skip


@pytest.mark.parametrize(("paths", "names", "expected"), HOMES)
def test_a_label_among_others_of_images_near_by_is_given_to_none_farther_away_by_its_name_alone(paths, names, expected):
    entries = [(file, Entry(place=named, named=named)) for file, every in names.items() for named in every]
    matcher = by_name(Sources((), tuple(paths), {}.__getitem__), ImageIndex(paths), entries)
    matches = [matcher(*entry) for entry in entries][: len(expected)]
    assert [match.path for match in matches] == expected
    if expected[0] is None:
        file, (named, *_) = next(iter(names.items()))
        assert matches[0].reason == "no-file"
        assert matches[0].detail == (
            f"no image file fits {named!r}: label files of {file.rpartition('/')[0]!r} find others nearer than {paths[0]!r}; "
            "if it is meant, write its whole path"
        )


LISTS = [
    # images, lists of labels with the names in them, which images the first list finds
    (["images/train/1.jpg", "images/val/1.jpg"], {"labels/val.json": ["1.jpg"]}, ["images/val/1.jpg"]),
    (["train2017/1.jpg", "val2017/1.jpg"], {"annotations/instances_val2017.json": ["1.jpg"]}, ["val2017/1.jpg"]),
    (["train/1.jpg", "test/1.jpg"], {"train_labels.csv": ["1"]}, ["train/1.jpg"]),
    (["train/images/1.jpg", "val/images/1.jpg"], {"val.json": ["images/1.jpg"]}, ["val/images/1.jpg"]),
    (["x/val/1.jpg", "y/val/1.jpg"], {"y/labels/val.json": ["1.jpg"]}, ["y/val/1.jpg"]),  # the nearest of that name
    (["images/default/1.jpg", "images/default/x/1.jpg"], {"annotations/instances_default.json": ["1.jpg", "x/1.jpg"]},
     ["images/default/1.jpg", "images/default/x/1.jpg"]),  # as CVAT has them
    # the image of val is gone, and another split has one of that name
    (["train/1.jpg", "val/2.jpg"], {"l/val.json": ["1.jpg", "2.jpg"]}, [None, "val/2.jpg"]),
    (["train/1.jpg", "val/2.jpg"], {"l/val.json": ["1.jpg"], "l/train.json": ["1.jpg"]}, [None]),
    (["train/1.jpg"], {"l/val.json": ["1.jpg"], "l/train.json": ["1.jpg"]}, [None]),  # all of val are
    (["train/1.jpg"], {"val.json": ["1.jpg"], "train.json": ["1.jpg"]}, [None]),  # the same with the lists at the root
    (["s/train/1.jpg"], {"s/val.json": ["1.jpg"], "s/train.json": ["1.jpg"]}, [None]),
    (["train/1.jpg", "train/2.jpg"], {"val.json": ["2.jpg"], "train.json": ["1.jpg"]}, ["train/2.jpg"]),  # one folder for both
    (["i/1.jpg"], {"val.json": ["1.jpg"], "train.json": ["1.jpg"]}, ["i/1.jpg"]),  # whose labels are in two lists
    (["train/1.jpg", "val/2.jpg"], {"l/val.json": ["train/1.jpg", "2.jpg"]}, ["train/1.jpg", "val/2.jpg"]),  # it is meant
    # what tells no split, or several
    (["images/1.jpg", "labels/1.jpg"], {"labels.csv": ["1.jpg"]}, [None]),  # the masks are not meant
    (["train/1.jpg", "val/2.jpg"], {"train_val.csv": ["1.jpg", "2.jpg"]}, ["train/1.jpg", "val/2.jpg"]),
    (["train/1.jpg", "val/2.jpg"], {"all.csv": ["1.jpg", "2.jpg"]}, ["train/1.jpg", "val/2.jpg"]),
    (["l/1.jpg", "val/1.jpg"], {"l/val.json": ["1.jpg"]}, ["l/1.jpg"]),  # beside it
    (["x/val/1.jpg", "y/val/2.jpg"], {"val.json": ["1.jpg", "2.jpg"]}, ["x/val/1.jpg", "y/val/2.jpg"]),
]  # fmt: skip


@pytest.mark.parametrize(("paths", "names", "expected"), LISTS)
def test_a_list_of_labels_that_is_called_after_a_split_counts_as_lying_in_its_folder(paths, names, expected):
    entries = [(file, Entry(place=named, named=named)) for file, every in names.items() for named in every]
    matcher = by_name_in_lists(Sources((), tuple(paths), {}.__getitem__), ImageIndex(paths), entries)
    matches = [matcher(*entry) for entry in entries]
    assert [match.path for match in matches][: len(expected)] == expected
    assert all(match.path or match.reason for match in matches)


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"
SPELLED = [
    # images, the annotation file, the name in it, the image meant
    ([f"{DECOMPOSED}.jpg"], "ann.csv", f"{COMPOSED}.jpg", f"{DECOMPOSED}.jpg"),
    ([f"{COMPOSED}.jpg"], "ann.csv", f"{DECOMPOSED}.jpg", f"{COMPOSED}.jpg"),
    ([f"{DECOMPOSED}/1.jpg", "x/1.jpg"], "ann.csv", f"/me/{COMPOSED}/1.jpg", f"{DECOMPOSED}/1.jpg"),
    ([f"{DECOMPOSED}.jpg"], "ann.csv", COMPOSED, f"{DECOMPOSED}.jpg"),
    ([f"{DECOMPOSED}/1.jpg", "x/1.jpg"], f"{COMPOSED}/ann.csv", "1.jpg", f"{DECOMPOSED}/1.jpg"),
    # two images that differ in nothing else are told apart
    ([f"{COMPOSED}.jpg", f"{DECOMPOSED}.jpg"], "ann.csv", f"{COMPOSED}.jpg", f"{COMPOSED}.jpg"),
    ([f"{COMPOSED}.jpg", f"{DECOMPOSED}.jpg"], "ann.csv", f"{DECOMPOSED}.jpg", f"{DECOMPOSED}.jpg"),
    # as are those in a folder that has lost one
    ([f"{DECOMPOSED}/2.jpg", "x/1.jpg"], "ann.csv", f"{COMPOSED}/1.jpg", None),
]  # fmt: skip


@pytest.mark.parametrize(("paths", "beside", "named", "expected"), SPELLED)
def test_a_name_finds_its_image_however_its_accents_are_encoded(paths, beside, named, expected):
    assert ImageIndex(paths).find(named, beside).path == expected
    entries = [(beside, Entry(place="1", named=named))]
    matcher = by_name(Sources((), tuple(paths), {}.__getitem__), ImageIndex(paths), entries)
    assert matcher(*entries[0]).path == expected


NOT_NAMES = [
    "",
    "   ",
    "/",
    ".",
    "..",
    "../a.jpg",  # a name is a key, and what climbs is no key
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
