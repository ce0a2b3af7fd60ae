"""manifest: one row an accepted image, after its one probe."""

from base64 import b64decode
from dataclasses import asdict

import dagster as dg
import polars as pl

from cv_assets.assets.line import Line, as_asset, picture, result
from cv_assets.domain.manifest import build_manifest
from cv_assets.domain.pictures import THUMBNAIL_PX, contact_sheet, sheet_plan
from resources.configured import EngineResource, ObjectStoreResource
from resources.content_store import ContentStore, contents_of
from resources.engine import Engine
from schemas.datasets import DatasetConfig


def build_manifest_asset(line: Line) -> dg.AssetsDefinition:
    """The asset `manifest` of a dataset."""
    described = line.describe(
        "manifest",
        "One row an image that was really decoded: its id is the SHA-256 of its bytes, its size is that of the upright "
        "image, with perceptual hash, labels and groups. Files that do not decode are in `quarantine`.",
        code_version="2",
        kinds={"pillow"},
    )

    @as_asset(described, ins=line.ins("raw_images", "annotations"))
    def manifest(
        context: dg.AssetExecutionContext,
        object_store: ObjectStoreResource,
        engine: EngineResource,
        raw_images: pl.DataFrame,
        annotations: pl.DataFrame,
    ) -> dg.MaterializeResult[pl.DataFrame]:
        store = object_store.open()
        version = line.version(context, store)
        probes = version.load_table("probes")
        frame = build_manifest(raw_images, probes, annotations)
        sheet = picture(
            _draw_sheet(frame, contents_of(store, line.config.source.url, raw_images), engine.open(), line.config),
            "classes",
        )
        said = {"contact_sheet": sheet, "size_bytes": int(frame["size_bytes"].sum())}
        return result(frame, **said, **line.data_docs(version, "manifest"))

    return manifest


def _draw_sheet(manifest: pl.DataFrame, content: ContentStore, engine: Engine, config: DatasetConfig) -> bytes:
    plan = sheet_plan(manifest)
    shown = sorted({image_id for ids in plan.values() for image_id in ids})
    arguments = {"limits": asdict(config.limits.to_limits()), "side_px": THUMBNAIL_PX}
    answers = content.decode(engine, "thumbnail", arguments, shown)
    return contact_sheet(
        plan, {image_id: b64decode(answer["bytes"]) for image_id, answer in answers if "bytes" in answer}
    )
