"""The formats that labels come in: how each is read, and how its entries meet images. A new format is added here."""

from collections.abc import Callable, Iterator
from itertools import filterfalse
from typing import Final, NamedTuple

import yaml

from cv_assets.domain.annotations import coco, csv_table, folder, voc, yolo
from cv_assets.domain.annotations.claims import by_name_in_lists
from cv_assets.domain.annotations.matching import ImageIndex, Matcher, by_itself
from cv_assets.domain.annotations.records import Entries, Entry, Sources, unparsable
from cv_assets.domain.annotations.text import shown
from cv_assets.domain.annotations.yolo_classes import (
    NO_CLASSES,
    Classes,
    contradicting,
    is_class_file,
    nearest_classes,
    overruling,
    read_classes,
)
from cv_assets.domain.probing import one_line
from schemas.datasets import DatasetConfig

Reader = Callable[[Sources, DatasetConfig], Iterator[tuple[str, Entry]]]
Parser = Callable[[bytes, str, DatasetConfig], Iterator[Entry]]

# What parsers raise for broken content: UnicodeDecodeError, JSONDecodeError and defusedxml's refusals are ValueErrors,
# ElementTree's ParseError is a SyntaxError. Anything else is a bug of ours.
PARSE_ERRORS: Final = (ValueError, SyntaxError, RecursionError, yaml.YAMLError)


class Format(NamedTuple):
    """How a format is read and matched; `unlabelled` says why an image has no label."""

    read: Reader
    matcher: Callable[[Sources, ImageIndex, Entries], Matcher]
    unlabelled: str = "no annotation names this file"


def carefully(entries: Iterator[Entry]) -> Iterator[Entry]:
    """The entries of one file; where its content breaks the parser, one more that says so."""
    try:
        yield from entries
    except PARSE_ERRORS as error:
        yield unparsable(one_line(error))


def each_file(parse: Parser) -> Reader:
    """A reader for formats whose files stand alone."""

    def read(sources: Sources, config: DatasetConfig) -> Iterator[tuple[str, Entry]]:
        for file in sources.annotation_files:
            for entry in carefully(parse(sources.read(file.sha256), file.path, config)):
                yield file.path, entry

    return read


def read_yolo(sources: Sources, config: DatasetConfig) -> Iterator[tuple[str, Entry]]:
    """Class names first, then the label files that need them."""
    classes: dict[str, Classes] = {}
    for file in filter(is_class_file, sources.annotation_files):
        data = sources.read(file.sha256)
        try:
            classes[file.path] = read_classes(file.path, data)
        except PARSE_ERRORS as error:
            yield file.path, unparsable(one_line(error))
    for path, other in contradicting(classes).items():
        yield (
            path,
            unparsable(f"expected one list of classes in a folder, found {shown(other)} beside it; leave one there"),
        )
        classes[path] = NO_CLASSES  # nor does what lies above or beside them name their labels
    for path, detail in overruling(classes):
        yield path, unparsable(detail)
    classes_for = nearest_classes(classes)
    for file in filterfalse(is_class_file, sources.annotation_files):
        for entry in carefully(yolo.parse(sources.read(file.sha256), file.path, classes_for(file.path))):
            yield file.path, entry


def read_nothing(sources: Sources, config: DatasetConfig) -> Iterator[tuple[str, Entry]]:
    """No labels are wanted."""
    return iter(())


FORMATS: Final[dict[str, Format]] = {
    "coco": Format(each_file(coco.parse), by_name_in_lists),
    "csv": Format(each_file(csv_table.parse), by_name_in_lists),
    "folder": Format(folder.read, by_itself, "the path of this file gives no class"),
    "none": Format(read_nothing, by_itself, "this dataset reads no labels"),
    "voc": Format(each_file(voc.parse), voc.by_filename),
    "yolo": Format(read_yolo, yolo.by_label_path),
}
