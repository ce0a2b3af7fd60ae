"""Tables written down in tests: a few images with labels and groups, and all that follows from them."""

import hashlib

import polars as pl

from cv_assets.domain.digests import table_digest
from cv_assets.domain.quality.judging import judge
from cv_assets.domain.splitting import build_splits
from schemas.datasets import DatasetConfig
from schemas.tables import to_frame

# an ordinary picture
MEASURES = {
    "brightness_ratio": 0.5,
    "brightness_p05_ratio": 0.1,
    "brightness_p99_ratio": 0.9,
    "contrast_ratio": 0.2,
    "sharpness": 40.0,
    "entropy_bits": 7.0,
    "colour_ratio": 0.4,
    "bars_ratio": 0.0,
    "border_ratio": 0.0,
}


def config(**settings):
    """A dataset with class folders."""
    return DatasetConfig.model_validate({"name": "shapes", "source": {"url": "/landing"}, **settings})


def digests_of(tables):
    """Table name → digest of its rows."""
    return {name: table_digest(frame) for name, frame in tables.items()}


def image_id(name):
    """The id of the image that a test calls `name`."""
    return hashlib.sha256(name.encode()).hexdigest()


def manifest(rows):
    """A manifest of {name: (labels, groups)}, or {name: labels}; an image's path is its name."""
    return to_frame("manifest", [_manifest_row(name, said) for name, said in rows.items()])


def _manifest_row(name, said):
    labels, groups = said if isinstance(said, tuple) else (said, [])
    return {
        "image_id": image_id(name),
        "paths": [name],
        "format": "png",
        "size_bytes": 1_000,
        "width_px": 64,
        "height_px": 48,
        "channels": 3,
        "mode": "RGB",
        "bit_depth": 8,
        "exif_orientation": 1,
        "frames": 1,
        "phash": image_id(name)[:16],
        **MEASURES,
        "notes": [],
        "labels": labels,
        "groups": groups,
    }


def file_row(path, *, same_as=None, role="image", reason=None, **other):
    """A row of raw_images; its bytes are its path, or those of another path."""
    row = {"path": path, "role": role, "size_bytes": 1_000, "sha256": image_id(same_as or path), "format": "png"}
    if reason in {"empty-file", "symbolic-link"}:  # not read
        row["sha256"] = None
    if reason or role == "annotation":
        row["format"] = None
    return {**row, "reason": reason, "detail": "told" if reason else None, **other}


def probe_row(path, **said):
    """A row of probes: accepted, unless a reason is given."""
    row = _manifest_row(path, [])
    kept = {key: row[key] for key in row if key not in {"paths", "size_bytes", "labels", "groups"}}
    if said.get("reason"):
        kept = {"image_id": kept["image_id"], "detail": "told"}
    return {"reason": None, "detail": None, **kept, **said}


def label_row(path, label, *, place=0, source=None, box=None, **other):
    """A row of annotations: one object of one image."""
    row = dict.fromkeys(
        ("image_path", "image_id", "named", "label", "x_min_px", "y_min_px", "x_max_px", "y_max_px", "group",
         "attributes", "reason", "detail")
    )  # fmt: skip
    row |= {"annotation_id": f"{source or path}#{place}", "image_path": path, "image_id": image_id(path)}
    row |= {"named": path, "label": label}
    if box:
        row |= dict(zip(("x_min_px", "y_min_px", "x_max_px", "y_max_px"), map(float, box), strict=True))
    return {**row, **other}


def sound_tables():
    """The tables of a version that passes every gate: 24 images, a duplicate, two rejected files, a file of labels."""
    classes = ("circle", "square", "triangle")
    names = [f"{label}/{number}.png" for label in classes for number in range(8)]
    twin, broken, empty = "square/again.png", "circle/broken.png", "circle/empty.png"
    images = manifest({name: ([name.split("/")[0]], [f"camera{number // 2}"]) for number, name in enumerate(names)})
    twins = pl.col("paths").list.concat(pl.lit([twin]))
    images = images.with_columns(
        pl.when(image_id=image_id("square/0.png")).then(twins).otherwise("paths").alias("paths")
    )
    files = [
        *map(file_row, names),
        file_row(twin, same_as="square/0.png"),
        file_row(broken),
        file_row(empty, reason="empty-file", size_bytes=0),
        file_row("labels.csv", role="annotation"),
    ]
    labels = [label_row(name, name.split("/")[0], source="labels.csv", place=n) for n, name in enumerate(names)]
    labels.append(label_row(twin, "square", source="labels.csv", place=99, image_id=image_id("square/0.png")))
    quarantined = [
        {"path": broken, "sha256": image_id(broken), "size_bytes": 1_000, "stage": "probe", "reason": "undecodable"},
        {"path": empty, "sha256": None, "size_bytes": 0, "stage": "snapshot", "reason": "empty-file"},
    ]
    for row in quarantined:
        labels.append(label_row(row["path"], None, image_id=None, reason="file-quarantined", detail="told"))
    tables = {
        "raw_images": to_frame("raw_images", files),
        "annotations": to_frame("annotations", labels),
        "manifest": images,
        "quarantine": to_frame("quarantine", [{**row, "detail": "told"} for row in quarantined]),
    }
    splits = build_splits(images, config(split={"train": 0.5, "val": 0.25, "test": 0.25}).split)
    return {**tables, **judge(tables, config(), baseline=None, earlier=None), "splits": splits}


def tear_a_group(splits):
    """The splits of `sound_tables` with one of two images of a camera on another side."""
    one, other = (image_id(f"circle/{number}.png") for number in (0, 1))
    side = "val" if splits.filter(image_id=one)["split"][0] == "train" else "train"
    moved = pl.when(image_id=other).then(pl.lit(side)).otherwise("split")
    return splits.with_columns(moved.alias("split"))
