"""Which images look alike: components by chains, clusters that are bounded and stay, versions that build on each other."""

import csv
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cv_assets.domain.quality import clusters, near_duplicates
from cv_assets.domain.quality.near_duplicates import Earlier, find_near_duplicates
from cv_assets_tests.domain.tables import image_id
from schemas.quality import NearDuplicatesConfig
from schemas.tables import TABLES

FOUR = NearDuplicatesConfig()


def hashed(hashes):
    """What the search reads of a manifest, of images by name with their hash as a number."""
    rows = [{"image_id": image_id(name), "phash": f"{number:016x}"} for name, number in hashes.items()]
    return pl.DataFrame(rows, schema={"image_id": pl.String, "phash": pl.String}).sort("image_id")


def find(hashes, config=FOUR, *, earlier=None):
    """The table of {name: hash}; `earlier` is such a dict too, with what was found then."""
    before = Earlier(hashed(earlier[0]), earlier[1]) if earlier else None
    return TABLES["near_duplicates"].validate(find_near_duplicates(hashed(hashes), config, before), lazy=True)


def column(frame, name):
    return dict(frame.select("image_id", name).rows())


def sets_of(frame, name):
    """Names of columns aside: the sets of images that share a value."""
    return {frozenset(rows["image_id"]) for _, rows in frame.group_by(name)}


def bits(*places):
    return sum(1 << place for place in places)


def by_hand(hashes, distance):
    """Components as a person would find them: {image id: smallest id of all that are linked}."""
    linked = {image_id(name): image_id(name) for name in hashes}
    changed = True
    while changed:
        changed = False
        for one, value in hashes.items():
            for other, another in hashes.items():
                low, high = sorted((linked[image_id(one)], linked[image_id(other)]))
                if (value ^ another).bit_count() <= distance and low != high:
                    linked[image_id(one)] = linked[image_id(other)] = low
                    changed = True
    sizes = Counter(linked.values())
    return {image: root for image, root in linked.items() if sizes[root] > 1}


def test_images_without_a_neighbour_are_no_rows():
    found = find({"a": 0, "b": bits(1, 2, 3, 4), "c": bits(*range(20, 40)), "d": bits(*range(40, 64))})
    first = min(image_id("a"), image_id("b"))
    assert found["image_id"].to_list() == sorted(map(image_id, "ab"))
    assert set(found["cluster_id"]) == set(found["component_id"]) == {first}
    assert found["distance_bits"].to_list() == [0, 4]


def test_the_distance_is_a_setting():
    pair = {"a": 0, "b": bits(1, 2, 3, 4, 5)}
    assert find(pair).is_empty()
    assert find(pair, NearDuplicatesConfig(max_distance_bits=5)).height == 2
    assert find({"a": 7, "b": 7, "c": 6}, NearDuplicatesConfig(max_distance_bits=0)).height == 2


def test_nothing_is_near_in_a_dataset_of_none_or_one():
    assert find({}).is_empty()
    assert find({"a": 5}).is_empty()
    assert find({}, earlier=({"a": 5, "b": 5}, find({"a": 5, "b": 5}))).is_empty()


def test_a_chain_is_one_component_in_which_every_image_is_near_its_leader():
    chain = {str(number): bits(*range(number * 3)) for number in range(20)}
    found = find(chain)
    assert set(found["component_id"]) == {min(map(image_id, chain))}
    assert found["distance_bits"].max() <= 4
    assert 20 / 3 <= found["cluster_id"].n_unique() < 20
    hashes = {image_id(name): value for name, value in chain.items()}
    for image, leader, distance in found.select("image_id", "cluster_id", "distance_bits").rows():
        assert (hashes[image] ^ hashes[leader]).bit_count() == distance


def test_a_cluster_takes_the_nearest_until_it_is_full():
    leader = min(map(str, range(9)), key=image_id)
    others = [name for name in map(str, range(9)) if name != leader]
    hashes = {leader: 0, **{name: bits(*range(place // 2)) for place, name in enumerate(others)}}
    found = find(hashes, NearDuplicatesConfig(max_cluster=5))
    assert set(others[:4]) == {
        name for name in others if column(found, "cluster_id")[image_id(name)] == image_id(leader)
    }
    assert max(Counter(found["cluster_id"]).values()) == 5
    assert len(sets_of(found, "component_id")) == 1


def test_images_that_all_look_the_same_are_cut_into_full_clusters():
    found = find({str(number): 1 << 63 for number in range(1_050)})
    assert sorted(Counter(found["cluster_id"]).values()) == [50, *[100] * 10]
    assert found["component_id"].n_unique() == 1
    assert found["distance_bits"].max() == 0


@pytest.mark.parametrize("held", [1, 20, 10_000])
def test_how_many_neighbours_are_held_changes_nothing(held, monkeypatch):
    random = np.random.default_rng(0)
    hashes = {str(number): bits(*random.integers(0, 64, 3).tolist()) for number in range(300)}
    expected = find(hashes, NearDuplicatesConfig(max_cluster=10))
    monkeypatch.setattr(clusters, "HELD", held)
    monkeypatch.setattr(clusters, "TURNS", 7 * held)
    monkeypatch.setattr(near_duplicates, "GATHERED", held)
    assert find(hashes, NearDuplicatesConfig(max_cluster=10)).equals(expected)
    assert expected["cluster_id"].n_unique() >= 30


def test_who_was_taken_is_not_looked_up_again(monkeypatch):
    looked_up = []

    def watched(left, right, distance):
        looked_up.append((set(left.tolist()), set(right.tolist())))
        return near_pairs_between(left, right, distance)

    near_pairs_between = clusters.near_pairs_between
    monkeypatch.setattr(clusters, "near_pairs_between", watched)
    monkeypatch.setattr(clusters, "HELD", 100)
    found = find(
        {str(number): number for number in range(1 << 6)}, NearDuplicatesConfig(max_distance_bits=6, max_cluster=2)
    )
    assert found["cluster_id"].n_unique() == 32
    assert len(looked_up) > 10
    assert all(asked <= waiting for asked, waiting in looked_up)


def led_by_hand(hashes, earlier, bounds):
    """The rule of clusters.py, image by image: those that lead already, then whoever is left, take the nearest."""
    leaders = earlier.tolist()
    for leader in [*(n for n, one in enumerate(earlier.tolist()) if one == n), *range(len(hashes))]:
        if leaders[leader] not in {-1, leader}:
            continue
        room = bounds.images - leaders.count(leader)
        near = sorted((int(hashes[leader] ^ one).bit_count(), int(one), n) for n, one in enumerate(hashes))
        takes = [n for bits, _, n in near if bits <= bounds.distance_bits and leaders[n] == -1][: max(0, room)]
        for image in takes:
            leaders[image] = leader
    return leaders


@pytest.mark.parametrize(("held", "largest"), [(1 << 22, 2), (50, 2), (50, 5), (1, 3), (400, 100)])
@pytest.mark.parametrize("seed", range(3))
def test_leaders_are_those_that_the_rule_gives_by_hand(held, largest, seed, monkeypatch):
    monkeypatch.setattr(clusters, "HELD", held)
    random = np.random.default_rng(seed)
    hashes = np.array([bits(*random.integers(0, 12, 3).tolist()) for _ in range(250)], dtype=np.uint64)
    bounds, earlier = clusters.Bounds(3, largest), np.full(250, -1)
    earlier[[9, 30, 31]] = [9, 30, 30]
    assert clusters.find_leaders(hashes, earlier, bounds).tolist() == led_by_hand(hashes, earlier, bounds)


def test_in_a_cloud_hardly_anybody_is_looked_up_twice(monkeypatch):
    looked_up = []

    def watched(left, right, distance):
        looked_up.append(len(left))
        return near_pairs_between(left, right, distance)

    near_pairs_between = clusters.near_pairs_between
    monkeypatch.setattr(clusters, "near_pairs_between", watched)
    monkeypatch.setattr(clusters, "HELD", 20_000)
    cloud = np.array([1 << a | 1 << b for a in range(64) for b in range(a)], dtype=np.uint64)  # all within 4 bits
    leaders = clusters.find_leaders(cloud, np.full(len(cloud), -1), clusters.Bounds(4, 2))
    assert len(set(leaders.tolist())) == len(cloud) // 2
    assert sum(looked_up) < 4 * len(cloud)


def test_the_order_of_the_manifest_changes_nothing():
    hashes = {str(number): number for number in range(50)}
    manifest = hashed(hashes)
    shuffled = find_near_duplicates(manifest.sample(fraction=1, shuffle=True, seed=1), FOUR)
    assert shuffled.equals(find_near_duplicates(manifest, FOUR))


def test_an_image_keeps_its_cluster_when_a_smaller_id_comes():
    names = sorted("abcdefgh", key=image_id)
    before = dict.fromkeys(names[3:], 0)
    found = find(before)
    grown = find(dict.fromkeys(names, 0), earlier=(before, found))
    assert set(grown["cluster_id"]) == {image_id(names[3])}
    assert set(grown["component_id"]) == {image_id(names[0])}


def test_an_image_whose_leader_is_gone_or_looks_otherwise_gets_a_new_one():
    names = sorted("abcd", key=image_id)
    before = dict.fromkeys(names, 0)
    found = find(before)
    for after in (dict.fromkeys(names[1:], 0), {**before, names[0]: bits(*range(32))}):
        assert set(find(after, earlier=(before, found))["cluster_id"]) == {image_id(names[1])}


def test_a_component_falls_apart_when_its_middle_is_gone():
    before = {"a": 0, "b": bits(0, 1, 2), "c": bits(*range(6)), "x": 0xFFF << 40, "y": 0xFFF << 40}
    found = find(before)
    after = {name: value for name, value in before.items() if name != "b"}
    left = find(after, earlier=(before, found))
    assert sets_of(left, "component_id") == {frozenset({image_id("x"), image_id("y")})}


def test_only_what_is_new_or_has_lost_a_neighbour_is_searched(monkeypatch):
    before = {**{f"{number}": number << 20 for number in range(0, 1 << 12, 37)}, "a": 0b1111, "b": 0b1110, "c": 0}
    found = find(before)
    searched = []

    def watched(left, right, distance):
        searched.append(sorted(left.tolist()))
        return near_pairs_between(left, right, distance)

    near_pairs_between = near_duplicates.near_pairs_between
    monkeypatch.setattr(near_duplicates, "near_pairs_between", watched)
    find({**before, "new": 0x7F << 50}, earlier=(before, found))
    assert searched == [[0x7F << 50]]


# hashes of few bits meet often, and so do equal ones; names come and go
LOOKS = st.dictionaries(
    st.integers(0, 40).map(str), st.sets(st.integers(0, 11), max_size=5).map(lambda places: bits(*places)), max_size=30
)


@settings(max_examples=80, deadline=None)
@given(st.lists(LOOKS, min_size=1, max_size=5), st.integers(0, 3), st.integers(2, 6))
def test_version_upon_version_is_as_from_scratch(versions, distance, largest):
    config = NearDuplicatesConfig(max_distance_bits=distance, max_cluster=largest)
    earlier = None
    for hashes in versions:
        found = find(hashes, config, earlier=earlier)
        assert column(found, "component_id") == by_hand(hashes, distance)
        assert column(find(hashes, config), "component_id") == column(found, "component_id")
        holds_together(found, hashes, config)
        if earlier:
            keeps_its_clusters(earlier, (hashes, found))
        earlier = (hashes, found)


def holds_together(found, hashes, config):
    """Every image is near its leader, who leads itself and is of the same component; no cluster is too large."""
    looks = {image_id(name): value for name, value in hashes.items()}
    leader, component = column(found, "cluster_id"), column(found, "component_id")
    assert max(Counter(leader.values()).values(), default=0) <= config.max_cluster
    for image, distance in column(found, "distance_bits").items():
        assert leader[leader[image]] == leader[image]
        assert component[leader[image]] == component[image]
        assert distance == (looks[image] ^ looks[leader[image]]).bit_count() <= config.max_distance_bits


def keeps_its_clusters(earlier, later):
    """An image that looks as before and still has a neighbour stays with its leader, if that looks as before too."""
    before, after = ({image_id(name): value for name, value in hashes.items()} for hashes, _ in (earlier, later))
    now = column(later[1], "cluster_id")
    for image, leader in column(earlier[1], "cluster_id").items():
        if image in now and all(after.get(one) == before[one] for one in (image, leader)):
            assert now[image] == leader


@settings(max_examples=40, deadline=None)
@given(LOOKS, LOOKS)
def test_what_is_added_moves_nobody(before, added):
    """Whatever comes, clusters of an earlier version stay as they are, and a component only grows."""
    found = find(before)
    grown = find({**added, **before}, earlier=(before, found))
    joined = found.join(grown, on="image_id", suffix="_now")
    assert joined.height == found.height
    assert joined["cluster_id"].equals(joined["cluster_id_now"].alias("cluster_id"))
    assert joined["distance_bits"].equals(joined["distance_bits_now"].alias("distance_bits"))


# images in clusters at 4 bits, components and pairs of different bytes, by the hashes that lie beside each set
REAL = [
    ("bccd", 2, [2]),
    ("clothing", 2, [2]),
    ("grocery", 2, [2]),
    ("omniglot", 23, [4, 3, *[2] * 8]),
]


@pytest.mark.data
@pytest.mark.parametrize(("name", "rows", "sizes"), REAL)
def test_real_images_that_look_alike_are_found(name, rows, sizes, real_data):
    with (real_data / name / "images.csv").open(newline="") as file:
        images = {row["sha256"]: row["phash"] for row in csv.DictReader(file) if row["phash"]}
    manifest = pl.DataFrame({"image_id": list(images), "phash": list(images.values())})
    found = find_near_duplicates(manifest, FOUR)
    assert found.height == rows
    assert sorted(Counter(found["component_id"]).values(), reverse=True) == sizes
