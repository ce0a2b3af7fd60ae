"""An outage of the source while its files are read ends the run, which can be run again; a rejection would be for good."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from cv_assets_tests.servers.fault_proxy import faults_before
from cv_assets_tests.servers.plans import Fault, on
from resources import source as sources
from resources.listing import SourceFile, files_of, list_folder
from resources.retrying import is_about_the_object
from resources.source import LocalSource, NotRead, open_source
from schemas.errors import SourceChanged, SourceError, SourceGone, SourceUnavailable

NAMES = ("a.png", "b.png")


@pytest.fixture
def landing(tmp_path):
    folder = tmp_path / "landing"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes(b"x")
    return folder


@pytest.fixture
def proxy(s3, monkeypatch):
    """A proxy that all the source's requests go through."""
    with faults_before(s3.url) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
        monkeypatch.setenv("CV_ASSETS_STORE_DEADLINE", "60")
        monkeypatch.setenv("CV_ASSETS_STORE_TIMEOUT", "10")
        yield made


@pytest.fixture
def remote(proxy, bucket):
    """A source in a bucket, and its first file as it was listed."""
    for name in NAMES:
        bucket.put(f"up/{name}", b"x")
    source = open_source(f"{bucket.url}/up")
    return source, next(files_of(source.listing()))


def unmount(landing):
    shutil.rmtree(landing)


def unmount_and_leave_the_folder_below(landing):
    landing.rename(landing.parent / "disk")  # as long as it is there, its inode is not given to another folder
    landing.mkdir()


def unmount_over_a_file(landing):
    landing.rename(landing.parent / "disk")
    landing.write_bytes(b"x")


def mount_another(landing):
    unmount_and_leave_the_folder_below(landing)
    for name in NAMES:
        (landing / name).write_bytes(b"x")


@pytest.mark.parametrize("lose", [unmount, unmount_and_leave_the_folder_below, unmount_over_a_file, mount_another])
def test_a_folder_that_goes_away_after_it_was_listed_makes_no_file_unreadable(landing, lose):
    source = LocalSource(landing)
    files = list(files_of(source.listing()))
    lose(landing)
    for file in files:
        with pytest.raises(SourceUnavailable, match=r"expected .*landing to stay .* mount it again, then run again"):
            source.read(file)


def test_a_folder_that_goes_away_while_it_is_listed_is_not_taken_for_what_lies_below(landing, monkeypatch):
    def lose_and_list(root):
        unmount_and_leave_the_folder_below(root)
        return list_folder(root)

    monkeypatch.setattr(sources, "list_folder", lose_and_list)
    with pytest.raises(SourceUnavailable, match="found another in its place"):
        LocalSource(landing).listing()


def test_a_file_that_is_gone_from_a_folder_that_stands_is_a_row_and_the_others_are_read(landing):
    source = LocalSource(landing)
    gone, other = files_of(source.listing())
    (landing / gone.path).unlink()
    with pytest.raises(NotRead, match="cannot be read: No such file or directory") as caught:
        source.read(gone)
    assert caught.value.reason == "unreadable"
    assert source.read(other).data == b"x"


REFUSALS = {
    # status and code of the answer, and what the message says
    "a revoked key": (403, "InvalidAccessKeyId", "check AWS_ACCESS_KEY_ID or AWS_PROFILE"),
    "an expired token": (403, "ExpiredToken", "have expired: renew them"),
    "an expired token, as others say it": (400, "ExpiredToken", "have expired: renew them"),
    "a token of nobody": (403, "InvalidTokenId", r"InvalidTokenId\); check source\.url and AWS_"),
    "another secret": (403, "SignatureDoesNotMatch", "check AWS_SECRET_ACCESS_KEY"),
    "a clock that is off": (403, "RequestTimeTooSkewed", "set the clock"),
    "no bucket": (404, "NoSuchBucket", "there is no such bucket"),
    "credentials that are not known": (401, "Unauthorized", "status 401"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_that_is_not_about_the_object_makes_no_file_unreadable(remote, proxy, case):
    status, code, words = REFUSALS[case]
    source, file = remote
    proxy.start_over(on("GET", Fault(status=status, code=code), key=file.path))
    with pytest.raises(SourceError, match=rf"cannot read a\.png of s3://.*{words}") as caught:
        source.read(file)
    assert not isinstance(caught.value, SourceUnavailable)  # the same request would meet the same answer
    assert len(proxy.log) == 1


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_without_a_code_comes_from_something_between_and_may_pass(remote, proxy, status):
    source, file = remote
    proxy.start_over(on("GET", Fault(status=status, code=""), key=file.path))
    with pytest.raises(SourceUnavailable, match=rf"status {status} .* Run again when the source answers"):
        source.read(file)


ABOUT_ONE = [(403, "AccessDenied"), (403, "InvalidObjectState"), (404, "NoSuchKey")]


@pytest.mark.parametrize(("status", "code"), ABOUT_ONE)
def test_an_object_that_is_gone_or_forbidden_in_a_bucket_that_stands_is_a_row(remote, proxy, status, code):
    source, file = remote
    proxy.start_over(on("GET", Fault(status=status, code=code), key=file.path))
    with pytest.raises(NotRead, match=rf"cannot be read: status {status} .*\({code}\)") as caught:
        source.read(file)
    assert caught.value.reason == "unreadable"
    assert len(proxy.log) == 2  # the read, and the look whether the bucket stands


def test_an_object_that_was_deleted_is_a_row_and_the_others_are_read(remote, bucket):
    source, _ = remote
    gone, other = files_of(source.listing())
    bucket.endpoint.client().delete_object(Bucket=bucket.name, Key=f"up/{gone.path}")
    with pytest.raises(NotRead):
        source.read(gone)
    assert source.read(other).data == b"x"


FALLEN = {
    # what the listing is answered with that follows a refusal of one object, and what is raised
    "nobody may do anything any more": (Fault(status=403, code="AccessDenied"), SourceError),
    "the bucket is gone": (Fault(status=404, code="NoSuchBucket"), SourceError),
    "the server is down": (Fault(status=503, code="SlowDown"), SourceUnavailable),
    "the network is down": (Fault(reset=True), SourceUnavailable),
}


def test_an_object_that_is_gone_or_forbidden_along_with_its_bucket_is_no_row(proxy, bucket, monkeypatch):
    cases = {f"{code}, {case}": (*about, *FALLEN[case]) for about in ABOUT_ONE for case in FALLEN for code in about[1:]}
    folders = {f"case{number}": case for number, case in enumerate(cases)}
    listed = {}
    for folder, case in folders.items():
        bucket.put(f"{folder}/a.png", b"x")
        if cases[case][-1] is SourceUnavailable:  # it waits until its deadline
            monkeypatch.setenv("CV_ASSETS_STORE_DEADLINE", "1")
        else:
            monkeypatch.setenv("CV_ASSETS_STORE_DEADLINE", "60")
        source = open_source(f"{bucket.url}/{folder}")
        listed[case] = (source, next(files_of(source.listing())))

    def strike(request):
        folder = re.search(r"case\d+", request.target)[0]
        status, code, fault, _ = cases[folders[folder]]
        return Fault(status=status, code=code) if request.key == f"{folder}/a.png" else fault

    def read(case):
        source, file = listed[case]
        with pytest.raises(SourceError, match=r"cannot read a\.png of s3://") as caught:
            source.read(file)
        return type(caught.value)

    proxy.start_over(strike)
    with ThreadPoolExecutor(len(cases)) as pool:
        raised = dict(zip(cases, pool.map(read, cases), strict=True))
    assert raised == {case: kind for case, (*_, kind) in cases.items()}


def test_a_bucket_that_is_deleted_makes_no_file_unreadable(remote, bucket):
    source, file = remote
    client = bucket.endpoint.client()
    for name in NAMES:
        client.delete_object(Bucket=bucket.name, Key=f"up/{name}")
    client.delete_bucket(Bucket=bucket.name)
    with pytest.raises(SourceError, match="there is no such bucket"):
        source.read(file)
    client.create_bucket(Bucket=bucket.name)  # whoever lent it takes it back


def test_what_azure_says_of_one_object_is_about_one_object():
    said = "Server returned non-2xx status code: 404 Not Found: <Error><Code>{}</Code></Error>"
    assert is_about_the_object(FileNotFoundError(said.format("BlobNotFound")))
    assert not is_about_the_object(FileNotFoundError(said.format("ContainerNotFound")))


def test_an_object_that_is_gone_from_memory_is_a_row():
    with pytest.raises(NotRead, match="cannot be read"):
        open_source("memory:///outages").read(SourceFile("a.png", 1))


WAYS = {
    "read": lambda source, file, pin: source.read_pinned(file.path, pin, file.size_bytes),
    "look": lambda source, file, pin: source.size_pinned(file.path, pin),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("status", "code"), [*ABOUT_ONE, (404, "NoSuchVersion")])
def test_a_pinned_object_that_is_gone_forbidden_or_archived_is_changed_and_no_outage(remote, proxy, way, status, code):
    source, file = remote
    pin = source.read(file).pin
    struck = Fault(status=status, code=code)
    proxy.start_over(lambda request: struck if request.key.endswith(file.path) else None)
    with pytest.raises(SourceChanged, match=rf"expected a\.png of s3://.* as it was pinned .*{code}") as caught:
        WAYS[way](source, file, pin)
    assert isinstance(caught.value, SourceGone) == (status == 404)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchBucket"), (404, "NoSuchKey")])
def test_a_pinned_object_that_is_gone_or_forbidden_along_with_its_bucket_is_not_changed(
    remote, proxy, way, status, code
):
    source, file = remote
    pin = source.read(file).pin
    proxy.start_over(lambda request: Fault(status=status, code=code))
    with pytest.raises(SourceError, match=r"check source\.url and AWS_") as caught:
        WAYS[way](source, file, pin)
    assert not isinstance(caught.value, SourceChanged)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [403, 404])
def test_a_gateway_that_answers_in_the_place_of_a_bucket_makes_no_pinned_object_changed(remote, proxy, way, status):
    source, file = remote
    pin = source.read(file).pin
    proxy.start_over(lambda request: Fault(status=status, code=""))
    with pytest.raises(SourceUnavailable, match=rf"status {status} .* Run again when the source answers"):
        WAYS[way](source, file, pin)
