"""The other end of resources/examiner.py: begins the process, early where somebody knows that it will be asked, and asks it.

Imports nothing heavy, so that the process can be begun before all else.
"""

import atexit
import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from schemas.errors import EngineError

_ROOT: Final = Path(__file__).resolve().parent.parent
# no credentials: what it is asked comes with the question
_HANDED_ON: Final = ("HOME", "PATH", "PYTHONHASHSEED", "TMPDIR")
_COMMAND: Final = [sys.executable, "-m", "resources.examiner"]
_alone = threading.Lock()


class _Gone(Exception):
    """The process ended before it answered."""


class _Examiner:
    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**environment, "PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8"},
            cwd=_ROOT,
        )

    def ask(self, message: bytes) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # its death is noticed where the answer is read
            self._process.stdin.write(message)
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):  # it may have been killed amid its answer
            raise _Gone(f"it ended with status {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self._process.kill()
        with suppress(BrokenPipeError), self._process:  # what it did not read is of no use any more
            pass


@functools.cache
def _examiner() -> _Examiner:
    """One a process."""
    begun = _Examiner()
    atexit.register(begun.close)
    return begun


def begin_examiner() -> None:
    """Begin the process that answers expectations, if it has not begun, and do not wait for it: it imports for seconds."""
    with _alone:
        _examiner()


def examine(questions: Sequence[dict[str, Any]], table: bytes) -> dict[str, Any]:
    """Key of each question → the reply; see resources/examiner.py for both. `table` is an Arrow IPC stream.

    Raises EngineError if the process ends without an answer, and a second one does, too.
    """
    message = json.dumps({"questions": questions, "size_bytes": len(table)}).encode() + b"\n" + table
    with _alone:
        try:
            return _ask(message)
        except _Gone:  # a kernel short of memory kills whoever comes last; what is wrong for good fails again
            try:
                return _ask(message)
            except _Gone as error:
                raise EngineError(
                    f"expected an answer from Great Expectations, but {error}, twice; "
                    f"run `{' '.join(_COMMAND)}` in {_ROOT} to see why"
                ) from error


def _ask(message: bytes) -> dict[str, Any]:
    examiner = _examiner()
    try:
        return examiner.ask(message)
    except BaseException:  # also where a run is stopped: its answer would be taken for that to the next question
        _examiner.cache_clear()
        atexit.unregister(examiner.close)
        examiner.close()
        raise


os.register_at_fork(after_in_child=_examiner.cache_clear)
