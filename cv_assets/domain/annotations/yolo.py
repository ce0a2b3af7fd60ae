"""YOLO: one text file an image, one line an object, numbers as ratios of the image's sides."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cv_assets.domain.annotations.boxes import number_in, to_box
from cv_assets.domain.annotations.claims import answers_by_nearness
from cv_assets.domain.annotations.matching import ImageIndex, Match, Matcher, no_file
from cv_assets.domain.annotations.paths import folder_of, without_extension
from cv_assets.domain.annotations.records import Entries, Entry, Sources, unparsable
from cv_assets.domain.annotations.text import lines_of, shown
from cv_assets.domain.annotations.yolo_classes import Classes, is_class_file
from cv_assets.domain.orientation import Box


def parse(data: bytes, path: str, classes: Classes) -> Iterator[Entry]:
    """The lines of one label file, by their number from 1; a file without any says that its image shows none."""
    named = without_extension(path)
    lines = [(number, line) for number, line in enumerate(lines_of(data.decode("utf-8-sig")), 1) if line.strip()]
    for number, line in lines:
        yield replace(_entry(line.split(), classes), place=str(number), named=named)
    if not lines:
        yield Entry(place="0", named=named, reason="no-object")


def by_label_path(sources: Sources, images: ImageIndex, entries: Entries) -> Matcher:
    """Meet images by the path of the label file, as Ultralytics does; a name's text is not asked.

    First the folder `images` for `labels`, then the same folder. What is left may go to an image of the same stem
    elsewhere, but never to one that another label file met first, or that lies nearer to another: train/1.txt says nothing
    of val/1.jpg.
    """
    paths = [file.path for file in sources.annotation_files if not is_class_file(file)]
    direct = {path: match for path in paths if (match := _direct(path, images)) is not None}
    owners = {match.path: path for path, match in direct.items() if match.path is not None}

    def guess(path: str) -> Match:
        stem = without_extension(path)
        mirrored = _mirrored(stem)
        # where that folder is there, it has lost the image, and one of that name elsewhere is another
        match = images.find(mirrored if images.has_images(folder_of(mirrored)) else stem, path)
        owner = owners.get(match.path or "")
        return match if owner is None else no_file(f"no image file for it: {shown(match.path)} has {shown(owner)}")

    matches = {(path, without_extension(path)): direct.get(path) or guess(path) for path in paths}
    matches |= answers_by_nearness(matches, images, cure="lay the label file beside it")
    return lambda source, entry: matches[source, entry.named or ""]


def _direct(path: str, images: ImageIndex) -> Match | None:
    stem = without_extension(path)
    return images.with_stem(_mirrored(stem)) or images.with_stem(stem)


def _mirrored(stem: str) -> str:
    """The path with its last folder `labels` turned into `images`."""
    folders, _, name = stem.rpartition("/")
    head, found, tail = f"/{folders}/".rpartition("/labels/")
    return f"{head}/images/{tail}{name}".lstrip("/") if found else stem


def _entry(tokens: list[str], classes: Classes) -> Entry:
    index = _class_index(tokens[0])
    has_keypoints = classes.has_keypoints and len(tokens) > 5
    if index is None or not (len(tokens) == 5 or _fits(len(tokens) - 5, classes)):
        more = "a box" if classes.has_keypoints else "a box or a polygon"
        if classes.keypoints:
            more += f", with {classes.keypoints} keypoints of {classes.keypoint_length} numbers (kpt_shape) or none"
        cure = "; leave out a confidence" if len(tokens) == 6 else ""
        return unparsable(f"expected a class number and {more}, found {shown(' '.join(tokens))}{cure}")
    numbers = [number_in(token) for token in tokens[1:]]
    box, extra = _box_first(numbers) if len(tokens) == 5 or has_keypoints else _polygon(numbers)
    label = classes.names.get(index)
    length = classes.keypoint_length
    entry = Entry(place="0", label=label, box=box, unit="ratio", attributes=extra, keypoint_length=length)
    if label is None:
        return replace(entry, reason="unparsable", detail=f"no name for class {index} among {_source_of(classes)}")
    if box is None:
        return replace(entry, reason="invalid-box", detail=f"expected finite numbers, found {shown(tokens[1:])}")
    return entry


def _fits(more: int, classes: Classes) -> bool:
    """May so many numbers follow a class and four others: as keypoints, or else as those of a polygon?"""
    if classes.has_keypoints:
        return more > 0 if classes.keypoints == 0 else more == classes.keypoints * classes.keypoint_length
    return more >= 2 and more % 2 == 0


def _class_index(token: str) -> int | None:
    """A class number; some exporters write `2.0`."""
    number = number_in(token)
    return int(number) if number is not None and number >= 0 and number == math.floor(number) else None


def _source_of(classes: Classes) -> str:
    if not classes.names:
        sound = "that can be read and that no other one beside it contradicts"
        return f"annotation files: include a data.yaml, classes.txt or obj.names {sound}, where labels lie or above"
    return f"the {len(classes.names)} classes of the nearest data.yaml, classes.txt or obj.names"


def _box_first(numbers: Sequence[float | None]) -> tuple[Box | None, dict[str, object]]:
    """Centre, width and height as corners; what follows are keypoints."""
    box = to_box(numbers[:4])
    extra: dict[str, object] = {"keypoints_ratio": list(numbers[4:])} if len(numbers) > 4 else {}
    if box is None:
        return None, extra
    x, y, width, height = box
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2), extra


def _polygon(numbers: Sequence[float | None]) -> tuple[Box | None, dict[str, object]]:
    """The box round a polygon of x, y pairs; the polygon itself is kept."""
    extra: dict[str, object] = {"polygon_ratio": [list(numbers[at : at + 2]) for at in range(0, len(numbers), 2)]}
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):
        return None, extra
    xs, ys = known[::2], known[1::2]
    return (min(xs), min(ys), max(xs), max(ys)), extra
