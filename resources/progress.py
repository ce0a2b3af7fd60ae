"""Progress of long work: a bar where a person watches, counts in the run's log where nobody does."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from tqdm import tqdm

LOG_EVERY_SECONDS: Final = 10.0
Thing = TypeVar("Thing")


def track(things: Iterable[Thing], total: int, *, label: str, log: Callable[[str], None]) -> Iterator[Thing]:
    """The same things, while progress is shown. `log` takes one line."""
    if sys.stderr.isatty():
        yield from tqdm(things, total=total, desc=label, unit="", leave=False)
        return
    began = said = time.monotonic()
    done = 0
    for done, thing in enumerate(things, start=1):
        yield thing
        if (now := time.monotonic()) - said > LOG_EVERY_SECONDS:
            said = now
            log(f"{label}: {done} of {total}, {done / (now - began):.0f} a second")
    if done:
        log(f"{label}: {done} done in {time.monotonic() - began:.1f} s")
