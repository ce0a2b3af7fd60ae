"""Joins datasets, assets, checks, jobs and resources. It knows everything and decides nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from cv_assets.assets.annotations import build_annotations_asset
from cv_assets.assets.gating import BEFORE_SHARDS
from cv_assets.assets.line import Line
from cv_assets.assets.manifest import build_manifest_asset
from cv_assets.assets.quality_report import build_quality_report
from cv_assets.assets.quarantine import build_quarantine_asset
from cv_assets.assets.raw_images import build_raw_images
from cv_assets.assets.release import build_release
from cv_assets.assets.shards import build_shards
from cv_assets.assets.splits import build_splits_asset
from cv_assets.checks.expectations import build_expectation_checks
from cv_assets.checks.gates import build_gate_checks, build_release_checks, build_shard_checks
from cv_assets.failures import RetryingTables
from cv_assets.jobs import build_backfill_job, build_gc_job, build_job, build_verify_job
from cv_assets.pools import wait_asleep
from cv_assets.schedules import build_gc_schedule, build_schedules
from cv_assets.sensors.dead_runs import dead_runs
from cv_assets.sensors.new_uploads import build_new_uploads
from resources.configured import EngineResource, ObjectStoreResource
from resources.dataset_files import load_datasets
from resources.settings import datasets_folder, store_url, worker_count
from schemas.datasets import DatasetConfig

ASSET_BUILDERS = (
    build_raw_images,
    build_annotations_asset,
    build_manifest_asset,
    build_quarantine_asset,
    build_quality_report,
    build_splits_asset,
    build_shards,
    build_release,
)
JOB_BUILDERS = (build_job, build_backfill_job, build_verify_job)


def build_checks(line: Line) -> list[dg.AssetChecksDefinition]:
    """The checks of every asset of a dataset."""
    return [
        *(build_gate_checks(line, asset) for asset in BEFORE_SHARDS),
        build_shard_checks(line),
        build_release_checks(line),
        *build_expectation_checks(line),
    ]


def default_resources(url: str) -> dict[str, Any]:
    """The resources over one object store. Raises ConfigurationError if CV_ASSETS_WORKERS is no number of workers."""
    object_store = ObjectStoreResource(url=url)
    return {
        "object_store": object_store,
        "engine": EngineResource(workers=worker_count()),
        "io_manager": RetryingTables(object_store=object_store),
    }


def build_defs(
    *, datasets: Sequence[DatasetConfig] | None = None, resource_overrides: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Everything that Dagster is told. Raises ConfigurationError if a dataset file or a setting holds a mistake."""
    lines = [Line(config) for config in (load_datasets(datasets_folder()) if datasets is None else datasets)]
    return dg.Definitions(
        assets=[build(line) for line in lines for build in ASSET_BUILDERS],
        asset_checks=[check for line in lines for check in build_checks(line)],
        jobs=[*(build(line) for line in lines for build in JOB_BUILDERS), build_gc_job()],
        sensors=[*(build_new_uploads(line, line.config.uploads) for line in lines if line.config.uploads), dead_runs],
        schedules=[
            *(made for line in lines if line.config.schedule for made in build_schedules(line, line.config.schedule)),
            build_gc_schedule(),
        ],
        resources={**default_resources(store_url()), **(resource_overrides or {})},
        # a step takes 4 s to start in a process of its own; parallelism over images is inside the steps
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What the UI, the daemon and `dagster` load; a function, so that importing this module does no work.

    Raises ConfigurationError as build_defs does: then nothing of the code location is loaded.
    """
    wait_asleep()
    return build_defs()
