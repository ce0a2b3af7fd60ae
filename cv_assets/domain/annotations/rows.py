"""An entry and the image that it means, as a row of the Annotations table. Everything foreign is made storable here."""

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from cv_assets.domain.annotations.boxes import is_finite, is_in_ratios, upright_px
from cv_assets.domain.annotations.matching import Match
from cv_assets.domain.annotations.outlines import upright_attributes
from cv_assets.domain.annotations.records import Entry, UprightSize
from cv_assets.domain.annotations.text import is_storable, shortened, shown, storable
from cv_assets.domain.orientation import Box
from schemas.codes import AnnotationReason, Frame

_ENCODER: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False)

Row = dict[str, object]
Fault = tuple[AnnotationReason, str | None]


class ImageFile(NamedTuple):
    """An image file of the source: its id and size if it was accepted, else why it was not; did the snapshot keep it?"""

    image_id: str | None
    size: UprightSize | None
    fault: str | None
    was_kept: bool = True


class Meeting(NamedTuple):
    """An entry, where it was written, and the image that it met."""

    source: str
    entry: Entry
    match: Match
    image: ImageFile | None
    group: str | None


def annotation_row(meeting: Meeting, frame: Frame) -> Row:
    """One row of the table."""
    entry, image = meeting.entry, meeting.image
    size = image.size if image else None
    box = upright_px(entry, size, frame)
    attributes, attributes_fault = _as_json(upright_attributes(entry, size, frame))
    faults = [*_faults(meeting, box), *attributes_fault]
    return {
        "annotation_id": f"{meeting.source}#{entry.place}",
        "image_path": meeting.match.path,
        "image_id": image.image_id if image else None,
        "named": None if entry.named is None else storable(entry.named),
        "label": entry.label if entry.label and is_storable(entry.label) else None,
        **_corners(box if box and is_finite(box) else None),
        **dict(zip(("declared_width_px", "declared_height_px"), entry.declared_size_px or (None, None), strict=True)),
        "group": None if meeting.group is None else storable(meeting.group),
        "attributes": attributes,
        **_reason(faults),
    }


def unlabelled_row(path: str, image: ImageFile, group: str | None, detail: str) -> Row:
    """The row of an accepted image that no entry means."""
    entry = Entry(place="0", reason="no-label", detail=detail)
    return annotation_row(Meeting(path, entry, Match(path), image, group), "upright")


def _faults(meeting: Meeting, box: Box | None) -> list[Fault]:
    """All that is wrong, the gravest first: what cannot be read, then the image, then the entry, then its box."""
    entry, match, image = meeting.entry, meeting.match, meeting.image
    faults: list[Fault] = []
    if entry.label and not is_storable(entry.label):
        faults.append(("unparsable", f"expected a class that is text, found {shown(entry.label)}"))
    if match.reason:
        faults.append((match.reason, match.detail))
    if image and image.image_id is None:
        faults.append(("file-quarantined", image.fault))
    if entry.reason:
        faults.insert(0 if entry.reason == "unparsable" else len(faults), (entry.reason, entry.detail))
    if box and not is_finite(box):
        faults.append(("invalid-box", f"expected finite corners, found {shown(box)}"))
    if entry.box and entry.unit == "px" and is_in_ratios(entry.box):
        cure = "multiply ratios by the image's sides"
        faults.append(
            ("invalid-box", f"expected pixels, found corners within the first one, {shown(entry.box)}: {cure}")
        )
    return faults


def _reason(faults: list[Fault]) -> Row:
    """The first fault names the row; the details of all are told."""
    details = [detail for _, detail in faults if detail]
    return {
        "reason": faults[0][0] if faults else None,
        "detail": shortened("; ".join(details)) if details else None,
    }


def _corners(box: Box | None) -> Row:
    return dict(zip(("x_min_px", "y_min_px", "x_max_px", "y_max_px"), box or (None,) * 4, strict=True))


def _as_json(attributes: Mapping[str, object]) -> tuple[str | None, list[Fault]]:
    """The attributes with sorted keys, or None for none; a number beyond 1e308 becomes the text Infinity."""
    if not attributes:
        return None, []
    try:
        text = _dumped(dict(attributes))
    except ValueError:
        finite = json.loads(json.dumps(dict(attributes)), parse_constant=str)
        text = _dumped(finite)
    except RecursionError:
        return None, [("unparsable", "expected attributes of less depth")]
    return text, []


def _dumped(attributes: object) -> str:
    text = _ENCODER.encode(attributes)
    return text if is_storable(text) else json.dumps(attributes, sort_keys=True)
