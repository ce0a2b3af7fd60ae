"""A listing of many pages, some of which fail: it goes on where it was, with no gap and no double."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cv_assets_tests.servers.fault_proxy import faults_before
from cv_assets_tests.servers.plans import Fault, after, share
from resources.object_store import open_store
from resources.source import open_source
from schemas.errors import SourceUnavailable, StoreUnavailable

BUSY = Fault(status=503, code="SlowDown")
PAGE = 50
KEYS = [f"{number:05d}.png" for number in range(600)]
LISTINGS = {
    "store": lambda url: list(open_store(url).keys("")),
    "source": lambda url: open_source(url).listing()["path"].to_list(),
}


@pytest.fixture
def proxy(s3, monkeypatch):
    """A proxy that all requests go through, none of them signed; one page may take 2 s."""
    with faults_before(s3.url) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")  # else what is asked for could not be altered on the way
        monkeypatch.setenv("CV_ASSETS_STORE_DEADLINE", "2")
        monkeypatch.setenv("CV_ASSETS_STORE_TIMEOUT", "1")
        yield made


@pytest.fixture
def public(proxy, bucket):
    """A bucket that anybody may list."""
    bucket.endpoint.client().put_bucket_acl(Bucket=bucket.name, ACL="public-read")
    return bucket


def fill(bucket, keys):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: bucket.put(f"up/{key}", b"" if key.endswith("/") else b"x"), keys))


def in_small_pages(plan):
    """A plan that does the same, and lets each page of a listing have few keys."""

    def small(request):
        request.target += f"&max-keys={PAGE}"
        return plan(request)

    return small


PLANS = {
    "every page fails once": lambda: lambda request: BUSY if request.number % 2 == 0 else None,
    "a third is answered by a busy server": lambda: share(1 / 3, BUSY, seed=1),
    "a third is lost": lambda: share(1 / 3, Fault(lose_reply=True), seed=2),
    "a third is cut": lambda: share(1 / 3, Fault(cut_reply=0.5), seed=3),
}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("listing", LISTINGS)
def test_a_page_that_fails_does_not_begin_the_listing_anew(public, proxy, listing, plan):
    fill(public, KEYS)
    proxy.start_over(in_small_pages(PLANS[plan]()))
    assert LISTINGS[listing](f"{public.url}/up") == KEYS
    assert len(proxy.log) > len(KEYS) / PAGE  # the faults did come, and the pages are as small as was asked


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


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize("number", range(1, 5))
def test_keys_of_every_kind_and_marks_of_folders_are_listed_as_without_a_fault(public, proxy, listing, number):
    fill(public, ODD)
    proxy.start_over()
    wanted = LISTINGS[listing](f"{public.url}/up")
    proxy.start_over(in_small_pages(lambda request: BUSY if request.number == number else None))
    assert LISTINGS[listing](f"{public.url}/up") == wanted
    assert len(set(wanted)) == len(wanted) >= len(ODD) - 2


ENDINGS = [("store", StoreUnavailable), ("source", SourceUnavailable)]


@pytest.mark.parametrize(("listing", "error"), ENDINGS)
def test_a_page_that_never_comes_is_given_up_at_the_deadline(public, proxy, listing, error):
    fill(public, KEYS[:200])
    proxy.start_over(in_small_pages(after(2, BUSY)))
    begin = time.monotonic()
    with pytest.raises(error, match=r"cannot list .*status 503 .*tried for 2 s"):
        LISTINGS[listing](f"{public.url}/up")
    assert 2 <= time.monotonic() - begin < 8


@pytest.mark.parametrize(("listing", "error"), ENDINGS)
def test_a_page_that_holds_nothing_new_does_not_put_the_deadline_off(public, proxy, listing, error):
    # what follows the path of the mark is the page that was there, and then the one that never comes
    fill(public, [*(f"a!{number:02d}" for number in range(PAGE - 1)), "a/", "b.png"])
    proxy.start_over(in_small_pages(lambda request: BUSY if "continuation-token" in request.target else None))
    begin = time.monotonic()
    with pytest.raises(error, match="tried for 2 s"):
        LISTINGS[listing](f"{public.url}/up")
    assert time.monotonic() - begin < 8
