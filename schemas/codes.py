"""The closed sets of codes that tables and records hold. A new code is added here first.

Codes are kebab-case and never change their meaning; their explanations are what people read.
"""

from typing import Final, Literal, get_args

ImageFormat = Literal["bmp", "gif", "jpeg", "png", "pnm", "tiff", "webp"]
FileRole = Literal["annotation", "image"]
Severity = Literal["ERROR", "WARN"]
Frame = Literal["auto", "stored", "upright"]

SnapshotReason = Literal[
    "bytes-over-limit",
    "changed-while-reading",
    "empty-file",
    "format-not-allowed",
    "name-not-text",
    "not-a-regular-file",
    "symbolic-link",
    "unreadable",
]
ProbeReason = Literal[
    "decoder-died",
    "frames-over-limit",
    "memory-over-limit",
    "pixels-over-limit",
    "side-under-limit",
    "time-over-limit",
    "undecodable",
]
AnnotationReason = Literal[
    "ambiguous-file",
    "file-quarantined",
    "invalid-box",
    "no-file",
    "no-label",
    "no-object",
    "unparsable",
]
Note = Literal["first-frame-only", "orientation-invalid", "several-frames"]

# the machine may have been at fault: not remembered, tried again
PASSING_REASONS: Final = ("decoder-died", "memory-over-limit", "time-over-limit")
SNAPSHOT_REASONS: Final[tuple[str, ...]] = get_args(SnapshotReason)
PROBE_REASONS: Final[tuple[str, ...]] = get_args(ProbeReason)
ANNOTATION_REASONS: Final[tuple[str, ...]] = get_args(AnnotationReason)
IMAGE_FORMATS: Final[tuple[str, ...]] = get_args(ImageFormat)
FILE_ROLES: Final[tuple[str, ...]] = get_args(FileRole)
NOTES: Final[tuple[str, ...]] = get_args(Note)
