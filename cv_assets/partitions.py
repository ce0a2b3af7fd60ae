"""A dataset's versions are its partitions: one key a version, never one a file."""

import dagster as dg

from cv_assets.domain.versions import in_order_of_beginning, is_version
from resources.object_store import ObjectStore
from resources.records import list_versions


def versions_of(dataset: str) -> dg.DynamicPartitionsDefinition:
    """The versions of a dataset; a key is added when a version is begun, and never used twice."""
    return dg.DynamicPartitionsDefinition(name=f"{dataset}_versions")


def begun_versions(instance: dg.DagsterInstance, store: ObjectStore, dataset: str) -> list[str]:
    """The versions that Dagster or the store knows, in the order in which they were begun.

    Dagster keeps its partitions in that order; but its records may be younger than the store, or another machine's.
    """
    partitions = versions_of(dataset)
    assert partitions.name is not None
    # the UI takes any name for a partition
    begun = [name for name in instance.get_dynamic_partitions(partitions.name) if is_version(name)]
    return in_order_of_beginning(begun, set(list_versions(store, dataset)) - set(begun))
