"""A guard for tests of hostile files."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

GUARDED = ("open", "socket.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.", "urllib.")


class _Guard:
    """An audit hook cannot be taken away again, so there is one, and it can be switched."""

    def __init__(self) -> None:
        self.is_on = self.is_placed = False
        self.seen: list[str] = []

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        is_import = event == "open" and str(arguments[0]).endswith((".py", ".pyc", ".so"))
        if self.is_on and event.startswith(GUARDED) and not is_import:
            self.seen.append(f"{event} {arguments}")

    @contextmanager
    def switched_on(self) -> Iterator[None]:
        if not self.is_placed:
            sys.addaudithook(self.hook)
        self.is_on = self.is_placed = True
        self.seen.clear()
        try:
            yield
        finally:
            self.is_on = False
        assert self.seen == []


_GUARD = _Guard()


@pytest.fixture
def forbid_opening() -> AbstractContextManager[None]:
    """Within it nothing may open a file or a socket, or start a program."""
    return _GUARD.switched_on()
