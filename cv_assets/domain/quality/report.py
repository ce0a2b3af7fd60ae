"""The quality report of a version as plain data: everything that the page shows but pictures, in bounded size.

Names from the data are cut to what fits a page; the tables findings, near_duplicates, drift and quarantine have them whole.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, Final, cast

import polars as pl

from cv_assets.domain.charts import FIGURES
from cv_assets.domain.quality.contents import describe_boxes, describe_classes, describe_measures, describe_sizes
from cv_assets.domain.quality.duplicate_lists import list_exact, list_near
from cv_assets.domain.quality.finding_kinds import CLUSTERED, list_kinds, list_unfound
from cv_assets.domain.quality.wording import plain_number, shortened_path, shortened_value
from schemas.datasets import DatasetConfig

Tables = Mapping[str, pl.DataFrame]
Report = dict[str, Any]
SCHEMA_VERSION: Final = 1
QUARANTINED: Final = 60
# pictures that are fetched: so many small ones are a second's work, and a page of a few megabytes
MOST_PICTURES: Final = 1_000
NAMED: Final = 5
# what is listed of a kind where no pictures are wanted
ROWS: Final = 12


@dataclass(frozen=True, slots=True)
class About:
    """Which version a report is about, and what it is compared with.

    `failed` are sentences about other checks that block the version, as far as they are known when the report is made.
    """

    dataset: str
    version: str
    baseline: str | None = None
    failed: tuple[str, ...] = ()


def report_json(tables: Tables, config: DatasetConfig, about: About) -> Report:
    """The report; equal tables give equal reports.

    `tables` holds raw_images, annotations, manifest, quarantine, quality_report, findings, near_duplicates and drift, and
    may hold `history`, the frame of quality/history.py.
    """
    kinds = list_kinds(tables, config.quality.thumbnails or ROWS)
    drift = _drift(tables["drift"], about)
    blocking = [*_blocking(tables, config, kinds, drift), *({"what": "check", "why": said} for said in about.failed)]
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": about.dataset,
        "version": about.version,
        "description": config.description,
        "baseline": about.baseline,
        "passed": not blocking,
        "blocking": blocking,
        "counts": {name: int(value) for name, value in _figures(tables["quality_report"], "records").items()},
        "findings": {"count": tables["findings"].height, "kinds": kinds, **list_unfound(tables, config)},
        "duplicates": {"exact": list_exact(tables), "near": list_near(tables)},
        "classes": describe_classes(tables),
        "sizes": describe_sizes(tables["manifest"]),
        "boxes": describe_boxes(tables),
        "measures": describe_measures(tables["manifest"], config),
        "drift": drift,
        "history": _history(tables.get("history")),
        "quarantine": _quarantine(tables["quarantine"]),
        "thumbnails": config.quality.thumbnails,
    }


def pictures_wanted(tables: Tables, config: DatasetConfig) -> list[str]:
    """Ids of the images that the page and the sheets show, the worst of every kind first; at most MOST_PICTURES."""
    if not config.quality.thumbnails:
        return []
    exact, near = list_exact(tables), list_near(tables)
    report = {
        "findings": {"kinds": list_kinds(tables, config.quality.thumbnails)},
        "duplicates": {"exact": exact, "near": near},
    }
    return list(dict.fromkeys(pictures_shown(report)))[:MOST_PICTURES]


def pictures_shown(report: Report) -> Iterator[str]:
    """The image id of every place of the page that has room for a picture: first places first, clusters after findings."""
    kinds = [
        [one["image_id"] for one in kind["examples"] if one["size_px"]]
        for kind in report["findings"]["kinds"]
        if kind["code"] not in CLUSTERED
    ]
    yield from (image_id for image_id in chain.from_iterable(zip_longest(*kinds)) if image_id is not None)
    # the members of an exact duplicate are one picture
    yield from (cluster["members"][0]["image_id"] for cluster in report["duplicates"]["exact"]["shown"])
    near = report["duplicates"]["near"]["shown"]
    yield from (member["image_id"] for cluster in near for member in cluster["members"])


def _figures(report: pl.DataFrame, section: str) -> dict[str, float]:
    return dict(report.filter(pl.col("section") == section).select("name", "value").iter_rows())


def _blocking(
    tables: Tables, config: DatasetConfig, kinds: list[dict[str, Any]], drift: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """What stops the version, each with `what` it is and `why` in words."""
    if not _figures(tables["quality_report"], "result").get("passed", 0):
        why = "No image was accepted" if tables["manifest"].is_empty() else "Files are neither accepted nor rejected"
        yield {"what": "count", "why": f"{why}; the quarantine below says more."}
    for kind in kinds:
        if kind["severity"] == "ERROR":
            yield {"what": "finding", "code": kind["code"], "count": kind["count"], "why": kind["description"]}
    drifted = [row["property"] for row in drift["rows"] if row["drifted"]]
    if drifted and config.quality.drift.severity == "ERROR":
        named = ", ".join(drifted[:NAMED]) + (f" and {len(drifted) - NAMED} more" if len(drifted) > NAMED else "")
        yield {"what": "drift", "count": len(drifted), "why": f"Drifted from the baseline: {named}."}


def _drift(drift: pl.DataFrame, about: About) -> dict[str, Any]:
    """Every property, those that drifted first, then by PSI; with the histograms of both sides."""
    order = drift.sort(["drifted", "psi", "property"], descending=[True, True, False], nulls_last=True)
    rows = [
        {
            **{name: plain_number(value) if isinstance(value, float) else value for name, value in row.items()},
            "evidence": json.loads(row["evidence"]),
        }
        for row in order.iter_rows(named=True)
    ]
    return {"baseline": about.baseline, "drifted": int(drift["drifted"].sum()), "rows": rows}


def _history(history: pl.DataFrame | None) -> list[dict[str, Any]]:
    """The figures that people follow, each with its value in every version that has it; empty for a single version."""
    if history is None or history["version"].n_unique() < 2:
        return []
    versions = history["version"].unique(maintain_order=True).to_list()
    values = {(version, figure): value for version, figure, _, value in history.iter_rows()}
    rows = [
        {
            "figure": figure,
            "words": words,
            "values": [plain_number(values.get((version, figure))) for version in versions],
        }
        for figure, words in FIGURES.items()
        if figure in set(history["figure"])
    ]
    return [{"versions": versions, **row} for row in rows]


def _quarantine(quarantine: pl.DataFrame) -> dict[str, Any]:
    """How many files were rejected for which reason, and the first QUARANTINED of them by reason and path."""
    reasons = (
        quarantine.group_by("reason", "stage")
        .len("files")
        .sort(["files", "reason", "stage"], descending=[True, False, False])
    )
    rows = quarantine.sort("reason", "path").head(QUARANTINED).select("path", "reason", "detail", "size_bytes")
    shown = [
        {**row, "path": shortened_path(row["path"]), "detail": cast("str", shortened_value(row["detail"]))}
        for row in rows.iter_rows(named=True)
    ]
    return {
        "files": quarantine.height,
        "reasons": reasons.to_dicts(),
        "shown": shown,
        "more": max(0, quarantine.height - QUARANTINED),
    }
