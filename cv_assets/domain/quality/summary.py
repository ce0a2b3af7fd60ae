"""The figures that open a quality report: how much there is, what is missing, what stands twice, what was rejected."""

import json
from collections.abc import Iterator, Mapping

import polars as pl

from cv_assets.domain.releasing import count
from schemas.tables import to_frame

EVIDENCE_ROWS = 20
Row = dict[str, object]


def build_report(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row a figure, sorted by section; see schemas.tables.QualityReport.

    `tables` holds raw_images, annotations, manifest and quarantine. The row result/passed is 1 if there is an image
    and every image file was accepted or quarantined, else 0.
    """
    rows = [
        *_records(tables),
        *_nulls(tables["annotations"], "annotations"),
        *_duplicates(tables["manifest"]),
        *_classes(tables["manifest"], tables["annotations"]),
        *_sizes(tables["manifest"]),
        *_boxes(tables["annotations"]),
        *_by_reason(tables["annotations"], "annotations", "annotation_id"),
        *_by_reason(tables["quarantine"], "quarantine", "path"),
    ]
    return to_frame("quality_report", rows)


def _row(section: str, name: str, value: float, unit: str, evidence: object = None) -> Row:
    shown = None if evidence is None else json.dumps(evidence, ensure_ascii=False)
    return {"section": section, "name": name, "value": float(value), "unit": unit, "evidence": shown}


def _records(tables: Mapping[str, pl.DataFrame]) -> Iterator[Row]:
    counts = count(tables)
    for name, value in counts.model_dump().items():
        yield _row("records", name, value, "records")
    accepted_files = int(tables["manifest"]["paths"].list.len().sum())
    accounted = accepted_files + counts.quarantined == counts.files
    yield _row("result", "passed", accounted and counts.images > 0, "yes or no")


def _nulls(frame: pl.DataFrame, section: str) -> Iterator[Row]:
    for column in ("image_id", "label", "group"):
        yield _row("nulls", f"{section}.{column}", frame[column].null_count(), "rows")


def _duplicates(manifest: pl.DataFrame) -> Iterator[Row]:
    twice = manifest.filter(pl.col("paths").list.len() > 1)
    evidence = twice["paths"].head(EVIDENCE_ROWS).to_list()
    yield _row("duplicates", "exact_groups", twice.height, "images", evidence)
    disagreeing = twice.filter(pl.col("labels").list.len() > 1)
    yield _row(
        "duplicates",
        "with_several_labels",
        disagreeing.height,
        "images",
        disagreeing["paths"].head(EVIDENCE_ROWS).to_list(),
    )


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
