"""Dagster's SQLite files stay open while a command writes to them, and are whole once it has ended."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from cv_assets.dagster_records import KEPT_OPEN
from resources.settings import PROJECT_ROOT

FILES = KEPT_OPEN + 4
# as Dagster does it: an engine and a connection for each statement, and a log from the first connection on
WRITER = """
import json, pathlib, sqlite3, sys
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from sqlalchemy import NullPool, text
from cv_assets.dagster_records import keep_records_open

keep_records_open()
keep_records_open()

def execute(path, statement):
    engine = sqlite_event_log.create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        found = connection.execute(text("PRAGMA synchronous")).scalar()
        connection.execute(text(statement))
    engine.dispose()
    return found

folder = pathlib.Path(sys.argv[1])
execute(folder / "journal.db", "CREATE TABLE event (told TEXT)")
for number in range(int(sys.argv[2])):
    sqlite3.connect(folder / f"{number}.db").execute("PRAGMA journal_mode = WAL").connection.close()
    execute(folder / f"{number}.db", "CREATE TABLE event (told TEXT)")
    execute(folder / f"{number}.db", "INSERT INTO event VALUES ('started')")
print(json.dumps({
    "logs": sorted(path.name for path in folder.glob("*-wal")),
    "with_log": execute(folder / f"{number}.db", "INSERT INTO event VALUES ('ended')"),
    "with_journal": execute(folder / "journal.db", "INSERT INTO event VALUES ('started')"),
}), flush=True)
sys.stdin.read()
"""
NORMAL, FULL = 1, 2


def test_logs_are_kept_of_the_last_files_and_gone_in_the_end(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(FILES)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT_ROOT,
    )
    assert writer.stdout is not None
    said = json.loads(writer.stdout.readline())
    last = [f"{number}.db-wal" for number in range(FILES - KEPT_OPEN, FILES)]
    assert said == {"logs": sorted(last), "with_log": NORMAL, "with_journal": FULL}
    assert told(tmp_path / f"{FILES - 1}.db") == ["started", "ended"]  # while the writer has it open
    writer.communicate()
    assert writer.returncode == 0
    assert not list(tmp_path.glob("*-wal"))
    assert [told(tmp_path / f"{number}.db") for number in range(FILES - 1)] == [["started"]] * (FILES - 1)


def test_a_writer_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT_ROOT,
    )
    with writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.kill()
    assert told(tmp_path / "0.db") == ["started", "ended"]


def told(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("SELECT told FROM event ORDER BY rowid")]
    finally:
        connection.close()


DAGSTER = """
import pathlib, sys
import dagster as dg
from cv_assets.dagster_records import keep_records_open

keep_records_open()
with dg.DagsterInstance.local_temp(sys.argv[1]) as instance:
    instance.add_dynamic_partitions("versions", ["v1"])
    instance.get_runs()
    instance.all_instigator_state()
    print(*sorted(path.name for path in pathlib.Path(sys.argv[1]).rglob("*-wal")))
"""


def test_the_files_of_dagster_itself_are_kept(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DAGSTER, str(tmp_path)], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["index.db-wal", "runs.db-wal", "schedules.db-wal"]
    assert not list(tmp_path.rglob("*-wal"))


THREADED = """
import pathlib, random, sqlite3, sys, threading
from sqlalchemy import text
from cv_assets import dagster_records

paths = [pathlib.Path(sys.argv[1]) / f"{number}.db" for number in range(dagster_records.KEPT_OPEN + 4)]
for path in paths:
    sqlite3.connect(path).execute("PRAGMA journal_mode = WAL").connection.close()
errors = []

def look(seed):
    chosen = random.Random(seed)
    try:
        for _ in range(400):
            engine = dagster_records.kept_engine(f"sqlite:///{chosen.choice(paths)}")
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
            engine.dispose()
    except Exception as error:
        errors.append(error)

threads = [threading.Thread(target=look, args=(seed,)) for seed in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(repr(errors) if errors else 0)
"""


def test_many_threads_may_open_more_files_than_are_kept(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", THREADED, str(tmp_path)], cwd=PROJECT_ROOT, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
