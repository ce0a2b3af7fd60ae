"""The whole line on the data set that the project draws."""

import hashlib
import io
from collections.abc import Iterator

import pytest
from PIL import Image

from cv_assets.assets import splits
from cv_assets.domain.splitting import build_splits
from cv_assets_tests.conftest import Place, write_drawn
from cv_assets_tests.resources.places import shared_place
from schemas.datasets import DatasetConfig

LATE = "circle/late.png"
GROUPED = {"group_by": {"path_pattern": r"(?P<group>camera\d+)_"}, "shards": {"max_bytes": "100kB"}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A first version."""
    with shared_place(tmp_path_factory) as place:
        write_drawn(place.uploads)
        outcome = place.run(place.config(**GROUPED))
        assert outcome.success, outcome.failures
        yield place


@pytest.fixture
def first(made: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The first version in a store that belongs to one test; what a test uploads is gone after it."""
    with shared_place(tmp_path_factory, like=made, with_runs=True) as place:
        yield place
        (place.uploads / LATE).unlink(missing_ok=True)


@pytest.fixture
def config(first: Place) -> DatasetConfig:
    return first.config(**GROUPED)


def test_uploads_become_a_committed_version_with_every_file_accounted_for(first: Place, config: DatasetConfig):
    summary = first.summary(config)
    assert (summary["version"], summary["committed"]) == ("v1", True)
    assert summary["files"] == 125
    assert summary["images"] == 122  # 125 less a text file, a cut-off photo and a duplicate
    assert summary["quarantined"] == 2
    assert summary["duplicate_groups"] == 1
    assert sum(summary["splits"].values()) == 122
    blocking = {check["name"]: check["passed"] for check in summary["checks"] if check["severity"] == "ERROR"}
    assert len(blocking) > 10
    assert [name for name, passed in blocking.items() if not passed] == []
    reasons = first.version(config, "v1").load_table("quarantine").select("path", "stage", "reason").rows()
    assert reasons == [
        ("circle/camera02_cut_off.jpg", "probe", "undecodable"),
        ("square/notes.txt", "snapshot", "format-not-allowed"),
    ]


def test_the_same_uploads_make_the_same_bytes_under_another_version_name(first: Place, config: DatasetConfig):
    assert first.run(config).version == "v2"

    before, after = (first.objects(f"datasets/shapes/versions/{version}/") for version in ("v1", "v2"))
    shards = [key for key in before if key.startswith("shards/") and key.endswith(".tar")]
    assert len(shards) > 3
    assert [before[key] for key in shards] == [after[key] for key in shards]
    for name in ("raw_images", "annotations", "manifest", "quarantine", "splits"):
        (table,) = [key for key in before if key.startswith(f"tables/{name}-")]
        assert before[table] == after[table]
    assert first.summary(config, "v1")["digest"] == first.summary(config, "v2")["digest"]


def test_a_rerun_of_a_committed_version_changes_nothing_and_does_not_look_at_the_source(
    first: Place, config: DatasetConfig
):
    before = first.objects("datasets/shapes/versions/v1/")
    (first.uploads / LATE).write_bytes((first.uploads / "circle" / "camera01_5.png").read_bytes() + b" ")

    assert first.run(config, version="v1").success
    assert first.objects("datasets/shapes/versions/v1/") == before
    assert first.run(config).version == "v2"
    assert first.summary(config, "v2")["files"] == 126


def test_a_committed_version_keeps_its_splits_however_images_are_dealt_today(
    first: Place, config: DatasetConfig, monkeypatch: pytest.MonkeyPatch
):
    before = first.objects("datasets/shapes/versions/v1/")
    monkeypatch.setattr(
        splits, "build_splits", lambda manifest, asked: build_splits(manifest, asked.model_copy(update={"seed": 1}))
    )
    assert first.run(config, version="v1").success
    assert first.objects("datasets/shapes/versions/v1/") == before


def test_a_committed_version_refuses_another_configuration(first: Place, config: DatasetConfig):
    before = first.objects("datasets/shapes/versions/v1/")

    other = first.config(**GROUPED, split={"train": 0.5, "val": 0.5})
    outcome = first.run(other, version="v1")
    assert not outcome.success
    assert "never overwritten" in "\n".join(outcome.failures)
    assert first.objects("datasets/shapes/versions/v1/") == before


def test_cameras_stay_on_one_side_and_a_turned_photo_is_packed_upright(first: Place, config: DatasetConfig):
    version = first.version(config, "v1")
    manifest, splits = version.load_table("manifest"), version.load_table("splits")
    by_camera = manifest.join(splits, on="image_id").explode("groups").group_by("groups").agg("split")
    assert all(len(set(row)) == 1 for row in by_camera["split"])

    turned = manifest.filter(manifest["exif_orientation"] == 6).row(0, named=True)
    assert (turned["width_px"], turned["height_px"]) == (112, 96)  # stored 96 × 112
    packed = first.packed(config)[f"{turned['image_id']}.jpg"]
    with Image.open(io.BytesIO(packed)) as image:
        assert image.size == (112, 96)
        assert image.getexif().get(0x0112) is None


def test_every_other_packed_image_is_the_upload_byte_for_byte(first: Place, config: DatasetConfig):
    images = {name: data for name, data in first.packed(config).items() if name.endswith((".jpg", ".png"))}
    changed = [name for name, data in images.items() if hashlib.sha256(data).hexdigest() != name.split(".")[0]]
    assert len(images) == 122
    assert len(changed) == 1  # the turned photo
