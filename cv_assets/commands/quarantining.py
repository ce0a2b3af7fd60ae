"""Commands about rejected files: say which there are and why, and let the next version try some of them once more."""

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from cv_assets.commands.arguments import (
    FAILED,
    ROWS_SHOWN,
    choose_dataset,
    explained,
    find_dataset,
    in_number,
    json_option,
    print_json,
    shown,
)
from cv_assets.domain.quality.wording import in_bytes
from schemas.codes import PROBE_REASONS, SNAPSHOT_REASONS
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    import polars as pl

    from resources.requeue import Requeued
    from resources.versions import VersionStore
    from schemas.releases import RequeuedFile

_reasons = click.option(
    "--reason", "reasons", multiple=True, type=click.Choice(sorted(SNAPSHOT_REASONS + PROBE_REASONS)),
    metavar="REASON", help="Only files with this reason; may be given again.",
)  # fmt: skip
_version = click.option(
    "--version", metavar="V",
    help="What this version rejected. Default: the last one that looked at its files, released or not.",
)  # fmt: skip
_KEPT: Final = {"yes": "bytes are kept", "source": "bytes are in the source", "no": "no bytes are kept"}


@click.command()
@click.argument("dataset")
@_reasons
@_version
@click.option("--all", "every", is_flag=True, help="What any version rejected, too, and what has become of it.")
@json_option
@explained
def quarantine(dataset: str, reasons: tuple[str, ...], version: str | None, every: bool, as_json: bool) -> None:
    """Files of DATASET that were rejected.

    With reason, when they were first and last seen, how many versions rejected them (`attempts`; a version that met an
    unchanged file went by the earlier result, and counts, too), and whether their bytes are kept.
    """
    refs = choose_dataset(dataset)
    from resources.rejections import find_looked_at, list_rejections

    looked_at = find_looked_at(refs, version)
    rows = list_rejections(looked_at)
    rows = rows if every else rows.filter(rows["state"] == "rejected")
    rows = rows.filter(rows["reason"].is_in(reasons)) if reasons else rows
    counts = dict(rows.group_by("reason").len().sort("len", "reason", descending=[True, False]).iter_rows())
    if as_json:
        print_json({**_said_of(looked_at), "count": rows.height, "reasons": counts, "files": rows.to_dicts()})
        return
    click.echo(f"{_named(looked_at)}: {in_number(rows.height, 'rejected file')}")
    for reason, count in counts.items():
        click.echo(f"  {reason:<24}{count:>8}")
    for row in rows.head(ROWS_SHOWN).iter_rows(named=True):
        _print_row(row, looked_at.version)
    if rows.height > ROWS_SHOWN:
        click.echo(f"\n  … and {rows.height - ROWS_SHOWN} more (all of them with --json)")


def _said_of(version: "VersionStore") -> dict[str, Any]:
    return {"dataset": version.dataset, "version": version.version, "committed": version.commit() is not None}


def _named(version: "VersionStore") -> str:
    """Which version is meant: it is often not the one that latest names."""
    return f"{version.dataset}@{version.version}{'' if version.commit() else ' (not released)'}"


def _print_row(row: dict[str, Any], version: str) -> None:
    sha256 = row["sha256"][:12] if row["sha256"] else "not read"
    click.echo(f"\n  {shown(row['path'])}  {in_bytes(row['size_bytes'])}  {sha256}")
    click.echo(f"    {row['reason']} ({row['stage']}): {shown(row['detail'])}")
    seen = f"first seen {row['first_seen']} in {row['first_version']}"
    if row["attempts"] > 1:
        seen += f", last {row['last_seen']} in {row['last_version']}"
    click.echo(f"    {seen}; rejected by {in_number(row['attempts'], 'version')}; {_KEPT[row['kept']]}")
    if row["state"] != "rejected":
        click.echo(f"    {row['state']} in {version}")
    if row["requeued"]:
        click.echo("    requeued: the next version tries it again")


@click.command()
@click.argument("dataset")
@_reasons
@click.option(
    "--id", "ids", multiple=True, metavar="ID",
    help="This file, by its path, its SHA-256 or the beginning of that, of whichever version; may be given again.",
)  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Everything that the version rejected.")
@_version
@json_option
@explained
def requeue(
    dataset: str, reasons: tuple[str, ...], ids: tuple[str, ...], every: bool, version: str | None, as_json: bool
) -> None:
    """Let the next version of DATASET try rejected files again.

    They are read and decoded anew, under the limits that the dataset file has then. A file that the source has no more
    is taken from what is kept, for that one version: upload it again to have it in later ones. Exits with 1 if a file
    cannot be tried again.
    """
    if sum(map(bool, (reasons, ids, every))) != 1:
        raise ConfigurationError("expected one of --reason, --id and --all, to say which files are meant")
    config, _ = find_dataset(dataset)
    refs = choose_dataset(dataset)
    from resources.rejections import find_looked_at, list_rejections
    from resources.requeue import requeue as let_wait

    looked_at = find_looked_at(refs, version)
    rows = list_rejections(looked_at)
    if ids:
        rows = _find_all(rows, ids)
    else:
        rows = rows.filter(rows["state"] == "rejected")
        rows = rows.filter(rows["reason"].is_in(reasons)) if reasons else rows
    done = let_wait(refs.store, config, rows)
    if as_json:
        print_json({**_said_of(looked_at), **_to_json(done)})
    else:
        _print_requeued(looked_at, done)
    sys.exit(FAILED if done.refused else 0)


def _find_all(rows: "pl.DataFrame", ids: tuple[str, ...]) -> "pl.DataFrame":
    """The rows that the ids mean, each once. Raises ConfigurationError for one that means none, or several contents."""
    from polars import concat

    from cv_assets.domain.rejections import find_by_id

    found = {wanted: find_by_id(rows, wanted) for wanted in ids}
    for wanted, some in found.items():
        if some.is_empty():
            raise ConfigurationError(
                f"--id: expected the path or the hash of a rejected file (`cv-assets quarantine` lists them); found {wanted[:80]!r}"
            )
        hashes = sorted(set(some["sha256"].drop_nulls()))
        if len(hashes) > 1:
            raise ConfigurationError(
                f"--id: {wanted} is the beginning of {', '.join(one[:16] for one in hashes[:ROWS_SHOWN])}; give more of it"
            )
    return concat(found.values()).unique(maintain_order=True)


def _to_json(done: "Requeued") -> dict[str, Any]:
    return {
        "requeued": [one.model_dump() for one in done.accepted],
        "already": [one.model_dump() for one in done.already],
        "refused": [{**one.model_dump(), "why": why} for one, why in done.refused],
        "absent": done.absent,
    }


def _print_requeued(looked_at: "VersionStore", done: "Requeued") -> None:
    click.echo(f"{_named(looked_at)}: {in_number(len(done.accepted), 'file')} requeued for the next version")
    _print_paths(done.accepted)
    if done.absent:
        click.echo(f"  {len(done.absent)} of them gone from the source: their kept bytes are taken, for that version")
    if done.already:
        click.echo(f"  {in_number(len(done.already), 'file')} waited already")
    for one, why in done.refused[:ROWS_SHOWN]:
        click.echo(f"  not requeued: {shown(one.path)}: {why}", err=True)
    if len(done.refused) > ROWS_SHOWN:
        click.echo(f"  … and {len(done.refused) - ROWS_SHOWN} more (all of them with --json)", err=True)
    if done.accepted or done.already:
        click.echo(f"`cv-assets run {looked_at.dataset}` makes that version")


def _print_paths(files: "list[RequeuedFile]") -> None:
    for one in files[:ROWS_SHOWN]:
        click.echo(f"  {shown(one.path)}")
    if len(files) > ROWS_SHOWN:
        click.echo(f"  … and {len(files) - ROWS_SHOWN} more")
