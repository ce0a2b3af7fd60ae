"""The whole line on real data, held against what is known of each set from elsewhere (the README beside it)."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest
from PIL import Image

from cv_assets.runs import RunOutcome
from cv_assets_tests.conftest import Place
from cv_assets_tests.resources.places import shared_place
from resources.dataset_files import load_dataset
from resources.settings import PROJECT_ROOT
from schemas.datasets import DatasetConfig

pytestmark = pytest.mark.data


@dataclass(frozen=True)
class Made:
    """A version of a real set."""

    place: Place
    config: DatasetConfig
    outcome: RunOutcome

    def table(self, name: str) -> pl.DataFrame:
        return self.place.version(self.config, "v1").load_table(name)

    @property
    def summary(self) -> dict[str, Any]:
        return self.place.summary(self.config)

    def findings(self, code: str) -> pl.DataFrame:
        return self.table("findings").filter(code=code)

    def figure(self, name: str) -> float:
        return self.table("quality_report").filter(name=name)["value"].item()

    def sides_of_groups(self) -> list[int]:
        """In how many splits each group is."""
        dealt = self.table("manifest").join(self.table("splits").drop_nulls("split"), on="image_id").explode("groups")
        return dealt.drop_nulls("groups").group_by("groups").agg(pl.col("split").n_unique())["split"].to_list()

    def images_per_class(self) -> Counter[tuple[str, str]]:
        """Images of each (class, split)."""
        rows = self.table("manifest").join(self.table("splits"), on="image_id").explode("labels")
        return Counter(rows.select("labels", "split").drop_nulls().iter_rows())


@pytest.fixture(scope="module")
def here(tmp_path_factory, real_data):
    with shared_place(tmp_path_factory) as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CV_ASSETS_TEST_DATA", str(real_data))
        yield place


def make(place, config):
    outcome = place.run(config)
    assert outcome.success, outcome.failures
    return Made(place, config, outcome)


def from_example(place, name):
    return make(place, load_dataset(PROJECT_ROOT / "examples" / "datasets" / f"{name}.yaml"))


@pytest.fixture(scope="module")
def grocery(here):
    return from_example(here, "grocery")


@pytest.fixture(scope="module")
def bccd(here):
    return from_example(here, "bccd")


@pytest.fixture(scope="module")
def clothing(here):
    return from_example(here, "clothing")


@pytest.fixture(scope="module")
def omniglot(here):
    return from_example(here, "omniglot")


def facts(summary, *names):
    return {name: summary[name] for name in names}


def test_grocery_has_seven_classes_and_its_pictures_once(grocery):
    assert facts(grocery.summary, "files", "images", "quarantined", "duplicate_groups", "unlabelled_images") == {
        "files": 496,
        "images": 488,
        "quarantined": 0,
        "duplicate_groups": 8,
        "unlabelled_images": 0,
    }
    labels = Counter(grocery.table("annotations")["label"].to_list())
    assert labels.total() == 496
    # train + val + test of the authors, an iconic picture of each, and what sample_images adds
    least = {
        "Granny-Smith": 124,
        "Alpro-Fresh-Soy-Milk": 59,
        "Yellow-Onion": 81,
        "Green-Bell-Pepper": 52,
        "Floury-Potato": 40,
        "Beef-Tomato": 48,
        "Brown-Cap-Mushroom": 84,
    }
    assert set(labels) == set(least)
    assert {name: labels[name] >= number for name, number in least.items()} == dict.fromkeys(least, True)
    assert sum(labels.values()) - sum(least.values()) == 8


def test_grocerys_duplicates_agree_about_their_class_and_lie_on_one_side(grocery):
    twice = grocery.table("manifest").filter(pl.col("paths").list.len() > 1)
    assert twice["paths"].list.len().to_list() == [2] * 8
    assert all(any(path.startswith("sample_images/") for path in paths) for paths in twice["paths"].to_list())
    assert twice["labels"].list.len().to_list() == [1] * 8
    assert grocery.figure("with_several_labels") == 0


def test_grocery_is_dealt_by_class(grocery):
    assert grocery.summary["splits"].keys() == {"train", "val", "test"}
    assert sum(grocery.summary["splits"].values()) == 488
    per_class = grocery.images_per_class()
    for label in {label for label, _ in per_class}:
        images = sum(per_class[label, split] for split in ("train", "val", "test"))
        assert abs(per_class[label, "train"] - 0.7 * images) <= 1
        assert abs(per_class[label, "val"] - 0.15 * images) <= 1


def test_grocerys_duplicates_are_findings_and_two_potatoes_look_alike(grocery):
    assert grocery.findings("exact-duplicate").height == 8
    assert grocery.findings("duplicates-disagree").is_empty()
    potatoes = [path for path in grocery.findings("near-duplicate")["path"] if "Floury-Potato" in path]
    assert sorted(path[-7:] for path in potatoes) == ["006.jpg", "016.jpg"]


def test_bccds_findings_are_the_known_ones(bccd):
    flat = bccd.findings("box-without-area")["path"].to_list()
    assert sorted(flat) == ["JPEGImages/BloodImage_00338.jpg", "JPEGImages/BloodImage_00343.jpg"]
    assert bccd.findings("exact-duplicate").is_empty()
    alike = bccd.findings("near-duplicate")["path"].to_list()
    assert sorted(alike) == ["JPEGImages/BloodImage_00037.jpg", "JPEGImages/BloodImage_00038.jpg"]


def test_clothings_photo_under_two_senders_and_two_labels_is_found(clothing):
    disagreeing = clothing.findings("duplicates-disagree")
    twins = disagreeing.filter(pl.col("path").str.contains("6075b4a5|637a56e4"))
    assert twins["score"].to_list() == [2, 2]
    assert all(label in said for said in twins["evidence"] for label in ("Shorts", "Skirt"))
    assert disagreeing.height == 3  # and the pair of equal files of which one has no row
    assert clothing.findings("exact-duplicate").height == 1
    assert clothing.findings("label-without-file").height == 4
    assert clothing.findings("file-without-label").height == 12


@pytest.mark.parametrize("name", ["grocery", "bccd", "clothing", "omniglot"])
def test_the_report_of_a_real_set_is_part_of_its_version(request, name):
    made = request.getfixturevalue(name)
    record = made.place.version(made.config, "v1").commit()
    pages = [entry for entry in record.objects if entry.role == "report"]
    assert sorted(entry.key.rsplit(".", 1)[-1] for entry in pages) == ["html", "json"]
    assert all(10_000 < entry.size_bytes < 5_000_000 for entry in pages)


def test_bccd_has_every_box_and_says_which_have_no_area(bccd):
    assert facts(bccd.summary, "files", "images", "annotations", "quarantined", "duplicate_groups") == {
        "files": 364,
        "images": 364,
        "annotations": 4_888,
        "quarantined": 0,
        "duplicate_groups": 0,
    }
    annotations = bccd.table("annotations")
    assert Counter(annotations["label"].to_list()) == {"RBC": 4_155, "WBC": 372, "Platelets": 361}
    assert bccd.figure("boxes") == 4_888
    assert bccd.figure("zero_area_boxes") == 2
    empty = annotations.filter(pl.col("x_min_px") == pl.col("x_max_px"), pl.col("y_min_px") == pl.col("y_max_px"))
    assert sorted(empty.select("image_path", "x_min_px", "y_min_px").rows()) == [
        ("JPEGImages/BloodImage_00338.jpg", 504.0, 337.0),
        ("JPEGImages/BloodImage_00343.jpg", 181.0, 329.0),
    ]
    assert min(annotations.select("x_min_px", "y_min_px").min().row(0)) >= 0
    assert annotations["x_max_px"].max() <= 640
    assert annotations["y_max_px"].max() <= 480
    boxes = annotations.drop_nulls("x_min_px").group_by("image_path").len()["len"]
    assert (boxes.min(), boxes.max(), boxes.len()) == (1, 30, 364)
    assert annotations["attributes"].str.contains('"truncated": "1"').sum() == 1_131


def test_clothing_counts_what_has_no_file_and_what_has_no_row(clothing):
    assert facts(
        clothing.summary,
        "files",
        "images",
        "annotations",
        "labels_without_file",
        "duplicate_groups",
        "unlabelled_images",
    ) == {
        "files": 380,
        "images": 379,
        "annotations": 372,
        "labels_without_file": 4,
        "duplicate_groups": 1,
        "unlabelled_images": 11,  # of 12 files without a row, one has a twin with a row
    }
    assert clothing.summary["files_without_label"] == 12
    lost = clothing.table("annotations").filter(reason="no-file")
    assert lost.select("label", "group").sort("group").rows() == [("Skip", g) for g in ("26", "336", "336", "63")]
    assert clothing.outcome.warnings
    labels = Counter(clothing.table("annotations").drop_nulls("image_id")["label"].drop_nulls().to_list())
    assert (labels["T-Shirt"], labels["Longsleeve"], labels["Body"], len(labels)) == (86, 48, 1, 18)


def test_clothings_senders_stay_on_one_side(clothing):
    sides = clothing.sides_of_groups()
    assert len(sides) == 49
    assert set(sides) == {1}
    per_class = clothing.images_per_class()
    assert {label for label, split in per_class if split == "train"} == {label for label, _ in per_class}
    sizes = clothing.summary["splits"]
    assert sum(sizes.values()) == 368
    assert all(abs(sizes[split] - share * 368) <= 51 for split, share in clothing.config.split.ratios.items())


def test_omniglot_is_dealt_exactly(omniglot):
    assert facts(omniglot.summary, "files", "images", "annotations", "duplicate_groups", "splits") == {
        "files": 1_720,
        "images": 1_720,
        "annotations": 1_720,
        "duplicate_groups": 0,
        "splits": {"train": 1_204, "val": 258, "test": 258},
    }
    sides = omniglot.sides_of_groups()
    assert (len(sides), set(sides)) == (60, {1})
    per_class = omniglot.images_per_class()
    assert len({label for label, _ in per_class}) == 86
    assert {split: {n for (_, s), n in per_class.items() if s == split} for split in ("train", "val", "test")} == {
        "train": {14},
        "val": {3},
        "test": {3},
    }
    assert set(omniglot.table("manifest").select("mode", "bit_depth", "width_px", "height_px").iter_rows()) == {
        ("1", 1, 105, 105)
    }
    assert [check["name"] for check in omniglot.summary["checks"] if not check["passed"]] == []


@pytest.mark.parametrize("name", ["grocery", "bccd", "clothing", "omniglot"])
def test_what_is_known_of_every_image_agrees_with_the_files_beside_the_set(real_data, request, name):
    made = request.getfixturevalue(name)
    with (real_data / name / "images.csv").open(newline="") as opened:
        known = {row["sha256"]: (int(row["width"]), int(row["height"]), row["mode"]) for row in csv.DictReader(opened)}
    found = made.table("manifest").select("image_id", "width_px", "height_px", "mode").iter_rows()
    assert {image_id: tuple(rest) for image_id, *rest in found} == known


# Odd, rare and broken files of an image library's own tests.

# a float map (.pfm) is a PPM to Pillow, and none of the formats that are accepted
FORMATS = {"BMP", "GIF", "JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP"}


@pytest.fixture(scope="module")
def odd(here, real_data):
    config = DatasetConfig.model_validate(
        {
            "name": "odd_pillow",
            "source": {"url": str(real_data / "odd-pillow" / "data")},
            "annotations": {"format": "none"},
            "limits": {"min_side_px": 1},
        }
    )
    return make(here, config)


@pytest.fixture(scope="module")
def decoded_by_pillow(real_data):
    """Path → row of decode.csv: what Pillow did with each file in a process of its own."""
    with (real_data / "odd-pillow" / "decode.csv").open(newline="") as opened:
        return {row["path"]: row for row in csv.DictReader(opened)}


def is_whole(row):
    """Could every frame be read? Then it says `ok` and their number."""
    return row["all_frames"].startswith("ok")


def accepted(made):
    return set(made.table("manifest")["paths"].explode())


def test_every_odd_file_is_accepted_or_quarantined_with_a_reason(odd, decoded_by_pillow):
    quarantine = odd.table("quarantine")
    assert len(decoded_by_pillow) == 378
    assert accepted(odd).isdisjoint(quarantine["path"])
    assert accepted(odd) | set(quarantine["path"]) == set(decoded_by_pillow)
    assert quarantine["reason"].null_count() == quarantine["detail"].null_count() == 0


def test_every_odd_file_that_pillow_decodes_whole_is_accepted(odd, decoded_by_pillow):
    sound = {
        path
        for path, row in decoded_by_pillow.items()
        if row["load"] == "ok" and is_whole(row) and row["format"] in FORMATS and not path.endswith(".pfm")
    }
    assert len(sound) > 150
    reasons = dict(odd.table("quarantine").select("path", "reason").iter_rows())
    assert {path: reasons[path] for path in sound - accepted(odd)} == {}


def test_every_odd_file_that_is_accepted_is_one_that_pillow_decodes(odd, decoded_by_pillow):
    loads = {path for path, row in decoded_by_pillow.items() if row["load"] == "ok"}
    whole = {path for path, row in decoded_by_pillow.items() if is_whole(row)}
    assert accepted(odd) - loads == set()
    assert accepted(odd) - whole == set()


def test_no_odd_file_kills_a_decoder(odd):
    reasons = Counter(odd.table("quarantine")["reason"].to_list())
    assert set(reasons) <= {"format-not-allowed", "undecodable", "pixels-over-limit", "side-under-limit"}


def test_odd_files_are_described_as_pillow_describes_them(odd, decoded_by_pillow):
    different = {}
    for row in odd.table("manifest").iter_rows(named=True):
        known = decoded_by_pillow[row["paths"][0]]
        sides = {(int(known["width"]), int(known["height"])), (int(known["height"]), int(known["width"]))}
        if row["mode"] != known["mode"] or row["frames"] != int(known["frames"] or 1):
            different[row["paths"][0]] = (row["mode"], known["mode"], row["frames"], known["frames"])
        if (row["width_px"], row["height_px"]) not in sides:
            different[row["paths"][0]] = (row["width_px"], row["height_px"], sides)
    assert different == {}


def test_turned_odd_files_are_told_apart_and_packed_upright(odd):
    manifest = odd.table("manifest")
    named = manifest.with_columns(path=pl.col("paths").list.first())
    turned = named.filter(pl.col("path").str.contains(r"hopper_orientation_\d\.(?:jpg|webp)$"))
    named_so = pl.col("path").str.extract(r"_(\d)\.").cast(pl.Int64)
    assert turned.height >= 7
    assert turned.filter(named_so.ne_missing(pl.col("exif_orientation")))["path"].to_list() == []
    assert sum(odd.summary["splits"].values()) == manifest.height

    packed = odd.place.packed(odd.config)
    upright = turned.filter(pl.col("exif_orientation") > 1)
    assert upright.height >= 7
    for row in upright.iter_rows(named=True):
        (name,) = (name for name in packed if name.startswith(row["image_id"]) and name.endswith((".jpg", ".webp")))
        with Image.open(io.BytesIO(packed[name])) as image:
            assert image.size == (row["width_px"], row["height_px"])
            assert image.getexif().get(0x0112, 1) == 1
