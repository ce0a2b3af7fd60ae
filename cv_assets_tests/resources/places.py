"""A place that the tests of one module share, so that a line of several seconds is run once."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cv_assets.cli import main
from cv_assets_tests.conftest import Place
from resources.object_store import open_store
from resources.settings import PROJECT_ROOT


@contextmanager
def shared_place(factory: pytest.TempPathFactory, *, like: Place | None = None) -> Iterator[Place]:
    """An empty place, or one with the store and the uploads of another, with a Dagster home of its own."""
    folder: Path = factory.mktemp("place")
    home, uploads, store, datasets = (folder / name for name in ("dagster", "uploads", "store", "datasets"))
    home.mkdir()
    datasets.mkdir()
    shutil.copy(PROJECT_ROOT / ".dagster" / "dagster.yaml", home)
    if like is None:
        uploads.mkdir()
    else:
        shutil.copytree(like.folder / "store", store)
        uploads = like.uploads
    with pytest.MonkeyPatch.context() as patch:
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
