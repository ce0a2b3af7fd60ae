"""What is compared between two versions: for each property its values, as they follow from the tables of one version.

Images count once, whatever the number of their paths; boxes count once each. How far values are apart is not said here.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.quality import DriftProperty

Tables = Mapping[str, pl.DataFrame]
Numbers = npt.NDArray[np.float64]
# parsing a list of numbers costs more than everything else: so many images are a sample large enough
EMBEDDINGS: Final = 10_000
# its square is a number still
LARGEST: Final = 1e100

_WIDTH, _HEIGHT = pl.col("width_px"), pl.col("height_px")
_BOX_WIDTH, _BOX_HEIGHT = pl.col("x_max_px") - pl.col("x_min_px"), pl.col("y_max_px") - pl.col("y_min_px")

# one value an image, from a row of the manifest
OF_IMAGES: Final[dict[DriftProperty, pl.Expr]] = {
    "area_px": _WIDTH.cast(pl.Int64) * _HEIGHT,
    "aspect_ratio": _WIDTH / _HEIGHT,
    "brightness_ratio": pl.col("brightness_ratio"),
    "colour_ratio": pl.col("colour_ratio"),
    "contrast_ratio": pl.col("contrast_ratio"),
    "entropy_bits": pl.col("entropy_bits"),
    "height_px": _HEIGHT,
    "sharpness": pl.col("sharpness"),
    "size_bytes": pl.col("size_bytes"),
    "width_px": _WIDTH,
}
# one value a box that has an area and whose image was accepted
OF_BOXES: Final[dict[DriftProperty, pl.Expr]] = {
    "box_area_ratio": _BOX_WIDTH * _BOX_HEIGHT / (_WIDTH * _HEIGHT),
    "box_aspect_ratio": _BOX_WIDTH / _BOX_HEIGHT,
}
# every property of schemas.quality.DriftProperty in words
DESCRIPTIONS: Final[dict[str, str]] = {
    "area_px": "pixels of an image",
    "aspect_ratio": "width of an image over its height",
    "box_area_ratio": "area of a box over that of its image",
    "box_aspect_ratio": "width of a box over its height",
    "boxes_per_image": "boxes of an image, images without a box included",
    "brightness_ratio": "mean perceived brightness of an image, 0 to 1",
    "colour_ratio": "how far the most coloured pixels of an image are from grey, 0 to 1",
    "contrast_ratio": "standard deviation of the brightness of an image, 0 to 1",
    "embedding": "place of an image's embedding on the line between the two versions' means",
    "embedding_spread": "distance of an image's embedding from the mean of the baseline",
    "entropy_bits": "entropy of the brightness of an image, in bits",
    "height_px": "height of an image in pixels",
    "label": "classes of an image; one of several counts for each of its classes",
    "object_label": "class of a box",
    "sharpness": "strength of edges of an image at small scale",
    "size_bytes": "bytes of an image file",
    "width_px": "width of an image in pixels",
}


class Embeddings(NamedTuple):
    """Embeddings of one version's images: `lists` of shape (n, dimensions); `is_learnt` says which to learn from, shape (n,).

    An image is in the same half in whatever version it is: halves by place would change with each image that comes, and what
    was learnt by heart in one version would be found to be missing in the next.
    """

    lists: Numbers
    is_learnt: npt.NDArray[np.bool_]

    @property
    def fewest(self) -> int:
        """How many there are in the smaller half."""
        return min(int(self.is_learnt.sum()), int((~self.is_learnt).sum()))


class Values(NamedTuple):
    """Of one version: property → its values, shape (n,); and property → how often each of its categories occurs."""

    numbers: dict[str, Numbers]
    categories: dict[str, dict[str, int]]


def values_of(tables: Tables) -> Values:
    """Everything that the columns of manifest and annotations allow; of boxes only if there are any."""
    manifest, boxes = tables["manifest"], _boxes(tables)
    numbers = _evaluate(manifest, OF_IMAGES)
    labels = {"label": manifest["labels"].explode(empty_as_null=True)}
    if not boxes.is_empty():
        with_area = boxes.filter((_BOX_WIDTH > 0) & (_BOX_HEIGHT > 0))
        numbers |= _evaluate(with_area, OF_BOXES) | {"boxes_per_image": _boxes_per_image(boxes, manifest.height)}
        labels["object_label"] = boxes["label"]
    categories = {name: _count(values.drop_nulls()) for name, values in labels.items() if values.count()}
    return Values(numbers, categories)


def embeddings_of(tables: Tables, attribute: str) -> Embeddings:
    """Embeddings of the version's images, n at most EMBEDDINGS; of shape (0, 0) if there are none.

    `attribute` names the list of numbers in the attributes of an image's annotations; the first annotation that has it
    counts. Images come in the order of their ids, which are hashes: the first ones are a fair draw. Lists of another
    length than most, or with anything but numbers below 1e100, are left out.
    """
    rows = tables["annotations"].join(tables["manifest"], on="image_id", how="semi").drop_nulls("attributes")
    named = rows.filter(pl.col("attributes").str.contains(json.dumps(attribute, ensure_ascii=False), literal=True))
    taken = named.sort("image_id", "annotation_id").unique("image_id", keep="first", maintain_order=True)
    some = taken.head(EMBEDDINGS).select("image_id", "attributes").iter_rows()
    found = [(image_id, _numbers(text, attribute)) for image_id, text in some]
    lengths = Counter(len(one) for _, one in found if one)
    if not lengths:
        return Embeddings(np.empty((0, 0)), np.empty(0, bool))
    most = max(lengths, key=lambda length: (lengths[length], length))
    kept = [(image_id, one) for image_id, one in found if len(one) == most]
    is_learnt = [int(image_id[-1], 16) % 2 == 0 for image_id, _ in kept]
    return Embeddings(np.array([one for _, one in kept], dtype=np.float64), np.array(is_learnt))


def place_embeddings(baseline: Embeddings, version: Embeddings) -> dict[str, tuple[Numbers, Numbers]]:
    """Two numbers an embedding, of both samples: its place on the line between the means, and its spread.

    Dimensions are measured in standard deviations, so the line is a linear discriminant with a diagonal covariance. It and
    the centre are learnt from one half of the images, and the numbers are those of the other: thus no line is found where
    there is nothing to tell apart (D. Lopez-Paz, M. Oquab, Revisiting classifier two-sample tests, 2017).
    """
    learnt, other_learnt = (each.lists[each.is_learnt] for each in (baseline, version))
    centre = learnt.mean(axis=0)
    deviation = np.sqrt((learnt.var(axis=0) + other_learnt.var(axis=0)) / 2)
    scale = np.where(deviation > 0, deviation, 1)
    line = (other_learnt.mean(axis=0) - centre) / scale
    line /= np.linalg.norm(line) or 1
    held, other_held = ((each.lists[~each.is_learnt] - centre) / scale for each in (baseline, version))
    return {
        "embedding": (_steady((held * line).sum(axis=1)), _steady((other_held * line).sum(axis=1))),
        "embedding_spread": (_steady(np.linalg.norm(held, axis=1)), _steady(np.linalg.norm(other_held, axis=1))),
    }


def _steady(values: npt.NDArray[Any]) -> Numbers:
    """Rounded, so that the last bits of a CPU's sums move no value over the edge of a bin."""
    return np.round(values.astype(np.float64), 9)


def _boxes(tables: Tables) -> pl.DataFrame:
    """Boxes of accepted images, each with the size of its image."""
    sizes = tables["manifest"].select("image_id", "width_px", "height_px")
    corners = ("x_min_px", "y_min_px", "x_max_px", "y_max_px")
    boxes = tables["annotations"].select("image_id", "label", *corners).drop_nulls(["image_id", *corners])
    return boxes.join(sizes, on="image_id")


def _evaluate(frame: pl.DataFrame, expressions: Mapping[DriftProperty, pl.Expr]) -> dict[str, Numbers]:
    """A table that an older release made may lack columns: what follows from them is left out."""
    has = set(frame.columns)
    known = {name: one for name, one in expressions.items() if has.issuperset(one.meta.root_names())}
    values = frame.select(one.alias(name) for name, one in known.items())
    return {name: _floats(values[name]) for name in known}


def _boxes_per_image(boxes: pl.DataFrame, images: int) -> Numbers:
    counts = _floats(boxes.group_by("image_id").len()["len"])
    return np.concatenate([counts, np.zeros(images - counts.size)])


def _floats(values: pl.Series) -> Numbers:
    return values.drop_nulls().cast(pl.Float64).to_numpy()


def _count(values: pl.Series) -> dict[str, int]:
    return dict(values.rename("value").to_frame().group_by("value").len().sort("value").iter_rows())


def _numbers(text: str, attribute: str) -> list[float]:
    """The list of finite numbers that an annotation's attributes hold under that name; empty for anything else."""
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError):
        return []
    found = cast("dict[str, Any]", said).get(attribute) if isinstance(said, dict) else None
    listed = cast("list[Any]", found) if isinstance(found, list) else []
    are_numbers = all(type(one) in {int, float} and -LARGEST < one < LARGEST for one in listed)
    return [float(one) for one in listed] if are_numbers else []
