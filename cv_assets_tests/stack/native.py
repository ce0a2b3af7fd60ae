"""Runs services of docker-compose.yml as processes of this machine: its commands, its health checks, its order.

What a container would give them, image, network and volumes, is replaced by folders and free ports.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from cv_assets_tests.stack.compose_file import built_services, interpolate, is_one_shot, read_compose

START_SECONDS = 120.0
STOP_SECONDS = 30.0
HEALTH_SECONDS = 30.0
LOG_TAIL_LINES = 30


@dataclass
class NativeStack:
    """The services that run our image, below `folder`. `places` says what stands for a container's paths and ports."""

    folder: Path
    places: Mapping[str, str]
    settings: Mapping[str, str]
    environment: Mapping[str, str]
    compose: Mapping[str, Any] = field(default_factory=read_compose)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self) -> None:
        """Start every service once those it needs are ready. Raises TimeoutError or RuntimeError with the logs."""
        services = built_services(self.compose)
        order = TopologicalSorter({n: services.keys() & s["depends_on"].keys() for n, s in services.items()})
        order.prepare()
        deadline = time.monotonic() + START_SECONDS
        while order.is_active():
            names = order.get_ready()
            for name in names:
                self._start_one(name)
            for name in names:
                self._wait_until_ready(name, deadline)
                order.done(name)

    def stop(self) -> list[str]:
        """Ask the services to end, the last first, and return the names of those that had to be killed."""
        killed = []
        for name, process in reversed(self.processes.items()):
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                killed.append(name)
            kill_group(process)
        return killed

    def is_healthy(self, name: str) -> bool:
        """Whether the service's own health check passes."""
        kind, *command = self._service(name)["healthcheck"]["test"]
        assert kind == "CMD"
        command, env = self._translate(command), self._environment(name)
        with (self.folder / f"{name}.health.log").open("ab") as log:
            try:
                subprocess.run(command, env=env, stdout=log, stderr=log, timeout=HEALTH_SECONDS, check=True)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                return False
        return True

    def logs(self) -> str:
        """The last lines of every log."""
        tails = []
        for path in sorted(self.folder.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
            tails.append("\n".join([f"--- {path.name}", *lines]))
        return "\n".join(tails)

    def _start_one(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                self._translate(self._service(name)["command"]),
                cwd=self.folder,
                env=self._environment(name),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait_until_ready(self, name: str, deadline: float) -> None:
        process, ends = self.processes[name], is_one_shot(name, self.compose)
        while time.monotonic() < deadline:
            code = process.poll()
            if code is not None and not (ends and code == 0):
                raise RuntimeError(f"{name} ended with exit code {code}\n{self.logs()}")
            if code == 0 or (not ends and self.is_healthy(name)):
                return
            time.sleep(0.5)
        raise TimeoutError(f"{name} was not ready after {START_SECONDS:.0f} s\n{self.logs()}")

    def _service(self, name: str) -> dict[str, Any]:
        return self.compose["services"][name]

    def _environment(self, name: str) -> dict[str, str]:
        """What the compose file gives the service, and what stands for its image and its network."""
        given = {key: interpolate(value, self.settings) for key, value in self._service(name)["environment"].items()}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**given, "PATH": path, "HOME": str(self.folder), "PYTHONPATH": self.places["/app"], **self.environment}

    def _translate(self, command: list[str]) -> list[str]:
        known = re.compile("|".join(rf"(?<![\w.]){re.escape(place)}(?![\w.])" for place in self.places))
        return [known.sub(lambda found: self.places[found[0]], argument) for argument in command]


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End whatever a service has left behind, and the service."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


@contextmanager
def interruptible() -> Iterator[None]:
    """Children do not inherit an ignored SIGINT, as they would from a background job: Dagster would ignore SIGTERM too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
