"""The other end of resources/worker.py: starts decoding workers, speaks to one, and keeps those that rest for who comes next.

What is done with their answers, and what becomes of a task whose worker dies, is said in resources/engine.py.
"""

import atexit
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from schemas.errors import EngineError

START_SECONDS: Final = 60.0
_ROOT: Final = Path(__file__).resolve().parent.parent

Answer = dict[str, Any]


class WorkerGone(Exception):
    """The worker ended, or had to be ended, before it answered."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Worker:
    """One child process, spoken to by one thread at a time."""

    def __init__(self, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes
        self._command = [sys.executable, "-m", "resources.worker", str(memory_bytes)]
        environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8"}
        # one image a worker is the parallelism; a thread pool inside each would only take memory
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        # what one image needed the next one needs, too: glibc gives it back to the kernel and asks anew, at 5 % of the time
        environment |= {"MALLOC_TRIM_THRESHOLD_": "64000000", "MALLOC_MMAP_THRESHOLD_": "32000000"}
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            self._command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=_ROOT,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        self._can_read, self._can_go_on = selectors.DefaultSelector(), selectors.DefaultSelector()
        self._can_read.register(self._stdout, selectors.EVENT_READ)
        self._can_go_on.register(self._stdout, selectors.EVENT_READ)
        self._can_go_on.register(self._stdin, selectors.EVENT_WRITE)
        self._unread = bytearray()
        self._is_ready, self._unanswered = False, 0

    def wait_until_ready(self) -> None:
        """Return when it has imported what it needs. Raises EngineError if it does not get there."""
        if self._is_ready:
            return
        try:
            self._receive(START_SECONDS)
        except WorkerGone as error:
            self.close()
            command = " ".join(self._command)
            raise EngineError(
                f"expected a decoding worker to start, but {error}; run `{command}` in {_ROOT} to see why"
            ) from error
        self._is_ready = True

    def can_go_on(self) -> bool:
        """Does it live, and has it answered all that it was asked?"""
        return self._unanswered == 0 and self._process.poll() is None

    def work(
        self, job: dict[str, Any], items: Sequence[tuple[Path | str | None, bytes]], seconds: float
    ) -> Iterator[Answer]:
        """Answers about items, each a path or else bytes, in order.

        Raises WorkerGone if the worker dies, or takes longer than `seconds` for one of them.
        """
        message = [_line({**job, "count": len(items)})]
        for path, body in items:
            message += [_line({"size": len(body)}), body] if path is None else [_line({"path": str(path)})]
        self._unanswered = len(items)
        with suppress(BrokenPipeError):  # its death is noticed, with its reason, when the answer is read
            self._send(b"".join(message), seconds)
        while self._unanswered:
            answers = self._receive(seconds)
            self._unanswered -= len(answers)
            yield from answers

    def _send(self, message: bytes, seconds: float) -> None:
        """Write a message, and take in what is answered meanwhile, or both sides could wait for the other to read.

        Raises WorkerGone if nothing moves for so long: it would hold us for ever.
        """
        unsent = memoryview(message)
        while unsent:
            ready = {key.fileobj for key, _ in self._can_go_on.select(seconds)}
            if not ready:
                raise self._out_of_time(seconds)
            if self._stdout in ready:
                self._take_in()
            if self._stdin in ready:
                unsent = unsent[os.write(self._stdin.fileno(), unsent) :]

    def _receive(self, seconds: float) -> list[Answer]:
        """The answers that come next, at least one."""
        deadline = time.monotonic() + seconds
        searched = 0
        while (end := self._unread.find(b"\n", searched)) < 0:
            searched = len(self._unread)
            if not self._can_read.select(max(0.0, deadline - time.monotonic())):
                raise self._out_of_time(seconds)
            self._take_in()
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return json.loads(line)

    def _take_in(self) -> None:
        chunk = os.read(self._stdout.fileno(), 1 << 16)
        if not chunk:
            code = self._process.wait()
            how = f"signal {-code}" if code < 0 else f"status {code}"
            raise WorkerGone("decoder-died", f"the decoder died with {how}")
        self._unread += chunk

    @staticmethod
    def _out_of_time(seconds: float) -> WorkerGone:
        return WorkerGone("time-over-limit", f"took longer than {seconds:g} s to decode")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._can_read.close()
        self._can_go_on.close()
        self._stdout.close()
        self._stdin.close()


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


class Staff:
    """The workers of this process that rest, and the thread that starts them. A fork of this process begins without any."""

    def __init__(self) -> None:
        self._resting: list[Worker] = []
        self._alone = threading.Lock()
        # a worker is killed when the thread that started it ends; this one lives as long as the process
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="starts-workers")

    def begin(self, memory_bytes: int, number: int) -> None:
        """See to it that so many workers rest or are on their way, and do not wait for them: each imports for 0.2 s."""
        with self._alone:
            there = sum(worker.memory_bytes == memory_bytes for worker in self._resting)
            self._resting.extend(self._begin(memory_bytes) for _ in range(number - there))

    def take(self, memory_bytes: int) -> Worker:
        """A worker that is ready, and is the caller's until it is given back or closed. Raises EngineError."""
        while (worker := self._take_resting(memory_bytes)) is not None:
            if worker.can_go_on():
                with suppress(EngineError):  # another may still start
                    worker.wait_until_ready()
                    return worker
            worker.close()
        worker = self._begin(memory_bytes)
        worker.wait_until_ready()
        return worker

    def give_back(self, worker: Worker) -> None:
        """Let a worker rest until another is asked for: one a core, and none that still owes an answer."""
        with self._alone:
            if worker.can_go_on() and len(self._resting) < (os.cpu_count() or 1):
                self._resting.append(worker)
                return
        worker.close()

    def dismiss(self) -> None:
        """End those that rest."""
        with self._alone:
            while self._resting:
                self._resting.pop().close()

    def _begin(self, memory_bytes: int) -> Worker:
        return self._starter.submit(Worker, memory_bytes).result()

    def _take_resting(self, memory_bytes: int) -> Worker | None:
        with self._alone:
            fitting = next((worker for worker in self._resting if worker.memory_bytes == memory_bytes), None)
            if fitting is not None:
                self._resting.remove(fitting)
            return fitting


STAFF: Final = Staff()
atexit.register(STAFF.dismiss)
os.register_at_fork(after_in_child=STAFF.__init__)
