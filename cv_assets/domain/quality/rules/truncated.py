"""Files that were cut short: refused because pixels are missing, or accepted although the end of the file is.

A JPEG that was cut and then closed with an end marker is no such file: its decoder fills in grey and says nothing.
"""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig

# what the decoder, or the probe, says of a file that ends before its image does; not every format's decoder tells
CUT_SHORT: Final = r"(?i)truncat|ends early"


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    refused = tables["quarantine"].filter(
        (pl.col("reason") == "undecodable") & pl.col("detail").str.contains(CUT_SHORT)
    )
    early = tables["manifest"].filter(pl.col("notes").list.contains("ends-early"))
    files = [
        refused.select(
            pl.col("sha256").alias("image_id"), "path", "size_bytes", "detail", pl.lit(False).alias("accepted")
        ),
        early.select(
            "image_id",
            pl.col("paths").list.first().alias("path"),
            "size_bytes",
            pl.lit("all pixels are there, the end marker is not").alias("detail"),
            pl.lit(True).alias("accepted"),
        ),
    ]
    return found(pl.concat(files), evidence=["accepted", "detail", "size_bytes"])


RULE: Final = Rule(
    code="truncated",
    description="The file was cut short, as by an upload that broke off.",
    severity="WARN",
    find=_find,
)
