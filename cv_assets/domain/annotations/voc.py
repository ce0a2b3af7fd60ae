"""Pascal VOC: one XML file an image, one <object> a box. No DTD, so no entities and nothing fetched."""

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from defusedxml.ElementTree import fromstring

from cv_assets.domain.annotations.boxes import number_in, to_box
from cv_assets.domain.annotations.claims import by_name
from cv_assets.domain.annotations.matching import ImageIndex, Match, Matcher
from cv_assets.domain.annotations.paths import without_extension
from cv_assets.domain.annotations.records import Entries, Entry, Sources, unparsable
from cv_assets.domain.annotations.text import shown
from schemas.datasets import DatasetConfig

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def parse(data: bytes, path: str, config: DatasetConfig) -> Iterator[Entry]:
    """The objects of one file, from 1; a file without any says that its image shows none."""
    root = _root(data)
    if root.tag != "annotation":
        cure = "; of CVAT, export Pascal VOC, COCO or YOLO instead" if root.tag == "annotations" else ""
        yield unparsable(f"expected <annotation> as the root, found <{root.tag}>{cure}")
        return
    entry = partial(Entry, named=_named(root, path), declared_size_px=_declared_size(root), context=_leaves(root))
    things = root.findall("object")
    yield from (_object(thing, partial(entry, place=str(number))) for number, thing in enumerate(things, 1))
    if not things:
        yield entry(place="0", reason="no-object")


def by_filename(sources: Sources, images: ImageIndex, entries: Entries) -> Matcher:
    """Look images up by <filename>, which scripts that copy and augment forget to write anew.

    An image that several files name is given to none of them that has another image of its own name: aug_1.xml says nothing
    of 1.jpg where 1.xml does, and aug_1.jpg is there.
    """
    matcher = by_name(sources, images, entries)
    files_of: dict[str, set[str]] = defaultdict(set)
    for source, entry in entries:
        if entry.sought is not None and (path := matcher(source, entry).path) is not None:
            files_of[path].add(source)
    copied: dict[str, Match] = {}
    for path, files in files_of.items():
        for file in files if len(files) > 1 else ():
            own = images.find(_stem(file), file).path
            if own is not None and _stem(file) != _stem(path):
                other = min(files - {file})
                detail = f"{shown(path)} is named in {shown(other)}, too, and {shown(own)} is called like this file"
                copied[file] = Match(None, "ambiguous-file", f"{detail}; correct <filename>")
    return lambda source, entry: copied.get(source) or matcher(source, entry)


def _stem(path: str) -> str:
    return without_extension(path).rpartition("/")[2]


def _root(data: bytes) -> "Element":
    try:
        return fromstring(data, forbid_dtd=True)
    except LookupError as error:
        raise ValueError(f"expected an encoding that XML knows: {error}") from error


def _object(thing: "Element", entry: "partial[Entry]") -> Entry:
    label = _label(thing)
    box = thing.find("bndbox")
    corners = [None if box is None else _text(box, name) for name in CORNERS]
    known = to_box([number_in(corner) for corner in corners])
    reason = "no-label" if label is None else "invalid-box" if known is None else None
    return entry(
        label=label,
        box=known,
        attributes={name: text for name, text in _leaves(thing).items() if name != "name"},
        reason=reason,
        detail=None if known else f"expected four finite numbers as {', '.join(CORNERS)}, found {shown(corners)}",
    )


def _label(thing: "Element") -> str | None:
    """<name> as it is written; line breaks round it are how the XML is laid out."""
    text = thing.findtext("name") or ""
    return (text.strip() if "\n" in text else text) if text.strip() else None


def _named(root: "Element", path: str) -> str:
    """<filename>; where it is empty the last part of <path>, and without that the name of the XML file."""
    named = _text(root, "filename") or _text(root, "path")
    return named or without_extension(path)


def _declared_size(root: "Element") -> tuple[float, float] | None:
    width, height = (number_in(_text(root, f"size/{side}")) for side in ("width", "height"))
    return None if width is None or height is None else (width, height)


def _leaves(element: "Element") -> dict[str, object]:
    """Children that hold text and no elements, such as <pose>, <truncated>, <difficult> and <occluded>."""
    leaves = ((child.tag, (child.text or "").strip()) for child in element if len(child) == 0)
    return {str(name): text for name, text in leaves if text}


def _text(element: "Element", path: str) -> str | None:
    return (element.findtext(path) or "").strip() or None
