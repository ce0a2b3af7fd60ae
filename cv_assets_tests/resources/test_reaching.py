"""How S3 is reached as the tools of AWS reach it: by certificates that a bundle names, and by keys that a file holds just now."""

import re
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from resources import backends
from resources.object_store import open_store
from resources.source import open_source
from schemas.errors import ConfigurationError, SourceError, SourceUnavailable, StoreRefused


class OneObject(BaseHTTPRequestHandler):
    """Every key holds the same; who asked is written down."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        found = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
        self.server.asked_by.append(found and found[1])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.send_header("ETag", '"a"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        """Say nothing."""


class Named:
    """Certificates of an authority of our own."""

    def __init__(self, folder):
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self.bundle = folder / "authority.pem"
        own = self._sign("authority", self._key.public_key(), days=30, is_authority=True)
        self.bundle.write_bytes(own.public_bytes(Encoding.PEM))

    def context(self, *, name="127.0.0.1", days=30, is_authority=False):
        """A server that has a certificate for this address, which ends in so many days, and may be that of an authority, too."""
        key = ec.generate_private_key(ec.SECP256R1())
        file = self._folder / "server.pem"
        made = self._sign("server", key.public_key(), days=days, name=name, is_authority=is_authority)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(private + made.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _sign(self, subject, key, *, days, name=None, is_authority=False):
        end = datetime.now(UTC) + timedelta(days=days)
        named = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (subject, "authority")]
        made = x509.CertificateBuilder(*reversed(named), key, x509.random_serial_number())
        made = made.not_valid_before(end - timedelta(days=90)).not_valid_after(end)
        made = made.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        if name is not None:
            made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))]), critical=False)
        return made.sign(self._key, hashes.SHA256())


@pytest.fixture
def authority(tmp_path):
    return Named(tmp_path)


@pytest.fixture
def serve(monkeypatch):
    """Starts a server, and lets all requests go to it."""
    begun = []

    def start(context=None):
        made = ThreadingHTTPServer(("127.0.0.1", 0), OneObject)
        made.asked_by = []
        if context is not None:
            made.socket = context.wrap_socket(made.socket, server_side=True)
        threading.Thread(target=made.serve_forever, daemon=True).start()
        begun.append(made)
        scheme = "http" if context is None else "https"
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"{scheme}://127.0.0.1:{made.server_port}")
        return made

    for name, value in (("AWS_ACCESS_KEY_ID", "ours"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_REGION", "us-east-1")):
        monkeypatch.setenv(name, value)
    for name in ("AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_SKIP_SIGNATURE"):
        monkeypatch.delenv(name, raising=False)
    yield start
    for made in begun:
        made.shutdown()
        made.server_close()


@pytest.mark.parametrize("where", ["AWS_CA_BUNDLE", "profile"])
def test_a_server_with_a_certificate_of_the_bundle_is_trusted(serve, authority, monkeypatch, tmp_path, where):
    serve(authority.context())
    if where == "profile":
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {authority.bundle}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    else:
        monkeypatch.setenv(where, str(authority.bundle))
    assert open_store("s3://bucket/p").get("a") == b"ok"


UNTRUSTED = [
    # what the certificate is like, whether its authority is trusted, and what is said
    ({}, False, r"\(UnknownIssuer\); set AWS_CA_BUNDLE to a file with the certificate of its authority"),
    ({"name": "127.0.0.2"}, True, r"\(NotValidForName\); name the server in AWS_ENDPOINT_URL as its certificate does"),
    ({"is_authority": True}, True, r"\(CaUsedAsEndEntity\); have one made for the server alone"),
    ({"days": -1}, True, r"\(Expired\); have it renewed, or set the clock of this machine"),
    ({"days": 100}, True, r"\(NotValidYet\); set the clock of this machine, or wait until it is valid"),
]


@pytest.mark.parametrize(("like", "is_trusted", "said"), UNTRUSTED)
def test_a_certificate_that_is_not_accepted_is_named_at_once_with_its_cure(
    serve, authority, monkeypatch, like, is_trusted, said
):
    serve(authority.context(**like))
    if is_trusted:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    begin = time.monotonic()
    with pytest.raises(StoreRefused, match=rf"the server's certificate is not accepted {said}"):
        open_store("s3://bucket/p").get("a")
    with pytest.raises(SourceError, match=rf"the server's certificate is not accepted {said}") as caught:
        open_source("s3://bucket/p").listing()
    assert not isinstance(caught.value, SourceUnavailable)
    assert time.monotonic() - begin < backends.DEADLINE_SECONDS / 2  # it was not tried again and again


@pytest.mark.parametrize(
    ("text", "why"), [(None, "No such file"), ("", "certificate"), ("nothing of it", "certificate")]
)
def test_a_bundle_that_holds_no_certificates_is_said(serve, monkeypatch, tmp_path, text, why):
    serve()
    bundle = tmp_path / "bundle.pem"
    if text is not None:
        bundle.write_text(text)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    with pytest.raises(ConfigurationError, match=rf"(?i)expected AWS_CA_BUNDLE .* found '.*bundle\.pem'.*{why}"):
        open_store("s3://bucket/p")


@pytest.fixture
def keys(serve, monkeypatch, tmp_path):
    """Writes a profile's file of keys, which is looked at each 0.2 s."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setattr(backends, "FILES_READ_EVERY", timedelta(seconds=0.2))
    monkeypatch.setenv("AWS_PROFILE", "ours")

    def write(variable, text):
        file = tmp_path / variable
        file.write_text(text)
        monkeypatch.setenv(variable, str(file))

    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return write


IN_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "[ours]", "AWS_CONFIG_FILE": "[profile ours]"}


@pytest.mark.parametrize("variable", IN_FILES)
def test_keys_that_are_written_anew_into_their_file_are_taken_by_a_store_that_is_open(serve, keys, variable):
    server = serve()

    def write(key):
        keys(variable, f"{IN_FILES[variable]}\naws_access_key_id = {key}\naws_secret_access_key = x\n")

    def asked_by():
        time.sleep(0.3)
        assert store.get("a") == b"ok"
        return server.asked_by[-1]

    write("first")
    store = open_store("s3://bucket/p")
    assert asked_by() == "first"
    write("second")
    assert asked_by() == "second"
    keys(variable, IN_FILES[variable][:-1])  # half written: those of before go on
    assert asked_by() == "second"
    write("third")
    assert asked_by() == "third"


def test_keys_that_a_program_renews_are_asked_for_only_when_they_end(serve, keys, tmp_path):
    server = serve()
    calls = tmp_path / "calls"
    program = tmp_path / "program"
    said = '{"Version": 1, "AccessKeyId": "of a program", "SecretAccessKey": "x", "Expiration": "2099-01-01T00:00:00Z"}'
    program.write_text(f"#!/bin/sh\necho called >> {calls}\necho '{said}'\n")
    program.chmod(0o755)
    keys("AWS_CONFIG_FILE", f"[profile ours]\ncredential_process = {program}\n")
    store = open_store("s3://bucket/p")
    for _ in range(3):
        assert store.get("a") == b"ok"
        time.sleep(0.3)
    assert server.asked_by == ["of a program"] * 3
    assert calls.read_text().split() == ["called"]
