"""Publishes in processes that can be watched, paused and killed: the near end of publisher.py."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from cv_assets_tests.faults.syscalls import Judge, Watch
from resources.settings import PROJECT_ROOT

LONGEST_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a publisher is to do. `environment` holds what leads to the store besides its URL."""

    store: str
    uploads: Path
    version: str = "v1"
    do: str = "publish"
    bug: str | None = None
    record: str | None = None
    workers: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)

    def to_json(self, watch: Sequence[str]) -> bytes:
        """As publisher.py takes it."""
        said = {
            "do": self.do,
            "uploads": str(self.uploads),
            "version": self.version,
            "bug": self.bug,
            "record": self.record,
            "workers": self.workers,
            "settings": dict(self.settings),
            "limits": dict(self.limits),
            "environment": {"CV_ASSETS_STORE": self.store, **self.environment},
            "watch": list(watch),
        }
        return json.dumps(said).encode()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a publish ended: published with a digest, failed with the kind of error and its message, or killed."""

    outcome: str
    digest: str | None = None
    kind: str = ""
    message: str = ""


class Publish:
    """A publish under way."""

    def __init__(self, pid: int, channel: socket.socket, listener: int | None) -> None:
        self.pid = pid
        self.watch: Watch | None = None
        self._channel, self._listener = channel, listener

    def begin(self, root: Path | None = None, judge: Judge | None = None) -> "Publish":
        """Let it run, watched if a judge is given."""
        if self._listener is not None:
            self.watch = Watch(self._listener, self.pid, root or Path("/"), judge or (lambda call: None))
        self._channel.sendall(b"g")
        return self

    def kill(self) -> None:
        """SIGKILL, at whatever it is doing."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def wait_until(self, arrived: threading.Event) -> None:
        """Return when it has come so far. Raises AssertionError if it ends before."""
        while not arrived.wait(0.05):
            assert psutil.pid_exists(self.pid), f"it did not come so far: {self.wait()}"

    def wait(self) -> Ending:
        """How it ended. Raises what the judge raised, and AssertionError if the publisher itself is broken."""
        said = b""
        while part := self._receive():
            said += part
        self._channel.close()
        if self.watch is not None:
            self.watch.join()
        ending = Ending(**json.loads(said)) if said else Ending("killed")
        assert ending.outcome != "broken", ending.message
        return ending

    def _receive(self) -> bytes:
        self._channel.settimeout(LONGEST_SECONDS)
        try:
            return self._channel.recv(1 << 16)
        except ConnectionResetError:
            return b""
        except TimeoutError:
            self.kill()
            raise


class Publishers:
    """The process that forks publishes; several can run at a time."""

    def __init__(self) -> None:
        near, far = socket.socketpair()
        environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "POLARS_MAX_THREADS": "2"}
        environment["GX_ANALYTICS_ENABLED"] = "false"  # read at the import, as resources/examiner.py says
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cv_assets_tests.faults.publisher", str(far.fileno())],
            pass_fds=[far.fileno()],
            env=environment,
            cwd=PROJECT_ROOT,
        )
        far.close()
        self._control, self._turn = near, threading.Lock()

    def start(self, order: Order, *, watch: Sequence[str] = ()) -> Publish:
        """A publish that waits for the word to begin."""
        near, far = socket.socketpair()
        with self._turn:
            socket.send_fds(self._control, [order.to_json(watch)], [far.fileno()])
            far.close()
            pid = int.from_bytes(self._control.recv(8), "little")
        _, descriptors, _, _ = socket.recv_fds(near, 1, 1)
        return Publish(pid, near, descriptors[0] if descriptors else None)

    def run(self, order: Order) -> Ending:
        """A publish from beginning to end."""
        return self.start(order).begin().wait()

    def close(self) -> None:
        """End it, and every publish that is still under way."""
        self._control.close()
        self._process.wait(30)


@contextmanager
def publishers() -> Iterator[Publishers]:
    """A process for publishes, ended at the end."""
    made = Publishers()
    try:
        yield made
    finally:
        made.close()
