"""Labels in CSV files."""

import json

import pytest

from cv_assets_tests.domain.annotations.landing import Landing, boxes, column, image_id

CORNERS = {"image": "image", "label": "label", "x_min": "x1", "y_min": "y1", "x_max": "x2", "y_max": "y2"}


def read(text, images=("a.jpg", "b.jpg"), **config):
    return Landing(images, {"labels.csv": text}).annotations(format="csv", **config)


def test_a_row_is_a_label_and_its_other_columns_are_attributes():
    frame = read("image,sender,label,kids\na.jpg,94,Hat,False\n", images=["a.jpg"])
    (row,) = frame.to_dicts()
    assert row["annotation_id"] == "labels.csv#2"  # the line that an editor shows
    assert (row["image_path"], row["image_id"], row["named"]) == ("a.jpg", image_id("a.jpg"), "a.jpg")
    assert (row["label"], row["reason"]) == ("Hat", None)
    assert json.loads(row["attributes"]) == {"sender": "94", "kids": "False"}


SPELLINGS = [
    "image,label\na.jpg,cat\nb.jpg,dog\n",
    "image,label\r\na.jpg,cat\r\nb.jpg,dog\r\n",  # Windows
    "image,label\ra.jpg,cat\rb.jpg,dog",  # old Macintosh
    "image,label\na.jpg,cat\r\nb.jpg,dog\r",  # mixed
    "\ufeffimage,label\na.jpg,cat\nb.jpg,dog\n",  # Excel's byte order mark
    "\n image , label \n\na.jpg , cat\n\n b.jpg,dog\n\n",  # blank lines, and blanks round cells
    '"image","label"\n"a.jpg","cat"\n"b.jpg","dog"\n',
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_any_spelling_of_a_table_reads_alike(text):
    assert column(read(text), "image_path", "label", "reason") == [("a.jpg", "cat", None), ("b.jpg", "dog", None)]


ROWS = [
    # row, expected label, reason
    ("a.jpg,", None, "no-label"),
    ("a.jpg", None, "no-label"),  # a row may end early
    ("a.jpg,  ", None, "no-label"),
    (",cat", None, "unparsable"),  # no image
    ("a.jpg,cat,dog", None, "unparsable"),  # more cells than columns: nobody knows which is the label
    ("c.jpg,cat", "cat", "no-file"),
    ("a.jpg,=cmd()", "=cmd()", None),  # data is data; it is escaped where it is exported
    ("a.jpg,constructor", "constructor", None),
    ('a.jpg,"{""choices"": [""cat"", ""dog""]}"', None, "unparsable"),  # Label Studio: several choices, or boxes
    ('a.jpg,"[{""x"": 1, ""rectanglelabels"": [""cat""]}]"', None, "unparsable"),
    ("a.jpg,[x] {y}", "[x] {y}", None),
    ("a.jpg,ca\0t", "ca\0t", None),
    ('a.jpg,"two\nlines"', "two\nlines", None),
]


@pytest.mark.parametrize(("row", "label", "reason"), ROWS)
def test_a_row_that_lacks_something_is_kept_with_a_reason(row, label, reason):
    frame = read(f"image,label\n{row}\n", images=["a.jpg"])
    of_file = frame.filter(frame["annotation_id"].str.starts_with("labels.csv#"))
    assert column(of_file, "label", "reason") == [(label, reason)]
    # whatever becomes of the row, the image has one
    assert "a.jpg" in column(frame, "image_path")


BOXED = "image,label,x1,y1,x2,y2,note"
LAST_ROWS = [
    # what follows the first row, label and reason of the last one
    ("a.jpg,dog,1,1,5", None, "unparsable"),  # an upload that was cut off
    ("a.jpg,do", None, "unparsable"),
    ("a.jpg,dog,1,1,5,5", "dog", None),  # all that counts is there
    ("a.jpg,dog\n", "dog", None),  # empty cells at its end are not written; it has no box
    ("a.jpg,dog,,,,\n", "dog", None),
    ("a.jpg,dog,1,1,5\n", "dog", "invalid-box"),
]


@pytest.mark.parametrize(("row", "label", "reason"), LAST_ROWS)
def test_a_file_that_ends_within_a_row_has_lost_the_box_and_maybe_half_of_the_label(row, label, reason):
    frame = read(f"{BOXED}\na.jpg,cat,1,1,5,5,x\n{row}", images=["a.jpg"], columns=CORNERS)
    assert column(frame, "label", "reason") == [("cat", None), (label, reason)]


def test_a_row_before_an_open_quote_is_kept():
    frame = read('image,label\na.jpg,cat\nb.jpg,"dog\n')
    assert ("a.jpg", "cat", None) in column(frame, "image_path", "label", "reason")


TWICE = [
    # header, the name that it has twice
    ("image,label,label", "label"),
    ("image,label,patient,patient", "patient"),  # which groups
    ("image,label,note, note ", "note"),  # of which the attributes had the last
    ("image,label,x1,y1,x2,y2,x1", "x1"),
]


@pytest.mark.parametrize(("header", "name"), TWICE)
def test_two_columns_of_one_name_are_refused_with_the_name_and_what_to_do(header, name):
    frame = read(f"{header}\na.jpg,cat,p1,\n", images=["a.jpg"], group_by="patient")
    assert column(frame, "annotation_id", "label", "reason") == [
        ("a.jpg#0", None, "no-label"),
        ("labels.csv#0", None, "unparsable"),
    ]
    assert f"found several named {name}; " in frame["detail"][1]
    assert frame["detail"][1].endswith("rename or delete all but one")


def test_columns_without_a_name_may_be_several():
    assert column(read("image,label,,\na.jpg,cat,,\n", images=["a.jpg"]), "label", "reason") == [("cat", None)]


HEADERS = [
    ("", "nothing"),
    ("\n\n", "nothing"),
    ("file,label\na.jpg,cat\n", "file, label"),
    ("image;label\na.jpg;cat\n", "image;label"),  # a semicolon between columns shows in what was found
]


@pytest.mark.parametrize(("text", "found"), HEADERS)
def test_a_missing_column_is_one_row_that_names_what_was_expected_and_found(text, found):
    frame = read(text, images=[])
    (row,) = frame.to_dicts()
    assert (row["annotation_id"], row["reason"]) == ("labels.csv#0", "unparsable")
    assert "expected one column named" in row["detail"]
    assert row["detail"].endswith(f"found {found}")
    assert ("label, separated by commas, found" in row["detail"]) == (";" in text)


BOXES = [
    # cells, box, reason
    ("1,2,3.5,4", (1, 2, 3.5, 4), None),
    ("3,3,3,3", (3, 3, 3, 3), None),  # no area: a finding for later, not a reading error
    ("-5,-5,999,999", (-5, -5, 999, 999), None),  # outside its image: likewise
    (",,,", (None,) * 4, None),  # a label of the image without a box
    ("1,2,3,", (None,) * 4, "invalid-box"),
    ("nan,2,3,4", (None,) * 4, "invalid-box"),
    ("1,inf,3,4", (None,) * 4, "invalid-box"),
    ("1,2,1e999,4", (None,) * 4, "invalid-box"),
    ("1,2,three,4", (None,) * 4, "invalid-box"),
    ("1_0,2,30,4", (None,) * 4, "invalid-box"),  # Python alone reads 1_0 as ten
]


@pytest.mark.parametrize(("cells", "box", "reason"), BOXES)
def test_corners_are_read_as_pixels(cells, box, reason):
    frame = read(f"image,label,x1,y1,x2,y2\na.jpg,cat,{cells}\n", images=["a.jpg"], columns=CORNERS)
    assert boxes(frame) == [box]
    assert column(frame, "label", "reason", "attributes") == [("cat", reason, None)]


def test_an_open_quote_ends_the_file_with_a_reason_and_keeps_the_rows_before_it():
    frame = read('image,label\na.jpg,cat\nb.jpg,"dog\nc.jpg,cow\n', images=["a.jpg"])
    assert column(frame, "annotation_id", "label", "reason") == [
        ("labels.csv#0", None, "unparsable"),
        ("labels.csv#2", "cat", None),
    ]
    assert "the rest is not read" in frame["detail"][0]


def test_a_huge_cell_is_refused():
    frame = read("image,label\na.jpg," + "x" * 10_000_000 + "\n", images=[])
    assert column(frame, "reason") == ["unparsable"]
    assert "field larger than field limit" in frame["detail"][0]


@pytest.mark.parametrize("data", ["image,label\na.jpg,é\n".encode("latin-1"), "image,label\n".encode("utf-16")])
def test_a_file_that_is_not_utf_8_is_one_row(data):
    frame = read(data, images=[])
    assert column(frame, "annotation_id", "reason") == [("labels.csv#0", "unparsable")]
    assert "UnicodeDecodeError" in frame["detail"][0]
