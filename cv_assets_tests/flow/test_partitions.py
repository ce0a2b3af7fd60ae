"""The order of versions where Dagster's records and the store do not know the same ones."""

import dagster as dg
import pytest

from cv_assets.beginning import look_at_versions
from cv_assets.partitions import add_version, begun_versions
from cv_assets_tests.conftest import Place
from cv_assets_tests.resources.made import make_version
from resources.object_store import open_store
from resources.records import tombstone_key
from resources.refs import Refs
from resources.rejections import find_looked_at
from resources.summaries import list_rows
from schemas.releases import Tombstone


def test_the_records_of_a_new_machine_put_no_version_behind_all_others(tmp_path):
    store = open_store(str(tmp_path / "store"))
    for version in ("v1", "v2", "v8"):
        make_version(store, version, {"circle/a.png": version.encode()})
    with dg.DagsterInstance.ephemeral() as instance:
        assert begun_versions(instance, store, "shapes") == ["v1", "v2", "v8"]
        instance.add_dynamic_partitions("shapes_versions", ["v7", "v2"])
        assert begun_versions(instance, store, "shapes") == ["v1", "v7", "v2", "v8"]
        assert look_at_versions(instance, store, "shapes").newest == "v8"


def test_a_partition_or_a_folder_that_can_be_no_version_does_not_stop_the_others(tmp_path):
    store = open_store(str(tmp_path / "store"))
    make_version(store, "v1", {"circle/a.png": b"1"})
    for folder in ("@eaDir", "v1 (copy)"):  # of a NAS, and of a file manager
        store.put(f"datasets/shapes/versions/{folder}/COMMIT.json", b"")
    with dg.DagsterInstance.ephemeral() as instance:
        # the UI takes any name
        instance.add_dynamic_partitions("shapes_versions", ["v1", "v1 ", "a/b", "latest", "v2"])
        standing = look_at_versions(instance, store, "shapes")
        assert (standing.names, standing.newest) == (["v1", "v2"], "v1")
    assert [row["version"] for row in list_rows(store, [])] == ["v1"]
    assert find_looked_at(Refs(store, "shapes"), None).version == "v1"


ADDED = [
    # what Dagster knows, in its order; what the store keeps; the version that a run is about; Dagster's partitions after that
    ([], [], "v1", ["v1"]),
    (["v1", "v2"], ["v1", "v2"], "v2", ["v1", "v2"]),
    (["v2", "v1"], ["v1", "v2"], "v3", ["v2", "v1", "v3"]),  # begun so
    ([], ["v1", "v2", "v10"], "v11", ["v1", "v2", "v10", "v11"]),  # Dagster's records were lost
    (["v4"], ["v1", "v2", "v3"], "v4", ["v1", "v2", "v3", "v4"]),  # the sensor, or somebody in the UI, was first
    (["a b", "v4", "rc1"], ["v2", "v4", "rc1"], "v2", ["a b", "v2", "v4", "rc1"]),  # begun elsewhere
    (["v1"], ["v1", "a b", "gone"], "v2", ["v1", "v2"]),  # a folder of somebody's; a version that was removed
]


@pytest.mark.parametrize(("known", "kept", "version", "partitions"), ADDED)
def test_every_version_has_its_partition_once_one_is_run_in_the_order_of_beginning(
    tmp_path, known, kept, version, partitions
):
    store = open_store(str(tmp_path / "store"))
    for name in kept:
        store.put(f"datasets/shapes/versions/{name}/begun", b"")
    gone = Tombstone(dataset="shapes", version="gone", digest="0" * 64, reason="kept no longer")
    if "gone" in kept:
        store.put(tombstone_key("shapes", "gone"), gone.to_bytes())
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("shapes_versions", known)
        add_version(instance, store, "shapes", version)
        assert list(instance.get_dynamic_partitions("shapes_versions")) == partitions


def test_an_old_version_that_is_finished_after_dagsters_records_were_lost_does_not_take_latest_back(drawn: Place):
    config = drawn.config()
    assert drawn.run(config, select="raw_images").success
    assert drawn.run(config).success
    with dg.DagsterInstance.get() as instance:
        # as after a loss, when v2 was begun in the UI before anything else
        instance.delete_dynamic_partition("shapes_versions", "v1")
        assert drawn.run(config, version="v1").success
        assert Refs(drawn.store, "shapes").latest() == "v2"
        assert list(instance.get_dynamic_partitions("shapes_versions")) == ["v1", "v2"]
