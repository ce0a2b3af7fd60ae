"""A guard for tests of hostile files."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

GUARDED = ("open", "socket.", "os.system", "os.exec", "os.posix_spawn", "subprocess.", "urllib.", "ctypes.dlopen")


class _Guard:
    """An audit hook cannot be taken away again, so there is one, and it can be switched."""

    is_on = False
    is_placed = False
    seen: tuple[str, ...] = ()

    def hook(self, event: str, arguments: object) -> None:
        if self.is_on and event.startswith(GUARDED) and not str(arguments).endswith(("rb', 524288)", ".pyc')")):
            self.seen += (f"{event} {arguments}",)

    @contextmanager
    def switched_on(self) -> Iterator[None]:
        if not self.is_placed:
            sys.addaudithook(self.hook)
            self.is_placed = True
        self.is_on, self.seen = True, ()
        try:
            yield
        finally:
            self.is_on = False
        assert self.seen == ()


_GUARD = _Guard()


@pytest.fixture
def forbid_opening() -> AbstractContextManager[None]:
    """Within it nothing may open a file or a socket, or start a program."""
    return _GUARD.switched_on()
