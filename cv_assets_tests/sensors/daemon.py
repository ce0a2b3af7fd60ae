"""Plays Dagster's daemon for one sensor, in the order in which the daemon does things, so that it can stop in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cv_assets.assets.line import Line
from cv_assets.beginning import PARTITION_TAG
from cv_assets.definitions import build_defs
from cv_assets.sensors.new_uploads import build_new_uploads
from cv_assets_tests.conftest import Place
from resources.configured import ObjectStoreResource
from resources.settings import store_url
from schemas.datasets import DatasetConfig

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVERY = timedelta(seconds=60)
RUN_KEY_TAG = "dagster/run_key"
_built: dict[tuple[str, str], dg.Definitions] = {}


class Killed(Exception):
    """The daemon ended in the middle of a tick."""


def defs_of(config: DatasetConfig) -> dg.Definitions:
    """All that Dagster is told of a dataset, and of the store that the environment names; built once for both."""
    held = (config.model_dump_json(), store_url())
    if held not in _built:
        _built.clear()  # a test has one dataset, or two
        _built[held] = build_defs(datasets=[config])
    return _built[held]


def job_of(config: DatasetConfig) -> dg.JobDefinition:
    """The job that makes a version of a dataset."""
    return defs_of(config).resolve_job_def(config.name)


@dataclass
class Daemon:
    """One daemon; two of them share instance and cursor as two processes share a database."""

    instance: dg.DagsterInstance
    config: DatasetConfig
    store_url: str
    now: datetime = NOON
    cursor: str | None = None
    requested: list[dg.RunRequest] = field(default_factory=list)

    def evaluate(self, cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
        """What the sensor answers, with nothing done about it yet."""
        assert self.config.uploads is not None
        sensor = build_new_uploads(Line(self.config), self.config.uploads, clock=lambda: self.now)
        resources = {"object_store": ObjectStoreResource(url=self.store_url)}
        context = dg.build_sensor_context(
            instance=self.instance, cursor=cursor or self.cursor, sensor_name=sensor.name, resources=resources
        )
        answer: Any = sensor(context)
        return answer

    def tick(self, *, killed_after: str | None = None) -> str:
        """One tick, a minute after the last; returns its skip reason, or `begun VERSION` for each new run."""
        self.now += EVERY
        return self.carry_out(self.evaluate(), killed_after=killed_after)

    def carry_out(self, answer: dg.SensorResult | dg.SkipReason, *, killed_after: str | None = None) -> str:
        """Do what a sensor answered: partitions, runs unless there is one of that run key, and the cursor last."""
        if isinstance(answer, dg.SkipReason):
            return answer.skip_message or ""
        for asked in answer.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(asked.partitions_def_name, list(asked.partition_keys))
        _end_if(killed_after, "partition")
        begun = [run.tags[PARTITION_TAG] for run in answer.run_requests or () if self._submit(run)]
        _end_if(killed_after, "run")
        self.cursor = answer.cursor
        reason = answer.skip_reason
        return f"begun {', '.join(begun)}" if begun else str(reason.skip_message if reason else "nothing")

    def _submit(self, asked: dg.RunRequest) -> bool:
        if self.instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: str(asked.run_key)})):
            return False
        self.instance.create_run_for_job(
            job_of(self.config),
            tags={**asked.tags, RUN_KEY_TAG: str(asked.run_key)},
            status=dg.DagsterRunStatus.NOT_STARTED,
        )
        self.requested.append(asked)
        return True

    def run_requested(self, *, succeed: bool = True, comes_to_a_step: bool = True) -> list[str]:
        """Run what was requested as far as the snapshot, or let it fail before that; returns the versions."""
        versions: list[str] = []
        for run in reversed(self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.NOT_STARTED]))):
            versions.append(run.tags[PARTITION_TAG])
            if succeed:
                take_snapshot(self, versions[-1])
                self.instance.report_run_canceled(run)  # its work was done by the run in this process
            else:
                if comes_to_a_step:
                    step = dg.DagsterEvent(dg.DagsterEventType.STEP_START.value, run.job_name)
                    self.instance.report_dagster_event(step, run.run_id)
                self.instance.report_run_failed(run)
        return versions


def take_snapshot(daemon: Daemon, version: str) -> None:
    """Materialize raw_images of a version, as a run of the command line or the UI does."""
    job = job_of(daemon.config)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    key = dg.AssetKey([daemon.config.name, "raw_images"])
    assert job.execute_in_process(
        instance=daemon.instance, tags={PARTITION_TAG: version}, asset_selection=[key], run_config=quiet
    ).success


def write_dataset(place: Place, config: DatasetConfig) -> Path:
    """Write what decides which files a dataset takes into its file, which every run reads anew; the folder of the file."""
    folder = place.folder / "datasets"
    folder.mkdir(exist_ok=True)
    said = config.model_dump_json(include={"name", "source", "limits", "annotations"}, exclude_defaults=True)
    (folder / f"{config.name}.yaml").write_text(said)
    return folder


@contextmanager
def daemons(place: Place, config: DatasetConfig, number: int = 1) -> Iterator[list[Daemon]]:
    """Some daemons over one database."""
    with dg.DagsterInstance.ephemeral() as instance, pytest.MonkeyPatch.context() as settings:
        settings.setenv("CV_ASSETS_DATASETS", str(write_dataset(place, config)))
        yield [Daemon(instance, config, place.store.url) for _ in range(number)]


def _end_if(killed_after: str | None, here: str) -> None:
    if killed_after == here:
        raise Killed
