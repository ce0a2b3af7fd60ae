"""Commands that tell what there is: datasets with their versions, one version, and what differs between two."""

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from cv_assets.commands.arguments import (
    FAILED,
    ROWS_SHOWN,
    choose,
    choose_dataset,
    explained,
    json_option,
    missing_store,
    open_named_store,
    print_json,
    shown,
)
from cv_assets.domain.quality.wording import in_bytes
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    import polars as pl

    from cv_assets.domain.comparing import Comparison

SHARDS_SHOWN: Final = 6
# beside what is in the store alone: only `run`, `backfill` and the like need the file
UNDEFINED: Final = "no dataset file"
# of a version that is open, and has not come so far
UNKNOWN: Final = "-"
FIGURES: Final = (
    "files",
    "images",
    "quarantined",
    "annotations",
    "unlabelled_images",
    "labels_without_file",
    "duplicate_groups",
)

KINDS: Final = {
    "added": "images added",
    "removed": "images removed",
    "changed_paths": "paths with other bytes",
    "renamed": "images renamed",
    "moved": "moved between splits",
    "annotations_added": "labelled now",
    "annotations_removed": "not labelled any more",
    "annotations_changed": "annotated differently",
}


# of what a digest speaks of
NOT_COMPARED: Final = (
    "rejected files, annotations without a label or an image, ids of objects, measures of images, and packing"
)


@click.command("list")
@json_option
@explained
def list_datasets(as_json: bool) -> None:
    """Every dataset that has a file in the folder of datasets, or versions in the store, with their names.

    Exits with 1 if a version's commit record cannot be read, or what names the versions of a dataset; all else is listed.
    """
    from resources.dataset_files import load_datasets
    from resources.object_store import open_store
    from resources.settings import datasets_folder, store_url
    from resources.summaries import list_rows

    configs = load_datasets(datasets_folder())
    missing = missing_store()  # it is not made by a look, and there are datasets all the same
    store = open_named_store() if missing is None else open_store("memory:///")
    rows = list_rows(store, [config.name for config in configs])
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            click.echo(_list_line(row))
    if not any(row["version"] for row in rows):
        where = store_url() if missing is None else f"{missing}, which is not there"
        click.echo(shown(f"no version of any dataset is in the store {where}"), err=True)
    damaged = [row for row in rows if row["damaged"]]
    for row in damaged:
        name = f"{row['dataset']}@{row['version']}"
        said = f"{name} is damaged: {row['damaged']}. Look with `cv-assets verify {name}`"
        said = said if row["version"] else f"names of {row['dataset']} are damaged: {row['damaged']}"
        click.echo(shown(said), err=True)
    sys.exit(FAILED if damaged else 0)


def _list_line(row: dict[str, Any]) -> str:
    state = "not committed"
    if row["committed"]:
        state = f"{row['images']:>8} images  {row['digest'][:12]}"
    elif row["damaged"]:
        state = "damaged"
    elif row["removed"]:
        state = "removed"
    names = [*(["latest"] if row["latest"] else []), *row["tags"]]
    if row["pinned"] is not None:
        names.append(f"pinned: {shown(row['pinned'])}" if row["pinned"] else "pinned")
    if not row["defined"]:
        names.append(UNDEFINED)
    return f"{shown(row['dataset']):<24} {row['version'] or '-':<16} {state}  {', '.join(names)}".rstrip()


@click.command()
@click.argument("name", metavar="DATASET[@VERSION]")
@json_option
@explained
def show(name: str, as_json: bool) -> None:
    """Counts, checks, splits and shards of a version.

    VERSION is a name such as v3, a tag, or latest, which is also meant if none is given. The dataset's file may be gone.
    """
    from resources.dataset_files import load_datasets
    from resources.refs import Refs
    from resources.settings import datasets_folder
    from resources.summaries import summarize
    from resources.versions import VersionStore

    dataset, _, said = name.partition("@")
    configs = {config.name: config for config in load_datasets(datasets_folder())}
    refs = Refs(open_named_store(), dataset) if dataset in configs else choose_dataset(dataset)
    version = VersionStore(refs.store, dataset, refs.resolve(said or None))
    summary = summarize(version, configs.get(dataset))
    if as_json:
        print_json(summary)
    else:
        print_summary(summary, version.store.url)


def print_summary(summary: dict[str, Any], store: str) -> None:
    """What `show` and `run` say of a version."""
    state = f"committed, digest {summary['digest'][:16]}" if summary["committed"] else "not committed"
    names = [*summary["names"], *([] if summary["pinned"] is None else ["pinned"])]
    names += [] if summary["defined"] else [UNDEFINED]
    click.echo(f"{summary['dataset']}@{summary['version']}  {state}{'  (' + ', '.join(names) + ')' if names else ''}")
    for key in FIGURES:
        known = UNKNOWN if summary[key] is None else summary[key]
        click.echo(f"  {key.replace('_', ' '):<22}{known:>8}")
    splits = ", ".join(f"{name} {images}" for name, images in summary["splits"].items())
    click.echo(f"  {'splits':<22}{splits or UNKNOWN}")
    failed = [check["name"] for check in summary["checks"] if not check["passed"]]
    click.echo(f"  checks                {len(summary['checks'])} made, failed: {', '.join(failed) or 'none'}")
    _print_shards("shards", summary["shards"])
    for build in summary["builds"]:
        _print_shards("packed later, too", build["shards"])
    folder = f"datasets/{summary['dataset']}/versions/{summary['version']}/"
    click.echo(f"  in                    {store}/{summary['commit'] or folder}")


def _print_shards(what: str, shards: list[dict[str, Any]]) -> None:
    size_bytes = sum(shard["bytes"] for shard in shards)
    click.echo(f"  {what:<22}{len(shards)} files, {in_bytes(size_bytes)}")
    for shard in shards[:SHARDS_SHOWN]:
        click.echo(f"    {shard['key']}  {shard['samples']} samples  {shard['sha256'][:12]}")
    if len(shards) > SHARDS_SHOWN:
        click.echo(f"    … and {len(shards) - SHARDS_SHOWN} more")


@click.command()
@click.argument("before", metavar="DATASET@A")
@click.argument("after", metavar="[DATASET@]B")
@click.option("--exit-code", is_flag=True, help="Exit with 1 if the two differ.")
@json_option
@explained
def diff(before: str, after: str, exit_code: bool, as_json: bool) -> None:
    """What differs between two versions.

    Images, labels, boxes, groups, attributes, splits, and bytes under a path. A and B may be names, tags, or latest.
    """
    from cv_assets.domain.comparing import COMPARED, compare

    dataset = before.partition("@")[0]
    if "@" in after and after.partition("@")[0] != dataset:
        raise ConfigurationError(f"expected two versions of one dataset, found {before!r} and {after!r}")
    one, other = choose(before), choose(after if "@" in after else f"{dataset}@{after}")
    for chosen in (one, other):
        lacking = [name for name in COMPARED if chosen.version.find_table_key(name) is None]
        if lacking:
            raise ConfigurationError(
                f"expected two versions with tables to compare, found {chosen.name} open, without {', '.join(lacking)}; finish "
                f"it with `cv-assets run {dataset} --version {chosen.version.version}`"
            )
    old, new = ({name: chosen.version.load_table(name) for name in COMPARED} for chosen in (one, other))
    found = compare(old, new)
    digests = {
        side: record.digest if (record := chosen.version.commit()) else None
        for side, chosen in (("before", one), ("after", other))
    }
    is_committed = None not in digests.values()
    differs = found.differs or (is_committed and digests["before"] != digests["after"])
    if as_json:
        names = {"dataset": dataset, "before": one.version.version, "after": other.version.version}
        print_json({**names, "digests": digests, "differs": differs, **found.to_json()})
    else:
        click.echo(f"{one.name} → {other.name}")
        _print_comparison(found)
        if not found.differs:
            click.echo(f"  {_unseen(digests)}")
    sys.exit(FAILED if exit_code and differs else 0)


def _unseen(digests: dict[str, str | None]) -> str:
    """What the digests say of two versions in which nothing was found to differ."""
    alone = [side for side, digest in digests.items() if digest is None]
    if alone:
        names = " and ".join({"before": "the first", "after": "the second"}[side] for side in alone)
        return f"nothing of this differs; {names} is not committed, so that digests cannot be compared"
    if digests["before"] == digests["after"]:
        return "the two hold the same content"
    return f"nothing of this differs, but the digests do; not compared are {NOT_COMPARED}"


def _print_comparison(found: "Comparison") -> None:
    counts = found.counts()
    for kind, label in KINDS.items():
        click.echo(f"  {label:<24}{counts[kind]:>8}")
    parts = ", ".join(f"{part} {images}" for part, images in found.changed_parts().items())
    if parts:
        click.echo(f"    in {parts}")
    _print_rows("+", found.added, lambda row: f"{row['path']}  {', '.join(row['labels'])}  {row['split'] or '-'}")
    _print_rows("-", found.removed, lambda row: f"{row['path']}  {', '.join(row['labels'])}  {row['split'] or '-'}")
    _print_rows(
        "~", found.changed_paths, lambda row: f"{row['path']}  {_short(row['before'])} → {_short(row['after'])}"
    )
    _print_rows("r", found.renamed, lambda row: f"{', '.join(row['before'])} → {', '.join(row['after'])}")
    _print_rows("s", found.moved, lambda row: f"{row['path']}  {row['before'] or '-'} → {row['after'] or '-'}")
    _print_rows("a", found.annotations, _annotation_line)
    changed = found.by_class.filter(
        (found.by_class["images_before"] != found.by_class["images_after"])
        | (found.by_class["objects_before"] != found.by_class["objects_after"])
    )
    if changed.height:
        click.echo(f"\n  {'class':<24}{'images':>18}{'objects':>18}")
    for row in changed.head(ROWS_SHOWN).iter_rows(named=True):
        images, objects = (f"{row[f'{kind}_before']} → {row[f'{kind}_after']}" for kind in ("images", "objects"))
        click.echo(f"  {shown(row['label']):<24}{images:>18}{objects:>18}")
    _print_more(changed)


def _annotation_line(row: dict[str, Any]) -> str:
    before, after = ", ".join(row["labels_before"]) or "none", ", ".join(row["labels_after"]) or "none"
    labels = before if before == after else f"{before} → {after}"
    parts = f" in {', '.join(row['differs_in'])}" if row["differs_in"] else ""
    return f"{row['path']}  {row['change']}{parts}: {row['before']} → {row['after']} objects  {labels}"


def _print_rows(sign: str, frame: "pl.DataFrame", line: Any) -> None:
    if frame.height:
        click.echo()
    for row in frame.head(ROWS_SHOWN).iter_rows(named=True):
        click.echo(f"  {sign} {shown(line(row))}")
    _print_more(frame)


def _print_more(frame: "pl.DataFrame") -> None:
    if frame.height > ROWS_SHOWN:
        click.echo(f"  … and {frame.height - ROWS_SHOWN} more (all of them with --json)")


def _short(sha256: str | None) -> str:
    return sha256[:12] if sha256 else "nothing"
