"""Publishes under every fault of the table: nothing is lost, nothing is seen half, and the rerun ends with the same digest.

A sample, drawn with a fixed seed from every stretch of a publish; with CV_ASSETS_TEST_FAULTS=all every point (two hours or more).
"""

import pytest

from cv_assets_tests.faults.scenarios import SCENARIOS, Scenario, is_whole, why_skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_version_is_lost_or_seen_half_and_the_rerun_ends_alike(scenario: Scenario, request, bench):
    if reason := why_skip(scenario):
        pytest.skip(reason)
    bucket = request.getfixturevalue("bucket") if "s3" in scenario.needs else None
    tally = scenario.try_on(bench, bucket, is_whole())
    assert tally.failures == []
    assert tally.tried > 0
