"""Ports of loopback for the servers that tests start."""

import errno
import random
import socket
from typing import Final

# Linux gives ports from 32768 on to connections that go out: one of those could take a port between the look and its use.
_CHOICE: Final = range(20_000, 32_000)
_CHANCE: Final = random.SystemRandom()  # the generator of a test run is seeded alike in each of its workers


def free_port() -> int:
    """A port that nobody listens on now; as Linux is set by default, it gives it to nobody who does not ask for just that one."""
    while True:
        port = _CHANCE.choice(_CHOICE)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                raise
            return port
