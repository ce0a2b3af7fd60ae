"""What many tests stand on: the real data sets, a store of their own, and a line that is run as people run it."""

import functools
import gc
import io
import os
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cv_assets.domain.drawing import draw_uploads
from cv_assets.runs import RunOutcome, run_line
from cv_assets_tests.homes import dagster_home
from cv_assets_tests.servers.s3 import bucket, pytest_terminal_summary, s3
from resources.object_store import ObjectStore, open_store
from resources.refs import Refs
from resources.settings import PROJECT_ROOT
from resources.summaries import summarize
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig

__all__ = ["bucket", "pytest_terminal_summary", "s3"]  # fixtures and a hook, found here by pytest

os.environ.setdefault("HYPOTHESIS_NO_PLUGINS", "1")  # for the processes that tests start; see cv_assets/cli.py
HERE = Path(__file__).parent
# these wait for other processes, for a minute and more at a time
LONG = ("browser/", "sensors/test_real_daemons.py", "stack/", "resources/test_fuzzing.py", "faults/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, all else as it was: one that were begun last would run on alone, with every other worker idle."""
    starts = [f"{HERE}/{name}" for name in LONG]

    def place_of(item: pytest.Item) -> int:
        return next((number for number, start in enumerate(starts) if str(item.path).startswith(start)), len(starts))

    items.sort(key=place_of)


@pytest.fixture(autouse=True)
def garbage_is_looked_for() -> Iterator[None]:
    """As Python does by itself: a command that is run in this process keeps what it imports out of that."""
    usual = gc.get_threshold()
    yield
    gc.set_threshold(*usual)
    gc.enable()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data sets; the test is skipped where they are not."""
    folder = Path(os.environ.get("CV_ASSETS_TEST_DATA") or PROJECT_ROOT.parent / "shared" / "data")
    if not (folder / "bccd").is_dir():
        pytest.skip(f"the real data sets are not at {folder}; set CV_ASSETS_TEST_DATA to run this test")
    return folder


@dataclass(frozen=True)
class Place:
    """A store and a folder for uploads that belong to one test."""

    folder: Path
    uploads: Path
    store: ObjectStore

    def config(self, name: str = "shapes", **settings: Any) -> DatasetConfig:
        """A dataset over `uploads`."""
        return DatasetConfig.model_validate({"name": name, "source": {"url": str(self.uploads)}, **settings})

    def run(self, config: DatasetConfig, *, version: str | None = None, select: str | None = None) -> RunOutcome:
        """Run the line in this process."""
        return run_line(config, [config], self.store, version=version, select=select)

    def summary(self, config: DatasetConfig, version: str | None = None) -> dict[str, Any]:
        """What `show --json` says."""
        return summarize(self.version(config, Refs(self.store, config.name).resolve(version)), config)

    def version(self, config: DatasetConfig, version: str) -> VersionStore:
        """The records of a version."""
        return VersionStore(self.store, config.name, version)

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Key below `prefix` → bytes, of every object there."""
        return {key.removeprefix(prefix): self.store.get(key) for key in self.store.keys(prefix)}

    def packed(self, config: DatasetConfig) -> dict[str, bytes]:
        """Member name → bytes, of all tar shards of the newest version."""
        found: dict[str, bytes] = {}
        for shard in self.summary(config)["shards"]:
            with tarfile.open(fileobj=io.BytesIO(self.store.get(shard["key"]))) as opened:
                for member in opened:
                    content = opened.extractfile(member)
                    assert content is not None
                    found[member.name] = content.read()
        return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """An empty place with a Dagster home of its own."""
    monkeypatch.setenv("CV_ASSETS_STORE", str(tmp_path / "store"))
    (tmp_path / "uploads").mkdir()
    with dagster_home(tmp_path) as home:
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        yield Place(tmp_path, tmp_path / "uploads", open_store(str(tmp_path / "store")))


@pytest.fixture
def drawn(place: Place) -> Place:
    """A place whose uploads are the drawn data set, which has lain there for an hour."""
    write_drawn(place.uploads)
    return place


@functools.cache
def drawn_files(seed: int = 7) -> tuple[tuple[str, bytes], ...]:
    """The drawn data set as (path, bytes) pairs, drawn once a process."""
    return tuple(draw_uploads(seed))


def write_drawn(uploads: Path, only: str = "") -> None:
    """Write the drawn data set, or the files whose path holds `only`, as if it had lain there for an hour."""
    write_files(uploads, [file for file in drawn_files() if only in file[0]])
    an_hour_ago = time.time() - 3600
    for path in uploads.rglob("*"):
        os.utime(path, (an_hour_ago, an_hour_ago))


def write_files(folder: Path, files: Any) -> None:
    """Write (path, bytes) pairs below a folder."""
    for path, data in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
