"""Where files go: uploads under their own paths and nowhere else, classes under names that are one folder."""

import pytest

from cv_assets.domain.placing import PLACED, find_folded, folder_of_class, place_as_uploaded, place_by_class
from cv_assets_tests.domain.tables import image_id
from cv_assets_tests.resources.made import tables_of
from schemas.errors import ConfigurationError
from schemas.tables import to_frame


def version(*paths, **more):
    tables = tables_of({path: path.encode() for path in paths}, **more)
    return {name: tables[name] for name in PLACED}


def paths_of(placing):
    return placing.files["path"].to_list()


def test_uploads_go_back_to_their_paths_but_for_what_was_quarantined():
    tables = version(
        "circle/a.png", "circle/b.png", "labels.csv", rejected=["circle/b.png"], annotation_files=["labels.csv"]
    )
    assert paths_of(place_as_uploaded(tables, (), quarantined=False)) == ["circle/a.png", "labels.csv"]
    assert paths_of(place_as_uploaded(tables, (), quarantined=True)) == ["circle/a.png", "circle/b.png", "labels.csv"]


def test_a_file_that_was_never_read_has_nothing_to_lay_out():
    tables = version("circle/a.png")
    row = tables["raw_images"].to_dicts()[0] | {"path": "circle/empty.png", "sha256": None, "reason": "empty-file"}
    tables["raw_images"] = to_frame("raw_images", [*tables["raw_images"].to_dicts(), row])
    assert paths_of(place_as_uploaded(tables, (), quarantined=True)) == ["circle/a.png"]


def test_a_split_is_its_images_and_every_annotation_file():
    tables = version(
        "circle/a.png", "circle/b.png", "labels.csv", annotation_files=["labels.csv"], splits={"circle/b.png": "val"}
    )
    assert paths_of(place_as_uploaded(tables, ["val"], quarantined=False)) == ["circle/b.png", "labels.csv"]
    assert len(paths_of(place_as_uploaded(tables, ["val", "train"], quarantined=False))) == 3
    with pytest.raises(ConfigurationError, match="--split: expected splits among train, val; found test"):
        place_as_uploaded(tables, ["test"], quarantined=False)


UNSAFE = {
    "up": "../a.png",
    "up in the middle": "circle/../../a.png",
    "only up": "..",
    "absolute": "/etc/a.png",
    "an empty folder name": "circle//a.png",
    "here": "./a.png",
    "a folder": "circle/",
    "a zero byte": "circle/a\0.png",
    "a name of 256 bytes": "circle/" + "é" * 128,
    "our marker": ".cv-assets.json",
    "our list": ".cv-assets.files.parquet",
}


@pytest.mark.parametrize("path", UNSAFE.values(), ids=UNSAFE)
def test_a_path_that_leads_elsewhere_is_refused_by_name(path):
    with pytest.raises(ConfigurationError, match="expected paths that name files below one folder") as error:
        place_as_uploaded(version("circle/a.png", path), (), quarantined=False)
    assert repr(path) in str(error.value)
    assert "circle/a.png'" not in str(error.value).replace(repr(path), "")


def test_a_file_that_is_a_folder_of_another_is_refused():
    with pytest.raises(ConfigurationError, match="found 'circle/a'"):
        place_as_uploaded(version("circle/a", "circle/a/b/c.png"), (), quarantined=False)


@pytest.mark.parametrize("path", ["...", "..a/b..", "a b/c", "a\nb/c.png", "a\\b", "é/ü.png", ".hidden/x"])
def test_odd_paths_that_stay_below_the_folder_are_kept_as_they_are(path):
    assert paths_of(place_as_uploaded(version(path), (), quarantined=False)) == [path]


def test_classes_are_folders_of_images_by_id():
    tables = version("circle/a.png", "square/b.png")
    placing = place_by_class(tables, ())
    expected = {
        f"{path.split('/')[0]}/{row['image_id']}.png" for row in tables["manifest"].to_dicts() for path in row["paths"]
    }
    assert set(paths_of(placing)) == expected
    assert (placing.classes, placing.absent) == ({"circle": "circle", "square": "square"}, [])


def test_the_classes_are_those_of_the_version_whichever_of_them_a_split_lacks():
    tables = version("circle/a.png", "square/b.png", "a:b/c.png", splits={"square/b.png": "val"})
    train, val = (place_by_class(tables, [split]) for split in ("train", "val"))
    assert train.classes == val.classes == {"a%3Ab": "a:b", "circle": "circle", "square": "square"}
    assert (train.absent, val.absent) == (["square"], ["a:b", "circle"])


def test_images_of_no_class_or_of_several_are_left_out_and_counted():
    tables = version("circle/a.png", "square/b.png", "star/c.png")
    rows = tables["manifest"].to_dicts()
    rows[0]["labels"], rows[1]["labels"] = [], ["circle", "square"]
    placing = place_by_class({**tables, "manifest": to_frame("manifest", rows)}, ())
    assert (len(paths_of(placing)), placing.left_out) == (1, 2)
    for row in rows:
        row["labels"] = []
    with pytest.raises(ConfigurationError, match="found none among 3; use --layout source"):
        place_by_class({**tables, "manifest": to_frame("manifest", rows)}, ())


CLASSES = {
    "circle": "circle",
    "Große Kreise": "Große Kreise",
    "a/b": "a%2Fb",
    "..": "%2E%2E",
    ".": "%2E",
    ".cv-assets.json": "%2Ecv-assets.json",
    "classes.json": "classes%2Ejson",
    "100%": "100%25",
    "": "%",
    "line\nbreak": "line%0Abreak",
    "zero\0": "zero%00",
    "dot.": "dot%2E",
    "c:\\x": "c%3A%5Cx",
}


@pytest.mark.parametrize(("name", "folder"), CLASSES.items(), ids=repr)
def test_a_class_name_becomes_one_plain_folder_name(name, folder):
    assert folder_of_class(name) == folder


def test_class_folders_differ_as_the_classes_do():
    names = [*CLASSES, "a%2Fb", "%2E", "x" * 300, "x" * 301, "é" * 200, "%"]
    folders = [folder_of_class(name) for name in names]
    assert len(set(folders)) == len(names)
    assert max(len(folder.encode()) for folder in folders) <= 255


def test_names_that_some_file_systems_take_for_one_are_found():
    assert find_folded(["a/x.png", "A/y.png", "b/Ü.png", "b/ü.png", "c/é", "c/e\u0301", "d"]) == [
        ("a", "A"),
        ("b/Ü.png", "b/ü.png"),
        ("c/é", "c/e\u0301"),
    ]
    assert find_folded(["a/x", "b/x", "a/y", image_id("z")]) == []
