"""Two real daemons on one database and one source, of which one is killed now and then, with the runs that it launched.

A kill is meant for a stretch on an upload's way into a version, and comes a drawn moment after that stretch was seen to begin:
a time that is drawn alone says nothing about what it struck.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from cv_assets.beginning import IN_PROGRESS, PARTITION_TAG
from cv_assets_tests.conftest import Place, write_drawn
from resources.records import list_versions
from resources.settings import PROJECT_ROOT
from resources.versions import VersionStore

SECONDS = 420
START_TIMEOUT = "start_timeout_seconds: 120"
# three times what a start takes where many other processes want the cores
SHORT_START_TIMEOUT = "start_timeout_seconds: 40\n  poll_interval_seconds: 10"
MOMENT_SECONDS = 3.0  # a kill follows what it waits for within so long
KILLS = int(os.environ.get("CV_ASSETS_TEST_KILLS") or 1)
WAITING = {dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED}
SEED = int(os.environ.get("CV_ASSETS_TEST_SEED") or 5)


class Crowd:
    """Daemons, each with the code server and the runs that it starts, in a process group of its own."""

    def __init__(self, place: Place) -> None:
        self._place, self.running = place, list[subprocess.Popen[bytes]]()

    def start(self) -> None:
        """One more daemon."""
        daemon = Path(sys.executable).with_name("dagster-daemon")
        environment = {**os.environ, "CV_ASSETS_DATASETS": str(self._place.folder / "datasets")}
        with (self._place.folder / "daemons.log").open("ab") as log:
            self.running.append(
                subprocess.Popen(
                    [str(daemon), "run", "-w", "workspace.yaml"],
                    cwd=PROJECT_ROOT,
                    env=environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def kill(self, number: int) -> None:
        """End a daemon as a power cut does."""
        daemon = self.running.pop(number)
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()


@contextmanager
def crowd_of(place: Place, number: int) -> Iterator[Crowd]:
    crowd = Crowd(place)
    try:
        for _ in range(number):
            crowd.start()
        yield crowd
    finally:
        while crowd.running:
            crowd.kill(0)


@pytest.fixture
def watched(place: Place) -> Place:
    """A dataset whose uploads are watched closely, and a Dagster that soon gives up a run that never says its process id."""
    write_drawn(place.uploads, only="camera01")  # a few are enough
    config = {"name": "shapes", "source": {"url": str(place.uploads)}, "uploads": {"settle": "5s", "every": "5s"}}
    (place.folder / "datasets").mkdir()
    (place.folder / "datasets" / "shapes.yaml").write_text(json.dumps(config))
    settings = place.folder / "dagster" / "dagster.yaml"
    text = settings.read_text()
    assert START_TIMEOUT in text
    settings.write_text(text.replace(START_TIMEOUT, SHORT_START_TIMEOUT))
    return place


def test_two_daemons_that_are_killed_now_and_then_take_every_upload_once(watched: Place):
    chance = random.Random(SEED)
    # makes the databases: two daemons that both do so at the same moment leave them with two revisions
    with dg.DagsterInstance.get() as instance:
        assert instance.get_runs_count() == 0
    with crowd_of(watched, 2) as crowd:
        wait_until(lambda: is_held(watched), watched)
        for number in range(KILLS):
            shutil.copyfile(
                min((watched.uploads / "circle").iterdir()), watched.uploads / "circle" / f"late_{number}.jpg"
            )
            with (watched.uploads / "circle" / f"late_{number}.jpg").open("ab") as opened:
                opened.write(bytes([number]))
            wait_until(partial(chance.choice(STRETCHES), watched, f"v{number + 2}"), watched)
            time.sleep(chance.uniform(0, MOMENT_SECONDS))
            crowd.kill(chance.randrange(2))
            crowd.start()
            wait_until(lambda: is_held(watched), watched)
        wait_until(lambda: not in_progress(), watched)

    versions = list_versions(watched.store, "shapes")
    assert sorted(versions) == [f"v{number + 1}" for number in range(KILLS + 1)], f"seed {SEED}"
    contents = {version: tuple(sorted(held(watched, version))) for version in versions}
    assert len(set(contents.values())) == len(versions)
    assert all(VersionStore(watched.store, "shapes", version).commit() for version in versions)
    with dg.DagsterInstance.get() as instance:
        assert sorted(instance.get_dynamic_partitions("shapes_versions")) == sorted(versions)


def held(place: Place, version: str) -> set[str]:
    """Hashes of what a version holds."""
    return set(VersionStore(place.store, "shapes", version).load_table("raw_images")["sha256"])


def is_held(place: Place) -> bool:
    """Is there a committed version of just as many files as there are uploads?"""
    records = [VersionStore(place.store, "shapes", name).commit() for name in list_versions(place.store, "shapes")]
    uploads = sum(path.is_file() for path in place.uploads.rglob("*"))
    return any(record is not None and record.counts.files == uploads for record in records)


def settles(place: Place, version: str) -> bool:
    return True  # nothing shows that it does


def is_requested(place: Place, version: str) -> bool:
    with dg.DagsterInstance.get() as instance:
        return version in instance.get_dynamic_partitions("shapes_versions")


def is_launched(place: Place, version: str) -> bool:
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: version}))
        return any(run.status not in WAITING for run in runs)


def is_made(place: Place, version: str) -> bool:
    return VersionStore(place.store, "shapes", version).find_table("raw_images") is not None


STRETCHES = (settles, is_requested, is_launched, is_made)


def in_progress() -> int:
    with dg.DagsterInstance.get() as instance:
        return instance.get_runs_count(dg.RunsFilter(statuses=IN_PROGRESS))


def wait_until(is_true: Callable[[], bool], place: Place) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_true():
        if time.monotonic() > deadline:
            pytest.fail(
                f"nothing after {SECONDS} s; the log ends with:\n{(place.folder / 'daemons.log').read_text()[-3000:]}"
            )
        time.sleep(0.2)
