"""The sensor new_uploads on a bucket: what an object is, its ETag says."""

import socket
import time
from collections.abc import Iterator

import pytest

from cv_assets_tests.conftest import Place, drawn_files
from cv_assets_tests.sensors.daemon import Daemon, daemons
from cv_assets_tests.sensors.test_new_uploads import begun, held, settle
from cv_assets_tests.servers.s3 import Bucket
from schemas.errors import SourceUnavailable


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    return [data for path, data in drawn_files() if path.startswith("circle/camera01")][:4]


@pytest.fixture
def daemon(place: Place, bucket: Bucket, images: list[bytes]) -> Iterator[Daemon]:
    for number, data in enumerate(images):
        bucket.put(f"landing/circle/{number}.jpg", data)
    config = place.config(source={"url": f"{bucket.url}/landing"}, uploads={"settle": "2m", "every": "60s"})
    with daemons(place, config) as (one,):
        yield one


def test_an_object_that_is_overwritten_with_as_many_bytes_makes_a_version(
    daemon: Daemon, bucket: Bucket, images: list[bytes], place: Place
):
    assert settle(daemon) == "begun v1"
    daemon.run_requested()
    assert daemon.tick().startswith("Nothing new: ")

    bucket.put("landing/circle/0.jpg", images[0][:-1] + b"\0")
    assert "0 new, 1 changed, 0 removed since v1" in daemon.tick()
    assert settle(daemon) == "begun v2"
    daemon.run_requested()
    first, second = held(place, "v1"), held(place, "v2")
    assert {path for path in first if first[path] != second[path]} == {"circle/0.jpg"}


def test_the_same_bytes_again_are_no_news(daemon: Daemon, bucket: Bucket, images: list[bytes]):
    settle(daemon)
    daemon.run_requested()
    bucket.put("landing/circle/0.jpg", images[0])
    assert daemon.tick().startswith("Nothing new: ")


def test_what_lies_beside_the_landing_place_is_of_no_account(daemon: Daemon, bucket: Bucket, images: list[bytes]):
    settle(daemon)
    daemon.run_requested()
    bucket.put("landing2/circle/0.jpg", images[0])
    bucket.put("other.jpg", images[1])
    assert daemon.tick().startswith("Nothing new: ")


def test_a_swap_of_two_names_is_two_changes(daemon: Daemon, bucket: Bucket, images: list[bytes]):
    settle(daemon)
    daemon.run_requested()
    bucket.put("landing/circle/0.jpg", images[1])
    bucket.put("landing/circle/1.jpg", images[0])
    assert "0 new, 2 changed, 0 removed since v1" in daemon.tick()


def test_a_bucket_that_does_not_answer_fails_the_tick_in_time_and_loses_nothing(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
):
    daemon.tick()
    with monkeypatch.context() as away, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: refused
        away.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        away.setenv("CV_ASSETS_STORE_DEADLINE", "2")
        begin = time.monotonic()
        with pytest.raises(SourceUnavailable, match="Run again"):
            daemon.tick()
        assert time.monotonic() - begin < 30  # far from the default of 120 s
    assert settle(daemon) == "begun v1"
    assert begun(daemon) == ["v1"]
