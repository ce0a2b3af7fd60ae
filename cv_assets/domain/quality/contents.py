"""What is in a version, as a report shows it: classes, sizes, boxes, what pixels look like. Nothing is judged here."""

import math
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from cv_assets.domain.quality.boxes import boxes_of, has_area, in_images
from cv_assets.domain.quality.histograms import heat_map, histogram
from cv_assets.domain.quality.rulebook import RULES
from cv_assets.domain.quality.wording import plain_number, shortened_label
from schemas.codes import FindingCode
from schemas.datasets import DatasetConfig
from schemas.quality import RuleConfig

Tables = Mapping[str, pl.DataFrame]
CLASSES: Final = 40
SIZES: Final = 150
BOX_CLASSES: Final = 15
KINDS: Final = 12
# measure → what it says, its range (none: up to the 99th percentile), and the rules that look at it
MEASURES: Final[dict[str, tuple[str, float | None, tuple[FindingCode, ...]]]] = {
    "brightness_ratio": ("mean brightness", 1.0, ()),
    "brightness_p05_ratio": ("brightness of the darkest parts", 1.0, ("light",)),
    "brightness_p99_ratio": ("brightness of the brightest parts", 1.0, ("dark",)),
    "contrast_ratio": ("contrast", 0.5, ()),
    "sharpness": ("sharpness", None, ("blurry",)),
    "entropy_bits": ("entropy in bits", 8.0, ("low-information",)),
    "colour_ratio": ("colourfulness", 1.0, ("grayscale-among-colour",)),
    "bars_ratio": ("share in two even bars", 1.0, ("letterboxed",)),
    "border_ratio": ("share in an even frame", 1.0, ("constant-border",)),
}


def describe_classes(tables: Tables) -> dict[str, Any]:
    """Classes with their images and annotations, the largest first, at most CLASSES; what the others have in all."""
    images = _count(tables["manifest"].select(pl.col("labels").explode().alias("class")), "images")
    objects = _count(tables["annotations"].select(pl.col("label").alias("class")), "annotations")
    classes = images.join(objects, on="class", how="full", coalesce=True).with_columns(
        pl.col("images", "annotations").fill_null(0)
    )
    ordered = classes.sort(["images", "annotations", "class"], descending=[True, True, False])
    rest = ordered.slice(CLASSES)
    return {
        "classes": ordered.height,
        "shown": [[shortened_label(label), *counts] for label, *counts in ordered.head(CLASSES).iter_rows()],
        "more": {"classes": rest.height, "images": rest["images"].sum(), "annotations": rest["annotations"].sum()},
        "unlabelled_images": tables["manifest"].filter(pl.col("labels").list.len() == 0).height,
    }


def describe_sizes(manifest: pl.DataFrame) -> dict[str, Any]:
    """Distinct sizes with their images, the frequent ones first, at most SIZES; and histograms of bytes and of area."""
    sizes = manifest.group_by("width_px", "height_px").len("images")
    ordered = sizes.sort(["images", "width_px", "height_px"], descending=[True, False, False])
    area = pl.Series("area", manifest["width_px"].cast(pl.Int64) * manifest["height_px"])
    return {
        "distinct": ordered.height,
        "shown": [list(row) for row in ordered.head(SIZES).iter_rows()],
        "more": int(ordered.slice(SIZES)["images"].sum()),
        "size_bytes": histogram(manifest["size_bytes"], is_log=True),
        "area_px": histogram(area, is_log=True),
        "of": {name: _most_frequent(manifest[name]) for name in ("format", "mode", "bit_depth", "exif_orientation")},
    }


def describe_boxes(tables: Tables) -> dict[str, Any] | None:
    """Where the boxes of accepted images lie, how large they are and how many an image has; None if there are none."""
    boxes = in_images(boxes_of(tables).filter(has_area()), tables)
    if boxes.is_empty():
        return None
    side = (pl.col("box_width_px") / pl.col("width_px") * (pl.col("box_height_px") / pl.col("height_px"))).sqrt()
    sized = boxes.with_columns(side.alias("side_ratio"))
    per_image = boxes.group_by("image_id").len().sort("image_id")["len"].cast(pl.Int64)
    bare = tables["manifest"].height - per_image.len()
    by_class = sized.drop_nulls("label").group_by("label").agg(
        pl.len().alias("boxes"),
        *(pl.col(name).median() for name in ("box_width_px", "box_height_px", "side_ratio")),
    ).sort(["boxes", "label"], descending=[True, False])  # fmt: skip
    return {
        "boxes": boxes.height,
        "heat": heat_map(boxes),
        "side_ratio": histogram(sized["side_ratio"], is_log=True),
        "per_image": histogram(pl.concat([pl.Series("len", [0] * bare, pl.Int64), per_image])),
        "by_class": [
            [shortened_label(label), count, *(plain_number(number) for number in numbers)]
            for label, count, *numbers in by_class.head(BOX_CLASSES).iter_rows()
        ],
        "more_classes": max(0, by_class.height - BOX_CLASSES),
    }


def describe_measures(manifest: pl.DataFrame, config: DatasetConfig) -> list[dict[str, Any]]:
    """A histogram a measure, with the thresholds in force of the rules that look at it."""
    settings = config.quality.rules
    found: list[dict[str, Any]] = []
    for name, (words, high, codes) in MEASURES.items():
        rules = [(RULES[code], settings.get(code, RuleConfig())) for code in codes if code in RULES]
        marks = [
            {"code": rule.code, "at": plain_number(rule.threshold if how.threshold is None else how.threshold)}
            for rule, how in rules
            if how.enabled
        ]
        top = _percentile(manifest[name], 0.99) if high is None else high
        found.append({"name": name, "words": words, "marks": marks, **histogram(manifest[name], low=0.0, high=top)})
    return found


def _percentile(values: pl.Series, share: float) -> float:
    """Of the values, rounded up to two digits; 1 if there are none, or all are 0."""
    value = values.quantile(share) or 0.0
    step = 10.0 ** (math.floor(math.log10(value)) - 1) if value > 0 else 1.0
    return max(1, math.ceil(value / step)) * step


def _most_frequent(values: pl.Series) -> list[list[Any]]:
    """Values, as text, each with how many images have it."""
    counts = _count(values.cast(pl.String).alias("class").to_frame(), "images")
    return [list(row) for row in counts.sort(["images", "class"], descending=[True, False]).head(KINDS).iter_rows()]


def _count(values: pl.DataFrame, name: str) -> pl.DataFrame:
    return values.drop_nulls().group_by("class").len(name).with_columns(pl.col(name).cast(pl.Int64))
