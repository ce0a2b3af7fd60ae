"""What differs between two versions of a dataset: images, labels, splits, and bytes under a path. Joins over tables only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import polars as pl

from cv_assets.domain.manifest import sound_objects

# what a comparison reads of a version
COMPARED: Final = ("raw_images", "manifest", "annotations", "splits")
_CORNERS: Final = ("x_min_px", "y_min_px", "x_max_px", "y_max_px")
# what an object is made of: the name of a part, and its columns
_PARTS: Final = {"label": ("label",), "box": _CORNERS, "group": ("group",), "attributes": ("attributes",)}
_OBJECT: Final = tuple(column for columns in _PARTS.values() for column in columns)

Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One frame a kind of difference, each with one row a case; `by_class` has a row for every class of either version.

    Of `annotations` that are changed, `differs_in` lists the parts that do (label, box, group, attributes), and `objects`
    if there are more or fewer of them, or if the parts are the same and belong together in another way.
    """

    added: pl.DataFrame
    removed: pl.DataFrame
    changed_paths: pl.DataFrame
    renamed: pl.DataFrame
    annotations: pl.DataFrame
    moved: pl.DataFrame
    by_class: pl.DataFrame

    @property
    def differs(self) -> bool:
        """Is there any difference but in counts?"""
        return any(self.counts().values())

    def counts(self) -> dict[str, int]:
        """Kind of difference → how many cases; annotations by what happened to them."""
        kinds = ("added", "removed", "changed_paths", "renamed", "moved")
        frames: dict[str, pl.DataFrame] = {kind: getattr(self, kind) for kind in kinds}
        happened: dict[str, int] = dict(self.annotations.group_by("change").len().iter_rows())
        of_annotations = {
            f"annotations_{change}": happened.get(change, 0) for change in ("added", "removed", "changed")
        }
        return {kind: frame.height for kind, frame in frames.items()} | of_annotations

    def changed_parts(self) -> dict[str, int]:
        """What changed annotations differ in → of how many images, the most frequent first."""
        changed = self.annotations.filter(pl.col("change") == "changed").explode("differs_in")
        return dict(changed.group_by("differs_in").len().sort(-pl.col("len").cast(pl.Int64), "differs_in").iter_rows())

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        frames: dict[str, pl.DataFrame] = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"counts": self.counts(), **{name: frame.to_dicts() for name, frame in frames.items()}}


def compare(before: Tables, after: Tables) -> Comparison:
    """Compare two versions by their tables raw_images, manifest, annotations and splits."""
    old, new = _images(before), _images(after)
    kept = old.join(new, on="image_id", suffix="_after")
    renamed = kept.filter(pl.col("paths") != pl.col("paths_after"))
    moved = kept.filter(pl.col("split").ne_missing(pl.col("split_after")))
    return Comparison(
        added=_listed(new.join(old, on="image_id", how="anti")),
        removed=_listed(old.join(new, on="image_id", how="anti")),
        changed_paths=_changed_paths(before["raw_images"], after["raw_images"]),
        renamed=renamed.select("image_id", before="paths", after="paths_after").sort("image_id"),
        annotations=_changed_annotations(before["annotations"], after["annotations"], kept),
        moved=moved.select("path", "image_id", before="split", after="split_after").sort("path"),
        by_class=_by_class(before, after),
    )


def _images(tables: Tables) -> pl.DataFrame:
    """One row an accepted image: its paths, labels and split."""
    paths = pl.col("paths").list.sort()
    columns = ("image_id", paths.list.first().alias("path"), paths, "labels")
    splits = tables["splits"].select("image_id", "split")
    return tables["manifest"].select(*columns).join(splits, on="image_id", how="left")


def _listed(images: pl.DataFrame) -> pl.DataFrame:
    return images.select("path", "image_id", "labels", "split").sort("path")


def _changed_paths(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Paths of both versions that hold other bytes now, images and annotation files alike."""
    columns = ("path", "role", "sha256", "size_bytes")
    both = before.select(columns).join(after.select(columns), on="path", suffix="_after")
    changed = both.filter(pl.col("sha256").ne_missing(pl.col("sha256_after")))
    said = changed.select(
        "path",
        role="role_after",
        before="sha256",
        after="sha256_after",
        before_bytes="size_bytes",
        after_bytes="size_bytes_after",
    )
    return said.sort("path")


def _objects(annotations: pl.DataFrame) -> pl.DataFrame:
    """Every labelled object of an image once, however many paths and files say the same of it."""
    return sound_objects(annotations).select("image_id", *_OBJECT).unique()


def _changed_annotations(before: pl.DataFrame, after: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """Images of both versions whose objects differ: with how many objects, which labels, and in what they differ.

    The key `id` of attributes is not compared: it numbers objects anew with each export.
    """
    ids = kept.select("image_id", path="path_after")
    old, new = (_objects(table).join(ids, on="image_id", how="semi") for table in (before, after))
    suspects = _unlike(old, new, _OBJECT)
    # taking attributes apart is slow: only where something differs
    was, now = (_without_ids(table.join(suspects, on="image_id", how="semi")) for table in (old, new))
    told = ids.join(_unlike(was, now, _OBJECT), on="image_id", how="semi")
    for name, table in (("before", was), ("after", now)):
        labels = pl.col("label").unique().sort().alias(f"labels_{name}")
        told = told.join(table.group_by("image_id").agg(labels, pl.len().alias(name)), on="image_id", how="left")
    nothing = pl.lit([], pl.List(pl.String))
    change = (
        pl.when(pl.col("before") == 0).then(pl.lit("added")).when(pl.col("after") == 0).then(pl.lit("removed"))
    ).otherwise(pl.lit("changed"))
    return (
        told.join(_changed_parts(was, now), on="image_id", how="left")
        .with_columns(pl.col("before", "after").fill_null(0).cast(pl.Int64))
        .with_columns(pl.col("labels_before", "labels_after").fill_null(nothing), change=change)
        .with_columns(differs_in=_differs_in())
        .select("path", "image_id", "change", "before", "after", "labels_before", "labels_after", "differs_in")
        .sort("path")
    )


def _differs_in() -> pl.Expr:
    """The parts that differ, of a change; `objects` where their number does, or nothing else."""
    parts = pl.col("parts").fill_null(pl.lit([], pl.List(pl.String)))
    is_other_set = (pl.col("before") != pl.col("after")) | (parts.list.len() == 0)
    every = pl.when(is_other_set).then(pl.concat_list(pl.lit("objects"), parts)).otherwise(parts)
    return pl.when(pl.col("change") == "changed").then(every).otherwise(pl.lit([], pl.List(pl.String)))


def _changed_parts(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """One row an image with the names of the parts of which both versions have values that the other has not."""
    found = [
        _surplus(before, after, columns)
        .filter(pl.min_horizontal("gone", "come") > 0)
        .select("image_id", parts=pl.lit(part))
        for part, columns in _PARTS.items()
    ]
    return pl.concat(found).group_by("image_id", maintain_order=True).agg("parts")


def _unlike(before: pl.DataFrame, after: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    """Ids of the images that have not the same values in both, each as often."""
    return _surplus(before, after, columns).filter(pl.max_horizontal("gone", "come") > 0).select("image_id")


def _surplus(before: pl.DataFrame, after: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    """One row an image: how many of its values there were more of before (`gone`), and are more of after (`come`)."""
    keys = ("image_id", *columns)
    both = pl.concat([before.select(*keys, more=pl.lit(-1)), after.select(*keys, more=pl.lit(1))])
    by_value = both.group_by(keys).agg(pl.col("more").sum())
    gone, come = (-pl.col("more")).clip(lower_bound=0).sum(), pl.col("more").clip(lower_bound=0).sum()
    return by_value.group_by("image_id").agg(gone.alias("gone"), come.alias("come"))


def _without_ids(objects: pl.DataFrame) -> pl.DataFrame:
    return objects.with_columns(pl.col("attributes").map_elements(_without_id, return_dtype=pl.String))


def _without_id(attributes: str) -> str | None:
    kept: dict[str, Any] = json.loads(attributes)
    kept.pop("id", None)
    return json.dumps(kept) if kept else None


def _by_class(before: Tables, after: Tables) -> pl.DataFrame:
    """Images and objects of each class in both versions, those that changed most first."""
    counted = pl.DataFrame(schema={"label": pl.String})
    for name, tables in (("before", before), ("after", after)):
        labels = tables["manifest"].select(label=pl.col("labels").explode()).drop_nulls()
        images = labels.group_by("label").agg(pl.len().cast(pl.Int64).alias(f"images_{name}"))
        objects = (
            _objects(tables["annotations"]).group_by("label").agg(pl.len().cast(pl.Int64).alias(f"objects_{name}"))
        )
        for count in (images, objects):
            counted = counted.join(count, on="label", how="full", coalesce=True)
    numbers = ("images_before", "images_after", "objects_before", "objects_after")
    most = (pl.col("images_after") - pl.col("images_before")).abs()
    return (
        counted.with_columns(pl.col(numbers).fill_null(0))
        .select("label", *numbers)
        .sort(most, "label", descending=[True, False])
    )
