"""What the commands share: exit codes, errors in words, JSON, and the dataset or version that an argument names."""

import gc
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from schemas.errors import ConfigurationError, CvAssetsError

if TYPE_CHECKING:
    from pathlib import Path

    from resources.object_store import ObjectStore
    from resources.refs import Refs
    from resources.versions import VersionStore
    from schemas.datasets import DatasetConfig

FAILED: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130  # as shells say it of a process that Ctrl-C ended
ROWS_SHOWN: Final = 10
# once in so many looks for younger garbage: a look among what was imported takes 0.2 s
OLD_IS_LOOKED_AT: Final = 100
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Chosen(NamedTuple):
    """A version that an argument names, with the names of its dataset's versions."""

    version: "VersionStore"
    refs: "Refs"

    @property
    def name(self) -> str:
        """DATASET@VERSION, with the tag or `latest` resolved."""
        return f"{self.version.dataset}@{self.version.version}"


def explained(command: Callable[..., None]) -> Callable[..., None]:
    """Errors on purpose become one message and an exit code; anything else is a bug and keeps its traceback."""

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except CvAssetsError as error:
            said = "\n".join(map(shown, str(error).splitlines()))
            click.echo(f"cv-assets: {said}", err=True)
            sys.exit(UNUSABLE if isinstance(error, ConfigurationError) else FAILED)
        except KeyboardInterrupt as ending:
            said = str(ending) or "what was done stays; give the same command again to go on"
            below = "\n" if sys.stderr.isatty() else ""  # of the ^C that a terminal shows
            click.echo(
                f"{below}cv-assets: {click.get_current_context().info_name} was interrupted: {shown(said)}", err=True
            )
            sys.exit(INTERRUPTED)

    return wrapper


@contextmanager
def interruption_said(words: str) -> Iterator[None]:
    """If Ctrl-C ends this, the command ends with these words: what stays, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(words) from None


def print_json(said: Any) -> None:
    """One line of JSON."""
    click.echo(json.dumps(said))


def find_dataset(dataset: str) -> "tuple[DatasetConfig, list[DatasetConfig]]":
    """A dataset by its file, and all others. Raises ConfigurationError."""
    from resources.dataset_files import load_datasets
    from resources.settings import datasets_folder

    datasets = load_datasets(datasets_folder())
    for config in datasets:
        if config.name == dataset:
            return config, datasets
    names = ", ".join(config.name for config in datasets) or "(none)"
    raise ConfigurationError(f"expected a dataset of {datasets_folder()}, which holds {names}; found {dataset!r}")


def open_named_store(*, make: bool = False) -> "ObjectStore":
    """The store of CV_ASSETS_STORE. From here on a command makes garbage: all is imported that it needs.

    Raises ConfigurationError for a folder that is not there, unless it is to be made: a slip in its name would make an
    empty store, in which nothing is found.
    """
    from resources.object_store import open_store
    from resources.settings import store_url

    gc.freeze()
    gc.unfreeze()  # all that is there counts as old now; what stayed frozen, hypothesis would take for lost
    gc.set_threshold(700, 10, OLD_IS_LOOKED_AT)
    gc.enable()
    if not make and (folder := missing_store()) is not None:
        raise ConfigurationError(
            f"expected a store at {folder}, found no folder there; correct CV_ASSETS_STORE, or make a first version with "
            "`cv-assets run DATASET`"
        )
    return open_store(store_url())


def missing_store() -> "Path | None":
    """The folder that CV_ASSETS_STORE names, if there is none. Raises ConfigurationError if it can name none.

    None also where this user may not look: who opens the store says so.
    """
    from resources.settings import store_url
    from resources.urls import is_remote, local_root

    folder = None if is_remote(url := store_url()) else local_root(url, setting="CV_ASSETS_STORE")
    try:
        return None if folder is None or folder.is_dir() else folder
    except OSError:
        return None


def choose(name: str) -> Chosen:
    """The version behind DATASET@VERSION, DATASET@TAG or DATASET@latest, by the store alone. Raises ConfigurationError."""
    from resources.versions import VersionStore

    dataset, _, said = name.partition("@")
    if not said:
        raise ConfigurationError(f"expected DATASET@VERSION, such as {dataset or 'shapes'}@latest; found {name[:80]!r}")
    refs = choose_dataset(dataset)
    return Chosen(VersionStore(refs.store, dataset, refs.resolve(said)), refs)


def choose_dataset(dataset: str) -> "Refs":
    """Names of the versions of a dataset that the store holds; its file may be gone. Raises ConfigurationError."""
    from resources.refs import Refs
    from schemas.names import NAME_PATTERN

    store = open_named_store()
    names = store.folders("datasets")
    if not re.fullmatch(NAME_PATTERN, dataset) or dataset not in names:
        raise ConfigurationError(
            f"expected a dataset of the store {store.url}, which holds {', '.join(names) or '(none)'}; found {dataset[:80]!r}. "
            "`cv-assets run DATASET` makes the first version of one that has a file"
        )
    return Refs(store, dataset)


def in_number(count: int, what: str) -> str:
    """A count of something, as people say it."""
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def selecting(select: str | None) -> str:
    """What a command that goes on has to say of a selection, with a blank before it: without, it would make more."""
    return "" if select is None else f" --select {shlex.quote(select)}"


def shown(text: str) -> str:
    """A name from the data as one line of plain characters: no terminal obeys it."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
