"""A one-disk Ceph with its S3 gateway (RGW) on loopback: a real S3 server for the length of one process.

Nothing is mocked here, and nothing outlives the process: the three daemons get SIGKILL when it dies, however it dies.
"""

import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Final

from cv_assets_tests.servers.ports import free_port

PROGRAMS: Final = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool", "setpriv")
START_SECONDS: Final = 60.0
_GLOBAL: Final = {
    # one machine, one user, no secrets between the daemons
    "auth cluster required": "none",
    "auth service required": "none",
    "auth client required": "none",
    "auth allow insecure global id reclaim": "false",
    "public addr": "127.0.0.1",
    "cluster addr": "127.0.0.1",
    "ms bind ipv6": "false",
    "ms bind msgr2": "false",
    "admin socket": "",
    "pid file": "",
    # one disk: a single copy of everything, in pools of one group
    "osd pool default size": "1",
    "osd pool default min size": "1",
    "osd pool default pg num": "1",
    "osd pool default pgp num": "1",
    "osd pool default pg autoscale mode": "off",
    "osd crush chooseleaf type": "0",
    "osd crush update on start": "false",
    "osd class update on start": "false",
    "mon allow pool size one": "true",
    "mon max pg per osd": "1000",
    "mon data avail crit": "0",
    # a monitor with nobody to agree with need not wait
    "paxos propose interval": "0.02",
    "paxos min wait": "0.01",
    "mon tick interval": "1",
}


class CephNotStarted(Exception):
    """A part of Ceph did not start; the message ends with what it said last."""


def is_installed() -> bool:
    """Are the gateway, the monitor and the object daemon on this machine?"""
    return all(shutil.which(program) for program in PROGRAMS)


class Ceph:
    """Monitor, object daemon and gateway, with one S3 user."""

    def __init__(self, *, access_key: str, secret_key: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ceph-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._conf = self.folder / "ceph.conf"
        self._daemons: list[subprocess.Popen[bytes]] = []
        try:
            self._start(access_key, secret_key)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the daemons and remove what they wrote."""
        for daemon in reversed(self._daemons):
            daemon.kill()
            daemon.wait()
        self._daemons.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, access_key: str, secret_key: str) -> None:
        cluster, disk = str(uuid.uuid4()), str(uuid.uuid4())
        monitor = f"v1:127.0.0.1:{free_port()}"
        self._configure(cluster, monitor)
        monmap = str(self.folder / "monmap")
        self._run("monmaptool", "--create", "--fsid", cluster, "--addv", "a", f"[{monitor}]", monmap, configured=False)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        self._serve("ceph-mon", "-i", "a")
        self._run("ceph", "osd", "new", disk)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        self._run("ceph", "osd", "crush", "add", "osd.0", "1.0", "root=default")
        self._serve("ceph-osd", "-i", "0")
        self._serve("radosgw", "-n", "client.admin")
        self._wait_for_answer()
        keys = ("--access-key", access_key, "--secret-key", secret_key)
        self._run("radosgw-admin", "user", "create", "--uid", "tests", "--display-name", "tests", *keys)

    def _configure(self, cluster: str, monitor: str) -> None:
        here = self.folder
        for name in ("mon", "osd", "rgw", "run", "log"):
            (here / name).mkdir()
        (here / "keyring").touch()
        sections = {
            "global": {
                "fsid": cluster,
                "mon host": monitor,
                "keyring": here / "keyring",
                "run dir": here / "run",
                "crash dir": here / "log",
                "log file": here / "log" / "$name.log",
                **_GLOBAL,
            },
            "mon.a": {"mon data": here / "mon"},
            "osd": {
                "osd data": here / "osd",
                # in memory: nothing is to outlive the daemons, and on a disk a put takes three times as long
                "osd objectstore": "memstore",
                "memstore device bytes": 10 << 30,
                "osd class load list": "*",
                "osd class default list": "*",
            },
            "client": {
                "rgw frontends": f"beast endpoint=127.0.0.1:{self.port} tcp_nodelay=1",
                "rgw data": here / "rgw",
                "rgw run sync thread": "false",
                "rgw dynamic resharding": "false",
                "rgw override bucket index max shards": 1,
            },
        }
        lines = [
            line
            for section, settings in sections.items()
            for line in (f"[{section}]", *(f"{name} = {value}" for name, value in settings.items()))
        ]
        self._conf.write_text("\n".join(lines) + "\n")

    def _run(self, program: str, *arguments: str, configured: bool = True) -> None:
        where = ("-c", str(self._conf)) if configured else ()
        done = subprocess.run(
            [program, *where, *arguments], capture_output=True, text=True, check=False, timeout=START_SECONDS
        )
        if done.returncode != 0:
            raise CephNotStarted(f"{program} {arguments[0]} ended with {done.returncode}: {done.stderr[-500:]}")

    def _serve(self, program: str, *arguments: str) -> None:
        command = ["setpriv", "--pdeathsig", "KILL", program, "-c", str(self._conf), *arguments, "-f"]
        with (self.folder / "log" / f"{program}.out").open("wb") as out:
            self._daemons.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out))

    def _wait_for_answer(self) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            if gone := [daemon.args for daemon in self._daemons if daemon.poll() is not None]:
                raise CephNotStarted(f"{gone} ended; {self._last_words()}")
            try:
                urllib.request.urlopen(self.url, timeout=5).close()
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                if time.monotonic() > end:
                    raise CephNotStarted(f"no answer from {self.url}; {self._last_words()}") from error
                time.sleep(0.05)
            else:
                return

    def _last_words(self) -> str:
        return " | ".join(path.read_text(errors="replace")[-300:] for path in sorted(self.folder.glob("log/*.out")))
