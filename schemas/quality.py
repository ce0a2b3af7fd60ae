"""What a dataset may tune about its quality: rules, near duplicates, drift. The rules are in cv_assets/domain/quality/."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from schemas.codes import FindingCode, FindingSeverity
from schemas.strict import Strict


class RuleConfig(Strict):
    """One rule, as the dataset wants it; what is left out is the rule's own."""

    enabled: bool = True
    threshold: float | None = Field(default=None, description="in the rule's unit", allow_inf_nan=False)
    severity: FindingSeverity | None = Field(default=None, description="ERROR blocks the version")

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: Any) -> Any:
        """`dark: 0.3` is a threshold, `dark: false` (or off) leaves the rule out."""
        if isinstance(value, bool):
            return {"enabled": value}
        return {"threshold": value} if isinstance(value, int | float) else value


class NearDuplicatesConfig(Strict):
    """When two images look alike, and how large a cluster of them may grow."""

    max_distance_bits: int = Field(default=4, ge=0, le=12, description="bits in which two 64-bit hashes may differ")
    max_cluster: int = Field(default=100, ge=2, description="a chain of more images than this is cut into clusters")


# what is compared with the baseline; cv_assets/domain/quality/compared_values.py says how each is taken from the tables
DriftProperty = Literal[
    "area_px",
    "aspect_ratio",
    "box_area_ratio",
    "box_aspect_ratio",
    "boxes_per_image",
    "brightness_ratio",
    "colour_ratio",
    "contrast_ratio",
    "embedding",
    "embedding_spread",
    "entropy_bits",
    "height_px",
    "label",
    "object_label",
    "sharpness",
    "size_bytes",
    "width_px",
]


class DriftConfig(Strict):
    """Against what a version is compared, and from which difference on it has drifted. Null: not looked at."""

    baseline: str | None = Field(
        default="latest", description="latest (the release before this one), a version or tag, or null for none"
    )
    psi: float | None = Field(default=0.25, gt=0, allow_inf_nan=False, description="population stability index")
    js_distance: float | None = Field(default=None, gt=0, le=1, description="Jensen–Shannon distance, base 2")
    ks_statistic: float | None = Field(default=None, gt=0, le=1, description="Kolmogorov–Smirnov statistic")
    least_rows: int = Field(default=30, ge=2, description="with fewer values on either side nothing is called drift")
    thresholds: dict[DriftProperty, Annotated[float, Field(gt=0, allow_inf_nan=False)] | None] = Field(
        default={}, description="PSI by property, where one differs from the rest; null: not looked at"
    )
    embedding: str | None = Field(
        default=None, description="attribute of the annotations that holds an image's embedding, a list of numbers"
    )
    severity: Literal["WARN", "ERROR"] = Field(default="WARN", description="of the check; ERROR blocks")


class QualityConfig(Strict):
    """Everything that may be tuned of the quality report; all of it without a new look at any image."""

    rules: dict[FindingCode, RuleConfig] = Field(default={}, description="settings of single rules, by code")
    near_duplicates: NearDuplicatesConfig = NearDuplicatesConfig()
    drift: DriftConfig = DriftConfig()
    thumbnails: int = Field(default=12, ge=0, le=100, description="pictures a kind of finding in the HTML report")
