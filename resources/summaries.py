"""What `show` and `list` say of versions, read from the store: from the commit record, or from an open version's tables."""

from collections.abc import Iterable, Iterator
from typing import Any

from cv_assets.domain.expecting import expectations_key
from cv_assets.domain.lineage import READS
from cv_assets.domain.releasing import count, split_sizes
from cv_assets.domain.versions import sort_versions
from resources.object_store import ObjectStore
from resources.records import list_versions, tombstone_key
from resources.refs import Refs
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig
from schemas.errors import CorruptObject
from schemas.releases import CommitRecord, Verdict
from schemas.tables import to_frame

_CHECK_KEYS = {"name", "asset", "passed", "severity"}


def summarize(version: VersionStore, config: DatasetConfig) -> dict[str, Any]:
    """Everything that `show` prints of one version, as plain JSON; `digest` is None while it is open."""
    record, refs = version.commit(), Refs(version.store, version.dataset)
    order = {name: place for place, name in enumerate(config.split.ratios)}
    if record is not None:
        counts, splits, checks = record.counts, record.splits, [*record.checks, *_verdicts(version, "release")]
        rows = [shard.model_dump() for shard in record.shards]
    else:
        tables = {name: _table(version, name) for name in READS}
        counts, splits = count(tables), split_sizes(tables["splits"], config)
        keys = [key for name in READS for key in (name, expectations_key(name))]
        checks = [verdict for key in keys for verdict in _verdicts(version, key)]
        rows = tables["shards"].to_dicts()
    return {
        "dataset": version.dataset,
        "version": version.version,
        "committed": record is not None,
        "digest": record.digest if record else None,
        **counts.model_dump(),
        "splits": dict(sorted(splits.items(), key=lambda split: order.get(split[0], len(order)))),
        "checks": [verdict.model_dump(include=_CHECK_KEYS) for verdict in checks],
        "shards": rows,
        "commit": version.commit_key,
        "names": refs.names_of(version.version),
        "pinned": refs.pins().get(version.version),
    }


def find_version(store: ObjectStore, dataset: str, version: str | None) -> VersionStore:
    """The version behind a version's name, a tag or `latest` (or nothing). Raises ConfigurationError if there is none."""
    return VersionStore(store, dataset, Refs(store, dataset).resolve(version))


def list_rows(store: ObjectStore, datasets: Iterable[str]) -> list[dict[str, Any]]:
    """What `list` prints: a row for each version, and one for a dataset that has none yet.

    A commit record that cannot be read is told in its row, as `damaged`, and hides no other version.
    """
    return [row for dataset in datasets for row in _rows_of(store, dataset)]


def _rows_of(store: ObjectStore, dataset: str) -> Iterator[dict[str, Any]]:
    refs = Refs(store, dataset)
    latest, tags, pins = refs.latest(), refs.tags(), refs.pins()
    for name in sort_versions(list_versions(store, dataset)) or [None]:
        record, damaged = _read_commit(store, dataset, name) if name else (None, None)
        removed = name is not None and store.look(tombstone_key(dataset, name)) is not None
        yield {
            "dataset": dataset,
            "version": name,
            "committed": record is not None,
            "damaged": damaged,
            "removed": removed,
            "images": record.counts.images if record else None,
            "digest": record.digest if record else None,
            "latest": name is not None and name == latest,
            "tags": [tag for tag, version in tags.items() if version == name],
            "pinned": pins.get(name) if name else None,
        }


def _read_commit(store: ObjectStore, dataset: str, version: str) -> tuple[CommitRecord | None, str | None]:
    """The commit record, or what is wrong with it; neither while the version is open."""
    try:
        return VersionStore(store, dataset, version).commit(), None
    except CorruptObject as error:
        return None, str(error)


def _verdicts(version: VersionStore, asset: str) -> list[Verdict]:
    found = version.find_verdicts(asset)
    return found.verdicts if found else []


def _table(version: VersionStore, name: str) -> Any:
    found = version.find_table(name)
    return to_frame(name, []) if found is None else found
