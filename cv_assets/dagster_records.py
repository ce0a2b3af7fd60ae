"""Dagster's records on local disk, kept open while this process writes to them.

Dagster opens its SQLite files anew for every event, and SQLite, on closing the last connection to a file, flushes it and
deletes its log: a run of the line flushed 3,200 times and deleted 2,500 files, more than it does for the version itself.
"""

import atexit
import sqlite3
import threading
from collections import OrderedDict
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Engine

# a run has a file of its own, beside two that all share; a backfill makes one run after another
KEPT_OPEN: Final = 8
_kept: OrderedDict[str, sqlite3.Connection] = OrderedDict()
_alone = threading.Lock()


def keep_records_open() -> None:
    """Keep open, from now on, what Dagster opens of SQLite; calling it again changes nothing."""
    if not event.contains(Engine, "connect", _on_connect):
        event.listen(Engine, "connect", _on_connect)
        atexit.register(_close)


def _on_connect(connection: Any, _record: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):  # of Postgres
        return
    with _alone:  # none is closed while another thread opens it
        is_kept = _keep(connection.execute("PRAGMA database_list").fetchone()[2], connection)
    if is_kept:
        # a power cut may then take the last events of the run that it cuts; with a write-ahead log it tears nothing
        connection.execute("PRAGMA synchronous = NORMAL")


def _keep(path: str, connection: sqlite3.Connection) -> bool:
    """Keep a file open that has a write-ahead log, and let go of the one that was not opened for longest."""
    if path in _kept:
        _kept.move_to_end(path)
        return True
    if not path or connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        return False
    _kept[path] = sqlite3.connect(path, check_same_thread=False)
    _kept[path].execute("SELECT count(*) FROM sqlite_master").fetchone()  # its log is held from the first read on
    if len(_kept) > KEPT_OPEN:
        _kept.popitem(last=False)[1].close()
    return True


def _close() -> None:
    while _kept:
        _kept.popitem()[1].close()
