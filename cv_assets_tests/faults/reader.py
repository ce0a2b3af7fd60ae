"""A reader that trusts nobody: it starts from the commit record, never lists, and checks every byte that is named.

It knows the layout of a store and uses none of the project's code, so that a mistake there is not a mistake here too.
"""

import hashlib
import io
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

SHORTEST_PAUSE_SECONDS: Final = 0.005
Read = Callable[[str], bytes | None]


class Partial(Exception):
    """A version can be seen that is not whole."""


def read_below(root: Path) -> Read:
    """Reads keys of a store on local disk."""

    def read(key: str) -> bytes | None:
        try:
            return (root / key).read_bytes()
        except FileNotFoundError:
            return None

    return read


def seen_version(read: Read, dataset: str, version: str) -> str | None:
    """Digest of a committed version all of whose bytes are there, or None while there is no commit record.

    Raises Partial if anything that the record names is missing, short or altered, or if `latest` names what is not there.
    """
    newest = _json(read, f"datasets/{dataset}/refs/latest/00000001.json")
    record = _json(read, f"datasets/{dataset}/versions/{version}/COMMIT.json")
    if record is None:
        if newest is not None and newest["version"] == version:
            raise Partial(f"latest names {version}, which has no commit record")
        return None
    tables: dict[str, bytes] = {}
    for entry in record["objects"]:
        data = _whole(read, entry["key"], entry["sha256"], entry["size_bytes"])
        if entry["role"] == "table":
            tables[entry["key"].rsplit("/", 1)[-1].split("-")[0]] = data
    raw_images = pq.read_table(io.BytesIO(tables["raw_images"]), columns=["sha256", "size_bytes"]).to_pylist()
    for row in raw_images:
        if row["sha256"] is not None:
            _whole(read, f"blobs/sha256/{row['sha256'][:2]}/{row['sha256']}", row["sha256"], row["size_bytes"])
    return record["digest"]


def named_keys(read: Read, dataset: str, version: str) -> list[str]:
    """The commit record's own key, those it names, and the blobs."""
    commit = f"datasets/{dataset}/versions/{version}/COMMIT.json"
    record = _json(read, commit)
    assert record is not None
    keys = [entry["key"] for entry in record["objects"]]
    (table,) = (key for key in keys if "/raw_images-" in key)
    hashes = pq.read_table(io.BytesIO(read(table) or b""), columns=["sha256"])["sha256"].to_pylist()
    return [commit, *keys, *(f"blobs/sha256/{sha256[:2]}/{sha256}" for sha256 in hashes if sha256)]


def _whole(read: Read, key: str, sha256: str, size_bytes: int) -> bytes:
    data = read(key)
    if data is None:
        raise Partial(f"{key} is named and not there")
    if len(data) != size_bytes or hashlib.sha256(data).hexdigest() != sha256:
        raise Partial(f"{key} is named with {size_bytes} bytes and holds {len(data)} others")
    return data


def _json(read: Read, key: str) -> Any:
    data = read(key)
    try:
        return None if data is None else json.loads(data)
    except ValueError as error:
        raise Partial(f"{key} is cut short: {data!r:.80}") from error


class Poller:
    """Reads a version again and again while something happens to it; `faults` holds what it should not have seen."""

    def __init__(self, read: Read, dataset: str, version: str) -> None:
        self.polls, self.digests = 0, set[str]()
        self.faults: dict[str, None] = {}  # each once, in the order in which they were seen
        self._what = (read, dataset, version)
        self._turn, self._done = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Poller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.poll()

    def poll(self) -> None:
        """Read once, now."""
        with self._turn:
            self.polls += 1
            try:
                digest = seen_version(*self._what)
            except Partial as error:
                self.faults[str(error)] = None
                return
            if digest is not None:
                self.digests.add(digest)
            elif self.digests:
                self.faults["a version that was there is gone"] = None

    def _run(self) -> None:
        pause = SHORTEST_PAUSE_SECONDS
        while not self._done.wait(pause):
            begin = time.monotonic()
            self.poll()
            # as long as the look took: a reader that looks without end takes from the publish that it looks at
            pause = max(SHORTEST_PAUSE_SECONDS, time.monotonic() - begin)
