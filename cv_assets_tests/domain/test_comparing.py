"""What differs between two versions, case by case; and that fifty thousand images are compared while one waits."""

import polars as pl
import pytest

from cv_assets.domain.comparing import COMPARED, compare
from cv_assets_tests.bounds import in_cpu_s
from cv_assets_tests.domain.tables import file_row, image_id, label_row, manifest
from schemas.tables import to_frame

BOX, OTHER = (1, 2, 30, 40), (1, 2, 30, 41)


def tables(images, *, files=None, labels=None, splits=None):
    """A version of {path: labels}; files are {path: the name of its bytes}, labels the rows of annotations."""
    named = files or {path: path for path in images}
    rows = [
        row for path in images for row in (manifest({named[path]: images[path]}).to_dicts()[0] | {"paths": [path]},)
    ]
    frame = to_frame("manifest", rows)
    if labels is None:
        labels = [
            label_row(path, label, place=place, image_id=image_id(named[path]))
            for path in images
            for place, label in enumerate(images[path])
        ]
    dealt = [
        {"image_id": image_id(named[path]), "split": (splits or {}).get(path, "train"), "unit": image_id(named[path])}
        for path in images
    ]
    return {
        "raw_images": to_frame("raw_images", [file_row(path, same_as=name) for path, name in named.items()]),
        "manifest": frame,
        "annotations": to_frame("annotations", labels),
        "splits": to_frame("splits", dealt),
    }


BEFORE = {"a.png": ["circle"], "b.png": ["circle"], "c.png": ["square"]}


def test_a_version_does_not_differ_from_itself():
    found = compare(tables(BEFORE), tables(BEFORE))
    assert not found.differs
    assert set(found.counts().values()) == {0}
    assert found.by_class["label"].to_list() == ["circle", "square"]


def test_images_that_came_and_went_are_told_with_path_label_and_split():
    after = {"a.png": ["circle"], "c.png": ["square"], "d.png": ["star"]}
    found = compare(tables(BEFORE), tables(after, splits={"d.png": "val"}))
    assert found.added.to_dicts() == [
        {"path": "d.png", "image_id": image_id("d.png"), "labels": ["star"], "split": "val"}
    ]
    assert found.removed["path"].to_list() == ["b.png"]
    assert (found.annotations.height, found.moved.height, found.changed_paths.height) == (0, 0, 0)
    assert found.by_class.rows() == [("circle", 2, 1, 2, 1), ("star", 0, 1, 0, 1), ("square", 1, 1, 1, 1)]


def test_a_path_with_other_bytes_is_a_change_of_that_path_and_of_the_images():
    files = {"a.png": "another photo", "b.png": "b.png", "c.png": "c.png"}
    found = compare(tables(BEFORE), tables(BEFORE, files=files))
    (row,) = found.changed_paths.to_dicts()
    assert (row["path"], row["before"], row["after"]) == ("a.png", image_id("a.png"), image_id("another photo"))
    assert found.added["path"].to_list() == found.removed["path"].to_list() == ["a.png"]


def test_a_renamed_file_is_no_other_image():
    after = {"z.png": ["circle"], "b.png": ["circle"], "c.png": ["square"]}
    found = compare(tables(BEFORE), tables(after, files={"z.png": "a.png", "b.png": "b.png", "c.png": "c.png"}))
    assert found.renamed.to_dicts() == [{"image_id": image_id("a.png"), "before": ["a.png"], "after": ["z.png"]}]
    assert (found.added.height, found.removed.height) == (0, 0)


def test_an_image_that_moved_between_splits_is_told_with_both():
    found = compare(tables(BEFORE), tables(BEFORE, splits={"b.png": "test", "c.png": None}))
    assert found.moved.select("path", "before", "after").rows() == [
        ("b.png", "train", "test"),
        ("c.png", "train", None),
    ]


# objects of the one image before and after → what happened to its annotations, or what changed ones differ in
OBJECTS = {
    "the same": ([("cat", BOX)], [("cat", BOX)], None),
    "in another order": ([("cat", BOX), ("dog", BOX)], [("dog", BOX), ("cat", BOX)], None),
    "said twice": ([("cat", BOX)], [("cat", BOX), ("cat", BOX)], None),
    "without a box twice": ([("cat", None)], [("cat", None)], None),
    "another label": ([("cat", BOX)], [("dog", BOX)], ["label"]),
    "another box": ([("cat", BOX)], [("cat", OTHER)], ["box"]),
    "a box that had none": ([("cat", None)], [("cat", BOX)], ["box"]),
    "one object more": ([("cat", BOX)], [("cat", BOX), ("dog", BOX)], ["objects"]),
    "one less, another box": ([("cat", BOX), ("cat", None)], [("cat", OTHER)], ["objects", "box"]),
    "boxes that were exchanged": ([("cat", BOX), ("dog", OTHER)], [("cat", OTHER), ("dog", BOX)], ["objects"]),
    "another group": ([("cat", BOX, {"group": "a"})], [("cat", BOX, {"group": "b"})], ["group"]),
    "other attributes": ([("cat", BOX, {"attributes": '{"a": 1}'})], [("cat", BOX)], ["attributes"]),
    "all of it": ([("cat", BOX)], [("dog", None, {"group": "b", "attributes": '{"a": 1}'})],
                  ["label", "box", "group", "attributes"]),
    "numbered anew": ([("cat", BOX, {"attributes": '{"a": "é", "id": 1}'}), ("cat", OTHER, {"attributes": '{"id": 2}'})],
                      [("cat", BOX, {"attributes": '{"a": "é", "id": 8}'}), ("cat", OTHER)], None),
    "numbered anew, and one more": ([("cat", BOX, {"attributes": '{"id": 1}'})],
                                    [("cat", BOX, {"attributes": f'{{"id": {n}}}'}) for n in (8, 9)], ["objects"]),
    "an id within": ([("cat", BOX, {"attributes": '{"a": {"id": 1}}'})],
                     [("cat", BOX, {"attributes": '{"a": {"id": 2}}'})], ["attributes"]),
    "a box that cannot be read": ([("cat", BOX)], [("cat", None, {"reason": "invalid-box"})], "removed"),
    "none before": ([], [("cat", BOX)], "added"),
    "none after": ([("cat", BOX)], [], "removed"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after", "change"), OBJECTS.values(), ids=OBJECTS)
def test_annotations_of_an_image_in_both_are_held_against_each_other(before, after, change):
    def version(objects):
        rows = [
            label_row("a.png", label, place=place, box=box, **dict(*more))
            for place, (label, box, *more) in enumerate(objects)
        ]
        return tables({"a.png": sorted({label for label, *_ in objects})}, labels=rows)

    found = compare(version(before), version(after))
    kind, parts = ("changed", change) if isinstance(change, list) else (change, [])
    assert found.annotations.select("change", "differs_in").rows() == ([(kind, parts)] if change else [])
    assert found.changed_parts() == dict.fromkeys(sorted(parts), 1)
    assert found.differs is bool(change)
    if change == "added":
        row = found.annotations.row(0, named=True)
        assert (row["before"], row["after"], row["labels_before"], row["labels_after"]) == (0, 1, [], ["cat"])


def test_counts_by_class_speak_of_images_and_of_objects():
    rows = [label_row("a.png", "cat", place=place, box=(place, 2, 30, 40)) for place in range(3)]
    found = compare(tables({"a.png": []}, labels=[]), tables({"a.png": ["cat"]}, labels=rows))
    assert found.by_class.rows(named=True) == [
        {"label": "cat", "images_before": 0, "images_after": 1, "objects_before": 0, "objects_after": 3}
    ]


def test_everything_is_plain_json():
    found = compare(tables(BEFORE), tables({"d.png": ["star"]})).to_json()
    assert found["counts"]["removed"] == 3
    assert found["added"][0]["labels"] == ["star"]
    assert set(found) >= {"added", "removed", "changed_paths", "renamed", "annotations", "moved", "by_class"}


def test_versions_without_an_image_can_be_compared():
    empty = {name: to_frame(name, []) for name in COMPARED}
    assert not compare(empty, empty).differs
    assert compare(empty, tables(BEFORE)).added.height == 3


def test_fifty_thousand_images_are_compared_in_seconds():
    one = tables({f"{number}.png": ["circle"] for number in range(50)})
    numbers = pl.DataFrame({"number": range(1_000)})
    ids = pl.concat_str("number", pl.col("image_id").str.slice(0, 60))

    def multiplied(frame):
        return frame.join(numbers, how="cross").with_columns(ids.alias("image_id")).drop("number")

    before = {name: frame if name == "raw_images" else multiplied(frame) for name, frame in one.items()}
    after = {name: frame if name == "raw_images" else frame.slice(500) for name, frame in before.items()}
    found = in_cpu_s(5, lambda: compare(before, after))
    assert (found.removed.height, found.added.height) == (500, 0)
    numbered = [
        {**before, "annotations": before["annotations"].with_columns(attributes=pl.lit(f'{{"area": 2.5, "id": {n}}}'))}
        for n in range(2)
    ]
    assert not in_cpu_s(5, lambda: compare(*numbered)).differs
