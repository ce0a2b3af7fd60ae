"""The search for hashes that differ in few bits, held against comparing all with all."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cv_assets.domain.quality import hamming
from cv_assets.domain.quality.hamming import near_pairs, near_pairs_between


def random_hashes(number, *, bits=64):
    return np.random.default_rng(0).integers(0, 2**bits, number, dtype=np.uint64, endpoint=False)


def flipped(hashes, share):
    """The hashes after each bit was turned with a chance of `share`."""
    turned = np.random.default_rng(0).random((len(hashes), 64)) < share
    return hashes ^ np.packbits(turned, axis=1).view(np.uint64).ravel()


# as they come from images: evenly spread, in clouds round a few, with bits that never change, all in one place
DISTRIBUTIONS = {
    "even": random_hashes(3_000),
    "pairs": np.concatenate([random_hashes(1_500), flipped(random_hashes(1_500), 0.04)]),
    "clouds": flipped(np.repeat(random_hashes(20), 150), 0.06),
    "half of the bits": random_hashes(3_000, bits=32) << np.uint64(13),
    "one cloud": flipped(np.zeros(3_000, np.uint64), 0.03),
    "counting": np.arange(2_000, dtype=np.uint64),
    "few": random_hashes(3),
    "one": random_hashes(1),
    "none": random_hashes(0),
}


def gathered(blocks):
    """All pairs as an array of two columns, sorted."""
    pairs = np.concatenate([np.zeros((0, 2), np.int64), *(np.column_stack(block) for block in blocks)])
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def among(hashes, distance):
    """What near_pairs finds, the smaller position first."""
    return gathered((np.minimum(*pairs), np.maximum(*pairs)) for pairs in near_pairs(hashes, distance))


def by_comparing_all(left, right, distance):
    return np.argwhere(np.bitwise_count(left[:, None] ^ right) <= distance)


def once(pairs):
    return pairs[pairs[:, 0] < pairs[:, 1]]


@pytest.fixture
def eager(monkeypatch):
    """Small joins are cut, small buckets are large, tasks are many: what a million hashes do, a few do too."""
    for name, value in {
        "CUTTING": 1, "SORTING": 0.01, "LARGE_SIDE": 8, "LARGE_PAIRS": 40, "BLOCK": 512, "ROW": 64,
    }.items():  # fmt: skip
        monkeypatch.setattr(hamming, name, value)


@pytest.mark.parametrize("distance", [0, 1, 4, 7, 12])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_near_pair_is_found_once(name, distance):
    hashes = np.unique(DISTRIBUTIONS[name])
    expected = once(by_comparing_all(hashes, hashes, distance))
    np.testing.assert_array_equal(among(hashes, distance), expected)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("distance", [0, 1, 4, 7, 12])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_cutting_again_and_again_finds_the_same(name, distance):
    hashes = np.unique(DISTRIBUTIONS[name][:700])
    expected = once(by_comparing_all(hashes, hashes, distance))
    np.testing.assert_array_equal(among(hashes, distance), expected)


@pytest.mark.parametrize("distance", [0, 4, 9])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_pairs_between_two_sets_hold_equal_hashes_too(name, distance, request):
    right = DISTRIBUTIONS[name]
    left = np.concatenate([right[::7], flipped(right[::5], 0.05)])
    expected = by_comparing_all(left, right, distance)
    np.testing.assert_array_equal(gathered(near_pairs_between(left, right, distance)), expected)
    request.getfixturevalue("eager")
    few = gathered(near_pairs_between(left[:150], right, distance))
    np.testing.assert_array_equal(few, expected[expected[:, 0] < 150])


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 2**64 - 1), max_size=30), st.integers(0, 12), st.randoms(use_true_random=False))
@example({0, 2**64 - 1, 1, 2**63}, 1, None)
def test_no_hash_is_special(base, distance, random):
    near = {value ^ sum(1 << bit for bit in random.sample(range(64), distance)) for value in base} if random else set()
    hashes = np.array(sorted(base | near), dtype=np.uint64)
    expected = once(by_comparing_all(hashes, hashes, distance))
    np.testing.assert_array_equal(among(hashes, distance), expected)


def test_a_million_pairs_come_in_bounded_blocks(monkeypatch):
    monkeypatch.setattr(hamming, "BLOCK", 1 << 14)
    hashes = np.arange(2_000, dtype=np.uint64)  # within 12 bits of each other, all of them
    sizes = [len(left) for left, _ in near_pairs(hashes, 12)]
    assert sum(sizes) == 2_000 * 1_999 // 2
    assert max(sizes) <= 1 << 14


def test_a_search_that_is_left_early_ends():
    blocks = near_pairs(np.arange(3_000, dtype=np.uint64), 12)
    assert len(next(blocks)[0])
    blocks.close()


@pytest.mark.parametrize("distance", [-1, 13])
def test_a_distance_beyond_reason_is_refused(distance):
    with pytest.raises(ValueError, match=f"max_distance is {distance} bits; expected 0 to 12"):
        list(near_pairs(random_hashes(0), distance))


@pytest.mark.parametrize("hashes", [[1, 1, 2], [2, 1]])
def test_hashes_that_are_not_distinct_and_sorted_are_refused(hashes):
    with pytest.raises(ValueError, match="not strictly increasing"):
        list(near_pairs(np.array(hashes, dtype=np.uint64), 4))
