"""Grey images in a dataset whose images are coloured. A dataset that is mostly grey has none of them."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.datasets import DatasetConfig

# colour is what is usual if more than this share of the images has it
USUAL_RATIO: Final = 0.5


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    manifest = tables["manifest"].with_columns((pl.col("colour_ratio") >= threshold).alias("is_coloured"))
    shared = manifest.with_columns(pl.col("is_coloured").mean().alias("coloured_images_ratio"))
    grey = shared.filter(~pl.col("is_coloured") & (pl.col("coloured_images_ratio") > USUAL_RATIO))
    return found(grey, score=pl.col("colour_ratio"), evidence=["coloured_images_ratio", "mode"])


RULE: Final = Rule(
    code="grayscale-among-colour",
    description="The image is grey, and most images of the dataset are coloured.",
    severity="INFO",
    find=_find,
    # grey stored as colour has 0; grey clothes on a grey floor still have 0.086
    threshold=0.03,
    unit="colourfulness, 0 grey to 1",
    worst="low",
    bounds=(0, 1),
)
