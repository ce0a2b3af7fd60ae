"""What stands against a version: verdicts that failed, that are missing, or that are about other tables than those of now."""

import json

import polars as pl
import pytest

from cv_assets.domain import written_gates
from cv_assets.domain.digests import table_digest
from cv_assets.domain.gates import GATES, gates_of
from cv_assets_tests.domain.tables import config, label_row, manifest, probe_row, sound_tables, tear_a_group
from schemas.releases import AssetVerdicts
from schemas.tables import to_frame

TABLES = {**sound_tables(), "probes": to_frame("probes", [probe_row("circle/3.png")])}
CONFIG = config(split={"train": 0.5, "val": 0.25, "test": 0.25})


def verdicts_of(asset, tables=TABLES):
    gates = gates_of(asset, CONFIG)
    return AssetVerdicts(
        asset=asset,
        table_digests={name: table_digest(tables[name]) for gate in gates for name in gate.reads},
        verdicts=[gate.judge(tables, CONFIG) for gate in gates],
    )


def objections(asset, verdicts, tables, **more):
    digests = {name: table_digest(frame) for name, frame in tables.items()}
    return written_gates.objections(asset, verdicts, digests, **more)


def test_nothing_stands_against_tables_whose_gates_passed():
    assert [objections(asset, verdicts_of(asset), TABLES) for asset in {gate.asset for gate in GATES}] == [[]] * 6


def test_gates_that_never_ran_stand_against_a_table():
    assert objections("splits", None, TABLES) == ["the checks of splits have not run"]


def test_a_verdict_upon_other_content_stands_against_a_table():
    moved = {**TABLES, "splits": tear_a_group(TABLES["splits"])}
    assert objections("splits", verdicts_of("splits"), moved) == ["the checks of splits ran on other content of splits"]
    other = {**TABLES, "manifest": manifest({"a.png": ["circle"]})}
    assert objections("splits", verdicts_of("splits"), other) == [
        "the checks of splits ran on other content of manifest"
    ]


def test_a_failed_gate_stands_against_a_table_with_its_name_and_what_it_saw():
    moved = {**TABLES, "splits": tear_a_group(TABLES["splits"])}
    (said,) = objections("splits", verdicts_of("splits", moved), moved)
    assert said.startswith(
        "splits: groups_stay_together failed: No group is on two sides of a split. Saw {'groups': 12"
    )


def test_a_gate_that_only_warns_stands_against_nothing():
    gone = to_frame("annotations", [label_row("gone", "ant", image_id=None, reason="no-file")])
    tables = {**TABLES, "annotations": pl.concat([TABLES["annotations"], gone])}
    assert objections("annotations", verdicts_of("annotations", tables), tables) == []


@pytest.mark.parametrize("kept", [0, 1])
def test_verdicts_that_lack_a_gate_stand_against_a_table(kept):
    whole = verdicts_of("splits")
    part = whole.model_copy(update={"verdicts": whole.verdicts[:kept]})  # as an older release would have left them
    assert objections("splits", part, TABLES) != []
    assert objections("splits", part, TABLES, is_committed=True) == []


def test_a_failed_gate_stands_against_a_committed_table_as_well():
    torn = {**TABLES, "splits": tear_a_group(TABLES["splits"])}
    assert objections("splits", verdicts_of("splits", torn), torn, is_committed=True) != []


def test_verdicts_are_the_same_bytes_after_a_round_trip():
    data = verdicts_of("splits").to_bytes()
    assert AssetVerdicts.from_bytes(data).to_bytes() == data
    assert json.loads(data)["asset"] == "splits"
