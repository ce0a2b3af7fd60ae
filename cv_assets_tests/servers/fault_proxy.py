"""A proxy before an S3 server that counts requests and does to them what networks and servers do at their worst.

The Host header is passed on as it came, so that signatures stay valid. Bodies are held in memory: this is no proxy for
large data.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import psutil

from cv_assets_tests.servers.plans import Entry, Fault, Plan, Request
from cv_assets_tests.servers.ports import free_port
from cv_assets_tests.servers.wire import flipped, head_of, parse, read_body, refusal


class FaultProxy:
    """Listens on loopback in a thread of its own; `plan` and `victim` may be changed at any time."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.plan: Plan = lambda request: None
        self.victim: int | None = None  # process that a kill is meant for
        self.log: list[Entry] = []
        self._count = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self.port = free_port()
        self.up()

    @property
    def url(self) -> str:
        """The endpoint to give to a client."""
        return f"http://127.0.0.1:{self.port}"

    def start_over(self, plan: Plan | None = None) -> None:
        """Forget the log, count from 1, and follow this plan."""
        self.log, self._count, self.plan = [], 0, plan or (lambda request: None)

    def requests(self, method: str | None = None) -> list[Entry]:
        """The log, of one method or of all."""
        return [entry for entry in list(self.log) if method in {None, entry.method}]

    def has_struck(self) -> bool:
        """Has any request met a fault since the log began?"""
        return any(entry.fault is not None for entry in list(self.log))

    def up(self) -> None:
        """Accept connections."""
        start = asyncio.start_server(self._converse, "127.0.0.1", self.port, limit=1 << 20)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result(10)

    def down(self) -> None:
        """Refuse connections, and end those there are."""
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(10)

    def close(self) -> None:
        """End the proxy."""
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
        talks = list(self._talks)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None
        self._talks.add(me)
        try:
            while (request := await self._receive(reader, writer)) is not None:
                if not await self._serve(request, writer):
                    break
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client went away, or the proxy is going down: what happened before is in the log
        finally:
            self._talks.discard(me)
            writer.close()

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, headers = parse(head)
        method, target, _ = first.split(" ", 2)
        if any(name.lower() == "expect" for name, _ in headers):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            headers = [(name, value) for name, value in headers if name.lower() != "expect"]
        body = await read_body(reader, headers, or_to_end=False)
        self._count += 1
        return Request(self._count, method, target, headers, body)

    async def _serve(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Pass one request on and its reply back. False if the connection ends here."""
        fault = self.plan(request) or Fault()
        if fault.hold is not None:
            await asyncio.get_running_loop().run_in_executor(None, fault.hold.wait, 120)
        if fault.reset or fault.kill == "before":
            return self._end(request, None, fault, kill=fault.kill == "before")
        if fault.status is not None:
            self._note(request, fault.status, fault)
            writer.write(refusal(request, fault))
            await writer.drain()
            return True
        if fault.kill == "midway" and request.body:
            await self._exchange(request, len(request.body) // 2)
            return self._end(request, None, fault, kill=True)
        if fault.flip_upload:
            request.body = flipped(request.body)
        status, head, body = await self._exchange(request, None)
        if fault.after is not None:
            fault.after()
        return await self._reply(request, fault, writer, (status, head, body))

    async def _reply(
        self, request: Request, fault: Fault, writer: asyncio.StreamWriter, answer: tuple[int, bytes, bytes]
    ) -> bool:
        status, head, body = answer
        if fault.kill == "after" or fault.lose_reply:
            return self._end(request, None, fault, kill=fault.kill == "after")
        part = 0.5 if fault.kill == "midway" else fault.cut_reply
        part = fault.stall_reply if part is None else part
        self._note(request, status, fault)
        whole = flipped(body) if fault.flip_reply else body
        if fault.pace is not None:
            await _pace(writer, head, whole, fault.pace)
        else:
            writer.write(head + (whole if part is None else whole[: int(len(whole) * part)]))
            await writer.drain()
        if fault.kill == "midway":
            self._kill()
        if fault.stall_reply is not None:
            await asyncio.sleep(fault.stall_seconds)
        return part is None

    async def _exchange(self, request: Request, only: int | None) -> tuple[int, bytes, bytes]:
        """Status, head and body of the server's reply. With `only`, so many bytes of the body are sent and no more."""
        reader, writer = await asyncio.open_connection(*self._upstream, limit=1 << 20)
        try:
            head = head_of(f"{request.method} {request.target} HTTP/1.1", request.headers, len(request.body) or None)
            writer.write(head + request.body[:only])
            await writer.drain()
            if only is not None:
                return 0, b"", b""
            answer = await reader.readuntil(b"\r\n\r\n")
            while answer.startswith(b"HTTP/1.1 100"):
                answer = await reader.readuntil(b"\r\n\r\n")
            first, headers = parse(answer)
            status = int(first.split(" ")[1])
            empty = request.method == "HEAD" or status in {204, 304}
            body = b"" if empty else await read_body(reader, headers, or_to_end=True)
            return status, head_of(first, headers, None if request.method == "HEAD" else len(body)), body
        finally:
            writer.close()

    def _end(self, request: Request, status: int | None, fault: Fault, *, kill: bool) -> bool:
        self._note(request, status, fault)
        if kill:
            self._kill()
        return False

    def _note(self, request: Request, status: int | None, fault: Fault) -> None:
        told = None if fault == Fault() else fault
        self.log.append(Entry(request.number, request.method, request.key, status, told))

    def _kill(self) -> None:
        if self.victim is not None:
            with suppress(ProcessLookupError):
                os.kill(self.victim, signal.SIGKILL)
            wait_until_dead(self.victim)


async def _pace(writer: asyncio.StreamWriter, head: bytes, body: bytes, pace: tuple[int, float]) -> None:
    size_bytes, seconds = pace
    writer.write(head)
    for begin in range(0, len(body), size_bytes):
        writer.write(body[begin : begin + size_bytes])
        await writer.drain()
        await asyncio.sleep(seconds)


def wait_until_dead(pid: int, seconds: float = 10.0) -> None:
    """Return when a killed process runs no more, reaped or not. Raises TimeoutError if it runs on."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            return
        time.sleep(0.001)
    raise TimeoutError(f"expected process {pid} to be dead within {seconds:g} s; it runs on")


@contextmanager
def faults_before(upstream: str) -> Iterator[FaultProxy]:
    """A proxy before a server, ended at the end."""
    proxy = FaultProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
