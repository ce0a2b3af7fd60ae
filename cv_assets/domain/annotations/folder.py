"""Labels that are folders: an image's class is read from its own path. No annotation files."""

import re
from collections.abc import Callable, Iterator

from cv_assets.domain.annotations.paths import folder_of
from cv_assets.domain.annotations.records import Entry, Sources
from schemas.datasets import AnnotationsConfig, DatasetConfig

LabelRule = Callable[[str], str | None]


def read(sources: Sources, config: DatasetConfig) -> Iterator[tuple[str, Entry]]:
    """One entry an image whose path gives a class; the others are left to be counted as unlabelled."""
    label_of = label_rule(config.annotations)
    for path in sources.image_paths:
        label = label_of(path)
        if label:
            yield path, Entry(place="0", named=path, label=label)


def label_rule(annotations: AnnotationsConfig) -> LabelRule:
    """Path → class: by pattern, by the first folders, or by the folder that holds the file."""
    if annotations.class_pattern is not None:
        return _by_pattern(annotations.class_pattern)
    if annotations.class_depth is not None:
        return _by_depth(annotations.class_depth)
    return lambda path: folder_of(path).rpartition("/")[2] or None


def _by_pattern(pattern: str) -> LabelRule:
    compiled = re.compile(pattern)

    def label_of(path: str) -> str | None:
        found = compiled.search(path)
        return found["label"] if found else None

    return label_of


def _by_depth(depth: int) -> LabelRule:
    def label_of(path: str) -> str | None:
        folders = path.split("/")[:-1]
        return "/".join(folders[:depth]) if len(folders) >= depth else None

    return label_of
