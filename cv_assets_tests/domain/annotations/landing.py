"""A source written down in a test: image paths with sizes, annotation files with their text."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from cv_assets.domain.annotations.records import UprightSize
from cv_assets.domain.annotations.table import build_annotations
from schemas.datasets import DatasetConfig
from schemas.tables import TABLES, to_frame

SIZE = UprightSize(100, 50, 1)
BOX = ["x_min_px", "y_min_px", "x_max_px", "y_max_px"]


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def image_id(path: str) -> str:
    """The id of the image that a test calls `path`: by default its bytes are its path."""
    return sha256_of(path.encode())


@dataclass
class Landing:
    """Files of a source. `sizes` overrides the size of an image, `rejected` and `undecodable` are paths among images."""

    images: Iterable[str] = ()
    labels: Mapping[str, str | bytes] = field(default_factory=dict)
    sizes: Mapping[str, UprightSize] = field(default_factory=dict)
    rejected: Iterable[str] = ()
    undecodable: Iterable[str] = ()
    same_bytes: Mapping[str, str] = field(default_factory=dict)

    def annotations(self, *, group_by: object = None, **config: object) -> pl.DataFrame:
        """The annotations of this source, which are checked against the table's law."""
        config.setdefault("format", "folder")
        if config["format"] not in {"folder", "none"}:
            config.setdefault("include", ["**/*"])
        frame = build_annotations(
            DatasetConfig.model_validate(
                {"name": "drawn", "source": {"url": "/landing"}, "annotations": config, "group_by": group_by}
            ),
            self.files,
            self.reader,
            self.stored_sizes,
        )
        return TABLES["annotations"].validate(frame, lazy=True)

    @property
    def files(self) -> pl.DataFrame:
        rows = [self._file(path, "image", image_id(self.same_bytes.get(path, path))) for path in self.images]
        rows += [self._file(path, "annotation", sha256_of(self._data(path))) for path in self.labels]
        return TABLES["raw_images"].validate(to_frame("raw_images", rows), lazy=True)

    @property
    def reader(self) -> Callable[[str], bytes]:
        return {sha256_of(self._data(path)): self._data(path) for path in self.labels}.__getitem__

    @property
    def stored_sizes(self) -> dict[str, UprightSize]:
        decoded = set(self.images) - set(self.undecodable) - set(self.rejected)
        return {image_id(self.same_bytes.get(path, path)): self.sizes.get(path, SIZE) for path in decoded}

    def _file(self, path: str, role: str, sha256: str) -> dict[str, object]:
        reason = "bytes-over-limit" if path in set(self.rejected) else None
        return {
            "path": path,
            "role": role,
            "size_bytes": 1,
            "sha256": None if reason else sha256,
            "format": "jpeg" if role == "image" and not reason else None,
            "reason": reason,
            "detail": reason,
        }

    def _data(self, path: str) -> bytes:
        text = self.labels[path]
        return text if isinstance(text, bytes) else text.encode()


def column(frame: pl.DataFrame, *names: str) -> list[object]:
    """Values of a column, or tuples of several, in order of annotation id."""
    rows = frame.select(names).rows()
    return [row[0] for row in rows] if len(names) == 1 else rows


def boxes(frame: pl.DataFrame) -> list[object]:
    return frame.select(BOX).rows()


def voc(filename: str, *objects: str, size: tuple[int, int] | None = None) -> str:
    """A VOC file."""
    declared = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    return f"<annotation><filename>{filename}</filename>{declared}{''.join(objects)}</annotation>"


def voc_object(name: str, *corners: object, more: str = "") -> str:
    """One object of a VOC file, corners as x_min, y_min, x_max, y_max."""
    tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    inner = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return f"<object><name>{name}</name>{more}<bndbox>{inner}</bndbox></object>"
