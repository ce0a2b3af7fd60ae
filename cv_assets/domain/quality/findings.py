"""All that the rules find in a version, as one table. What each rule looks for is its own business."""

import math

import polars as pl

from cv_assets.domain.quality.evidence import bounded
from cv_assets.domain.quality.rule import DECIMALS, Rule, Tables
from cv_assets.domain.quality.rulebook import RULES
from schemas.codes import FindingSeverity
from schemas.datasets import DatasetConfig
from schemas.quality import RuleConfig
from schemas.tables import polars_schema


def build_findings(tables: Tables, config: DatasetConfig) -> pl.DataFrame:
    """One row a finding: by code, of each code the worst first, then by image and annotation; see schemas.tables.Findings.

    `tables` holds raw_images, annotations, manifest, quarantine and near_duplicates. Rules, thresholds and severities
    are as `config.quality.rules` wants them.
    """
    nothing = pl.DataFrame(schema=polars_schema("findings"))
    settings = config.quality.rules
    wanted = [(RULES[code], settings.get(code, RuleConfig())) for code in sorted(RULES)]
    return pl.concat([nothing, *(_apply(rule, how, tables, config) for rule, how in wanted if how.enabled)])


def _apply(rule: Rule, settings: RuleConfig, tables: Tables, config: DatasetConfig) -> pl.DataFrame:
    threshold = rule.threshold if settings.threshold is None else settings.threshold
    severity: FindingSeverity = settings.severity or rule.severity
    found = rule.find(tables, config, math.nan if threshold is None else threshold)
    told = found.with_columns(
        pl.lit(rule.code).alias("code"),
        pl.lit(severity).alias("severity"),
        pl.col("score").round(DECIMALS),
        pl.lit(threshold, dtype=pl.Float64).round(DECIMALS).alias("threshold"),
        bounded(pl.col("evidence")),
    )
    order = ("score", "image_id", "annotation_id", "path", "evidence")
    worst_first = [rule.worst == "high", False, False, False, False]
    return told.select(list(polars_schema("findings"))).sort(order, descending=worst_first, nulls_last=True)
