"""Group keys: what must stay on one side of a split."""

import json

import pytest

from cv_assets_tests.domain.annotations.landing import Landing, column, voc, voc_object

PATTERNS = [
    # pattern, path, group
    (r"^(?P<group>[^/]+)/", "anna/1.jpg", "anna"),
    (r"^(?P<group>[^/]+)/", "1.jpg", None),  # a path that does not match has no group
    # all groups whose name starts with `group` count, in order of the pattern
    (r"^(?P<group>[^/]+)/.*_(?P<group2>\d+)\.", "Korean/c01/0671_08.png", "Korean/08"),
    (r"_(?P<group_drawer>\d+)\.(?P<group>\w+)", "0671_08.png", "08/png"),
    (r"^(?P<other>[^/]+)/(?P<group>\d+)", "x/7.jpg", "7"),
    (r"^(?P<group>[^/]*)/", "/1.jpg", None),  # an empty key is none
    # macOS writes an accent as a character of its own, which `\w` does not match
    (r"^(?P<group>\w+)_", "Jos\u00e9_1.jpg", "Jos\u00e9"),
    (r"^(?P<group>\w+)_", "Jose\u0301_1.jpg", "Jos\u00e9"),
    ("^e\u0301/(?P<group>[^/]+)/", "\u00e9/1/2.jpg", "1"),
]


@pytest.mark.parametrize(("pattern", "path", "group"), PATTERNS)
def test_a_pattern_reads_the_group_from_the_path(pattern, path, group):
    frame = Landing([path]).annotations(group_by={"path_pattern": pattern})
    assert column(frame, "group") == [group]


def test_a_pattern_gives_unlabelled_images_a_group_and_lost_ones_none():
    landing = Landing(["x/a.jpg", "x/b.jpg"], {"l.csv": "image,label\na.jpg,cat\nc.jpg,dog\n"})
    frame = landing.annotations(format="csv", group_by={"path_pattern": "^(?P<group>x)/"})
    assert column(frame, "reason", "group") == [(None, "x"), ("no-file", None), ("no-label", "x")]


def test_a_column_of_a_csv_file_groups_its_rows_only():
    landing = Landing(["a.jpg", "b.jpg"], {"l.csv": "image,label,sender\na.jpg,cat, 94 \nc.jpg,dog,\n"})
    frame = landing.annotations(format="csv", group_by="sender")
    assert column(frame, "annotation_id", "group") == [("b.jpg#0", None), ("l.csv#2", "94"), ("l.csv#3", None)]


@pytest.mark.parametrize("key", ["patient", "folder"])
def test_voc_groups_by_a_key_of_the_object_or_of_its_image(key):
    text = voc("a.jpg", "<folder>p1</folder>", voc_object("cat", 1, 2, 3, 4, more="<patient>p1</patient>"))
    assert column(Landing(["a.jpg"], {"a.xml": text}).annotations(format="voc", group_by=key), "group") == ["p1"]


@pytest.mark.parametrize(
    ("value", "group"),
    [
        ("p1", "p1"),
        (7, "7"),
        (7.0, "7"),  # as pandas writes it beside a missing value
        (7.5, "7.5"),
        (0, "0"),
        (True, "true"),
        ([7], None),
        ("", None),
        (float("nan"), None),
        ("NaN", None),  # as pandas and JSON write what is missing
        ("Nan", "Nan"),  # a name
        ("1.0", "1"),
        ("1.10", "1.10"),
        ("Jose\u0301", "Jos\u00e9"),  # of one person another file may write the other: they would be dealt apart
    ],
)
def test_coco_groups_by_a_key_of_the_image_entry(value, group):
    content = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "patient": value},
            {"id": 2, "file_name": "b.jpg", "patient": "p2"},
        ],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    landing = Landing(["a.jpg", "b.jpg"], {"a.json": json.dumps(content)})
    assert column(landing.annotations(format="coco", group_by="patient"), "group") == [group, "p2"]


@pytest.mark.parametrize("nothing", [None, "", [], float("nan")])
def test_an_object_that_says_nothing_has_the_group_of_its_image(nothing):
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "patient": "p1"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "patient": nothing}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    landing = Landing(["a.jpg"], {"a.json": json.dumps(content)})
    assert column(landing.annotations(format="coco", group_by="patient"), "group") == ["p1"]


def test_a_key_that_is_never_met_is_a_row_that_names_what_there_is():
    landing = Landing(["a.jpg"], {"l.csv": "image,label,sender\na.jpg,cat,94\n"})
    frame = landing.annotations(format="csv", group_by="sender_id")
    assert column(frame, "annotation_id", "label", "reason") == [
        ("l.csv#2", "cat", None),
        ("l.csv#group", None, "unparsable"),
    ]
    assert frame["detail"][1] == "group_by: expected sender_id as a column or key, found image, label, sender"
