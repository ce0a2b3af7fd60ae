"""annotations: labels, boxes and groups, one row an object."""

import dagster as dg
import polars as pl

from cv_assets.assets.line import Line, as_asset, result
from cv_assets.domain.annotations.records import UprightSize
from cv_assets.domain.annotations.table import build_annotations
from resources.configured import ObjectStoreResource
from resources.content_store import contents_of


def build_annotations_asset(line: Line) -> dg.AssetsDefinition:
    """The asset `annotations` of a dataset."""
    described = line.describe(
        "annotations",
        "Labels, boxes (absolute pixels of the upright image, xyxy) and group keys: one row an object, and one for "
        "each file or entry that yields none, with the reason.",
        code_version="9",
        kinds={line.config.annotations.format},
    )

    @as_asset(described, ins=line.ins("raw_images"))
    def annotations(
        context: dg.AssetExecutionContext, object_store: ObjectStoreResource, raw_images: pl.DataFrame
    ) -> dg.MaterializeResult[pl.DataFrame]:
        store = object_store.open()
        version = line.version(context, store)
        probes = version.load_table("probes")
        # boxes need the size and the orientation of their image
        accepted = probes.filter(pl.col("reason").is_null())
        sizes = accepted.select("image_id", "width_px", "height_px", "exif_orientation").iter_rows()
        sizes_of = {image_id: UprightSize(*size) for image_id, *size in sizes}
        frame = build_annotations(
            line.config, raw_images, contents_of(store, line.config.source.url, raw_images).read, sizes_of
        )
        reasons = frame.group_by("reason").len().drop_nulls().sort("reason")
        return result(
            frame,
            labels=frame["label"].n_unique(),
            reasons=dict(reasons.iter_rows()),
            **line.data_docs(version, "annotations"),
        )

    return annotations
