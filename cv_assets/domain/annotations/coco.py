"""COCO instances: one JSON file with images, categories and annotations. Captions, panoptic and the like are refused."""

from collections.abc import Iterator
from typing import cast

from cv_assets.domain.annotations.boxes import number_of, to_box
from cv_assets.domain.annotations.coco_document import CocoImage, Document, Id, Object, as_id, as_object, read_document
from cv_assets.domain.annotations.records import Entry, unparsable
from cv_assets.domain.annotations.text import shown
from cv_assets.domain.orientation import Box
from schemas.codes import AnnotationReason
from schemas.datasets import DatasetConfig

NOT_ATTRIBUTES = frozenset({"bbox", "category_id", "image_id"})


def parse(data: bytes, path: str, config: DatasetConfig) -> Iterator[Entry]:
    """The annotations of one file, from 1; `image-N` for an image without any and for one that is broken."""
    document = read_document(data)
    if isinstance(document, Entry):
        yield document
        return
    yield from document.broken
    with_objects: set[Id] = set()
    for number, value in enumerate(document.annotations, 1):
        item = as_object(value)
        if item is None:
            yield unparsable(f"expected an annotation, found {shown(value)}", str(number))
            continue
        image_id = as_id(item.get("image_id"))
        with_objects.update(() if image_id is None else (image_id,))
        yield _annotation(item, str(number), document)
    yield from (_no_object(image) for image_id, image in document.images.items() if image_id not in with_objects)


def _annotation(item: Object, place: str, document: Document) -> Entry:
    image_id, category_id = as_id(item.get("image_id")), as_id(item.get("category_id"))
    image = None if image_id is None else document.images.get(image_id)
    label = None if category_id is None else document.names.get(category_id)
    box = _box(item.get("bbox"))
    reason, detail = _fault(item, image, label, box)
    return Entry(
        place=place,
        named=image.named if image else str(image_id),
        label=label,
        box=box,
        declared_size_px=image.declared_size_px if image else None,
        attributes={name: value for name, value in item.items() if name not in NOT_ATTRIBUTES},
        context=image.context if image else {},
        reason=reason,
        detail=detail,
    )


def _fault(
    item: Object, image: CocoImage | None, label: str | None, box: Box | None
) -> tuple[AnnotationReason | None, str | None]:
    if image is None:
        return "no-file", f"no image of this file has the id {shown(item.get('image_id'))}"
    if label is None:
        return "unparsable", f"no category of this file has the id {shown(item.get('category_id'))}"
    if box is None:
        return "invalid-box", f"expected four finite numbers as bbox, found {shown(item.get('bbox'))}"
    return None, None


def _no_object(image: CocoImage) -> Entry:
    return Entry(
        place=f"image-{image.number}",
        named=image.named,
        declared_size_px=image.declared_size_px,
        context=image.context,
        reason="no-object",
    )


def _box(value: object) -> Box | None:
    """`bbox` is x, y, width and height; a box is its corners."""
    numbers = to_box([number_of(item) for item in cast("list[object]", value)] if isinstance(value, list) else [])
    return None if numbers is None else (numbers[0], numbers[1], numbers[0] + numbers[2], numbers[1] + numbers[3])
