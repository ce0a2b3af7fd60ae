"""The figures that open a quality report: how much there is, what is missing, what stands twice, what was rejected."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

import polars as pl

from cv_assets.domain.quality.wording import shortened_path
from cv_assets.domain.releasing import count
from schemas.tables import to_frame

EVIDENCE_ROWS = 20
# column of the manifest → unit of its values
PROPERTIES: Final = {
    "width_px": "pixels",
    "height_px": "pixels",
    "size_bytes": "bytes",
    "brightness_ratio": "ratio",
    "brightness_p05_ratio": "ratio",
    "brightness_p99_ratio": "ratio",
    "contrast_ratio": "ratio",
    "sharpness": "sharpness",
    "entropy_bits": "bits",
    "colour_ratio": "ratio",
    "bars_ratio": "ratio",
    "border_ratio": "ratio",
}
# of the figures that are shown where there is little room
CLASSES: Final = 40
QUANTILES: Final = {"p05": 0.05, "median": 0.5, "p95": 0.95}
Row = dict[str, object]


def build_report(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row a figure, sorted by section; see schemas.tables.QualityReport.

    `tables` holds raw_images, annotations, manifest and quarantine, and may hold findings. The row result/passed is 1
    if there is an image and nothing that landed is lost, else 0: landed = accepted + duplicate + quarantined.
    """
    rows = [
        *_records(tables),
        *_nulls(tables["annotations"], "annotations"),
        *_duplicates(tables["manifest"]),
        *_classes(tables["manifest"], tables["annotations"]),
        *_sizes(tables["manifest"]),
        *_properties(tables["manifest"]),
        *_boxes(tables["annotations"]),
        *_by_reason(tables["annotations"], "annotations", "annotation_id"),
        *_by_reason(tables["quarantine"], "quarantine", "path"),
        *_findings(tables.get("findings")),
    ]
    return to_frame("quality_report", rows)


def largest_figures(report: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Section → name → value of a report in bounded size: of the classes the CLASSES largest, and `classes`, how many."""
    figures: dict[str, dict[str, float]] = {}
    by_class: dict[str, dict[str, float]] = {}
    for section, name, value in report.select("section", "name", "value").iter_rows():
        held = (
            by_class.setdefault(name.partition(" of ")[2], {})
            if section == "classes"
            else figures.setdefault(section, {})
        )
        held[name] = value
    largest = sorted(
        by_class,
        key=lambda label: (*(-by_class[label].get(f"{of} of {label}", 0) for of in ("images", "annotations")), label),
    )
    shown = {shortened_path(name): value for label in largest[:CLASSES] for name, value in by_class[label].items()}
    return {**figures, "classes": {"classes": float(len(by_class)), **shown}}


def _row(section: str, name: str, value: float, unit: str, evidence: object = None) -> Row:
    shown = None if evidence is None else json.dumps(evidence, ensure_ascii=False)
    return {"section": section, "name": name, "value": float(value), "unit": unit, "evidence": shown}


def _records(tables: Mapping[str, pl.DataFrame]) -> Iterator[Row]:
    counts = count(tables)
    for name, value in counts.model_dump().items():
        yield _row("records", name, value, "records")
    accepted = tables["manifest"]["paths"].list.len()
    duplicate = int(accepted.sum()) - accepted.len()
    for name, value, unit in (
        ("landed", counts.files, "files"),
        ("accepted", accepted.len(), "distinct images"),
        ("duplicate", duplicate, "further files of the same bytes"),
    ):
        yield _row("records", name, value, unit)
    nothing_is_lost = counts.files == accepted.len() + duplicate + counts.quarantined
    yield _row("result", "passed", nothing_is_lost and counts.images > 0, "yes or no")


def _nulls(frame: pl.DataFrame, section: str) -> Iterator[Row]:
    for column in ("image_id", "label", "group"):
        yield _row("nulls", f"{section}.{column}", frame[column].null_count(), "rows")


def _duplicates(manifest: pl.DataFrame) -> Iterator[Row]:
    twice = manifest.filter(pl.col("paths").list.len() > 1)
    evidence = twice["paths"].head(EVIDENCE_ROWS).to_list()
    yield _row("duplicates", "exact_groups", twice.height, "images", evidence)
    # several objects or several answers: the rule duplicates-disagree tells them apart
    several = twice.filter(pl.col("labels").list.len() > 1)
    named = several["paths"].head(EVIDENCE_ROWS).to_list()
    yield _row("duplicates", "with_several_labels", several.height, "images", named)


def _classes(manifest: pl.DataFrame, annotations: pl.DataFrame) -> Iterator[Row]:
    images = manifest.explode("labels").drop_nulls("labels").group_by("labels").len()
    for label, number in sorted(images.iter_rows()):
        yield _row("classes", f"images of {label}", number, "images")
    objects = annotations.drop_nulls("label").group_by("label").len()
    for label, number in sorted(objects.iter_rows()):
        yield _row("classes", f"annotations of {label}", number, "annotations")


def _sizes(manifest: pl.DataFrame) -> Iterator[Row]:
    if manifest.is_empty():
        return
    by_area = manifest.sort(pl.col("width_px") * pl.col("height_px"), "image_id")
    for name, place in (("smallest", 0), ("largest", -1)):
        image = by_area.row(place, named=True)
        evidence = {key: image[key] for key in ("image_id", "width_px", "height_px", "paths")}
        yield _row("sizes", f"{name}_image", image["width_px"] * image["height_px"], "pixels", evidence)


def _properties(manifest: pl.DataFrame) -> Iterator[Row]:
    for column, unit in PROPERTIES.items() if manifest.height else ():
        for name, share in QUANTILES.items():
            value = manifest[column].quantile(share, "nearest")
            assert value is not None  # no column of these may be null
            yield _row("properties", f"{column}.{name}", value, unit)


def _findings(findings: pl.DataFrame | None) -> Iterator[Row]:
    if findings is not None:
        for code, number in findings.group_by("code").len().sort("code").iter_rows():
            yield _row("findings", code, number, "findings")


def _boxes(annotations: pl.DataFrame) -> Iterator[Row]:
    boxes = annotations.drop_nulls("x_min_px")
    width, height = pl.col("x_max_px") - pl.col("x_min_px"), pl.col("y_max_px") - pl.col("y_min_px")
    yield _row("annotations", "boxes", boxes.height, "boxes")
    for name, rule in (
        ("inverted_boxes", (width < 0) | (height < 0)),
        ("zero_area_boxes", (width == 0) | (height == 0)),
    ):
        found = boxes.filter(rule)["annotation_id"]
        yield _row("annotations", name, found.len(), "boxes", found.head(EVIDENCE_ROWS).to_list())


def _by_reason(frame: pl.DataFrame, section: str, key: str) -> Iterator[Row]:
    for (reason,), rows in sorted(frame.drop_nulls("reason").group_by("reason"), key=lambda pair: str(pair[0])):
        yield _row(section, str(reason), rows.height, "rows", rows[key].sort().head(EVIDENCE_ROWS).to_list())
