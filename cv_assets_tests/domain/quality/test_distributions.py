"""How far two samples are apart, held against figures by hand and by scipy, and against what chance does."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from cv_assets.domain.quality.distributions import compare_categories, compare_numbers, stability_index


def numbers(values):
    return np.array(values, dtype=np.float64)


# figures


def test_psi_and_js_of_two_categories_are_those_reckoned_by_hand():
    found = compare_categories({"a": 50, "b": 50}, {"a": 250, "b": 750})
    assert found.psi == pytest.approx(0.25 * log(2) + 0.25 * log(1.5))
    nats = 0.5 * (0.5 * log(0.5 / 0.375) + 0.5 * log(0.5 / 0.625) + 0.25 * log(0.25 / 0.375) + 0.75 * log(0.75 / 0.625))
    assert found.js_distance == pytest.approx((nats / log(2)) ** 0.5)
    assert (found.baseline_rows, found.rows, found.ks_statistic) == (100, 1000, None)
    assert found.expected_psi == pytest.approx(1 / 100 + 1 / 1000)
    assert found.chance_psi == pytest.approx(10.8276 * (1 / 100 + 1 / 1000), rel=1e-4)  # 99.9 % of chi² with 1


def test_numbers_are_counted_in_tenths_of_the_baseline():
    found = compare_numbers(numbers(range(1, 101)), numbers(range(11, 111)))
    assert found.bins == (
        (None, 10), (10, 20), (20, 30), (30, 40), (40, 50), (50, 60), (60, 70), (70, 80), (80, 90), (90, None),
    )  # fmt: skip
    assert found.baseline_shares == (0.1,) * 10
    assert found.shares == (0.0, *(0.1,) * 8, 0.2)
    half_a_value = 0.5 / 100
    assert found.psi == pytest.approx((half_a_value - 0.1) * log(half_a_value / 0.1) + 0.1 * log(2))
    assert found.ks_statistic == pytest.approx(0.1)


def test_js_and_ks_are_those_of_scipy():
    draw = np.random.default_rng(5)
    one, other = draw.normal(size=700), draw.normal(0.3, 1.2, size=900)
    found = compare_numbers(one, other)
    assert found.js_distance == pytest.approx(jensenshannon(found.baseline_shares, found.shares, base=2))
    assert found.ks_statistic == pytest.approx(ks_2samp(one, other).statistic)


# sizes of two normal samples, and how far apart their means are: p-values from 0.39 down to 0.00002
SHIFTED = [(1, 5, 9), (2, 3, 9), (30, 30, 0.9), (50, 200, 0.5), (100, 100, 0.5), (300, 400, 0.25)]


@pytest.mark.parametrize(("size", "other_size", "shift"), SHIFTED)
def test_the_p_value_is_near_the_exact_one_of_scipy(size, other_size, shift):
    draw = np.random.default_rng(size * other_size)
    one, other = draw.normal(size=size), draw.normal(shift, size=other_size)
    exact = ks_2samp(one, other, method="exact")
    found = compare_numbers(one, other)
    assert (found.ks_statistic, found.ks_p_value) == (
        pytest.approx(exact.statistic),
        pytest.approx(exact.pvalue, rel=0.25),
    )


def test_psi_of_shifted_normal_values_is_the_square_of_the_shift():
    """Of N(0, 1) and N(d, 1) it is d², but for what ten bins do not see."""
    draw = np.random.default_rng(6)
    found = compare_numbers(draw.normal(size=200_000), draw.normal(0.5, size=200_000))
    assert 0.22 < found.psi < 0.25


def test_an_empty_bin_counts_as_half_a_value_and_never_as_less_than_one_in_ten_thousand():
    assert stability_index(np.array([50, 50]), np.array([100, 0])) == pytest.approx(
        (1 - 0.5) * log(1 / 0.5) + (0.005 - 0.5) * log(0.005 / 0.5)
    )
    of_many = stability_index(np.array([500_000, 500_000]), np.array([1_000_000, 0]))
    assert of_many == pytest.approx(0.5 * log(2) + (1e-4 - 0.5) * log(1e-4 / 0.5))


@pytest.mark.parametrize(
    ("before", "after", "bins"),
    [
        ([640] * 50, [640] * 70, ((640, 640),)),
        ([640] * 50, [1280] * 50, ((640, 640), (640, None))),  # a constant that is another one now
        ([640] * 50, [320] * 50, ((None, 640), (640, 640))),
        ([1] * 30 + [2] * 20, [2] * 50, ((1, 1), (2, 2))),  # counts
        ([0] * 40 + list(range(1, 11)), [0] * 50, ((0, 0), (0, 5), (5, None))),  # mostly nothing
    ],
)
def test_a_frequent_value_has_a_bin_of_its_own(before, after, bins):
    found = compare_numbers(numbers(before), numbers(after))
    assert found.bins == bins
    moved = set(before) != set(after)
    assert (found.psi > 0.2, found.js_distance > 0) == (moved, moved)


def test_what_is_not_finite_is_no_value():
    found = compare_numbers(numbers([1, 2, 3, np.nan, np.inf]), numbers([1, 2, 3]))
    assert (found.baseline_rows, found.rows, found.psi, found.ks_statistic) == (3, 3, 0, 0)
    assert compare_numbers(numbers([np.nan]), numbers([1])).psi is None


def test_rare_categories_are_compared_together():
    common, rare = {"cat": 500, "dog": 500}, {f"bird {n}": 1 for n in range(50)}
    other = {f"fish {n}": 1 for n in range(50)}
    found = compare_categories(common | rare, common | other)
    assert found.bins == ("cat", "dog", None)
    assert found.psi == 0
    assert compare_categories(rare, other).psi is None


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.lists(st.integers(-5, 5), min_size=1, max_size=60))
def test_distances_of_any_two_samples_are_sound(one, other):
    found = compare_numbers(numbers(one), numbers(other))
    assert found.psi >= 0
    assert 0 <= found.js_distance <= 1
    assert 0 <= found.ks_statistic <= 1
    assert sum(found.baseline_shares) == pytest.approx(1)
    assert sum(found.shares) == pytest.approx(1)
    for (_, upper), (lower, _) in zip(found.bins, found.bins[1:], strict=False):
        assert upper <= lower  # in order, without an overlap


@given(st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=50))
def test_a_sample_is_no_distance_from_itself_even_thrice(values):
    found = compare_numbers(numbers(values), numbers(values * 3))
    assert (found.psi, found.js_distance, found.ks_statistic) == pytest.approx((0, 0, 0), abs=1e-6)
    assert not found.is_beyond_chance


# alarms


def draw_normal(draw, size):
    return compare_numbers(draw.normal(size=size), draw.normal(size=size))


def draw_counts(draw, size):
    return compare_numbers(draw.poisson(2, size).astype(float), draw.poisson(2, size).astype(float))


def draw_labels(draw, size):
    weights = 1 / np.arange(1, 201)
    one, other = (np.unique(draw.choice(200, size, p=weights / weights.sum()), return_counts=True) for _ in range(2))
    return compare_categories(
        *(dict(zip(map(str, names), counts.tolist(), strict=True)) for names, counts in (one, other))
    )


@pytest.mark.parametrize("draw_pair", [draw_normal, draw_counts, draw_labels])
@pytest.mark.parametrize("size", [30, 100, 400])
def test_samples_of_one_source_are_beyond_chance_in_less_than_one_try_in_a_hundred(draw_pair, size):
    draw = np.random.default_rng(size)
    found = [draw_pair(draw, size) for _ in range(400)]
    assert sum(one.is_beyond_chance for one in found) <= 4


def test_the_bare_index_would_cry_wolf_at_nearly_every_small_sample():
    draw = np.random.default_rng(30)
    assert sum(draw_normal(draw, 30).psi > 0.25 for _ in range(100)) > 80


def test_a_psi_is_that_of_samples_of_its_size_by_the_expectation_that_is_said():
    draw = np.random.default_rng(0)
    found = [draw_normal(draw, 100) for _ in range(300)]
    assert np.mean([one.psi for one in found]) == pytest.approx(found[0].expected_psi, rel=0.15)


@pytest.mark.parametrize(("size", "shift", "least_power"), [(50, 1.0, 0.7), (100, 1.0, 0.95), (30, 2.0, 0.95)])
def test_a_shift_is_beyond_chance_in_small_samples_too(size, shift, least_power):
    draw = np.random.default_rng(1)
    tries = [compare_numbers(draw.normal(size=size), draw.normal(shift, size=size)) for _ in range(100)]
    assert np.mean([one.is_beyond_chance and one.psi > 0.25 for one in tries]) >= least_power
