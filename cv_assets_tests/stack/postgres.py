"""A PostgreSQL server of a test's own: on loopback, with a password, gone when the test is over."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_SECONDS = 30.0
BINARIES = ("initdb", "postgres", "createdb")


def find_binaries() -> Path | None:
    """Folder of the newest PostgreSQL that is installed whole, or None. Debian keeps it off the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    folders = [*versions, *([Path(on_path).parent] if on_path else [])]
    return next((f for f in folders if all((f / name).exists() for name in BINARIES)), None)


@contextmanager
def running_postgres(binaries: Path, *, port: int, user: str, password: str, database: str) -> Iterator[None]:
    """An empty database that takes the password alone, at `port` of loopback."""
    # PostgreSQL refuses to run as root, and its user cannot enter pytest's folders
    as_user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        data, log = Path(folder) / "data", Path(folder) / "log"
        password_file = Path(folder) / "password"
        password_file.write_text(password)
        if as_user:
            for path in (folder, password_file):
                shutil.chown(path, "postgres", "postgres")
        subprocess.run(
            [
                *(binaries / "initdb", "-D", data, "-U", user, f"--pwfile={password_file}", "--auth=scram-sha-256"),
                *("--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            cwd=folder,
            check=True,
            capture_output=True,
            **as_user,
        )
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
        options = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        with log.open("wb") as output:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, *options], cwd=folder, stdout=output, stderr=output, **as_user
            )
        try:
            _create_database(binaries, log, port=port, user=user, password=password, database=database)
            yield
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _create_database(binaries: Path, log: Path, *, port: int, user: str, password: str, database: str) -> None:
    command = [binaries / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", user, database]
    deadline = time.monotonic() + START_SECONDS
    while True:
        tried = subprocess.run(
            command, env={"PGPASSWORD": password}, capture_output=True, text=True, timeout=START_SECONDS, check=False
        )
        if tried.returncode == 0:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"PostgreSQL did not start: {tried.stderr}\n{log.read_text()}")
        time.sleep(0.1)
