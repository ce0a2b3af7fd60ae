"""A sample is a share of all, the same for one seed, and seeds in a row leave nothing out."""

import pytest

from cv_assets.domain.sampling import in_sample

KEYS = [*(f"blobs/{number}" for number in range(2_000)), "blobs/725033"]  # that one has the last place of all


def test_a_sample_is_about_its_share_and_the_same_for_one_seed():
    chosen = [key for key in KEYS if in_sample(key, 0.1, 3)]
    assert 150 < len(chosen) < 250
    assert chosen == [key for key in KEYS if in_sample(key, 0.1, 3)]
    assert chosen != [key for key in KEYS if in_sample(key, 0.1, 4)]


@pytest.mark.parametrize(("share", "looks"), [(0.1, 10), (0.3, 4), (1 / 3, 3), (0.07, 15), (1.0, 1)])
@pytest.mark.parametrize("first", [0, 17, 738_000, -3])
def test_seeds_in_a_row_take_every_object(share, looks, first):
    taken = {key for seed in range(first, first + looks) for key in KEYS if in_sample(key, share, seed)}
    assert taken == set(KEYS)
