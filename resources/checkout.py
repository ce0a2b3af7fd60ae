"""Lays a version out as plain files in a folder, and brings such a folder to another version.

On local disk a file is a hard link to its blob, which costs no space and next to no time. Since a training program that
writes into its input would so write into the store, a blob that is linked is made read-only first; what is altered
nevertheless is found by `verify`, and `--copy` is there for programs that must write.
"""

from pathlib import Path
from typing import Final

import polars as pl

from cv_assets.domain.placing import PLACED, Placing, find_folded, place_as_uploaded, place_by_class
from resources.content_store import contents_of
from resources.laying_out import Before, CheckedOut, File, Layout, Wish, files_of
from resources.object_store import ObjectStore
from resources.tables import read_table, table_bytes
from resources.urls import is_remote, local_root
from resources.versions import VersionStore
from resources.working_tree import WorkingTree
from schemas.errors import ConfigurationError, CorruptObject
from schemas.upkeep import CheckoutRecord

MARKER: Final = ".cv-assets.json"
LISTED: Final = ".cv-assets.files.parquet"
NAMES_TOLD: Final = 5
_SCHEMA: Final = {
    "path": pl.String, "sha256": pl.String, "size_bytes": pl.Int64, "mtime_ns": pl.Int64, "inode": pl.UInt64,
}  # fmt: skip


def check_out(version: VersionStore, folder: Path, wish: Wish) -> CheckedOut:
    """Lay a committed version out in a folder that is empty, or that holds an earlier checkout of the same dataset.

    Files that somebody changed there are kept and told, unless it is to be forced. Raises ConfigurationError for a
    folder or a path that cannot be used, CorruptObject or StoreError if a blob is not what it should be.
    """
    record = version.commit()
    if record is None:
        raise ConfigurationError(
            f"expected a committed version, found {version.dataset}@{version.version} open; finish it with "
            f"`cv-assets run {version.dataset} --version {version.version}`"
        )
    _refuse_store(version.store, folder)
    _refuse_source(record.source_url, folder)
    tables = {name: version.load_table(name) for name in PLACED}
    placing = (
        place_by_class(tables, wish.splits)
        if wish.layout == "classes"
        else place_as_uploaded(tables, wish.splits, quarantined=wish.quarantined)
    )
    content = contents_of(version.store, record.source_url, tables["raw_images"])
    with WorkingTree(folder) as tree:
        before = _read_before(tree, version.dataset)
        _refuse_folded(tree, placing)
        marker = CheckoutRecord(
            dataset=version.dataset, version=version.version, digest=record.digest, layout=wish.layout,
            splits=list(wish.splits), quarantined=wish.quarantined, complete=False,
        )  # fmt: skip
        done = CheckedOut(
            version.dataset, version.version, record.digest,
            left_out=placing.left_out, absent_classes=placing.absent,
        )  # fmt: skip
        layout = Layout(tree, version.store, content, wish, done)
        wanted, classes = files_of(placing)
        tree.write(MARKER, marker.to_bytes())
        # first what may lie there from now on: of a run that is killed, the next one knows what to remove
        tree.write(LISTED, _list(_merged(before or {}, wanted)))
        left = layout.bring(before, wanted, classes)
        tree.write(LISTED, _list({path: (file,) for path, file in left.items()}))
        tree.write(MARKER, marker.model_copy(update={"complete": True}).to_bytes())
    return done


def _read_before(tree: WorkingTree, dataset: str) -> Before | None:
    """What an earlier checkout left, or was about to; None for a folder in which there is nothing.

    Raises ConfigurationError if there is anything else than a checkout of this dataset, or one whose list of files is lost:
    which of them belong to the other version alone, and are to go, nothing else tells.
    """
    if tree.is_empty():
        return None
    data = tree.read(MARKER)
    if data is None:
        raise ConfigurationError(f"expected {tree.root} to be empty or an earlier checkout; name another folder")
    try:
        marker = CheckoutRecord.from_bytes(data)
    except ValueError as error:
        raise ConfigurationError(f"{tree.root / MARKER} is damaged; empty the folder, or name another") from error
    if marker.dataset != dataset:
        raise ConfigurationError(
            f"expected {tree.root} to hold a checkout of {dataset}, found one of {marker.dataset}@{marker.version}"
        )
    rows = tree.read(LISTED)
    if rows is None and not marker.complete:  # the first run was killed before it laid anything out
        return {}
    try:
        listed = read_table(rows or b"", LISTED)
    except CorruptObject as error:
        raise ConfigurationError(
            f"{tree.root / LISTED} is damaged or gone, which tells the files of this checkout; empty the folder, or name another"
        ) from error
    found: Before = {}
    for path, *row in listed.iter_rows():
        found[path] = (*found.get(path, ()), File(*row))
    return found


def _merged(before: Before, wanted: dict[str, File]) -> Before:
    """What may lie at each path until a checkout has ended: what did, and what it brings."""
    return before | {path: (*before.get(path, ()), file) for path, file in wanted.items()}


def _list(files: Before) -> bytes:
    rows = [(path, *file) for path, some in files.items() for file in some]
    return table_bytes(pl.DataFrame(rows, schema=_SCHEMA, orient="row"), LISTED)


def _refuse_store(store: ObjectStore, folder: Path) -> None:
    inside = store.local_path(MARKER)
    if inside is not None and folder.resolve().is_relative_to(inside.parent.resolve()):
        raise ConfigurationError(f"expected a folder outside of the store {store.url}, found {folder}; name another")


def _refuse_source(url: str, folder: Path) -> None:
    if not is_remote(url) and folder.resolve().is_relative_to(local_root(url, setting="source.url").resolve()):
        raise ConfigurationError(
            f"expected a folder outside of the source {url}, whose uploads all files in it are; found {folder}; name another"
        )


def _refuse_folded(tree: WorkingTree, placing: Placing) -> None:
    if not tree.folds_names():
        return
    pairs = find_folded(placing.files["path"])
    if pairs:
        shown = "; ".join(f"{one!r} and {other!r}" for one, other in pairs[:NAMES_TOLD])
        raise ConfigurationError(
            f"expected names that differ on the file system of {tree.root}, which takes no note of case or of how "
            f"Unicode spells them; found {shown}. Check out elsewhere, or rename the uploads"
        )
