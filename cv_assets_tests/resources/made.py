"""Versions that tests make by hand: blobs, tables, a shard and the commit record, without decoding an image."""

import hashlib

import polars as pl

from cv_assets.domain.quality.summary import build_report
from cv_assets.domain.releasing import build_commit
from cv_assets_tests.domain.tables import config, digests_of, file_row, label_row, manifest
from resources.content_store import ContentStore
from resources.object_store import ObjectStore
from resources.refs import Refs
from resources.versions import VersionStore
from schemas.releases import ObjectEntry, ShardEntry
from schemas.tables import to_frame

TABLES = ("raw_images", "annotations", "manifest", "quarantine", "quality_report", "splits", "shards")


def sha256(data: bytes) -> str:
    """What an image or an object with these bytes is called."""
    return hashlib.sha256(data).hexdigest()


def tables_of(files, *, rejected=(), annotation_files=(), splits=None, pins=None):
    """Tables of a version with class folders over {path: bytes}; the probe quarantined `rejected`, `pins` stay in the source."""
    ids = {path: sha256(data) for path, data in files.items()}
    images = {path: data for path, data in files.items() if path not in {*rejected, *annotation_files}}
    by_id = {}
    for path in images:
        by_id.setdefault(ids[path], []).append(path)
    frame = manifest({paths[0]: [paths[0].split("/")[0]] for paths in by_id.values()})
    frame = to_frame(
        "manifest",
        [
            {**row, "image_id": image_id, "paths": paths, "size_bytes": len(images[paths[0]])}
            for image_id, paths in by_id.items()
            for row in frame.filter(pl.col("paths").list.first() == paths[0]).to_dicts()
        ],
    )
    rows = [
        file_row(
            path,
            sha256=ids[path],
            size_bytes=len(data),
            role="annotation" if path in annotation_files else "image",
            pin=(pins or {}).get(path),
        )
        for path, data in files.items()
    ]
    tables = {
        "raw_images": to_frame("raw_images", rows),
        "annotations": to_frame(
            "annotations", [label_row(path, path.split("/")[0], image_id=ids[path]) for path in images]
        ),
        "manifest": frame,
        "quarantine": to_frame(
            "quarantine",
            [
                {"path": path, "sha256": ids[path], "size_bytes": len(files[path]), "stage": "probe"}
                | {"reason": "undecodable", "detail": "told"}
                for path in rejected
            ],
        ),
        "splits": to_frame(
            "splits",
            [
                {"image_id": image_id, "split": (splits or {}).get(paths[0], "train"), "unit": image_id}
                for image_id, paths in by_id.items()
            ],
        ),
    }
    return {**tables, "quality_report": build_report(tables), "shards": to_frame("shards", [])}


def make_open(store: ObjectStore, name: str, files, **more) -> VersionStore:
    """A version whose snapshot is taken, and no more."""
    version = VersionStore(store, "shapes", name)
    for data in files.values():
        ContentStore(store).add(data)
    version.save_table("raw_images", tables_of(files, **more)["raw_images"], write_once=True)
    return version


def make_version(store: ObjectStore, name: str, files, *, source="/landing", **more) -> VersionStore:
    """A committed version, named latest; its one shard holds the images end to end."""
    version = make_open(store, name, files, **more)
    tables = tables_of(files, **more)
    packed = b"".join(files.values()) * 3 or b"empty"
    key = version.put_shard("webdataset-0", "train-000000.tar", [packed])
    entry = ShardEntry(
        format="webdataset", split="train", key=key, samples=len(files), bytes=len(packed), sha256=sha256(packed)
    )
    tables["shards"] = to_frame("shards", [entry.model_dump()])
    for table in TABLES:
        version.save_table(table, tables[table])
    keys = [version.find_table_key(table) for table in TABLES]
    objects = [version.describe_object(key, "table") for key in keys if key is not None]
    objects.append(ObjectEntry(key=key, size_bytes=len(packed), sha256=sha256(packed), role="shard"))
    version.publish(
        build_commit(
            config(source={"url": source}, uploads={"settle": "5s"}, freshness="36h"),
            name,
            tables,
            digests_of(tables),
            checks=[],
            objects=objects,
        )
    )
    Refs(store, "shapes").advance(name)
    return version
