"""What a reader is given and what it gives back, whatever the format. Plain records, no parsing."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from cv_assets.domain.orientation import Box
from schemas.codes import AnnotationReason


class UprightSize(NamedTuple):
    """Width and height of the *upright* image in pixels, and the EXIF orientation (1 to 8) of its file."""

    width_px: int
    height_px: int
    orientation: int


class AnnotationFile(NamedTuple):
    """An annotation file: its path below the source, and the hash by which its bytes are read."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Sources:
    """What a reader may look at: annotation files and image paths, each in order of path, and how bytes are read."""

    annotation_files: tuple[AnnotationFile, ...]
    image_paths: tuple[str, ...]
    read: Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of an annotation file as it is written there, before it meets an image.

    `place` is 0 for the file itself, a line number in files of lines, else the object's number from 1.
    `box` is xyxy in pixels or in ratios of the image's sides. `context` is what the file says of the image
    rather than of the object; `group_by` may name a key of either. Of the `keypoint_length` numbers that a keypoint
    among the attributes has, the first two are x and y; 0 if nothing tells.
    """

    place: str
    named: str | None = None
    label: str | None = None
    box: Box | None = None
    unit: Literal["px", "ratio"] = "px"
    declared_size_px: tuple[float, float] | None = None
    attributes: Mapping[str, object] = field(default_factory=dict[str, object])
    context: Mapping[str, object] = field(default_factory=dict[str, object])
    keypoint_length: int = 3
    reason: AnnotationReason | None = None
    detail: str | None = None

    @property
    def sought(self) -> str | None:
        """The name to look an image up by; None where there is none, or the file itself says that it means none."""
        return None if self.reason == "no-file" else self.named


# All entries of a source, each with the path of the file that it was read from.
Entries = Collection[tuple[str, Entry]]


def unparsable(detail: str, place: str = "0") -> Entry:
    """The entry that stands for what cannot be read: a whole file unless a place in it is given."""
    return Entry(place=place, reason="unparsable", detail=detail)
