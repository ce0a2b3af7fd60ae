"""A table is stale if anything that decides what is in it has changed."""

import pytest

from cv_assets.domain.digests import table_digest
from cv_assets.domain.lineage import READS, configuration_digest, why_stale
from cv_assets_tests.domain.tables import config, sound_tables
from schemas.releases import Making

TABLES = sound_tables()
DIGESTS = {name: table_digest(frame) for name, frame in TABLES.items()}


def made(asset, settings):
    """What an asset of the sound tables is recorded to be made from, under these settings."""
    inputs = {name: DIGESTS[name] for name in READS[asset]}
    return Making(
        asset=asset,
        table_digest=DIGESTS[asset],
        inputs=inputs,
        configuration=configuration_digest(asset, settings),
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"classes": ["circle"]},
        {"quality": {"rules": {"dark": False}}},
        {"split": {"train": 0.9, "val": 0.1}},  # the rule too-few-groups counts the splits
        {"annotations": {"format": "none"}},  # without annotations the rule file-without-label finds nothing
    ],
)
def test_a_quality_report_is_stale_if_anything_that_a_rule_looks_at_has_changed(changed):
    before = made("quality_report", config())
    assert why_stale("quality_report", before, DIGESTS, config()) == []
    (said,) = why_stale("quality_report", before, DIGESTS, config(**changed))
    assert said == "quality_report was made under another configuration; materialize it again"


def test_a_quality_report_is_not_stale_for_what_no_rule_looks_at():
    before = made("quality_report", config())
    assert why_stale("quality_report", before, DIGESTS, config(description="other", shards={"max_bytes": 20_000})) == []
