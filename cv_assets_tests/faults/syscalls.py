"""Stops a process at every file system call that touches a store, and lets a judge decide: go on, fail, or die.

It rests on seccomp's user notifications (Linux 5.5): the watched process installs a filter on itself, and a thread here
answers for it. Calls are numbered across all threads in the order in which they happen, which strace's `inject=…:when=N`
does for each thread alone; and a call costs 0.1 ms where strace stops the process at every call of any kind.
"""

import ctypes
import errno
import fcntl
import functools
import os
import platform
import select
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from resources.settings import PROJECT_ROOT

# name → number on x86-64 and on aarch64, how its paths are given; a descriptor argument is `fd`, a path `path`
_CALLS: Final[dict[str, tuple[int, int | None, tuple[str, ...]]]] = {
    "write": (1, 64, ("fd",)),
    "pwrite64": (18, 68, ("fd",)),
    "fsync": (74, 82, ("fd",)),
    "fdatasync": (75, 83, ("fd",)),
    "syncfs": (306, 267, ("fd",)),
    "rename": (82, None, ("path", "path")),
    "renameat": (264, 38, ("at", "at")),
    "renameat2": (316, 276, ("at", "at")),
    "link": (86, None, ("path", "path")),
    "linkat": (265, 37, ("at", "at")),
    "unlink": (87, None, ("path",)),
    "unlinkat": (263, 35, ("at",)),
    "mkdir": (83, None, ("path",)),
    "mkdirat": (258, 34, ("at",)),
}
FLUSHES: Final = ("fsync", "fdatasync", "syncfs")
NAMINGS: Final = ("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat")
WRITES: Final = ("write", "pwrite64")
_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_SECCOMP, _PIDFD_GETFD = {"x86_64": (317, 438), "aarch64": (277, 438)}.get(platform.machine(), (0, 0))
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101  # ioctls: 80 bytes of notification, 24 of answer
_CONTINUE: Final = 1
_libc = ctypes.CDLL(None, use_errno=True)

Verdict = Literal["die", "short"] | int | None  # an int is the errno that the call fails with; None lets it happen


@dataclass(frozen=True, slots=True)
class Call:
    """One call on a path of the store: its number from 1, the base name of the call, and its paths."""

    number: int
    name: str
    paths: tuple[Path, ...]

    @property
    def kind(self) -> str:
        """`rename` for renameat2, and so on."""
        return self.name.removesuffix("2").removesuffix("at").removesuffix("64")


Judge = Callable[[Call], Verdict]


@functools.cache
def why_not() -> str | None:
    """Why processes cannot be watched here, or None if they can."""
    if platform.machine() not in _MACHINES or os.uname().sysname != "Linux":
        return f"seccomp's user notifications are not tried on {os.uname().sysname} {platform.machine()}"
    attempt = "from cv_assets_tests.faults.syscalls import FLUSHES, watch_me; watch_me(FLUSHES)"
    done = subprocess.run(
        [sys.executable, "-c", attempt], capture_output=True, text=True, check=False, cwd=PROJECT_ROOT
    )
    return f"one process cannot watch another by seccomp: {done.stderr[-200:].strip()}" if done.returncode else None


def watch_me(names: Sequence[str]) -> int:
    """Install the filter on this process; the descriptor that is returned belongs to the one who watches. No way back."""
    column, arch = _MACHINES[platform.machine()]
    numbers = [number for name in names if (number := _CALLS[name][column]) is not None]
    program = [(_LOAD, 0, 0, 4), (_JUMP_IF_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _ALLOW), (_LOAD, 0, 0, 0)]
    program += [(_JUMP_IF_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    program += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    new_privileges, filter_mode, new_listener = 38, 1, 8
    if _libc.prctl(new_privileges, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS failed")
    descriptor = _libc.syscall(_SECCOMP, filter_mode, new_listener, described)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), f"seccomp failed: {os.strerror(ctypes.get_errno())}")
    return descriptor


class Watch:
    """The other end: asks `judge` about every call on a path below `root`, until the watched processes are gone."""

    def __init__(self, descriptor: int, pid: int, root: Path, judge: Judge) -> None:
        self.calls: list[Call] = []
        self.failure: BaseException | None = None
        self._descriptor, self._pid, self._root, self._judge = descriptor, pid, root, judge
        self._names = {entry[_MACHINES[platform.machine()][0]]: name for name, entry in _CALLS.items()}
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end; raises what the judge raised."""
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        try:
            while not any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll()):
                self._answer_one()
        except BaseException as error:  # noqa: BLE001 - told by `join`; a judge that fails must not leave anybody hanging
            self.failure = error
            os.kill(self._pid, signal.SIGKILL)
        finally:
            os.close(self._descriptor)

    def _answer_one(self) -> None:
        asked = bytearray(80)
        try:
            fcntl.ioctl(self._descriptor, _RECEIVE, asked)
            number, task, _, call, _, _, *arguments = struct.unpack("QIIiIQ6Q", asked)
            paths = self._paths(task, _CALLS[self._names[call]][2], arguments)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.EINTR, errno.ESRCH}:
                return  # the caller was killed meanwhile
            raise
        value, failed, flags = 0, 0, _CONTINUE
        if any(path.is_relative_to(self._root) for path in paths):
            self.calls.append(Call(len(self.calls) + 1, self._names[call], paths))
            verdict = self._judge(self.calls[-1])
            if verdict == "die":
                os.kill(self._pid, signal.SIGKILL)
                return  # the kernel takes the call back
            if verdict == "short":
                value, flags = self._write_half(task, arguments), 0
            elif verdict is not None:
                failed, flags = -verdict, 0
        try:
            fcntl.ioctl(self._descriptor, _ANSWER, bytearray(struct.pack("QqiI", number, value, failed, flags)))
        except FileNotFoundError:
            return

    def _paths(self, task: int, kinds: tuple[str, ...], arguments: list[int]) -> tuple[Path, ...]:
        found: list[Path] = []
        for kind in kinds:
            if kind == "fd":
                found.append(Path(f"/proc/{task}/fd/{arguments[0]}").readlink())
                continue
            at_folder = ctypes.c_int(arguments.pop(0)).value if kind == "at" else -100
            base = Path(f"/proc/{task}", "cwd" if at_folder == -100 else f"fd/{at_folder}")
            found.append(base.readlink() / _text_at(task, arguments.pop(0)))
        return tuple(found)

    def _write_half(self, task: int, arguments: list[int]) -> int:
        """Do half of a write in the caller's place, through its own descriptor."""
        data = _memory(task, arguments[1], arguments[2])
        process = os.pidfd_open(self._pid)
        theirs = _libc.syscall(_PIDFD_GETFD, process, arguments[0], 0)
        try:
            return os.write(theirs, data[: max(1, len(data) // 2)])
        finally:
            os.close(theirs)
            os.close(process)


def _memory(task: int, address: int, size: int) -> bytes:
    with Path(f"/proc/{task}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(size)


def _text_at(task: int, address: int) -> str:
    text = b""
    while b"\0" not in text and len(text) < 1 << 13:
        # never across a page that may not be there
        text += _memory(task, address + len(text), 4096 - (address + len(text)) % 4096)
    return os.fsdecode(text.split(b"\0", 1)[0])
