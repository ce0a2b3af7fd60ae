"""Which version is begun for what a source holds now, if any: decided from the store and Dagster's records alone.

Whoever asks at the same moment (another daemon, a schedule, a tick that is tried again) gets the same version and the same
run key, so that one listing becomes one version. That is why its name does not come from the asker's own memory. One run it
becomes only where Dagster compares the run keys: those of one sensor, or of one tick of a schedule (docs/adr/0014).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import dagster as dg

from cv_assets.domain.digests import record_digest
from cv_assets.domain.lineage import configuration_digest
from cv_assets.domain.uploads import Changes, Listing
from cv_assets.domain.versions import next_version
from cv_assets.partitions import begun_versions
from resources.arrivals import listing_taken
from resources.dataset_files import load_datasets
from resources.object_store import ObjectStore
from resources.records import is_removed
from resources.settings import datasets_folder
from resources.uploads import changes_since, has_requeued, has_snapshot
from resources.urls import require_apart
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig
from schemas.errors import ConfigurationError

# A run that ended before any step looked at nothing: the same is requested again, so often in all. Each request is tried
# twice more by Dagster (run_retries in dagster.yaml), so what still ends so is for a person to look at.
MOST_REQUESTS: Final = 3
# Dagster looks every five seconds for what it is to start again; a run whose job it does not find then stays marked for ever
RETRIED_WITHIN_SECONDS: Final = 600
RELOAD: Final = (
    "this code location was loaded; reload it in the UI (in containers, restart `code`: docker-compose.yml says how)"
)
PARTITION_TAG: Final = "dagster/partition"
ASKED_TAG: Final = "cv_assets/asked_for"
IN_PROGRESS: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True, slots=True)
class Standing:
    """The versions of a dataset: every name known, and the newest that has a snapshot."""

    names: list[str]
    newest: str | None


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin this version; `changes` is how the source differs from the version before, `asked_for` what names the request.

    `requests` is how often just this was requested before, by runs of which none came to a step.
    """

    version: str
    asked_for: str
    changes: Changes
    requests: int = 0


@dataclass(frozen=True, slots=True)
class Leave:
    """Begin nothing, for this reason; `held_by` names the version that holds what the source lists."""

    reason: str
    held_by: str | None = None


def look_at_versions(instance: dg.DagsterInstance, store: ObjectStore, dataset: str) -> Standing:
    """What versions there are, in the order in which they were begun (cv_assets/partitions.py)."""
    names = begun_versions(instance, store, dataset)
    return Standing(names, next((name for name in reversed(names) if has_snapshot(store, dataset, name)), None))


def decide(
    instance: dg.DagsterInstance, store: ObjectStore, config: DatasetConfig, listing: Listing, *, least: int
) -> Begin | Leave:
    """Begin a version for this listing, or leave it; `least` is how many files must differ.

    Raises ConfigurationError if the store lies among the uploads: each version would make the next.
    """
    require_apart(config.source.url, store.url)
    standing = look_at_versions(instance, store, config.name)
    waits = has_requeued(store, config.name)
    if not waits and standing.newest is not None and _took(instance, store, config.name, standing.newest, listing):
        return Leave(f"{standing.newest} holds what is there", held_by=standing.newest)
    for run in runs_in_progress(instance, config.name):
        version = run.tags.get(PARTITION_TAG)
        takes = version is not None and not has_snapshot(store, config.name, version)
        if version is not None and (takes or waits):  # of what waits, any run may have taken it just now
            said = (
                f"is about to take what is there as {version}" if takes else f"of {version} may take what is requeued"
            )
            return Leave(f"run {run.run_id} ({run.status.value}) {said}")
    changes = changes_since(listing, store, config, standing.newest)
    if listing.images == 0:
        return Leave("no file that is there is an image; a version needs one")
    if changes.total == 0:
        return Leave(f"{standing.newest} holds what is there", held_by=standing.newest)
    if changes.total < least:
        return Leave(f"{changes}; a version is begun from {least:,} on (uploads.min_files)")
    return _begin(instance, store, config, listing, standing, changes)


def _took(instance: dg.DagsterInstance, store: ObjectStore, dataset: str, version: str, listing: Listing) -> bool:
    """Did the snapshot of a version take just this listing? A source may change between the request and the snapshot."""
    taken = listing_taken(VersionStore(store, dataset, version))
    if taken is None:
        return bool(_find_runs(instance, _asked_for(store, dataset, version, listing)))
    return taken == listing.digest


def _begin(
    instance: dg.DagsterInstance,
    store: ObjectStore,
    config: DatasetConfig,
    listing: Listing,
    standing: Standing,
    changes: Changes,
) -> Begin | Leave:
    """The next of v1, v2, …, or the last of them if it was begun and never got its snapshot."""
    following = next_version(standing.names)
    last = f"v{int(following[1:]) - 1}"
    begun = last in standing.names and not has_snapshot(store, config.name, last)
    version = last if begun and not is_removed(store, config.name, last) else following
    asked_for = _asked_for(store, config.name, version, listing)
    runs = _find_runs(instance, asked_for)
    requests = sum(run.parent_run_id is None for run in runs)  # the others are Dagster's own tries of these
    if runs and (reason := _why_not_again(instance, runs[0], version, requests)) is not None:
        return Leave(f"{changes}; {reason}")
    hindrance = _find_hindrance(config)
    if hindrance is not None:
        return Leave(f"{changes}; {version} is not begun, as its run would {hindrance}")
    return Begin(version, asked_for, changes, requests)


def _why_not_again(instance: dg.DagsterInstance, run: dg.DagsterRun, version: str, requests: int) -> str | None:
    """Why what the last run was asked for is not requested once more; None if it is."""
    if run.status in IN_PROGRESS:  # it began between two looks
        return f"run {run.run_id} ({run.status.value}) is about to take what is there as {version}"
    if _is_about_to_be_retried(instance, run):
        return f"run {run.run_id} of {version} failed, and Dagster is about to start it again"
    if requests < MOST_REQUESTS and _failed_before_any_step(instance, run):
        return None
    before = f", as {requests - 1} did before it" if requests > 1 else ""
    return (
        f"{version} was begun for what is there, but run {run.run_id} ended as {run.status.value} before its snapshot{before}. "
        f"Look at that run, then re-execute it in the UI or `cv-assets run {run.job_name} --version {version}`"
    )


def _is_about_to_be_retried(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    record = instance.get_run_record_by_id(run.run_id)
    ended = record.end_time if record is not None else None
    return run.is_complete_and_waiting_to_retry and time.time() - (ended or 0) < RETRIED_WITHIN_SECONDS


def _failed_before_any_step(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Did something beside the data end the run, such as a mistake in another dataset's file? One that was canceled was not."""
    steps = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_START, limit=1).records
    return run.status == dg.DagsterRunStatus.FAILURE and not steps


def _find_hindrance(config: DatasetConfig) -> str | None:
    """What a run would do instead of taking this listing: it reads every dataset file anew, which this process did some time ago.

    One that takes other files than are listed here would be followed by the next, without end.
    """
    folder = datasets_folder()
    try:
        found = next((one for one in load_datasets(folder) if one.name == config.name), None)
    except ConfigurationError as error:
        return f"end before any step: {error}"
    if found is None:
        return f"end before any step: {config.name} is gone from {folder} since {RELOAD}"
    if configuration_digest("raw_images", found) != configuration_digest("raw_images", config):
        return f"take other files or limits: those of {config.name} were changed in {folder} since {RELOAD}"
    return None


def to_run_request(config: DatasetConfig, begin: Begin) -> dg.RunRequest:
    """The run of the dataset's job that makes the version; its partition may come with the run (assets/raw_images.py)."""
    again = f":{begin.requests}" if begin.requests else ""  # of one run key, Dagster makes one run
    return dg.RunRequest(
        run_key=f"{begin.asked_for}{again}",
        job_name=config.name,
        # as a tag, for a key would have to be among Dagster's partitions already
        tags={PARTITION_TAG: begin.version, ASKED_TAG: begin.asked_for},
    )


def _asked_for(store: ObjectStore, dataset: str, version: str, listing: Listing) -> str:
    """The same for the same version of one listing: not for that of another dataset of these files, or in another store."""
    return f"{version}:{record_digest([store.url, dataset, listing.digest])}"


def _find_runs(instance: dg.DagsterInstance, asked_for: str) -> Sequence[dg.DagsterRun]:
    """The runs that were asked for just this, the last one first."""
    return instance.get_runs(dg.RunsFilter(tags={ASKED_TAG: asked_for}))


def runs_in_progress(instance: dg.DagsterInstance, dataset: str) -> Sequence[dg.DagsterRun]:
    """Runs that make assets of a dataset, from the one asked for last."""
    runs = instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS))
    return [run for run in runs if run.job_name == dataset or _selects(run, dataset)]


def _selects(run: dg.DagsterRun, dataset: str) -> bool:
    return any(key.path[0] == dataset for key in run.asset_selection or ())
