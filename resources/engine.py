"""Decoding workers: how many, under which limits, and what becomes of a task whose worker dies. No rule about images."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, groupby, islice, repeat
from pathlib import Path
from typing import Any, NamedTuple

from resources.parallel import bounded_map
from resources.working import STAFF, Answer, Worker, WorkerGone
from schemas.errors import EngineError, StoreError

# A message an image would cost the parent more than a quarter of what the image costs the worker. The first batches are
# small and so are the last ones, so that few images are shared out evenly and many are handed over cheaply.
LEAST_BATCH, LARGEST_BATCH = 8, 64


class Item(NamedTuple):
    """One object to work on: its key, and a path that a worker may read or a function that fetches the bytes."""

    key: str
    payload: Path | str | Callable[[], bytes]


class _Crew:
    """A worker for each thread that asks, replaced when it dies; those that live go back to where they rest."""

    def __init__(self, job: dict[str, Any], memory_bytes: int, seconds: float) -> None:
        self._job, self._memory_bytes, self._seconds = job, memory_bytes, seconds
        self._workers: dict[int, Worker] = {}

    def answer(self, items: Sequence[Item]) -> list[tuple[Item, Answer]]:
        """Every item with its answer. What is left of a batch that ends its worker is done again, one item at a time."""
        answers: list[Answer] = []
        try:
            for found in self._work(items):
                answers.append(found)
        except WorkerGone:
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
        except WorkerGone as gone:
            return {"rejected": {"reason": gone.reason, "detail": str(gone)}}

    def _work(self, items: Sequence[Item]) -> Iterator[Answer]:
        me = threading.get_ident()
        if me not in self._workers:
            self._workers[me] = self._start()
        try:
            # fetched before any clock runs: a slow store is no fault of the decoder. Bytes come one by one (_in_batches)
            fetched = [(None, p()) if callable(p := item.payload) else (p, b"") for item in items]
            yield from self._workers[me].work(self._job, fetched, self._seconds)
        except WorkerGone:
            self._workers.pop(me).close()
            raise

    def _start(self) -> Worker:
        try:
            return STAFF.take(self._memory_bytes)
        except EngineError:  # a kernel short of memory kills whoever comes last; what is wrong for good fails again
            return STAFF.take(self._memory_bytes)

    def close(self) -> None:
        for worker in self._workers.values():
            STAFF.give_back(worker)


class Engine:
    """Decoding workers: parallelism over images inside a step, each image under memory and time limits."""

    def __init__(self, *, workers: int = 0, memory_bytes: int = 2_000_000_000, seconds: float = 20.0) -> None:
        """`workers` 0 means one a core; `memory_bytes` is the address space of one, `seconds` what one image may take."""
        self.threads = workers or os.cpu_count() or 1
        self._memory_bytes, self._seconds = memory_bytes, seconds

    def alone(self, *, patience: float = 1.0) -> "Engine":
        """The same limits with a single worker, for a thread that is itself one of several; so many times as patient."""
        return Engine(workers=1, memory_bytes=self._memory_bytes, seconds=self._seconds * patience)

    def begin(self) -> None:
        """Start the workers, if none rest, and do not wait for them: to be called before what can be done meanwhile."""
        STAFF.begin(self._memory_bytes, self.threads)

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


def _in_batches(items: Iterable[Item], threads: int) -> Iterator[list[Item]]:
    """Paths in batches that grow, and shrink at the end; bytes one by one, so that a worker never holds more than one image."""
    for are_fetched, some in groupby(items, key=lambda item: callable(item.payload)):
        growing = (min(LARGEST_BATCH, LEAST_BATCH << number // threads) for number in count())
        yield from _cut(some, repeat(1) if are_fetched else growing, threads)


def _cut(items: Iterator[Item], sizes: Iterable[int], threads: int) -> Iterator[list[Item]]:
    """Batches of these sizes while there is as much for every thread, then of what is left an even share."""
    ahead: list[Item] = []
    for size in sizes:
        ahead += islice(items, size * threads - len(ahead))
        if not ahead:
            return
        share = min(size, max(LEAST_BATCH, -(-len(ahead) // threads)))
        yield ahead[:share]
        del ahead[:share]
