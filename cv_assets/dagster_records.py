"""Dagster's records on local disk, kept open while this process writes to them.

Dagster makes a new SQLAlchemy engine and opens its SQLite file anew for every event. SQLite, on closing the last connection
to a file, flushes it and deletes its log: a run of the line flushed 3,200 times and deleted 2,500 files, more than it does
for the version itself. And a new engine has every statement yet to compile: a quarter of a run's CPU time.
"""

import atexit
import threading
from collections import OrderedDict
from typing import Any, Final

import dagster as dg
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from sqlalchemy import QueuePool, create_engine, event
from sqlalchemy.engine import Engine

# a run has a file of its own, beside three that all share; a backfill makes one run after another
KEPT_OPEN: Final = 8
_kept: OrderedDict[str, Engine] = OrderedDict()
_alone = threading.Lock()


class _KeptPool(QueuePool):
    """One connection that stays open, though Dagster disposes of an engine after each event; more at a time are closed."""

    def dispose(self) -> None:
        pass

    def recreate(self) -> "_KeptPool":
        return self


def keep_records_open() -> None:
    """Keep open, from now on, what Dagster opens of SQLite; calling it again changes nothing."""
    for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        vars(module)["create_engine"] = kept_engine  # there is no setting for it
    atexit.unregister(_close)
    atexit.register(_close)


def are_files_here(instance: dg.DagsterInstance) -> bool:
    """Are the records files of this machine, so that whoever wrote them was a process of it?"""
    return isinstance(instance.run_storage, sqlite_run_storage.SqliteRunStorage)


def kept_engine(url: str, *, connect_args: dict[str, Any] | None = None, **_: Any) -> Engine:
    """The engine of a file, in the place of SQLAlchemy's function: made once, and let go of when others were used since."""
    with _alone:
        if url not in _kept:
            made = create_engine(
                url, poolclass=_KeptPool, pool_size=1, max_overflow=-1, connect_args=connect_args or {}
            )
            event.listen(made, "checkout", _on_checkout)
            _kept[url] = made
        _kept.move_to_end(url)
        if len(_kept) > KEPT_OPEN:
            _let_go(_kept.popitem(last=False)[1])
        return _kept[url]


def _on_checkout(connection: Any, record: Any, _proxy: Any) -> None:
    """Flush less where there is a write-ahead log: a power cut may take the last events of its run, and tears nothing."""
    if "has_log" not in record.info and connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        connection.execute("PRAGMA synchronous = NORMAL")
        record.info["has_log"] = True


def _close() -> None:
    while _kept:
        _let_go(_kept.popitem()[1])


def _let_go(engine: Engine) -> None:
    assert isinstance(engine.pool, QueuePool)
    QueuePool.dispose(engine.pool)
