"""Labels that are folders."""

import pytest

from cv_assets_tests.domain.annotations.landing import Landing, column, image_id

RULES = [
    # path, rule, label
    ("cat/1.jpg", {}, "cat"),
    ("train/Fruit/Apple/1.jpg", {}, "Apple"),  # the file's own folder, however deep
    ("1.jpg", {}, None),  # no folder, no label
    ("Korean/character01/1.png", {"class_depth": 2}, "Korean/character01"),
    ("Korean/character01/more/1.png", {"class_depth": 1}, "Korean"),
    ("Korean/1.png", {"class_depth": 2}, None),  # fewer folders than asked for
    ("raw/cat_001.jpg", {"class_pattern": r"(?P<label>[a-z]+)_\d+"}, "cat"),
    ("raw/001.jpg", {"class_pattern": r"(?P<label>[a-z]+)_\d+"}, None),  # no match
    ("raw/_001.jpg", {"class_pattern": r"(?P<label>[a-z]*)_\d+"}, None),  # an empty class is none
    ("été/1.jpg", {}, "été"),
]


@pytest.mark.parametrize(("path", "rule", "label"), RULES)
def test_the_label_of_an_image_is_read_from_its_path(path, rule, label):
    (row,) = Landing([path]).annotations(**rule).to_dicts()
    assert row["label"] == label
    assert row["reason"] == (None if label else "no-label")
    assert (row["annotation_id"], row["image_path"], row["image_id"]) == (f"{path}#0", path, image_id(path))


def test_a_label_of_a_rejected_image_is_kept_and_says_so():
    frame = Landing(["cat/1.jpg", "cat/2.jpg"], rejected=["cat/1.jpg"], undecodable=["cat/2.jpg"]).annotations()
    assert column(frame, "label", "image_path", "image_id", "reason") == [
        ("cat", "cat/1.jpg", None, "file-quarantined"),
        ("cat", "cat/2.jpg", None, "file-quarantined"),
    ]


def test_a_rejected_image_without_a_label_has_no_row():
    assert Landing(["1.jpg"], rejected=["1.jpg"]).annotations().is_empty()


def test_a_path_with_dots_labels_its_own_image():
    frame = Landing(["cat/../1.jpg"]).annotations(class_depth=1)  # an object store takes any key
    assert column(frame, "label", "image_path", "reason") == [("cat", "cat/../1.jpg", None)]


def test_format_none_gives_each_image_a_row_without_a_label():
    rows = Landing(["cat/1.jpg", "2.jpg"]).annotations(format="none")
    assert rows["label"].null_count() == 2
    assert rows["reason"].to_list() == ["no-label", "no-label"]
