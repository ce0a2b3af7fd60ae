"""Commands that make something: a run of the line, and the drawn set."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cv_assets.commands.arguments import (
    FAILED,
    explained,
    find_dataset,
    interruption_said,
    json_option,
    open_named_store,
    print_json,
    selecting,
    shown,
)
from cv_assets.commands.reading import print_summary
from resources.engine import Engine
from resources.examining import begin_examiner
from resources.settings import worker_count
from schemas.errors import ConfigurationError, CvAssetsError, VersionConflict

if TYPE_CHECKING:
    from cv_assets.runs import RunOutcome

DRAW_SEED: Final = 7
NAMES_TOLD: Final = 3


@click.command()
@click.argument("dataset")
@click.option("--version", help="Snapshot the source as this version, or go on with it. Default: the next of v1, v2, …")
@click.option("--select", metavar="ASSETS", help="Only these: `shards`, `splits+` (and all after), `+splits`, or a,b.")
@json_option
@explained
def run(dataset: str, version: str | None, select: str | None, as_json: bool) -> None:
    """Make a version of DATASET: uploads in, checked and packed release out."""
    if select is None:
        # these import on another core while Dagster is imported here; the workers first, which are asked first
        Engine(workers=worker_count()).begin()
        begin_examiner()
    config, datasets = find_dataset(dataset)
    from cv_assets.runs import run_line
    from resources.summaries import summarize
    from resources.versions import VersionStore

    store = open_named_store(make=True)
    with interruption_said(
        f"if a version was begun, what was done of it stays; `cv-assets list` tells, and "
        f"`cv-assets run {dataset} --version VERSION{selecting(select)}` goes on with it"
    ):
        outcome = run_line(config, datasets, store, version=version, select=select)
    ended = outcome.was_ended and not outcome.success
    again = f"cv-assets run {dataset} --version {outcome.version}{selecting(select)}"
    _tell(outcome)
    try:
        summary = summarize(VersionStore(store, dataset, outcome.version), config)
    except CvAssetsError:
        if outcome.success:
            raise
        summary = {}  # what keeps it from being read is among what failed
    if not outcome.success and not ended:
        click.echo(_way_on(dataset, outcome, again, summary), err=True)
    if as_json:
        found = {"run_id": outcome.run_id, "success": outcome.success, "failures": outcome.failures}
        found |= {"warnings": outcome.warnings, "was_ended": ended}
        left_out = None if outcome.left_out is None else len(outcome.left_out)
        found |= {"dataset": dataset, "version": outcome.version, "files_that_no_pattern_names": left_out}
        print_json({**found, **summary})
    elif outcome.success:
        print_summary(summary, store.url)
    if ended:
        raise KeyboardInterrupt(f"what was done of {dataset}@{outcome.version} stays; go on with `{again}`")
    sys.exit(0 if outcome.success else FAILED)


def _tell(outcome: "RunOutcome") -> None:
    """What went wrong, or may have."""
    from cv_assets.domain.uploads import count_files

    if outcome.left_out:
        some = ", ".join(map(repr, outcome.left_out[:NAMES_TOLD]))
        click.echo(f"left out: {count_files(len(outcome.left_out))} that no pattern names, such as {some}", err=True)
    for line in outcome.warnings:
        click.echo(f"warning: {shown(line)}", err=True)
    for line in outcome.failures:
        click.echo(f"failed: {shown(line)}", err=True)


def _way_on(dataset: str, outcome: "RunOutcome", again: str, summary: dict[str, Any]) -> str:
    """What to do after a run that did not pass: a snapshot is never taken again, and what is committed never changes."""
    name = f"{dataset}@{outcome.version}"
    if summary.get("committed") and any(f": {VersionConflict.__name__}: " in line for line in outcome.failures):
        return f"{name} stays as it was committed; what is to be different goes into a new version: `cv-assets run {dataset}`"
    has_snapshot = summary.get("files") is not None
    uploads = f"; mended uploads go into a new version: `cv-assets run {dataset}`" if has_snapshot else ""
    return (
        f"{name} did not pass; look at run {outcome.run_id} in the UI (`make dev`), then go on with `{again}`{uploads}"
    )


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=None, required=False)
@json_option
@explained
def draw(folder: Path | None, as_json: bool) -> None:
    """Draw the uploads of the dataset `shapes` into FOLDER (default: uploads/shapes)."""
    from cv_assets.domain.drawing import draw_uploads
    from resources.settings import PROJECT_ROOT

    target = folder or PROJECT_ROOT / "uploads" / "shapes"
    files = 0
    for path, data in draw_uploads(DRAW_SEED):
        _write(target / path, data)
        files += 1
    if as_json:
        print_json({"folder": str(target), "files": files})
    else:
        click.echo(f"drew {files} files in {target}")


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise ConfigurationError(
            f"FOLDER: cannot write {path}: {error.strerror}; name another folder, or let this user write there"
        ) from error
