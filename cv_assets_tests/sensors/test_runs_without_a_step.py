"""What automation makes of a run that ended before any step, as one does while a dataset file holds a mistake."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import dagster as dg
import pytest

from cv_assets import beginning
from cv_assets.beginning import MOST_REQUESTS
from cv_assets_tests.conftest import Place, write_drawn
from cv_assets_tests.sensors.daemon import Daemon, daemons

UPLOADS = {"settle": "60s", "every": "60s"}
MISTAKE = "name: other\nsource: {url: other, mod: copy}\n"


@pytest.fixture
def daemon(place: Place) -> Iterator[Daemon]:
    """A daemon that has just requested v1."""
    write_drawn(place.uploads, only="circle/camera01")
    with daemons(place, place.config(uploads=UPLOADS)) as (one,):
        assert [one.tick(), one.tick()][-1] == "begun v1"
        yield one


def test_a_mistake_in_another_dataset_s_file_uses_up_no_request(daemon: Daemon, place: Place):
    other = place.folder / "datasets" / "other.yaml"
    other.write_text(MISTAKE)
    daemon.run_requested(succeed=False, comes_to_a_step=False)
    for _ in range(MOST_REQUESTS + 2):
        said = daemon.tick()
        assert "v1 is not begun, as its run would end before any step: " in said
        assert f"{other}: source.mod" in said
    other.unlink()
    assert daemon.tick() == "begun v1"
    assert daemon.run_requested() == ["v1"]
    assert daemon.tick().startswith("Nothing new: ")


def test_a_run_that_never_comes_to_a_step_is_requested_so_often_and_then_told(daemon: Daemon):
    for _ in range(MOST_REQUESTS - 1):
        daemon.run_requested(succeed=False, comes_to_a_step=False)
        assert daemon.tick() == "begun v1"
    daemon.run_requested(succeed=False, comes_to_a_step=False)
    for _ in range(3):
        said = daemon.tick()
        assert f"ended as FAILURE before its snapshot, as {MOST_REQUESTS - 1} did before it" in said
        assert "cv-assets run shapes --version v1" in said
    assert len({run.run_key for run in daemon.requested}) == MOST_REQUESTS


def cancel(daemon: Daemon, run: dg.DagsterRun) -> None:
    daemon.instance.report_run_canceled(run)


def let_dagster_retry(daemon: Daemon, run: dg.DagsterRun) -> None:
    daemon.instance.report_run_failed(run)
    daemon.instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})


ENDS = [
    pytest.param(cancel, "ended as CANCELED before its snapshot", id="somebody canceled it"),
    pytest.param(let_dagster_retry, "and Dagster is about to start it again", id="Dagster tries it again"),
]


@pytest.mark.parametrize(("end", "words"), ENDS)
def test_what_somebody_else_decided_is_not_requested_again(
    daemon: Daemon, end: Callable[[Daemon, dg.DagsterRun], None], words: str
):
    (run,) = daemon.instance.get_runs()
    end(daemon, run)
    assert words in daemon.tick()
    assert len(daemon.requested) == 1


def test_what_dagster_was_to_try_again_and_never_did_is_requested_after_all(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
):
    (run,) = daemon.instance.get_runs()
    let_dagster_retry(daemon, run)
    monkeypatch.setattr(beginning, "RETRIED_WITHIN_SECONDS", 0)
    assert daemon.tick() == "begun v1"


def test_dagsters_own_tries_are_no_requests(daemon: Daemon):
    (run,) = daemon.instance.get_runs()
    daemon.run_requested(succeed=False, comes_to_a_step=False)
    for _ in range(MOST_REQUESTS):
        again = run._replace(run_id=str(uuid4()), parent_run_id=run.run_id, root_run_id=run.run_id)
        daemon.instance.add_run(again)
        daemon.instance.report_run_failed(again)
    assert daemon.tick() == "begun v1"
