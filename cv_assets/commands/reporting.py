"""The command that shows the quality report of a version, or its Data Docs: in words, in a browser, as a file or as JSON."""

import json
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cv_assets.commands.arguments import FAILED, choose, explained, in_number, json_option, print_json, shown
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from resources.versions import VersionStore
    from schemas.releases import Verdict

DRIFT_NAMED: Final = 6
# the page that leads to those of all assets
CONTENTS: Final = "index"


@click.command()
@click.argument("name", metavar="DATASET@VERSION")
@click.option("--open", "opens", is_flag=True, help="Show the page in a browser.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the page there (HTML)."
)
@click.option(
    "--docs", is_flag=False, flag_value=CONTENTS, metavar="[ASSET]",
    help="Instead, the Data Docs: what is expected of the tables of ASSET, or of all.",
)  # fmt: skip
@json_option
@explained
def report(name: str, opens: bool, output: Path | None, docs: str | None, as_json: bool) -> None:
    """What is wrong with a version: findings, duplicates, drift, what was rejected, checks that failed.

    Exits with 1 if something blocks the version. The page is one file, which loads nothing from elsewhere; it does not know
    of checks that came after it, such as those of splits and shards.
    """
    from cv_assets.domain.lineage import READS
    from resources.reports import DATA, PAGE, find_report_key, load_report
    from resources.verdicts import list_failed

    chosen = choose(name)
    if docs is not None:
        _show_docs(chosen.version, docs, opens=opens, output=output, as_json=as_json)
        return
    said: dict[str, Any] = json.loads(load_report(chosen.version, DATA))
    failed = list_failed(chosen.version, (*READS, "release"))
    said |= {"passed": said["passed"] and not failed, "failed": failed}
    page = load_report(chosen.version, PAGE)
    if output is not None:
        _write(output, page)
    place = output or _place_in_store(chosen.version)
    if opens:
        place = place or _write_for_a_moment(chosen.name, page)
        _open(place)
    if as_json:
        print_json(said)
    else:
        _print(said)
        key = find_report_key(chosen.version, PAGE)
        click.echo(f"  page              {place or f'{chosen.version.store.url}/{key}'}")
    sys.exit(0 if said["passed"] else FAILED)


def _show_docs(version: "VersionStore", asset: str, *, opens: bool, output: Path | None, as_json: bool) -> None:
    """The pages are made of the verdicts that are kept, so they are there wherever the store is."""
    from resources.data_docs import find_expected, make_data_docs

    expected = find_expected(version)
    if asset not in {CONTENTS, *expected}:
        raise ConfigurationError(
            f"--docs: expected an asset whose expectations were looked at, among {', '.join(expected) or '(none)'}; "
            f"found {asset[:80]!r}"
        )
    wanted = expected if asset == CONTENTS else {asset: expected[asset]}
    pages = make_data_docs(version, expected)
    if output is not None:
        _write(output, pages[f"{asset}.html"])
    place = output
    if opens:
        place = place or _write_together(f"{version.dataset}-{version.version}-", pages) / f"{asset}.html"
        _open(place)
    if as_json:
        verdicts = {name: [one.model_dump(mode="json") for one in found] for name, found in wanted.items()}
        print_json({"dataset": version.dataset, "version": version.version, "expectations": verdicts})
    else:
        _print_expected(wanted)
    failed = any(one.blocking and not one.passed for found in wanted.values() for one in found)
    sys.exit(FAILED if failed else 0)


def _print_expected(expected: "dict[str, list[Verdict]]") -> None:
    for asset, verdicts in expected.items():
        broken = [one for one in verdicts if not one.passed]
        click.echo(f"{asset}: {len(verdicts) - len(broken)} of {in_number(len(verdicts), 'expectation')} kept")
        for one in broken:
            click.echo(f"  {one.severity:<6}{one.name}: {shown(one.description)}")


def _write_together(prefix: str, pages: dict[str, bytes]) -> Path:
    """A folder for the browser, as the pages lead to each other; it stays, as `_write_for_a_moment` says."""
    with _said_in_words("cannot write a temporary folder"):
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        for name, page in pages.items():
            (folder / name).write_bytes(page)
    return folder


def _write(output: Path, page: bytes) -> None:
    with _said_in_words(f"--output: cannot write {output}"):
        output.write_bytes(page)


@contextmanager
def _said_in_words(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{what}: {error.strerror}; name another place by --output") from error


def _place_in_store(version: "VersionStore") -> Path | None:
    """Where the page lies on this machine's disk, if the store does."""
    from resources.reports import PAGE, find_report_key

    key = find_report_key(version, PAGE)
    return None if key is None else version.store.local_path(key)


def _write_for_a_moment(name: str, page: bytes) -> Path:
    """A file for the browser, which reads it when this process has ended: nobody can say when it may go."""
    prefix = f"{name}-".replace("@", "-")
    with (
        _said_in_words("cannot write a temporary file"),
        tempfile.NamedTemporaryFile("wb", prefix=prefix, suffix=".html", delete=False) as file,
    ):
        file.write(page)
    return Path(file.name)


def _open(place: Path) -> None:
    if not webbrowser.open(place.resolve().as_uri()):
        click.echo(f"no browser was found; open {place} in one", err=True)


def _print(said: dict[str, Any]) -> None:
    compared = f", compared with {said['baseline']}" if said["baseline"] else ""
    click.echo(f"{said['dataset']}@{said['version']}  {'passed' if said['passed'] else 'blocked'}{compared}")
    for one in said["blocking"]:
        click.echo(f"  blocks: {shown(one.get('code', one['what']))}  {shown(one['why'])}")
    known = {one["why"] for one in said["blocking"]}
    for sentence in said["failed"]:
        if sentence not in known:
            click.echo(f"  blocks: check  {shown(sentence)}")
    for kind in said["findings"]["kinds"]:
        images = f" in {in_number(kind['images'], 'image')}" if kind["images"] else ""
        click.echo(f"  {kind['severity']:<6}{kind['code']:<24}{kind['count']:>8}{images}")
    if not said["findings"]["kinds"]:
        click.echo("  nothing was found")
    duplicates = said["duplicates"]
    click.echo(
        f"  duplicates        {in_number(duplicates['exact']['clusters'], 'image')} stored twice, "
        f"{in_number(duplicates['near']['clusters'], 'cluster')} of images that look alike"
    )
    drifted = [row["property"] for row in said["drift"]["rows"] if row["drifted"]]
    if said["drift"]["rows"]:
        more = f" and {len(drifted) - DRIFT_NAMED} more" if len(drifted) > DRIFT_NAMED else ""
        click.echo(f"  drifted           {', '.join(drifted[:DRIFT_NAMED]) + more or 'nothing'}")
    rejected = ", ".join(f"{row['reason']} {row['files']}" for row in said["quarantine"]["reasons"])
    click.echo(f"  quarantined       {said['quarantine']['files']}{f' ({rejected})' if rejected else ''}")
