"""A map over threads that holds a bounded number of items: what reading, probing and packing share."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def bounded_map(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int | None = None
) -> Iterator[Result]:
    """`map(function, items)` in order, on `threads` threads, with at most `ahead` items begun and not yet handed out.

    The first error is raised where its result would have been; what is not begun by then is never begun.
    """
    ahead = 4 * threads if ahead is None else ahead
    with ThreadPoolExecutor(threads) as executor:
        remaining = iter(items)
        begun: deque[Future[Result]] = deque()
        try:
            begun.extend(executor.submit(function, item) for item in islice(remaining, ahead))
            while begun:
                yield begun.popleft().result()
                begun.extend(executor.submit(function, item) for item in islice(remaining, 1))
        finally:
            for future in begun:
                future.cancel()


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter (itertools.batched, which Python 3.11 lacks)."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
