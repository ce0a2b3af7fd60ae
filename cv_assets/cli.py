"""The command line, thin: arguments in, words or JSON out, exit code 0, 1, 2 or 130. Heavy modules are imported when used."""

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from gc import disable, freeze
from typing import Final

import click

from cv_assets.commands.backfilling import backfill
from cv_assets.commands.keeping import checkout, gc, repair, verify
from cv_assets.commands.making import draw, run
from cv_assets.commands.naming import pin, rollback, tag
from cv_assets.commands.quarantining import quarantine, requeue
from cv_assets.commands.reading import diff, list_datasets, show
from cv_assets.commands.reporting import report
from resources.progress import bars_on

STDERR: Final = 2
COMMANDS = (
    run,
    draw,
    backfill,
    list_datasets,
    show,
    diff,
    report,
    checkout,
    quarantine,
    requeue,
    verify,
    repair,
    tag,
    pin,
    rollback,
    gc,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(context: click.Context) -> None:
    """Dataset versions that a training run can trust."""
    # what a command imports stays: a look for garbage among it takes a second while it comes in, and one more at the end
    disable()  # until open_named_store()
    atexit.register(freeze)
    # pandera imports hypothesis where it is installed, and a plugin of that looks through all there is in memory
    os.environ.setdefault("HYPOTHESIS_NO_PLUGINS", "1")
    context.with_resource(_no_pandas())
    context.with_resource(bars_on(STDERR))


class _NoPandas:
    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@contextmanager
def _no_pandas() -> Iterator[None]:
    """As if pandas were not installed: pandera imports it where it is, for half a second, and needs it for no table of ours.

    Great Expectations does, which answers in a process of its own.
    """
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


for command in COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    main()
