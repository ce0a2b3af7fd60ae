"""Dealing images to splits."""

import random
from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cv_assets.domain.splitting import build_splits, find_units
from cv_assets_tests.domain.tables import config, image_id, manifest
from schemas.tables import TABLES

RATIOS = st.sampled_from(
    [
        {"train": 0.7, "val": 0.15, "test": 0.15},
        {"train": 0.8, "val": 0.2},
        {"train": 0.05, "val": 0.9, "test": 0.05},
        {"train": 1.0},
        {"train": 0.25, "a": 0.25, "b": 0.25, "c": 0.25},
    ]
)
LABELS = st.lists(st.sampled_from("abcdef"), max_size=3, unique=True).map(sorted)
GROUPS = st.lists(st.integers(0, 12).map("group{}".format), max_size=2, unique=True).map(sorted)


@st.composite
def datasets(draw):
    """A manifest of up to 60 images with up to three labels and two groups each, and how to split it."""
    said = draw(st.lists(st.tuples(LABELS, GROUPS), min_size=1, max_size=60))
    split = {"seed": draw(st.integers(0, 3)), **draw(RATIOS)}
    split["unlabelled"] = draw(st.sampled_from(["exclude", "include"]))
    split["stratify_by"] = draw(st.sampled_from(["label", None]))
    return manifest({f"{number}.png": one for number, one in enumerate(said)}), config(split=split).split


def dealt(images, **split):
    """Name of a split → images in it, under these settings."""
    frame = build_splits(images, config(split=split).split)
    return dict(frame["split"].value_counts().iter_rows())


def folders(**counts):
    """A manifest with so many images a class."""
    return manifest({f"{label}/{number}.png": [label] for label, images in counts.items() for number in range(images)})


@given(datasets())
def test_every_image_is_dealt_once_and_labelled_ones_to_a_split(drawn):
    images, split = drawn
    frame = TABLES["splits"].validate(build_splits(images, split), lazy=True)
    assert frame["image_id"].to_list() == images["image_id"].to_list()
    assert set(frame["split"].drop_nulls()) <= set(split.ratios)
    left_out = set(frame.filter(frame["split"].is_null())["image_id"])
    unlabelled = set(images.filter(images["labels"].list.len() == 0)["image_id"])
    keeps_all = split.unlabelled == "include" or len(unlabelled) == images.height
    assert left_out == (set() if keeps_all else unlabelled)


@given(datasets())
def test_what_shares_a_group_directly_or_through_others_is_on_one_side(drawn):
    images, split = drawn
    # of each group alone: an image of two groups has one split, so what they join is on one side as well. Which images
    # are of one unit is the product's own opinion, and no measure of it
    rows = build_splits(images, split).drop_nulls("split").join(images, on="image_id").explode("groups")
    sides = rows.drop_nulls("groups").group_by("groups").agg(pl.col("split").unique())
    assert {group: splits for group, splits in sides.iter_rows() if len(splits) > 1} == {}


@given(datasets(), st.randoms(use_true_random=False))
def test_row_order_means_nothing(drawn, generator):
    images, split = drawn
    order = list(range(images.height))
    generator.shuffle(order)
    assert build_splits(images[order], split).equals(build_splits(images, split))


@given(datasets())
def test_every_class_that_is_dealt_is_seen_in_train(drawn):
    images, split = drawn
    rows = build_splits(images, split).drop_nulls("split").join(images, on="image_id").explode("labels")
    rows = rows.drop_nulls("labels")
    if split.stratify_by == "label":
        assert set(rows["labels"]) == set(rows.filter(rows["split"] == "train")["labels"])


@given(datasets())
def test_splits_are_as_large_as_asked_but_for_the_largest_unit_and_one_image_a_class(drawn):
    images, split = drawn
    rows = build_splits(images, split).drop_nulls("split")
    sizes = Counter(rows["split"])
    largest = max(Counter(rows["unit"]).values(), default=0)
    classes = images["labels"].explode().n_unique()
    off = {name: sizes[name] - share * rows.height for name, share in split.ratios.items()}
    assert max(map(abs, off.values())) <= largest + classes


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 40), min_size=1), RATIOS, st.integers(0, 99))
def test_single_images_of_one_class_each_are_dealt_within_one_of_their_share(counts, ratios, seed):
    images = folders(**counts)
    frame = build_splits(images, config(split={"seed": seed, **ratios}).split).join(images, on="image_id")
    by_class = Counter(frame.select(pl.col("labels").list.first(), "split").iter_rows())
    for label, number in counts.items():
        for name, share in ratios.items():
            others = len(ratios)  # a class of few images gives train one that another split was to have
            assert abs(by_class[label, name] - share * number) <= (1 if share * number >= others else others)


def test_a_chain_of_groups_holds_together():
    chain = {f"{n}.png": (["a"], [f"link{n}", f"link{n + 1}"]) for n in range(20)}
    frame = build_splits(manifest({**chain, "alone.png": ["a"]}), config().split)
    units = dict(frame.select("image_id", "unit").iter_rows())
    assert len({units[image_id(name)] for name in chain}) == 1
    assert units[image_id("0.png")] == min(map(image_id, chain))
    assert units[image_id("alone.png")] == image_id("alone.png")


def test_a_hundred_thousand_images_in_one_chain_are_no_recursion():
    ids = [f"{number:06d}" for number in range(100_000)]
    groups = [[str(number), str(number + 1)] for number in range(100_000)]
    random.Random(1).shuffle(groups)
    assert set(find_units(ids, groups).values()) == {"000000"}


def test_the_same_seed_deals_the_same_and_another_seed_differently():
    images = folders(a=60, b=60)
    first, again, other = (build_splits(images, config(split={"seed": seed}).split) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)
    assert Counter(first["split"]) == Counter(other["split"])


def test_an_image_keeps_its_split_when_others_are_dealt_with_another_seed_of_the_same_number():
    images = folders(a=40)
    assert build_splits(images, config(split={"seed": 7}).split).equals(
        build_splits(images, config(split={"seed": 7, "train": 0.7, "val": 0.15, "test": 0.15}).split)
    )


GROWN = [
    # labels of the image of a number, images that may move when three are added to 300
    (lambda number: "abc"[number % 3], 15),
    (lambda number: "abc"[number * number % 3], 15),
    (lambda number: sorted({"abcdefgh"[number * 7 % 8], "abcdefgh"[number * number // 5 % 8]}), 45),
]


@pytest.mark.parametrize(("labels", "bound"), GROWN, ids=["even classes", "uneven classes", "several labels"])
@pytest.mark.parametrize("seed", range(5))
def test_few_images_move_to_another_split_when_a_dataset_grows_or_shrinks_a_little(labels, bound, seed):
    before, after = (
        build_splits(
            manifest({f"{number}.png": list(labels(number)) for number in range(images)}),
            config(split={"seed": seed}).split,
        )
        for images in (300, 303)
    )
    both = before.join(after, on="image_id", suffix="_after")
    assert both.filter(pl.col("split") != pl.col("split_after")).height <= bound


@pytest.mark.parametrize("seed", range(5))
def test_few_groups_move_to_another_split_when_others_and_they_themselves_grow(seed):
    images = {
        f"{group}/{number}.png": (["abc"[number]], [f"group{group}"]) for group in range(200) for number in range(3)
    }
    more = {f"{group}/more.png": (["a"], [f"group{group}"]) for group in range(0, 200, 2)}
    before, after = (
        build_splits(manifest(some), config(split={"seed": seed}).split) for some in (images, {**images, **more})
    )
    both = before.join(after, on="image_id", suffix="_after")
    assert both.filter(pl.col("split") != pl.col("split_after")).height <= 120


EDGES = [
    # images, settings of the split, images in each split
    ({"a": 1}, {}, {"train": 1}),  # one image goes to train
    ({"a": 1}, {"train": 0.01, "val": 0.99}, {"train": 1}),  # however small its share
    ({"a": 2}, {}, {"train": 2}),  # 1.4, 0.3 and 0.3 images were asked
    ({"a": 1, "b": 1, "c": 1}, {"train": 0.1, "val": 0.9}, {"train": 3}),  # classes of one image each
    ({"a": 100}, {}, {"train": 70, "val": 15, "test": 15}),
    ({"a": 100}, {"train": 1.0}, {"train": 100}),
    ({"a": 60, "b": 40}, {"train": 0.5, "val": 0.5}, {"train": 50, "val": 50}),
    ({"a": 90, "b": 10}, {"stratify_by": None}, {"train": 70, "val": 15, "test": 15}),
]


@pytest.mark.parametrize(("counts", "split", "sizes"), EDGES)
def test_sizes_of_splits(counts, split, sizes):
    assert dealt(folders(**counts), **split) == sizes


def test_an_empty_manifest_is_dealt_to_nothing():
    assert build_splits(manifest({}), config().split).height == 0


def test_unlabelled_images_are_kept_out_or_dealt_as_asked():
    images = manifest({f"{n}.png": ["a"] if n < 40 else [] for n in range(60)})
    assert dealt(images) == {"train": 28, "val": 6, "test": 6, None: 20}
    assert dealt(images, unlabelled="include") == {"train": 42, "val": 9, "test": 9}


def test_a_dataset_without_any_label_is_dealt():
    images = manifest({f"{n}.png": [] for n in range(20)})
    assert dealt(images) == {"train": 14, "val": 3, "test": 3}


def test_an_unlabelled_image_is_left_out_even_where_its_group_is_dealt():
    frame = build_splits(manifest({"a.png": (["a"], ["one"]), "b.png": ([], ["one"])}), config().split)
    assert dict(frame.select("image_id", "split").iter_rows()) == {image_id("a.png"): "train", image_id("b.png"): None}


def test_without_stratification_only_the_totals_are_held_to_their_shares():
    images = folders(a=50, b=50)
    frame = build_splits(images, config(split={"stratify_by": None, "train": 0.5, "val": 0.5}).split)
    assert dict(frame["split"].value_counts().iter_rows()) == {"train": 50, "val": 50}
    by_class = Counter(frame.join(images, on="image_id").select(pl.col("labels").list.first(), "split").iter_rows())
    assert by_class["a", "train"] != 25  # by chance it could be; with this seed it is not


@pytest.mark.parametrize("label", ["\0all", "", "train", "a\nb", "<b>", "x" * 5_000])
def test_no_label_is_taken_for_something_else(label):
    images = manifest({f"{n}.png": [label] for n in range(20)})
    assert dealt(images) == {"train": 14, "val": 3, "test": 3}


def test_without_stratification_a_class_of_one_image_is_still_seen_in_train():
    images = folders(a=99, b=1)
    for seed in range(40):
        frame = build_splits(images, config(split={"stratify_by": None, "seed": seed}).split)
        # the gate classes_are_in_train blocks whatever the dataset is stratified by
        assert "b" in frame.filter(split="train").join(images, on="image_id")["labels"].explode().to_list()
