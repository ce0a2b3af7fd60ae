"""Tries a request to a remote store again while that can help, and says in plain words why it failed when it cannot."""

import os
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    InvalidPathError,
    NotModifiedError,
    NotSupportedError,
    PreconditionError,
)
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from obstore import GetResult  # there for type checkers alone

FIRST_WAIT_SECONDS: Final = 0.1
LONGEST_WAIT_SECONDS: Final = 8.0
LEAST_BYTES_PER_SECOND: Final = 250_000  # of a transfer that takes longer than the deadline
_STATUS: Final = re.compile(r"status code: (\d{3})([ A-Za-z]*)")
# the second form is what obstore makes of a reply to a delete of several objects, which has status 200
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>|\(code: ([A-Za-z0-9]{1,64})\)")
_PASSING_STATUS: Final = frozenset({408, 409, 425, 429})
# said with status 400, yet about this one transfer and not about what was asked
_PASSING_CODES: Final = frozenset({"BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch"})
_REFUSING_CODES: Final = frozenset({"AccessDenied", "AllAccessDisabled", "NoSuchBucket", "PermanentRedirect"})
# what a store says of one object (InvalidObjectState: it is archived); whatever else is refused, it or a gateway may say of any
_ABOUT_ONE_OBJECT: Final = frozenset(
    {
        (403, "AccessDenied"),
        (403, "InvalidObjectState"),
        (404, "NoSuchKey"),
        (404, "NoSuchVersion"),
        (404, "BlobNotFound"),
    }
)
# as obstore tells it in its debug view: UnknownIssuer, NotValidForNameContext { … }, Other(OtherError(CaUsedAsEndEntity))
_CERTIFICATE: Final = re.compile(r"InvalidCertificate\(\s*(?:Other\(\s*OtherError\(\s*)?([A-Za-z]+)")
_NEVER_PASSES: Final = (InvalidPathError, NotModifiedError, NotSupportedError, PreconditionError)
_CURES: Final = {
    "AccessDenied": "these credentials may not do that: check the bucket's policy",
    "ExpiredToken": "the credentials have expired: renew them",
    "InvalidAccessKeyId": "the store does not know this access key: check AWS_ACCESS_KEY_ID or AWS_PROFILE",
    "NoSuchBucket": "there is no such bucket: make it, or correct the URL",
    "PermanentRedirect": "the bucket is in another region: set AWS_REGION",
    "RequestTimeTooSkewed": "this machine's clock differs too much from the store's: set the clock",
    "SignatureDoesNotMatch": "the secret key is not the one of this access key: check AWS_SECRET_ACCESS_KEY",
}
_CERTIFICATE_CURES: Final = {
    "CaUsedAsEndEntity": "have one made for the server alone (basicConstraints CA:FALSE), which openssl's -x509 does not by itself",
    "Expired": "have it renewed, or set the clock of this machine",
    "NotValidForName": "name the server in AWS_ENDPOINT_URL as its certificate does",
    "NotValidYet": "set the clock of this machine, or wait until it is valid",
    "UnknownIssuer": "set AWS_CA_BUNDLE to a file with the certificate of its authority (PEM)",
}
Result = TypeVar("Result")


def seconds_from(variable: str, default: float) -> float:
    """A number of seconds from the environment. Raises ConfigurationError unless it is a number above 0."""
    given = os.environ.get(variable) or str(default)
    if not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", given) or float(given) <= 0:
        raise ConfigurationError(f"expected {variable} to be a number of seconds, found {given!r}; correct or unset it")
    return float(given)


def persist(call: Callable[[], Result], *, deadline_seconds: float) -> Result:
    """What `call` returns; tried again after passing failures, with growing random waits, for so long in all.

    The waits are drawn evenly from 0 to a bound that doubles ("full jitter"), so that many clients which failed at the
    same moment do not come back at the same moment. Raises the last error.
    """
    full_jitter = wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS)

    def wait(state: RetryCallState) -> float:
        return max(0.0, min(full_jitter(state), deadline_seconds - (state.seconds_since_start or 0.0)))

    tries = Retrying(
        retry=retry_if_exception(is_passing), wait=wait, stop=stop_after_delay(deadline_seconds), reraise=True
    )
    return tries(call)


def receive(answer: "GetResult", *, deadline_seconds: float) -> bytes:
    """All bytes of an answer. Raises ConnectionError if they are fewer than announced, or trickle when the deadline is past."""
    begin, size_bytes = time.monotonic(), answer.meta["size"]
    parts: list[bytes] = []
    received = 0
    for part in answer.stream(1):  # as they come, which takes no longer than all at once
        parts.append(part)
        received += len(part)
        seconds = time.monotonic() - begin
        if received < size_bytes and seconds > max(deadline_seconds, received / LEAST_BYTES_PER_SECOND):
            break
    if received != size_bytes:
        raise ConnectionError(f"{size_bytes} bytes announced, {received} received in {time.monotonic() - begin:.1f} s")
    return b"".join(parts)


def is_passing(error: BaseException) -> bool:
    """Can the same request succeed a little later? Refusals and missing objects cannot; no or half an answer can."""
    if not isinstance(error, BaseError | OSError) or isinstance(error, (FileNotFoundError, *_NEVER_PASSES)):
        return False
    status = _status(error)
    if _code(error) in _REFUSING_CODES or _CERTIFICATE.search(str(error)):
        return False
    if isinstance(error, AlreadyExistsError):
        return status == 409  # another write of the same key is under way; 412 says that one has landed
    if status is None:
        return not isinstance(error, PermissionError)
    return status >= 500 or status in _PASSING_STATUS or _code(error) in _PASSING_CODES


def is_refusal(error: BaseException) -> bool:
    """Was the request turned down for good: for credentials, permission, bucket, region or clock, or the server's certificate?"""
    refused = _status(error) in {301, 307, 400, 401, 403} or _code(error) in _REFUSING_CODES
    return refused or _CERTIFICATE.search(str(error)) is not None


def is_about_the_object(error: BaseException) -> bool:
    """Does a failed read say of this one object that it is gone or forbidden, and nothing of the bucket or who asks?"""
    if _status(error) is None:  # a store in memory answers without a status
        return isinstance(error, FileNotFoundError)
    return (_status(error), _code(error)) in _ABOUT_ONE_OBJECT


def has_code(error: BaseException) -> bool:
    """Does a refusal say why, by a code as stores have them? A proxy or gateway that answers in a store's place has none."""
    return _code(error) is not None


def in_words(error: BaseException) -> str:
    """What happened, in one line. The reply of a server is not repeated: it can hold the signed headers of the request."""
    text = str(error)
    if (status := _STATUS.search(text)) is not None:
        code = _code(error)
        return f"status {status[1]}{status[2].rstrip()}" + _with_cure(code)
    if (code := _code(error)) is not None:
        return ("status 301" if code == "PermanentRedirect" else "the store answered") + _with_cure(code)
    if (found := _CERTIFICATE.search(text)) is not None:
        why = found[1].removesuffix("Context")
        return f"the server's certificate is not accepted ({why}); {_CERTIFICATE_CURES.get(why, 'have it made anew')}"
    if "kind: Connect" in text:
        return "no connection to the server"
    if "kind: Timeout" in text or "TimedOut" in text:
        return "no answer in time"
    # obstore appends its debug view of the error, which repeats it at length
    return text.split("\n", 1)[0]


def _with_cure(code: str | None) -> str:
    return f" ({code})" * bool(code) + (f"; {_CURES[code]}" if code in _CURES else "")


def _status(error: BaseException) -> int | None:
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def _code(error: BaseException) -> str | None:
    text = str(error)
    if "without LOCATION" in text:
        return "PermanentRedirect"  # how obstore tells of a bucket in another region
    found = _CODE.search(text)
    return found[1] or found[2] if found else None
