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
    "key-not-a-path",
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
Note = Literal[
    "colour-profile",
    "ends-early",
    "exif-invalid",
    "first-frame-only",
    "gps-present",
    "orientation-invalid",
    "several-frames",
    "trailing-bytes",
    "transparent",
]
ImageFinding = Literal[
    "animated",
    "blurry",
    "cmyk",
    "colour-profile",
    "constant-border",
    "dark",
    "exact-duplicate",
    "exif-rotated",
    "extension-differs",
    "gps-present",
    "grayscale-among-colour",
    "image-without-group",
    "invalid-exif",
    "letterboxed",
    "light",
    "low-information",
    "near-duplicate",
    "odd-aspect-ratio",
    "odd-size",
    "transparent",
    "truncated",
    "unusual-bit-depth",
    "unusual-mode",
]
AnnotationFinding = Literal[
    "box-covers-image",
    "box-out-of-bounds",
    "box-without-area",
    "declared-size-differs",
    "duplicate-box",
    "duplicates-disagree",
    "file-without-label",
    "label-differs-by-case",
    "label-with-space",
    "label-without-file",
    "odd-box-size",
    "tiny-box",
    "unknown-label",
]
DatasetFinding = Literal[
    "chained-duplicates",
    "class-imbalance",
    "class-missing",
    "names-collide",
    "rare-class",
    "taxonomy-differs",
    "too-few-groups",
]
FindingCode = Literal[ImageFinding, AnnotationFinding, DatasetFinding]
# ERROR blocks the version; WARN and INFO fail no check, and WARN is listed first
FindingSeverity = Literal["ERROR", "WARN", "INFO"]

# the machine may have been at fault: not remembered, tried again
PASSING_REASONS: Final = ("decoder-died", "memory-over-limit", "time-over-limit")
SNAPSHOT_REASONS: Final[tuple[str, ...]] = get_args(SnapshotReason)
PROBE_REASONS: Final[tuple[str, ...]] = get_args(ProbeReason)
ANNOTATION_REASONS: Final[tuple[str, ...]] = get_args(AnnotationReason)
IMAGE_FORMATS: Final[tuple[str, ...]] = get_args(ImageFormat)
FILE_ROLES: Final[tuple[str, ...]] = get_args(FileRole)
NOTES: Final[tuple[str, ...]] = get_args(Note)
IMAGE_FINDINGS: Final[tuple[str, ...]] = get_args(ImageFinding)
ANNOTATION_FINDINGS: Final[tuple[str, ...]] = get_args(AnnotationFinding)
DATASET_FINDINGS: Final[tuple[str, ...]] = get_args(DatasetFinding)
FINDINGS: Final = IMAGE_FINDINGS + ANNOTATION_FINDINGS + DATASET_FINDINGS
FINDING_SEVERITIES: Final[tuple[str, ...]] = get_args(FindingSeverity)
