"""What can befall a request on its way to an S3 server, and plans of which request is struck by what."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

Headers = list[tuple[str, str]]
Moment = Literal["before", "midway", "after"]
MOMENTS: Final[tuple[Moment, ...]] = ("before", "midway", "after")


@dataclass(slots=True)
class Request:
    """One request as it came, with its number from 1."""

    number: int
    method: str
    target: str
    headers: Headers
    body: bytes = field(repr=False)

    @property
    def key(self) -> str:
        """Key of the object, without the bucket; empty for a listing."""
        return unquote(urlsplit(self.target).path).lstrip("/").partition("/")[2]

    def header(self, name: str) -> str | None:
        """A header's value."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls one request. Without any field set, nothing does."""

    status: int | None = None  # answered by the proxy, and never seen by the server
    code: str = "ServiceUnavailable"
    kill: Moment | None = None  # the victim dies before the server sees it, midway through a body, or before the reply
    lose_reply: bool = False  # the server acts, and the connection ends
    reset: bool = False  # the connection ends, and the server never sees it
    cut_reply: float | None = None  # this share of the reply's body comes, then the connection ends
    stall_reply: float | None = None  # this share of the reply's body comes, then nothing for `stall_seconds`
    stall_seconds: float = 60.0
    pace: tuple[int, float] | None = None  # the reply's body comes by so many bytes, with so many seconds after each
    flip_reply: bool = False
    flip_upload: bool = False
    hold: threading.Event | None = None  # the request waits here before the server sees it
    after: Callable[[], None] | None = None  # called once the server has acted


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log: status is None where no reply was passed on."""

    number: int
    method: str
    key: str
    status: int | None
    fault: Fault | None


Plan = Callable[[Request], Fault | None]


def at(number: int, fault: Fault) -> Plan:
    """A plan of one fault, at the request with this number."""
    return lambda request: fault if request.number == number else None


def after(number: int, fault: Fault) -> Plan:
    """A plan that strikes every request after the one with this number."""
    return lambda request: fault if request.number > number else None


def on(method: str, fault: Fault, *, key: str = "", times: int = 1 << 30) -> Plan:
    """A plan that strikes the first so many requests of a method whose key ends so."""
    left = iter(range(times))

    def plan(request: Request) -> Fault | None:
        hit = request.method == method and request.key.endswith(key)
        return fault if hit and next(left, None) is not None else None

    return plan


def share(fraction: float, fault: Fault, *, seed: int) -> Plan:
    """A plan that strikes a seeded share of all requests."""
    generator = random.Random(seed)
    return lambda request: fault if generator.random() < fraction else None
