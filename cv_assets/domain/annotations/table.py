"""The Annotations table of a version: every label, box and reason that its annotation files give. One way in."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping

import polars as pl

from cv_assets.domain.annotations.groups import GroupCount, path_group_rule
from cv_assets.domain.annotations.matching import ImageIndex, Match
from cv_assets.domain.annotations.readers import FORMATS
from cv_assets.domain.annotations.records import AnnotationFile, Entry, Sources, UprightSize, unparsable
from cv_assets.domain.annotations.rows import ImageFile, Meeting, annotation_row, unlabelled_row
from schemas.datasets import DatasetConfig
from schemas.tables import to_frame


def build_annotations(
    config: DatasetConfig,
    files: pl.DataFrame,
    read: Callable[[str], bytes],
    sizes: Mapping[str, UprightSize],
) -> pl.DataFrame:
    """The Annotations table of the files that a snapshot lists.

    `files` is a RawImages table, `read` gives the bytes of an annotation file by their sha256, and `sizes` has every
    image that decoded, by image id. Broken content becomes rows with a reason; only `read` may raise.
    """
    images = _image_files(files, sizes)
    sources = Sources(_annotation_files(files), tuple(sorted(images)), read)
    path_group = path_group_rule(config.group_by)
    rows = [annotation_row(meeting, config.annotations.frame) for meeting in _meetings(config, sources, images)]
    detail = FORMATS[config.annotations.format].unlabelled
    met = {row["image_path"] for row in rows}
    left = (path for path in sources.image_paths if path not in met and images[path].was_kept)
    rows += [unlabelled_row(path, images[path], path_group(path), detail) for path in left]
    return to_frame("annotations", rows)


def _meetings(config: DatasetConfig, sources: Sources, images: Mapping[str, ImageFile]) -> Iterator[Meeting]:
    """Each entry with its image and group; last, if a key to group by was never met, an entry that says so."""
    kind = FORMATS[config.annotations.format]
    entries = deque(kind.read(sources, config))
    matcher = kind.matcher(sources, ImageIndex(sources.image_paths), entries)
    path_group = path_group_rule(config.group_by)
    count = GroupCount(config.group_by) if isinstance(config.group_by, str) else None
    while entries:  # each is let go as it becomes a row: a million of both would fill the memory twice
        source, entry = entries.popleft()
        match = Match(None) if entry.sought is None else matcher(source, entry)
        group = count.group_of(entry) if count else path_group(match.path or "")
        yield Meeting(source, entry, match, images.get(match.path or ""), group)
    if count and count.complaint:
        yield _lone(sources.annotation_files[0].path, unparsable(count.complaint, "group"))


def _lone(source: str, entry: Entry) -> Meeting:
    return Meeting(source, entry, Match(None), None, None)


def _annotation_files(files: pl.DataFrame) -> tuple[AnnotationFile, ...]:
    kept = files.filter(pl.col("role") == "annotation", pl.col("reason").is_null()).sort("path")
    return tuple(AnnotationFile(*pair) for pair in kept.select("path", "sha256").iter_rows())


def _image_files(files: pl.DataFrame, sizes: Mapping[str, UprightSize]) -> dict[str, ImageFile]:
    rows = files.filter(pl.col("role") == "image").select("path", "sha256", "reason").iter_rows()
    return {path: _image_file(sha256, reason, sizes) for path, sha256, reason in rows}


def _image_file(sha256: str | None, reason: str | None, sizes: Mapping[str, UprightSize]) -> ImageFile:
    if reason is not None:
        return ImageFile(None, None, f"the image file was rejected: {reason}", was_kept=False)
    size = sizes.get(sha256 or "")
    return ImageFile(sha256, size, None) if size else ImageFile(None, None, "the image could not be decoded")
