"""What Ctrl-C does to a run that this process executes: it is heard whenever it comes, and nothing foreign is printed."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import SimpleNamespace
from typing import Final

from dagster._core.execution import compute_logs

_ENDING: Final = {signal.SIGINT, signal.SIGTERM}


def hush_watchers() -> None:
    """Let nobody see how those end that copy the log of a step to the terminal, which sends them Ctrl-C, too."""
    quiet = SimpleNamespace(Popen=partial(subprocess.Popen, stderr=subprocess.DEVNULL))
    compute_logs.subprocess = quiet  # pyright: ignore[reportAttributeAccessIssue, reportPrivateImportUsage] - there is no setting for it


@contextmanager
def listening() -> Iterator[Callable[[], bool]]:
    """Meanwhile, says whether a signal to end came: Dagster forgets one that comes when a run has done its last step."""
    if threading.current_thread() is not threading.main_thread():  # no other one gets signals
        yield lambda: False
        return
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    heard: set[int] = set()

    def has_come() -> bool:
        with suppress(BlockingIOError):
            heard.update(os.read(reading, 1_000))  # a byte for each signal, its number
        return not _ENDING.isdisjoint(heard)

    # told by the interpreter itself, whichever handler is in force
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield has_come
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
