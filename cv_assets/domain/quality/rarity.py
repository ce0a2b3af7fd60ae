"""What few images of a dataset are, beside what most of them are. Which property is looked at, the rules say."""

import polars as pl


def find_rare(manifest: pl.DataFrame, column: str, below: float) -> pl.DataFrame:
    """The rows of a manifest whose value of `column` is held by less than the share `below` of all images.

    Adds `share_ratio`, how many hold it, and `usual`, what most hold (of equals, the smallest).
    """
    counts = manifest.group_by(column).len("images").sort(pl.col("images"), pl.col(column), descending=[True, False])
    rare = counts.select(column, (pl.col("images") / max(manifest.height, 1)).alias("share_ratio")).filter(
        pl.col("share_ratio") < below
    )
    usual = counts[column].first() if counts.height else None
    return manifest.join(rare, on=column).with_columns(pl.lit(usual).alias("usual"))
