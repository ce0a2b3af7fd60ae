"""The sensor new_uploads: it begins one version for what has settled, whatever happens between two ticks or to one."""

import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from cv_assets.beginning import PARTITION_TAG
from cv_assets.definitions import build_defs
from cv_assets_tests.conftest import Place, write_drawn
from cv_assets_tests.sensors.daemon import Daemon, Killed, daemons, take_snapshot, write_dataset
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig
from schemas.errors import SourceError

UPLOADS = {"settle": "2m", "every": "60s"}
MOST_TICKS = 6


@pytest.fixture
def config(place: Place) -> DatasetConfig:
    write_drawn(place.uploads, only="circle/camera01")  # a few are enough
    return place.config(uploads=UPLOADS)


@pytest.fixture
def daemon(place: Place, config: DatasetConfig) -> Iterator[Daemon]:
    with daemons(place, config) as (one,):
        yield one


def settle(daemon: Daemon) -> str:
    """As many ticks as it takes until the sensor waits no more; what the last one said."""
    for _ in range(MOST_TICKS):
        if "settled in" not in (said := daemon.tick()):
            return said
    pytest.fail(f"still waiting: {said}")


def upload(place: Place, name: str) -> Path:
    """Another image: the bytes of one that is there, and a few more."""
    path = place.uploads / "circle" / name
    shutil.copyfile(first(place), path)
    with path.open("ab") as opened:
        opened.write(name.encode())
    return path


def held(place: Place, version: str) -> dict[str, str]:
    """Path → hash of what a version holds."""
    table = VersionStore(place.store, "shapes", version).load_table("raw_images")
    return dict(table.select("path", "sha256").iter_rows())


def begun(daemon: Daemon) -> list[str]:
    return daemon.instance.get_dynamic_partitions("shapes_versions")


def test_the_first_version_is_begun_once_the_uploads_have_settled(daemon: Daemon):
    said = [daemon.tick() for _ in range(3)]
    files = len(list(Path(daemon.config.source.url).rglob("*.*")))
    assert said[0].startswith(f"Found {files} files, ")
    assert said[0].endswith(f"{files} new, 0 changed, 0 removed and no version yet; settled in 2 min if it stays so.")
    assert said[1].endswith("settled in 1 min if it stays so.")
    assert said[2] == "begun v1"
    assert begun(daemon) == ["v1"]
    assert len(daemon.requested) == 1


def test_nothing_is_begun_twice(daemon: Daemon):
    settle(daemon)
    assert "(NOT_STARTED) is about to take what is there as v1" in daemon.tick()
    assert daemon.run_requested() == ["v1"]
    for _ in range(5):
        assert daemon.tick().startswith("Nothing new: ")
    assert begun(daemon) == ["v1"]


@pytest.mark.parametrize("other", ["dataset", "store"])
def test_what_another_dataset_or_another_store_has_of_these_uploads_is_of_no_account(
    daemon: Daemon, place: Place, other
):
    settle(daemon)
    daemon.run_requested()
    config = place.config("others", uploads=UPLOADS) if other == "dataset" else daemon.config
    write_dataset(place, config)
    store_url = str(place.folder / "another") if other == "store" else daemon.store_url
    assert settle(Daemon(daemon.instance, config, store_url)) == "begun v1"


def test_uploads_that_go_on_keep_the_sensor_waiting(daemon: Daemon, place: Place):
    for number in range(6):
        upload(place, f"late_{number}.png")
        assert "settled in 2 min if it stays so." in daemon.tick()
    assert settle(daemon) == "begun v1"


def test_a_file_that_is_written_slowly_is_not_taken_by_half(daemon: Daemon, place: Place):
    path = upload(place, "slow.png")
    whole = path.read_bytes()
    path.write_bytes(b"")
    for end in range(0, len(whole), len(whole) // 5 + 1):
        path.write_bytes(whole[:end])
        assert "settled in 2 min" in daemon.tick()
    path.write_bytes(whole)
    settle(daemon)
    daemon.run_requested()
    assert len(set(held(place, "v1"))) == len(list(place.uploads.rglob("*.*")))
    assert held(place, "v1")["circle/slow.png"] == hashlib.sha256(whole).hexdigest()


CHANGES = {
    "one more": (lambda place: upload(place, "new.png"), "1 new, 0 changed, 0 removed since v1"),
    "one less": (lambda place: first(place).unlink(), "0 new, 0 changed, 1 removed since v1"),
    "another name": (lambda place: first(place).rename(first(place).with_name("z.png")), "1 new, 0 changed, 1 removed"),
    "overwritten in place": (lambda place: flip(first(place)), "0 new, 1 changed, 0 removed since v1"),
    "replaced, with the time of the old one": (lambda place: replace(first(place)), "0 new, 1 changed, 0 removed"),
    "uploaded late, with an old time": (lambda place: age(upload(place, "old.png")), "1 new, 0 changed, 0 removed"),
}


def first(place: Place) -> Path:
    return min((place.uploads / "circle").iterdir())


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 0xFF
    path.write_bytes(data)


def replace(path: Path) -> None:
    """As many other bytes under the same name and time, as `cp -p` and `rsync` leave them: only the inode differs."""
    other, status = path.with_suffix(".part"), path.stat()
    shutil.copy(path, other)
    flip(other)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(path)


def age(path: Path) -> None:
    os.utime(path, (1_000_000_000, 1_000_000_000))


@pytest.mark.parametrize(("change", "words"), CHANGES.values(), ids=CHANGES)
def test_every_change_of_the_source_makes_one_more_version(daemon: Daemon, place: Place, change, words):
    settle_files(place)
    settle(daemon)
    daemon.run_requested()
    change(place)
    assert words in daemon.tick()
    assert settle(daemon) == "begun v2"
    daemon.run_requested()
    assert begun(daemon) == ["v1", "v2"]
    assert held(place, "v1") != held(place, "v2")
    assert daemon.tick().startswith("Nothing new: ")


def settle_files(place: Place) -> None:
    """Files that were written some time ago: within a step of the file system's clock a change need not show."""
    for path in place.uploads.rglob("*.*"):
        age(path)


def test_a_version_that_a_person_made_is_recognised(daemon: Daemon, place: Place):
    settle_files(place)
    daemon.instance.add_dynamic_partitions("shapes_versions", ["by-hand"])
    take_snapshot(daemon, "by-hand")
    assert "by-hand holds what is there" in settle(daemon)
    assert daemon.tick().endswith("which by-hand holds.")
    assert not daemon.requested


def test_what_came_between_request_and_snapshot_is_taken_once(daemon: Daemon, place: Place):
    settle(daemon)
    late = age_and_name(upload(place, "late.png"))
    settle_files(place)
    assert "is about to take what is there as v1" in settle(daemon)
    daemon.run_requested()
    assert late in held(place, "v1")
    assert "v1 holds what is there" in daemon.tick()
    assert daemon.tick().startswith("Nothing new: ")
    assert begun(daemon) == ["v1"]


def age_and_name(path: Path) -> str:
    age(path)
    return f"circle/{path.name}"


def test_what_was_in_the_source_during_the_snapshot_alone_makes_one_more_version(daemon: Daemon, place: Place):
    settle(daemon)
    mistake = upload(place, "mistake.png")
    assert daemon.run_requested() == ["v1"]
    assert "circle/mistake.png" in held(place, "v1")
    mistake.unlink()  # the source lists again what v1 was asked for
    assert settle(daemon) == "begun v2"
    assert daemon.run_requested() == ["v2"]
    assert "circle/mistake.png" not in held(place, "v2")
    assert daemon.tick().startswith("Nothing new")


def test_few_changes_wait_for_more(place: Place, config: DatasetConfig):
    with daemons(place, place.config(uploads={**UPLOADS, "min_files": 3})) as (daemon,):
        settle_files(place)
        settle(daemon)
        daemon.run_requested()
        for number in range(2):
            upload(place, f"more_{number}.png")
        said = settle(daemon)
        assert "2 new, 0 changed, 0 removed; a version is begun from 3 on (uploads.min_files)" in said
        first(place).unlink()
        settle(daemon)
        assert begun(daemon) == ["v1", "v2"]


def test_an_empty_landing_place_is_no_version_and_no_error(daemon: Daemon, place: Place):
    uploads = (place.uploads / "circle").rename(place.folder / "later")
    assert settle(daemon) == "Found 0 files, 0 bytes: no file that is there is an image; a version needs one."
    uploads.rename(place.uploads / "circle")
    assert settle(daemon) == "begun v1"


def test_a_source_whose_every_image_vanished_begins_no_version(daemon: Daemon, place: Place):
    settle(daemon)
    daemon.run_requested()
    shutil.rmtree(place.uploads / "circle")
    assert "removed since v1" in daemon.tick()
    assert "no file that is there is an image" in settle(daemon)
    assert begun(daemon) == ["v1"]


def test_looks_that_did_not_follow_each_other_do_not_add_up(daemon: Daemon, place: Place):
    settle(daemon)
    daemon.run_requested()
    path = first(place)
    for _ in range(MOST_TICKS):
        aside = path.rename(place.folder / "aside.png")
        assert "1 removed since v1; settled in 2 min if" in daemon.tick()
        aside.rename(path)
        assert daemon.tick().startswith("Nothing new: ")
    assert begun(daemon) == ["v1"]


def test_a_listing_that_fails_is_a_failed_tick_and_nothing_is_lost(daemon: Daemon, place: Place):
    daemon.tick()
    away = place.uploads.rename(place.folder / "away")
    for _ in range(3):
        with pytest.raises(SourceError, match="expected a folder with uploads"):
            daemon.tick()
    away.rename(place.uploads)
    assert settle(daemon) == "begun v1"


@pytest.mark.parametrize("killed_after", ["partition", "run"])
def test_a_tick_that_ends_in_between_is_made_good_by_the_next(daemon: Daemon, killed_after: str):
    daemon.tick()
    daemon.tick()
    with pytest.raises(Killed):
        daemon.tick(killed_after=killed_after)
    daemon.tick()
    daemon.tick()
    assert begun(daemon) == ["v1"]
    assert [run.tags[PARTITION_TAG] for run in daemon.requested] == ["v1"]
    daemon.run_requested()
    daemon.tick()
    assert daemon.tick().startswith("Nothing new: ")
    assert begun(daemon) == ["v1"]


def test_a_cursor_that_is_lost_costs_a_wait_and_no_version(daemon: Daemon, place: Place):
    settle_files(place)
    settle(daemon)
    daemon.run_requested()
    for text in (None, "not a cursor"):
        daemon.cursor = text
        settle(daemon)
        assert daemon.tick().startswith("Nothing new: ")
    assert begun(daemon) == ["v1"]


def test_two_daemons_that_tick_at_once_ask_for_the_same_version_and_run(place: Place, config: DatasetConfig):
    with daemons(place, config, 2) as (one, other):
        for _ in range(2):
            one.tick()
        other.cursor, other.now = one.cursor, one.now = one.cursor, one.now + timedelta(seconds=60)
        first_answer, second_answer = one.evaluate(), other.evaluate()  # before either has done anything
        assert isinstance(first_answer, dg.SensorResult)
        assert isinstance(second_answer, dg.SensorResult)
        assert first_answer.run_requests == second_answer.run_requests
        assert one.carry_out(first_answer) == "begun v1"
        assert other.carry_out(second_answer) == "nothing"  # there is a run of that run key


LAG = ["partition", "run", "snapshot"]


@pytest.mark.parametrize("done", LAG)
def test_a_daemon_that_lags_behind_begins_nothing_anew(place: Place, config: DatasetConfig, done: str):
    with daemons(place, config, 2) as (one, other):
        for _ in range(2):
            one.tick()
        other.cursor, other.now = one.cursor, one.now
        if done == "partition":
            with pytest.raises(Killed):
                one.tick(killed_after="partition")
        else:
            one.tick()
        if done == "snapshot":
            one.run_requested()
        other.tick()
        assert begun(one) == ["v1"]
        assert len(one.requested + other.requested) == 1


def test_many_daemons_that_are_killed_anywhere_begin_each_listing_once(place: Place, config: DatasetConfig):
    seed = 11
    chance = random.Random(seed)
    settle_files(place)
    with daemons(place, config, 3) as crowd:
        for change in range(4):
            age(upload(place, f"change_{change}.png"))
            for _ in range(14):
                daemon = chance.choice(crowd)
                daemon.now = max(one.now for one in crowd)
                daemon.cursor = chance.choice(crowd).cursor  # one may have read it before another wrote it
                try:
                    daemon.tick(killed_after=chance.choice(["partition", "run", None, None]))
                except Killed:
                    daemon.cursor = chance.choice([daemon.cursor, None])
                if chance.random() < 0.3:
                    daemon.run_requested()
            for daemon in crowd:
                settle(daemon)
                daemon.run_requested()
        found = [held(place, version) for version in begun(crowd[0])]
    distinct = {tuple(sorted(files.items())) for files in found}
    assert len(found) == len(distinct), f"a listing was taken twice (seed {seed})"
    assert f"circle/change_{change}.png" in found[-1]


def test_a_run_that_failed_before_its_snapshot_is_told_and_not_asked_for_for_ever(daemon: Daemon, place: Place):
    settle(daemon)
    daemon.run_requested(succeed=False)
    for _ in range(4):
        said = daemon.tick()
        assert "v1 was begun for what is there" in said
        assert "ended as FAILURE before its snapshot" in said
        assert "cv-assets run shapes --version v1" in said
    assert len(daemon.requested) == 1

    upload(place, "another.png")  # something else is there: worth another try, of the same version
    settle(daemon)
    assert [run.tags[PARTITION_TAG] for run in daemon.requested] == ["v1", "v1"]
    daemon.run_requested()
    assert daemon.tick().startswith("Nothing new: ")


def test_uploads_during_a_run_become_the_version_after(daemon: Daemon, place: Place):
    settle(daemon)
    take_snapshot(daemon, "v1")  # and the run goes on
    upload(place, "another.png")
    settle(daemon)
    assert begun(daemon) == ["v1", "v2"]


def test_a_partition_that_was_added_by_hand_is_the_next_version(daemon: Daemon):
    daemon.instance.add_dynamic_partitions("shapes_versions", ["v1"])
    settle(daemon)
    assert begun(daemon) == ["v1"]
    assert [run.tags[PARTITION_TAG] for run in daemon.requested] == ["v1"]


def test_the_clock_of_the_uploads_is_of_no_account(daemon: Daemon, place: Place):
    for path in place.uploads.rglob("*.*"):
        os.utime(path, (4_000_000_000, 4_000_000_000))  # in a hundred years
    settle(daemon)
    daemon.run_requested()
    assert daemon.tick().startswith("Nothing new: ")
    for path in place.uploads.rglob("*.*"):
        age(path)
    settle(daemon)
    assert begun(daemon) == ["v1", "v2"]


def test_a_dataset_that_does_not_ask_has_no_sensor(place: Place):
    plain, asking = place.config("plain"), place.config("asking", uploads={})
    names = {sensor.name for sensor in build_defs(datasets=[plain, asking]).sensors or ()}
    assert names == {"asking_new_uploads", "dead_runs"}
