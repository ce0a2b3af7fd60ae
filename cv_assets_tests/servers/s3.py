"""The S3 server that the tests run against, one a process: a given endpoint, else Ceph's gateway, else moto's server.

CV_ASSETS_TEST_S3_ENDPOINT names an endpoint that is there (credentials as for every AWS tool); CV_ASSETS_TEST_S3=moto
takes moto although Ceph is installed. The project's conftest.py imports the fixtures `s3` and `bucket`.
"""

import atexit
import json
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config

from cv_assets_tests.servers.ceph import Ceph, is_installed
from cv_assets_tests.servers.lacking import is_required
from cv_assets_tests.servers.plans import Request

ACCESS_KEY, SECRET_KEY = "TESTACCESSKEY0001", "test-secret-key-that-no-message-may-show"
REGION: Final = "us-east-1"
GIVEN: Final = "the given endpoint"
SERVED_BY: Final = "S3 server"
FOREIGN: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_SKIP_SIGNATURE")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An S3 server: its kind as the report names it, its URL, and the environment that leads an AWS tool to it."""

    kind: str
    url: str
    environment: dict[str, str]

    @property
    def is_mock(self) -> bool:
        """Does it accept any credentials, and race where a real server would not?"""
        return self.kind == "moto"

    def client(self) -> Any:
        """A boto3 client, for what the store of the project does not do: buckets, policies, damage."""
        keys = (self.environment.get("AWS_ACCESS_KEY_ID"), self.environment.get("AWS_SECRET_ACCESS_KEY"))
        return _client(self.url, *keys)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that belongs to one test."""

    endpoint: Endpoint
    name: str

    @property
    def url(self) -> str:
        """The bucket as a store URL."""
        return f"s3://{self.name}"

    def put(self, key: str, data: bytes) -> None:
        """Write behind the back of the store."""
        self.endpoint.client().put_object(Bucket=self.name, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        """Read behind the back of the store."""
        return self.endpoint.client().get_object(Bucket=self.name, Key=key)["Body"].read()

    def keys(self) -> list[str]:
        """Every key, by boto3."""
        pages = self.endpoint.client().get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def ignore_conditions(self, request: Request) -> None:
        """A plan for a proxy, with which this bucket behaves as on a server that overlooks If-None-Match.

        The header is signed and cannot be taken away; so what is in the way of the write goes first.
        """
        if request.header("If-None-Match"):
            self.endpoint.client().delete_object(Bucket=self.name, Key=request.key)

    def forbid(self, *actions: str) -> None:
        """From now on nobody may do this with its objects; its owner could take that back."""
        objects = f"arn:aws:s3:::{self.name}/*"
        rule = {"Effect": "Deny", "Principal": "*", "Action": list(actions), "Resource": objects}
        policy = {"Version": "2012-10-17", "Statement": [rule]}
        self.endpoint.client().put_bucket_policy(Bucket=self.name, Policy=json.dumps(policy))


@cache
def _client(url: str, access_key: str | None, secret_key: str | None) -> Any:
    settings = Config(
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        max_pool_connections=16,
    )
    keys = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
    return boto3.client("s3", endpoint_url=url, region_name=REGION, config=settings, **keys)


def _environment(url: str, access_key: str, secret_key: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REQUEST_CHECKSUM_CALCULATION": "WHEN_REQUIRED",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "WHEN_REQUIRED",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1,localhost",
    }


@cache
def serve() -> Endpoint:
    """The server of this process, started when it is first asked for; it ends with the process."""
    given = os.environ.get("CV_ASSETS_TEST_S3_ENDPOINT")
    if given:
        asked = {"AWS_ENDPOINT_URL": given, "AWS_REGION": os.environ.get("AWS_REGION", REGION)}
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        checksums = ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION")
        asked |= {name: os.environ[name] for name in names if name in os.environ}
        return Endpoint(GIVEN, given, asked | dict.fromkeys(checksums, "WHEN_REQUIRED"))
    if is_installed() and os.environ.get("CV_ASSETS_TEST_S3") != "moto":
        ceph = Ceph(access_key=ACCESS_KEY, secret_key=SECRET_KEY)
        atexit.register(ceph.stop)
        return Endpoint("Ceph RGW", ceph.url, _environment(ceph.url, ACCESS_KEY, SECRET_KEY))
    if is_required("ceph"):
        pytest.fail("CV_ASSETS_TEST_REQUIRE asks for Ceph (Debian: radosgw ceph-mon ceph-osd), and it is not installed")
    return _serve_moto()


def _serve_moto() -> Endpoint:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - 2 s that only those pay who have nothing better

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    atexit.register(server.stop)
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    return Endpoint("moto", url, _environment(url, ACCESS_KEY, SECRET_KEY))


@contextmanager
def fresh_bucket(endpoint: Endpoint) -> Iterator[Bucket]:
    """An empty bucket; on a server that was there before, it is removed at the end with all that is in it."""
    bucket = Bucket(endpoint, f"cv-assets-{secrets.token_hex(8)}")
    client = endpoint.client()
    client.create_bucket(Bucket=bucket.name)
    try:
        yield bucket
    finally:
        if endpoint.kind == GIVEN:  # our own servers end with this process
            client.delete_bucket_policy(Bucket=bucket.name)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda key: client.delete_object(Bucket=bucket.name, Key=key), bucket.keys()))
            client.delete_bucket(Bucket=bucket.name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The report says which server it was, if a test asked for one."""
    reports = (report for found in terminalreporter.stats.values() for report in found)
    kinds = {kind for report in reports for name, kind in getattr(report, "user_properties", ()) if name == SERVED_BY}
    if kinds:
        terminalreporter.write_sep("=", f"S3 tests ran against {', '.join(sorted(kinds))}")


@pytest.fixture
def s3(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    """The S3 server of this process, with the environment that leads to it."""
    endpoint = serve()
    request.node.user_properties.append((SERVED_BY, f"{endpoint.kind} at {endpoint.url}"))
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
    for name, value in endpoint.environment.items():
        monkeypatch.setenv(name, value)
    return endpoint


@pytest.fixture
def bucket(s3: Endpoint) -> Iterator[Bucket]:
    """A fresh bucket."""
    with fresh_bucket(s3) as made:
        yield made
