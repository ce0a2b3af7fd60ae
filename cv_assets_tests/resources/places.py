"""A place that the tests of one module share, so that a line of several seconds is run once."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cv_assets.cli import main
from cv_assets_tests.conftest import Place
from cv_assets_tests.homes import dagster_home
from resources.object_store import open_store


@contextmanager
def shared_place(
    factory: pytest.TempPathFactory, *, like: Place | None = None, with_runs: bool = False
) -> Iterator[Place]:
    """An empty place, or one with a copy of the store of another, with a Dagster home of its own.

    `with_runs` copies what Dagster knows, too. The uploads are those of the other one: their place is configuration, and
    under another one a version may not go on.
    """
    folder: Path = factory.mktemp("place")
    uploads, store, datasets = (folder / name for name in ("uploads", "store", "datasets"))
    datasets.mkdir()
    if like is None:
        uploads.mkdir()
    else:
        shutil.copytree(like.folder / "store", store)
        uploads = like.uploads
    runs = like.folder / "dagster" if like and with_runs else None
    with dagster_home(folder, like=runs) as home, pytest.MonkeyPatch.context() as patch:
        for name, value in (("DAGSTER_HOME", home), ("CV_ASSETS_STORE", store), ("CV_ASSETS_DATASETS", datasets)):
            patch.setenv(name, str(value))
        yield Place(folder, uploads, open_store(str(store)))


def write_dataset(place: Place, name: str, more: str = "", url: Path | None = None) -> None:
    """A dataset file of a shared place."""
    text = f'name: {name}\nsource: {{url: "{url or place.uploads}"}}\n{more}\n'
    (place.folder / "datasets" / f"{name}.yaml").write_text(text)


def command(*arguments: str) -> Result:
    """Run the command line; what is no exit code is an error of the test."""
    done = CliRunner().invoke(main, list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def said_in_lines(text):
    """No control character from a name reaches a terminal."""
    return all(line.isprintable() for line in text.splitlines())
