"""Every gate, on tables that pass it and on tables that do not."""

import polars as pl
import pytest

from cv_assets.domain.gate import OFFENDING_ROWS
from cv_assets.domain.gates import GATES, gate_names, gates_of
from cv_assets.domain.quality.findings import build_findings
from cv_assets_tests.domain.tables import (
    config,
    file_row,
    image_id,
    label_row,
    manifest,
    probe_row,
    sound_tables,
    tear_a_group,
)
from schemas.releases import AssetVerdicts
from schemas.tables import to_frame


def boxed(*box):
    """Give the label of one image a box; the image is 64 pixels wide and 48 high."""
    corners = zip(("x_min_px", "y_min_px", "x_max_px", "y_max_px"), map(float, box), strict=True)
    here = pl.col("image_path") == "circle/3.png"
    return lambda frame: frame.with_columns(
        pl.when(here).then(value).otherwise(name).alias(name) for name, value in corners
    )


PROBES = [probe_row("circle/3.png"), probe_row("circle/broken.png", reason="undecodable")]
SOUND = sound_tables()
TABLES = {
    **SOUND,
    "annotations": boxed(0, 0, 5, 5)(SOUND["annotations"]),
    "probes": to_frame("probes", PROBES),
}
CONFIG = config(
    split={"train": 0.5, "val": 0.25, "test": 0.25}, annotations={"format": "csv", "include": ["labels.csv"]}
)
BY_NAME = {gate.name: gate for gate in GATES}
IMAGE = image_id("circle/3.png")
FIRST = TABLES["splits"]["image_id"][0]
FINDING = {
    "code": "dark",
    "severity": "WARN",
    "image_id": IMAGE,
    "path": "circle/3.png",
    "score": 0.1,
    "evidence": "{}",
}
DRIFT = {"property": "brightness_ratio", "kind": "number", "baseline_rows": 90, "rows": 100, "psi": 0.7, "drifted": True,
         "evidence": "{}"}  # fmt: skip


def changed(column, value, **where):
    """Set a column where others have some value; in every row if none is named."""
    return lambda frame: frame.with_columns(pl.when(**where).then(value).otherwise(column).alias(column))


def all_changed(column, value):
    return lambda frame: frame.with_columns(pl.lit(value).cast(frame.schema[column]).alias(column))


def without(**where):
    return lambda frame: frame.remove(**where)


def with_rows(table, *rows):
    return lambda frame: pl.concat([frame, to_frame(table, list(rows))])


def twice(**where):
    return lambda frame: pl.concat([frame, frame.filter(**where)])


def lost(row):
    return lambda frame: pl.concat([frame, to_frame("annotations", [row])])


def duplicate_as_an_image_of_its_own(frame):
    """Every path is accounted for once, and yet an image is counted that nobody uploaded."""
    own = manifest({"square/again.png": ["square"]})
    return pl.concat([changed("paths", pl.lit(["square/0.png"]), image_id=image_id("square/0.png"))(frame), own])


# table to break, how, and all that its schema must object to: the column, and the value or else the check
BROKEN_SCHEMAS = [
    # a value that is not allowed, one that is missing, a row twice, a column lost, added, of another type
    ("raw_images", changed("role", pl.lit("video"), path="circle/3.png"), ("role", "video")),
    ("raw_images", changed("size_bytes", -1, path="circle/3.png"), ("size_bytes", "-1")),
    ("raw_images", changed("size_bytes", None, path="circle/3.png"), ("size_bytes", "not_nullable")),
    ("raw_images", twice(path="circle/3.png"), ("path", "circle/3.png")),
    ("raw_images", changed("sha256", pl.lit("g" * 64), path="circle/3.png"), ("sha256", "g" * 64)),
    ("raw_images", changed("sha256", None, path="circle/3.png"), ("RawImages", "rejected or hashed")),
    ("raw_images", lambda frame: frame.drop("detail"), ("RawImages", "detail")),
    ("raw_images", lambda frame: frame.with_columns(x=1), ("RawImages", "x")),
    ("raw_images", lambda frame: frame.cast({"size_bytes": pl.Float64}), ("size_bytes", "Float64")),
    ("raw_images", lambda frame: frame.select(reversed(frame.columns)), ("RawImages", "column_ordered")),
    ("probes", changed("reason", pl.lit("whim"), image_id=IMAGE), ("reason", "whim")),
    ("probes", twice(image_id=IMAGE), ("image_id", IMAGE)),
    ("annotations", changed("reason", pl.lit("whim"), image_id=IMAGE), ("reason", "whim")),
    ("annotations", twice(image_path="circle/3.png"), ("annotation_id", "labels.csv#3")),
    ("manifest", changed("width_px", 0, image_id=IMAGE), ("width_px", "0")),
    ("manifest", changed("exif_orientation", 9, image_id=IMAGE), ("exif_orientation", "9")),
    ("manifest", changed("channels", 5, image_id=IMAGE), ("channels", "5")),
    ("manifest", changed("phash", pl.lit("short"), image_id=IMAGE), ("phash", "short")),
    ("manifest", changed("format", pl.lit("avif"), image_id=IMAGE), ("format", "avif")),
    ("manifest", twice(image_id=IMAGE), ("image_id", IMAGE)),
    ("quarantine", all_changed("stage", "release"), ("stage", "release")),
    ("quarantine", all_changed("reason", "whim"), ("reason", "whim")),
    ("quarantine", all_changed("detail", None), ("detail", "not_nullable")),
    ("quality_report", all_changed("value", None), ("value", "not_nullable")),
    ("findings", with_rows("findings", FINDING | {"severity": "GRAVE"}), ("severity", "GRAVE")),
    ("near_duplicates",
     with_rows("near_duplicates", {"image_id": IMAGE, "cluster_id": IMAGE, "component_id": IMAGE, "distance_bits": 65}),
     ("distance_bits", "65")),
    ("drift", with_rows("drift", DRIFT | {"kind": "sound"}), ("kind", "sound")),
    ("splits", changed("unit", pl.lit("circle"), image_id=IMAGE), ("unit", "circle")),
    ("splits", twice(image_id=IMAGE), ("image_id", IMAGE)),
]  # fmt: skip
OF_NO_ONE_VALUE = {"not_nullable", "column_ordered", "rejected or hashed"}  # checks

# gate, table to break, how, and what the first offending rows name
BROKEN = [
    # annotations
    ("labels_are_accounted_for", "annotations", without(image_path="circle/3.png"), {"circle/3.png"}),
    ("labels_are_accounted_for", "raw_images", with_rows("raw_images", file_row("new.png")), {"new.png"}),
    ("labels_have_files", "annotations", lost(label_row("gone", "ant", image_id=None, reason="no-file")), {"gone#0"}),
    ("labels_have_files", "annotations", lost(label_row("two", "ant", image_id=None, reason="ambiguous-file")), {"two#0"}),
    ("annotations_are_readable", "annotations", lost(label_row("a.xml", None, reason="unparsable")), {"a.xml#0"}),
    ("annotations_are_readable", "annotations", lost(label_row("a.xml", "ant", reason="invalid-box")), {"a.xml#0"}),
    ("annotations_are_readable", "raw_images",
     with_rows("raw_images", file_row("big.xml", role="annotation", reason="bytes-over-limit")), {"big.xml"}),
    # manifest and quarantine
    ("boxes_lie_in_their_images", "annotations", boxed(5, 1, 1, 5), {"labels.csv#3"}),  # corners out of order
    ("boxes_lie_in_their_images", "annotations", boxed(0, 0, 65, 48), {"labels.csv#3", "65.0"}),  # 64 pixels wide
    ("boxes_lie_in_their_images", "annotations", boxed(-1, 0, 5, 5), {"labels.csv#3", "-1.0"}),
    ("boxes_lie_in_their_images", "annotations", boxed(-1e308, 0, 1e308, 5), {"labels.csv#3"}),
    ("some_image_is_accepted", "manifest", lambda frame: frame.clear(),
     {"every image file was rejected; the table quarantine says why"}),
    ("no_finding_blocks", "findings", with_rows("findings", FINDING | {"severity": "ERROR"}), {"dark", "circle/3.png"}),
    ("drift_is_within_thresholds", "drift", with_rows("drift", DRIFT), {"brightness_ratio", "0.7"}),
    ("decoders_came_to_an_end", "quarantine", changed("reason", pl.lit("decoder-died"), stage="probe"),
     {"circle/broken.png", "decoder-died"}),
    ("decoders_came_to_an_end", "quarantine", changed("reason", pl.lit("time-over-limit"), stage="probe"),
     {"circle/broken.png", "time-over-limit"}),
    ("image_ids_are_unique", "manifest", twice(image_id=IMAGE), {IMAGE}),
    ("images_are_decoded_or_quarantined", "manifest", without(image_id=IMAGE),
     {"circle/3.png", "neither accepted nor quarantined"}),
    ("images_are_decoded_or_quarantined", "quarantine", without(path="circle/empty.png"),
     {"circle/empty.png", "neither accepted nor quarantined"}),
    ("images_are_decoded_or_quarantined", "quarantine", twice(path="circle/empty.png"),
     {"circle/empty.png", "accounted for twice"}),
    ("images_are_decoded_or_quarantined", "quarantine", changed("path", pl.lit("circle/3.png"), path="circle/empty.png"),
     {"circle/3.png", "accounted for twice"}),
    ("images_are_decoded_or_quarantined", "quarantine", changed("path", pl.lit("ghost.png"), path="circle/empty.png"),
     {"ghost.png", "not among the files that landed"}),
    ("images_are_decoded_or_quarantined", "manifest", duplicate_as_an_image_of_its_own,
     {"landed is not accepted + duplicate + quarantined"}),
    # splits
    ("images_are_dealt_once", "splits", without(image_id=IMAGE), {IMAGE, "in no row of splits"}),
    ("images_are_dealt_once", "splits", twice(image_id=IMAGE), {IMAGE, "dealt twice"}),
    ("images_are_dealt_once", "manifest", without(image_id=IMAGE), {IMAGE, "not in the manifest"}),
    ("groups_stay_together", "splits", tear_a_group, {"camera0"}),
    ("duplicates_stay_together", "splits",
     lambda frame: pl.concat([frame, all_changed("split", "else")(frame.filter(image_id=image_id("square/0.png")))]),
     {image_id("square/0.png")}),
    ("classes_are_in_train", "splits", all_changed("split", "val"), {"circle", "square", "triangle"}),
    ("ratios_are_within_tolerance", "splits", all_changed("split", "train"), {"train", "val", "test"}),
    ("ratios_are_within_tolerance", "splits", changed("split", None, split="test"), {"test"}),  # a split of nothing
    ("boxes_lie_in_their_images", "annotations",
     lambda frame: frame.with_columns(x_min_px=pl.lit(5.0), y_min_px=pl.lit(1.0), x_max_px=pl.lit(2.0), y_max_px=pl.lit(3.0)),
     {"5.0"}),
    ("frame_of_boxes_is_known", "manifest", all_changed("exif_orientation", 3), {"circle/3.png", "3"}),
    ("some_label_is_read", "annotations", all_changed("reason", "no-label"), {"format csv gives no accepted image a label"}),
    ("some_label_is_read", "annotations", all_changed("reason", "no-file"), {"format csv gives no accepted image a label"}),
    ("decoders_came_to_an_end", "quarantine", all_changed("reason", "time-over-limit"), {"time-over-limit"}),
]  # fmt: skip


def values(rows):
    """Every value of some rows, as text."""
    return {str(value) for row in rows for value in row.values()}


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_sound_tables_pass(gate):
    tables = TABLES
    if gate.name == "labels_have_files":  # the two rejected files of the sound tables are worth its warning
        tables = {**TABLES, "annotations": TABLES["annotations"].drop_nulls("label")}
    verdict = gate.judge({name: tables[name] for name in gate.reads}, CONFIG)
    assert (verdict.passed, verdict.offending) == (True, [])
    assert verdict.saw["offending"] == 0
    assert (verdict.name, verdict.asset, verdict.blocking) == (gate.name, gate.asset, verdict.severity == "ERROR")


MISSPELT = {
    "a column": {"annotations": {"format": "csv", "include": ["labels.csv"]}, "group_by": "camra"},
    "a pattern": {"group_by": {"path_pattern": "(?P<group>camra)"}},
}


@pytest.mark.parametrize("settings", MISSPELT.values(), ids=MISSPELT)
def test_a_group_key_that_no_image_has_is_an_error(settings):
    tables = {**TABLES, "manifest": all_changed("groups", [])(TABLES["manifest"])}
    gate = BY_NAME["groups_stay_together"]
    verdict = gate.judge({name: tables[name] for name in gate.reads}, config(**settings))
    assert (verdict.passed, verdict.severity, verdict.saw["groups"]) == (False, "ERROR", 0)
    assert "camra" in str(verdict.offending)


def test_a_case_breaks_every_gate():
    of_schemas = {f"{table}_match_their_schema" for table, *_ in BROKEN_SCHEMAS}
    assert {name for name, *_ in BROKEN} | of_schemas == set(BY_NAME)


@pytest.mark.parametrize(
    ("name", "table", "spoil", "named"), BROKEN, ids=[f"{row[0]}-{n}" for n, row in enumerate(BROKEN)]
)
def test_a_gate_names_the_rows_that_break_it(name, table, spoil, named):
    gate = BY_NAME[name]
    tables = {**TABLES, table: spoil(TABLES[table])}
    verdict = gate.judge({read: tables[read] for read in gate.reads}, CONFIG)
    assert not verdict.passed
    assert verdict.saw["offending"] >= 1
    assert named <= values(verdict.offending)
    assert AssetVerdicts(asset=gate.asset, table_digests={}, verdicts=[verdict]).to_bytes()


@pytest.mark.parametrize(
    ("table", "spoil", "named"), BROKEN_SCHEMAS, ids=[f"{row[0]}-{n}" for n, row in enumerate(BROKEN_SCHEMAS)]
)
def test_a_schema_objects_to_what_breaks_it_and_to_nothing_else(table, spoil, named):
    gate = BY_NAME[f"{table}_match_their_schema"]
    tables = {**TABLES, table: spoil(TABLES[table])}
    verdict = gate.judge({read: tables[read] for read in gate.reads}, CONFIG)
    assert not verdict.passed
    told = {
        (row["column"], row["check" if row["check"] in OF_NO_ONE_VALUE else "failure_case"])
        for row in verdict.offending
    }
    assert told == {named}
    assert AssetVerdicts(asset=gate.asset, table_digests={}, verdicts=[verdict]).to_bytes()


def test_what_landed_is_counted_as_accepted_duplicate_and_quarantined():
    verdict = BY_NAME["images_are_decoded_or_quarantined"].judge(TABLES, CONFIG)
    assert verdict.saw == {"landed": 27, "accepted": 24, "duplicate": 1, "quarantined": 2, "offending": 0}


def test_a_verdict_keeps_the_first_rows_and_counts_all():
    splits = all_changed("image_id", "f" * 64)(TABLES["splits"])
    verdict = BY_NAME["images_are_dealt_once"].judge({**TABLES, "splits": splits}, CONFIG)
    assert len(verdict.offending) == OFFENDING_ROWS
    assert verdict.saw["offending"] == 24 + 24 + 1


def test_images_kept_out_of_the_splits_break_no_gate():
    tables = {**TABLES, "splits": changed("split", None, image_id=IMAGE)(TABLES["splits"])}
    failed = [gate.name for gate in gates_of("splits", CONFIG) if not gate.judge(tables, CONFIG).passed]
    assert failed == []


def test_a_rejected_file_that_no_label_names_lacks_nothing():
    row = label_row("broken.png", None, image_id=None, reason="file-quarantined", named=None)
    annotations = with_rows("annotations", row)(TABLES["annotations"].drop_nulls("label"))
    (gate,) = (gate for gate in GATES if gate.name == "labels_have_files")
    assert gate.judge({"annotations": annotations}, CONFIG).passed


def test_warnings_are_only_the_gates_that_speak_of_what_was_uploaded():
    assert {gate.name for gate in GATES if not gate.is_blocking} == {
        "labels_have_files",
        "annotations_are_readable",
        "boxes_lie_in_their_images",
        "frame_of_boxes_is_known",
        "decoders_came_to_an_end",
        "drift_is_within_thresholds",
        "ratios_are_within_tolerance",
    }


@pytest.mark.parametrize(("rule", "passed"), [({}, False), ({"threshold": 3}, True), ({"threshold": 1}, False)])
def test_how_far_a_box_may_leave_its_image_is_said_once_for_the_gate_and_the_rule(rule, passed):
    settings = config(quality={"rules": {"box-out-of-bounds": rule}})
    tables = {**TABLES, "annotations": boxed(-2, 0, 5, 5)(TABLES["annotations"])}
    assert BY_NAME["boxes_lie_in_their_images"].judge(tables, settings).passed is passed
    assert ("box-out-of-bounds" not in build_findings(tables, settings)["code"]) is passed


FOLDERS, NONE = {}, {"format": "none"}
PATTERN, DEPTH = {"class_pattern": "(?P<label>never)_"}, {"class_depth": 3}


@pytest.mark.parametrize(
    ("annotations", "reason", "passed"),
    [
        (FOLDERS, "no-label", True),
        (NONE, "no-label", True),
        (PATTERN, "no-label", False),
        (DEPTH, "no-label", False),
        (PATTERN, "no-object", True),
        (PATTERN, None, True),
    ],
)
def test_where_labels_are_promised_some_are_found(annotations, reason, passed):
    gate = BY_NAME["some_label_is_read"]
    tables = {"annotations": all_changed("reason", reason)(TABLES["annotations"])}
    assert gate.judge(tables, config(annotations=annotations)).passed is passed


# the image of the box is 64 pixels wide and 48 high when it is upright
@pytest.mark.parametrize(
    ("orientation", "declared", "frame", "passed"),
    [
        (1, None, "auto", True),
        (2, (64, 48), "auto", False),  # turning leaves the sides as they are: their lengths tell nothing
        (3, None, "auto", False),
        (4, (64, 48), "stored", True),
        (3, None, "upright", True),
        (6, None, "auto", False),
        (6, (64, 48), "auto", True),
        (6, (48, 64), "auto", True),
        (6, (100, 80), "auto", False),
    ],
)
def test_a_box_of_which_nothing_says_if_it_was_turned_is_a_warning(orientation, declared, frame, passed):
    width_px, height_px = declared or (None, None)
    annotations = TABLES["annotations"].with_columns(
        declared_width_px=pl.lit(width_px, pl.Float64), declared_height_px=pl.lit(height_px, pl.Float64)
    )
    tables = {"annotations": annotations, "manifest": all_changed("exif_orientation", orientation)(TABLES["manifest"])}
    verdict = BY_NAME["frame_of_boxes_is_known"].judge(tables, config(annotations={"frame": frame}))
    assert verdict.passed is passed
    assert verdict.saw["boxes"] == (orientation != 1)


def test_how_grave_drift_is_says_the_dataset():
    strict = config(quality={"drift": {"severity": "ERROR"}})
    found = {gate.name: gate.is_blocking for gate in gates_of("quality_report", strict)}
    assert found["drift_is_within_thresholds"]
    assert gate_names("quality_report") == set(found)
