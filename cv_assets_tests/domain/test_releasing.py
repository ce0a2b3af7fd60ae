"""The commit record: its figures, and a digest that speaks of the content alone."""

import polars as pl

from cv_assets.domain.releasing import COUNTED_IN, build_commit, count, split_sizes
from cv_assets_tests.domain.tables import config, digests_of, label_row, sound_tables
from schemas.releases import CommitRecord
from schemas.tables import to_frame

SHARD = {"format": "webdataset", "split": "train", "key": "a.tar", "samples": 1, "bytes": 10, "sha256": "0" * 64}
TABLES = {**sound_tables(), "shards": to_frame("shards", [SHARD])}
CONFIG = config(split={"train": 0.5, "val": 0.25, "test": 0.25})


def commit(dataset=CONFIG, version="v1", **tables):
    every = {**TABLES, **tables}
    return build_commit(dataset, version, every, digests_of(every), checks=[], objects=[])


def test_the_figures_count_images_once_and_files_as_often_as_they_were_uploaded():
    figures = count(TABLES).model_dump()
    assert figures == {
        "files": 27,
        "annotation_files": 1,
        "images": 24,
        "quarantined": 2,
        "annotations": 25,
        "unlabelled_images": 0,
        "files_without_label": 0,
        "labels_without_file": 0,
        "duplicate_groups": 1,
    }


def test_a_figure_depends_on_no_table_but_the_one_that_is_said_to_tell_it():
    figures = count(TABLES).model_dump()
    for table, rows in TABLES.items():
        without = count({**TABLES, table: rows.clear()}).model_dump()
        assert {COUNTED_IN[name] for name, value in figures.items() if without[name] != value} <= {table}


def test_a_file_without_a_label_counts_once_and_not_at_all_if_another_object_of_it_has_one():
    bare = {"label": None, "reason": "no-label"}
    rows = [
        *(label_row("five nameless objects.png", place=place, **bare) for place in range(5)),
        label_row("one of two.png", "cat", place=0),
        label_row("one of two.png", place=1, **bare),
        label_row("one of two.png", "cat", place=2, reason="invalid-box"),
        label_row("a broken box.png", "cat", reason="invalid-box"),  # whose image is unlabelled, too
        label_row("a broken line.png", None, reason="unparsable"),
        label_row("nothing in it.png", None, reason="no-object"),
        label_row("gone.png", "cat", image_id=None, reason="no-file"),
    ]
    assert count({**TABLES, "annotations": to_frame("annotations", rows)}).files_without_label == 3


def test_a_label_whose_image_could_be_several_has_none_either():
    lost = [label_row(reason, "cat", image_id=None, reason=reason) for reason in ("ambiguous-file", "no-file")]
    assert count({**TABLES, "annotations": to_frame("annotations", lost)}).labels_without_file == 2


def test_a_split_that_got_nothing_counts_nothing():
    none = TABLES["splits"].with_columns(split=pl.lit("train"))
    assert split_sizes(none, CONFIG.split.ratios) == {"train": 24, "val": 0, "test": 0}


def test_the_digest_depends_on_neither_version_nor_name_nor_where_shards_lie():
    digest = commit().digest
    assert commit(version="v2").digest == digest
    assert commit(config(name="other", split={"train": 0.5, "val": 0.25, "test": 0.25})).digest == digest
    assert commit(shards=to_frame("shards", [{**SHARD, "key": "elsewhere/a.tar"}])).digest == digest


def test_the_digest_depends_on_every_table_of_content_and_on_every_shard():
    digest = commit().digest
    changed = [
        *(
            commit(**{name: TABLES[name].head(1)}).digest
            for name in ("raw_images", "annotations", "manifest", "splits")
        ),
        commit(quarantine=TABLES["quarantine"].head(1)).digest,
        commit(shards=to_frame("shards", [{**SHARD, "sha256": "1" * 64}])).digest,
        commit(shards=to_frame("shards", [{**SHARD, "split": "val"}])).digest,
        commit(shards=TABLES["shards"].clear()).digest,
    ]
    assert digest not in changed
    assert len(set(changed)) == len(changed)
    assert commit(quality_report=TABLES["quality_report"].head(1)).digest == digest  # it only describes the others


def test_a_record_is_the_same_bytes_after_a_round_trip():
    data = commit().to_bytes()
    assert CommitRecord.from_bytes(data).to_bytes() == data
