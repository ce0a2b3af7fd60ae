"""The figures of several versions in a row, for people to see where a dataset is going. Nothing is judged here."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Final

import polars as pl

from schemas.codes import FINDINGS

Tables = Mapping[str, pl.DataFrame]
Figure = tuple[str, str, float]
# of the quality report: sections whose figures are one number a version, whatever is in the data
SECTIONS: Final = ("records", "properties", "findings")
HISTORY: Final = {"version": pl.String, "figure": pl.String, "unit": pl.String, "value": pl.Float64}


def build_history(versions: Mapping[str, Tables]) -> pl.DataFrame:
    """One row a figure a version: columns version, figure, unit, value; versions as they come, figures by name.

    Of each version quality_report and drift are looked at; a table that an older release did not write is left out. Figures
    are `records.NAME`, `properties.NAME` and `findings.CODE` of the report, `findings.all`, which sums the findings of all
    codes, and of the drift table `drift.properties`, how many have drifted, and `drift.largest_psi` among those with
    enough values.
    """
    rows = [
        {"version": version, "figure": figure, "unit": unit, "value": value}
        for version, tables in versions.items()
        for figure, unit, value in sorted([*_reported(tables), *_drifted(tables)])
        if math.isfinite(value)
    ]
    return pl.DataFrame(rows, schema=HISTORY, orient="row")


def _reported(tables: Tables) -> Iterator[Figure]:
    if "quality_report" not in tables:
        return
    report = tables["quality_report"].filter(pl.col("section").is_in(SECTIONS))
    for section, name, unit, value in report.select("section", "name", "unit", "value").iter_rows():
        yield f"{section}.{name}", unit, value
    counts = report.filter((pl.col("section") == "findings") & pl.col("name").is_in(FINDINGS))
    if not counts.is_empty():
        yield "findings.all", "findings", float(counts["value"].sum())


def _drifted(tables: Tables) -> Iterator[Figure]:
    drift = tables.get("drift")
    if drift is None or drift.is_empty():  # no baseline: nothing is known, which is not the same as nothing has moved
        return
    yield "drift.properties", "properties", float(drift["drifted"].sum())
    compared = drift.drop_nulls("psi").select("psi", "evidence")
    large = [psi for psi, evidence in compared.iter_rows() if json.loads(evidence)["enough_rows"]]
    if large:
        yield "drift.largest_psi", "PSI", max(large)
