"""The sensor new_uploads while a dataset's file says something else than when the code location was loaded."""

from collections.abc import Iterator
from typing import Any

import pytest

from cv_assets_tests.conftest import Place, write_drawn
from cv_assets_tests.sensors.daemon import Daemon, daemons, take_snapshot, write_dataset
from cv_assets_tests.sensors.test_new_uploads import UPLOADS, begun, held, settle, settle_files, upload
from resources.settings import datasets_folder


@pytest.fixture
def daemon(place: Place) -> Iterator[Daemon]:
    """A daemon whose dataset has a first version, and one upload more than that."""
    write_drawn(place.uploads, only="camera01")
    with daemons(place, place.config(uploads=UPLOADS)) as (one,):
        settle_files(place)
        assert settle(one) == "begun v1"
        one.run_requested()
        upload(place, "late.png")
        yield one


EDITS: dict[str, dict[str, Any]] = {
    "other files are left out": {"source": {"exclude": ["triangle/**"]}},
    "another source": {"source": {"url": "/data/shapes"}},
    "some files are annotations": {"annotations": {"format": "yolo", "include": ["circle/*.png"]}},
    "other limits": {"limits": {"max_bytes": 1000}},
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_nothing_is_begun_for_a_listing_that_its_run_would_not_take(daemon: Daemon, place: Place, edit: dict[str, Any]):
    given = {"source": {"url": daemon.config.source.url, **edit.get("source", {})}}
    folder = write_dataset(place, place.config(**{**edit, **given}))
    said = settle(daemon)
    assert "1 new, 0 changed, 0 removed; v2 is not begun, as its run would take other files or limits: " in said
    assert f"those of shapes were changed in {folder} since this code location was loaded; reload it in the UI" in said
    assert begun(daemon) == ["v1"]
    write_dataset(place, daemon.config)  # as it was
    assert daemon.tick() == "begun v2"


def test_nothing_is_begun_for_a_dataset_whose_file_is_gone(daemon: Daemon, place: Place):
    (datasets_folder() / "shapes.yaml").unlink()
    assert "v2 is not begun, as its run would end before any step: shapes is gone from" in settle(daemon)
    assert begun(daemon) == ["v1"]
    write_dataset(place, daemon.config)
    assert daemon.tick() == "begun v2"


def test_an_edit_that_comes_after_the_request_makes_no_further_versions(daemon: Daemon, place: Place):
    assert settle(daemon) == "begun v2"
    daemon.instance.report_run_canceled(daemon.instance.get_runs(limit=1)[0])
    edited = place.config(source={"url": daemon.config.source.url, "exclude": ["triangle/**"]}, uploads=UPLOADS)
    write_dataset(place, edited)
    reloaded = Daemon(daemon.instance, edited, daemon.store_url, daemon.now, daemon.cursor)
    take_snapshot(reloaded, "v2")  # as a run reads the file
    for _ in range(3):
        assert "v3 is not begun, as its run would take other files" in settle(daemon)
    reloaded.cursor = daemon.cursor
    assert "v2 holds what is there" in settle(reloaded)
    assert not any(path.startswith("triangle/") for path in held(place, "v2"))
    assert begun(reloaded) == ["v1", "v2"]


def test_an_edit_of_what_is_done_with_the_files_waits_for_nobody(daemon: Daemon, place: Place):
    file = datasets_folder() / "shapes.yaml"
    file.write_text(file.read_text()[:-1] + ', "split": {"train": 0.5, "test": 0.5}, "description": "another"}')
    assert settle(daemon) == "begun v2"
