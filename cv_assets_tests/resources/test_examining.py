"""The process that holds Great Expectations: begun once, asked again when it dies, and gone with the one that began it."""

import os
import signal
import subprocess
import sys
import time

import polars as pl
import psutil
import pytest

from cv_assets_tests.servers.fault_proxy import wait_until_dead
from resources import examining
from resources.examining import begin_examiner, examine
from resources.settings import PROJECT_ROOT
from schemas.errors import EngineError

# what resources/examiner.py answers to `ask`, without the seconds that Great Expectations takes to import
STUB = """
import io, json, sys
import polars as pl
for line in sys.stdin.buffer:
    asked = json.loads(line)
    rows = pl.read_ipc_stream(io.BytesIO(sys.stdin.buffer.read(asked["size_bytes"]))).height
    replies = {one["key"]: {"passed": rows == one["kwargs"]["value"]} for one in asked["questions"]}
    print(json.dumps(replies), flush=True)
"""
STUB_COMMAND = [sys.executable, "-c", STUB, "resources.examiner"]


@pytest.fixture
def stub(monkeypatch):
    """From here to the end of the test the stub is asked."""
    monkeypatch.setattr(examining, "_COMMAND", STUB_COMMAND)
    end_examiners()
    yield
    end_examiners()


def end_examiners():
    """No process is left; the next question begins another."""
    for one in examiners():
        one.kill()
        one.wait()
    examining._examiner.cache_clear()


def examiners(of=None):
    """The processes of `of`, by default of this one, that are asked; one that has ended has no command line to read."""
    living = [one for one in psutil.Process(of).children() if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in living if "resources.examiner" in one.cmdline()]


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


def test_where_it_died_another_is_asked_and_is_handed_no_credentials(stub, monkeypatch):
    assert ask(3)
    (one,) = examiners()
    one.kill()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    assert ask(3)
    (other,) = examiners()
    assert other.pid != one.pid
    assert "s3cr3t" not in str(other.environ())


DIES_AMID_ITS_FIRST_ANSWER = """
import os, sys
if not os.path.exists(sys.argv[1]):
    open(sys.argv[1], "w").close()
    sys.stdin.buffer.readline()
    print('{"a": ', end="", flush=True)
    os._exit(9)
"""


def test_half_an_answer_is_none_and_another_is_asked(stub, monkeypatch, tmp_path):
    dying = [sys.executable, "-c", DIES_AMID_ITS_FIRST_ANSWER + STUB, str(tmp_path / "died"), "resources.examiner"]
    monkeypatch.setattr(examining, "_COMMAND", dying)
    assert ask(3)
    assert (tmp_path / "died").exists()


def test_where_it_cannot_be_begun_that_is_said(stub, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(examining, "_COMMAND", [sys.executable, "-c", "raise SystemExit(3)"])
        with pytest.raises(EngineError, match=r"ended with status (3|-9), twice; run `.+raise SystemExit\(3\)` in "):
            ask(3)
    assert ask(3)


def test_a_question_that_was_given_up_is_not_answered_to_the_next(stub, monkeypatch):
    assert ask(3)

    def stopped(line):
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(examining.json, "loads", stopped)
        with pytest.raises(KeyboardInterrupt):
            ask(2)
    assert ask(3)


BEGUN = """
import sys, time
from resources import examining
examining._COMMAND = sys.argv[1:] or examining._COMMAND
examining.begin_examiner()
print("begun", flush=True)
time.sleep(600)
"""


# where nobody is left to end it, it is its own input that ends it: that is the examiner's own doing, so not the stub's
@pytest.mark.parametrize(("how", "command"), [(signal.SIGKILL, []), (signal.SIGINT, STUB_COMMAND)])
def test_it_is_gone_when_the_one_that_began_it_is(how, command):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", BEGUN, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as begun:
        try:
            assert begun.stdout.readline() == b"begun\n"
            one = examiner_of(begun.pid)
            begun.send_signal(how)
            begun.wait(60)
        finally:
            begun.kill()
    wait_until_dead(one.pid, seconds=120)  # it notices after what it imports


def examiner_of(pid):
    """The one process that `pid` asks; a process that is just being begun has no command line for a moment."""
    end = time.monotonic() + 30
    while not (found := examiners(pid)):
        assert time.monotonic() < end, f"{pid} has begun none"
        time.sleep(0.01)
    (one,) = found
    return one
