"""Progress of long work: a bar on the terminal of the command that does it, and counts in the log of the run.

While a step runs, Dagster has put stderr into a file, and no step can tell whether a person watches. So a command says where
its terminal is before it begins, and a copy of that descriptor is kept.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO, TypeVar

LOG_EVERY_SECONDS: Final = 10.0
Thing = TypeVar("Thing")
_watched: Final[list[TextIO]] = []


@contextmanager
def bars_on(descriptor: int | None) -> Iterator[None]:
    """Meanwhile bars are shown there, by any thread, if it is a terminal."""
    if descriptor is None or not os.isatty(descriptor):
        yield
        return
    with os.fdopen(os.dup(descriptor), "w") as terminal:
        _watched.append(terminal)
        try:
            yield
        finally:
            _watched.remove(terminal)


def bars_descriptor() -> int | None:
    """Where bars are shown, for a process that is to show them, too."""
    return _watched[-1].fileno() if _watched else None


def track(
    things: Iterable[Thing], total: int, *, label: str, log: Callable[[str], None] | None = None
) -> Iterator[Thing]:
    """The same things, while progress is shown. `log` takes one line."""
    began = said = time.monotonic()
    done = 0
    for done, thing in enumerate(_with_bar(things, total, label), start=1):
        yield thing
        if log and (now := time.monotonic()) - said > LOG_EVERY_SECONDS:
            said = now
            log(f"{label}: {done} of {total}, {done / (now - began):.0f} a second")
    if log and done:
        log(f"{label}: {done} done in {time.monotonic() - began:.1f} s")


def _with_bar(things: Iterable[Thing], total: int, label: str) -> Iterable[Thing]:
    if not (_watched and total):
        return things
    from tqdm import tqdm  # noqa: PLC0415 - a command that shows no bar need not wait for it

    return tqdm(things, total=total, desc=label, unit="", leave=False, file=_watched[-1])
