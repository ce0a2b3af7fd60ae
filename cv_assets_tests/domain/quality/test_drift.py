"""Drift: figures that are known by hand or by scipy, no alarm where nothing has changed, and one where something has."""

import csv
import hashlib
import json
import math
from typing import get_args

import numpy as np
import polars as pl
import pytest
from defusedxml.ElementTree import parse
from PIL import Image, ImageFilter, ImageStat
from pydantic import ValidationError

from cv_assets.domain.quality.compared_values import DESCRIPTIONS, embeddings_of
from cv_assets.domain.quality.drift import BINS_SHOWN, build_drift
from cv_assets_tests.domain.tables import image_id, label_row, manifest
from schemas.datasets import DatasetConfig
from schemas.quality import DriftConfig, DriftProperty
from schemas.tables import TABLES, to_frame

BASELINE = DriftConfig()


def version(seed, images=400, *, brightness=0.5, weights=(0.6, 0.3, 0.1), boxes=0):
    """Manifest and annotations of drawn images, each with a class of its own draw."""
    draw = np.random.default_rng(seed)
    names, classes = [f"{seed}/{number}" for number in range(images)], ("cat", "dog", "owl")
    labels = draw.choice(classes, images, p=weights).tolist()
    drawn = {
        "width_px": draw.choice([640, 1280], images),
        "height_px": np.full(images, 480),
        "size_bytes": draw.lognormal(11, 0.4, images).astype(int),
        "brightness_ratio": np.clip(draw.normal(brightness, 0.1, images), 0, 1),
        "contrast_ratio": np.clip(draw.normal(0.2, 0.05, images), 0, 1),
        "sharpness": draw.lognormal(3, 0.4, images),
        "entropy_bits": np.clip(draw.normal(6, 0.5, images), 0, 8),
        "colour_ratio": draw.beta(2, 3, images),
    }
    by_id = dict(zip(map(image_id, names), range(images), strict=True))
    frame = manifest(dict(zip(names, ([label] for label in labels), strict=True)))
    places = [by_id[one] for one in frame["image_id"]]
    frame = frame.with_columns(pl.Series(name, values[places]) for name, values in drawn.items())
    rows = [label_row(name, label) for name, label in zip(names, labels, strict=True)]
    if boxes:
        rows = []
        for name in names:
            for place in range(draw.poisson(boxes)):
                left, top, width, height = draw.uniform(10, 200, 4)
                box = (left, top, left + width, top + height)
                rows.append(label_row(name, str(draw.choice(classes)), place=place, box=box))
    return {"manifest": frame, "annotations": to_frame("annotations", rows)}


def by_property(drift):
    TABLES["drift"].validate(drift)
    return {row["property"]: row | {"evidence": json.loads(row["evidence"])} for row in drift.iter_rows(named=True)}


def drifted(drift):
    return set(drift.filter("drifted")["property"])


@pytest.mark.parametrize(
    "said", [{"psi": math.inf}, {"psi": 0}, {"thresholds": {"label": math.inf}}, {"thresholds": {"label": -1}}]
)
def test_a_threshold_is_a_number_above_zero(said):
    with pytest.raises(ValidationError):
        DriftConfig.model_validate(said)


def test_a_property_without_a_threshold_is_not_looked_at():
    others = DriftConfig(thresholds={"brightness_ratio": None})
    assert drifted(build_drift(version(1, brightness=0.4), version(2), others)) == set()


def test_versions_of_one_source_have_not_drifted():
    alarms = [drifted(build_drift(version(2 * seed + 1, 150), version(2 * seed, 150), BASELINE)) for seed in range(25)]
    assert sum(map(bool, alarms)) <= 1


def test_darker_images_have_drifted_in_brightness_alone():
    rows = by_property(build_drift(version(1, brightness=0.4), version(2), BASELINE))
    assert {name for name, row in rows.items() if row["drifted"]} == {"brightness_ratio"}
    found = rows["brightness_ratio"]["evidence"]
    assert found["exceeded"] == ["psi"]
    assert found["version"][0] > 2 * found["baseline"][0]  # more of the darkest
    assert found["bins"][0][0] is None


def test_other_classes_have_drifted_and_other_boxes_too():
    before, after = version(1, boxes=2), version(2, boxes=6, weights=(0.1, 0.3, 0.6))
    after["annotations"] = after["annotations"].with_columns(label=pl.lit("cat"))
    assert drifted(build_drift(after, before, BASELINE)) == {"boxes_per_image", "label", "object_label"}
    rows = by_property(build_drift(after, before, BASELINE))
    assert rows["object_label"]["rows"] == after["annotations"].height
    assert rows["boxes_per_image"]["rows"] == after["manifest"].height  # images without a box too
    assert rows["box_area_ratio"]["rows"] == after["annotations"].height
    assert rows["label"]["ks_statistic"] is None


def test_boxes_without_area_and_boxes_of_rejected_images_are_left_out():
    names = [f"{n}" for n in range(40)]
    rows = [label_row(name, "a", box=(0, 0, 8, 4)) for name in names]
    rows += [label_row("0", "a", place=1, box=(5, 5, 5, 9)), label_row("gone", "a", box=(0, 0, 3, 3))]
    tables = {"manifest": manifest({name: ["a"] for name in names}), "annotations": to_frame("annotations", rows)}
    found = by_property(build_drift(tables, tables, BASELINE))
    assert found["box_aspect_ratio"]["rows"] == 40
    assert found["box_aspect_ratio"]["evidence"]["bins"] == [[2, 2]]
    assert found["object_label"]["rows"] == 41
    assert found["boxes_per_image"]["evidence"]["bins"] == [[1, 1], [1, None]]


# what the dataset says


def test_without_a_baseline_there_is_no_row():
    for baseline in (None, {}):
        drift = build_drift(version(1), baseline, BASELINE)
        assert drift.is_empty()
        TABLES["drift"].validate(drift)


def test_too_few_values_are_never_called_drift():
    rows = by_property(build_drift(version(1, 29, brightness=0.1), version(2, 400), BASELINE))
    assert not any(row["drifted"] for row in rows.values())
    said = rows["brightness_ratio"]
    assert said["psi"] > 1
    assert said["evidence"]["note"] == "fewer than 30 values on a side: nothing is called drift"
    fewer = DriftConfig(least_rows=20)
    assert "brightness_ratio" in drifted(build_drift(version(1, 29, brightness=0.1), version(2, 400), fewer))


def test_what_may_be_chance_is_not_called_drift_and_this_is_said():
    rows = by_property(build_drift(version(1, 40), version(2, 40), BASELINE))
    near = [row for row in rows.values() if row["psi"] and row["psi"] > 0.25]
    assert near
    for row in near:
        assert not row["drifted"]
        assert row["psi"] < row["evidence"]["chance_psi"]
        assert "not called drift" in row["evidence"]["note"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"psi": 5}, set()),
        ({"psi": None}, set()),
        ({"psi": 5, "thresholds": {"brightness_ratio": 0.3}}, {"brightness_ratio"}),
        ({"thresholds": {"brightness_ratio": 5}}, set()),
        ({"psi": None, "js_distance": 0.2}, {"brightness_ratio"}),
        ({"psi": None, "js_distance": 0.9}, set()),
        ({"psi": None, "ks_statistic": 0.2}, {"brightness_ratio"}),
        ({"psi": None, "ks_statistic": 0.9}, set()),
    ],
)
def test_thresholds_are_those_of_the_dataset(settings, expected):
    assert drifted(build_drift(version(1, brightness=0.4), version(2), DriftConfig(**settings))) == expected


RARE = [
    # classes of the baseline and of the version with their images, and what is said of those that have no bin
    ({"cat": 200, "dog": 200}, {"cat": 200, "dog": 200, "fox": 2}, "too rare to be compared one by one, new: fox"),
    ({"cat": 400, "owl": 1}, {"cat": 400, "fox": 1}, "too rare to be compared one by one, new: fox; gone: owl"),
    ({"cat": 200, "owl": 1}, {"cat": 200, "owl": 2}, None),  # in both
    ({"cat": 200}, {"cat": 200, "fox": 100}, None),  # in a bin of its own
    ({}, {"fox": 2}, "no values in the baseline"),
    (
        {"owl": 2, "bee": 2},
        {"owl": 2, "fox": 2},
        "every category is too rare to be compared; too rare to be compared one by one, new: fox; gone: bee",
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), RARE)
def test_rare_classes_that_came_or_went_are_named_though_no_figure_shows_them(before, after, expected):
    def drawn(classes):
        labels = [label for label, images in classes.items() for _ in range(images)]
        images = manifest({f"{number}.png": [label] for number, label in enumerate(labels)})
        return {"manifest": images, "annotations": to_frame("annotations", [])}

    note = by_property(build_drift(drawn(after), drawn(before), BASELINE))["label"]["evidence"]["note"]
    assert note == expected


def test_a_threshold_of_an_unknown_property_is_a_mistake():
    with pytest.raises(ValueError, match="brightness_ratio"):
        DriftConfig.model_validate({"thresholds": {"brightnes_ratio": 0.1}})


def test_columns_that_an_older_version_lacks_are_rows_without_a_figure():
    before = version(2)
    before["manifest"] = before["manifest"].drop("sharpness", "brightness_ratio")
    rows = by_property(build_drift(version(1), before, BASELINE))
    assert rows["sharpness"]["psi"] is None
    assert (rows["sharpness"]["baseline_rows"], rows["sharpness"]["rows"]) == (0, 400)
    assert rows["sharpness"]["evidence"]["note"] == "no values in the baseline"
    assert rows["contrast_ratio"]["psi"] is not None


def test_versions_without_images_or_labels_are_compared_too():
    empty = {"manifest": manifest({}), "annotations": to_frame("annotations", [])}
    for one, other in ((empty, version(1)), (version(1), empty), (empty, empty)):
        assert drifted(build_drift(one, other, DriftConfig(embedding="embedding"))) == set()


def test_the_order_of_rows_changes_nothing():
    one, other = version(1, boxes=2), version(2, boxes=3)
    turned = {name: frame.reverse() for name, frame in one.items()}
    assert build_drift(turned, other, BASELINE).equals(build_drift(one, other, BASELINE))


def test_every_property_that_a_dataset_may_name_is_made_and_described():
    config = DriftConfig(embedding="vector")
    tables = with_embeddings(version(1, boxes=2), np.random.default_rng(1).normal(size=(400, 4)))
    made = set(build_drift(tables, tables, config)["property"])
    assert made == set(get_args(DriftProperty)) == set(DESCRIPTIONS)


def test_labels_are_data_in_the_evidence_too():
    names = ["<b>", '"}', "\u202e", "x" * 5_000, "a\nb", *(f"class {n}" for n in range(2 * BINS_SHOWN))]
    labels = dict.fromkeys((f"{n}/{k}" for n in range(len(names)) for k in range(8)), None)
    tables = {
        "manifest": manifest({path: [names[int(path.split("/")[0])]] for path in labels}),
        "annotations": to_frame("annotations", []),
    }
    evidence = by_property(build_drift(tables, tables, BASELINE))["label"]["evidence"]
    assert len(evidence["bins"]) == BINS_SHOWN + 1
    assert evidence["bins"][-1] is None
    assert sum(evidence["baseline"]) == pytest.approx(1, abs=1e-4)
    assert max(len(name) for name in evidence["bins"] if name) <= 200


# embeddings


def with_embeddings(tables, vectors):
    texts = [json.dumps({"vector": vector.tolist()}) for vector in vectors]
    rows = tables["annotations"].unique("image_id", maintain_order=True).head(len(texts))
    return tables | {"annotations": rows.with_columns(attributes=pl.Series(texts[: rows.height], dtype=pl.String))}


def test_embeddings_of_one_source_have_not_drifted_whatever_their_dimensions():
    config = DriftConfig(embedding="vector")
    for seed, dimensions in enumerate((2, 16, 300, 300, 300)):
        draw = np.random.default_rng(seed)
        one, other = (with_embeddings(version(n), draw.normal(size=(400, dimensions))) for n in (1, 2))
        rows = by_property(build_drift(one, other, config))
        assert not rows["embedding"]["drifted"]
        assert not rows["embedding_spread"]["drifted"]
        assert 150 < rows["embedding"]["rows"] < 250  # the line is learnt from the other half


def test_embeddings_have_not_drifted_where_a_few_images_came_or_went():
    vectors, config = np.random.default_rng(0).normal(size=(410, 300)), DriftConfig(embedding="vector")
    every = with_embeddings(version(1, 410), vectors)
    before, *others = (every | {"manifest": every["manifest"].tail(images)} for images in (400, 399, 401, 410))
    for after in others:
        rows = by_property(build_drift(after, before, config))
        assert rows["embedding"]["psi"] < 0.01
        assert rows["embedding_spread"]["psi"] < 0.01


def test_embeddings_that_moved_or_spread_have_drifted():
    draw, config = np.random.default_rng(0), DriftConfig(embedding="vector")
    before = with_embeddings(version(1), draw.normal(size=(400, 64)))
    moved = with_embeddings(version(2), draw.normal(0.2, size=(400, 64)))
    wider = with_embeddings(version(3), draw.normal(0, 1.3, size=(400, 64)))
    assert drifted(build_drift(moved, before, config)) == {"embedding"}
    assert drifted(build_drift(wider, before, config)) == {"embedding_spread"}
    assert drifted(build_drift(moved, before, BASELINE)) == set()  # nobody asked


def test_embeddings_of_another_model_are_not_compared():
    draw, config = np.random.default_rng(0), DriftConfig(embedding="vector")
    one, other = (with_embeddings(version(n), draw.normal(size=(400, n))) for n in (8, 12))
    row = by_property(build_drift(one, other, config))["embedding"]
    assert (row["psi"], row["drifted"]) == (None, False)
    assert "12 numbers in the baseline and of 8 here" in row["evidence"]["note"]


def test_equal_embeddings_and_constant_ones_have_not_drifted():
    config = DriftConfig(embedding="vector")
    for vectors in (np.zeros((400, 3)), np.random.default_rng(0).normal(size=(400, 3))):
        tables = with_embeddings(version(1), vectors)
        assert by_property(build_drift(tables, tables, config))["embedding"]["psi"] == 0
    constant, other = (with_embeddings(version(1), np.full((400, 3), value)) for value in (0.0, 1.0))
    assert "embedding" in drifted(build_drift(other, constant, config))


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"vector": 3}', '{"vector": ["1", "2"]}', '{"vector": [true, false]}', '{"vector": [1e999, 0]}',
     '{"vector": [1, null]}', '{"vector": [1e200, 1]}', '{"vector": []}', '{"vector": [1, 2, 3]}', "[" * 100_000],
)  # fmt: skip
def test_an_attribute_that_is_no_embedding_is_left_out(text):
    good = ['{"vector": [1, 2]}'] * 3
    rows = [
        label_row(f"{number}", "a", attributes=attributes, place=number)
        for number, attributes in enumerate([*good, text])
    ]
    tables = {"manifest": manifest({f"{n}": ["a"] for n in range(4)}), "annotations": to_frame("annotations", rows)}
    assert embeddings_of(tables, "vector").lists.tolist() == [[1, 2]] * 3


# real images


def measured(data, shrink=1.0):
    """What a manifest says of an image, roughly; `shrink` darkens it."""
    image = data if shrink == 1.0 else data.point(lambda value: int(value * shrink))
    grey = image.convert("L")
    said = ImageStat.Stat(grey)
    return {
        "width_px": image.width,
        "height_px": image.height,
        "brightness_ratio": said.mean[0] / 255,
        "contrast_ratio": said.stddev[0] / 255,
        "sharpness": ImageStat.Stat(grey.filter(ImageFilter.FIND_EDGES)).stddev[0],
        "entropy_bits": grey.entropy(),
    }


def of_folder(paths, labels, shrink=1.0):
    frame = manifest({path.name: labels.get(path.name, []) for path in paths})
    said = []
    for path in paths:
        with Image.open(path) as image:
            image.draft("RGB", (image.width // 4, image.height // 4))
            said.append({"image_id": image_id(path.name), **measured(image.convert("RGB"), shrink)})
            said[-1]["size_bytes"] = path.stat().st_size
    values = pl.DataFrame(said)
    return frame.drop(set(values.columns) - {"image_id"}).join(values, on="image_id", maintain_order="left")


@pytest.mark.data
def test_darkened_blood_cells_have_drifted_in_what_darkening_changes(real_data):
    folder = real_data / "bccd" / "data"
    paths = sorted((folder / "JPEGImages").glob("*.jpg"))[:160]
    boxes, labels = [], {}
    for path in paths:
        objects = parse(folder / "Annotations" / f"{path.stem}.xml").getroot().findall("object")
        labels[path.name] = sorted({one.findtext("name") for one in objects})
        for place, one in enumerate(objects):
            box = tuple(float(one.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax"))
            boxes.append(label_row(path.name, one.findtext("name"), place=place, box=box))
    tables = {"manifest": of_folder(paths, labels), "annotations": to_frame("annotations", boxes)}
    darker = tables | {"manifest": of_folder(paths, labels, shrink=0.6)}
    found = drifted(build_drift(darker, tables, BASELINE))
    assert {"brightness_ratio", "contrast_ratio"} <= found
    assert found.isdisjoint(
        {"width_px", "height_px", "area_px", "label", "object_label", "boxes_per_image", "size_bytes"}
    )
    # halves of the same set, in the order of the file names, which is that of the microscope's fields
    for half in (slice(0, None, 2), slice(1, None, 2)):
        kept = {image_id(path.name) for path in paths[half]}
        part = {name: frame.filter(pl.col("image_id").is_in(kept)) for name, frame in tables.items()}
        assert drifted(build_drift(part, tables, BASELINE)) == set()


@pytest.mark.data
def test_random_halves_of_clothing_photos_have_not_drifted(real_data):
    folder = real_data / "clothing" / "data"
    with (folder / "images.csv").open() as file:
        labels = {f"{row['image']}.jpg": [row["label"]] for row in csv.DictReader(file)}
    whole = of_folder(sorted((folder / "images").glob("*.jpg")), labels)
    empty = to_frame("annotations", [])
    alarms = 0
    for seed in range(20):
        halves = [hashlib.sha256(f"{seed}{one}".encode()).digest()[0] % 2 == 0 for one in whole["image_id"]]
        first, second = whole.filter(halves), whole.filter([not half for half in halves])
        drift = build_drift(
            {"manifest": first, "annotations": empty}, {"manifest": second, "annotations": empty}, BASELINE
        )
        assert set(drift["property"]) >= {"brightness_ratio", "label", "size_bytes"}
        alarms += len(drifted(drift))
    assert alarms <= 1  # of 20 × 11 comparisons


def test_a_dataset_file_may_say_all_of_it():
    given = {"drift": {"baseline": "v1", "thresholds": {"label": 0.1}, "js_distance": 0.3, "severity": "ERROR"}}
    config = DatasetConfig.model_validate({"name": "a", "source": {"url": "/a"}, "quality": given})
    assert config.quality.drift.thresholds == {"label": 0.1}
