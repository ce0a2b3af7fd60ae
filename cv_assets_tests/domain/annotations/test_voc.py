"""Pascal VOC files."""

import json

import pytest

from cv_assets_tests.domain.annotations.landing import Landing, boxes, column, voc, voc_object


def read(text, images=("a.jpg",), path="a.xml"):
    return Landing(images, {path: text}).annotations(format="voc")


def test_each_object_is_a_row_with_its_box_as_given():
    frame = read(voc("a.jpg", voc_object("cat", 1, 2, 3, 4), voc_object(" dog ", "5.5", "6", "7.5", "8")))
    assert column(frame, "annotation_id", "image_path", "label", "reason") == [
        ("a.xml#1", "a.jpg", "cat", None),
        ("a.xml#2", "a.jpg", " dog ", None),
    ]
    assert boxes(frame) == [(1, 2, 3, 4), (5.5, 6, 7.5, 8)]


def test_what_else_is_said_of_an_object_becomes_attributes():
    more = "<pose>Left</pose><truncated>1</truncated><difficult>0</difficult><occluded/><part><name>head</name></part>"
    frame = read(voc("a.jpg", voc_object("cat", 1, 2, 3, 4, more=more)))
    assert json.loads(frame["attributes"][0]) == {"difficult": "0", "pose": "Left", "truncated": "1"}


def test_attributes_are_null_where_there_are_none():
    assert column(read(voc("a.jpg", voc_object("cat", 1, 2, 3, 4))), "attributes") == [None]


def test_a_file_without_objects_says_that_its_image_shows_none():
    assert column(read(voc("a.jpg")), "annotation_id", "image_path", "label", "reason") == [
        ("a.xml#0", "a.jpg", None, "no-object")
    ]


NAMES = [
    # how the XML file names its image, path of the XML file, image
    ("<filename>a.jpg</filename><path>/home/pi/b.jpg</path>", "x.xml", "a.jpg"),  # <filename> goes first
    ("<filename></filename><path>/home/pi/b.jpg</path>", "x.xml", "b.jpg"),
    (r"<path>C:\Users\me\b.jpg</path>", "x.xml", "b.jpg"),
    ("", "b.xml", "b.jpg"),  # no name at all: the XML file's own
    ("<filename>a</filename>", "x.xml", "a.jpg"),
    ("<filename>a.png</filename>", "x.xml", "a.jpg"),  # saved in another format since
]


@pytest.mark.parametrize(("naming", "path", "image"), NAMES)
def test_the_image_is_found_by_how_the_file_names_it(naming, path, image):
    text = f"<annotation>{naming}{voc_object('cat', 1, 2, 3, 4)}</annotation>"
    frame = read(text, images=["a.jpg", "b.jpg"], path=path)
    assert column(frame.filter(frame["label"] == "cat"), "image_path") == [image]


CLAIMS = [
    # XML files with the image that <filename> says, images, the files whose label is put on no image
    ({"1": "1.jpg", "aug_1": "1.jpg"}, ["i/1.jpg", "i/aug_1.jpg"], ["aug_1"]),  # by a script that left it as it was
    ({"a": "c.jpg", "b": "c.jpg"}, ["a.jpg", "b.jpg", "c.jpg"], ["a", "b"]),
    ({"1": "1.jpg", "1_more": "1.jpg"}, ["i/1.jpg"], []),  # an image of several files
    ({"x/1": "1.jpg", "y/1": "1.jpg"}, ["i/1.jpg"], []),  # by two people
    ({"ann/x/1": "1.jpg", "ann/y/1": "1.jpg"}, ["i/1.jpg", "ann/1.png"], []),  # beside a mask of its name
    ({"1": "2.jpg", "2": "1.jpg"}, ["1.jpg", "2.jpg"], []),  # numbered by themselves
]


@pytest.mark.parametrize(("names", "images", "refused"), CLAIMS)
def test_an_image_that_two_files_name_is_given_to_none_that_has_an_image_of_its_own_name(names, images, refused):
    labels = {f"{path}.xml": voc(named, voc_object(path, 1, 2, 3, 4)) for path, named in names.items()}
    frame = Landing(images, labels).annotations(format="voc")
    rows = {row["label"]: row for row in frame.drop_nulls("label").to_dicts()}
    assert sorted(label for label, row in rows.items() if row["image_path"] is None) == refused
    assert {rows[label]["reason"] for label in refused} <= {"ambiguous-file"}
    if refused == ["aug_1"]:
        said = "'i/1.jpg' is named in '1.xml', too, and 'i/aug_1.jpg' is called like this file; correct <filename>"
        assert rows["aug_1"]["detail"] == said


OBJECTS = [
    # object, label, reason, part of the detail
    (voc_object("cat", "nan", 2, 3, 4), "cat", "invalid-box", "'nan'"),
    (voc_object("cat", 1, "-inf", 3, 4), "cat", "invalid-box", "'-inf'"),
    (voc_object("cat", 1, 2, "wide", 4), "cat", "invalid-box", "'wide'"),
    (voc_object("cat", 1, 2, "", 4), "cat", "invalid-box", "None"),
    ("<object><name>cat</name></object>", "cat", "invalid-box", "None"),  # no bndbox
    (voc_object("", 1, 2, 3, 4), None, "no-label", None),
]


@pytest.mark.parametrize(("thing", "label", "reason", "detail"), OBJECTS)
def test_a_broken_object_keeps_what_can_be_read(thing, label, reason, detail):
    frame = read(voc("a.jpg", thing, voc_object("dog", 1, 2, 3, 4)))
    assert column(frame, "label", "reason") == [(label, reason), ("dog", None)]
    assert (detail or "") in (frame["detail"][0] or "")


FILES = [
    ("", "no element found"),
    ("<annotation>", "no element found"),
    ("<annotation><object></annotation>", "mismatched tag"),
    ("not XML", "syntax error"),
    ("<labels/>", "expected <annotation> as the root, found <labels>"),
    ("<annotations/>", "found <annotations>; of CVAT, export Pascal VOC, COCO or YOLO instead"),
    ('<?xml version="1.0" encoding="nope"?><annotation/>', "unknown encoding: nope"),
    (b"\xff\xfe\x00", "ParseError"),
    (b"<annotation>\x80</annotation>", "invalid token"),
    ("<annotation>&#xD800;</annotation>", "reference to invalid character"),
]


@pytest.mark.parametrize(("text", "detail"), FILES)
def test_a_broken_file_is_one_row_and_its_image_has_no_label(text, detail):
    frame = read(text)
    assert column(frame, "annotation_id", "image_path", "reason") == [
        ("a.jpg#0", "a.jpg", "no-label"),
        ("a.xml#0", None, "unparsable"),
    ]
    assert detail in frame["detail"][1]


def test_a_latin_1_file_that_says_so_is_read():
    head = '<?xml version="1.0" encoding="iso-8859-1"?>'
    frame = read((head + voc("a.jpg", voc_object("été", 1, 2, 3, 4))).encode("latin-1"))
    assert column(frame, "label") == ["été"]
