"""The tables of the quality report, and the memory of what was rejected, as pandera models; schemas/tables.py lists them all."""

import pandera.polars as pa

from schemas.codes import FINDING_SEVERITIES, FINDINGS, PROBE_REASONS, SNAPSHOT_REASONS
from schemas.columns import SHA256, Table


class QualityReport(Table):
    """One row a figure about the version."""

    section: str = pa.Field(
        description="records, nulls, duplicates, classes, sizes, annotations, quarantine, findings, properties or result"
    )
    name: str = pa.Field(description="what is counted")
    value: float = pa.Field(description="the figure")
    unit: str = pa.Field(description="images, files, annotations, pixels, …")
    evidence: str = pa.Field(nullable=True, description="ids or paths behind the figure, as JSON, the first twenty")


class Findings(Table):
    """One row a finding; of each code the worst come first."""

    code: str = pa.Field(isin=FINDINGS, description="what was found; the rule of that name says it in words")
    severity: str = pa.Field(
        isin=FINDING_SEVERITIES, description="ERROR blocks, WARN is an alarm, INFO is worth knowing"
    )
    image_id: str = pa.Field(
        nullable=True, str_matches=SHA256, description="the image; none if it is about the dataset"
    )
    annotation_id: str = pa.Field(nullable=True, description="the annotation, if it is about one")
    path: str = pa.Field(nullable=True, description="a path below the source, for people")
    score: float = pa.Field(nullable=True, description="what was measured, in the rule's unit")
    threshold: float = pa.Field(nullable=True, description="what it was held against; none if there is nothing to tune")
    evidence: str = pa.Field(description="what else the rule saw, as JSON")


class NearDuplicates(Table):
    """One row an image that looks like another one."""

    image_id: str = pa.Field(unique=True, str_matches=SHA256, description="SHA-256 of the bytes")
    cluster_id: str = pa.Field(
        str_matches=SHA256, description="image that the others of its cluster look like; it stays"
    )
    distance_bits: int = pa.Field(
        in_range={"min_value": 0, "max_value": 64}, description="bits of the hash off that image"
    )
    component_id: str = pa.Field(
        str_matches=SHA256, description="smallest image id among all that are linked by a chain"
    )


class Drift(Table):
    """One row a property of this version beside that of its baseline; empty without a baseline."""

    property: str = pa.Field(unique=True, description="what is compared, such as brightness_ratio or label")
    kind: str = pa.Field(isin=("number", "category", "embedding"), description="what its values are")
    baseline_rows: int = pa.Field(ge=0, description="values of the baseline")
    rows: int = pa.Field(ge=0, description="values of this version")
    psi: float = pa.Field(nullable=True, description="population stability index; none where it cannot be said")
    js_distance: float = pa.Field(nullable=True, description="Jensen–Shannon distance, base 2: 0 the same, 1 apart")
    ks_statistic: float = pa.Field(nullable=True, description="Kolmogorov–Smirnov statistic; numbers only")
    ks_p_value: float = pa.Field(nullable=True, description="its two-sided p-value")
    drifted: bool = pa.Field(description="is a threshold of the dataset exceeded")
    evidence: str = pa.Field(description="the two histograms behind it and what was exceeded, as JSON")


class Rejections(Table):
    """The memory of every rejected file of a dataset, over all its versions; it knows the clock, so no version holds it."""

    path: str = pa.Field(description="path below the source")
    sha256: str = pa.Field(nullable=True, str_matches=SHA256)
    size_bytes: int = pa.Field(ge=0)
    stage: str = pa.Field(isin=("snapshot", "probe"))
    reason: str = pa.Field(isin=SNAPSHOT_REASONS + PROBE_REASONS)
    detail: str = pa.Field()
    first_seen: str = pa.Field(description="when it was first rejected, ISO 8601, UTC")
    first_version: str = pa.Field(description="the version that met it first")
    last_seen: str = pa.Field(description="when it was last rejected")
    last_version: str = pa.Field(description="the version that met it last")
    attempts: int = pa.Field(
        ge=1, description="versions that rejected it; one that met it as it was goes by what an earlier one found"
    )
