"""Commands that look after what is kept: lay a version out, verify it, repair it, and collect what no version needs."""

import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cv_assets.commands.arguments import (
    FAILED,
    ROWS_SHOWN,
    choose,
    explained,
    find_dataset,
    in_number,
    interruption_said,
    json_option,
    open_named_store,
    print_json,
    shown,
)
from cv_assets.domain.quality.wording import in_bytes
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from resources.garbage import Garbage
    from schemas.upkeep import Problem

_LONGEST: Final = timedelta(days=36_500)  # before that there was no store
SHORT_GRACE: Final = timedelta(hours=1)


@click.command()
@click.argument("name", metavar="DATASET@VERSION")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.option(
    "--layout", type=click.Choice(["source", "classes"]), default="source", show_default=True,
    help="The paths of the uploads, or CLASS/IMAGE_ID.EXT.",
)  # fmt: skip
@click.option("--split", "splits", multiple=True, metavar="NAME", help="Images of this split only; may be given again.")
@click.option("--quarantined", is_flag=True, help="Files that were rejected, too (source layout).")
@click.option(
    "--link/--copy",
    "link",
    default=None,
    help="Links: fail where none can be made. Copies: may be written to. Default: links where they can be made.",
)
@click.option("--verify", is_flag=True, help="Hash what is linked, too; what is copied always is.")
@click.option("--force", is_flag=True, help="Replace and remove files that somebody changed.")
@json_option
@explained
def checkout(name: str, folder: Path, as_json: bool, link: bool | None, **wish: Any) -> None:
    """Lay a version out as files in DIR.

    An earlier checkout in DIR is brought to this version; files that somebody changed are kept (exit code 1).
    From local disk files are hard links: read-only, and part of the store. Use --copy for programs that write
    to them. Beside class folders lies classes.json: the class of each, also of those that a split lacks.
    """
    from resources.checkout import check_out
    from resources.laying_out import Wish

    if wish["layout"] == "classes" and wish["quarantined"]:
        raise ConfigurationError(
            "expected --quarantined with --layout source, found classes: rejected files have no class"
        )
    how = {None: "best", True: "link", False: "copy"}[link]
    with interruption_said(f"what is in {folder} by now stays; the same command brings the rest"):
        done = check_out(choose(name).version, folder, Wish(how=how, **wish))  # pyright: ignore[reportArgumentType]
    if as_json:
        print_json({"folder": str(folder), **asdict(done)})
    else:
        click.echo(f"{done.dataset}@{done.version} in {folder}: {done.files} files, {in_bytes(done.size_bytes)}")
        said = {"linked": done.linked, "copied": done.copied, "unchanged": done.unchanged, "removed": done.removed}
        click.echo("  " + ", ".join(f"{count} {what}" for what, count in said.items() if count))
        if done.why_copied:
            click.echo(f"  copied, as {shown(done.why_copied)}")
        if done.left_out:
            click.echo(f"  {done.left_out} images without a class, or with several, are left out")
        if done.absent_classes:
            click.echo(
                f"  classes without an image here: {len(done.absent_classes)}; programs that number the folders which they "
                "find give other numbers than for all classes: number them by classes.json, which lists all"
            )
        for path in done.kept[:ROWS_SHOWN]:
            click.echo(f"  kept, since somebody changed it: {shown(path)}", err=True)
        if done.kept:
            click.echo(
                f"  {in_number(len(done.kept), 'file')} kept as found; --force replaces or removes them", err=True
            )
    sys.exit(FAILED if done.kept else 0)


@click.command()
@click.argument("name", metavar="DATASET@VERSION")
@click.option("--read-data", is_flag=True, help="Read and hash the objects, too.")
@click.option("--sample", type=float, help="With --read-data: read this share only, such as 0.1.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which share: seeds in a row cover everything.")
@json_option
@explained
def verify(name: str, read_data: bool, sample: float | None, seed: int, as_json: bool) -> None:
    """Say whether all that a version names is there, with its size; with --read-data, also whether its bytes are unaltered.

    Exits with 1 if something is not.
    """
    from resources.verifying import verify_version

    chosen = choose(name)
    with interruption_said("nothing was changed, and nothing is said of the version; --sample reads a share of it"):
        report = verify_version(chosen.version, read_data=read_data, sample=sample, seed=seed)
    if as_json:
        print_json({**report.model_dump(), "passed": report.passed})
    else:
        read = f"{report.read} read ({in_bytes(report.read_bytes)})"
        read = read if read_data else f"{read}; --read-data compares the bytes, too"
        again = f", {report.read_again} sound at the second look only" if report.read_again else ""
        click.echo(f"{chosen.name}: {report.objects} objects looked at, {read}{again}")
        _print_problems(report.problems)
        click.echo(f"  {in_number(len(report.problems), 'problem')}")
    sys.exit(0 if report.passed else FAILED)


@click.command()
@click.argument("name", metavar="DATASET@VERSION")
@click.option("--from", "urls", multiple=True, metavar="URL", help="A copy of the store; may be given again.")
@click.option("--from-source", is_flag=True, help="Look for images among the uploads, too.")
@json_option
@explained
def repair(name: str, urls: tuple[str, ...], from_source: bool, as_json: bool) -> None:
    """Bring back what `verify` finds wrong.

    From another copy of the store or from the uploads, and only bytes whose hash is the one that is recorded.
    What is replaced is kept below lost/ in the store. Exits with 1 if something is still wrong.
    """
    if not urls and not from_source:
        raise ConfigurationError("expected something to repair from: give --from URL of a copy, or --from-source")
    from resources.repairing import open_copy, repair_version

    chosen = choose(name)
    config = find_dataset(chosen.version.dataset)[0] if from_source else None
    report = repair_version(
        chosen.version, copies=[open_copy(url, chosen.version.store) for url in urls], config=config
    )
    if as_json:
        print_json(report.model_dump())
    else:
        done = in_number(len(report.repaired), "object")
        click.echo(f"{chosen.name}: {done} brought back, {len(report.remaining)} still wrong")
        for one in report.repaired:
            kept = f"; what was there is {one.kept_as}" if one.kept_as else ""
            click.echo(f"  {one.key}\n    from {shown(one.origin)}{kept}")
        _print_problems(report.remaining)
    sys.exit(FAILED if report.remaining else 0)


def _print_problems(problems: "list[Problem]") -> None:
    for one in problems[:ROWS_SHOWN]:
        click.echo(f"  {one.problem:<11}{one.role:<7}{shown(one.key)}")
        click.echo(f"    expected {shown(one.expected)}, found {shown(one.found)}\n    {one.cure}")
    if len(problems) > ROWS_SHOWN:
        click.echo(f"  … and {len(problems) - ROWS_SHOWN} more (all of them with --json)")


class Duration(click.ParamType):
    """A time span such as 90s, 30m, 24h or 7d."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The span, or a message that says how one is written."""
        from schemas.automation import parse_duration

        if isinstance(value, timedelta):
            return value
        try:
            found = parse_duration("0s" if value == "0" else value)
        except ValueError:
            found = None
        if found is None or found > _LONGEST:
            self.fail(f"expected a time such as 90s, 30m, 24h or 7d, at most 36500d; found {value!r}", param, ctx)
        return found


@click.command()
@click.option("--delete", is_flag=True, help="Delete what was marked long enough ago, and mark the rest.")
@click.option("--grace", type=Duration(), default="24h", show_default=True, help="How long a mark stands first.")
@click.option(
    "--keep-last", type=int, metavar="N", help="Remove committed versions, too, but for the newest N of each dataset."
)
@json_option
@explained
def gc(delete: bool, grace: timedelta, keep_last: int | None, as_json: bool) -> None:
    """Say what no version needs (nothing is deleted without --delete).

    Images are deleted in two steps: marked by one call, deleted by a later one after the grace time. Versions that are
    latest, tagged, pinned or open stay; the name of one that is removed is never used again. Anything that cannot be
    read stops everything.

    --keep-last goes by the order in which versions first became latest; a rollback changes nothing in it. One that never
    was latest, such as one that was finished after a newer one, has no place in it: it is not counted, and stays.
    """
    from resources.garbage import collect_garbage, find_garbage

    if delete and grace < SHORT_GRACE:
        click.echo("warning: with so short a grace time, what a slow run needs may be deleted", err=True)
    store = open_named_store()
    found = (collect_garbage if delete else find_garbage)(store, grace=grace, keep_last=keep_last)
    if as_json:
        print_json(found.to_json())
    else:
        _print_garbage(found, grace)


def _print_garbage(found: "Garbage", grace: timedelta) -> None:
    said = found.to_json()
    blobs, deleted, waiting = said["blobs"], said["deleted"], said["waiting"]
    click.echo(f"  images that no version needs  {blobs['count']:>8}  {in_bytes(blobs['bytes'])}")
    if found.dry_run:
        due = blobs["count"] - waiting["count"]
        hours = f"{grace.total_seconds() / 3600:g} h"
        click.echo(f"    due now                     {due:>8}  (marked at least {hours} ago)")
    else:
        click.echo(f"    deleted                     {deleted['count']:>8}  {in_bytes(deleted['bytes'])}")
        click.echo(f"    marked, for a later call    {waiting['count']:>8}  {in_bytes(waiting['bytes'])}")
    leftovers = said["leftovers"]
    click.echo(f"  leftovers of killed writers   {leftovers['count']:>8}  {in_bytes(leftovers['bytes'])}")
    click.echo(f"  versions to remove            {len(found.versions):>8}  {', '.join(said['versions'])}".rstrip())
    click.echo("nothing was deleted; use --delete" if found.dry_run else "done")
