"""What happens by the clock: a new version if the source changed, a look at what is stored, and a result that people see."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from cv_assets import jobs
from cv_assets.beginning import PARTITION_TAG
from cv_assets.definitions import build_defs
from cv_assets.domain.sampling import in_sample
from cv_assets_tests.conftest import Place, write_drawn
from cv_assets_tests.resources.places import shared_place
from cv_assets_tests.sensors.daemon import EVERY, Daemon, defs_of, take_snapshot, write_dataset
from resources.configured import ObjectStoreResource
from resources.records import list_versions
from resources.verifying import verify_version
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig
from schemas.errors import SourceError, StoreRefused

SCHEDULE = {"refresh": "0 3 * * *", "verify": "0 4 * * *", "timezone": "Europe/Berlin", "verify_share": 0.5}
AT_NIGHT = datetime(2026, 5, 1, 1, tzinfo=UTC)


@pytest.fixture
def config(place: Place) -> DatasetConfig:
    return place.config(schedule=SCHEDULE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Two committed versions of the same uploads."""
    with shared_place(tmp_path_factory) as place:
        write_drawn(place.uploads)
        for _ in range(2):
            assert place.run(place.config(schedule=SCHEDULE)).success
        yield place


@pytest.fixture
def two(made: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The two versions in a place that belongs to one test."""
    with shared_place(tmp_path_factory, like=made, with_runs=True) as place:
        yield place


@pytest.fixture
def daemon(place: Place, config: DatasetConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    monkeypatch.setenv("CV_ASSETS_DATASETS", str(write_dataset(place, config)))
    with dg.DagsterInstance.get() as instance:  # a schedule opens the instance anew, so it cannot be an ephemeral one
        yield Daemon(instance, config, place.store.url)


def evaluate(daemon: Daemon, name: str, at: datetime = AT_NIGHT) -> Any:
    """What a schedule of the dataset answers: a request or the reason why there is none."""
    (schedule,) = (one for one in defs_of(daemon.config).schedules or () if one.name == name)
    assert isinstance(schedule, dg.ScheduleDefinition)
    resources = {"object_store": ObjectStoreResource(url=daemon.store_url)}
    with dg.build_schedule_context(
        instance=daemon.instance, scheduled_execution_time=at, resources=resources
    ) as context:
        answer = schedule.evaluate_tick(context)
    return answer.skip_message or (answer.run_requests or [])[0]


def look_at(daemon: Daemon, night: datetime) -> dict[str, Any]:
    """What is read back that night: share and seed. The run that is to do so is there, as the scheduler makes it."""
    asked = evaluate(daemon, "shapes_verify", night)
    job = defs_of(daemon.config).resolve_job_def("shapes__verify")
    daemon.instance.create_run_for_job(job, run_config=dict(asked.run_config), tags=dict(asked.tags))
    return asked.run_config["ops"]["read_back"]["config"]


def run_job(config: DatasetConfig, name: str, tags: dict[str, str] | None = None) -> dg.ExecuteInProcessResult:
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.get() as instance:
        job = defs_of(config).resolve_job_def(name)
        return job.execute_in_process(instance=instance, run_config=quiet, tags=tags, raise_on_error=False)


def test_only_what_is_asked_for_is_scheduled_and_in_its_own_time_zone(place: Place):
    asked = [
        place.config("plain"),
        place.config("both", schedule=SCHEDULE),
        place.config("one", schedule={"refresh": "1 2 * * *"}),
    ]
    found = {one.name: one for one in build_defs(datasets=asked).schedules or ()}
    assert set(found) == {"both_refresh", "both_verify", "one_refresh", "store_gc_dry_run"}
    times = {
        name: (one.cron_schedule, one.execution_timezone)
        for name, one in found.items()
        if isinstance(one, dg.ScheduleDefinition)
    }
    assert times["both_refresh"] == ("0 3 * * *", "Europe/Berlin")
    assert times["both_verify"] == ("0 4 * * *", "Europe/Berlin")
    assert times["one_refresh"] == ("1 2 * * *", "UTC")


def test_a_refresh_begins_a_version_if_the_source_changed_and_else_says_why_not(daemon: Daemon, drawn: Place):
    asked = evaluate(daemon, "shapes_refresh")
    assert isinstance(asked, dg.RunRequest)
    assert (asked.tags[PARTITION_TAG], asked.job_name) == ("v1", "shapes")

    assert evaluate(daemon, "shapes_refresh") == asked  # the tick is tried again: the same run key
    take_snapshot(daemon, "v1")
    assert "125 files" in evaluate(daemon, "shapes_refresh")

    (drawn.uploads / "circle" / "camera01_1.jpg").unlink()
    asked = evaluate(daemon, "shapes_refresh")
    assert asked.tags[PARTITION_TAG] == "v2"


def test_a_schedule_that_is_only_tried_leaves_nothing_behind_and_its_run_brings_the_version(
    daemon: Daemon, drawn: Place
):
    asked = evaluate(daemon, "shapes_refresh")
    assert daemon.instance.get_dynamic_partitions("shapes_versions") == []
    take_snapshot(daemon, asked.tags[PARTITION_TAG])
    assert daemon.instance.get_dynamic_partitions("shapes_versions") == ["v1"]


def test_a_refresh_and_a_sensor_that_look_at_the_same_source_begin_one_version(daemon: Daemon, drawn: Place):
    daemon.config = drawn.config(schedule=SCHEDULE, uploads={"settle": "60s"})
    daemon.tick()
    assert daemon.tick() == "begun v1"
    assert "about to take what is there as v1" in evaluate(daemon, "shapes_refresh")


def test_two_runs_that_were_requested_at_one_moment_end_in_one_version(daemon: Daemon, place: Place):
    write_drawn(place.uploads, only="circle/camera0")
    daemon.config = place.config(schedule=SCHEDULE, uploads={"settle": "5s", "every": "5s"})
    daemon.tick()
    daemon.now += EVERY
    from_sensor, from_schedule = (
        daemon.evaluate(),
        evaluate(daemon, "shapes_refresh"),
    )  # before there is a run of either
    assert isinstance(from_sensor, dg.SensorResult)
    digests = list[str]()
    for asked in (*(from_sensor.run_requests or ()), from_schedule):
        assert run_job(daemon.config, "shapes", tags=dict(asked.tags)).success
        record = place.version(daemon.config, "v1").commit()
        digests.append(record.digest if record else "")
    assert digests[0] == digests[1] != ""
    assert list_versions(place.store, "shapes") == ["v1"]
    assert daemon.tick().startswith("Found")
    assert daemon.tick().startswith("Nothing new")


def test_each_look_reads_another_share_back_whatever_the_clock_says(daemon: Daemon):
    # twice within a minute; then half past one in Berlin before and after a night of 23 hours
    times = [AT_NIGHT, AT_NIGHT, datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 3, 29, 23, 30, tzinfo=UTC)]
    given = [look_at(daemon, at) for at in times]
    assert {one["sample"] for one in given} == {0.5}
    assert [one["seed"] for one in given] == [0, 1, 2, 3]
    asked = [evaluate(daemon, "shapes_verify") for _ in range(2)]
    assert asked[0] == asked[1]  # a tick that is tried again, or only looked at, moves nothing on


def test_a_look_that_is_done_once_more_takes_no_share_back(daemon: Daemon):
    for _ in range(3):
        look_at(daemon, AT_NIGHT)
    newest, _, oldest = daemon.instance.get_runs()
    job = defs_of(daemon.config).resolve_job_def("shapes__verify")
    for done in (newest, oldest):  # as Dagster re-executes a run: with its configuration and its tags
        given = {"run_config": done.run_config, "tags": {**done.tags, "dagster/parent_run_id": done.run_id}}
        daemon.instance.create_run_for_job(job, **given, parent_run_id=done.run_id, root_run_id=done.run_id)
    assert look_at(daemon, AT_NIGHT)["seed"] == 3


# the share that one look takes, from one look to the next, and looks until every object was read
ROUNDS = [
    (0.1, timedelta(days=1), 10),
    (0.15, timedelta(days=1), 7),
    (0.3, timedelta(days=1), 4),
    (0.25, timedelta(hours=6), 4),
    (0.1, timedelta(minutes=5), 10),
    (0.1, timedelta(days=7), 10),
    (1 / 7, timedelta(days=7), 7),
]


@pytest.mark.parametrize(("share", "between", "looks"), ROUNDS)
def test_looks_that_follow_each_other_read_every_object_back(
    daemon: Daemon, place: Place, share: float, between: timedelta, looks: int
):
    daemon.config = place.config(schedule={**SCHEDULE, "verify_share": share})
    left = {f"blobs/{number}" for number in range(2_000)}
    for look in range(looks):
        given = look_at(daemon, AT_NIGHT + look * between)
        left = {key for key in left if not in_sample(key, given["sample"], given["seed"])}
    assert left == set()


def test_what_was_read_back_shows_on_the_release_and_damage_fails_the_run(two: Place):
    config = two.config(schedule=SCHEDULE)
    key = dg.AssetKey(["shapes", "release"])
    result = run_job(config, "shapes__verify")
    assert result.success
    with dg.DagsterInstance.get() as instance:
        seen = {
            record.partition_key: record.asset_observation for record in instance.fetch_observations(key, 9).records
        }
    assert set(seen) == {"v1", "v2"}
    metadata = {name: value.value for name, value in seen["v1"].metadata.items()} if seen["v1"] else {}
    assert metadata["passed"] is True
    assert metadata["objects"] == metadata["objects_read"] + 1 > 125  # one is the commit record itself

    record = two.version(config, "v2").commit()
    assert record is not None
    shard = next(entry.key for entry in record.objects if entry.role == "shard")
    data = bytearray(two.store.get(shard))
    data[600] ^= 0x10
    two.store.put(shard, bytes(data))
    result = run_job(config, "shapes__verify")
    assert not result.success
    (failure,) = result.get_step_failure_events()
    assert failure.step_failure_data.user_failure_data is not None
    assert "v2" in (failure.step_failure_data.user_failure_data.description or "")
    with dg.DagsterInstance.get() as instance:
        latest = instance.fetch_observations(key, 1).records[0].asset_observation
    assert latest is not None
    assert latest.metadata["passed"].value is False
    assert shard in str(latest.metadata["problems"].value)


def lose_the_source(two: Place, config: DatasetConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def look(version: VersionStore, **how: Any) -> Any:
        if version.version == "v1":
            raise SourceError("cannot list s3://gone: there is no such bucket; check source.url and AWS_*")
        return verify_version(version, **how)

    monkeypatch.setattr(jobs, "verify_version", look)


def damage_the_record(two: Place, config: DatasetConfig, _: pytest.MonkeyPatch) -> None:
    two.store.put(two.version(config, "v1").commit_key, b"{}")


@pytest.mark.parametrize("hurt", [damage_the_record, lose_the_source])
def test_what_ends_the_look_at_one_version_does_not_hide_the_others(
    two: Place, monkeypatch: pytest.MonkeyPatch, hurt: Any
):
    config = two.config(schedule=SCHEDULE)
    hurt(two, config, monkeypatch)
    result = run_job(config, "shapes__verify")
    assert not result.success
    with dg.DagsterInstance.get() as instance:
        records = instance.fetch_observations(dg.AssetKey(["shapes", "release"]), 9).records
    passed = {
        one.partition_key: one.asset_observation.metadata["passed"].value for one in records if one.asset_observation
    }
    assert passed == {"v1": False, "v2": True}


def test_a_store_that_turns_the_nightly_look_down_damages_no_version(two: Place, monkeypatch: pytest.MonkeyPatch):
    def look(version: VersionStore, **how: Any) -> Any:
        raise StoreRefused("cannot read a in s3://ours: status 403 (AccessDenied); allow s3:GetObject")

    monkeypatch.setattr(jobs, "verify_version", look)
    result = run_job(two.config(schedule=SCHEDULE), "shapes__verify")
    assert not result.success
    (failed,) = result.get_step_failure_events()
    assert "allow s3:GetObject" in str(failed.event_specific_data)
    with dg.DagsterInstance.get() as instance:
        assert instance.fetch_observations(dg.AssetKey(["shapes", "release"]), 9).records == []


def test_the_weekly_look_says_what_could_be_freed_and_frees_nothing(two: Place):
    config = two.config(schedule=SCHEDULE)
    orphan = f"blobs/sha256/ab/{'ab' * 32}"
    two.store.put(orphan, b"of no version")
    result = run_job(config, "store__gc_dry_run")
    assert result.success, result.get_step_failure_events()
    with dg.DagsterInstance.get() as instance:
        seen = instance.fetch_observations(dg.AssetKey("store"), 1).records[0].asset_observation
    assert seen is not None
    found = {name: seen.metadata[name].value for name in ("blobs", "blob_bytes", "leftovers", "some_keys")}
    assert found == {"blobs": 1, "blob_bytes": 13, "leftovers": 0, "some_keys": [orphan]}
    assert two.store.get(orphan) == b"of no version"


def test_a_release_has_a_freshness_policy_only_where_it_is_asked_for(place: Place):
    defs = build_defs(datasets=[place.config("plain"), place.config("fresh", freshness="36h")])
    policies = {spec.key.to_user_string(): spec.freshness_policy for spec in defs.resolve_all_asset_specs()}
    assert {name for name, policy in policies.items() if policy is not None} == {"fresh/release"}
    warns, fails = timedelta(hours=36), timedelta(hours=72)
    assert policies["fresh/release"] == dg.FreshnessPolicy.time_window(fail_window=fails, warn_window=warns)
