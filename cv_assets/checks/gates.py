"""Runs the gates of one asset on one version, and keeps the verdicts with the version. The rules are in domain/gates.py."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import dagster as dg

from cv_assets.assets.line import STORE_POOL, Line
from cv_assets.checks.verdicts import specify, to_result
from cv_assets.domain.gate import Gate, Tables
from cv_assets.domain.gates import gates_of
from cv_assets.domain.written_gates import RELEASE_GATES, SHARD_GATES, inspect_shards, release_gates, shard_gates
from cv_assets.failures import RETRY, told_apart
from resources.configured import ObjectStoreResource
from resources.object_store import ObjectStore
from resources.parallel import bounded_map
from resources.streaming import opened
from resources.versions import VersionStore
from schemas.releases import AssetVerdicts

# so many bytes of a remote store's shards are in memory at most, or one shard
HELD_BYTES: Final = 1_000_000_000

MakeGates = Callable[[Tables, ObjectStore], Sequence[Gate]]


def build_gate_checks(line: Line, asset: str) -> dg.AssetChecksDefinition:
    """The checks of one of the tables up to the splits."""
    gates = gates_of(asset, line.config)
    return _build(line, asset, gates, lambda _tables, _store: gates)


def build_shard_checks(line: Line) -> dg.AssetChecksDefinition:
    """The checks of the shards, which read every shard file back."""

    def make(tables: Tables, store: ObjectStore) -> Sequence[Gate]:
        largest: int = 1 if store.is_local else max(tables["shards"]["bytes"], default=1)
        threads = max(1, min(os.cpu_count() or 1, HELD_BYTES // largest))
        return shard_gates(
            *inspect_shards(tables["shards"], partial(opened, store), partial(bounded_map, threads=threads))
        )

    return _build(line, "shards", SHARD_GATES, make)


def build_release_checks(line: Line) -> dg.AssetChecksDefinition:
    """The checks of the release, which look for every object that the commit record names."""

    def make(tables: Tables, store: ObjectStore) -> Sequence[Gate]:
        return release_gates({key: store.size(key) for key in tables["release"]["key"]})

    return _build(line, "release", RELEASE_GATES, make)


def _build(line: Line, asset: str, gates: Sequence[Gate], make: MakeGates) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"{line.config.name}__{asset}_gates",
        specs=[
            specify(line, asset, gate.reads, name=gate.name, description=gate.description, blocking=gate.is_blocking)
            for gate in gates
        ],
        retry_policy=RETRY,
        pool=STORE_POOL,
    )
    def judge(
        context: dg.AssetCheckExecutionContext, object_store: ObjectStoreResource
    ) -> Iterator[dg.AssetCheckResult]:
        with told_apart():
            store = object_store.open()
            version = VersionStore(store, line.config.name, context.partition_key)
            stored = {
                name: version.load_stored(name) for name in sorted({read for gate in gates for read in gate.reads})
            }
            tables = {name: found.frame for name, found in stored.items()}
            verdicts = [gate.judge(tables, line.config) for gate in make(tables, store)]
            digests = {name: found.digest for name, found in stored.items()}
            version.save_verdicts(AssetVerdicts(asset=asset, table_digests=digests, verdicts=verdicts))
        for verdict in verdicts:
            yield to_result(verdict, line.key(asset))

    return judge
