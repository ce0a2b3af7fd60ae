"""Names for versions: what they resolve to, who may move them, and that no move of several writers is lost."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from cv_assets_tests.resources.made import make_open, make_version
from resources.leases import publishing
from resources.object_store import ObjectStore, open_store
from resources.records import commit_key, tombstone_key
from resources.refs import Refs
from schemas.errors import ConfigurationError, CorruptObject
from schemas.releases import Tag, Tombstone


@pytest.fixture
def store() -> ObjectStore:
    """An empty store in memory: what differs between stores is tried by one test of each kind, and by the races."""
    return open_store(f"memory:///{os.urandom(8).hex()}")


@pytest.fixture
def refs(store) -> Refs:
    return filled(store)


@pytest.fixture
def any_refs(any_store) -> Refs:
    return filled(any_store)


def filled(store) -> Refs:
    """The names of three committed versions and an open one."""
    for number in (1, 2, 3):
        make_version(store, f"v{number}", {f"circle/{number}.png": bytes([number])})
    make_open(store, "v4", {"circle/4.png": b"4"})
    return Refs(store, "shapes")


def moves(refs):
    return [(entry.number, entry.version) for entry in refs.history()]


def test_latest_is_the_version_that_was_committed_last(refs):
    assert refs.latest() == "v3"
    assert refs.resolve(None) == refs.resolve("latest") == "v3"
    assert moves(refs) == [(1, "v1"), (2, "v2"), (3, "v3")]


def test_no_version_takes_the_name_of_a_tag(store, refs):
    refs.tag("production", "v1")
    refs.require_free("v9")
    words = "'production' is a tag of shapes@v1. Take another, or take the tag back with `cv-assets tag shapes@v1 production"
    with pytest.raises(ConfigurationError, match=words):
        refs.require_free("production")
    with pytest.raises(ConfigurationError, match=words), publishing(store, "shapes", "production"):
        pass  # from the UI, where no command line has looked at the name


def test_a_new_version_differs_from_the_others_by_more_than_case(refs):
    refs.require_distinct("v3")
    refs.require_distinct("v4")
    with pytest.raises(
        ConfigurationError, match="differs from v3 by more than case, found V3; take another, or name v3"
    ):
        refs.require_distinct("V3")


def test_a_rerun_of_an_old_version_moves_nothing_and_neither_does_one_after_a_rollback(refs):
    refs.advance("v1")
    refs.move_latest("v2", "v3 has blurred images")
    refs.advance("v3")
    assert refs.latest() == "v2"
    assert moves(refs)[3:] == [(4, "v2")]
    assert refs.history()[-1].reason == "v3 has blurred images"


def test_a_version_that_ends_after_a_later_one_moves_nothing(refs):
    refs.advance("v4", later=["v2"])  # which `latest` has named
    assert refs.latest() == "v3"
    refs.advance("v4", later=["v5"])
    assert refs.latest() == "v4"


def test_latest_may_be_moved_there_and_back(any_refs):
    for version in ("v1", "v3", "v1"):
        any_refs.move_latest(version, "again")
    assert [version for _, version in moves(any_refs)] == ["v1", "v2", "v3", "v1", "v3", "v1"]


@pytest.mark.parametrize("moved", [0, 1, 2, 3, 4, 7, 8, 9, 31, 33])
def test_the_newest_move_is_found_however_long_the_log_is(moved):
    store = open_store(f"memory:///{os.urandom(8).hex()}")
    make_version(store, "v1", {"circle/1.png": b"1"})
    refs = Refs(store, "shapes")
    for number in range(moved):
        refs.move_latest("v1", f"move {number}")
    assert [entry.number for entry in refs.history()] == list(range(1, moved + 2))
    assert refs.history()[-1].reason == (f"move {moved - 1}" if moved else "committed")


def test_eight_writers_at_once_make_one_history_without_a_loss(any_store):
    refs = Refs(any_store, "shapes")
    versions = [f"v{number}" for number in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda version: Refs(any_store, "shapes").advance(version), versions))
    assert sorted(version for _, version in moves(refs)) == versions
    assert [number for number, _ in moves(refs)] == list(range(1, 9))
    assert refs.latest() == refs.history()[-1].version


def test_sixteen_publishers_of_one_version_move_latest_once(any_store):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: Refs(any_store, "shapes").advance("v1"), range(16)))
    assert moves(Refs(any_store, "shapes")) == [(1, "v1")]


def test_a_tag_names_one_version_until_it_is_moved_on_purpose(any_refs):
    any_refs.tag("production", "v1")
    any_refs.tag("production", "v1")  # the same again is no change
    with pytest.raises(
        ConfigurationError, match=r"it is a tag of shapes@v1\. Take another name, or move it with --move"
    ):
        any_refs.tag("production", "v2")
    assert any_refs.resolve("production") == "v1"
    any_refs.tag("production", "v2", move=True)
    assert any_refs.tags() == {"production": "v2"}
    assert any_refs.names_of("v2") == ["production"]
    assert any_refs.names_of("v3") == ["latest"]
    any_refs.untag("production")
    assert any_refs.tags() == {}


@pytest.mark.parametrize("move", [False, True])
def test_a_new_tag_differs_from_the_others_by_more_than_case(store, refs, move):
    refs.tag("prod", "v1")
    with pytest.raises(
        ConfigurationError, match=r"differs from prod by more than case, found Prod: .* move prod with --move"
    ):
        refs.tag("Prod", "v2", move=move)
    assert refs.tags() == {"prod": "v1"}
    store.put("datasets/shapes/refs/tags/PROD.json", Tag(name="PROD", version="v3").to_bytes())  # of an earlier release
    refs.tag("PROD", "v2", move=True)
    assert refs.tags() == {"PROD": "v2", "prod": "v1"}


# what a tag may not be, or may not name
REFUSED_TAGS = {
    "latest": ("latest", "v1", "cv-assets rollback"),
    "a version": ("v1", "v1", "cannot be taken for a version"),
    "a version to come": ("v99", "v1", "cannot be taken for a version"),
    "a path": ("../up", "v1", "expected a version name"),
    "too long": ("a" * 300, "v1", "expected a version name"),
    "of no version": ("good", "v9", "found 'v9'"),
    "of an open version": ("good", "v4", "found shapes@v4 open; finish it with"),
}


@pytest.mark.parametrize(("name", "version", "said"), REFUSED_TAGS.values(), ids=REFUSED_TAGS)
def test_a_tag_that_would_mislead_is_refused(refs, name, version, said):
    with pytest.raises(ConfigurationError, match=said):
        refs.tag(name, version)
    assert refs.tags() == {}


def test_what_is_not_named_cannot_be_taken_back(refs):
    refs.tag("production", "v1")
    with pytest.raises(ConfigurationError, match="expected a tag among production; found 'prod'"):
        refs.untag("prod")
    with pytest.raises(ConfigurationError, match=r"expected a pinned version among \(none yet\); found 'v1'"):
        refs.unpin("v1")


def test_a_pin_says_why_until_it_is_released(any_refs):
    any_refs.pin("v1", "the paper's numbers")
    any_refs.pin("v4", "being looked at")
    assert any_refs.pins() == {"v1": "the paper's numbers", "v4": "being looked at"}
    any_refs.pin("v1", "and the model card's")
    assert any_refs.pins()["v1"] == "and the model card's"
    any_refs.unpin("v1")
    assert list(any_refs.pins()) == ["v4"]


def test_names_that_are_written_over_are_durable_before_they_are_said_to_be_given(refs, monkeypatch):
    flushed = []
    monkeypatch.setattr(ObjectStore, "flush", lambda store, hashes: flushed.extend(hashes))
    refs.pin("v1", "the paper's numbers")
    refs.tag("production", "v1")
    refs.tag("production", "v3", move=True)
    assert [key.split("/refs/")[1] for key in flushed] == ["pins/v1.json", "tags/production.json"]


def test_a_name_that_means_nothing_is_answered_with_those_that_do(refs):
    refs.tag("production", "v1")
    with pytest.raises(
        ConfigurationError, match="among v1, v2, v3, v4, or a tag among latest, production; found 'v11'"
    ):
        refs.resolve("v11")
    with pytest.raises(ConfigurationError, match=r"found '\.\./v1'"):
        refs.resolve("../v1")


def test_without_a_committed_version_there_is_no_latest(any_store):
    with pytest.raises(ConfigurationError, match="has no committed version; make one with `cv-assets run shapes`"):
        Refs(any_store, "shapes").resolve(None)


def test_latest_is_not_guessed_where_the_log_is_missing(any_store, any_refs):
    for key in list(any_store.keys("datasets/shapes/refs")):
        any_store.delete(key)
    with pytest.raises(ConfigurationError, match="name one, such as with `cv-assets rollback shapes v3`"):
        any_refs.resolve(None)


def test_what_a_desktop_leaves_between_tags_is_no_tag(any_store, any_refs):
    any_refs.tag("production", "v1")
    for name in (".DS_Store", "._production.json", "desktop.ini"):
        any_store.put(f"datasets/shapes/refs/tags/{name}", b"\x00\x00\x00\x01Bud1")
    assert any_refs.tags() == {"production": "v1"}


@pytest.mark.parametrize("number", [1, 3])
def test_a_damaged_log_is_an_error_and_not_an_older_latest_and_its_cure_helps(any_store, any_refs, number):
    key = f"datasets/shapes/refs/latest/{number:08d}.json"
    any_store.put(key, b'{"number": 3}')
    cure = r"read; restore it from a copy of the store, or, .* delete it and say what latest names with `cv-assets rollback"
    for look in (any_refs.history, lambda: any_refs.advance("v4"), *([any_refs.latest] if number == 3 else [])):
        with pytest.raises(CorruptObject, match=cure):
            look()
    any_store.delete(key)
    any_refs.close_gaps()
    any_refs.move_latest("v3")
    assert any_refs.latest() == any_refs.history()[-1].version == "v3"


# which entries of seven are lost, which is said to be, and whether who asks for the newest alone comes across it
LOST = {
    "the first": ([1], 1, True),
    "the second, where doubling looks": ([2], 2, True),
    "the third, where nobody looks": ([3], 3, False),
    "the fourth, where doubling looks": ([4], 4, True),
    "the sixth, where halving looks": ([6], 6, True),
    "all but the last": ([1, 2, 3, 4, 5, 6], 1, True),
}


@pytest.mark.parametrize(("lost", "said", "is_met"), LOST.values(), ids=LOST)
def test_a_lost_move_is_an_error_until_a_rollback_says_that_it_is_lost(any_store, any_refs, lost, said, is_met):
    for version in ("v1", "v2", "v1", "v2"):
        any_refs.move_latest(version)
    for number in lost:
        any_store.delete(f"datasets/shapes/refs/latest/{number:08d}.json")
    if not is_met:
        assert any_refs.latest() == "v2"
    newest_alone = [any_refs.latest, lambda: any_refs.move_latest("v2")] if is_met else []
    for look in (any_refs.history, lambda: any_refs.advance("v4"), *newest_alone):
        with pytest.raises(CorruptObject, match=rf"latest/{said:08d}\.json lost .*`cv-assets rollback shapes VERSION`"):
            look()

    was = {1: "v1", 2: "v2", 3: "v3", 4: "v1", 5: "v2", 6: "v1", 7: "v2"}
    first_left = was[min(was.keys() - set(lost))]
    for number in lost:
        was[number] = was.get(number - 1, first_left)
    assert any_refs.close_gaps() == lost
    assert dict(moves(any_refs)) == was
    assert [entry.number for entry in any_refs.history() if "lost" in entry.reason] == lost
    assert any_refs.latest() == "v2"


def test_only_a_committed_version_becomes_latest(refs):
    with pytest.raises(ConfigurationError, match="found shapes@v4 open"):
        refs.move_latest("v4")
    with pytest.raises(ConfigurationError, match="found 'v7'"):
        refs.move_latest("v7")


def test_a_version_whose_commit_record_is_damaged_gets_no_name(store, refs):
    key = commit_key("shapes", "v1")
    store.put(key, store.get(key)[:-20])
    for give in (lambda: refs.tag("production", "v1"), lambda: refs.move_latest("v1")):
        with pytest.raises(CorruptObject, match=r"v1/COMMIT\.json is not a CommitRecord .*restore it from a copy"):
            give()
    assert (refs.latest(), refs.tags()) == ("v3", {})


def test_a_removed_version_gets_no_name_any_more(any_store, any_refs):
    any_refs.tag("old", "v1")
    grave = Tombstone(dataset="shapes", version="v1", digest="0", reason="old")
    any_store.put_new(tombstone_key("shapes", "v1"), grave.to_bytes())
    for give in (
        any_refs.resolve,
        any_refs.move_latest,
        lambda version: any_refs.tag("new", version),
        lambda v: any_refs.pin(v, ""),
    ):
        with pytest.raises(ConfigurationError, match="shapes@v1 was removed by `cv-assets gc`"):
            give("v1")
    with pytest.raises(ConfigurationError, match="was removed"):
        any_refs.resolve("old")
    assert (any_refs.latest(), any_refs.pins(), list(any_refs.tags())) == ("v3", {}, ["old"])
