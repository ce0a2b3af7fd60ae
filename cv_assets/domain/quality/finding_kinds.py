"""Findings by kind, as a report lists them: how many, what the rule says, and the worst of them. Nothing is judged here."""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

import polars as pl

from cv_assets.domain.quality.boxes import CORNERS
from cv_assets.domain.quality.rulebook import RULES
from cv_assets.domain.quality.wording import plain_number, shortened_label, shortened_path, shortened_value
from schemas.codes import ANNOTATION_FINDINGS, FINDING_SEVERITIES, IMAGE_FINDINGS
from schemas.datasets import DatasetConfig
from schemas.quality import RuleConfig

Tables = Mapping[str, pl.DataFrame]
# over all kinds: a report stays small, however much was found and whatever the dataset asks for
MOST_EXAMPLES: Final = 600
# characters of evidence under a picture
FACTS_LENGTH: Final = 240
# said elsewhere: by the drawn box, by the row itself
_NOT_FACTS: Final = frozenset((*CORNERS, "other_annotation_id", "label"))
# these are shown as clusters
CLUSTERED: Final = ("exact-duplicate", "near-duplicate", "duplicates-disagree")
_LABELS_SHOWN: Final = 3


def list_kinds(tables: Tables, most: int) -> list[dict[str, Any]]:
    """One record a kind that was found, the grave ones first, then in the order of the rulebook.

    Each has code, about (image, annotation or dataset), severity, description, unit, threshold, worst, from_threshold (is
    what equals it found too), count (findings), images (distinct ones), examples (the worst, `most` at most, see `_example`)
    and more (how many are not among these).
    """
    findings = tables["findings"]
    counted = findings.group_by("code", "severity", "threshold").agg(
        pl.len().alias("count"), pl.col("image_id").drop_nulls().n_unique().alias("images")
    )
    places = {code: place for place, code in enumerate(RULES)}
    rows = sorted(
        counted.iter_rows(named=True),
        key=lambda row: (FINDING_SEVERITIES.index(row["severity"]), places.get(row["code"], len(places)), row["code"]),
    )
    if not rows:
        return []
    examples = _examples(tables, min(most, MOST_EXAMPLES // len(rows)))
    return [_kind(row, examples.get(row["code"], [])) for row in rows]


def list_unfound(tables: Tables, config: DatasetConfig) -> dict[str, list[str]]:
    """Codes of rules that found nothing, and of those that the dataset has switched off, in the order of the rulebook."""
    found = set(tables["findings"]["code"])
    settings = config.quality.rules
    off = [code for code in RULES if not settings.get(code, RuleConfig()).enabled]
    return {"clean": [code for code in RULES if code not in found and code not in off], "off": off}


def _kind(row: dict[str, Any], examples: list[dict[str, Any]]) -> dict[str, Any]:
    code = row["code"]
    rule = RULES.get(code)
    about = "image" if code in IMAGE_FINDINGS else "annotation" if code in ANNOTATION_FINDINGS else "dataset"
    return {
        "code": code,
        "about": about,
        "severity": row["severity"],
        "description": rule.description if rule else "",
        "unit": rule.unit if rule else "",
        "worst": rule.worst if rule else "high",
        "from_threshold": rule is not None and rule.from_threshold,
        "threshold": plain_number(row["threshold"]),
        "count": row["count"],
        "images": row["images"],
        "examples": examples,
        "more": row["count"] - len(examples),
    }


def _examples(tables: Tables, most: int) -> dict[str, list[dict[str, Any]]]:
    """Code → its worst findings; those of each code come in that order."""
    worst = tables["findings"].filter(pl.int_range(pl.len()).over("code") < most)
    worst = worst.with_columns(pl.col("evidence").str.json_path_match("$.other_annotation_id").alias("other_id"))
    named = pl.concat([worst["annotation_id"], worst["other_id"].rename("annotation_id")]).unique().to_frame()
    boxes = tables["annotations"].join(named, on="annotation_id", how="semi")
    boxes = boxes.select("annotation_id", "label", pl.concat_list(CORNERS).alias("corners"))
    others = boxes.select(pl.col("annotation_id").alias("other_id"), pl.col("corners").alias("other_corners"))
    sizes = tables["manifest"].select("image_id", "width_px", "height_px", "labels")
    shown = worst.join(sizes, on="image_id", how="left", maintain_order="left")
    shown = shown.join(boxes, on="annotation_id", how="left", maintain_order="left")
    shown = shown.join(others, on="other_id", how="left", maintain_order="left")
    found: dict[str, list[dict[str, Any]]] = {}
    for row in shown.iter_rows(named=True):
        found.setdefault(row["code"], []).append(_example(row))
    return found


def _example(row: dict[str, Any]) -> dict[str, Any]:
    """One finding: image_id, path, size_px (none: the image was not accepted), score, labels, facts, and boxes.

    Boxes are shares of the image's sides, left, top, right, bottom, the first the one that is meant; they may lie outside.
    """
    size = None if row["width_px"] is None else [row["width_px"], row["height_px"]]
    labels = [row["label"]] if row["label"] is not None else cast("list[str]", row["labels"] or [])
    boxes = [_share(corners, size) for corners in (row["corners"], row["other_corners"])] if size else []
    return {
        "image_id": row["image_id"],
        "annotation_id": None if row["annotation_id"] is None else shortened_path(row["annotation_id"]),
        "path": None if row["path"] is None else shortened_path(row["path"]),
        "size_px": size,
        "score": plain_number(row["score"]),
        "labels": [shortened_label(label) for label in labels[:_LABELS_SHOWN]],
        "facts": _facts(row["evidence"]),
        "boxes": [box for box in boxes if box is not None],
    }


def _share(corners: list[float | None] | None, size: list[int] | None) -> list[float] | None:
    if corners is None or size is None or any(corner is None for corner in corners):
        return None
    return [round(cast("float", corner) / size[place % 2], 4) for place, corner in enumerate(corners)]


def _facts(evidence: str) -> dict[str, Any]:
    """What else the rule saw, by name, as far as it fits under a picture."""
    said = cast("dict[str, Any]", json.loads(evidence))
    told = {name: value for name, value in said.items() if name not in _NOT_FACTS and value not in (None, [], {}, "")}
    facts: dict[str, Any] = {}
    room = FACTS_LENGTH
    for name in sorted(told):
        value = shortened_value(told[name])
        room -= len(name) + len(str(value))
        if room < 0:
            break
        facts[name] = value
    return facts
