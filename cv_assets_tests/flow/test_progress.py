"""Long commands on a real terminal show a bar; a run tells its counts in its log, whether anybody watches or not."""

import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cv_assets_tests.conftest import Place, write_drawn
from cv_assets_tests.resources.places import shared_place, write_dataset
from resources.settings import PROJECT_ROOT

COMMAND = [sys.executable, "-m", "cv_assets.cli"]
BAR = "%|"
COUNTS = ["files: 125 done", "webdataset shards: 3 done"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with shared_place(tmp_path_factory) as place:
        write_drawn(place.uploads)
        for name in ("watched", "unwatched"):
            write_dataset(place, name)
        yield place


@pytest.fixture(scope="module")
def watched(place: Place) -> str:
    """What a terminal gets to see of a run."""
    return on_terminal("run", "watched")


@pytest.fixture(scope="module")
def unwatched(place: Place) -> subprocess.CompletedProcess[str]:
    """A run that no terminal shows, and that tells what it imports."""
    command = [sys.executable, "-X", "importtime", *COMMAND[1:], "run", "unwatched"]
    return subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)


def on_terminal(*arguments: str, stdout: int | None = None) -> str:
    """What a command writes to a terminal that is its stdin and stderr, and its stdout if that is not elsewhere."""
    mine, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 100))
    out = its if stdout is None else stdout
    with subprocess.Popen([*COMMAND, *arguments], stdin=its, stdout=out, stderr=its, cwd=PROJECT_ROOT) as process:
        os.close(its)
        said = b"".join(iter(lambda: read_some(mine), b""))
    os.close(mine)
    assert process.returncode == 0, said.decode()
    return said.decode()


def read_some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # nobody writes to it any more
        return b""


def counts_of(dataset: str) -> list[str]:
    """What the log of the one run of a dataset says last of each kind of work, without the seconds."""
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs(dg.RunsFilter(job_name=dataset))
        said = [entry.user_message for entry in instance.all_logs(run.run_id) if entry.dagster_event is None]
    return [line.partition(" in ")[0] for line in said if " done in " in line]


def test_a_run_on_a_terminal_shows_bars_there_and_has_its_counts_in_the_log(place: Place, watched: str):
    assert "files:   0%|" in watched
    assert "webdataset shards:   0%|" in watched
    assert "watched@v1  committed" in watched
    assert counts_of("watched") == COUNTS


def test_no_bar_is_among_the_captured_logs_of_a_run(place: Place, watched: str):
    assert BAR in watched
    logs = [*place.folder.glob("dagster/storage/*/compute_logs/*.*")]
    assert logs
    assert not [path for path in logs if BAR in path.read_text()]


def test_a_run_that_nobody_watches_shows_no_bar_and_has_its_counts_in_the_log(
    unwatched: subprocess.CompletedProcess[str],
):
    assert BAR not in unwatched.stdout + unwatched.stderr
    assert counts_of("unwatched") == COUNTS


def test_a_run_does_not_import_pandas_though_pandera_would(unwatched: subprocess.CompletedProcess[str]):
    imported = {line.rpartition("|")[2].strip() for line in unwatched.stderr.splitlines()}
    assert {"pandera.polars", "dagster"} <= imported
    assert "pandas.core" not in imported  # of a module that was not found, too, Python says how long that took


# what reads or writes every image
LONG = {
    "verify": (["verify", "watched@v1", "--read-data", "--json"], "images:"),
    "checkout": (["checkout", "watched@v1", "--copy", "--json", "{folder}"], "files:"),
}


@pytest.mark.parametrize("command", LONG)
def test_other_long_commands_show_bars_beside_their_json(command: str, watched: str, tmp_path: Path):
    arguments, label = LONG[command]
    with (tmp_path / "said.json").open("w+b") as said:
        shown = on_terminal(*(part.format(folder=tmp_path / "there") for part in arguments), stdout=said.fileno())
    assert f"{label}   0%|" in shown
    assert json.loads((tmp_path / "said.json").read_text())
