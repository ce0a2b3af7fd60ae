"""The first look at the uploads: every file that belongs to a dataset is read once, hashed and kept."""

from collections.abc import Iterator
from dataclasses import dataclass

from cv_assets.domain.formats import SNIFF_BYTES, sniff
from cv_assets.domain.snapshot import RoleOf, content_reason, size_reason
from resources.content_store import ContentStore
from resources.parallel import bounded_map
from resources.source import NotRead, Source, SourceFile
from schemas.codes import FileRole
from schemas.datasets import DatasetConfig

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source holds for one dataset: files with their role, and the paths that no pattern names."""

    files: list[tuple[SourceFile, FileRole]]
    not_included: list[str]


def list_source(source: Source, config: DatasetConfig) -> Listing:
    """Every file of the source, told apart by the dataset's patterns. Raises SourceError."""
    role_of = RoleOf(config)
    listing = Listing([], [])
    for file in source.files():
        role = role_of(file.path)
        if role is None:
            listing.not_included.append(file.path)
        else:
            listing.files.append((file, role))
    return listing


def ingest(
    listing: Listing, source: Source, content: ContentStore, config: DatasetConfig, *, threads: int
) -> Iterator[Row]:
    """One row of `raw_images` a file, in the order of the listing; bytes go to the content store as they are read."""

    def take(entry: tuple[SourceFile, FileRole]) -> Row:
        return _take(entry[0], entry[1], source, content, config)

    yield from bounded_map(take, listing.files, threads=threads)


def _take(file: SourceFile, role: FileRole, source: Source, content: ContentStore, config: DatasetConfig) -> Row:
    row: Row = {
        "path": file.path,
        "role": role,
        "size_bytes": file.size_bytes,
        "sha256": None,
        "format": None,
    }
    found = (file.reason, file.detail) if file.reason else size_reason(file.size_bytes, role, config)
    if found is None:
        try:
            data = source.read(file)
        except NotRead as error:
            found = (error.reason, str(error))
        else:
            found = content_reason(data, role)
            row |= {"size_bytes": len(data), "sha256": content.add(data)}
            row["format"] = sniff(data[:SNIFF_BYTES]) if role == "image" else None
    reason, detail = found or (None, None)
    return {**row, "reason": reason, "detail": detail}
