"""The process that holds Great Expectations: begun once, asked again when it dies, and gone with the one that began it."""

import os
import signal
import subprocess
import sys

import polars as pl
import psutil
import pytest

from cv_assets_tests.servers.fault_proxy import wait_until_dead
from resources import examining
from resources.examining import begin_examiner, examine
from resources.settings import PROJECT_ROOT
from schemas.errors import EngineError


def examiners(of=None):
    """The processes of `of`, by default of this one, that are asked."""
    return [one for one in psutil.Process(of).children() if "resources.examiner" in one.cmdline()]


def ask(rows):
    """Whether a table of so many rows has three."""
    table = pl.DataFrame({"n": list(range(rows))})
    question = {"key": "k", "type": "expect_table_row_count_to_equal", "kwargs": {"value": 3}}
    return examine([question], table.write_ipc_stream(None).getvalue())["k"]["passed"]


def test_there_is_one_and_it_keeps_to_what_it_is_asked():
    assert [ask(3), ask(2), ask(3)] == [True, False, True]
    (one,) = examiners()
    begin_examiner()
    assert examiners() == [one]


def test_where_it_died_another_is_asked_and_is_handed_no_credentials(monkeypatch):
    assert ask(3)
    (one,) = examiners()
    one.kill()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    assert ask(3)
    (other,) = examiners()
    assert other.pid != one.pid
    assert "s3cr3t" not in str(other.environ())


def test_where_it_cannot_be_begun_that_is_said(monkeypatch):
    for one in examiners():
        one.kill()
    monkeypatch.setattr(examining, "_COMMAND", [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(EngineError, match=r"ended with status (3|-9), twice; run `.+raise SystemExit\(3\)` in "):
        ask(3)
    monkeypatch.undo()
    assert ask(3)


def test_a_question_that_was_given_up_is_not_answered_to_the_next(monkeypatch):
    assert ask(3)

    def stopped(line):
        raise KeyboardInterrupt

    monkeypatch.setattr(examining.json, "loads", stopped)
    with pytest.raises(KeyboardInterrupt):
        ask(2)
    monkeypatch.undo()
    assert ask(3)


BEGUN = """
import time
from resources.examining import begin_examiner
begin_examiner()
print("begun", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_it_is_gone_when_the_one_that_began_it_is(how):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", BEGUN], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as begun:
        assert begun.stdout.readline() == b"begun\n"
        (one,) = examiners(begun.pid)
        begun.send_signal(how)
    wait_until_dead(one.pid, seconds=120)  # it notices after what it imports
