"""The rules about images that stand twice: what they find in drawn tables, and in the real data sets."""

import csv
import json

import polars as pl
import pytest

from cv_assets.domain.quality.duplicate_lists import list_exact, list_near
from cv_assets.domain.quality.near_duplicates import find_near_duplicates
from cv_assets.domain.quality.rules import chained_duplicates, duplicates_disagree, exact_duplicate, near_duplicate
from cv_assets_tests.domain.quality.ruled import findings, labels, named
from cv_assets_tests.domain.tables import config, image_id, label_row, manifest
from schemas.quality import NearDuplicatesConfig
from schemas.tables import to_frame

FOUR = NearDuplicatesConfig()


def tables(images, *annotations, settings=FOUR):
    """Tables of {path: hash}, or {(path, path, …): hash} for files of the same bytes, with their annotations."""
    said = labels(*annotations)
    given = {(paths,) if isinstance(paths, str) else paths: number for paths, number in images.items()}
    rows = manifest({paths[0]: [] for paths in given}).to_dicts()
    for row, (paths, number) in zip(rows, sorted(given.items(), key=lambda item: image_id(item[0][0])), strict=True):
        names = said.filter(image_id=row["image_id"])["label"].drop_nulls().unique().sort().to_list()
        row.update(paths=sorted(paths), phash=f"{number:016x}", labels=names)
    table = to_frame("manifest", rows)
    return {"annotations": said, "manifest": table, "near_duplicates": find_near_duplicates(table, settings)}


def label(path, name, *, of=None, **other):
    """A label of a file that holds the bytes of the image `of`."""
    return label_row(path, name, image_id=image_id(of or path), **other)


def bare(path, *, of=None, reason="no-label"):
    """A file without a label, or of which it is said that it shows nothing."""
    return label_row(path, None, image_id=image_id(of or path), reason=reason, detail="told")


def found(module, given, threshold=None):
    """{path: (score, evidence)}"""
    rule = module.RULE
    frame = rule.find(given, config(), rule.threshold if threshold is None else threshold)
    assert frame["image_id"].drop_nulls().is_unique().all()
    return {path: (score, evidence) for path, score, evidence in named(frame)}


def test_an_image_of_several_files_is_one_finding_with_all_its_paths():
    said = [label("a.png", "cat"), label("copy/a.png", "cat", of="a.png")]
    images = tables({("a.png", "copy/a.png", "z.png"): 0, "b.png": 2**40 - 1}, *said)
    evidence = {"labels": ["cat"], "paths": ["a.png", "copy/a.png", "z.png"]}
    assert found(exact_duplicate, images) == {"a.png": (3, evidence)}


def test_every_image_of_a_cluster_is_found_with_its_distance_and_the_leader_with_the_nearest():
    names = sorted(["a.png", "b.png", "c.png"], key=image_id)
    images = tables(dict(zip(names, (0, 0b111, 0b1), strict=True)), label(names[0], "cat"))
    result = found(near_duplicate, images)
    assert {name: score for name, (score, _) in result.items()} == dict(zip(names, (1, 3, 1), strict=True))
    shared = {"cluster_id": image_id(names[0]), "images": 3, "leader": names[0]}
    assert result[names[0]][1] == {**shared, "labels": ["cat"]}
    assert result[names[1]][1] == {**shared, "labels": []}


def test_an_image_left_alone_by_the_cutting_of_a_chain_is_no_near_duplicate():
    names = sorted(["a.png", "b.png", "c.png"], key=image_id)
    images = tables(dict(zip(names, (0, 0b1111, 0b11111111), strict=True)))
    assert sorted(found(near_duplicate, images)) == sorted(names[:2])


def test_a_chain_that_was_cut_is_one_finding_with_its_span():
    names = sorted((f"{number}.png" for number in range(4)), key=image_id)
    chain = dict(zip(names, (0, 0b1111, 0b11111111, 0b111111111111), strict=True))
    images = tables({**chain, "pair/a.png": 2**50 - 2**30, "pair/b.png": 2**50 - 2**30})
    evidence = {
        "clusters": 2,
        "component_id": image_id(names[0]),
        "farthest_bits": 12,
        "leaders": [names[0], names[2]],
    }
    assert found(chained_duplicates, images) == {None: (4, evidence)}


def test_more_images_than_a_cluster_holds_are_a_chain_too():
    images = tables({f"{number}.png": 0 for number in range(7)}, settings=NearDuplicatesConfig(max_cluster=3))
    [(score, evidence)] = found(chained_duplicates, images).values()
    assert (score, evidence["clusters"], evidence["farthest_bits"]) == (7, 3, 0)


SAME, ALIKE = {("a.png", "b.png"): 0}, {"a.png": 0, "b.png": 0b11}
LEFT, MOVED = (1, 2, 30, 40), (1, 2, 30, 41)
# images, what is said of a.png, what is said of b.png, score or None, files without a label
CASES = [
    (SAME, ["cat"], ["cat"], None, 0),
    (SAME, ["cat"], ["dog"], 2, 0),
    (SAME, ["cat", "dog"], ["dog", "cat"], None, 0),
    (SAME, ["cat", "dog"], ["cat"], 2, 0),
    (SAME, ["cat"], [], 1, 1),
    (SAME, [], [], None, 2),
    (SAME, ["cat"], [None], 2, 0),  # nothing is to be seen there, it is said
    (SAME, [None], [], 1, 1),
    (SAME, [("cat", LEFT)], [("cat", LEFT)], None, 0),
    (SAME, [("cat", LEFT)], [("cat", MOVED)], 2, 0),
    (SAME, [("cat", LEFT)], [("cat", LEFT), ("cat", LEFT)], None, 0),  # a box that is there twice is another finding
    (ALIKE, ["cat"], ["cat"], None, 0),
    (ALIKE, ["cat"], ["dog"], 2, 0),
    (ALIKE, ["cat"], [], 1, 1),
    (ALIKE, [], [], None, 2),
    (ALIKE, ["cat"], [None], 2, 0),
    (ALIKE, [("cat", LEFT)], [("cat", MOVED), ("cat", LEFT)], None, 0),  # they only look alike: boxes may differ
    ({"a.png": 0, "b.png": 0xFF}, ["cat"], ["dog"], None, 0),
]


def rows_of(path, said, of):
    for place, thing in enumerate(said):
        if thing is None:
            yield bare(path, of=of, reason="no-object")
        else:
            name, box = thing if isinstance(thing, tuple) else (thing, None)
            yield label(path, name, of=of, place=place, box=box)
    if not said:
        yield bare(path, of=of)


@pytest.mark.parametrize(("images", "first", "second", "score", "without"), CASES)
def test_twins_must_be_labelled_alike(images, first, second, score, without):
    of = "a.png" if images == SAME else "b.png"
    given = tables(images, *rows_of("a.png", first, "a.png"), *rows_of("b.png", second, of))
    result = found(duplicates_disagree, given)
    if score is None:
        assert result == {}
        return
    assert sorted(result) == (["a.png"] if images == SAME else ["a.png", "b.png"])
    for got, evidence in result.values():
        assert got == score
        assert len(evidence["said"]) == score
        assert evidence["unlabelled_files"] == without
        assert (evidence["same_bytes"], evidence["look_alike"]) == (images == SAME, images != SAME)
    assert bool(found(duplicates_disagree, given, threshold=2)) == (score == 2)


def test_the_others_and_their_labels_are_named():
    given = tables(
        {"a.png": 0, "b.png": 1, "c.png": 2, "d.png": 3},
        *(label(f"{name}.png", said) for name, said in zip("abcd", ("dog", "cat", "cat", "<b>cat</b>"), strict=True)),
    )
    score, evidence = found(duplicates_disagree, given)["b.png"]
    assert score == 3
    assert evidence["labels"] == ["cat"]
    assert evidence["said"] == [
        {"path": "b.png", "files": 2, "labels": ["cat"]},
        {"path": "a.png", "files": 1, "labels": ["dog"]},
        {"path": "d.png", "files": 1, "labels": ["<b>cat</b>"]},
    ]


def test_an_image_that_disagrees_with_its_copy_and_with_its_like_is_one_finding():
    said = [label("a.png", "cat"), label("a2.png", "dog", of="a.png"), label("b.png", "cat")]
    result = found(duplicates_disagree, tables({("a.png", "a2.png"): 0, "b.png": 1}, *said))
    assert result["a.png"][0] == 2
    assert result["a.png"][1]["same_bytes"] is True
    assert result["a.png"][1]["look_alike"] is True
    assert result["b.png"][1]["same_bytes"] is False


@pytest.mark.parametrize("others", [["cow"], ["cow", "cat"], []])
def test_a_conflict_of_copies_is_told_beside_a_greater_one_of_images_that_look_alike(others):
    said = [label("a.png", "cat"), label("a2.png", "dog", of="a.png")]
    said += [label(f"{name}.png", name) for name in others]
    images = {("a.png", "a2.png"): 0, **{f"{name}.png": 1 for name in others}}
    given = tables(images, *said)
    score, evidence = found(duplicates_disagree, given)["a.png"]
    assert score == len({"cat", "dog", *others})
    assert (evidence["same_bytes"], evidence["look_alike"]) == (True, bool(others))
    told = {**given, "findings": findings("duplicates-disagree", **given)}
    assert list_exact(told)["disagreeing"] == 1
    assert [cluster["disagrees"] for cluster in list_exact(told)["shown"]] == [True]
    assert list_near(told)["disagreeing"] == bool(others)


def test_a_conflict_below_the_threshold_is_not_told():
    said = [label("a.png", "cat"), label("b.png", "dog"), label("c.png", "cow")]
    given = tables({("a.png", "a2.png"): 0, "b.png": 1, "c.png": 1}, *said, bare("a2.png", of="a.png"))
    assert found(duplicates_disagree, given)["a.png"][1]["same_bytes"] is True
    assert found(duplicates_disagree, given, threshold=2)["a.png"][1]["same_bytes"] is False


@pytest.mark.parametrize("module", [exact_duplicate, near_duplicate, chained_duplicates, duplicates_disagree])
def test_nothing_is_found_in_nothing(module):
    assert found(module, tables({})) == {}


def real(folder):
    """Tables of a set with the hashes that lie beside it; labels are not read."""
    with (folder / "images.csv").open(newline="") as file:
        files = pl.DataFrame([row for row in csv.DictReader(file) if row["phash"]]).sort("path")
    images = files.group_by("sha256").agg("path", pl.col("phash").first()).sort("sha256")
    images = images.select(image_id="sha256", paths="path", phash="phash")
    return images, find_near_duplicates(images, FOUR)


@pytest.mark.data
def test_the_photo_under_two_senders_with_two_labels_is_found(real_data):
    images, near = real(real_data / "clothing")
    with (real_data / "clothing" / "data" / "images.csv").open(newline="") as file:
        said = {f"images/{row['image']}.jpg": row["label"] for row in csv.DictReader(file)}
    files = images.explode("paths").rows()
    rows = [
        label_row(path, said.get(path), image_id=image, reason=None if path in said else "no-label")
        for image, path, _ in files
    ]
    annotations = labels(*rows)
    known = annotations.drop_nulls("label").group_by("image_id").agg(pl.col("label").alias("labels"))
    given = {
        "annotations": annotations,
        "manifest": images.join(known, on="image_id", how="left"),
        "near_duplicates": near,
    }
    by_score = {}
    for path, (score, evidence) in found(duplicates_disagree, given).items():
        by_score.setdefault(score, {})[path.removeprefix("images/")[:8]] = evidence
    assert sorted(by_score[2]) == ["6075b4a5", "637a56e4"]
    assert [one["labels"] for one in by_score[2]["6075b4a5"]["said"]] == [["Shorts"], ["Skirt"]]
    assert sorted(by_score[1]) == ["680b1bbb"]
    assert by_score[1]["680b1bbb"]["unlabelled_files"] == 1
    assert by_score[1]["680b1bbb"]["said"][0]["labels"] == ["Undershirt"]
    assert len(found(exact_duplicate, given)) == 1
    assert len(found(near_duplicate, given)) == 2


# exact pairs, images in clusters of near duplicates, chains that were cut
REAL = [("grocery", 8, 2, 0), ("bccd", 0, 2, 0), ("omniglot", 0, 23, 1)]


@pytest.mark.data
@pytest.mark.parametrize(("name", "exact", "near", "chains"), REAL)
def test_real_images_that_stand_twice_are_found(name, exact, near, chains, real_data):
    images, alike = real(real_data / name)
    given = {"manifest": images.with_columns(labels=pl.lit([], dtype=pl.List(pl.String))), "near_duplicates": alike}
    assert len(found(exact_duplicate, given)) == exact
    assert len(found(near_duplicate, given)) == near
    assert chained_duplicates.RULE.find(given, config(), 0).height == chains
    assert all(
        json.loads(text)["clusters"] > 1 for text in chained_duplicates.RULE.find(given, config(), 0)["evidence"]
    )
