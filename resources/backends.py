"""The store behind a URL: local disk, memory, or a bucket with the settings that every AWS tool reads."""

import math
import os
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store, from_url

from resources.retrying import LEAST_BYTES_PER_SECOND, in_words, persist, seconds_from
from resources.urls import remote_parts, without_secrets
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from obstore.store import ClientConfig  # there for type checkers alone

ANSWER_SECONDS: Final = 30.0
DEADLINE_SECONDS: Final = 120.0
ASKED_BEFORE_END: Final = timedelta(minutes=5)  # obstore asks for credentials anew when they end so soon
FILES_READ_EVERY: Final = timedelta(minutes=1)
# what botocore calls keys that stand in a profile
_IN_FILES: Final = frozenset({"shared-credentials-file", "config-file"})
DAY_SECONDS: Final = 86_400.0  # no read takes so long: what trickles is given up before
_ENDPOINT: Final = re.compile(
    r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>\d{1,5}))?(/[A-Za-z0-9._~%/+-]*)?"
)


@dataclass(frozen=True, slots=True)
class Backends:
    """One store by several clients, which differ in how long they wait: obstore holds that by client, not by request."""

    # by the seconds until an answer begins or goes on, and those until it is whole
    _client: Callable[[float, float], ObjectStore]
    answer_seconds: float
    deadline_seconds: float

    def asking(self) -> ObjectStore:
        """For requests with a short answer."""
        return self._client(self.answer_seconds, self.deadline_seconds)

    def reading(self) -> ObjectStore:
        """For reads, at which `receive` looks at the clock."""
        return self._client(self.answer_seconds, DAY_SECONDS)

    def writing(self, size_bytes: int) -> ObjectStore:
        """For a write of so many bytes, all of which are sent before the answer begins."""
        needed = size_bytes / LEAST_BYTES_PER_SECOND
        # in steps, for every client has connections of its own
        seconds = self.answer_seconds * max(1, math.ceil(needed / self.answer_seconds))
        return self._client(seconds, max(seconds, self.deadline_seconds))


def local_backends(root: Path) -> Backends:
    """A folder as a store; the folder must be there. Raises ConfigurationError for a CV_ASSETS_STORE_… that is no number."""
    return _backends_of(LocalStore(prefix=root))


def remote_backends(url: str, *, setting: str) -> Backends:
    """The bucket behind a URL. Raises ConfigurationError if the URL or the environment does not tell how to reach it."""
    parts = remote_parts(url, setting)
    if parts.scheme == "memory":
        return _backends_of(_memory(url))
    try:
        if parts.scheme not in {"s3", "s3a"}:
            return _backends_of(from_url(url))
        around = _surroundings()
        found = _backends(lambda answer, whole: _s3(parts.netloc, parts.path.strip("/"), around, answer, whole))
        found.asking()
    except (BaseError, ValueError) as error:
        raise ConfigurationError(
            f"cannot use {without_secrets(url)!r}: {in_words(error)}; correct {setting}"
        ) from error
    else:
        return found


def list_raw_keys(url: str, *, deadline_seconds: float) -> list[dict[str, Any]]:
    """Every object of an `s3://` URL by boto3, whatever its key: `key` below the prefix, `size`, `e_tag`, `last_modified`.

    For buckets with keys that no path can spell, which obstore refuses to list. Raises OSError as obstore words it, if a page
    failed until the deadline.
    """
    import boto3  # noqa: PLC0415 - as in _reached
    from botocore import UNSIGNED  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    parts = urlsplit(url)
    prefix = f"{parts.path.strip('/')}/".lstrip("/")
    seconds = seconds_from("CV_ASSETS_STORE_TIMEOUT", ANSWER_SECONDS)
    settings = Config(
        connect_timeout=min(seconds, 10),
        read_timeout=seconds,
        retries={"total_max_attempts": 1},  # as in _s3
        signature_version=UNSIGNED if _is_anonymous() else None,
    )
    session = boto3.Session(region_name=_region())
    client = session.client("s3", region_name=session.region_name or "us-east-1", config=settings)

    def list_page(after: dict[str, str]) -> dict[str, Any]:
        try:
            return client.list_objects_v2(Bucket=parts.netloc, Prefix=prefix, **after)
        except ClientError as error:
            status, code = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
            raise OSError(f"status code: {status} <Code>{code}</Code>") from error
        except BotoCoreError as error:
            raise OSError(f"{type(error).__name__} of boto3") from error

    found: list[dict[str, Any]] = []
    after = dict[str, str]()
    while True:
        page = persist(partial(list_page, after), deadline_seconds=deadline_seconds)
        found += page.get("Contents", [])
        if not page["IsTruncated"]:
            break
        after = {"ContinuationToken": page["NextContinuationToken"]}
    return [
        {
            "key": entry["Key"].removeprefix(prefix),
            "size": entry["Size"],
            "e_tag": entry["ETag"],
            "last_modified": entry["LastModified"],
        }
        for entry in found
    ]


def _region() -> str | None:
    """What the AWS command line and every other SDK take first, and boto3 does not look at."""
    return os.environ.get("AWS_REGION") or None


def _is_anonymous() -> bool:
    return os.environ.get("AWS_SKIP_SIGNATURE", "").lower() in {"1", "true"}


def _backends(client: Callable[[float, float], ObjectStore]) -> Backends:
    return Backends(
        client,
        seconds_from("CV_ASSETS_STORE_TIMEOUT", ANSWER_SECONDS),
        seconds_from("CV_ASSETS_STORE_DEADLINE", DEADLINE_SECONDS),
    )


def _backends_of(store: ObjectStore) -> Backends:
    return _backends(lambda answer, whole: store)


@cache
def _memory(url: str) -> MemoryStore:
    """One store a URL, so that what is put there can be found again."""
    return MemoryStore()


def _surroundings() -> frozenset[tuple[str, str]]:
    """The settings of AWS. Raises ConfigurationError for a key with a line break, which no header of a request can hold."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        if re.search(r"[\x00-\x1f\x7f]", os.environ.get(name, "")):
            raise ConfigurationError(
                f"expected {name} to be one line, found a line break or the like in it; correct it"
            )
    return frozenset(item for item in os.environ.items() if item[0].startswith("AWS_"))


@cache
def _reached(_environment: frozenset[tuple[str, str]]) -> tuple["ClientConfig", dict[str, Any]]:
    """How the AWS command line would reach S3, by environment and profile: options of connections, and what is asked by whom."""
    import boto3  # noqa: PLC0415 - 0.3 s that only those pay who use S3
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    try:
        core = get_session()
        session = boto3.Session(region_name=_region(), botocore_session=core)
        anonymous = _is_anonymous()
        if not anonymous and session.get_credentials() is None:
            raise ConfigurationError(
                "expected credentials for S3, found none; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
                "(AWS_SKIP_SIGNATURE=true for a public bucket)"
            )
        region = session.region_name or "us-east-1"
        endpoint = str(session.client("s3", region_name=region).meta.endpoint_url)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"cannot use the AWS settings: {without_secrets(str(error))}; correct AWS_* or the files of AWS_PROFILE"
        ) from error
    usable = _ENDPOINT.fullmatch(endpoint)
    if not usable or int(usable["port"] or 0) > 65535:
        raise ConfigurationError(
            f"expected AWS_ENDPOINT_URL to be a URL such as https://HOST:PORT, found {without_secrets(endpoint)!r}; correct it"
        )
    # these obstore finds by itself; but not one of a private network, of FIPS, or of AWS in China
    is_usual = urlsplit(endpoint).hostname in {"s3.amazonaws.com", f"s3.{region}.amazonaws.com"}
    where: dict[str, Any] = {"region": region} if is_usual else {"region": region, "endpoint": endpoint}
    options: ClientConfig = {"allow_http": endpoint.startswith("http://")}
    if bundle := core.get_config_variable("ca_bundle"):
        options["root_certificate"] = _read_certificates(bundle)
    return options, where | (
        {"skip_signature": True} if anonymous else {"credential_provider": _credentials_of(session)}
    )


def _credentials_of(session: Any) -> Callable[[], Any]:
    """Hands out the credentials of a session of boto3 to obstore, which asks again 5 minutes before they end."""
    import boto3  # noqa: PLC0415 - as in _reached
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415

    found = Boto3CredentialProvider(session)

    def hand_out() -> Any:
        nonlocal found
        if found.credentials.method in _IN_FILES:
            with suppress(BotoCoreError, ValueError):  # a file that is being written: those of before go on
                found = Boto3CredentialProvider(boto3.Session(profile_name=session.profile_name))
        # boto3 renews those that end within 15 minutes, and hands out all others
        found.ttl = (
            ASKED_BEFORE_END + FILES_READ_EVERY if found.credentials.method in _IN_FILES else timedelta(minutes=15)
        )
        return found()

    return hand_out


def _read_certificates(bundle: str) -> bytes:
    """What obstore is to trust beside the certificates of the system. Raises ConfigurationError."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(bundle)
        return Path(bundle).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"expected AWS_CA_BUNDLE (ca_bundle of the profile) to be a file of certificates in PEM, found {bundle!r}: "
            f"{error.strerror or error}; correct it"
        ) from error


@cache
def _s3(
    bucket: str, prefix: str, environment: frozenset[tuple[str, str]], answer_seconds: float, whole_seconds: float
) -> S3Store:
    """A client of a bucket. Cached: connections last."""
    options, where = _reached(environment)
    return S3Store(
        bucket,
        prefix=prefix or None,
        client_options={
            **options,
            "connect_timeout": timedelta(seconds=min(answer_seconds, 10)),
            "read_timeout": timedelta(seconds=answer_seconds),
            "timeout": timedelta(seconds=whole_seconds),
        },
        # one place decides what is tried again, and for how long (resources/retrying.py)
        retry_config={"max_retries": 0},
        **where,
    )
