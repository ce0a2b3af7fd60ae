"""Photos with known defects: what was done to which file, so that a tool's findings can be held against it. Seeded."""

import random
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.defects import COPIES, DEFECTS, SPOILT_OBJECTS, jpeg

LABELS = ("cat", "dog")
CATEGORIES = (*LABELS, "Cat", "mule", " cat")


@dataclass(frozen=True)
class Planted:
    """A spoilt file; `twin` is the file that a copy was made from."""

    code: str
    strength: str
    path: str
    also: frozenset[str] = frozenset()
    twin: str | None = None


@dataclass
class Field:
    """A folder of files, what was planted in it, and its annotations as COCO would have them."""

    folder: Path
    planted: list[Planted] = field(default_factory=list)
    coco: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def write(self, path: str, data: bytes) -> None:
        """Put a file into the folder."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def plant(place: Field, photos: list[Image.Image], *, each: int, seed: int) -> int:
    """Spoil `each` photos by each defect, copy some, spoil boxes of others; leave the rest alone.

    Returns how many were left alone. Photos are used up from the front; each is used once. Ends the run if there are too few.
    """
    needed = each * (len(DEFECTS) + len(COPIES) + len(SPOILT_OBJECTS) + 1)
    if len(photos) <= needed:
        raise SystemExit(f"{needed} photos are spoilt with --each {each}; expected more, found {len(photos)}")
    generator = random.Random(seed)
    left = iter(photos)
    number = 0
    for defect in [one for one in DEFECTS for _ in range(each)]:
        suffix, data = defect.spoil(next(left).copy(), generator)
        path = f"images/{number:05d}{suffix}"
        number += 1
        place.write(path, data)
        place.planted.append(Planted(defect.code, defect.strength, path, defect.also))
    for copy in [one for one in COPIES for _ in range(each)]:
        photo = next(left)
        paths = f"images/{number:05d}.jpg", f"images/{number + 1:05d}.jpg"
        number += 2
        place.write(paths[0], jpeg(photo)[1])
        place.write(paths[1], copy.spoil(photo.copy(), generator)[1])
        place.planted.append(Planted(copy.code, copy.strength, paths[1], copy.also, paths[0]))
    rest = [(f"images/{number + n:05d}.jpg", photo) for n, photo in enumerate(left)]
    for path, photo in rest:
        place.write(path, jpeg(photo)[1])
    return len(rest) - _annotate(place, rest, each, generator)


def _annotate(place: Field, photos: list[tuple[str, Image.Image]], each: int, generator: random.Random) -> int:
    """Three boxes an image, of about a tenth of its sides; those of the first images are spoilt. Other files show nothing."""
    others = {name for one in place.planted for name in (one.path, one.twin) if name}
    images: list[dict[str, Any]] = [{"id": name, "file_name": name} for name in sorted(others)]
    objects: list[dict[str, Any]] = []
    spoilings = [one for one in SPOILT_OBJECTS for _ in range(each)]
    for number, (path, photo) in enumerate(photos):
        image: dict[str, Any] = {"id": number, "file_name": path, "width": photo.width, "height": photo.height}
        own = [_entry(image, generator) for _ in range(3)]
        if number < len(spoilings):
            one, before = spoilings[number], deepcopy((image, own))
            one.spoil(own, image)
            is_lost = bool(image) and image["file_name"] != path
            if (image, own) != before:  # a square image cannot be declared swapped
                place.planted.append(Planted(one.code, one.strength, "coco.json" if is_lost else path, one.also))
            images += [{"id": path, "file_name": path}] if is_lost else []
        images += [image] if image else []
        objects += own
    annotations = [{**one, "id": number} for number, one in enumerate(objects)]
    categories = [{"id": number, "name": name} for number, name in enumerate(CATEGORIES)]
    place.coco = {"images": images, "annotations": annotations, "categories": categories}
    return len(spoilings)


def _entry(image: dict[str, Any], generator: random.Random) -> dict[str, Any]:
    width, height = (round(image[side] * 0.09 * generator.lognormvariate(0, 0.15), 1) for side in ("width", "height"))
    x, y = (round(generator.uniform(0, 0.6) * image[side], 1) for side in ("width", "height"))
    return {"image_id": image["id"], "category_id": generator.randrange(2), "bbox": [x, y, width, height]}
