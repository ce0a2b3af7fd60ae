"""A dataset's versions are its partitions: one key a version, never one a file."""

import dagster as dg


def versions_of(dataset: str) -> dg.DynamicPartitionsDefinition:
    """The versions of a dataset; a key is added when a version is begun, and never used twice."""
    return dg.DynamicPartitionsDefinition(name=f"{dataset}_versions")
