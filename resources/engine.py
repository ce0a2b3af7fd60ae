"""Decoding workers: how many, under which limits, and what becomes of a task whose worker dies. No rule about images."""

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count, groupby, islice, repeat
from pathlib import Path
from typing import Any, Final, NamedTuple

from resources.parallel import bounded_map
from schemas.errors import EngineError, StoreError

START_SECONDS: Final = 60.0
# A message an image would cost the parent more than a quarter of what the image costs the worker. The first batches are
# small, so that few images are shared out evenly and many are handed over cheaply.
FIRST_BATCH, LARGEST_BATCH = 8, 64
_ROOT: Final = Path(__file__).resolve().parent.parent

Answer = dict[str, Any]


class Item(NamedTuple):
    """One object to work on: its key, and a path that a worker may read or a function that fetches the bytes."""

    key: str
    payload: Path | Callable[[], bytes]


class _WorkerGone(Exception):
    """The worker ended, or had to be ended, before it answered."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class _Worker:
    """One child process, spoken to by one thread; see resources/worker.py for the other end."""

    def __init__(self, memory_bytes: int) -> None:
        environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8"}
        # one image a worker is the parallelism; a thread pool inside each would only take memory
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        # what one image needed the next one needs, too: glibc gives it back to the kernel and asks anew, at 5 % of the time
        environment |= {"MALLOC_TRIM_THRESHOLD_": "64000000", "MALLOC_MMAP_THRESHOLD_": "32000000"}
        command = [sys.executable, "-m", "resources.worker", str(memory_bytes)]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
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
        try:
            self._receive(START_SECONDS)
        except _WorkerGone as error:
            self.close()
            raise EngineError(
                f"expected a decoding worker to start, but {error}; run `{' '.join(command)}` in {_ROOT} to see why"
            ) from error

    def work(self, job: dict[str, Any], items: Sequence[Item], seconds: float) -> Iterator[Answer]:
        """Answers, in order. Raises _WorkerGone if the worker dies, or takes longer than `seconds` for one of them."""
        # fetched before any clock runs: a slow store is no fault of the decoder. Bytes come one by one (_in_batches)
        bodies = [None if isinstance(item.payload, Path) else item.payload() for item in items]
        message = [_line({**job, "count": len(items)})]
        for item, body in zip(items, bodies, strict=True):
            message += [_line({"path": str(item.payload)})] if body is None else [_line({"size": len(body)}), body]
        with suppress(BrokenPipeError):  # its death is noticed, with its reason, when the answer is read
            self._send(b"".join(message), seconds)
        left = len(items)
        while left:
            answers = self._receive(seconds)
            left -= len(answers)
            yield from answers

    def _send(self, message: bytes, seconds: float) -> None:
        """Write a message, and take in what is answered meanwhile, or both sides could wait for the other to read.

        Raises _WorkerGone if nothing moves for so long: it would hold us for ever.
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
            raise _WorkerGone("decoder-died", f"the decoder died with {how}")
        self._unread += chunk

    @staticmethod
    def _out_of_time(seconds: float) -> _WorkerGone:
        return _WorkerGone("time-over-limit", f"took longer than {seconds:g} s to decode")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._can_read.close()
        self._can_go_on.close()
        self._stdout.close()
        self._stdin.close()


class _Crew:
    """A worker for each thread that asks, replaced when it dies."""

    def __init__(self, job: dict[str, Any], memory_bytes: int, seconds: float) -> None:
        self._job, self._memory_bytes, self._seconds = job, memory_bytes, seconds
        self._workers: dict[int, _Worker] = {}

    def answer(self, items: Sequence[Item]) -> list[tuple[Item, Answer]]:
        """Every item with its answer. What is left of a batch that ends its worker is done again, one item at a time."""
        answers: list[Answer] = []
        try:
            for found in self._work(items):
                answers.append(found)
        except _WorkerGone:
            answers += [self._answer_alone(item) for item in items[len(answers) :]]
        for item, found in zip(items, answers, strict=True):
            if "unreadable" in found:
                raise StoreError(
                    f"cannot read the bytes of {item.key}: {found['unreadable']}; restore them, then run again"
                )
        return list(zip(items, answers, strict=True))

    def _answer_alone(self, item: Item) -> Answer:
        try:
            return next(self._work([item]))
        except _WorkerGone as gone:
            return {"rejected": {"reason": gone.reason, "detail": str(gone)}}

    def _work(self, items: Sequence[Item]) -> Iterator[Answer]:
        me = threading.get_ident()
        if me not in self._workers:
            self._workers[me] = self._start()
        try:
            yield from self._workers[me].work(self._job, items, self._seconds)
        except _WorkerGone:
            self._workers.pop(me).close()
            raise

    def _start(self) -> _Worker:
        try:
            return _Worker(self._memory_bytes)
        except EngineError:  # a kernel short of memory kills whoever comes last; what is wrong for good fails again
            return _Worker(self._memory_bytes)

    def close(self) -> None:
        for worker in self._workers.values():
            worker.close()


class Engine:
    """Decoding workers: parallelism over images inside a step, each image under memory and time limits."""

    def __init__(self, *, workers: int = 0, memory_bytes: int = 2_000_000_000, seconds: float = 20.0) -> None:
        """`workers` 0 means one a core; `memory_bytes` is the address space of one, `seconds` what one image may take."""
        self.threads = workers or os.cpu_count() or 1
        self._memory_bytes, self._seconds = memory_bytes, seconds

    def alone(self) -> "Engine":
        """The same limits with a single worker, for a thread that is itself one of several."""
        return Engine(workers=1, memory_bytes=self._memory_bytes, seconds=self._seconds)

    def run(self, do: str, arguments: dict[str, Any], items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
        """Each item with its answer, in order, with a bounded number of them in memory.

        An answer is what the worker said of it (see WORK in resources/worker.py), or `{"rejected": {"reason",
        "detail"}}` with reason decoder-died or time-over-limit. Raises EngineError if a worker does not start.
        """
        crew = _Crew({"do": do, "arguments": arguments}, self._memory_bytes, self._seconds)
        try:
            for answers in bounded_map(crew.answer, _in_batches(items, self.threads), threads=self.threads):
                yield from answers
        finally:
            crew.close()


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _in_batches(items: Iterable[Item], threads: int) -> Iterator[list[Item]]:
    """Paths in batches that grow; bytes one by one, so that a worker never holds more than one image."""
    for are_paths, some in groupby(items, key=lambda item: isinstance(item.payload, Path)):
        growing = (min(LARGEST_BATCH, FIRST_BATCH << number // threads) for number in count())
        yield from _cut(some, growing if are_paths else repeat(1))


def _cut(items: Iterator[Item], sizes: Iterable[int]) -> Iterator[list[Item]]:
    for size in sizes:
        if not (batch := list(islice(items, size))):
            return
        yield batch
