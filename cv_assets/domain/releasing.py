"""What a commit record says: counts, splits, and the digest of a version's content."""

from collections.abc import Iterable, Mapping
from typing import Final

import polars as pl

from cv_assets.domain.digests import record_digest
from schemas.datasets import DatasetConfig
from schemas.releases import CommitRecord, Counts, ObjectEntry, ShardEntry, Verdict
from schemas.tables import TABLE_VERSIONS

# The tables that make a version what it is. The quality report only describes them.
CONTENT_TABLES: Final = ("raw_images", "annotations", "manifest", "quarantine", "splits")

# The table that tells each figure of a version: before it is made, nobody knows the figure.
COUNTED_IN: Final = {
    "files": "raw_images",
    "annotation_files": "raw_images",
    "images": "manifest",
    "quarantined": "quarantine",
    "annotations": "annotations",
    "unlabelled_images": "manifest",
    "files_without_label": "annotations",
    "labels_without_file": "annotations",
    "duplicate_groups": "manifest",
}


def count(tables: Mapping[str, pl.DataFrame]) -> Counts:
    """The figures of a version, from as many of its tables as there are; a table not yet made counts as empty."""
    files, annotations = tables["raw_images"], tables["annotations"]
    manifest, quarantine = tables["manifest"], tables["quarantine"]
    of_images = annotations.drop_nulls("image_id")
    is_answered = (pl.col("label").is_not_null() & pl.col("reason").is_null()) | (pl.col("reason") == "no-object")
    bare = of_images.join(of_images.filter(is_answered), on="image_path", how="anti")
    return Counts(
        files=files.filter(pl.col("role") == "image").height,
        annotation_files=files.filter(pl.col("role") == "annotation").height,
        images=manifest.height,
        quarantined=quarantine.height,
        annotations=annotations["label"].count(),
        unlabelled_images=manifest.filter(pl.col("labels").list.len() == 0).height,
        files_without_label=bare["image_path"].n_unique(),
        labels_without_file=annotations.filter(pl.col("reason").is_in(["ambiguous-file", "no-file"])).height,
        duplicate_groups=manifest.filter(pl.col("paths").list.len() > 1).height,
    )


def split_sizes(splits: pl.DataFrame, names: Iterable[str]) -> dict[str, int]:
    """Split name → images, for each of these splits."""
    sizes = dict(splits.filter(pl.col("split").is_not_null()).group_by("split").len().iter_rows())
    return {name: sizes.get(name, 0) for name in names}


def build_commit(
    config: DatasetConfig,
    version: str,
    tables: Mapping[str, pl.DataFrame],
    digests: Mapping[str, str],
    *,
    checks: list[Verdict],
    objects: list[ObjectEntry],
) -> CommitRecord:
    """The commit record of a version whose tables and objects are all written; `digests` holds each `table_digest`."""
    shards = [ShardEntry.model_validate(row) for row in tables["shards"].iter_rows(named=True)]
    of_content = {name: digests[name] for name in CONTENT_TABLES}
    content = {
        "tables": of_content,
        "shards": sorted([shard.format, shard.split, shard.samples, shard.sha256] for shard in shards),
    }
    return CommitRecord(
        dataset=config.name,
        version=version,
        digest=record_digest(content),
        configuration=config.model_dump(mode="json"),
        counts=count(tables),
        splits=split_sizes(tables["splits"], config.split.ratios),
        schema_versions={name: TABLE_VERSIONS[name] for name in sorted(tables)},
        table_digests=of_content,
        checks=checks,
        shards=shards,
        objects=objects,
    )
