"""Polygons and keypoints, which entries carry beside their box: turned upright with it. Boxes are in `boxes`."""

from collections.abc import Callable, Mapping
from typing import Final, cast

from cv_assets.domain.annotations.boxes import number_of, speaks_of_stored
from cv_assets.domain.annotations.records import Entry, UprightSize
from cv_assets.domain.orientation import upright_point, upright_size
from schemas.codes import Frame

Turn = Callable[[float, float], tuple[float, float]]

# The attributes that hold points, by the unit of their format: polygons, and keypoints.
NAMES: Final = {"px": ("segmentation", "keypoints"), "ratio": ("polygon_ratio", "keypoints_ratio")}


def upright_attributes(entry: Entry, size: UprightSize | None, frame: Frame) -> Mapping[str, object]:
    """The entry's attributes, whose points speak of the upright image.

    What cannot be turned point by point, such as a COCO mask in run lengths, stays as written; a `NAME_frame` beside
    it says that it speaks of the stored image.
    """
    if not entry.attributes or size is None or size.orientation == 1 or not speaks_of_stored(entry, size, frame):
        return entry.attributes
    orientation = size.orientation
    sides = upright_size(size.width_px, size.height_px, orientation) if entry.unit == "px" else (1, 1)

    def turn(x: float, y: float) -> tuple[float, float]:
        return upright_point(x, y, sides, orientation)

    attributes = dict(entry.attributes)
    polygons, keypoints = NAMES[entry.unit]
    turned = {
        polygons: _turned_polygons(attributes.get(polygons), turn),
        keypoints: _turned_points(attributes.get(keypoints), entry.keypoint_length, turn),
    }
    for name, value in turned.items():
        if value is not None:
            attributes[name] = value
        elif isinstance(attributes.get(name), list | dict):  # a text or a number is no outline of any format
            attributes[f"{name}_frame"] = "stored"
    return attributes


def _turned_polygons(polygons: object, turn: Turn) -> list[object] | None:
    """A list of lists of x, y; None for anything else."""
    if not isinstance(polygons, list):
        return None
    turned = [_turned_points(polygon, 2, turn) for polygon in cast("list[object]", polygons)]
    return None if None in turned else [*turned]


def _turned_points(values: object, length: int, turn: Turn) -> list[float] | None:
    """A list of `length` numbers a point, of which x and y turn; None for anything else.

    A keypoint of three zeros is one that nobody marked: it is no place in the image, and stays.
    """
    if not isinstance(values, list) or length not in {2, 3} or len(cast("list[object]", values)) % length:
        return None
    if any(number_of(value) is None for value in cast("list[object]", values)):
        return None
    numbers = cast("list[float]", values)
    points = [numbers[at : at + length] for at in range(0, len(numbers), length)]
    return [
        number
        for point in points
        for number in (point if length == 3 and not any(point) else (*turn(point[0], point[1]), *point[2:]))
    ]
