"""The decoding worker: a small process that takes untrusted bytes, and little else.

It reads tasks from standard input and answers on standard output, both in JSON: the parent never unpickles what
comes from here. It is given no credentials, cannot write files, and dies with its parent. Kept free of heavy imports.
"""

import base64
import ctypes
import hashlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO, Final

from cv_assets.domain.probing import Decoded, careful_decoding, decode, describe, one_line
from cv_assets.domain.rendering import thumbnail, upright_bytes
from schemas.images import Limits, Measures, Probe, Rejection

PR_SET_PDEATHSIG: Final = 1
# The parent's clock runs from answer to answer; waking it for each would cost it a tenth of the work.
SILENT_SECONDS: Final = 0.2
# So many images are measured at a time; of more the figures do not fit into a core's cache.
MEASURED_AT_ONCE: Final = 32
NO_MEMORY: Final = {
    "rejected": {"reason": "memory-over-limit", "detail": "decoding needs more memory than a worker may use"}
}


def _decode(data: bytes, limits: Limits, _: dict[str, Any]) -> dict[str, Any]:
    found = decode(data, limits)
    return {"rejected": _plain(found)} if isinstance(found, Rejection) else {"probe": found}


def _plain(record: Probe | Rejection | Measures) -> dict[str, Any]:
    """The fields of a record; `dataclasses.asdict` copies each value deeply, at five times the cost."""
    return {name: getattr(record, name) for name in record.__slots__}


def _thumbnail(data: bytes, limits: Limits, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"bytes": base64.b64encode(thumbnail(data, limits, arguments["side_px"])).decode()}


def _upright(data: bytes, limits: Limits, _: dict[str, Any]) -> dict[str, Any]:
    return {"bytes": base64.b64encode(upright_bytes(data, limits)).decode()}


WORK: Final[dict[str, Callable[[bytes, Limits, dict[str, Any]], dict[str, Any]]]] = {
    "probe": _decode,
    "thumbnail": _thumbnail,
    "upright": _upright,
}


def confine(memory_bytes: int) -> None:
    """Give up what a decoder does not need: memory beyond a limit, files to write, core dumps, a life after the parent."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    # these are sent to the whole group: the parent decides, and no image is to blame
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def answer(do: str, limits: Limits, arguments: dict[str, Any], incoming: BinaryIO) -> dict[str, Any]:
    """Do one task. An error that no rule foresees is an answer too, so that the next task is still done."""
    item = json.loads(incoming.readline())
    try:
        data = read_item(item, incoming)
    except OSError as error:  # the store's fault, not the image's
        return {"unreadable": one_line(error)}
    except MemoryError:
        if "path" not in item:
            raise  # the rest of it is still in the pipe, where the next item is looked for
        return NO_MEMORY
    try:
        # the hash is of just the bytes that were decoded, so that one read tells both
        return {"sha256": hashlib.sha256(data).hexdigest(), **WORK[do](data, limits, arguments)}
    except MemoryError:
        return NO_MEMORY
    except Exception as error:  # noqa: BLE001 - a decoder may raise anything, and the batch goes on
        return {"rejected": {"reason": "undecodable", "detail": one_line(error)}}


def read_item(item: dict[str, Any], incoming: BinaryIO) -> bytes:
    """The bytes of an item: of the file it names, or those that follow it."""
    if "path" not in item:
        return incoming.read(item["size"])
    with open(item["path"], "rb", buffering=0) as opened:  # noqa: PTH123 - a quarter faster, as there is no buffer
        return opened.readall()


def describe_all(replies: list[dict[str, Any]]) -> None:
    """Put what is known of each decoded image in its place. A failure ends the worker, and its images are tried alone."""
    decoded = [reply for reply in replies if isinstance(reply.get("probe"), Decoded)]
    for reply, found in zip(decoded, describe([reply["probe"] for reply in decoded]), strict=True):
        reply["probe"] = {**_plain(found), "measures": _plain(found.measures)}


def main() -> None:
    """Serve batches until standard input ends: a line of JSON for the batch and each item in, lists of answers out."""
    # decoders write to descriptor 1 and 2 at will: answers get a descriptor of their own
    outgoing = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    os.dup2(2, 1)
    confine(memory_bytes=int(sys.argv[1]))

    def say(replies: list[dict[str, Any]]) -> None:
        outgoing.write(json.dumps(replies).encode() + b"\n")
        outgoing.flush()

    say([{"ready": True}])
    for line in sys.stdin.buffer:
        batch = json.loads(line)
        limits = Limits(**batch["arguments"]["limits"])
        with careful_decoding(limits):
            serve(batch, limits, sys.stdin.buffer, say)


def serve(
    batch: dict[str, Any], limits: Limits, incoming: BinaryIO, say: Callable[[list[dict[str, Any]]], None]
) -> None:
    """Do the tasks of one batch, and say what is known before the parent could take this for dead."""
    replies: list[dict[str, Any]] = []
    said = time.monotonic()
    for place in range(1, batch["count"] + 1):
        replies.append(answer(batch["do"], limits, batch["arguments"], incoming))
        is_time = place == batch["count"] or time.monotonic() - said > SILENT_SECONDS
        if is_time or place % MEASURED_AT_ONCE == 0:
            describe_all(replies)
        if is_time:
            say(replies)
            replies, said = [], time.monotonic()


if __name__ == "__main__":
    main()
