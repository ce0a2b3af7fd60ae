"""The rules that a version must pass, one function a gate: tables in, a verdict out. When and where they run is not said here."""

from dataclasses import replace
from typing import Final

import polars as pl

from cv_assets.domain.gate import Gate, GateFinding, Tables, schema_gate
from cv_assets.domain.orientation import SWAPS_SIDES
from schemas.codes import PASSING_REASONS
from schemas.datasets import DatasetConfig

# annotation tools round corners to pixels; the default threshold of the rule box-out-of-bounds, and so of the gate
BOX_TOLERANCE_PX: Final = 0.5


def _labels_are_accounted_for(tables: Tables, _: DatasetConfig) -> GateFinding:
    images = tables["raw_images"].filter((pl.col("role") == "image") & pl.col("reason").is_null())
    missing = images.join(tables["annotations"], left_on="path", right_on="image_path", how="anti").select("path")
    by_reason = dict(tables["annotations"].group_by("reason").len().sort("reason").iter_rows())
    saw = {"image_files": images.height, "rows": {reason or "labelled": n for reason, n in by_reason.items()}}
    return GateFinding(saw, missing)


def _some_label_is_read(tables: Tables, config: DatasetConfig) -> GateFinding:
    annotations, settings = tables["annotations"], config.annotations
    said = annotations.filter(
        (pl.col("reason").is_null() & pl.col("label").is_not_null()) | (pl.col("reason") == "no-object")
    )
    # of images in one folder, the default of reading classes from folders finds none, and need not
    promised = settings.format not in {"folder", "none"} or settings.class_pattern or settings.class_depth
    problem = [f"format {settings.format} gives no accepted image a label"] if promised and said.is_empty() else []
    by_reason = dict(annotations.group_by("reason").len().sort("reason").iter_rows())
    saw = {"rows": {reason or "labelled": n for reason, n in by_reason.items()}}
    return GateFinding(saw, pl.DataFrame({"problem": problem}, schema={"problem": pl.String}))


def _labels_have_files(tables: Tables, _: DatasetConfig) -> GateFinding:
    annotations = tables["annotations"]
    lost = annotations.filter(
        pl.col("reason").is_in(["no-file", "ambiguous-file"])
        # of a rejected file that no annotation speaks of there is a row, too
        | ((pl.col("reason") == "file-quarantined") & (pl.col("label").is_not_null() | pl.col("named").is_not_null()))
    )
    saw = {"labels": annotations["label"].count(), **dict(lost.group_by("reason").len().sort("reason").iter_rows())}
    return GateFinding(saw, lost.select("annotation_id", "named", "reason", "detail"))


def _annotations_are_readable(tables: Tables, _: DatasetConfig) -> GateFinding:
    annotations = tables["annotations"]
    files = tables["raw_images"].filter(pl.col("role") == "annotation")
    rejected = files.drop_nulls("reason").select(pl.col("path").alias("annotation_id"), "reason", "detail")
    broken = annotations.filter(pl.col("reason").is_in(["unparsable", "invalid-box"]))
    offending = pl.concat([rejected, broken.select("annotation_id", "reason", "detail")])
    return GateFinding({"annotation_files": files.height, "rows": annotations.height}, offending)


def _image_ids_are_unique(tables: Tables, _: DatasetConfig) -> GateFinding:
    ids = tables["manifest"]["image_id"]
    return GateFinding(
        {"images": ids.len(), "distinct": ids.n_unique()}, ids.filter(ids.is_duplicated()).unique().to_frame()
    )


def _some_image_is_accepted(tables: Tables, _: DatasetConfig) -> GateFinding:
    images = tables["manifest"].height
    problem = [] if images else ["every image file was rejected; the table quarantine says why"]
    return GateFinding({"images": images}, pl.DataFrame({"problem": problem}, schema={"problem": pl.String}))


def _images_are_decoded_or_quarantined(tables: Tables, _: DatasetConfig) -> GateFinding:
    files = tables["raw_images"].filter(pl.col("role") == "image").select("path", "sha256")
    accepted = tables["manifest"].select(pl.col("paths").explode().alias("path"))
    quarantined = tables["quarantine"].select("path")
    accounted = pl.concat([accepted, quarantined])
    missing = files.join(accounted, on="path", how="anti").select("path")
    unknown = accounted.join(files, on="path", how="anti").unique()
    twice = accounted.filter(pl.col("path").is_duplicated()).unique()
    # counted from what landed, not from the manifest: so the sum is another look at the same thing
    sound = files.join(quarantined, on="path", how="anti")["sha256"]
    saw = {
        "landed": files.height,
        "accepted": tables["manifest"]["image_id"].n_unique(),
        "duplicate": sound.len() - sound.n_unique(),
        "quarantined": quarantined.height,
    }
    is_whole = saw["landed"] == saw["accepted"] + saw["duplicate"] + saw["quarantined"]
    sums = pl.DataFrame({"path": [] if is_whole else [None]}, {"path": pl.String})
    problems = {
        "neither accepted nor quarantined": missing,
        "accounted for twice": twice,
        "not among the files that landed": unknown,
        "landed is not accepted + duplicate + quarantined": sums,
    }
    offending = pl.concat([rows.with_columns(problem=pl.lit(said)) for said, rows in problems.items()])
    return GateFinding(saw, offending.sort("path", "problem"))


def _images_are_dealt_once(tables: Tables, _: DatasetConfig) -> GateFinding:
    manifest, splits = tables["manifest"].select("image_id"), tables["splits"].select("image_id")
    missing = manifest.join(splits, on="image_id", how="anti").with_columns(problem=pl.lit("in no row of splits"))
    unknown = splits.join(manifest, on="image_id", how="anti").with_columns(problem=pl.lit("not in the manifest"))
    twice = splits.filter(pl.col("image_id").is_duplicated()).unique().with_columns(problem=pl.lit("dealt twice"))
    return GateFinding({"images": manifest.height, "dealt": splits.height}, pl.concat([missing, unknown, twice]))


def _groups_stay_together(tables: Tables, config: DatasetConfig) -> GateFinding:
    dealt = tables["splits"].drop_nulls("split").join(tables["manifest"], on="image_id")
    grouped = dealt.explode("groups").drop_nulls("groups").group_by("groups").agg(pl.col("split").unique().sort())
    torn = grouped.filter(pl.col("split").list.len() > 1).sort("groups")
    offending = torn.rename({"groups": "group", "split": "splits"})
    if config.group_by is not None and grouped.is_empty():  # a key that is misspelt would let every group leak
        offending = pl.DataFrame({"group_by": [str(config.group_by)], "found": ["no image with a group"]})
    without = dealt.filter(pl.col("groups").list.len() == 0).height
    return GateFinding({"groups": grouped.height, "images_without_group": without}, offending)


def _duplicates_stay_together(tables: Tables, _: DatasetConfig) -> GateFinding:
    files = tables["raw_images"].filter(pl.col("role") == "image").drop_nulls("sha256")
    dealt = files.join(tables["splits"].drop_nulls("split"), left_on="sha256", right_on="image_id")
    by_bytes = dealt.group_by("sha256").agg(pl.col("split").unique().sort(), pl.col("path").n_unique().alias("files"))
    torn = by_bytes.filter(pl.col("split").list.len() > 1)
    saw = {"images_with_several_files": by_bytes.filter(pl.col("files") > 1).height}
    return GateFinding(saw, torn.select("sha256", pl.col("split").alias("splits")).sort("sha256"))


def _classes_are_in_train(tables: Tables, _: DatasetConfig) -> GateFinding:
    dealt = (
        tables["splits"]
        .drop_nulls("split")
        .join(tables["manifest"], on="image_id")
        .explode("labels")
        .drop_nulls("labels")
    )
    classes = dealt.select(pl.col("labels").unique().sort().alias("class"))
    learnt = dealt.filter(pl.col("split") == "train").select(pl.col("labels").unique().alias("class"))
    return GateFinding({"classes": classes.height}, classes.join(learnt, on="class", how="anti"))


def _ratios_are_within_tolerance(tables: Tables, config: DatasetConfig) -> GateFinding:
    dealt = tables["splits"].drop_nulls("split")
    largest = int(dealt.group_by("unit").len()["len"].max() or 0)  # type: ignore[arg-type]
    holders = (
        dealt.join(tables["manifest"], on="image_id").explode("labels").drop_nulls("labels").group_by("labels").len()
    )
    sizes = dict(dealt.group_by("split").len().iter_rows())
    rows: list[dict[str, object]] = []
    for name, share in config.split.ratios.items():
        # no unit can be cut, and each class comes out at a whole number of images
        rounding = float((holders["len"] * share - (holders["len"] * share).round()).abs().sum())
        off = sizes.get(name, 0) - share * dealt.height
        rows.append({"split": name, "images": sizes.get(name, 0), "off": off, "tolerance": largest + rounding})
    schema = {"split": pl.String, "images": pl.Int64, "off": pl.Float64, "tolerance": pl.Float64}
    seen = pl.DataFrame(rows, schema=schema)
    offending = seen.filter((pl.col("off").abs() > pl.col("tolerance")) | (pl.col("images") == 0))
    return GateFinding({"images": dealt.height, "splits": seen.to_dicts()}, offending)


def _boxes_lie_in_their_images(tables: Tables, config: DatasetConfig) -> GateFinding:
    settings = config.quality.rules.get("box-out-of-bounds")
    tolerance = BOX_TOLERANCE_PX if settings is None or settings.threshold is None else settings.threshold
    sizes = tables["manifest"].select("image_id", "width_px", "height_px")
    boxes = tables["annotations"].drop_nulls("x_min_px").join(sizes, on="image_id")
    is_ordered = (pl.col("x_min_px") <= pl.col("x_max_px")) & (pl.col("y_min_px") <= pl.col("y_max_px"))
    starts_inside = (pl.col("x_min_px") >= -tolerance) & (pl.col("y_min_px") >= -tolerance)
    ends_inside = (pl.col("x_max_px") <= pl.col("width_px") + tolerance) & (
        pl.col("y_max_px") <= pl.col("height_px") + tolerance
    )
    off = boxes.filter(~(is_ordered & starts_inside & ends_inside))
    corners = ("x_min_px", "y_min_px", "x_max_px", "y_max_px")
    return GateFinding({"boxes": boxes.height}, off.select("annotation_id", *corners, "width_px", "height_px"))


def _frame_of_boxes_is_known(tables: Tables, config: DatasetConfig) -> GateFinding:
    size = ("width_px", "height_px")
    turned = tables["manifest"].filter(pl.col("exif_orientation") != 1).select("image_id", "exif_orientation", *size)
    boxes = tables["annotations"].drop_nulls("x_min_px").join(turned, on="image_id")
    declared = (pl.col("declared_width_px"), pl.col("declared_height_px"))
    tells = (pl.min_horizontal(declared) == pl.min_horizontal(size)) & (
        pl.max_horizontal(declared) == pl.max_horizontal(size)
    )
    swaps = pl.col("exif_orientation").is_in(sorted(SWAPS_SIDES)) & (pl.col("width_px") != pl.col("height_px"))
    open_to_doubt = boxes.filter(~(swaps & tells.fill_null(value=False)))
    offending = open_to_doubt if config.annotations.frame == "auto" else open_to_doubt.clear()
    return GateFinding({"boxes": boxes.height}, offending.select("annotation_id", "named", "exif_orientation", *size))


def _decoders_came_to_an_end(tables: Tables, _: DatasetConfig) -> GateFinding:
    quarantine = tables["quarantine"]
    given_up = quarantine.filter(pl.col("reason").is_in(PASSING_REASONS))
    return GateFinding({"quarantined": quarantine.height}, given_up.select("path", "reason", "detail"))


def _no_finding_blocks(tables: Tables, _: DatasetConfig) -> GateFinding:
    findings = tables["findings"]
    blocking = findings.filter(pl.col("severity") == "ERROR")
    by_severity = findings.group_by("severity").len().sort("severity")
    shown = blocking.select("code", "path", "annotation_id", "score", "threshold", "evidence")
    return GateFinding({"findings": findings.height, **dict(by_severity.iter_rows())}, shown)


def _drift_is_within_thresholds(tables: Tables, _: DatasetConfig) -> GateFinding:
    drift = tables["drift"]
    figures = ("property", "psi", "js_distance", "ks_statistic", "rows", "baseline_rows")
    saw = {
        "properties": drift.height,
        "largest_psi": drift["psi"].max(),
        "without_figure": drift.filter(pl.col("psi").is_null())["property"].to_list(),
    }
    return GateFinding(saw, drift.filter("drifted").select(figures))


_DRIFT: Final = "drift_is_within_thresholds"
_SPLIT_TABLES: Final = ("splits", "manifest")

# Gates of the tables up to the splits. Those of shards and release need the store: written_gates.py.
GATES: Final[tuple[Gate, ...]] = (
    schema_gate("raw_images"),
    schema_gate("probes"),
    schema_gate("annotations"),
    Gate("labels_are_accounted_for", "annotations", ("annotations", "raw_images"), _labels_are_accounted_for,
         "Every image file has a label, or a row that says why it has none."),
    Gate("some_label_is_read", "annotations", ("annotations",), _some_label_is_read,
         "Labels are found where the dataset file says that there are some (annotations; `format: none` if there are none)."),
    Gate("labels_have_files", "annotations", ("annotations",), _labels_have_files,
         "Every label belongs to one file that was accepted.", "WARN"),
    Gate("annotations_are_readable", "annotations", ("annotations", "raw_images"), _annotations_are_readable,
         "Every annotation file and every entry in it can be read.", "WARN"),
    schema_gate("manifest"),
    Gate("some_image_is_accepted", "manifest", ("manifest",), _some_image_is_accepted,
         "There is an image to train on; `cv-assets quarantine` says why files were rejected."),
    Gate("image_ids_are_unique", "manifest", ("manifest",), _image_ids_are_unique, "No image has two rows."),
    Gate("boxes_lie_in_their_images", "manifest", ("manifest", "annotations"), _boxes_lie_in_their_images,
         "Corners of boxes are in order, and inside the upright image.", "WARN"),
    Gate("frame_of_boxes_is_known", "manifest", ("manifest", "annotations"), _frame_of_boxes_is_known,
         "Of every box in a photo with an EXIF turn it is known if it means the stored or the upright image; upright is taken "
         "for granted until `annotations.frame` says it.", "WARN"),
    schema_gate("quarantine"),
    Gate("decoders_came_to_an_end", "quarantine", ("quarantine",), _decoders_came_to_an_end,
         "No image was given up for want of time or memory; to retry, materialize raw_images again, or begin the next version if "
         "this one is released.", "WARN"),
    Gate("images_are_decoded_or_quarantined", "quarantine", ("quarantine", "manifest", "raw_images"),
         _images_are_decoded_or_quarantined, "Every image file is accepted, a duplicate or quarantined, and the three add up."),
    schema_gate("quality_report"),
    schema_gate("findings"),
    schema_gate("near_duplicates"),
    schema_gate("drift"),
    Gate("no_finding_blocks", "quality_report", ("quality_report", "findings"), _no_finding_blocks,
         "No finding is of severity ERROR; which rules have it is said in the dataset file (quality.rules)."),
    Gate(_DRIFT, "quality_report", ("quality_report", "drift"), _drift_is_within_thresholds,
         "Nothing that is measured has moved further from the baseline than the dataset allows (quality.drift).", "WARN"),
    schema_gate("splits"),
    Gate("images_are_dealt_once", "splits", _SPLIT_TABLES, _images_are_dealt_once, "Every image of the manifest has one row."),
    Gate("groups_stay_together", "splits", _SPLIT_TABLES, _groups_stay_together, "No group is on two sides of a split."),
    Gate("duplicates_stay_together", "splits", (*_SPLIT_TABLES, "raw_images"), _duplicates_stay_together,
         "No file's bytes are on two sides of a split."),
    Gate("classes_are_in_train", "splits", _SPLIT_TABLES, _classes_are_in_train, "Every class that is dealt is seen in train."),
    Gate("ratios_are_within_tolerance", "splits", _SPLIT_TABLES, _ratios_are_within_tolerance,
         "Splits are as large as asked, but for rounding and for groups that cannot be cut; none is empty.", "WARN"),
)  # fmt: skip


def gates_of(asset: str, config: DatasetConfig) -> tuple[Gate, ...]:
    """The gates of one asset of a dataset, in their order; how grave drift is, the dataset says."""
    drift_severity = config.quality.drift.severity
    gates = (gate for gate in GATES if gate.asset == asset)
    return tuple(replace(gate, severity=drift_severity) if gate.name == _DRIFT else gate for gate in gates)


def gate_names(asset: str) -> set[str]:
    """Names of the gates of one asset, whatever the dataset."""
    return {gate.name for gate in GATES if gate.asset == asset}
