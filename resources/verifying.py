"""Says whether every object of a version is what its commit record names. The looking is done by a process of its own.

A parser that meets odd bytes can end its process by a signal; here that is one more finding, told by the object's name.
"""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from resources.inspecting import Inspection, Scope
from resources.progress import bars_descriptor
from resources.reading_back import CURES
from resources.versions import VersionStore
from schemas import errors
from schemas.errors import ConfigurationError, StoreError
from schemas.releases import ObjectRole
from schemas.upkeep import Problem, VerifyReport

COMMAND: Final = (sys.executable, "-m", "resources.inspecting")
MOST_DEATHS: Final = 20
ROLES: Final[dict[str, ObjectRole]] = {"tables": "table", "report": "report"}
_ROOT: Final = Path(__file__).resolve().parent.parent


def verify_version(
    version: VersionStore, *, read_data: bool = False, sample: float | None = None, seed: int = 0
) -> VerifyReport:
    """Look at every object that a committed version names: is it there, with its size, and is its table the right one.

    With `read_data` all objects, or a `sample` of them (a share, chosen by `seed`), are read and hashed. Raises
    ConfigurationError for an open version or a sample that is no share, StoreUnavailable, StoreRefused.
    """
    if sample is not None and not read_data:
        raise ConfigurationError("expected --read-data with --sample, which says how much is read; add it")
    if sample is not None and not 0 < sample <= 1:
        raise ConfigurationError(f"expected a sample above 0 and at most 1 of the objects to read, found {sample:g}")
    scope = Scope(read_data=read_data, sample=sample, seed=seed)
    if version.store.url.startswith("memory:"):  # no other process can see it
        seen = Inspection(version, scope, lambda _: None).run()
        found = {**asdict(seen), "problems": seen.problems}
    else:
        found = _look(version, scope)
    return VerifyReport(
        dataset=version.dataset, version=version.version, read_data=read_data, sample=sample, seed=seed, **found
    )


def _look(version: VersionStore, scope: Scope) -> dict[str, Any]:
    """What the process found; one that dies is started again without the object that ended it."""
    deaths: list[Problem] = []
    while len(deaths) <= MOST_DEATHS:
        done, begun, signal = _look_once(version, scope)
        if done is not None:
            return {**done, "problems": [*deaths, *done["problems"]]}
        if len(begun) == 1:
            deaths.append(_death(begun[0], signal))
            scope = replace(scope, skipped=(*scope.skipped, begun[0]))
        elif not scope.one_by_one:
            scope = replace(scope, one_by_one=True)
        else:
            break
    raise StoreError(
        f"verifying {version.dataset}@{version.version} was ended by signal {signal} again and again; "
        "is there enough memory? Run again, or verify a --sample"
    )


def _look_once(version: VersionStore, scope: Scope) -> tuple[dict[str, Any] | None, list[str], int]:
    """What one process found, else what it had begun when it died, and the signal."""
    asked = {"store": version.store.url, "dataset": version.dataset, "version": version.version, "scope": asdict(scope)}
    asked["terminal"] = terminal = bars_descriptor()
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        COMMAND, input=json.dumps(asked) + "\n", capture_output=True, text=True, check=False, cwd=_ROOT,
        pass_fds=[] if terminal is None else [terminal],
    )  # fmt: skip
    begun: list[str] = []
    for line in done.stdout.splitlines():
        said = json.loads(line)
        if "error" in said:
            raise getattr(errors, said["error"])(said["message"])
        if "done" in said:
            return said["done"], [], 0
        if "begin" in said:
            begun.append(said["begin"])
        else:
            begun.remove(said["end"])
    if done.returncode >= 0:  # not a signal: a fault of ours, which keeps its traceback
        raise RuntimeError(f"{' '.join(COMMAND)} ended with status {done.returncode}:\n{done.stderr}")
    return None, begun, -done.returncode


def _death(key: str, signal: int) -> Problem:
    """The finding about an object that ended the process; its role is told by where it lies."""
    # datasets/NAME/versions/VERSION/FOLDER/…
    folder = key.split("/")[4] if key.startswith("datasets/") else ""
    role = "blob" if key.startswith("blobs/") else ROLES.get(folder, "shard")
    return Problem(
        key=key,
        sha256=key.rsplit("/", 1)[-1] if role == "blob" else None,
        role=role,
        problem="unreadable",
        expected="an object that can be read",
        found=f"reading it ended the process by signal {signal}",
        cure=CURES[role],
    )
