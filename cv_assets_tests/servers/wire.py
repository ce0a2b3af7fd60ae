"""HTTP/1.1 as far as a proxy needs it: heads, whole bodies, and the refusals of an S3 server."""

import asyncio
from typing import Final

from cv_assets_tests.servers.plans import Fault, Headers, Request

REASONS: Final = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 409: "Conflict", 503: "Service Unavailable"}


def parse(head: bytes) -> tuple[str, Headers]:
    """First line and headers of a head."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    named = (line.partition(":") for line in lines)
    return first, [(name, value.strip()) for name, _, value in named]


async def read_body(reader: asyncio.StreamReader, headers: Headers, *, or_to_end: bool) -> bytes:
    """The whole body, by its length or its chunks; without either nothing, or all that comes to the end."""
    known = {name.lower(): value for name, value in headers}
    if "content-length" in known:
        return await reader.readexactly(int(known["content-length"]))
    if known.get("transfer-encoding", "").lower() != "chunked":
        return await reader.read() if or_to_end else b""
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return bytes(body)


def head_of(first: str, headers: Headers, length: int | None) -> bytes:
    """A head whose length is that of the body, in one piece; a HEAD's answer speaks of a body that does not come."""
    left_out = {"connection", "keep-alive", "transfer-encoding"} | (set() if length is None else {"content-length"})
    kept = [(name, value) for name, value in headers if name.lower() not in left_out]
    said = kept if length is None else [*kept, ("Content-Length", str(length))]
    return "\r\n".join([first, *(f"{name}: {value}" for name, value in said)]).encode("latin-1") + b"\r\n\r\n"


def refusal(request: Request, fault: Fault) -> bytes:
    """The answer that a fault makes in the server's place."""
    message = f"<Error><Code>{fault.code}</Code><Message>injected</Message><Resource>{request.key}</Resource></Error>"
    body = b"" if request.method == "HEAD" else f'<?xml version="1.0" encoding="UTF-8"?>{message}'.encode()
    first = f"HTTP/1.1 {fault.status} {REASONS.get(fault.status or 0, 'Refused')}"
    return head_of(first, [("Content-Type", "application/xml")], len(body)) + body


def flipped(data: bytes) -> bytes:
    """One bit of the middle byte is another."""
    if not data:
        return data
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
