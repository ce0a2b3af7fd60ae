"""A listing of many pages, some of which fail: it goes on where it was, with no gap and no double."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count

import pytest

from cv_assets_tests.servers.fault_proxy import faults_before
from cv_assets_tests.servers.plans import Fault, after, share
from cv_assets_tests.servers.s3 import fresh_bucket, serve
from resources.object_store import open_store
from resources.source import open_source
from schemas.errors import SourceError, SourceUnavailable, StoreUnavailable

BUSY = Fault(status=503, code="SlowDown")
PAGE = 50
KEYS = [f"{number:05d}.png" for number in range(600)]
ODD = [
    "a",
    *(f"a!{number:02d}" for number in range(60)),
    "a/",
    "a/b.png",
    "a-1",
    "a b",
    "a+&%25=#.png",
    "Z",
    "é",
    "日",
    "😀",
    "z/",
]
# what follows the path of the mark is the page that was there, and then the one that never comes
MARKED = [*(f"a!{number:02d}" for number in range(PAGE - 1)), "a/", "b.png"]
MANY = [f"{number:05d}" for number in range(1_100)]  # more than a page holds when nobody asks for fewer
RAW = ["tab\t.png", *KEYS[:200]]  # a key that is no path: the whole is listed by boto3
FOLDERS = {"up": KEYS, "odd": ODD, "marked": MARKED, "many": MANY, "raw": RAW}
LISTINGS = {
    "store": lambda url: list(open_store(url).keys("")),
    "source": lambda url: open_source(url).listing()["path"].to_list(),
}


@pytest.fixture
def proxy(s3, monkeypatch):
    """A proxy that all requests go through, none of them signed."""
    with faults_before(s3.url) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")  # else what is asked for could not be altered on the way
        monkeypatch.setenv("CV_ASSETS_STORE_DEADLINE", "60")
        monkeypatch.setenv("CV_ASSETS_STORE_TIMEOUT", "10")
        yield made


@pytest.fixture
def hasty(proxy, monkeypatch):
    """The same where giving up is the point: one page may take 2 s."""
    monkeypatch.setenv("CV_ASSETS_STORE_DEADLINE", "2")
    monkeypatch.setenv("CV_ASSETS_STORE_TIMEOUT", "1")
    return proxy


@pytest.fixture(scope="module")
def public():
    """A bucket that anybody may list, with a folder of each table of keys: no fault touches what is in it."""
    with fresh_bucket(serve()) as bucket:
        bucket.endpoint.client().put_bucket_acl(Bucket=bucket.name, ACL="public-read")
        with ThreadPoolExecutor(16) as pool:
            for folder, keys in FOLDERS.items():
                put = partial(put_below, bucket, folder)
                list(pool.map(put, keys))
        yield bucket


def put_below(bucket, folder, key):
    bucket.put(f"{folder}/{key}", b"" if key.endswith("/") else b"x")


def in_small_pages(plan):
    """A plan that does the same, and lets each page of a listing have few keys."""

    def small(request):
        request.target += f"&max-keys={PAGE}"
        return plan(request)

    return small


def by_boto3(request):
    return "Boto3" in request.header("User-Agent")


PLANS = {
    "every page fails once": lambda: lambda request: BUSY if request.number % 2 == 0 else None,
    "a third is answered by a busy server": lambda: share(1 / 3, BUSY, seed=1),
    "a third is lost": lambda: share(1 / 3, Fault(lose_reply=True), seed=2),
    "a third is cut": lambda: share(1 / 3, Fault(cut_reply=0.5), seed=3),
}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("listing", LISTINGS)
def test_a_page_that_fails_does_not_begin_the_listing_anew(public, proxy, listing, plan):
    proxy.start_over(in_small_pages(PLANS[plan]()))
    assert LISTINGS[listing](f"{public.url}/up") == KEYS
    assert len(proxy.log) > len(KEYS) / PAGE  # the faults did come, and the pages are as small as was asked


@pytest.mark.parametrize("fault", [BUSY, Fault(lose_reply=True), Fault(cut_reply=0.5), Fault(reset=True)])
def test_a_page_of_a_listing_that_fails_makes_no_gap_and_no_double(public, proxy, fault):
    pages = iter([None, fault])  # the first is sound, the second is not
    proxy.start_over(lambda request: next(pages, None))
    assert LISTINGS["store"](f"{public.url}/many") == MANY
    assert len(proxy.log) >= 3


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize("number", range(1, 5))
def test_keys_of_every_kind_and_marks_of_folders_are_listed_as_without_a_fault(public, proxy, listing, number):
    proxy.start_over()
    wanted = LISTINGS[listing](f"{public.url}/odd")
    proxy.start_over(in_small_pages(lambda request: BUSY if request.number == number else None))
    assert LISTINGS[listing](f"{public.url}/odd") == wanted
    assert len(set(wanted)) == len(wanted) >= len(ODD) - 2


ENDINGS = {"store": StoreUnavailable, "source": SourceUnavailable}


def endings_of(url):
    """How each listing ends, all begun at once, for each waits until its deadline: type and words of the error, seconds."""

    def end(listing):
        begin = time.monotonic()
        with pytest.raises((StoreUnavailable, SourceUnavailable)) as caught:
            LISTINGS[listing](url)
        return type(caught.value), str(caught.value), time.monotonic() - begin

    with ThreadPoolExecutor(len(LISTINGS)) as pool:
        return dict(zip(LISTINGS, pool.map(end, LISTINGS), strict=True))


def test_a_page_that_never_comes_is_given_up_at_the_deadline(public, hasty):
    hasty.start_over(in_small_pages(after(2 * len(LISTINGS), BUSY)))
    found = endings_of(f"{public.url}/up")
    assert {listing: kind for listing, (kind, _, _) in found.items()} == ENDINGS
    for listing, (_, said, seconds) in found.items():
        assert re.search(r"cannot list .*status 503 .*tried for 2 s", said), listing
        assert 2 <= seconds < 8, listing


def test_a_page_that_holds_nothing_new_does_not_put_the_deadline_off(public, hasty):
    hasty.start_over(in_small_pages(lambda request: BUSY if "continuation-token" in request.target else None))
    found = endings_of(f"{public.url}/marked")
    assert {listing: kind for listing, (kind, _, _) in found.items()} == ENDINGS
    for listing, (_, said, seconds) in found.items():
        assert "tried for 2 s" in said, listing
        assert seconds < 8, listing


@pytest.mark.parametrize(
    "fault", [BUSY, Fault(status=500, code=""), Fault(lose_reply=True), Fault(cut_reply=0.5), Fault(reset=True)]
)
def test_a_page_of_raw_keys_that_fails_is_asked_for_again_by_itself(public, proxy, fault):
    asked = count()
    proxy.start_over(in_small_pages(lambda request: fault if by_boto3(request) and next(asked) % 2 == 0 else None))
    assert sorted(LISTINGS["source"](f"{public.url}/raw")) == sorted(RAW)
    assert next(asked) >= 2 * len(RAW) / PAGE


def test_a_page_of_raw_keys_that_never_comes_is_given_up_at_the_deadline(public, hasty):
    refused: list[float] = []

    def refuse(request):
        if "continuation-token" not in request.target:
            return None
        if by_boto3(request):
            refused.append(time.monotonic())
        return BUSY

    hasty.start_over(in_small_pages(refuse))
    begin = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"cannot list s3://.*: status 503 \(SlowDown\); tried for 2 s"):
        LISTINGS["source"](f"{public.url}/raw")
    end = time.monotonic()
    assert len(refused) > 1
    assert end - begin >= 2
    assert end - refused[0] < 8  # what is imported and listed before that page may take its time


def test_a_listing_of_raw_keys_that_is_refused_is_no_outage(public, proxy):
    refused = Fault(status=403, code="AccessDenied")
    proxy.start_over(in_small_pages(lambda request: refused if by_boto3(request) else None))
    with pytest.raises(SourceError, match=r"status 403 \(AccessDenied\); these credentials may not") as caught:
        LISTINGS["source"](f"{public.url}/raw")
    assert not isinstance(caught.value, SourceUnavailable)
