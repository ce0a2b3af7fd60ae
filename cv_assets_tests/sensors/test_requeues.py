"""The sensor new_uploads and files that are requeued: they begin a version though no upload changed, and one only."""

import os
from collections.abc import Iterator

import dagster as dg
import pytest

from cv_assets_tests.conftest import Place, drawn_files, write_files
from cv_assets_tests.sensors.daemon import Daemon, daemons, take_snapshot
from resources.requeue import Requeues
from resources.versions import VersionStore
from schemas.releases import RequeuedFile

UPLOADS = {"settle": "2m", "every": "60s"}
CUT_OFF = "circle/camera02_cut_off.jpg"


@pytest.fixture
def daemon(place: Place) -> Iterator[Daemon]:
    """A daemon whose dataset has a first version of six images, of which one is cut off."""
    write_files(place.uploads, [file for file in drawn_files() if "circle/camera01" in file[0] or file[0] == CUT_OFF])
    for path in place.uploads.rglob("*.*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    with daemons(place, place.config(uploads=UPLOADS)) as (one,):
        assert [one.tick() for _ in range(3)][-1] == "begun v1"
        assert one.run_requested() == ["v1"]
        assert one.tick().startswith("Nothing new: ")
        yield one


def requeue(place: Place) -> None:
    """Ask for the cut-off image of v1 once more."""
    snapshot = VersionStore(place.store, "shapes", "v1").load_table("raw_images")
    (row,) = snapshot.filter(path=CUT_OFF).select("path", "sha256", "size_bytes").iter_rows(named=True)
    Requeues(place.store, "shapes").add([RequeuedFile(**row)])


def begun(daemon: Daemon) -> list[str]:
    return list(daemon.instance.get_dynamic_partitions("shapes_versions"))


def test_what_is_requeued_begins_one_version_though_no_upload_changed(daemon: Daemon, place: Place):
    requeue(place)
    assert daemon.tick() == "begun v2"
    assert "(NOT_STARTED) is about to take what is there as v2" in daemon.tick()
    assert daemon.run_requested() == ["v2"]
    for _ in range(3):
        assert daemon.tick().startswith("Nothing new: ")
    assert begun(daemon) == ["v1", "v2"]

    requeue(place)  # once more
    assert daemon.tick() == "begun v3"


def test_what_a_version_took_from_the_store_is_not_missed_in_the_source(daemon: Daemon, place: Place):
    requeue(place)
    (place.uploads / CUT_OFF).unlink()
    assert "0 new, 0 changed, 1 removed, 1 requeued since v1" in daemon.tick()
    daemon.instance.add_dynamic_partitions("shapes_versions", ["v2"])
    take_snapshot(daemon, "v2")  # by a person, before the uploads have settled
    assert CUT_OFF in VersionStore(place.store, "shapes", "v2").load_table("raw_images")["path"]
    assert "v2 holds what is there" in [daemon.tick() for _ in range(2)][-1]
    assert daemon.tick().startswith("Nothing new: ")
    assert begun(daemon) == ["v1", "v2"]


def test_while_a_run_may_have_taken_what_waits_nothing_is_begun(daemon: Daemon, place: Place):
    run = daemon.instance.create_run_for_job(
        dg.GraphDefinition("shapes").to_job(), tags={"dagster/partition": "v1"}, status=dg.DagsterRunStatus.STARTED
    )
    requeue(place)
    assert f"run {run.run_id} (STARTED) of v1 may take what is requeued" in daemon.tick()
    daemon.instance.report_run_canceled(run)
    assert daemon.tick() == "begun v2"


def test_a_run_that_failed_before_its_snapshot_leaves_the_request_and_is_not_asked_for_for_ever(
    daemon: Daemon, place: Place
):
    requeue(place)
    daemon.tick()
    daemon.run_requested(succeed=False)
    for _ in range(3):
        assert "ended as FAILURE before its snapshot" in daemon.tick()
    assert len(Requeues(place.store, "shapes").pending().files) == 1
    assert begun(daemon) == ["v1", "v2"]
