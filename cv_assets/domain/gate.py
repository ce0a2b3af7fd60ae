"""What a gate is: a sentence that must hold of one asset, the rule that tells, and how its verdict is spelled."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import pandera.errors
import polars as pl

from cv_assets.domain.lineage import MADE_WITH
from schemas.codes import Severity
from schemas.datasets import DatasetConfig
from schemas.releases import Verdict
from schemas.tables import TABLES

OFFENDING_ROWS: Final = 20
Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True, slots=True)
class GateFinding:
    """What a gate's rule saw, as plain JSON, and every row that breaks it; an empty frame is a pass.

    The findings of the quality report are another thing: rows that tell of an image or an annotation.
    """

    saw: dict[str, Any]
    offending: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Gate:
    """A sentence that must hold of one asset; `reads` names every table that the rule looks at, the asset's first."""

    name: str
    asset: str
    reads: tuple[str, ...]
    rule: Callable[[Tables, DatasetConfig], GateFinding]
    description: str
    severity: Severity = "ERROR"

    @property
    def is_blocking(self) -> bool:
        """Does a failure stop what comes after?"""
        return self.severity == "ERROR"

    def judge(self, tables: Tables, config: DatasetConfig) -> Verdict:
        """The verdict on the given tables."""
        finding = self.rule(tables, config)
        return Verdict(
            name=self.name,
            asset=self.asset,
            passed=finding.offending.is_empty(),
            severity=self.severity,
            blocking=self.is_blocking,
            description=self.description,
            saw={**finding.saw, "offending": finding.offending.height},
            offending=finding.offending.head(OFFENDING_ROWS).to_dicts(),
        )


def schema_gate(table: str) -> Gate:
    """The gate that holds a table to its pandera model; it is one of the asset that makes the table."""

    def rule(tables: Tables, _: DatasetConfig) -> GateFinding:
        frame = tables[table]
        saw = {"rows": frame.height, "columns": frame.columns}
        try:
            TABLES[table].validate(frame, lazy=True)
        except pandera.errors.SchemaErrors as errors:
            cases = cast("pl.DataFrame", errors.failure_cases)  # pyright: ignore[reportUnknownMemberType] - untyped
            return GateFinding(saw, cases.select(pl.col("column", "check", "failure_case").cast(pl.String)))
        return GateFinding(saw, pl.DataFrame())

    asset = MADE_WITH.get(table, table)
    return Gate(
        f"{table}_match_their_schema",
        asset,
        (table,) if asset == table else (asset, table),
        rule,
        f"Every row of {table} holds to its pandera model.",
    )
