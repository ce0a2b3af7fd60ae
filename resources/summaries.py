"""What `show` and `list` say of versions, read from the store: from the commit record, or from an open version's tables."""

from typing import Any

from cv_assets.domain.lineage import READS
from cv_assets.domain.releasing import count, split_sizes
from cv_assets.domain.versions import sort_versions
from resources.object_store import ObjectStore
from resources.versions import VersionStore, list_versions
from schemas.datasets import DatasetConfig
from schemas.errors import ConfigurationError
from schemas.releases import Verdict
from schemas.tables import to_frame

_CHECK_KEYS = {"name", "asset", "passed", "severity"}


def summarize(version: VersionStore, config: DatasetConfig) -> dict[str, Any]:
    """Everything that `show` prints of one version, as plain JSON; `digest` is None while it is open."""
    record = version.commit()
    order = {name: place for place, name in enumerate(config.split.ratios)}
    if record is not None:
        counts, splits, checks = record.counts, record.splits, [*record.checks, *_verdicts(version, "release")]
        rows = [shard.model_dump() for shard in record.shards]
    else:
        tables = {name: _table(version, name) for name in READS}
        counts, splits = count(tables), split_sizes(tables["splits"], config)
        checks = [verdict for name in READS for verdict in _verdicts(version, name)]
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
    }


def find_version(store: ObjectStore, dataset: str, version: str | None) -> VersionStore:
    """The named version, or the newest committed one. Raises ConfigurationError if there is none."""
    names = sort_versions(list_versions(store, dataset))
    if version is not None:
        if version not in names:
            raise ConfigurationError(
                f"expected a version of {dataset} among {', '.join(names) or '(none yet)'}; found {version!r}"
            )
        return VersionStore(store, dataset, version)
    for name in reversed(names):
        if (found := VersionStore(store, dataset, name)).commit() is not None:
            return found
    raise ConfigurationError(f"dataset {dataset} has no committed version; make one with `cv-assets run {dataset}`")


def _verdicts(version: VersionStore, asset: str) -> list[Verdict]:
    found = version.find_verdicts(asset)
    return found.verdicts if found else []


def _table(version: VersionStore, name: str) -> Any:
    found = version.find_table(name)
    return to_frame(name, []) if found is None else found
