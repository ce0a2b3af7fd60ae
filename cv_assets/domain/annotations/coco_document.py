"""A COCO file taken apart: its three lists, its images and its categories, and what is wrong with them."""

import json
import re
from itertools import pairwise
from typing import Final, NamedTuple, cast

from cv_assets.domain.annotations.boxes import number_of
from cv_assets.domain.annotations.records import Entry, unparsable
from cv_assets.domain.annotations.text import listed, shown

Object = dict[str, object]
Id = int | str

EXPECTED = "expected COCO instances: an object with the lists images, annotations (with bbox) and categories"
# as JSON spells it: 007 is text, and another one than 7
_NUMBER: Final = re.compile("0|-?[1-9][0-9]{0,18}")
LISTS = ("images", "annotations", "categories")


class CocoImage(NamedTuple):
    """An entry of `images`, and its number from 1."""

    number: int
    named: str
    declared_size_px: tuple[float, float] | None
    context: Object


class Document(NamedTuple):
    """A whole file; `broken` are entries of images and categories that cannot be used."""

    images: dict[Id, CocoImage]
    names: dict[Id, str]
    annotations: list[object]
    broken: list[Entry]


def read_document(data: bytes) -> Document | Entry:
    """The file taken apart, or the entry that says why not. Raises ValueError or RecursionError if it is no JSON."""
    # NaN and Infinity, which are no JSON, come as text: no number, and kept as written among the attributes
    whole = json.loads(data.decode("utf-8-sig"), parse_constant=str, object_pairs_hook=_with_unique_keys)
    lists = _instances(whole)
    if isinstance(lists, str):
        return unparsable(f"{EXPECTED}; found {lists}")
    images, broken_images = _images(lists["images"])
    names, broken_categories = _names(lists["categories"])
    return Document(images, names, lists["annotations"], broken_images + broken_categories)


def as_object(value: object) -> Object | None:
    """A JSON object, or None for any other value."""
    return cast("Object", value) if isinstance(value, dict) else None


def as_id(value: object) -> Id | None:
    """A value that can be an id, or None. True, which equals 1, cannot.

    Of tools that convert files some write 1 in one list and "1" or 1.0 in another: these are one id.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _with_unique_keys(pairs: list[tuple[str, object]]) -> Object:
    """Two values under one key are two readings of one file; the standard library would keep the last."""
    item = dict(pairs)
    if len(item) != len(pairs):
        keys = sorted(key for key, _ in pairs)
        twice = next(key for key, following in pairwise(keys) if key == following)
        raise ValueError(f"expected each key of an object once, found {shown(twice)} again")
    return item


def _instances(document: object) -> dict[str, list[object]] | str:
    """The three lists, or what was found instead of them."""
    whole = as_object(document)
    if whole is None:
        return f"a {type(document).__name__}"
    absent = [name for name in LISTS if not isinstance(whole.get(name), list)]
    if absent:
        return f"no list {' and no list '.join(absent)} among {listed(list(whole))}"
    lists = cast("dict[str, list[object]]", {name: whole[name] for name in LISTS})
    if not lists["categories"]:
        return "no categories"
    if lists["annotations"] and not any("bbox" in (as_object(item) or ()) for item in lists["annotations"]):
        return "annotations without bbox"
    return lists


def _images(items: list[object]) -> tuple[dict[Id, CocoImage], list[Entry]]:
    images: dict[Id, CocoImage] = {}
    broken: list[Entry] = []
    for number, value in enumerate(items, 1):
        item = as_object(value) or {}
        image_id, named = as_id(item.get("id")), item.get("file_name")
        if image_id is None or not isinstance(named, str) or not named:
            broken.append(unparsable(f"expected id and file_name, found {shown(value)}", f"image-{number}"))
        elif image_id in images:
            broken.append(_taken(image_id, images[image_id].named, f"image-{number}"))
        else:
            images[image_id] = CocoImage(number, named, _size(item), item)
    return images, broken


def _names(items: list[object]) -> tuple[dict[Id, str], list[Entry]]:
    names: dict[Id, str] = {}
    broken: list[Entry] = []
    for number, value in enumerate(items, 1):
        item = as_object(value) or {}
        category_id, name = as_id(item.get("id")), item.get("name")
        if category_id is None or not isinstance(name, str) or not name.strip():
            broken.append(unparsable(f"expected id and name, found {shown(value)}", f"category-{number}"))
        elif category_id in names:
            broken.append(_taken(category_id, names[category_id], f"category-{number}"))
        else:
            names[category_id] = name
    return names, broken


def _taken(item_id: Id, owner: str, place: str) -> Entry:
    return unparsable(f"expected an id of its own, found {shown(item_id)}, which is that of {shown(owner)}", place)


def _size(item: Object) -> tuple[float, float] | None:
    width, height = number_of(item.get("width")), number_of(item.get("height"))
    return None if width is None or height is None else (width, height)
