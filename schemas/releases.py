"""The records that a version keeps beside its tables: verdicts, shard indexes, the commit record. JSON, no clock."""

import json
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from schemas.codes import Severity

SCHEMA_VERSION = 1


class Record(BaseModel):
    """A closed, frozen record with one spelling in JSON, so that equal records are equal bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_bytes(self) -> bytes:
        """Sorted keys, two spaces, UTF-8, newline at the end."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
        return (text + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Inverse of `to_bytes`. Raises pydantic.ValidationError for anything else."""
        return cls.model_validate_json(data)


class Verdict(Record):
    """What one check found about one version. `saw` is plain JSON; `offending` the first rows that broke the rule."""

    name: str
    asset: str
    passed: bool
    severity: Severity
    blocking: bool
    description: str
    saw: dict[str, Any] = {}
    offending: list[dict[str, Any]] = []


class AssetVerdicts(Record):
    """All verdicts about one asset, bound by digest to the content of every table that the checks looked at."""

    asset: str
    table_digests: dict[str, str]
    verdicts: list[Verdict]


class Making(Record):
    """What a table was made from: digests of the table, of the tables that it read, and of the configuration used."""

    asset: str
    table_digest: str
    inputs: dict[str, str]
    configuration: str


class ObjectEntry(Record):
    """An object of the store: key below the store's root, size in bytes, SHA-256 in hex."""

    key: str
    size_bytes: int
    sha256: str
    role: Literal["table", "shard", "index"]


class ShardEntry(Record):
    """One shard file: its samples, size in bytes and SHA-256 in hex."""

    format: str
    split: str
    key: str
    samples: int
    bytes: int
    sha256: str


class ShardIndex(Record):
    """`index.json` of one shard format: what a loader needs to open every shard and trust it."""

    schema_version: int = SCHEMA_VERSION
    format: str
    dataset: str
    classes: list[str]
    splits: dict[str, int]
    shards: list[ShardEntry]


class Counts(Record):
    """The figures that people ask of a version first; README.md explains each."""

    files: int
    annotation_files: int
    images: int
    quarantined: int
    annotations: int
    unlabelled_images: int
    files_without_label: int
    labels_without_file: int
    duplicate_groups: int


class CommitRecord(Record):
    """A version's commit record, written last and create-only. Readers start from it and never list.

    `digest` speaks of the content alone: the same content under another version name has the same digest.
    """

    schema_version: int = SCHEMA_VERSION
    dataset: str
    version: str
    digest: str
    configuration: dict[str, Any]
    counts: Counts
    splits: dict[str, int]
    schema_versions: dict[str, int]
    table_digests: dict[str, str]
    checks: list[Verdict]
    shards: list[ShardEntry]
    objects: list[ObjectEntry]
