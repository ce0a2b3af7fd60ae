"""Files whose name says another format than their content: a loader that goes by names refuses or misreads them."""

from typing import Final

import polars as pl

from cv_assets.domain.quality.rule import Rule, Tables, found
from schemas.codes import ImageFormat
from schemas.datasets import DatasetConfig

# in lower case; what people and tools write for each format
EXTENSIONS: Final[dict[ImageFormat, tuple[str, ...]]] = {
    "bmp": ("bmp", "dib", "rle"),
    "gif": ("gif",),
    "jpeg": ("jpg", "jpeg", "jpe", "jfif", "jif", "jps", "mpo"),
    "png": ("png", "apng"),
    "pnm": ("pnm", "pbm", "pgm", "ppm"),
    "tiff": ("tif", "tiff", "btf", "tf8"),
    "webp": ("webp",),
}


def _find(tables: Tables, _: DatasetConfig, threshold: float) -> pl.DataFrame:
    files = tables["manifest"].select("image_id", pl.col("paths").alias("path"), "format").explode("path")
    named = files.with_columns(
        pl.col("path").str.to_lowercase().str.extract(r"\.([^./]+)$").fill_null("").alias("extension"),
        pl.col("format").replace_strict(EXTENSIONS, return_dtype=pl.List(pl.String)).alias("expected"),
    )
    differs = named.filter(~pl.col("extension").is_in(pl.col("expected")))
    return found(differs, evidence=["extension", "format"])


RULE: Final = Rule(
    code="extension-differs",
    description="The file's name has no extension, or that of another format than its content.",
    severity="WARN",
    find=_find,
)
