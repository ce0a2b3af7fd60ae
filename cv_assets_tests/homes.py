"""Dagster homes of tests: in memory where there is room for them.

A run of the line opens and commits to SQLite a thousand times, and on a disk each of these waits for it: up to ten seconds a
run. Stores and uploads stay on the disk, where people have them.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from resources.settings import PROJECT_ROOT

MEMORY: Final = Path("/dev/shm")
ROOM_BYTES: Final = 1 << 30  # a container's 64 MB would be full of some twenty homes


@contextmanager
def dagster_home(folder: Path, name: str = "dagster", *, like: Path | None = None) -> Iterator[Path]:
    """A Dagster home below a folder, as the project ships it or with the runs of another one; gone in the end."""
    with tempfile.TemporaryDirectory(
        prefix="dagster-home-", dir=MEMORY if _is_roomy() else None, ignore_cleanup_errors=True
    ) as made:
        if like is None:
            shutil.copy(PROJECT_ROOT / ".dagster" / "dagster.yaml", made)
        else:
            shutil.copytree(like, made, dirs_exist_ok=True)
        (folder / name).symlink_to(made)
        yield folder / name


def _is_roomy() -> bool:
    return MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
