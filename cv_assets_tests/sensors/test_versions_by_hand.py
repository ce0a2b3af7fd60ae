"""The sensor new_uploads and versions that a person makes while it waits, or while it is switched off."""

from collections.abc import Iterator

import pytest

from cv_assets_tests.conftest import Place, write_drawn
from cv_assets_tests.sensors.daemon import Daemon, daemons, take_snapshot
from cv_assets_tests.sensors.test_new_uploads import UPLOADS, begun, held, settle, settle_files, upload


@pytest.fixture
def daemon(place: Place) -> Iterator[Daemon]:
    """A daemon whose dataset has a first version."""
    write_drawn(place.uploads, only="circle/camera01")
    with daemons(place, place.config(uploads=UPLOADS)) as (one,):
        settle_files(place)
        assert settle(one) == "begun v1"
        one.run_requested()
        yield one


@pytest.mark.parametrize("looks", [0, 1])
def test_what_only_a_version_by_hand_holds_makes_one_more_version(daemon: Daemon, place: Place, looks: int):
    mistake = upload(place, "mistake.png")
    for _ in range(looks):  # none: it is switched off
        assert "1 new, 0 changed, 0 removed since v1; settled in" in daemon.tick()
    take_snapshot(daemon, "v2")
    mistake.unlink()  # the source lists again what v1 holds
    assert "0 new, 0 changed, 1 removed since v2; settled in" in daemon.tick()
    assert settle(daemon) == "begun v3"
    daemon.run_requested()
    assert held(place, "v3") == held(place, "v1")
    assert daemon.tick().endswith("which v3 holds.")
    assert begun(daemon) == ["v1", "v2", "v3"]


def test_what_a_version_by_hand_holds_is_not_taken_again(daemon: Daemon, place: Place):
    take_snapshot(daemon, "v2")  # of the same
    assert "0 new, 0 changed, 0 removed since v2; settled in" in daemon.tick()
    assert "v2 holds what is there" in settle(daemon)
    assert daemon.tick().endswith("which v2 holds.")
    upload(place, "another.png")
    take_snapshot(daemon, "v3")
    assert "v3 holds what is there" in settle(daemon)
    assert daemon.tick().endswith("which v3 holds.")
    assert begun(daemon) == ["v1", "v2", "v3"]
