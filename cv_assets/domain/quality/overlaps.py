"""Boxes that lie on one another, found without looking at every pair: exact, and bounded for images full of boxes.

Boxes whose intersection over union is at least t have sides within a factor t of each other, and corners no further
apart than (1 - t) of the larger side. So each box looks only at those of like size whose first corner is in the same
cell of a grid, or in the neighbour cell if the corner is near it; cells grow with the size of their boxes.
"""

from typing import Final

import polars as pl

# of so many boxes in one cell of one group only the first are looked at; a crowd in one place is a few dozen
MOST_IN_A_CELL: Final = 50
LEAST_SLACK: Final = 0.01
CELL: Final = 8
FURTHEST_CELL: Final = 2.0**52
# files may say anything; what is beyond is told apart no further
CREDIBLE_SIDES: Final = (1e-9, 1e15)
SLICE_ROWS: Final = 100_000
AXES: Final = {"x": ("x_min_px", "box_width_px"), "y": ("y_min_px", "box_height_px")}
KEYS: Final = ("group", "x_octave", "y_octave", "x_cell", "y_cell")


def find_overlaps(boxes: pl.DataFrame, least_iou: float) -> pl.DataFrame:
    """Each box that lies on an earlier one of its group: columns place, other and iou_ratio, sorted by place.

    `boxes` has place (distinct integers), group (an integer), the corners and box_width_px and box_height_px, both
    above zero. `least_iou` is from 0.5 to 1. Of several earlier boxes, `other` is the place of the nearest.
    """
    slack = max(1 / least_iou - 1, LEAST_SLACK) * (1 + 1e-9)
    own = boxes.with_columns(
        _octave(pl.col(side)).alias(f"{axis}_octave") for axis, (_, side) in AXES.items()
    ).with_columns(_cell(axis, 0.0, slack).alias(f"{axis}_cell") for axis in AXES)
    held = own.sort("place").filter(pl.int_range(pl.len()).over(KEYS) < MOST_IN_A_CELL)
    found = [_meet(part, held, least_iou, slack) for part in boxes.iter_slices(SLICE_ROWS)]
    nothing = pl.DataFrame(
        schema={"place": boxes.schema["place"], "other": boxes.schema["place"], "iou_ratio": pl.Float64}
    )
    best = pl.concat([nothing, *found]).sort("place", pl.col("iou_ratio"), "other", descending=[False, True, False])
    return best.unique("place", keep="first", maintain_order=True)


def _octave(side: pl.Expr) -> pl.Expr:
    return side.clip(*CREDIBLE_SIDES).log(2).floor().cast(pl.Int64)


def _cell(axis: str, shift: float, slack: float) -> pl.Expr:
    """Cell of the first corner on an axis, moved by `shift` times the side; the octave sets the size of the cells."""
    low, side = AXES[axis]
    size = CELL * slack * pl.lit(2.0).pow(pl.col(f"{axis}_octave") + 1)
    # a side beyond what the octaves know would reach over millions of cells
    place = ((pl.col(low) + shift * pl.col(side).clip(*CREDIBLE_SIDES)) / size).floor()
    return place.clip(-FURTHEST_CELL, FURTHEST_CELL).cast(pl.Int64)


def _meet(boxes: pl.DataFrame, held: pl.DataFrame, least_iou: float, slack: float) -> pl.DataFrame:
    asking = boxes
    for axis, (_, side) in AXES.items():
        smallest, largest = _octave(pl.col(side) * least_iou), _octave(pl.col(side) / least_iou)
        asking = asking.with_columns(pl.int_ranges(smallest, largest + 1).alias(f"{axis}_octave")).explode(
            f"{axis}_octave"
        )
        cells = pl.int_ranges(_cell(axis, -slack, slack), _cell(axis, slack, slack) + 1)
        asking = asking.with_columns(cells.alias(f"{axis}_cell")).explode(f"{axis}_cell")
    pairs = asking.join(held, on=KEYS, suffix="_other").filter(pl.col("place_other") < pl.col("place"))
    scored = pairs.with_columns(_iou().alias("iou_ratio")).filter(pl.col("iou_ratio") >= least_iou)
    return scored.select("place", pl.col("place_other").alias("other"), "iou_ratio")


def _iou() -> pl.Expr:
    shared, areas = pl.lit(1.0), [pl.lit(1.0), pl.lit(1.0)]
    for axis, (low, side) in AXES.items():
        high = f"{axis}_max_px"
        ends = pl.min_horizontal(high, f"{high}_other") - pl.max_horizontal(low, f"{low}_other")
        shared = shared * ends.clip(lower_bound=0)
        areas = [areas[0] * pl.col(side), areas[1] * pl.col(f"{side}_other")]
    return (shared / (areas[0] + areas[1] - shared)).fill_nan(0.0)  # areas beyond 1e308
