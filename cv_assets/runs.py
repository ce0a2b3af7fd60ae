"""Runs the line of a dataset in this process, in the same Dagster home as the UI: for one version, or for one after another."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from cv_assets.dagster_records import are_files_here, keep_records_open
from cv_assets.definitions import build_defs
from cv_assets.domain.versions import check_version, next_version, sort_versions
from cv_assets.interruptions import hush_watchers, listening
from cv_assets.partitions import add_version, begun_versions
from cv_assets.pools import wait_asleep
from cv_assets.processes import fail_dead_runs, free_ended_runs, process_tags
from resources.ingest import Uploads, list_source
from resources.object_store import ObjectStore
from resources.records import is_removed, list_versions
from resources.refs import Refs
from resources.settings import use_dagster_home
from resources.source import open_source
from resources.urls import require_apart
from resources.versions import VersionStore
from schemas import errors
from schemas.datasets import DatasetConfig
from schemas.errors import TRANSIENT, ConfigurationError, CvAssetsError, SourceError, StoreError

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_OUR_ERRORS = frozenset(
    name for name, found in vars(errors).items() if isinstance(found, type) and issubclass(found, CvAssetsError)
)


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended: `failures` holds one line for each check or step that failed, warnings those that only warn.

    `was_ended` says that somebody interrupted it, be it after its last step; `left_out` are the paths in the source that no
    pattern of the dataset names, None where no version was begun.
    """

    version: str
    run_id: str
    success: bool
    failures: list[str]
    warnings: list[str]
    was_ended: bool = False
    left_out: Sequence[str] | None = None


def run_line(
    config: DatasetConfig,
    datasets: Sequence[DatasetConfig],
    store: ObjectStore,
    *,
    version: str | None,
    select: str | None,
) -> RunOutcome:
    """Materialize the assets of one version, with their checks.

    A new `version` is begun as a snapshot of the source; without one, the next of v1, v2, … is. Raises
    ConfigurationError for a name, a selection, a source or a Dagster home that cannot be used; then no version is begun.
    """
    defs = _prepare(datasets)
    keys = None if select is None else _select(defs, config.name, select)
    with _open_instance() as instance:
        known = begun_versions(instance, store, config.name)
        version = next_version(known) if version is None else check_version(version)
        Refs(store, config.name).require_distinct(version)
        left_out: list[str] | None = None
        if VersionStore(store, config.name, version).find_table_key("raw_images") is None:
            if keys is not None and dg.AssetKey([config.name, "raw_images"]) not in keys:
                raise ConfigurationError(
                    f"--select: {config.name}@{version} has no snapshot yet, and {select} would begin without one; "
                    f"select raw_images with it, or name with --version one of {', '.join(sort_versions(known)) or '(none yet)'}"
                )
            Refs(store, config.name).require_free(version)
            left_out = _check_places(config, store).not_included
        add_version(instance, store, config.name, version)
        return replace(_run(defs, instance, config.name, version=version, keys=keys), left_out=left_out)


def backfill(
    config: DatasetConfig,
    datasets: Sequence[DatasetConfig],
    store: ObjectStore,
    *,
    versions: Sequence[str] | None,
    select: str | None,
) -> Iterator[RunOutcome]:
    """Materialize the same assets of several versions, one run each, in the order of their names; without `versions`, of all.

    Nothing that is committed changes: what is missing is made, and other shards are recorded beside the old ones. One
    that fails does not keep the next from being tried, one that is interrupted does. Raises what `plan_backfill` does, and
    ConfigurationError for a selection that names nothing, or a Dagster home that cannot be used.
    """
    defs = _prepare(datasets)
    keys = None if select is None else _select(defs, config.name, select)
    with _open_instance() as instance:
        for version in plan_backfill(config, store, versions):
            add_version(instance, store, config.name, version)
            outcome = _run(defs, instance, config.name, version=version, keys=keys)
            yield outcome
            if outcome.was_ended:
                return


def plan_backfill(config: DatasetConfig, store: ObjectStore, versions: Sequence[str] | None) -> list[str]:
    """Which versions a backfill goes over, in its order. Raises ConfigurationError for one that there is not."""
    # of this store: what only Dagster knows of was begun in another one, or never
    every = list_versions(store, config.name)
    known = {version for version in every if not is_removed(store, config.name, version)}
    unknown = sorted(set(versions or ()) - known)
    if unknown or not known:
        raise ConfigurationError(
            f"expected versions of {config.name} among {', '.join(sort_versions(known)) or '(none yet)'}; "
            f"found {', '.join(map(repr, unknown)) or 'none to go over'}; the store is {store.url}"
        )
    return sort_versions(known if versions is None else set(versions))


def _prepare(datasets: Sequence[DatasetConfig]) -> dg.Definitions:
    keep_records_open()
    hush_watchers()
    wait_asleep(lambda said: print(said, file=sys.stderr, flush=True))
    return build_defs(datasets=datasets)


def _run(
    defs: dg.Definitions, instance: dg.DagsterInstance, dataset: str, *, version: str, keys: list[dg.AssetKey] | None
) -> RunOutcome:
    # a run that was killed may hold the pools that this one needs; where the records are files here, so were all processes
    fail_dead_runs(instance, launched=are_files_here(instance))
    free_ended_runs(instance)
    with listening() as has_been_told:
        result = defs.resolve_job_def(dataset).execute_in_process(
            instance=instance,
            partition_key=version,
            asset_selection=keys,
            run_config=_QUIET,
            tags=process_tags(),
            raise_on_error=False,
        )
        was_ended = any(map(_is_interruption, result.all_events)) or has_been_told()
    return RunOutcome(
        version,
        result.run_id,
        result.success,
        [*_failed_checks(result, "ERROR"), *_failed_steps(result)],
        list(_failed_checks(result, "WARN")),
        was_ended=was_ended,
    )


def _select(defs: dg.Definitions, dataset: str, select: str) -> list[dg.AssetKey]:
    """Asset keys of `shards`, `splits+` (and all after), `+splits` (and all before), or several with commas."""
    graph = defs.resolve_asset_graph()
    chosen: set[dg.AssetKey] = set()
    names = sorted(key.path[1] for key in graph.get_all_asset_keys() if key.path[0] == dataset)
    for part in select.split(","):
        name = part.strip().removeprefix("+").removesuffix("+")
        if name not in names:
            raise ConfigurationError(f"--select: expected assets among {', '.join(names)}; found {part.strip()!r}")
        selection = dg.AssetSelection.assets(dg.AssetKey([dataset, name]))
        if part.strip().endswith("+"):
            selection = selection.downstream()
        if part.strip().startswith("+"):
            selection = selection | selection.upstream()
        chosen |= selection.resolve(graph)
    return sorted(chosen, key=lambda key: key.to_user_string())


def _check_places(config: DatasetConfig, store: ObjectStore) -> Uploads:
    """Look at source and store before a version is begun: a version without a snapshot would only be in the way."""
    require_apart(config.source.url, store.url)
    try:
        store.require_create_only()
    except TRANSIENT:
        raise
    except StoreError as error:
        raise ConfigurationError(f"{error}; correct CV_ASSETS_STORE, or let this user write there") from error
    try:
        return list_source(open_source(config.source.url), config)
    except TRANSIENT:
        raise
    except SourceError as error:
        raise ConfigurationError(f"dataset {config.name}: {error}") from error


def _open_instance() -> dg.DagsterInstance:
    """The Dagster of DAGSTER_HOME. Raises ConfigurationError if it cannot be used."""
    home = use_dagster_home()
    try:
        return dg.DagsterInstance.get()
    except Exception as error:  # all of it is Dagster's: YAML, modules, databases, each with errors of its own
        said = " ".join(str(error).split())[:300]
        raise ConfigurationError(f"cannot use {home}, which DAGSTER_HOME names: {said}; correct it") from error


def _failed_checks(result: dg.ExecuteInProcessResult, severity: str) -> Iterable[str]:
    for found in result.get_asset_check_evaluations():
        if not found.passed and found.severity.value == severity:
            saw = found.metadata["saw"].value if "saw" in found.metadata else ""
            offending: Any = found.metadata["offending"].value if "offending" in found.metadata else None
            first = f"; first of what breaks it: {offending[0]}" if offending else ""
            yield f"{found.asset_key.path[-1]}: {found.check_name} — {found.description} Saw {saw}{first}"


def _failed_steps(result: dg.ExecuteInProcessResult) -> Iterable[str]:
    """A line for each step that raised, and for the run itself if it fell before any step; none for an interruption."""
    said = False
    for event in result.all_events:
        if _is_interruption(event):
            said = True
        elif event.is_step_failure:
            said = True
            error = _first_cause(event.step_failure_data.error)
            if error is not None and error.cls_name != "DagsterAssetCheckFailedError":
                yield f"step {event.step_key}: {_in_words(error)}"
        elif event.is_run_failure and not said:
            error = _first_cause(event.job_failure_data.error)
            yield f"run: {_in_words(error) if error else event.message}"


def _is_interruption(event: dg.DagsterEvent) -> bool:
    if event.is_step_failure:
        return "Stopped" in {cause.cls_name for cause in _causes(event.step_failure_data.error)}
    reason = event.job_failure_data.failure_reason if event.is_run_failure else None
    return reason is not None and reason.name == "UNEXPECTED_TERMINATION"


def _causes(error: Any) -> Iterator[Any]:
    while error is not None:
        yield error
        error = error.cause


def _first_cause(error: Any) -> Any:
    """The error that says what to do: the first of our own tree on the way to the cause, else the cause itself."""
    while error is not None and error.cause is not None and error.cls_name not in _OUR_ERRORS:
        error = error.cause
    return error


def _in_words(error: Any) -> str:
    # Dagster's message begins with the class, sometimes with its module
    said = re.sub(rf"^[\w.]*{re.escape(error.cls_name or '')}: ", "", error.message.strip())
    return f"{error.cls_name}: {said}"
