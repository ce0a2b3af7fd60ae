"""What an ObjectStore makes of a bad network, a busy server and a server that says no: through a proxy that does it all."""

import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from cv_assets_tests.servers.fault_proxy import faults_before
from cv_assets_tests.servers.plans import Fault, on, share
from cv_assets_tests.servers.s3 import SECRET_KEY, serve
from resources.content_store import ContentStore
from resources.object_store import open_store
from schemas.errors import (
    CommitStateUnknown,
    CorruptObject,
    StoreRefused,
    StoreUnavailable,
    VersionConflict,
)

LOST = Fault(lose_reply=True)
BUSY = Fault(status=503, code="SlowDown")
# every method that asks the server something, as a call
CALLS = {
    "put": lambda store: store.put("k", b"x"),
    "put_new": lambda store: store.put_new("k", b"x"),
    "get": lambda store: store.get("k"),
    "find": lambda store: store.find("k"),
    "look": lambda store: store.look("k"),
    "size": lambda store: store.size("k"),
    "keys": lambda store: list(store.keys("")),
    "folders": lambda store: store.folders(""),
    "delete": lambda store: store.delete("k"),
    "now": lambda store: store.now(),
    "require_create_only": lambda store: store.require_create_only(),
}


@pytest.fixture
def proxy(s3, monkeypatch):
    """A proxy that all the store's requests go through."""
    with faults_before(s3.url) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
        monkeypatch.setenv("CV_ASSETS_STORE_DEADLINE", "60")
        monkeypatch.setenv("CV_ASSETS_STORE_TIMEOUT", "10")
        yield made


@pytest.fixture
def store(proxy, bucket):
    return open_store(f"{bucket.url}/p")


@pytest.fixture(scope="module")
def refusing():
    """A proxy whose requests never get through: the tests of refusals share it, and need no bucket."""
    with faults_before(serve().url) as made:
        yield made


@pytest.fixture
def refused(s3, refusing, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", refusing.url)
    return open_store("s3://bucket/p")


@pytest.fixture
def hasty(proxy, bucket, monkeypatch):
    """The same where giving up is the point."""
    monkeypatch.setenv("CV_ASSETS_STORE_DEADLINE", "1")
    monkeypatch.setenv("CV_ASSETS_STORE_TIMEOUT", "0.5")
    return open_store(f"{bucket.url}/p")


@pytest.fixture
def patient(proxy, bucket, monkeypatch):
    """The same with the time that it takes when nobody says otherwise."""
    monkeypatch.delenv("CV_ASSETS_STORE_DEADLINE")
    return open_store(f"{bucket.url}/p")


def test_a_create_only_write_whose_reply_was_lost_is_a_success(store, proxy, bucket):
    proxy.start_over(on("PUT", LOST, times=1))
    store.put_new("a", b"one")
    assert bucket.get("p/a") == b"one"
    assert [(entry.method, entry.status) for entry in proxy.log] == [("PUT", None), ("PUT", 412), ("GET", 200)]


def test_a_create_only_write_none_of_whose_replies_comes_is_read_back(hasty, proxy, bucket):
    proxy.start_over(on("PUT", LOST))
    hasty.put_new("a", b"one")
    assert bucket.get("p/a") == b"one"


def test_a_lost_reply_where_other_content_lies_is_a_conflict(store, hasty, proxy, bucket):
    bucket.put("p/a", b"other")
    proxy.start_over(on("PUT", LOST, times=1))
    with pytest.raises(VersionConflict):
        store.put_new("a", b"one")
    proxy.start_over(on("PUT", LOST))
    with pytest.raises(VersionConflict):
        hasty.put_new("a", b"one")
    assert bucket.get("p/a") == b"other"


def test_no_false_conflict_in_a_hundred_writes_that_lose_every_other_reply(patient, proxy, bucket):
    proxy.start_over(share(0.5, LOST, seed=5))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: patient.put_new(f"a/{number}", b"%d" % number), range(100)))
    assert sum(entry.fault == LOST for entry in proxy.log) > 50
    proxy.start_over()
    assert [patient.get(f"a/{number}") for number in range(100)] == [b"%d" % number for number in range(100)]


def test_a_write_that_meets_another_of_the_same_key_is_tried_again(store, proxy, bucket):
    proxy.start_over(on("PUT", Fault(status=409, code="ConditionalRequestConflict"), times=3))
    store.put_new("a", b"one")
    assert [entry.status for entry in proxy.log] == [409, 409, 409, 200]
    assert bucket.get("p/a") == b"one"


@pytest.mark.parametrize("code", ["SlowDown", "ServiceUnavailable"])
@pytest.mark.parametrize("percent", [5, 10, 20, 30])
def test_a_busy_server_fails_no_call(patient, proxy, percent, code):
    proxy.start_over(share(percent / 100, Fault(status=503, code=code), seed=percent))

    def work(number):
        patient.put(f"a/{number}", b"%d" % number)
        patient.put_new(f"b/{number}", b"%d" % number)
        assert patient.get(f"a/{number}") == patient.find(f"b/{number}") == b"%d" % number
        assert patient.size(f"a/{number}") == len(b"%d" % number)
        patient.delete(f"a/{number}")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(30)))
    assert len(list(patient.keys("b"))) == 30
    assert list(patient.keys("a")) == []
    struck = sum(entry.status == 503 for entry in proxy.log)
    assert struck > len(proxy.log) * percent / 200  # the faults did come


REFUSALS = {
    "denied": (403, "AccessDenied", r"status 403 Forbidden \(AccessDenied\)"),
    "unknown key": (403, "InvalidAccessKeyId", "check AWS_ACCESS_KEY_ID or AWS_PROFILE"),
    "wrong secret": (403, "SignatureDoesNotMatch", "check AWS_SECRET_ACCESS_KEY"),
    "expired": (400, "ExpiredToken", "have expired: renew them"),
    "expired, as others say it": (403, "ExpiredToken", "have expired: renew them"),
    "no bucket": (404, "NoSuchBucket", "there is no such bucket"),
    "clock": (403, "RequestTimeTooSkewed", "clock differs too much .* set the clock"),
    "region": (301, "PermanentRedirect", "in another region: set AWS_REGION"),
}


@pytest.mark.parametrize("case", REFUSALS)
@pytest.mark.parametrize("call", [name for name in CALLS if name not in {"now", "require_create_only"}])
def test_what_the_server_refuses_is_said_at_once_and_asked_once(refused, refusing, call, case):
    status, code, words = REFUSALS[case]
    if call in {"look", "size"}:
        if case == "no bucket":
            pytest.skip("the answer to HEAD has no body: a missing bucket looks like a missing object")
        words = f"status {status}"
    refusing.start_over(lambda request: Fault(status=status, code=code))
    with pytest.raises(StoreRefused, match=words) as caught:
        CALLS[call](refused)
    assert len(refusing.log) == 1
    assert "\n" not in str(caught.value)
    assert refused.url in str(caught.value)


@pytest.mark.parametrize("case", REFUSALS)
@pytest.mark.parametrize("call", ["now", "require_create_only"])
def test_what_takes_several_requests_says_the_first_refusal(refused, refusing, call, case):
    status, code, words = REFUSALS[case]
    refusing.start_over(lambda request: Fault(status=status, code=code))
    with pytest.raises(StoreRefused, match=f"cannot write .*{words}"):
        CALLS[call](refused)
    assert len(refusing.log) <= 2


def said_of(call):
    """Everything that a failing call could show to anybody."""
    with pytest.raises(StoreRefused) as caught:
        call()
    return str(caught.value), "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("call", ["put", "put_new", "get", "keys"])
def test_a_wrong_key_is_refused_at_once_and_no_secret_is_shown(s3, proxy, bucket, monkeypatch, call):
    if s3.is_mock:
        pytest.skip("moto accepts any key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY[::-1])
    message, everything = said_of(lambda: CALLS[call](open_store(bucket.url)))
    assert "the secret key is not the one of this access key" in message
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "NOSUCHKEY")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-token-" + SECRET_KEY)
    second, more = said_of(lambda: CALLS[call](open_store(bucket.url)))
    assert "check AWS_ACCESS_KEY_ID or AWS_PROFILE" in second
    assert len(proxy.log) == 2
    assert not any(secret in everything + more for secret in (SECRET_KEY, SECRET_KEY[::-1]))


@pytest.mark.parametrize("call", ["put", "put_new", "get", "keys", "folders", "require_create_only"])
def test_a_bucket_that_does_not_exist_is_refused_at_once(proxy, call):
    store = open_store("s3://cv-assets-that-nobody-made/p")
    message, _ = said_of(lambda: CALLS[call](store))
    assert "there is no such bucket: make it, or correct the URL" in message
    assert "s3://cv-assets-that-nobody-made/p" in message
    assert len(proxy.log) <= 2


def test_a_bucket_that_may_only_be_read_is_read_and_no_more(s3, bucket, store, proxy):
    if s3.is_mock:
        pytest.skip("moto does not keep to policies")
    bucket.put("p/a", b"one")
    bucket.forbid("s3:PutObject", "s3:DeleteObject")
    proxy.start_over()
    assert (store.get("a"), list(store.keys(""))) == (b"one", ["a"])
    for call in ("put", "put_new", "delete"):
        proxy.start_over()
        message, _ = said_of(lambda call=call: CALLS[call](store))
        assert "AccessDenied" in message
        assert len(proxy.log) == 1
    message, _ = said_of(store.require_create_only)
    assert "cannot write" in message


def test_a_store_that_ignores_the_condition_is_found_out_every_time(store, proxy, bucket):
    proxy.start_over(bucket.ignore_conditions)
    for _ in range(2):
        with pytest.raises(StoreRefused, match="ignores If-None-Match") as caught:
            store.require_create_only()
        assert "Use a server that honours it" in str(caught.value)
    assert list(store.keys("")) == []
    proxy.start_over()
    store.require_create_only()
    proxy.start_over()
    store.require_create_only()
    assert proxy.log == []  # proven once a process


def test_the_proof_holds_on_a_bad_network(store, proxy):
    proxy.start_over(share(0.4, LOST, seed=11))
    store.require_create_only()
    proxy.start_over()
    assert list(store.keys("")) == []


DATA = bytes(range(256)) * 400


@pytest.mark.parametrize("part", [0.0, 0.3, 0.999])
def test_a_reply_that_is_cut_off_is_asked_for_again(store, proxy, bucket, part):
    bucket.put("p/a", DATA)
    proxy.start_over(on("GET", Fault(cut_reply=part), times=2))
    assert store.get("a") == DATA
    assert len(proxy.log) == 3


def test_a_reply_that_never_comes_whole_is_no_object(hasty, proxy, bucket):
    bucket.put("p/a", DATA)
    proxy.start_over(on("GET", Fault(cut_reply=0.5)))
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"cannot read a in s3://.*; tried for 1 s\. Run again"):
        hasty.find("a")
    assert time.monotonic() - begin < 6


@pytest.mark.parametrize("part", [0.0, 0.5])
def test_a_reply_that_stalls_is_asked_for_again(proxy, bucket, part, monkeypatch):
    monkeypatch.setenv("CV_ASSETS_STORE_TIMEOUT", "1")
    store = open_store(f"{bucket.url}/p")
    bucket.put("p/a", DATA)
    proxy.start_over(on("GET", Fault(stall_reply=part), times=1))
    begin = time.monotonic()
    assert store.get("a") == DATA
    assert time.monotonic() - begin < 30


def test_a_server_that_takes_requests_and_never_answers_is_given_up(hasty, proxy, bucket):
    release = threading.Event()
    proxy.start_over(lambda request: Fault(hold=release))
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable, match="no answer in time"):
        hasty.put("a", b"x")
    release.set()
    assert time.monotonic() - begin < 6


def test_a_bit_that_flips_on_the_way_to_the_reader_is_read_again(store, proxy, bucket):
    content = ContentStore(store)
    sha256 = content.add(DATA)
    proxy.start_over(on("GET", Fault(flip_reply=True), times=1))
    assert content.read(sha256) == DATA
    assert len(proxy.log) == 2


def test_a_bit_that_is_flipped_in_the_store_is_damage(store, proxy, bucket):
    content = ContentStore(store)
    sha256 = content.add(DATA)
    proxy.start_over(on("GET", Fault(flip_reply=True)))
    with pytest.raises(CorruptObject):
        content.read(sha256)
    assert len(proxy.log) == 2


@pytest.mark.parametrize("call", ["put", "put_new"])
def test_a_bit_that_flips_on_the_way_to_the_store_is_never_kept(s3, store, proxy, bucket, call):
    if s3.is_mock:
        pytest.skip("moto does not check what it is sent against its hash")
    proxy.start_over(on("PUT", Fault(flip_upload=True), times=2))
    getattr(store, call)("a", DATA)
    assert bucket.get("p/a") == DATA
    assert len(proxy.requests("PUT")) == 3


def test_a_store_that_cannot_be_reached_is_given_up_at_the_deadline(hasty, proxy):
    proxy.down()

    def give_up(call):
        begin = time.monotonic()
        with pytest.raises(
            (StoreUnavailable, CommitStateUnknown), match="no connection to the server; tried for 1 s"
        ) as caught:
            CALLS[call](hasty)
        return type(caught.value), time.monotonic() - begin

    with ThreadPoolExecutor(len(CALLS)) as pool:  # each waits until its deadline, and needs nothing of the others
        found = dict(zip(CALLS, pool.map(give_up, CALLS), strict=True))
    wanted = dict.fromkeys(CALLS, StoreUnavailable) | dict.fromkeys(
        ["put_new", "require_create_only"], CommitStateUnknown
    )
    assert {call: kind for call, (kind, _) in found.items()} == wanted
    # a write whose outcome is not known is looked for once more
    assert {call: seconds for call, (_, seconds) in found.items() if seconds >= 8} == {}


def test_an_outage_that_ends_before_the_deadline_is_only_a_delay(patient, proxy):
    patient.put("a", b"one")
    proxy.down()
    back = threading.Timer(2, proxy.up)
    back.start()
    patient.put_new("b", b"two")
    back.join()
    assert (patient.get("a"), patient.get("b")) == (b"one", b"two")


@pytest.mark.parametrize("lost", [LOST, BUSY])
def test_a_commit_that_cannot_be_read_back_is_unknown_and_nothing_is_deleted(store, hasty, proxy, bucket, lost):
    proxy.start_over(lambda request: lost if request.method == "PUT" else BUSY)
    with pytest.raises(
        CommitStateUnknown, match=r"Whether a was written is not known, and nothing was deleted; run again"
    ):
        hasty.put_new("a", b"one")
    assert {entry.method for entry in proxy.log} == {"PUT", "GET"}
    proxy.start_over()
    assert store.find("a") == (b"one" if lost is LOST else None)
    store.put_new("a", b"one")
    assert bucket.get("p/a") == b"one"


def test_a_commit_that_did_not_land_and_says_so_when_read_back_is_unknown_too(store, hasty, proxy):
    # the last write may still be on its way
    proxy.start_over(on("PUT", BUSY))
    with pytest.raises(CommitStateUnknown):
        hasty.put_new("a", b"one")
    proxy.start_over()
    assert store.find("a") is None


def test_an_object_that_is_gone_between_listing_and_reading_is_none(store, proxy, bucket):
    bucket.put("p/a", b"x")
    (entry,) = store.entries("")
    bucket.endpoint.client().delete_object(Bucket=bucket.name, Key="p/a")
    assert store.find(entry.key) is None


def test_sixteen_writers_on_a_bad_network_leave_one_content(patient, proxy, bucket):
    proxy.start_over(share(0.3, LOST, seed=3))
    outcomes = {}

    def write(number):
        try:
            patient.put_new("a", b"%d" % number)
            outcomes[number] = "won"
        except VersionConflict:
            outcomes[number] = "lost"

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(16)))
    assert sorted(outcomes.values()) == ["lost"] * 15 + ["won"]
    (winner,) = [number for number, outcome in outcomes.items() if outcome == "won"]
    assert bucket.get("p/a") == b"%d" % winner
