"""A dataset's versions are its partitions: one key a version, never one a file."""

import dagster as dg

from cv_assets.domain.versions import in_order_of_beginning, is_version
from resources.object_store import ObjectStore
from resources.records import is_removed, list_versions


def versions_of(dataset: str) -> dg.DynamicPartitionsDefinition:
    """The versions of a dataset; a key is added when a version is begun, and never used twice."""
    return dg.DynamicPartitionsDefinition(name=_name(dataset))


def add_version(instance: dg.DagsterInstance, store: ObjectStore, dataset: str, version: str) -> None:
    """Give a version its partition, and all that only the store knows theirs, as after a loss of Dagster's records.

    Those that were begun after one of them are added anew behind it: the order of partitions is read as that of beginning.
    """
    known = set(instance.get_dynamic_partitions(_name(dataset)))
    order = list(dict.fromkeys([*begun_versions(instance, store, dataset), version]))
    # one that was removed keeps the partition that it has, and gets none anew
    lacking = [one for one in order if one not in known and (one == version or not is_removed(store, dataset, one))]
    for one in order[order.index(lacking[0]) :] if lacking else ():
        if one in known:
            instance.delete_dynamic_partition(_name(dataset), one)
        if one in known or one in lacking:
            instance.add_dynamic_partitions(_name(dataset), [one])


def begun_versions(instance: dg.DagsterInstance, store: ObjectStore, dataset: str) -> list[str]:
    """The versions that Dagster or the store knows, in the order in which they were begun.

    Dagster keeps its partitions in that order; but its records may be younger than the store, or another machine's.
    """
    # the UI takes any name for a partition
    begun = [name for name in instance.get_dynamic_partitions(_name(dataset)) if is_version(name)]
    return in_order_of_beginning(begun, set(list_versions(store, dataset)) - set(begun))


def _name(dataset: str) -> str:
    return f"{dataset}_versions"
