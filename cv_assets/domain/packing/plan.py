"""Which image goes into which shard, decided once for every format."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import PIL
import polars as pl

from cv_assets.domain.formats import EXTENSIONS
from cv_assets.domain.manifest import sound_objects

# raise it when the same plan would be packed into other bytes
PACKING_VERSION: Final = 1
# of a tar: the unit that a member's header and content fill, and the one that the file does
BLOCK: Final = 512
RECORD: Final = 20 * BLOCK
# what a sample's JSON tells of its row of the manifest
_TOLD: Final = ("image_id", "width_px", "height_px", "labels", "groups", "paths")


def member_bytes(size_bytes: int) -> int:
    """What content of this size takes of a tar: with its header, and what fills the last block."""
    return BLOCK + size_bytes + -size_bytes % BLOCK


def archive_bytes(members_bytes: int) -> int:
    """Size of a tar: its members, two empty blocks, and what fills the last record."""
    return -(-(members_bytes + 2 * BLOCK) // RECORD) * RECORD


@dataclass(frozen=True, slots=True)
class Sample:
    """One image to pack: its id, the extension of its format, its size in bytes, and what is known of it as JSON."""

    image_id: str
    extension: str
    size_bytes: int
    needs_turning: bool
    metadata: bytes
    class_index: int | None

    @property
    def packed_bytes(self) -> int:
        """What it takes of a shard: as members of a tar, which no other format exceeds. Of a turned image, as it is stored."""
        sizes = [self.size_bytes, len(self.metadata)]
        if self.class_index is not None:
            sizes.append(len(str(self.class_index)))
        return sum(map(member_bytes, sizes))


@dataclass(frozen=True, slots=True)
class PlannedShard:
    """The samples of one shard file, in their order; `number` counts from 0 within its split."""

    split: str
    number: int
    samples: tuple[Sample, ...]


def class_names(manifest: pl.DataFrame) -> list[str]:
    """All classes of the manifest, sorted; a class's place is its index in every shard."""
    return sorted(manifest["labels"].explode().drop_nulls().unique().to_list())


def plan_shards(
    manifest: pl.DataFrame, splits: pl.DataFrame, annotations: pl.DataFrame, max_bytes: int
) -> list[PlannedShard]:
    """Shards of at most `max_bytes` each (one larger image gets its own), in split and image id order.

    A photo that is stored turned counts as it is stored: how large it is upright is not known before it is packed.

    Image ids are hashes, so their order is a shuffle that no clock or generator has a part in.
    """
    objects = _objects_by_image(annotations)
    remarks = _remarks_by_image(annotations, objects)
    index_of = {name: place for place, name in enumerate(class_names(manifest))}
    known = manifest.select(*_TOLD, "format", "size_bytes", "exif_orientation")  # what else there is takes time to read
    dealt = known.join(splits.select("image_id", "split"), on="image_id").drop_nulls("split").sort("split", "image_id")
    planned: list[PlannedShard] = []
    for (split,), rows in dealt.group_by("split", maintain_order=True):
        samples = (_to_sample(row, objects, remarks, index_of) for row in rows.iter_rows(named=True))
        for number, part in enumerate(_cut(samples, max_bytes)):
            planned.append(PlannedShard(str(split), number, tuple(part)))
    return planned


def build_name(shard_format: str, planned: Sequence[PlannedShard], classes: Sequence[str]) -> str:
    """Name of one packing: its format, and a digest of all that decides its bytes. Equal plans share a folder."""
    digest = hashlib.sha256(f"{PACKING_VERSION} {PIL.__version__} {list(classes)}".encode())
    for shard in planned:
        digest.update(f"{shard.split} {shard.number} {len(shard.samples)}\n".encode())
        for sample in shard.samples:
            digest.update(
                f"{sample.image_id} {sample.needs_turning} {len(sample.metadata)} ".encode() + sample.metadata
            )
    return f"{shard_format}-{digest.hexdigest()[:16]}"


def _objects_by_image(annotations: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    corners = ("x_min_px", "y_min_px", "x_max_px", "y_max_px")
    known = sound_objects(annotations)
    # of copies of an image each may be labelled, under numbers of its own: an object is told by its label and box
    is_of_first_path = pl.col("image_path") == pl.col("image_path").min().over("image_id", "label", *corners)
    known = known.filter(is_of_first_path)
    columns = known.select("image_id", "label", *corners, "attributes").unique(maintain_order=True)
    objects: dict[str, list[dict[str, Any]]] = {}
    for row in columns.iter_rows(named=True):
        one: dict[str, Any] = {"label": row["label"]}
        if row["x_min_px"] is not None:
            one["box_xyxy_px"] = [row[corner] for corner in corners]
        if row["attributes"] is not None:
            one["attributes"] = json.loads(row["attributes"])
        objects.setdefault(row["image_id"], []).append(one)
    return objects


def _remarks_by_image(annotations: pl.DataFrame, objects: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Image id → what its objects do not tell: how many could not be read whole, or that it was said to show none.

    Without the latter an image that nobody annotated would look the same to a detector.
    """
    is_boxed = (pl.col("reason") == "no-label") & pl.col("x_min_px").is_not_null()
    is_unread = pl.col("reason").is_in(["invalid-box", "unparsable"]) | is_boxed
    unread = dict(annotations.filter(is_unread).drop_nulls("image_id").group_by("image_id").len().iter_rows())
    empty = set(annotations.filter(reason="no-object")["image_id"].drop_nulls()) - objects.keys() - unread.keys()
    return {image_id: {"unread_objects": number} for image_id, number in unread.items()} | {
        image_id: {"no_object": True} for image_id in empty
    }


def _to_sample(
    row: dict[str, Any],
    objects: dict[str, list[dict[str, Any]]],
    remarks: dict[str, dict[str, Any]],
    index_of: dict[str, int],
) -> Sample:
    known = {key: row[key] for key in _TOLD}
    known["objects"] = objects.get(row["image_id"], [])
    known |= remarks.get(row["image_id"], {})
    return Sample(
        image_id=row["image_id"],
        extension=EXTENSIONS[row["format"]],
        size_bytes=row["size_bytes"],
        needs_turning=row["exif_orientation"] != 1,
        metadata=_spelled(known),
        class_index=index_of[row["labels"][0]] if len(row["labels"]) == 1 else None,
    )


def _spelled(metadata: dict[str, Any]) -> bytes:
    try:
        return json.dumps(metadata, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a character in an attribute, which JSON can hold as an escape alone
        return json.dumps(metadata, sort_keys=True, separators=(",", ":")).encode()


def _cut(samples: Iterator[Sample], max_bytes: int) -> Iterator[Sequence[Sample]]:
    part: list[Sample] = []
    size_bytes = 0
    for sample in samples:
        packed_bytes = sample.packed_bytes
        if part and archive_bytes(size_bytes + packed_bytes) > max_bytes:
            yield part
            part, size_bytes = [], 0
        part.append(sample)
        size_bytes += packed_bytes
    if part:
        yield part
