"""Kinds of failure and what follows from each: what may pass is tried again, all else ends the step at once.

Errors know their kind (schemas.errors.TRANSIENT); here the kinds meet Dagster's retry policy. A step whose process was
killed is tried again by the same policy, where steps have processes of their own.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import dagster as dg
import polars as pl

from resources.configured import TableIOManager
from schemas.errors import TRANSIENT

# Short, as each try has already lasted for the deadline of store and source, two minutes: so it is six in all.
RETRY: Final = dg.RetryPolicy(max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


class Stopped(dg.DagsterError, KeyboardInterrupt):
    """Somebody ended the run. For a bare interrupt Dagster's policy begins the step again, as if its machine were lost."""


@contextmanager
def told_apart() -> Iterator[None]:
    """Let through what may pass, for the retry policy; all else becomes a Failure that no policy tries again."""
    try:
        yield
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        raise Stopped("the run was ended; what was done stays, and another one goes on from there") from None
    except (*TRANSIENT, dg.Failure, dg.RetryRequested):
        raise
    except Exception as error:
        # a bug, a full disk, bad data: the next try would meet the same
        raise dg.Failure(f"{type(error).__name__}: {error}", allow_retries=False) from error


def tell_apart(compute: Callable[..., Any]) -> Callable[..., Any]:
    """The body of an asset with its errors told apart; its arguments stay as Dagster reads them."""

    @functools.wraps(compute)
    def told(*args: Any, **kwargs: Any) -> Any:
        with told_apart():
            return compute(*args, **kwargs)

    return told


class RetryingTables(TableIOManager):
    """Tables whose errors are told apart, as those of the assets are: loading and storing is part of a step too."""

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        with told_apart():
            super().handle_output(context, obj)

    def load_input(self, context: dg.InputContext) -> pl.DataFrame:
        with told_apart():
            return super().load_input(context)
