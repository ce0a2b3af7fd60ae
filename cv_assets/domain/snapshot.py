"""Which files of a source belong to a dataset, in which role, and what the first look at one decides."""

import re
from collections.abc import Iterable
from typing import Final

from wcmatch import glob

from cv_assets.domain.formats import SNIFF_BYTES, sniff
from schemas.codes import FileRole, SnapshotReason
from schemas.datasets import DatasetConfig

# `**` crosses folders, `{a,b}` is a choice; hidden files are matched only by a pattern that names the dot
_GLOB_FLAGS: Final = glob.GLOBSTAR | glob.BRACE | glob.FORCEUNIX


class RoleOf:
    """The role that a dataset's patterns give a path; annotation patterns go first."""

    def __init__(self, config: DatasetConfig) -> None:
        self._annotations = _compile(config.annotations.include)
        self._images = _compile(config.source.include)
        self._excluded = _compile(config.source.exclude)

    def __call__(self, path: str) -> FileRole | None:
        """`annotation`, `image`, or None for a file that no pattern names."""
        if _matches(self._excluded, path):
            return None
        if _matches(self._annotations, path):
            return "annotation"
        return "image" if _matches(self._images, path) else None


def size_reason(size_bytes: int, role: FileRole, config: DatasetConfig) -> tuple[SnapshotReason, str] | None:
    """Why a file of this size is not read at all, or None."""
    limit = config.limits.max_bytes if role == "image" else config.annotations.max_bytes
    if size_bytes == 0:
        return "empty-file", "0 bytes"
    if size_bytes > limit:
        return "bytes-over-limit", f"{size_bytes} bytes; at most {limit} are allowed"
    return None


def content_reason(data: bytes, role: FileRole) -> tuple[SnapshotReason, str] | None:
    """Why these bytes are rejected before any decoder sees them, or None."""
    if role == "annotation" or sniff(data[:SNIFF_BYTES]) is not None:
        return None
    return (
        "format-not-allowed",
        f"begins with {data[:8].hex(' ')}, which is no JPEG, PNG, WebP, BMP, TIFF, PNM or GIF",
    )


def _compile(patterns: Iterable[str]) -> list[re.Pattern[str]]:
    translated, _ = glob.translate(list(patterns), flags=_GLOB_FLAGS)
    return [re.compile(pattern) for pattern in translated]


def _matches(patterns: list[re.Pattern[str]], path: str) -> bool:
    return any(pattern.fullmatch(path) for pattern in patterns)
