"""The tables that pass between assets, as pandera models over polars frames: the law at each boundary.

Every table is strict (no unknown column) and sorted by its first columns, so that equal content is equal bytes.
"""

from functools import cache
from typing import Final

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from schemas.codes import ANNOTATION_REASONS, FILE_ROLES, IMAGE_FORMATS, PROBE_REASONS, SNAPSHOT_REASONS
from schemas.columns import PHASH, SHA256, SHARE, Table, TextList
from schemas.quality_tables import Drift, Findings, NearDuplicates, QualityReport, Rejections


class RawImages(Table):
    """The snapshot of a source: one row a file that the dataset's patterns name."""

    path: str = pa.Field(
        unique=True, description="path below the source, `/` between folders; opened again only under its pin"
    )
    role: str = pa.Field(isin=FILE_ROLES, description="is the file an image, or does it hold annotations")
    size_bytes: int = pa.Field(ge=0, description="size of the file")
    sha256: str = pa.Field(
        nullable=True, str_matches=SHA256, description="hash of its bytes; none if they were not read"
    )
    pin: str = pa.Field(
        nullable=True, description="object version, ETag or file state of bytes that stay in the source; none if copied"
    )
    format: str = pa.Field(nullable=True, isin=IMAGE_FORMATS, description="image format by content, not by extension")
    reason: str = pa.Field(
        nullable=True, isin=SNAPSHOT_REASONS, description="why the file was rejected; none if accepted"
    )
    detail: str = pa.Field(nullable=True, description="what was found, in one line")

    @pa.dataframe_check(name="rejected or hashed")  # pyright: ignore[reportUnknownMemberType] - untyped
    def _rejected_or_hashed(cls, data: PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col("reason").is_not_null() | pl.col("sha256").is_not_null())


class Sightings(Table):
    """What was found in files of a source when they were read: a file that is listed alike need not be read again."""

    path: str = pa.Field()
    role: str = pa.Field(isin=FILE_ROLES)
    size_bytes: int = pa.Field(ge=0)
    stamp: str = pa.Field(description="ETag, or modification time and inode")
    sha256: str = pa.Field(str_matches=SHA256)
    pin: str = pa.Field(nullable=True)
    format: str = pa.Field(nullable=True, isin=IMAGE_FORMATS)
    reason: str = pa.Field(nullable=True, isin=SNAPSHOT_REASONS)
    detail: str = pa.Field(nullable=True)


class Annotations(Table):
    """Labels and boxes: one row an object, and one row for each file or entry that yields none, with a reason."""

    annotation_id: str = pa.Field(unique=True, description="file that holds it, `#`, and its place in that file")
    image_path: str = pa.Field(nullable=True, description="path of the image below the source; none if it has no file")
    image_id: str = pa.Field(nullable=True, str_matches=SHA256, description="SHA-256 of the image's bytes")
    named: str = pa.Field(
        nullable=True,
        description="the image as the annotation names it; a key to look up, never a path to open",
    )
    label: str = pa.Field(nullable=True, description="class of the object")
    x_min_px: float = pa.Field(nullable=True, description="left edge of the box, upright image")
    y_min_px: float = pa.Field(nullable=True, description="top edge of the box, upright image")
    x_max_px: float = pa.Field(nullable=True, description="right edge of the box, upright image")
    y_max_px: float = pa.Field(nullable=True, description="bottom edge of the box, upright image")
    declared_width_px: float = pa.Field(nullable=True, description="width of the image as the annotation file says it")
    declared_height_px: float = pa.Field(
        nullable=True, description="height of the image as the annotation file says it"
    )
    group: str = pa.Field(nullable=True, description="group key: what must stay on one side of a split")
    attributes: str = pa.Field(nullable=True, description="everything else that the format says of the object, as JSON")
    reason: str = pa.Field(nullable=True, isin=ANNOTATION_REASONS, description="why there is no label, box or file")
    detail: str = pa.Field(nullable=True, description="what was found, in one line")


class Probes(Table):
    """One row a probed image, accepted or not; kept by dataset, so that no image is decoded twice."""

    image_id: str = pa.Field(unique=True, str_matches=SHA256)
    reason: str = pa.Field(nullable=True, isin=PROBE_REASONS)
    detail: str = pa.Field(nullable=True)
    format: str = pa.Field(nullable=True, isin=IMAGE_FORMATS)
    width_px: int = pa.Field(nullable=True)
    height_px: int = pa.Field(nullable=True)
    channels: int = pa.Field(nullable=True)
    mode: str = pa.Field(nullable=True)
    bit_depth: int = pa.Field(nullable=True)
    exif_orientation: int = pa.Field(nullable=True)
    frames: int = pa.Field(nullable=True)
    phash: str = pa.Field(nullable=True)
    brightness_ratio: float = pa.Field(nullable=True)
    brightness_p05_ratio: float = pa.Field(nullable=True)
    brightness_p99_ratio: float = pa.Field(nullable=True)
    contrast_ratio: float = pa.Field(nullable=True)
    sharpness: float = pa.Field(nullable=True)
    entropy_bits: float = pa.Field(nullable=True)
    colour_ratio: float = pa.Field(nullable=True)
    bars_ratio: float = pa.Field(nullable=True)
    border_ratio: float = pa.Field(nullable=True)
    notes: TextList = pa.Field(nullable=True)


class Manifest(Table):
    """One row an accepted image; sizes, pixels and boxes speak of the upright image."""

    image_id: str = pa.Field(unique=True, str_matches=SHA256, description="SHA-256 of the bytes")
    paths: TextList = pa.Field(description="every path of the source that holds these bytes")
    format: str = pa.Field(isin=IMAGE_FORMATS, description="image format by content")
    size_bytes: int = pa.Field(gt=0, description="size of the stored bytes")
    width_px: int = pa.Field(gt=0, description="width, upright")
    height_px: int = pa.Field(gt=0, description="height, upright")
    channels: int = pa.Field(in_range={"min_value": 1, "max_value": 4}, description="channels of the decoded image")
    mode: str = pa.Field(description="Pillow's mode: 1, L, P, RGB, CMYK, I;16, …")
    bit_depth: int = pa.Field(in_range={"min_value": 1, "max_value": 64}, description="bits a channel, as stored")
    exif_orientation: int = pa.Field(
        in_range={"min_value": 1, "max_value": 8}, description="EXIF orientation; 1 if absent"
    )
    frames: int = pa.Field(ge=1, description="frames or pages")
    phash: str = pa.Field(str_matches=PHASH, description="64-bit DCT perceptual hash, upright")
    brightness_ratio: float = pa.Field(in_range=SHARE, description="mean perceived brightness")
    brightness_p05_ratio: float = pa.Field(in_range=SHARE, description="brightness that 5 % of the pixels stay under")
    brightness_p99_ratio: float = pa.Field(in_range=SHARE, description="brightness that 99 % of the pixels stay under")
    contrast_ratio: float = pa.Field(in_range=SHARE, description="standard deviation of the brightness")
    sharpness: float = pa.Field(ge=0, description="strength of edges at small scale; low is blurred")
    entropy_bits: float = pa.Field(in_range={"min_value": 0, "max_value": 8}, description="entropy of the brightness")
    colour_ratio: float = pa.Field(in_range=SHARE, description="how far the most coloured pixels are from grey")
    bars_ratio: float = pa.Field(in_range=SHARE, description="share of the area in even bars on two opposite sides")
    border_ratio: float = pa.Field(in_range=SHARE, description="share of the area in an even frame on all four sides")
    notes: TextList = pa.Field(description="what a reader should know, such as first-frame-only")
    labels: TextList = pa.Field(description="distinct classes of the image, of annotations that could be read, sorted")
    groups: TextList = pa.Field(description="distinct group keys of the image, sorted")


class Quarantine(Table):
    """One row a rejected image file. Where its bytes could be read they are kept, or stay in the source, pinned."""

    path: str = pa.Field(unique=True, description="path below the source")
    sha256: str = pa.Field(
        nullable=True, str_matches=SHA256, description="hash of its bytes; none if they were not read"
    )
    size_bytes: int = pa.Field(ge=0, description="size of the file")
    stage: str = pa.Field(isin=("snapshot", "probe"), description="where it was rejected")
    reason: str = pa.Field(isin=SNAPSHOT_REASONS + PROBE_REASONS, description="why")
    detail: str = pa.Field(description="what was found, in one line")


class Splits(Table):
    """One row an accepted image: the split it belongs to, or none for one that is kept out of training."""

    image_id: str = pa.Field(unique=True, str_matches=SHA256, description="SHA-256 of the bytes")
    split: str = pa.Field(nullable=True, description="name of the split; none if the image is unlabelled and left out")
    unit: str = pa.Field(str_matches=SHA256, description="smallest image id among all that must stay together")


class Shards(Table):
    """One row a shard file."""

    format: str = pa.Field(description="shard format")
    split: str = pa.Field(description="name of the split")
    key: str = pa.Field(unique=True, description="where it lies below the store's root")
    samples: int = pa.Field(gt=0, description="images in it")
    bytes: int = pa.Field(gt=0, description="size of the file")
    sha256: str = pa.Field(str_matches=SHA256, description="hash of the file")


class Release(Table):
    """One row an object that the commit record names."""

    key: str = pa.Field(unique=True, description="where it lies below the store's root")
    role: str = pa.Field(isin=("table", "report", "shard", "index"), description="what it is")
    size_bytes: int = pa.Field(gt=0, description="size of the object")
    sha256: str = pa.Field(str_matches=SHA256, description="hash of the object")


TABLES: Final[dict[str, type[pa.DataFrameModel]]] = {
    "raw_images": RawImages,
    "annotations": Annotations,
    "manifest": Manifest,
    "quarantine": Quarantine,
    "quality_report": QualityReport,
    "findings": Findings,
    "near_duplicates": NearDuplicates,
    "drift": Drift,
    "rejections": Rejections,
    "splits": Splits,
    "shards": Shards,
    "release": Release,
    "sightings": Sightings,
    "probes": Probes,
}
TABLE_VERSIONS: Final = {**dict.fromkeys(TABLES, 1), "raw_images": 2, "annotations": 2, "probes": 2, "manifest": 2}


@cache
def polars_schema(table: str) -> dict[str, pl.DataType]:
    """Column name → polars dtype of a table, for building a frame that may be empty; not to be changed."""
    columns = TABLES[table].to_schema().columns
    return {name: column.dtype.type for name, column in columns.items()}


def to_frame(table: str, rows: list[dict[str, object]]) -> pl.DataFrame:
    """Rows as the frame of `table`, sorted by its first column; shape (len(rows), columns of the table)."""
    schema = polars_schema(table)
    return pl.DataFrame(rows, schema=schema, orient="row").sort(next(iter(schema)), maintain_order=True)
