"""The rules about a whole dataset: its classes, its taxonomy, its groups."""

import pytest

from cv_assets_tests.domain.quality.ruled import findings, labels, named
from cv_assets_tests.domain.tables import file_row, label_row, manifest
from schemas.tables import to_frame


def held(**counts):
    """A manifest in which each class has so many images."""
    return manifest({f"{label}/{number}": [label] for label, count in counts.items() for number in range(count)})


def test_the_largest_and_the_smallest_class_are_named_where_they_lie_far_apart():
    ((_, score, evidence),) = named(findings("class-imbalance", manifest=held(cat=42, dog=20, cow=4)))
    assert score == 10.5
    assert evidence == {
        "classes": 3, "largest": "cat", "largest_images": 42, "smallest": "cow", "smallest_images": 4,
    }  # fmt: skip


@pytest.mark.parametrize("counts", [{"cat": 40, "cow": 4}, {"cat": 1_000}, {}])
def test_classes_within_a_factor_of_ten_are_balanced(counts):
    assert findings("class-imbalance", manifest=held(**counts)).is_empty()


def test_classes_of_few_images_are_rare_the_rarest_first():
    found = named(findings("rare-class", manifest=held(cat=10, dog=9, cow=1)))
    assert [(score, evidence["class"]) for _, score, evidence in found] == [(1, "cow"), (9, "dog")]


def test_an_image_of_two_classes_counts_for_both():
    both = manifest({str(number): ["cat", "dog"] for number in range(10)})
    assert findings("rare-class", manifest=both).is_empty()


def test_a_class_that_no_image_has_is_missing_and_its_lost_labels_are_counted():
    rows = [label_row("lost.png", "dog", place=n, image_id=None, reason="no-file") for n in range(3)]
    said = {"settings": {"classes": ["cow", "cat", "dog"]}, "manifest": held(cat=3), "annotations": labels(*rows)}
    found = named(findings("class-missing", **said))
    assert [evidence for *_, evidence in found] == [
        {"annotations": 0, "class": "cow"}, {"annotations": 3, "class": "dog"},
    ]  # fmt: skip
    assert findings("class-missing", **{**said, "settings": {}}).is_empty()


TAXONOMIES = [
    # classes, labels, what differs
    (["cat", "dog"], ["cat", "dog"], None),
    ([], ["cat"], None),  # the dataset names no classes
    (["cat", "dog"], ["cat"], {"only_in_classes": ["dog"], "only_in_labels": [], "same_but_for_case_or_space": []}),
    (
        ["cat", "dog"],
        ["cat", "Dog", "cow"],
        {
            "only_in_classes": ["dog"],
            "only_in_labels": ["Dog", "cow"],
            "same_but_for_case_or_space": [{"class": "dog", "label": "Dog"}],
        },
    ),
    (
        ["cat"],
        [],
        {"only_in_classes": ["cat"], "only_in_labels": [], "same_but_for_case_or_space": []},
    ),
]


@pytest.mark.parametrize(("classes", "said", "differs"), TAXONOMIES)
def test_labels_are_held_against_the_taxonomy(classes, said, differs):
    rows = [label_row("a.png", label, place=place) for place, label in enumerate(said)]
    found = named(findings("taxonomy-differs", settings={"classes": classes}, annotations=labels(*rows)))
    assert [evidence for *_, evidence in found] == ([] if differs is None else [differs])


def grouped(*images):
    """A manifest of (class, groups), one an image."""
    return manifest({str(number): ([label], list(groups)) for number, (label, groups) in enumerate(images)})


GROUPS = [
    # images as (class, groups), and what is in too few groups for three splits: (class, groups, images)
    ([("cat", "ab")] * 9, [("cat", 1, 9), (None, 1, 9)]),  # two groups that every image shares are one
    ([("cat", "a"), ("cat", "b"), ("cat", "c")], []),
    ([("cat", "a"), ("cat", "b"), ("cat", "")], []),  # an image of no group stands alone
    ([("cat", "a"), ("cat", "b"), ("cat", "c"), ("dog", "a"), ("dog", "b")], [("dog", 2, 2)]),
    ([("cat", ""), ("dog", "")], []),  # no groups at all: nothing cannot be cut
    ([("cat", "a"), ("cat", "ab"), ("cat", "bc"), ("dog", "d"), ("dog", "e")], [("cat", 1, 3), ("dog", 2, 2)]),
    ([("cat", "ab"), ("cat", "b"), ("cat", "c"), ("cat", "d")], []),
]


@pytest.mark.parametrize(("images", "few"), GROUPS)
def test_a_class_needs_as_many_groups_as_there_are_splits(images, few):
    found = named(findings("too-few-groups", manifest=grouped(*images)))
    assert [(said["class"], said["groups"], said["images"]) for *_, said in found] == few


def test_two_groups_are_enough_for_two_splits():
    halves = {"split": {"train": 0.5, "val": 0.5}}
    images = grouped(("cat", "a"), ("cat", "b"))
    assert findings("too-few-groups", manifest=images, settings=halves).is_empty()


COLLISIONS = [
    # paths, those that are told, each with the first that it is one with
    (["a/X.jpg", "a/x.jpg"], {"a/x.jpg": "a/X.jpg"}),
    (["a/e\u0301.jpg", "a/\xe9.jpg"], {"a/\xe9.jpg": "a/e\u0301.jpg"}),  # NFD and NFC
    (["strasse.jpg", "stra\xdfe.jpg"], {"stra\xdfe.jpg": "strasse.jpg"}),
    (["X.JPG", "X.jpg", "x.jpg"], {"X.jpg": "X.JPG", "x.jpg": "X.JPG"}),
    (["A/1.jpg", "a/2.jpg"], {"a": "A"}),  # of the files none is another
    (["A/1.jpg", "a/1.jpg"], {"a": "A", "a/1.jpg": "A/1.jpg"}),
    (["a/1.jpg", "b/1.jpg", "a/1.jpeg"], {}),
]


@pytest.mark.parametrize(("paths", "told"), COLLISIONS)
@pytest.mark.parametrize("role", ["image", "annotation"])
def test_names_that_some_file_systems_take_for_one_collide(paths, told, role):
    files = to_frame("raw_images", [file_row(path, role=role) for path in paths])
    found = named(findings("names-collide", raw_images=files))
    assert {path: said["other_path"] for path, _, said in found} == told
    assert len(found) == len(told)
