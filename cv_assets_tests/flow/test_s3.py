"""The whole line over a real S3 server: uploads in a bucket, versions in a bucket, and no secret anywhere."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cv_assets_tests.conftest import Place, drawn_files, write_drawn
from cv_assets_tests.resources.places import command, shared_place
from cv_assets_tests.servers.s3 import Bucket, Endpoint
from resources.object_store import open_store
from resources.settings import PROJECT_ROOT

COMMAND = [sys.executable, "-m", "cv_assets.cli"]


def write_dataset(place: Place, **source: str) -> None:
    folder = place.folder / "datasets"
    folder.mkdir(exist_ok=True)
    (folder / "shapes.yaml").write_text(json.dumps({"name": "shapes", "source": source}))


@pytest.fixture
def at(place: Place, s3: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Leads commands to a store, with the environment of an AWS tool."""
    monkeypatch.setenv("CV_ASSETS_DATASETS", str(place.folder / "datasets"))
    return lambda store: monkeypatch.setenv("CV_ASSETS_STORE", store)


def run_process(place: Place, endpoint: Endpoint, *arguments: str, store: str) -> subprocess.CompletedProcess[str]:
    """A command as a process, whose every word is seen; it lasts as long as a first run over the network may."""
    environment = {**os.environ, **endpoint.environment, "CV_ASSETS_STORE": store}
    environment["CV_ASSETS_DATASETS"] = str(place.folder / "datasets")
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        timeout=300,
        check=False,
    )


def upload(bucket: Bucket, prefix: str) -> None:
    for path, data in drawn_files():
        bucket.put(f"{prefix}/{path}", data)


@pytest.fixture
def landed(bucket: Bucket) -> str:
    """URL of the drawn uploads in a bucket."""
    upload(bucket, "uploads")
    return f"{bucket.url}/uploads"


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is said of the version that is made of the same uploads on disk."""
    with shared_place(tmp_path_factory) as place:
        write_drawn(place.uploads)
        assert place.run(place.config()).success
        return place.summary(place.config())


def test_a_version_made_in_a_bucket_from_a_bucket_is_the_version_made_on_disk(
    place: Place, at: Callable[[str], None], bucket: Bucket, landed: str, on_disk: dict[str, Any]
):
    write_dataset(place, url=landed)
    at(f"{bucket.url}/store")
    made = command("run", "shapes", "--json")
    assert made.exit_code == 0, made.stderr
    there = json.loads(made.stdout)
    for said in ("digest", "files", "images", "quarantined", "splits", "duplicate_groups"):
        assert there[said] == on_disk[said]
    assert [shard["sha256"] for shard in there["shards"]] == [shard["sha256"] for shard in on_disk["shards"]]

    bucket.put("uploads/circle/late.png", dict(drawn_files(8))["circle/camera01_5.png"])
    again = command("run", "shapes", "--json")
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["version"] == "v2"
    assert json.loads(again.stdout)["files"] == there["files"] + 1
    shown = command("show", "shapes@v1", "--json")
    assert json.loads(shown.stdout)["digest"] == there["digest"]


def test_what_is_referred_to_stays_in_its_bucket_and_makes_the_same_shards(
    place: Place, at: Callable[[str], None], bucket: Bucket, landed: str, on_disk: dict[str, Any]
):
    write_dataset(place, url=landed, mode="reference")
    folder = str(place.folder / "referring")
    at(folder)
    made = command("run", "shapes", "--json")
    assert made.exit_code == 0, made.stderr
    store = open_store(folder)
    assert list(store.keys("blobs")) == []
    shards = json.loads(made.stdout)["shards"]
    assert [shard["sha256"] for shard in shards] == [shard["sha256"] for shard in on_disk["shards"]]

    assert command("verify", "shapes@v1").exit_code == 0
    bucket.put("uploads/circle/camera01_5.png", b"replaced")
    for more in ([], ["--read-data"], ["--read-data", "--sample", "0.01"]):
        verified = command("verify", "shapes@v1", "--json", *more)
        assert verified.exit_code == 1
        (problem,) = json.loads(verified.stdout)["problems"]
        assert (problem["key"], problem["role"]) == ("circle/camera01_5.png", "source")
    for key in list(store.keys("datasets/shapes/versions/v1")):
        if "/shards/" in key or "/packed/" in key:
            store.delete(key)
    failed = command("run", "shapes", "--version", "v1", "--select", "shards")
    assert failed.exit_code == 1
    assert "SourceChanged: expected circle/camera01_5.png" in failed.stderr


def test_no_secret_is_written_down_or_said(place: Place, s3: Endpoint, bucket: Bucket, landed: str):
    secret = s3.environment["AWS_SECRET_ACCESS_KEY"].encode()
    write_dataset(place, url=landed)
    store = f"{bucket.url}/store"
    done = run_process(place, s3, "run", "shapes", "--json", store=store)
    assert done.returncode == 0, done.stderr
    refused = Endpoint(s3.kind, s3.url, {**s3.environment, "AWS_ACCESS_KEY_ID": "WRONGKEY000000000000"})
    failed = run_process(place, refused, "run", "shapes", "--json", store=store)
    if not s3.is_mock:  # moto accepts any key
        assert failed.returncode in {1, 2}
        assert "AWS_ACCESS_KEY_ID or AWS_PROFILE" in failed.stderr
    said = [done.stdout, done.stderr, failed.stdout, failed.stderr]
    assert [text for text in said if secret.decode() in text] == []
    files = [path for path in Path(os.environ["DAGSTER_HOME"]).rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    assert [path for path in files if secret in path.read_bytes()] == []
    keys = bucket.keys()
    assert [key for key in keys if secret in bucket.get(key)] == []
