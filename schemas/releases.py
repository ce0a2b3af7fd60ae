"""The records that a version keeps beside its tables: verdicts, shard indexes, the commit record. JSON, no clock."""

import hashlib
import json
from typing import Any, Final, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, field_validator

from schemas.codes import Severity

SCHEMA_VERSION: Final = 1
_HASH: Final = "record_sha256"


def _spell(body: Any) -> bytes:
    text = json.dumps(body, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


class Record(BaseModel):
    """A closed, frozen record with one spelling in JSON, so that equal records are equal bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_bytes(self) -> bytes:
        """Sorted keys, two spaces, UTF-8, newline at the end; `record_sha256` is the hash of the same without that key."""
        body = self.model_dump(mode="json")
        return _spell({**body, _HASH: hashlib.sha256(_spell(body)).hexdigest()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Inverse of `to_bytes`. Raises ValueError if a bit differs, or if it is a record of another kind."""
        try:
            read: Any = json.loads(data)
        except RecursionError as error:
            raise ValueError("it is nested deeper than any record") from error
        body = cast("dict[str, Any]", read) if isinstance(read, dict) else {}
        said = body.pop(_HASH, None)
        if said != hashlib.sha256(_spell(body)).hexdigest():
            raise ValueError("its bytes are not the bytes that were written")
        return cls.model_validate(body)


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
    """All verdicts about one asset, bound by digest to every table, and part of the dataset file, that was looked at."""

    asset: str
    table_digests: dict[str, str]
    verdicts: list[Verdict]


class Making(Record):
    """What a table was made from: digests of the table, of the tables that it read, and of the configuration used."""

    asset: str
    table_digest: str
    inputs: dict[str, str]
    configuration: str


class BaselineRecord(Record):
    """Which version another one is compared with or goes on from, fixed when it was first asked; none if there was none.

    `setting` is what the dataset said then: a version, a tag, `latest`, or none; `latest` for the release before.
    """

    setting: str | None
    version: str | None
    digest: str | None


class Arrivals(BaseModel):
    """When the newest upload of a version's snapshot was last modified, ISO 8601 in UTC; none if the source does not say.

    `listing` is the digest of what the source listed then (cv_assets.domain.uploads).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    newest_upload: str | None
    listing: str | None


class TablePlace(Record):
    """Which file holds a table of an open version now; the commit record names it from then on.

    `made_under` is the digest of the configuration that a table which is written once was made under, and `arrivals` what
    is known of the uploads that it was made from.
    """

    table: str
    file: str
    made_under: str | None = None
    arrivals: Arrivals | None = None


class ReportPlace(Record):
    """Which file holds a part of the quality report now, such as report.html; the commit record names it from then on."""

    name: str
    file: str


ObjectRole = Literal["table", "report", "shard", "index"]


class ObjectEntry(Record):
    """An object of the store: key below the store's root, size in bytes, SHA-256 in hex."""

    key: str
    size_bytes: int
    sha256: str
    role: ObjectRole


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

    schema_version: Literal[1] = SCHEMA_VERSION
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

    schema_version: Literal[1] = SCHEMA_VERSION
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

    @field_validator("configuration")
    @classmethod
    def _names_a_source(cls, configuration: dict[str, Any]) -> dict[str, Any]:
        """Of a configuration that another release may have spelled, only this much has to be understood."""
        match configuration:
            case {"source": {"url": str()}}:
                return configuration
            case _:
                raise ValueError("its configuration names no source.url")

    @property
    def source_url(self) -> str:
        """Where the uploads of this version lay."""
        return self.configuration["source"]["url"]


class BuildRecord(Record):
    """Another packing of a version that was committed before: made from its tables, recorded beside its own shards."""

    schema_version: Literal[1] = SCHEMA_VERSION
    build: str
    digest: str
    configuration: dict[str, Any]
    shards: list[ShardEntry]
    objects: list[ObjectEntry]


class LatestEntry(Record):
    """One move of `latest`: entries are numbered from 1 without a gap, and the highest number says what it names now."""

    number: int
    version: str
    reason: str


class Tag(Record):
    """A name that people give to a version, and may move to another."""

    name: str
    version: str


class Pin(Record):
    """A version that is kept, whatever its age, and why."""

    version: str
    reason: str


class Tombstone(Record):
    """A version that was removed: its name is never used again."""

    dataset: str
    version: str
    digest: str
    reason: str


class RequeuedFile(Record):
    """A rejected file that is to be tried once more; without a hash its bytes were never read."""

    path: str
    sha256: str | None
    size_bytes: int


class Requeue(Record):
    """Files that the next version tries once more, whatever is remembered of them; gone once a version has taken it."""

    dataset: str
    files: list[RequeuedFile]


class TakenRequeue(Record):
    """What a version tried once more; `brought_back` are paths that the source had no more, so kept bytes were taken."""

    dataset: str
    version: str
    files: list[RequeuedFile]
    brought_back: list[str]


class LeaseRecord(Record):
    """Work that is under way, and which process does it; the store's clock dates the object."""

    purpose: str
    holder: str
