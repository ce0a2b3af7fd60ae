"""The memory of what was rejected, over all versions of a dataset: it knows the clock, which no table of a version may.

Each version keeps one object, `datasets/NAME/rejections/VERSION.parquet`, made of its quarantine and of the time when its
snapshot was taken (by the store's own clock); the rows of a file are merged when they are read. So a rerun, and two runs
at once, write the same bytes; a run that is killed leaves an object or none. `attempts` counts versions that rejected a file:
how often it was decoded is another figure, as a version goes by what an earlier one found in the same bytes under the same
limits. The object of a version that is removed stays. What is damaged or gone counts as never written.
"""

import re
from datetime import UTC, datetime
from typing import Final

import polars as pl

from cv_assets.domain.manifest import build_quarantine
from cv_assets.domain.rejections import merge_rejections, rejections_of, with_state
from cv_assets.domain.versions import sort_versions
from resources.content_store import ContentStore
from resources.object_store import ObjectStore
from resources.records import list_versions
from resources.refs import Refs
from resources.requeue import Requeues
from resources.tables import read_table, table_bytes
from resources.versions import VersionStore
from schemas.errors import ConfigurationError, CorruptObject
from schemas.tables import TABLES, to_frame

TABLE: Final = "rejections"


def remember_rejections(version: VersionStore, quarantine: pl.DataFrame) -> None:
    """Keep what a version rejects. Nothing is written unless its verdicts are others than those that are kept."""
    key = _key(version.dataset, version.version)
    before = _load(version.store, key)
    if before is None and quarantine.is_empty():
        return
    known = before is not None and not before.is_empty()
    seen = before["first_seen"][0] if before is not None and known else _taken_at(version)
    rows = TABLES[TABLE].validate(rejections_of(quarantine, version=version.version, seen=seen), lazy=True)
    if before is None or not rows.equals(before):
        version.store.put(key, table_bytes(rows, TABLE))


def list_rejections(version: VersionStore) -> pl.DataFrame:
    """Every file that any version rejected, as one version stands to it: a Rejections table with three columns more.

    `state` as `with_state` says; `kept`: are its bytes in the content store (`yes`), in the source under a pin
    (`source`) or nowhere (`no`); `requeued`: does it wait for the next version. Sorted by path. Raises StoreError if the
    version has no snapshot yet.
    """
    store, dataset = version.store, version.dataset
    snapshot = version.load_table("raw_images")
    quarantine = version.find_table("quarantine")
    if quarantine is None:  # a gate stopped the line before it, perhaps for just these files
        quarantine = build_quarantine(snapshot, version.load_table("probes"))
    # of a version that was made before there was this memory, its own table tells
    parts = {version.version: rejections_of(quarantine, version=version.version, seen=_taken_at(version))}
    for key in store.keys(_prefix(dataset)):
        found = _load(store, key)
        if found is not None:
            parts[key.rsplit("/", 1)[-1].removesuffix(".parquet")] = found
    rows = with_state(merge_rejections(parts[name] for name in sort_versions(parts)), snapshot, quarantine)
    pending = {(one.path, one.sha256, one.size_bytes) for one in Requeues(store, dataset).pending().files}
    waits = [file in pending for file in rows.select("path", "sha256", "size_bytes").iter_rows()]
    return rows.with_columns(_kept(store, rows, snapshot), pl.Series("requeued", waits, pl.Boolean))


def find_looked_at(refs: Refs, named: str | None) -> VersionStore:
    """The version that is named, else the last one whose files were looked at. Raises ConfigurationError.

    Not latest: a version that is held back for what it rejected is the one that is asked about. The last of v1, v2, … is
    told by its name, so that not all of them are looked at; between that and names of other forms the time of the snapshots tells.
    """
    store, dataset = refs.store, refs.dataset
    if named is not None:
        return VersionStore(store, dataset, refs.resolve(named))
    looked_at: list[VersionStore] = []
    has_numbered = False
    for name in reversed(sort_versions(list_versions(store, dataset))):
        is_numbered = re.fullmatch(r"[vV]\d+", name) is not None
        if is_numbered and has_numbered:
            continue
        version = VersionStore(store, dataset, name)
        if any(version.find_table_key(table) for table in ("quarantine", "probes")):
            looked_at.append(version)
            has_numbered = has_numbered or is_numbered
    if looked_at:
        return max(looked_at, key=_modified)
    raise ConfigurationError(
        f"expected a version of {dataset} whose files were looked at, found none; make one with `cv-assets run {dataset}`. "
        f"The store is {refs.store.url}"
    )


def _modified(version: VersionStore) -> datetime:
    """When the snapshot was written; long ago if it is lost."""
    key = version.find_table_key("raw_images")
    found = None if key is None else version.store.look(key)
    return datetime.min.replace(tzinfo=UTC) if found is None else found.modified


def _kept(store: ObjectStore, rows: pl.DataFrame, snapshot: pl.DataFrame) -> pl.Series:
    here = ContentStore(store).held(rows)
    pinned = set(snapshot.drop_nulls("pin")["sha256"])
    said = ["yes" if one in here else "source" if one in pinned else "no" for one in rows["sha256"]]
    return pl.Series("kept", said, pl.String)


def _taken_at(version: VersionStore) -> str:
    """When the snapshot was taken: the age of its table, which is written once."""
    key = version.find_table_key("raw_images")
    found = None if key is None else version.store.look(key)
    taken = version.store.now() if found is None else found.modified
    return taken.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _load(store: ObjectStore, key: str) -> pl.DataFrame | None:
    try:
        found = store.read(key, lambda data: read_table(data, TABLE))
    except CorruptObject:
        return None
    is_of_today = found is not None and found.schema == to_frame(TABLE, []).schema
    return found if is_of_today else None


def _prefix(dataset: str) -> str:
    return f"datasets/{dataset}/rejections"


def _key(dataset: str, version: str) -> str:
    return f"{_prefix(dataset)}/{version}.parquet"
