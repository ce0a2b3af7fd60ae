"""What `show` and `list` say of versions, read from the store: from the commit record, or from an open version's tables."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from cv_assets.domain.expecting import expectations_key
from cv_assets.domain.lineage import READS
from cv_assets.domain.releasing import COUNTED_IN, count, split_sizes
from cv_assets.domain.versions import sort_versions
from resources.object_store import ObjectStore
from resources.records import list_versions, tombstone_key
from resources.refs import Refs
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig
from schemas.errors import CorruptObject
from schemas.releases import CommitRecord, Verdict
from schemas.tables import to_frame

Found = TypeVar("Found")
_CHECK_KEYS = {"name", "asset", "passed", "severity"}
_BUILD_KEYS = {"build", "digest", "shards"}


def summarize(version: VersionStore, config: DatasetConfig | None) -> dict[str, Any]:
    """Everything that `show` prints of one version, as plain JSON; `digest` and `commit` are None while it is open.

    So is a figure whose table is not made yet; without that of the splits, `splits` is empty. `builds` are packings that
    were made after the commit. Without a configuration, `defined` is false.
    """
    record, refs = version.commit(), Refs(version.store, version.dataset)
    names = list(config.split.ratios) if config else []
    order = {name: place for place, name in enumerate(names)}
    if record is not None:
        counts, splits = record.counts.model_dump(), record.splits
        rows = [shard.model_dump() for shard in record.shards]
    else:
        made = {name: table for name in READS if (table := version.find_table(name)) is not None}
        counted = count({name: made.get(name, to_frame(name, [])) for name in READS}).model_dump()
        counts = {figure: value if COUNTED_IN[figure] in made else None for figure, value in counted.items()}
        dealt = made.get("splits")
        splits = {} if dealt is None else split_sizes(dealt, names or dealt["split"].drop_nulls().unique().sort())
        rows = made["shards"].to_dicts() if "shards" in made else []
    return {
        "dataset": version.dataset,
        "version": version.version,
        "defined": config is not None,
        "committed": record is not None,
        "digest": record.digest if record else None,
        **counts,
        "splits": dict(sorted(splits.items(), key=lambda split: order.get(split[0], len(order)))),
        "checks": [verdict.model_dump(include=_CHECK_KEYS) for verdict in _checks(version, record)],
        "shards": rows,
        "builds": [build.model_dump(include=_BUILD_KEYS) for build in version.builds()] if record else [],
        "commit": version.commit_key if record else None,
        "names": refs.names_of(version.version),
        "pinned": refs.pins().get(version.version),
    }


def list_rows(store: ObjectStore, datasets: Iterable[str]) -> list[dict[str, Any]]:
    """What `list` prints: a row for each version, and one for a dataset that has none yet.

    Datasets that the store alone knows come last, and are not `defined`. A commit record that cannot be read is told in
    its row, as `damaged`, and hides no other version. What is wrong with `latest`, tags or pins has a row without a version
    each; whether a version is `latest` is None then, if that is not known.
    """
    defined = list(datasets)
    others = [name for name in store.folders("datasets") if name not in defined]
    return [row for name in [*defined, *others] for row in _rows_of(store, name, defined=name in defined)]


def _rows_of(store: ObjectStore, dataset: str, *, defined: bool) -> Iterator[dict[str, Any]]:
    refs = Refs(store, dataset)
    latest, no_latest = _read(refs.latest)
    tags, no_tags = _read(refs.tags)
    pins, no_pins = _read(refs.pins)
    rows: list[tuple[str | None, str | None]] = [(None, said) for said in (no_latest, no_tags, no_pins) if said]
    rows += [(name, None) for name in sort_versions(list_versions(store, dataset))]
    for name, problem in rows or ([(None, None)] if defined else []):
        record, damaged = _read(VersionStore(store, dataset, name).commit) if name else (None, problem)
        removed = name is not None and store.look(tombstone_key(dataset, name)) is not None
        yield {
            "dataset": dataset,
            "defined": defined,
            "version": name,
            "committed": record is not None,
            "damaged": damaged,
            "removed": removed,
            "images": record.counts.images if record else None,
            "digest": record.digest if record else None,
            "latest": None if no_latest else name is not None and name == latest,
            "tags": [tag for tag, version in (tags or {}).items() if version == name],
            "pinned": (pins or {}).get(name) if name else None,
        }


def _read(look: Callable[[], Found]) -> tuple[Found | None, str | None]:
    """What is found, or what is wrong with it."""
    try:
        return look(), None
    except CorruptObject as error:
        return None, str(error)


def _checks(version: VersionStore, record: CommitRecord | None) -> list[Verdict]:
    """What the version was committed with, and what is kept beside that: of the moment, of the release, or made later."""
    of_record = record.checks if record else []
    known = {(check.asset, check.name) for check in of_record}
    found = (version.find_verdicts(key) for name in (*READS, "release") for key in (name, expectations_key(name)))
    kept = [verdict for verdicts in found if verdicts for verdict in verdicts.verdicts]
    return of_record + [verdict for verdict in kept if (verdict.asset, verdict.name) not in known]
