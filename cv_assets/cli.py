"""The command line, thin: arguments in, words or JSON out, exit code 0, 1 or 2. Heavy modules are imported when used."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schemas.errors import ConfigurationError, CvAssetsError

if TYPE_CHECKING:
    from schemas.datasets import DatasetConfig

FAILED, UNUSABLE = 1, 2
DRAW_SEED = 7
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def explained(command: Callable[..., None]) -> Callable[..., None]:
    """Errors on purpose become one message and an exit code; anything else is a bug and keeps its traceback."""

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except CvAssetsError as error:
            click.echo(f"cv-assets: {error}", err=True)
            sys.exit(UNUSABLE if isinstance(error, ConfigurationError) else FAILED)

    return wrapper


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Dataset versions that a training run can trust."""


@main.command()
@click.argument("dataset")
@click.option("--version", help="Snapshot the source as this version, or go on with it. Default: the next of v1, v2, …")
@click.option("--select", metavar="ASSETS", help="Only these: `shards`, `splits+` (and all after), `+splits`, or a,b.")
@as_json
@explained
def run(dataset: str, version: str | None, select: str | None, as_json: bool) -> None:
    """Make a version of DATASET: uploads in, checked and packed release out."""
    config, datasets = _find(dataset)
    from cv_assets.runs import run_line
    from resources.object_store import open_store
    from resources.settings import store_url
    from resources.summaries import find_version, summarize

    store = open_store(store_url())
    outcome = run_line(config, datasets, store, version=version, select=select)
    for line in outcome.warnings:
        click.echo(f"warning: {line}", err=True)
    for line in outcome.failures:
        click.echo(f"failed: {line}", err=True)
    if outcome.failures or not outcome.success:
        click.echo(
            f"{dataset}@{outcome.version} did not pass; look at run {outcome.run_id} in the UI (`make dev`)", err=True
        )
    summary = summarize(find_version(store, dataset, outcome.version), config) if outcome.success else {}
    if as_json:
        found = {"run_id": outcome.run_id, "success": outcome.success, "failures": outcome.failures}
        click.echo(json.dumps({**found, "dataset": dataset, "version": outcome.version, **summary}))
    elif outcome.success:
        _print_summary(summary, store.url)
    sys.exit(0 if outcome.success else FAILED)


@main.command("list")
@as_json
@explained
def list_datasets(as_json: bool) -> None:
    """Every dataset with its versions."""
    from cv_assets.domain.versions import sort_versions
    from resources.dataset_files import load_datasets
    from resources.object_store import open_store
    from resources.settings import datasets_folder, store_url
    from resources.versions import VersionStore, list_versions

    store = open_store(store_url())
    rows: list[dict[str, Any]] = []
    for config in load_datasets(datasets_folder()):
        for name in sort_versions(list_versions(store, config.name)) or [None]:
            record = VersionStore(store, config.name, name).commit() if name else None
            images, digest = (record.counts.images, record.digest) if record else (None, None)
            rows.append(
                {
                    "dataset": config.name,
                    "version": name,
                    "committed": record is not None,
                    "images": images,
                    "digest": digest,
                }
            )
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        state = f"{row['images']:>8} images  {row['digest'][:12]}" if row["committed"] else "not committed"
        click.echo(f"{row['dataset']:<24} {row['version'] or '-':<16} {state}")


@main.command()
@click.argument("name", metavar="DATASET[@VERSION]")
@as_json
@explained
def show(name: str, as_json: bool) -> None:
    """Counts, checks, splits and shards of a version; of the newest committed one if none is named."""
    dataset, _, version = name.partition("@")
    config, _ = _find(dataset)
    from resources.object_store import open_store
    from resources.settings import store_url
    from resources.summaries import find_version, summarize

    store = open_store(store_url())
    summary = summarize(find_version(store, dataset, version or None), config)
    if as_json:
        click.echo(json.dumps(summary))
    else:
        _print_summary(summary, store.url)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=None, required=False)
@as_json
@explained
def draw(folder: Path | None, as_json: bool) -> None:
    """Draw the uploads of the dataset `shapes` into FOLDER (default: uploads/shapes)."""
    from cv_assets.domain.drawing import draw_uploads
    from resources.settings import PROJECT_ROOT

    target = folder or PROJECT_ROOT / "uploads" / "shapes"
    files = 0
    for path, data in draw_uploads(DRAW_SEED):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(data)
        files += 1
    click.echo(json.dumps({"folder": str(target), "files": files}) if as_json else f"drew {files} files in {target}")


def _find(dataset: str) -> "tuple[DatasetConfig, list[DatasetConfig]]":
    from resources.dataset_files import load_datasets
    from resources.settings import datasets_folder

    datasets = load_datasets(datasets_folder())
    for config in datasets:
        if config.name == dataset:
            return config, datasets
    names = ", ".join(config.name for config in datasets) or "(none)"
    raise ConfigurationError(f"expected a dataset of {datasets_folder()}, which holds {names}; found {dataset!r}")


def _print_summary(summary: dict[str, Any], store: str) -> None:
    state = f"committed, digest {summary['digest'][:16]}" if summary["committed"] else "not committed"
    click.echo(f"{summary['dataset']}@{summary['version']}  {state}")
    for key in (
        "files",
        "images",
        "quarantined",
        "annotations",
        "unlabelled_images",
        "labels_without_file",
        "duplicate_groups",
    ):
        click.echo(f"  {key.replace('_', ' '):<22}{summary[key]:>8}")
    click.echo("  splits                " + ", ".join(f"{name} {images}" for name, images in summary["splits"].items()))
    failed = [check["name"] for check in summary["checks"] if not check["passed"]]
    click.echo(f"  checks                {len(summary['checks'])} made, failed: {', '.join(failed) or 'none'}")
    size_bytes = sum(shard["bytes"] for shard in summary["shards"])
    click.echo(f"  shards                {len(summary['shards'])} files, {size_bytes / 1e6:.1f} MB")
    for shard in summary["shards"][:6]:
        click.echo(f"    {shard['key']}  {shard['samples']} samples  {shard['sha256'][:12]}")
    if len(summary["shards"]) > 6:
        click.echo(f"    … and {len(summary['shards']) - 6} more")
    click.echo(f"  in                    {store}/{summary['commit']}")
