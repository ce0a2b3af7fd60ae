"""Which files of a source belong to a dataset, in which role, and what the first look at one decides."""

import re

import polars as pl

from cv_assets.domain.formats import SNIFF_BYTES, name_other, sniff
from schemas.codes import FileRole, SnapshotReason
from schemas.datasets import DatasetConfig
from schemas.patterns import to_expression


class RoleOf:
    """The role that a dataset's patterns give a path; annotation patterns go first."""

    def __init__(self, config: DatasetConfig) -> None:
        given: list[tuple[tuple[str, ...], FileRole | None]] = [
            (config.source.exclude, None),
            (config.annotations.include, "annotation"),
            (config.source.include, "image"),
        ]
        rules: list[tuple[str, FileRole | None]] = [
            (to_expression(patterns), role) for patterns, role in given if patterns
        ]
        # one expression for all patterns, a group a rule: every path of a source is held against it
        self._find = re.compile("|".join(f"({expression})" for expression, _ in rules)).fullmatch
        self._roles: list[FileRole | None] = [role for _, role in rules]

    def __call__(self, path: str) -> FileRole | None:
        """`annotation`, `image`, or None for a file that no pattern names."""
        if found := self._find(path):
            assert found.lastindex is not None
            return self._roles[found.lastindex - 1]
        # a key of a bucket may have folders that no pattern names: `a/../b.png` is rejected as what `a/b.png` would be
        plain = "/".join(folder for folder in path.split("/") if folder not in {"", ".", ".."})
        return None if plain == path else self(plain)


def with_roles(listed: pl.DataFrame, config: DatasetConfig) -> pl.DataFrame:
    """A table with a column `path`, and the column `role` that the patterns give each; none to those that they do not name."""
    return listed.with_columns(pl.Series("role", map(RoleOf(config), listed["path"].to_list()), pl.String))


def size_reason(size_bytes: int, role: FileRole, config: DatasetConfig) -> tuple[SnapshotReason, str] | None:
    """Why a file of this size is not read at all, or None."""
    least, most = _sizes_read(role, config)
    if size_bytes < least:
        return "empty-file", "0 bytes"
    if size_bytes > most:
        return "bytes-over-limit", f"{size_bytes} bytes; at most {most} are allowed"
    return None


def has_readable_size(config: DatasetConfig) -> pl.Expr:
    """Is there no `size_reason` for a row with the columns `size_bytes` and `role`?"""
    size = pl.col("size_bytes")
    return (
        pl.when(pl.col("role") == "image")
        .then(size.is_between(*_sizes_read("image", config)))
        .otherwise(size.is_between(*_sizes_read("annotation", config)))
    )


def content_reason(data: bytes, role: FileRole) -> tuple[SnapshotReason, str] | None:
    """Why these bytes are rejected before any decoder sees them, or None."""
    if role == "annotation" or sniff(data[:SNIFF_BYTES]) is not None:
        return None
    head, expected = data[:SNIFF_BYTES], "JPEG, PNG, WebP, BMP, TIFF, PNM or GIF"
    other = name_other(head)
    if other is not None:
        return "format-not-allowed", f"is {other} (expected {expected})"
    return "format-not-allowed", f"begins with {head[:8].hex(' ')}, which is no {expected}"


def _sizes_read(role: FileRole, config: DatasetConfig) -> tuple[int, int]:
    """The least and the most bytes of a file that is read. A YOLO label file of none says that its image shows no object."""
    if role == "image":
        return 1, config.limits.max_bytes
    return (0 if config.annotations.format == "yolo" else 1), config.annotations.max_bytes
