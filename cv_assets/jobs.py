"""Jobs: the line of a dataset for one version; one run over all versions; a look at what is stored, and at what need not be."""

import shlex
import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any, Final

import dagster as dg

from cv_assets.assets.line import Line
from cv_assets.domain.versions import sort_versions
from cv_assets.failures import RETRY, tell_apart
from cv_assets.processes import NO_LONGEST_TIME
from resources.configured import ObjectStoreResource
from resources.garbage import find_garbage
from resources.records import list_versions
from resources.verifying import verify_version
from resources.versions import VersionStore
from schemas.errors import TRANSIENT, CorruptObject, SourceError

# what was written less than so long ago may belong to a version that is being made
GRACE: Final = timedelta(days=1)
NAMES_TOLD: Final = 20
STORE: Final = dg.AssetKey("store")
# to read a bucket back takes hours, and no version shall wait for it
READING_POOL: Final = "reading_back"


def build_job(line: Line) -> Any:  # Dagster does not export the type of an asset job
    """The job that is named after the dataset. It needs no configuration, only a version."""
    return dg.define_asset_job(
        line.config.name,
        selection=dg.AssetSelection.groups(line.config.name),
        description=f"Uploads to release: every asset and check of {line.config.name}, for one version.",
    )


class BackfillConfig(dg.Config):
    """The options of the command: `shards`, `splits+`, …, or else all assets; `v1,v2`, or else all versions."""

    select: str | None = None
    versions: str | None = None


def build_backfill_job(line: Line) -> dg.JobDefinition:
    """The job that goes over the versions of a dataset in one run: the command `cv-assets backfill`, begun from the UI."""
    command = [sys.executable, "-m", "cv_assets.cli", "backfill", line.config.name]

    @dg.op(
        name=f"{line.config.name}__go_over",
        description="Runs `cv-assets backfill`, whose own runs, one a version, are in the list of runs.",
    )
    @tell_apart
    def go_over(context: dg.OpExecutionContext, config: BackfillConfig) -> None:
        options = ["--select", config.select] if config.select else []
        options += ["--versions", config.versions] if config.versions else []
        said = "nothing"
        with subprocess.Popen(  # noqa: S603 - our own command, whose arguments it checks
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            try:
                for row in process.stdout:
                    context.log.info(said := row.rstrip())
            except BaseException:
                process.send_signal(signal.SIGINT)  # it ends the run of a version, and begins no other
                process.communicate()  # what it says last is taken in: a full pipe would hold it up, and us
                raise
        if process.returncode:
            called = shlex.join(["cv-assets", "backfill", line.config.name, *options])
            raise dg.Failure(f"`{called}` ended with {process.returncode}: {said}", allow_retries=False)

    @dg.job(
        name=f"{line.config.name}__backfill",
        tags=NO_LONGEST_TIME,  # the more versions, the longer
        description=f"Goes over all versions of {line.config.name} in one run: what is missing is made, what is committed stays. "
        "Less of it by configuration: `ops: {go_over: {config: {select: shards, versions: 'v1,v2'}}}`.",
    )
    def backfill() -> None:
        go_over.alias("go_over")()  # what its configuration is given under

    return backfill


class ReadBackConfig(dg.Config):
    """Which share of the objects is read. Another seed each time reads everything in the end."""

    sample: float = 1.0
    seed: int = 0


def build_verify_job(line: Line) -> dg.JobDefinition:
    """The job that reads every committed version of a dataset back, and fails if anything is missing or damaged."""

    @dg.op(
        # of one code location, no two ops may have the same name, and each dataset has its own
        name=f"{line.config.name}__read_back",
        retry_policy=RETRY,
        pool=READING_POOL,
        description="Reads objects that commit records name, and hashes them.",
    )
    @tell_apart
    def read_back(context: dg.OpExecutionContext, config: ReadBackConfig, object_store: ObjectStoreResource) -> None:
        store, damaged = object_store.open(), dict[str, list[str]]()
        for version in sort_versions(list_versions(store, line.config.name)):
            found, observed = _read_back(line, VersionStore(store, line.config.name, version), config)
            if observed is not None:
                context.log_event(observed)
            if found:
                damaged[version] = found
        if damaged:
            raise dg.Failure(
                f"damaged: {', '.join(damaged)}. `cv-assets verify {line.config.name}@VERSION --read-data` says what, "
                "`cv-assets repair` mends it",
                metadata={version: dg.MetadataValue.json(found[:NAMES_TOLD]) for version, found in damaged.items()},
                allow_retries=False,
            )

    @dg.job(
        name=f"{line.config.name}__verify",
        tags=NO_LONGEST_TIME,  # begun again it would begin at its first object; each transfer has its deadline
        description=f"Reads every committed version of {line.config.name} back; fails if anything is missing or damaged.",
    )
    def verify() -> None:
        read_back.alias("read_back")()  # what its configuration is given under

    return verify


def _read_back(
    line: Line, version: VersionStore, config: ReadBackConfig
) -> tuple[list[str], dg.AssetObservation | None]:
    """What is wrong with a version, a line each, and what was seen, for its partition of `release`; none if it is open."""
    try:
        if version.commit() is None:
            return [], None
        report = verify_version(version, read_data=True, sample=config.sample, seed=config.seed)
    except TRANSIENT:
        raise
    except (CorruptObject, SourceError) as error:  # of this version alone; the others are looked at all the same
        said: dict[str, Any] = {"passed": False, "problems": [str(error)]}
    else:
        problems = [f"{one.key}: {one.problem}, expected {one.expected}, found {one.found}" for one in report.problems]
        said = {
            "passed": report.passed,
            "objects": report.objects,
            "objects_read": report.read,
            "read_bytes": report.read_bytes,
            "sample": config.sample,
            "problems": problems,
        }
    metadata = {**said, "problems": dg.MetadataValue.json(said["problems"][:NAMES_TOLD])}
    words = f"{version.dataset}@{version.version} was read back"
    seen = dg.AssetObservation(line.key("release"), partition=version.version, description=words, metadata=metadata)
    return said["problems"], seen


def build_gc_job() -> dg.JobDefinition:
    """The job that says what `cv-assets gc --delete` would free in the store. It deletes nothing."""

    @dg.op(
        name="store__look_for_garbage",  # no dataset can have such a name, and no job of one
        retry_policy=RETRY,
        pool=READING_POOL,
        description="Finds what no version needs; nothing is deleted.",
    )
    @tell_apart
    def look_for_garbage(context: dg.OpExecutionContext, object_store: ObjectStoreResource) -> None:
        store = object_store.open()
        found = find_garbage(store, grace=GRACE)
        keys = [entry.key for entry in (*found.blobs, *found.leftovers)]
        said = {
            "blobs": len(found.blobs),
            "blob_bytes": sum(entry.size_bytes for entry in found.blobs),
            "leftovers": len(found.leftovers),
            "leftover_bytes": sum(entry.size_bytes for entry in found.leftovers),
            "some_keys": dg.MetadataValue.json(keys[:NAMES_TOLD]),
        }
        words = f"What `cv-assets gc` would free in {store.url}; nothing was deleted"
        context.log_event(dg.AssetObservation(STORE, description=words, metadata=said))

    @dg.job(
        name="store__gc_dry_run",
        tags=NO_LONGEST_TIME,
        description="What the whole store need not keep; nothing is deleted.",
    )
    def gc_dry_run() -> None:
        look_for_garbage()

    return gc_dry_run
