"""Joining files, probes and labels into the manifest and the quarantine."""

import polars as pl

from cv_assets.domain.manifest import build_manifest, build_quarantine, image_files
from cv_assets_tests.domain.tables import file_row, image_id, label_row, probe_row
from schemas.tables import TABLES, to_frame

FILES = to_frame(
    "raw_images",
    [
        file_row("a.png"),
        file_row("b/a.png", same_as="a.png"),  # the same bytes under another path
        file_row("c.png"),
        file_row("broken.png"),
        file_row("again.png", same_as="broken.png"),  # both paths of broken bytes are quarantined
        file_row("empty.png", reason="empty-file"),
        file_row("notes.txt", reason="format-not-allowed"),
        file_row("labels.csv", role="annotation"),
        file_row("broken.csv", role="annotation", reason="bytes-over-limit"),
    ],
)
PROBES = to_frame(
    "probes",
    [
        probe_row("a.png"),
        probe_row("c.png", width_px=10, notes=["several-frames"]),
        probe_row("broken.png", reason="undecodable"),
        probe_row("of another version.png"),  # probes are kept for the dataset
        probe_row("broken, of another version.png", reason="undecodable"),
    ],
)
NO_LABELS = to_frame("annotations", [])


def build(*labels):
    frame = build_manifest(FILES, PROBES, to_frame("annotations", list(labels)) if labels else NO_LABELS)
    return {row["image_id"]: row for row in TABLES["manifest"].validate(frame, lazy=True).to_dicts()}


def test_an_image_has_one_row_with_all_its_paths():
    rows = build()
    assert list(rows) == sorted([image_id("a.png"), image_id("c.png")])
    assert rows[image_id("a.png")]["paths"] == ["a.png", "b/a.png"]
    assert (rows[image_id("c.png")]["width_px"], rows[image_id("c.png")]["notes"]) == (10, ["several-frames"])


def test_an_image_has_the_labels_and_groups_of_all_its_paths_each_once_and_sorted():
    same = {"image_id": image_id("a.png")}
    rows = build(
        label_row("a.png", "zebra", group="two"),
        label_row("a.png", "ant", place=1, group="two"),
        label_row("a.png", "ant", place=2),
        label_row("b/a.png", "mole", group="one", **same),
    )
    assert (rows[image_id("a.png")]["labels"], rows[image_id("a.png")]["groups"]) == (
        ["ant", "mole", "zebra"],
        ["one", "two"],
    )
    assert (rows[image_id("c.png")]["labels"], rows[image_id("c.png")]["groups"]) == ([], [])


def test_an_image_whose_only_annotation_cannot_be_read_whole_is_unlabelled_and_keeps_its_group():
    rows = build(
        label_row("a.png", "ant", reason="invalid-box", group="one"),
        label_row("c.png", "ant", reason="invalid-box"),
        label_row("c.png", "bee", place=1, box=(1, 2, 3, 4)),
        label_row("c.png", "fly", place=2, box=(3, 3, 3, 3)),  # read as it was written: a finding, and a label
    )
    known = [(rows[image_id(name)]["labels"], rows[image_id(name)]["groups"]) for name in ("a.png", "c.png")]
    assert known == [([], ["one"]), (["bee", "fly"], [])]


def test_a_label_without_an_image_changes_no_row():
    assert build(label_row("gone.png", "ant", image_id=None, image_path=None, reason="no-file")) == build()


def test_rejected_files_are_quarantined_with_stage_and_reason_and_annotation_files_are_not():
    frame = TABLES["quarantine"].validate(build_quarantine(FILES, PROBES), lazy=True)
    assert frame.select("path", "stage", "reason").rows() == [
        ("again.png", "probe", "undecodable"),
        ("broken.png", "probe", "undecodable"),
        ("empty.png", "snapshot", "empty-file"),
        ("notes.txt", "snapshot", "format-not-allowed"),
    ]
    assert dict(frame.select("path", "sha256").iter_rows())["empty.png"] is None


def test_every_image_file_is_in_one_of_the_two():
    accepted = build_manifest(FILES, PROBES, NO_LABELS)["paths"].explode().to_list()
    rejected = build_quarantine(FILES, PROBES)["path"].to_list()
    assert sorted(accepted + rejected) == FILES.filter(pl.col("role") == "image")["path"].to_list()


def test_row_order_means_nothing():
    labels = to_frame("annotations", [label_row("a.png", "ant"), label_row("c.png", "bee")])
    turned = [frame.reverse() for frame in (FILES, PROBES, labels)]
    assert build_manifest(*turned).equals(build_manifest(FILES, PROBES, labels))
    assert build_quarantine(*turned[:2]).equals(build_quarantine(FILES, PROBES))


def test_a_version_without_any_image_has_empty_tables():
    nothing = to_frame("raw_images", [])
    assert image_files(nothing).height == 0
    for name, frame in (
        ("manifest", build_manifest(nothing, PROBES, NO_LABELS)),
        ("quarantine", build_quarantine(nothing, PROBES)),
    ):
        assert TABLES[name].validate(frame, lazy=True).height == 0
