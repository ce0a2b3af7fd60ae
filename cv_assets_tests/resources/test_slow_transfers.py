"""Transfers that take longer than the deadline: one that trickles is given up, one that moves goes on."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cv_assets_tests.servers.fault_proxy import faults_before
from cv_assets_tests.servers.plans import Fault, on
from resources.listing import SourceFile
from resources.object_store import open_store
from resources.source import open_source
from schemas.errors import SourceUnavailable, StoreUnavailable

DEADLINE_SECONDS = 2.0
TRICKLE = Fault(pace=(1, 0.1))
LONG_SECONDS = 30.0  # far more than is needed, even here and now, and far less than a trickle takes
DATA = bytes(range(256)) * 16_000


@pytest.fixture
def proxy(s3, monkeypatch):
    """A proxy that all requests go through; one waits 1 s for an answer, and 2 s for all of a transfer."""
    with faults_before(s3.url) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
        monkeypatch.setenv("CV_ASSETS_STORE_DEADLINE", str(DEADLINE_SECONDS))
        monkeypatch.setenv("CV_ASSETS_STORE_TIMEOUT", "1")
        yield made


@pytest.fixture
def store(proxy, bucket):
    return open_store(f"{bucket.url}/p")


def seconds_of(call):
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


READS = {
    "get": lambda store, source: store.get("a"),
    "keys": lambda store, source: list(store.keys("")),
    "folders": lambda store, source: store.folders(""),
    "listing": lambda store, source: source.listing(),
    "read": lambda store, source: source.read(SourceFile("a", len(DATA))),
}


def test_an_answer_that_trickles_is_given_up_at_the_deadline(store, proxy, bucket):
    bucket.put("p/a", DATA)
    source = open_source(f"{bucket.url}/p")
    proxy.start_over(on("GET", TRICKLE))

    def give_up(call):
        def given_up():
            with pytest.raises((StoreUnavailable, SourceUnavailable), match="tried for 2 s"):
                READS[call](store, source)

        return seconds_of(given_up)

    with ThreadPoolExecutor(len(READS)) as pool:  # each waits until its deadline, and needs nothing of the others
        took = dict(zip(READS, pool.map(give_up, READS), strict=True))
    assert {call: seconds for call, seconds in took.items() if not DEADLINE_SECONDS <= seconds < LONG_SECONDS} == {}


def test_an_answer_that_moves_is_read_beyond_the_deadline(store, proxy, bucket):
    bucket.put("p/a", DATA)
    proxy.start_over(on("GET", Fault(pace=(len(DATA) // 10, 0.3))))
    assert seconds_of(lambda: store.get("a") == DATA or pytest.fail("other bytes")) > DEADLINE_SECONDS
    assert len(proxy.log) == 1


def test_a_large_write_has_the_time_that_its_size_needs(store, proxy, bucket):
    held = threading.Event()
    # its answer begins when all is sent: here later than for a small one
    threading.Timer(DEADLINE_SECONDS + 1, held.set).start()
    proxy.start_over(on("PUT", Fault(hold=held)))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda call: getattr(store, call)(call, DATA), ["put", "put_new"]))
    assert bucket.get("p/put") == bucket.get("p/put_new") == DATA
    assert sorted(entry.key for entry in proxy.log) == ["p/put", "p/put_new"]


def test_a_small_write_without_an_answer_is_tried_again_soon(proxy, bucket, monkeypatch):
    monkeypatch.setenv("CV_ASSETS_STORE_DEADLINE", "60")
    store = open_store(f"{bucket.url}/p")
    held = threading.Event()
    proxy.start_over(on("PUT", Fault(hold=held), times=1))
    store.put("a", b"x")
    assert not held.is_set()  # it did not wait for that one
    assert store.get("a") == b"x"
    held.set()
