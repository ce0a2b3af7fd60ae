"""A bucket of 100,000 keys, listed page by page: a server that knows nothing but its listing is enough for it."""

import threading
from bisect import bisect_right
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from resources import reading_back
from resources.object_store import open_store
from resources.reading_back import Named, ReadingBack
from resources.source import open_source

PAGE = 1_000  # as S3 has it
KEYS = [f"up/{number:06d}.png" for number in range(100_000)]


class ListsOnly(BaseHTTPRequestHandler):
    """ListObjectsV2 without a delimiter, and looks at single keys; a token is the last key of the page before."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        assert asked["list-type"] == "2"
        assert "delimiter" not in asked
        begin = bisect_right(KEYS, asked.get("continuation-token") or asked.get("start-after") or "")
        page = KEYS[begin : begin + PAGE]
        rows = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{key[3:9]}&quot;</ETag><Size>1</Size></Contents>"
            for key in page
        )
        more = page[-1:] if begin + PAGE < len(KEYS) else []
        token = "".join(f"<NextContinuationToken>{key}</NextContinuationToken>" for key in more)
        body = (
            f"<ListBucketResult><Name>b</Name><Prefix>{asked.get('prefix', '')}</Prefix><KeyCount>{len(page)}</KeyCount>"
            f"<MaxKeys>{PAGE}</MaxKeys><IsTruncated>{'true' if more else 'false'}</IsTruncated>{token}{rows}</ListBucketResult>"
        ).encode()
        self.server.pages += 1
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self):
        self.server.looks += 1
        self.send_response(200)
        self.send_header("Content-Length", "1")
        self.send_header("ETag", '"a"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server(monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), ListsOnly) as made:
        made.pages = made.looks = 0
        threading.Thread(target=made.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.server_port}")
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        yield made
        made.shutdown()


@pytest.mark.parametrize("of", ["store", "source"])
def test_a_listing_of_100000_keys_on_s3_has_every_key_once(server, of):
    if of == "store":
        found = list(open_store("s3://b/").keys("up"))
    else:
        found = [f"up/{path}" for path in open_source("s3://b/up").listing()["path"]]
    assert len(found) == len(KEYS)
    assert found == KEYS
    assert server.pages >= len(KEYS) / PAGE


def test_few_objects_among_100000_of_others_are_asked_for_one_by_one_and_not_all_of_those_listed(server, monkeypatch):
    monkeypatch.setattr(reading_back, "LISTED_FROM", 1)
    wanted = [Named(key, "blob", 1) for key in (*KEYS[:5], *KEYS[-5:])]
    back = ReadingBack(open_store("s3://b/"), lambda _: None, one_by_one=False)
    assert back.check_sizes(wanted, read_data=False) == wanted
    # the listing is given up after as many requests as there are keys; those that it has not named are then asked for
    assert server.pages <= len(wanted) + 1
    assert server.looks == 5
