"""What a quality rule is: what it looks for, which severity and threshold it has unless the dataset says otherwise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from schemas.codes import FindingCode, FindingSeverity
from schemas.datasets import DatasetConfig

# raw_images, annotations, manifest, quarantine and near_duplicates of one version
Tables = Mapping[str, pl.DataFrame]
DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of finding. `find` is given the tables, the dataset and the threshold in force, and returns `found(…)`.

    `worst` says which end of the score is the bad one: the worst are listed first. A rule without `threshold` has
    nothing to tune, and `find` is given NaN; else the threshold must lie within `bounds`, both ends included. A score beyond
    the threshold is found, and with `from_threshold` one that equals it too.
    """

    code: FindingCode
    description: str
    severity: FindingSeverity
    find: Callable[[Tables, DatasetConfig, float], pl.DataFrame]
    threshold: float | None = None
    unit: str = ""
    worst: Literal["low", "high"] = "high"
    bounds: tuple[float, float] = (0, float("inf"))
    from_threshold: bool = False


def found(frame: pl.DataFrame, *, score: pl.Expr | None = None, evidence: Sequence[str] = ()) -> pl.DataFrame:
    """The rows of `frame` as findings: columns image_id, annotation_id, path, score and evidence.

    The first three are taken where `frame` has them, else null; a manifest's first path is the path. `evidence` names
    columns that are kept as one JSON object with sorted keys, numbers rounded.
    """
    has = set(frame.columns)
    path = pl.col("path") if "path" in has else pl.col("paths").list.first() if "paths" in has else pl.lit(None)
    kept = [
        pl.col(name).round(DECIMALS) if frame.schema[name].is_float() else pl.col(name) for name in sorted(evidence)
    ]
    columns = {
        **{name: pl.col(name) if name in has else pl.lit(None) for name in ("image_id", "annotation_id")},
        "path": path,
        "score": (pl.lit(None) if score is None else score).cast(pl.Float64),
        "evidence": pl.struct(kept).struct.json_encode() if kept else pl.lit("{}"),
    }
    # with_columns and then select: a select of literals alone would make one row of none
    made = frame.with_columns(
        **{name: value if name == "score" else value.cast(pl.String) for name, value in columns.items()}
    )
    return made.select(list(columns))
