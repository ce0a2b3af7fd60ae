"""What a dataset is: the model that `datasets/NAME.yaml` is held to. Reading the file is not done here."""

import math
import re
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from schemas.automation import Freshness, ScheduleConfig, UploadsConfig
from schemas.codes import Frame
from schemas.expectations import Expectations
from schemas.images import Limits
from schemas.names import require_usable
from schemas.patterns import Globs
from schemas.quality import QualityConfig
from schemas.strict import Strict

VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$"
MAX_VERSION_LENGTH = 64
RATIO_TOLERANCE = 1e-6

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def parse_quantity(value: Any) -> Any:
    """`64MB`, `64 MiB`, `64M` or a whole number, as an int; anything else is handed on to be refused."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([kmg]i?)?b?\s*", value, re.IGNORECASE)
    if found is None:
        raise ValueError("expected a whole number, or one with a unit such as 64MB, 512KiB or 64M")
    return int(Decimal(found[1]) * _UNITS[(found[2] or "").lower()])


def _compiled(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    return pattern


def _needs_group(name: str) -> AfterValidator:
    def check(pattern: str) -> str:
        if f"(?P<{name}>" not in _compiled(pattern):
            raise ValueError(f"needs a named group (?P<{name}>…) that marks the {name} in the path")
        return pattern

    return AfterValidator(check)


Quantity = Annotated[int, BeforeValidator(parse_quantity), Field(gt=0)]


class SourceConfig(Strict):
    """Where uploads land: a local path, `file://` or `s3://`, and which of its files are images."""

    url: str = Field(
        min_length=1,
        description="local path, file:// or s3:// URL; ${VAR} and ${VAR:-default} are read from the environment",
    )
    mode: Literal["copy", "reference"] = Field(
        default="copy",
        description="copy: bytes are kept in the store; reference: they stay in the source, pinned, and must not change",
    )
    include: Globs = Field(default=("**/*",), min_length=1)
    exclude: Globs = ()


class ColumnNames(Strict):
    """Which CSV column holds what. Box columns are corners, in pixels, all four or none."""

    image: str = "image"
    label: str = "label"
    x_min: str | None = None
    y_min: str | None = None
    x_max: str | None = None
    y_max: str | None = None

    @property
    def corners(self) -> tuple[str, str, str, str] | None:
        """The four box columns, or None for labels without boxes."""
        names = (self.x_min, self.y_min, self.x_max, self.y_max)
        return None if None in names else names  # type: ignore[return-value]

    @model_validator(mode="after")
    def _all_corners_or_none(self) -> Self:
        named = [name for name in (self.x_min, self.y_min, self.x_max, self.y_max) if name]
        if len(named) not in {0, 4}:
            raise ValueError("name all of x_min, y_min, x_max, y_max, or none of them")
        return self


_EXAMPLES = {"csv": "labels.csv", "voc": "Annotations/*.xml", "coco": "annotations/*.json", "yolo": "labels/**/*.txt"}


class AnnotationsConfig(Strict):
    """How labels are written down, and in which files of the source."""

    format: Literal["folder", "csv", "voc", "coco", "yolo", "none"] = "folder"
    include: Globs = ()
    class_depth: int | None = Field(default=None, ge=1, description="folder: the first N folder names are the class")
    class_pattern: Annotated[str, _needs_group("label")] | None = None
    columns: ColumnNames = ColumnNames()
    frame: Frame = Field(default="auto", description="do boxes speak of the stored or the upright image?")
    max_bytes: Quantity = Field(default=512_000_000, description="largest annotation file, in bytes")

    @model_validator(mode="after")
    def _fits_its_format(self) -> Self:
        in_files = self.format not in {"folder", "none"}
        if in_files and not self.include:
            raise ValueError(
                f'format {self.format} reads labels from files: name them in `include`, such as ["{_EXAMPLES[self.format]}"]'
            )
        if not in_files and self.include:
            raise ValueError(f"format {self.format} reads no annotation files: leave `include` out")
        if self.format != "folder" and (self.class_depth or self.class_pattern):
            raise ValueError("class_depth and class_pattern belong to format folder")
        if self.class_depth and self.class_pattern:
            raise ValueError("give class_depth or class_pattern, not both")
        return self


class PathGroup(Strict):
    """A group key read from an image's path, by a pattern with a group named `group`."""

    path_pattern: Annotated[str, _needs_group("group")]


class SplitConfig(BaseModel):
    """Shares of the splits, which sum to 1, and how images are dealt to them.

    Every key besides seed, stratify_by and unlabelled names a split; `train` is required.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, float] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    seed: int = 42
    stratify_by: Literal["label"] | None = "label"
    unlabelled: Literal["exclude", "include"] = "exclude"

    @model_validator(mode="before")
    @classmethod
    def _default_shares(cls, value: Any) -> Any:
        """Without any share, 70/15/15."""
        if not isinstance(value, dict):
            return value
        given = cast("dict[str, Any]", value)
        if truths := [name for name, share in given.items() if isinstance(share, bool)]:
            raise ValueError(f"{truths[0]}: expected a number, found {str(given[truths[0]]).lower()}")
        return given if set(given) - set(cls.model_fields) else {**given, "train": 0.7, "val": 0.15, "test": 0.15}

    @property
    def ratios(self) -> dict[str, float]:
        """Split name → share, in the order of the file."""
        return dict(self.__pydantic_extra__)

    @model_validator(mode="after")
    def _shares_make_one(self) -> Self:
        ratios = self.ratios
        if "train" not in ratios:
            raise ValueError(f"a split named train is required; found {', '.join(ratios)}")
        for name, share in ratios.items():
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name):
                raise ValueError(f"{name!r} cannot name a split: use lower-case letters, digits and underscores")
            if not 0 < share <= 1:
                raise ValueError(f"the share of {name} is {share}; expected more than 0 and at most 1")
        total = math.fsum(ratios.values())
        if abs(total - 1) > RATIO_TOLERANCE:
            raise ValueError(f"the shares sum to {total:g}; change them so that they sum to 1")
        return self


class ShardsConfig(Strict):
    """Which shard formats are packed, and how large one shard may grow, in bytes; a turned photo counts as it is stored."""

    formats: tuple[Literal["webdataset"], ...] = Field(default=("webdataset",), min_length=1)
    max_bytes: Quantity = Field(default=64_000_000, ge=10_000, le=2_000_000_000)

    @field_validator("formats")
    @classmethod
    def _formats_are_named_once(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for name in formats:
            if formats.count(name) > 1:
                raise ValueError(f"{name!r} is named twice; remove one")
        return formats


class LimitsConfig(Strict):
    """What one image may ask of the machine, and how small a copy of it will do to measure it."""

    min_side_px: int = Field(default=8, ge=1)
    max_pixels: Quantity = 64_000_000
    max_bytes: Quantity = 64_000_000
    max_frames: int = Field(default=1_000, ge=1)
    min_measured_side_px: int = Field(default=64, ge=32, le=512, description="128 shows blurs half as wide")

    def to_limits(self) -> Limits:
        """The same, as the plain record that decoding workers take."""
        return Limits(**self.model_dump())


class DatasetConfig(Strict):
    """One dataset: `name` and `source.url` are enough, everything else has a safe default."""

    name: Annotated[str, AfterValidator(require_usable)]
    description: str = ""
    owners: tuple[str, ...] = ()
    source: SourceConfig
    annotations: AnnotationsConfig = AnnotationsConfig()
    group_by: str | PathGroup | None = None
    split: SplitConfig = Field(default_factory=lambda: SplitConfig.model_validate({}))
    shards: ShardsConfig = ShardsConfig()
    limits: LimitsConfig = LimitsConfig()
    classes: tuple[str, ...] = Field(
        default=(), description="the taxonomy: every class there should be; empty: unknown"
    )
    quality: QualityConfig = QualityConfig()
    expectations: Expectations = Field(
        default=Expectations(), description="what is expected of the tables; lives in expectations/NAME.yaml"
    )
    uploads: UploadsConfig | None = Field(default=None, description="watch the uploads; left out, nobody does")
    schedule: ScheduleConfig | None = Field(default=None, description="what happens by the clock; left out, nothing")
    freshness: Freshness | None = Field(default=None, description="a release that is older than this is reported")

    @field_validator("group_by")
    @classmethod
    def _a_column_needs_a_table(cls, group_by: str | PathGroup | None, info: ValidationInfo) -> str | PathGroup | None:
        if not isinstance(group_by, str):
            return group_by
        if not group_by.strip():
            raise ValueError("expected the name of a column, or {path_pattern: ...}")
        annotations = info.data.get("annotations")  # none if they have a mistake of their own
        if annotations is not None and annotations.format in {"folder", "none", "yolo"}:
            raise ValueError(
                f"expected no column, for annotations of format {annotations.format} have none: "
                'use {path_pattern: "(?P<group>…)"}'
            )
        return group_by

    @field_validator("owners")
    @classmethod
    def _owners_are_people_or_teams(cls, owners: tuple[str, ...]) -> tuple[str, ...]:
        for owner in owners:
            # as Dagster asks of an owner
            if not re.fullmatch(r"team:[A-Za-z0-9_ .-]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}", owner):
                raise ValueError(f"{owner!r} is neither team:NAME nor an e-mail address")
        return owners

    @field_validator("classes")
    @classmethod
    def _classes_are_named_once(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        for name in classes:
            if not name.strip() or name != name.strip():
                raise ValueError(f"{name!r} cannot name a class: it is empty, or begins or ends with space")
            if classes.count(name) > 1:
                raise ValueError(f"{name!r} is named twice; remove one")
        return classes
