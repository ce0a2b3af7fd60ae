"""The order of versions where Dagster's records and the store do not know the same ones."""

import dagster as dg

from cv_assets.beginning import look_at_versions
from cv_assets.partitions import begun_versions
from cv_assets_tests.resources.made import make_version
from resources.object_store import open_store


def test_the_records_of_a_new_machine_put_no_version_behind_all_others(tmp_path):
    store = open_store(str(tmp_path / "store"))
    for version in ("v1", "v2", "v8"):
        make_version(store, version, {"circle/a.png": version.encode()})
    with dg.DagsterInstance.ephemeral() as instance:
        assert begun_versions(instance, store, "shapes") == ["v1", "v2", "v8"]
        instance.add_dynamic_partitions("shapes_versions", ["v7", "v2"])
        assert begun_versions(instance, store, "shapes") == ["v1", "v7", "v2", "v8"]
        assert look_at_versions(instance, store, "shapes").newest == "v8"


def test_a_partition_that_can_be_no_version_does_not_stop_the_others(tmp_path):
    store = open_store(str(tmp_path / "store"))
    make_version(store, "v1", {"circle/a.png": b"1"})
    with dg.DagsterInstance.ephemeral() as instance:
        # the UI takes any name
        instance.add_dynamic_partitions("shapes_versions", ["v1", "v1 ", "a/b", "latest", "v2"])
        standing = look_at_versions(instance, store, "shapes")
        assert (standing.names, standing.newest) == (["v1", "v2"], "v1")
