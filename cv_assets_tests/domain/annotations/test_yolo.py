"""YOLO label files."""

import json

import pytest

from cv_assets.domain.annotations.records import UprightSize
from cv_assets_tests.domain.annotations.landing import Landing, boxes, column

NAMES = {"data.yaml": "nc: 2\nnames: [cat, dog]\n"}


def read(labels, images=("a.jpg",), **config):
    return Landing(images, labels).annotations(format="yolo", **config)


def lines(text, **names):
    return read({"a.txt": text, **(names or NAMES)})


def test_ratios_of_the_sides_become_pixels():
    frame = lines("0 0.5 0.5 0.2 0.4\n\n1 0.1 0.2 0.2 0.4\r\n")
    assert column(frame, "annotation_id", "image_path", "named", "label", "reason") == [
        ("a.txt#1", "a.jpg", "a", "cat", None),
        ("a.txt#3", "a.jpg", "a", "dog", None),
    ]
    assert boxes(frame) == [pytest.approx((40, 15, 60, 35)), pytest.approx((0, 0, 20, 20))]


def test_a_polygon_becomes_the_box_round_it_and_is_kept():
    frame = lines("1 0.1 0.1 0.5 0.2 0.3 0.9\n")
    assert boxes(frame) == [pytest.approx((10, 5, 50, 45))]
    assert json.loads(frame["attributes"][0]) == {"polygon_ratio": [[0.1, 0.1], [0.5, 0.2], [0.3, 0.9]]}


def test_keypoints_are_not_taken_for_a_polygon_where_the_yaml_declares_them():
    text = "0 0.5 0.5 0.2 0.4 0.1 0.2 2 0.3 0.4 1\n"
    declared = {"data.yaml": "kpt_shape: [2, 3]\nnames: [cat]\n"}
    frame = lines(text, **declared)
    assert boxes(frame) == [pytest.approx((40, 15, 60, 35))]
    assert json.loads(frame["attributes"][0]) == {"keypoints_ratio": [0.1, 0.2, 2, 0.3, 0.4, 1]}
    # nor where a text of classes, which cannot tell, lies nearer to the labels
    nearer = read({"labels/a.txt": text, "labels/classes.txt": "cat\n", **declared}, images=["images/a.jpg"])
    assert (boxes(nearer), column(nearer, "attributes")) == (boxes(frame), column(frame, "attributes"))


KEYPOINTS = [
    # numbers behind the box, kpt_shape, is it a box with keypoints
    (6, "[2, 3]", True),
    (4, "[2, 2]", True),
    (0, "[2, 3]", True),
    (4, "[2, 3]", False),  # a polygon among poses: its first four numbers are no box
    (9, "[2, 3]", False),
    (1, "[2, 3]", False),
    (5, "many", True),  # how many is not told
    (5, "[0, 3]", True),
    (5, "[2, 4]", True),
    (0, "many", True),
]


@pytest.mark.parametrize(("more", "shape", "is_sound"), KEYPOINTS)
def test_a_line_has_as_many_keypoints_as_the_yaml_says_or_none(more, shape, is_sound):
    frame = lines(f"0 0.5 0.5 0.2 0.4{' 0.1' * more}\n", **{"data.yaml": f"kpt_shape: {shape}\nnames: [cat]\n"})
    assert column(frame, "reason") == [None if is_sound else "unparsable"]
    if is_sound:
        assert boxes(frame) == [pytest.approx((40, 15, 60, 35))]
    else:
        assert "a box, with 2 keypoints of 3 numbers (kpt_shape) or none, found" in frame["detail"][0]


@pytest.mark.parametrize("text", ["", "\n", "  \r\n\n", "\ufeff"])
def test_an_empty_file_says_that_its_image_shows_no_object(text):
    frame = lines(text)
    assert column(frame, "annotation_id", "image_path", "reason") == [("a.txt#0", "a.jpg", "no-object")]


LINES = [
    # line, label, reason
    ("0 0.5 0.5 0.2", None, "unparsable"),  # too few numbers
    ("0 0.5 0.5 0.2 0.4 0.9", None, "unparsable"),  # six: neither a box nor a polygon
    ("cat 0.5 0.5 0.2 0.4", None, "unparsable"),
    ("-1 0.5 0.5 0.2 0.4", None, "unparsable"),
    ("0.5 0.5 0.5 0.2 0.4", None, "unparsable"),
    ("nan 0.5 0.5 0.2 0.4", None, "unparsable"),
    ("1.0 0.5 0.5 0.2 0.4", "dog", None),  # some exporters write whole numbers so
    ("7 0.5 0.5 0.2 0.4", None, "unparsable"),  # no such class
    ("1 nan 0.5 0.2 0.4", "dog", "invalid-box"),
    ("1 0.5 0.5 inf 0.4", "dog", "invalid-box"),
    ("1 0.5 wide 0.2 0.4", "dog", "invalid-box"),
    ("1 1e308 0.5 1e308 0.4", "dog", "invalid-box"),  # times the width it is no number any more
    ("1 0.1 0.1 0.5 nan 0.3 0.9", "dog", "invalid-box"),
    ("1 5 5 2 2", "dog", None),  # outside its image: a finding for later
    ("data/obj_train_data/1.jpg", None, "unparsable"),  # a list of images, read as labels by a wide include
]


@pytest.mark.parametrize(("line", "label", "reason"), LINES)
def test_a_broken_line_is_one_row_and_leaves_the_others_alone(line, label, reason):
    frame = lines(f"0 0.5 0.5 0.2 0.4\n{line}\n0 0.5 0.5 0.2 0.4")
    assert column(frame, "label", "reason") == [("cat", None), (label, reason), ("cat", None)]
    assert set(frame["image_path"]) == {"a.jpg"}


def test_a_sixth_number_is_said_to_be_one_too_many():
    (detail,) = lines("0 0.5 0.5 0.2 0.4 0.9")["detail"]
    assert (
        detail
        == "expected a class number and a box or a polygon, found '0 0.5 0.5 0.2 0.4 0.9'; leave out a confidence"
    )


def test_a_file_that_is_not_utf_8_is_one_row():
    frame = read({"a.txt": b"\xff\xfe0 0.5", **NAMES})
    assert column(frame, "annotation_id", "reason") == [("a.jpg#0", "no-label"), ("a.txt#0", "unparsable")]


CLASS_FILES = [
    {"data.yaml": "names: [cat, dog]"},
    {"data.yaml": "path: ../x\nnc: 2\nnames:\n  0: cat\n  1: dog\n"},
    {"data.yaml": "names: {1: dog, 0: cat}"},
    {"dataset.yml": "names:\n- cat\n- 'dog'\n"},
    {"classes.txt": "cat\ndog\n\n"},
    {"classes.txt": "\ufeffcat\r\ndog"},
    {"obj.names": "cat\ndog\n"},
    {"data.yaml": "names: [cat, dog]", "classes.txt": "cat\ndog \n"},  # space is not another name
    {"data.yaml": "names: [cat, dog]", "classes.txt": "cat\n"},  # of two in a folder, the YAML
]


@pytest.mark.parametrize("files", CLASS_FILES)
def test_class_names_come_from_any_of_the_usual_files(files):
    assert column(lines("1 0.5 0.5 0.2 0.4", **files), "label", "reason") == [("dog", None)]


def test_class_names_come_from_the_nearest_folder_upward():
    line = "0 0.5 0.5 0.2 0.4"
    labels = {
        "classes.txt": "root\n",
        "x/data.yaml": "names: [x]",
        "x/train/labels/1.txt": line,
        "y/1.txt": line,
    }
    frame = read(labels, images=["x/train/images/1.jpg", "y/1.jpg"])
    assert column(frame, "annotation_id", "label") == [("x/train/labels/1.txt#1", "x"), ("y/1.txt#1", "root")]


@pytest.mark.parametrize("text", ["", "\n"])
def test_a_class_file_without_names_is_one_row_and_hides_none_above_it(text):
    labels = {"data.yaml": "names: [cat]", "x/classes.txt": text, "x/1.txt": "0 0.5 0.5 0.2 0.4"}
    frame = read(labels, images=["x/1.jpg"])
    assert column(frame, "annotation_id", "label", "reason") == [
        ("x/1.txt#1", "cat", None),
        ("x/classes.txt#0", None, "unparsable"),
    ]


@pytest.mark.parametrize("word", ["no", "yes", "null", "1", "1.5", "2024-01-01", "~"])
def test_a_class_that_yaml_would_take_for_something_else_keeps_its_name(word):
    assert column(lines("0 0.5 0.5 0.2 0.4", **{"data.yaml": f"names: [{word}]"}), "label") == [word]


BROKEN_CLASS_FILES = [
    ("nc: 2\n", "`names`"),
    ("names: cat\n", "`names`"),
    ("names: []\n", "`names`"),
    ("- cat\n", "`names`"),
    ("names: [cat, {a: b}]\n", "expected text as the name of class 1"),
    ("names: [cat, '']\n", "expected text as the name of class 1"),
    ("names: {first: cat}\n", "invalid literal"),
    ("nc: 3\nnames: [cat, dog]\n", "found 2 names and nc '3'"),
    ("names: {0: cat, 1: dog, 0: fox}\n", "expected each key once, found '0' twice"),  # the last would be every 0
    ("names: {0: cat, 00: dog}\n", "expected one name for class 0, found two"),
    ('names: [!!int ""]\n', "found the tag 'tag:yaml.org,2002:int'"),
    ("names: [!!bool maybe]\n", "found the tag"),
    ("names: [!!timestamp soon]\n", "found the tag"),
    ("names: [cat", "ParserError"),
    (b"names: [\xff]", "ReaderError"),
]


@pytest.mark.parametrize(("text", "detail"), BROKEN_CLASS_FILES)
def test_a_broken_class_file_is_one_row_and_its_labels_have_no_name(text, detail):
    frame = lines("0 0.5 0.5 0.2 0.4", **{"data.yaml": text})
    assert column(frame, "annotation_id", "label", "reason") == [
        ("a.txt#1", None, "unparsable"),
        ("data.yaml#0", None, "unparsable"),
    ]
    assert detail in frame["detail"][1]
    assert "include a data.yaml" in frame["detail"][0]


@pytest.mark.parametrize(
    "names", [("data.yaml", "data_old.yaml"), ("classes.txt", "obj.names"), ("classes.txt", "data.yaml")]
)
def test_two_lists_of_classes_in_one_folder_that_differ_name_nothing(names):
    spelled = [("names: [cat, dog]", "names: [dog, cat]"), ("cat\ndog", "dog\ncat")]
    texts = [spelled[not name.endswith("yaml")][place] for place, name in enumerate(names)]
    frame = lines("0 0.5 0.5 0.2 0.4", **dict(zip(names, texts, strict=True)))
    assert column(frame, "annotation_id", "label", "reason") == [
        ("a.txt#1", None, "unparsable"),
        *((f"{name}#0", None, "unparsable") for name in sorted(names)),
    ]
    for detail, other in zip(frame["detail"][1:], sorted(names)[::-1], strict=True):
        assert detail == f"expected one list of classes in a folder, found {other!r} beside it; leave one there"
    assert frame["detail"][0].endswith("that no other one beside it contradicts, where labels lie or above")
    same = lines("0 0.5 0.5 0.2 0.4", **{name: spelled[not name.endswith("yaml")][0] for name in names})
    assert column(same, "label", "reason") == [("cat", None)]


@pytest.mark.parametrize("texts", [("cat", "dog"), ("dog", "cat")])
def test_of_three_lists_in_one_folder_none_counts_if_one_differs_whatever_its_name(texts):
    frame = lines("0 0.5 0.5 0.2 0.4", **dict(zip(("classes.txt", "obj.names"), texts, strict=True)), **NAMES)
    assert column(frame, "annotation_id", "label", "reason") == [
        (name, None, "unparsable") for name in ("a.txt#1", "classes.txt#0", "data.yaml#0", "obj.names#0")
    ]


NEARER = [
    # class files above and beside the labels, and what is said of the second
    ({"data.yaml": "names: [cat, dog]", "labels/classes.txt": "dog\ncat"},
     "class 0 is 'dog' here and 'cat' in 'data.yaml'; this file counts, being nearer: correct one"),
    ({"data.yaml": "names: [dog]", "labels/classes.txt": "dog\ncat"}, None),
    ({"data.yaml": "names: [cat]", "labels/data.yaml": "names: [dog]"}, None),  # another dataset, which says so
    ({"classes.txt": "cat", "labels/data.yaml": "names: [dog]"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), NEARER)
def test_of_contradicting_lists_the_nearer_counts_and_it_is_said_where_a_yaml_is_above(files, expected):
    frame = read({"labels/1.txt": "0 0.5 0.5 0.2 0.4", **files}, images=("images/1.jpg",))
    assert column(frame.filter(frame["annotation_id"] == "labels/1.txt#1"), "label", "reason") == [("dog", None)]
    told = frame.filter(frame["annotation_id"] != "labels/1.txt#1").select("annotation_id", "reason", "detail").rows()
    assert told == ([("labels/classes.txt#0", "unparsable", expected)] if expected else [])


@pytest.mark.parametrize("other", ["data.yaml", "x/classes.txt"], ids=["above", "beside"])
def test_where_lists_of_classes_differ_no_other_one_names_the_labels_either(other):
    differing = {"x/a.yaml": "names: [cat, dog]", "x/b.yaml": "names: [dog, cat]"}
    named = "names: [fox]" if other.endswith("yaml") else "fox"
    frame = read({"x/1.txt": "0 0.5 0.5 0.2 0.4", **differing, other: named}, images=("x/1.jpg",))
    assert column(frame.filter(frame["annotation_id"] == "x/1.txt#1"), "label", "reason") == [(None, "unparsable")]


PAIRS = [
    # label file, images, the one it belongs to
    ("labels/train/1.txt", ["images/train/1.jpg", "images/val/1.jpg"], "images/train/1.jpg"),
    ("train/labels/1.txt", ["train/images/1.png", "val/images/1.png"], "train/images/1.png"),
    ("labels/labels/1.txt", ["labels/images/1.jpg", "images/labels/1.jpg"], "labels/images/1.jpg"),  # the last one
    ("labels/1.txt", ["images/1.jpg", "labels/1.jpg"], "images/1.jpg"),  # the mirrored folder before the own
    ("obj/1.txt", ["obj/1.jpg", "1.jpg"], "obj/1.jpg"),  # beside it
    ("Annotations/1.txt", ["Images/1.jpg"], "Images/1.jpg"),  # the only one of its stem
    ("Annotations/x/1.txt", ["Images/x/1.jpg", "Images/y/1.jpg"], "Images/x/1.jpg"),  # the longest path alike
    ("labels/1.jpg.txt", ["images/1.jpg"], "images/1.jpg"),
    ("a.b.txt", ["a.b.jpg", "a.c.jpg"], "a.b.jpg"),
    ("labels/caf\u00e9.txt", ["images/cafe\u0301.jpg"], "images/cafe\u0301.jpg"),  # zipped on macOS
]


@pytest.mark.parametrize(("label_path", "images", "expected"), PAIRS)
def test_a_label_file_meets_its_image_by_path(label_path, images, expected):
    frame = read({label_path: "0 0.5 0.5 0.2 0.4", **NAMES}, images=images)
    assert column(frame.filter(frame["label"] == "cat"), "image_path", "reason") == [(expected, None)]


def test_two_images_of_one_stem_beside_a_label_file_are_ambiguous():
    frame = read({"1.txt": "0 0.5 0.5 0.2 0.4", **NAMES}, images=["1.jpg", "1.png"])
    row = frame.filter(frame["annotation_id"] == "1.txt#1").to_dicts()[0]
    assert (row["label"], row["image_path"], row["reason"]) == ("cat", None, "ambiguous-file")
    assert row["detail"] == "2 files fit: 1.jpg, 1.png"


def test_an_image_that_has_its_own_label_file_is_not_given_to_another():
    labels = {"labels/train/1.txt": "0 0.5 0.5 0.2 0.4", "labels/val/1.txt": "1 0.5 0.5 0.2 0.4", **NAMES}
    frame = read(labels, images=["images/val/1.jpg"])  # the picture of train/1.txt is lost
    assert column(frame, "label", "image_path", "reason") == [
        ("cat", None, "no-file"),
        ("dog", "images/val/1.jpg", None),
    ]


def test_a_label_whose_own_folder_has_lost_the_image_is_not_given_to_one_without_labels():
    labels = {"labels/val/1.txt": "0 0.5 0.5 0.2 0.4", "labels/val/2.txt": "", **NAMES}
    frame = read(labels, images=["images/train/1.jpg", "images/train/2.jpg", "images/val/3.jpg"])
    assert set(frame["reason"].drop_nulls()) == {"no-file", "no-label"}
    assert frame.filter(frame["reason"] == "no-label")["image_path"].len() == 3


FARTHER = [
    # images, label files, what is said of the first, whose image is gone
    (["a/x/1.jpg"], ["b/y/1.txt", "a/y/1.txt"],
     ("ambiguous-file", "'a/x/1.jpg' is named 'a/y/1' in 'a/y/1.txt', which lies nearer")),
    (["a/x/1.jpg", "b/x/2.jpg"], ["b/y/1.txt", "b/y/2.txt"],
     ("no-file", "no image file fits 'b/y/1': label files of 'b/y' find others nearer than 'a/x/1.jpg'")),
]  # fmt: skip


@pytest.mark.parametrize(("images", "files", "expected"), FARTHER)
def test_a_label_file_gets_no_image_that_another_place_is_nearer_to(images, files, expected):
    frame = read({**dict.fromkeys(files, "0 0.5 0.5 0.2 0.4"), **NAMES}, images=images)
    rows = {row["named"]: row for row in frame.filter(frame["label"] == "cat").to_dicts()}
    lost, kept = (rows[path.removesuffix(".txt")] for path in files)
    assert kept["image_path"] == images[-1]
    assert (lost["image_path"], lost["reason"]) == (None, expected[0])
    assert lost["detail"] == f"{expected[1]}; if it is meant, lay the label file beside it"


def test_without_its_image_a_label_has_no_box_because_pixels_cannot_be_told():
    frame = read({"a.txt": "0 0.5 0.5 0.2 0.4", **NAMES}, images=[])
    assert column(frame, "label", "x_min_px", "reason") == [("cat", None, "no-file")]


def test_a_readme_among_the_labels_is_unparsable_lines():
    frame = read({"labels/README.txt": "Some words.\nMore.\n", **NAMES}, images=[])
    assert column(frame, "annotation_id", "reason") == [
        ("labels/README.txt#1", "unparsable"),
        ("labels/README.txt#2", "unparsable"),
    ]


def test_ratios_are_of_the_upright_image_unless_the_dataset_says_stored():
    # the upright image is 50 wide and 100 high; its file holds 100 by 50 and asks for a quarter turn
    landing = Landing(["a.jpg"], {"a.txt": "0 0.25 0.5 0.5 1", **NAMES}, {"a.jpg": UprightSize(50, 100, 6)})
    left_half, upper_half = (0, 0, 25, 100), (0, 0, 50, 50)  # turned clockwise, left becomes up
    for frame, box in {"auto": left_half, "upright": left_half, "stored": upper_half}.items():
        assert boxes(landing.annotations(format="yolo", frame=frame)) == [box]
