"""The command that goes over versions which were begun before: what is missing in them is made."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cv_assets.commands.arguments import (
    FAILED,
    as_json,
    explained,
    find_dataset,
    in_number,
    open_named_store,
    print_json,
    shown,
)

if TYPE_CHECKING:
    from cv_assets.runs import RunOutcome


@click.command()
@click.argument("dataset")
@click.option("--select", metavar="ASSETS", help="Only these: `shards`, `splits+` (and all after), `+splits`, or a,b.")
@click.option("--versions", metavar="V1,V2", help="Only these versions. Default: all.")
@click.option("--all", "every", is_flag=True, help="All versions, said out loud.")
@as_json
@explained
def backfill(dataset: str, select: str | None, versions: str | None, every: bool, as_json: bool) -> None:
    """Go over versions of DATASET one after another, in the order of their names.

    What is missing is made; what is committed never changes: other shards are recorded beside it. One version that fails
    does not stop the others; the exit code is 1 then.
    """
    if every and versions is not None:
        raise click.UsageError("give --versions or --all, not both")
    config, datasets = find_dataset(dataset)
    from cv_assets.runs import backfill as go_over

    named = None if versions is None else [name.strip() for name in versions.split(",")]
    outcomes: list[RunOutcome] = []
    for outcome in go_over(config, datasets, open_named_store(), versions=named, select=select):
        outcomes.append(outcome)
        if not as_json:
            _print(dataset, outcome)
    failed = sum(not outcome.success for outcome in outcomes)
    if as_json:
        print_json({"dataset": dataset, "failed": failed, "runs": [asdict(outcome) for outcome in outcomes]})
    else:
        click.echo(f"{in_number(len(outcomes), 'version')}, {failed} failed")
    sys.exit(FAILED if failed else 0)


def _print(dataset: str, outcome: "RunOutcome") -> None:
    click.echo(f"{dataset}@{outcome.version:<16} {'passed' if outcome.success else 'FAILED'}  run {outcome.run_id}")
    for line in outcome.warnings:
        click.echo(f"  warning: {shown(line)}", err=True)
    for line in outcome.failures:
        click.echo(f"  failed: {shown(line)}", err=True)
