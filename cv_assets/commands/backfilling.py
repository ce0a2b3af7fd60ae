"""The command that goes over versions which were begun before: what is missing in them is made."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cv_assets.commands.arguments import (
    FAILED,
    explained,
    find_dataset,
    in_number,
    json_option,
    open_named_store,
    print_json,
    selecting,
    shown,
)

if TYPE_CHECKING:
    from cv_assets.runs import RunOutcome


@click.command()
@click.argument("dataset")
@click.option("--select", metavar="ASSETS", help="Only these: `shards`, `splits+` (and all after), `+splits`, or a,b.")
@click.option("--versions", metavar="V1,V2", help="Only these versions. Default: all.")
@click.option("--all", "every", is_flag=True, help="All versions, said out loud.")
@json_option
@explained
def backfill(dataset: str, select: str | None, versions: str | None, every: bool, as_json: bool) -> None:
    """Go over versions of DATASET one after another, in the order of their names.

    What is missing is made; what is committed never changes: other shards are recorded beside it. One version that fails
    does not stop the others; the exit code is 1 then. After Ctrl-C no other version is begun, and it is said which are left.
    """
    if every and versions is not None:
        raise click.UsageError("give --versions or --all, not both")
    config, datasets = find_dataset(dataset)
    from cv_assets.runs import backfill as go_over
    from cv_assets.runs import plan_backfill

    store = open_named_store()
    named = None if versions is None else [name.strip() for name in versions.split(",")]
    outcomes: list[RunOutcome] = []
    interrupted = False
    try:
        for outcome in go_over(config, datasets, store, versions=named, select=select):
            outcomes.append(outcome)
            interrupted = outcome.was_ended
            if not as_json:
                _print(dataset, outcome)
    except KeyboardInterrupt:
        interrupted = True
    ended = {outcome.version for outcome in outcomes if outcome.success or not outcome.was_ended}
    left = [one for one in plan_backfill(config, store, named) if one not in ended] if interrupted else []
    failed = sum(not outcome.success for outcome in outcomes if outcome.version in ended)
    if as_json:
        rows = [{name: value for name, value in asdict(one).items() if name != "left_out"} for one in outcomes]
        print_json({"dataset": dataset, "failed": failed, "left": left, "runs": rows})
    else:
        click.echo(f"{in_number(len(ended), 'version')}, {failed} failed")
    if left:
        again = f"cv-assets backfill {dataset} --versions {','.join(left)}{selecting(select)}"
        raise KeyboardInterrupt(f"what was done stays; go on with `{again}`")
    sys.exit(FAILED if failed else 0)


def _print(dataset: str, outcome: "RunOutcome") -> None:
    how = "passed" if outcome.success else "interrupted" if outcome.was_ended else "FAILED"
    click.echo(f"{dataset}@{outcome.version:<16} {how}  run {outcome.run_id}")
    for line in outcome.warnings:
        click.echo(f"  warning: {shown(line)}", err=True)
    for line in outcome.failures:
        click.echo(f"  failed: {shown(line)}", err=True)
