"""Commands that name versions: tags, pins, and where `latest` points."""

import click

from cv_assets.commands.arguments import Chosen, choose, choose_dataset, explained, json_option, print_json
from schemas.errors import ConfigurationError


@click.command()
@click.argument("name", metavar="DATASET@VERSION")
@click.argument("tag_name", metavar="TAG")
@click.option("--move", is_flag=True, help="Take the tag from the version that has it.")
@click.option("--delete", is_flag=True, help="Take the tag back.")
@json_option
@explained
def tag(name: str, tag_name: str, move: bool, delete: bool, as_json: bool) -> None:
    """Give a version a name, such as `production`."""
    if move and delete:
        raise ConfigurationError("expected --move or --delete, found both")
    chosen = choose(name)
    if delete:
        _untag(chosen, tag_name)
    else:
        chosen.refs.tag(tag_name, chosen.version.version, move=move)
    tags = chosen.refs.tags()
    if as_json:
        print_json({"dataset": chosen.version.dataset, "tags": tags})
    else:
        click.echo(f"{tag_name} is taken back" if delete else f"{tag_name} is {chosen.name}")


def _untag(chosen: Chosen, tag_name: str) -> None:
    holder = chosen.refs.tags().get(tag_name)
    if holder is not None and holder != chosen.version.version:
        raise ConfigurationError(
            f"expected {tag_name!r} to be a tag of {chosen.name}; it is one of {chosen.version.dataset}@{holder}"
        )
    chosen.refs.untag(tag_name)


@click.command()
@click.argument("name", metavar="DATASET@VERSION")
@click.option("--reason", default="", help="Why it is kept; `list` shows it.")
@click.option("--release", is_flag=True, help="Take the pin back.")
@json_option
@explained
def pin(name: str, reason: str, release: bool, as_json: bool) -> None:
    """Keep a version, however old it grows.

    `gc --keep-last` passes it by.
    """
    chosen = choose(name)
    if release:
        chosen.refs.unpin(chosen.version.version)
    else:
        chosen.refs.pin(chosen.version.version, reason)
    if as_json:
        print_json({"dataset": chosen.version.dataset, "pins": chosen.refs.pins()})
    else:
        click.echo(f"{chosen.name} is {'not pinned any more' if release else 'pinned'}")


@click.command()
@click.argument("dataset")
@click.argument("version")
@click.option("--reason", default="rolled back", show_default=True, help="Why; the history keeps it.")
@json_option
@explained
def rollback(dataset: str, version: str, reason: str, as_json: bool) -> None:
    """Let `latest` name VERSION again.

    Nothing else changes, and the way forward is the same command. If entries of the history are lost, it says so in
    their place, for without them nothing can tell which is the latest.
    """
    refs = choose_dataset(dataset)
    after, lost = refs.resolve(version), refs.close_gaps()
    before = refs.latest()
    if lost:
        click.echo(f"lost from the history, which says so now: {', '.join(map(str, lost))}", err=True)
    if before != after:
        refs.move_latest(after, reason)
    if as_json:
        history = [entry.model_dump() for entry in refs.history()]
        print_json({"dataset": dataset, "before": before, "latest": after, "history": history})
    else:
        click.echo(
            f"{dataset}@latest is {after} already" if before == after else f"{dataset}@latest is {after}, was {before}"
        )
