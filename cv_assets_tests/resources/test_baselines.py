"""The baseline of a version is chosen once, and the history of a dataset is read from what is still there."""

import polars as pl
import pytest

from cv_assets_tests.domain.tables import config
from cv_assets_tests.resources.made import make_open, make_version
from resources.baselines import find_baseline, find_previous
from resources.histories import load_history
from resources.leases import deleting
from resources.object_store import ObjectStore, open_store
from resources.records import commit_key
from resources.refs import Refs
from resources.removing import Removal, remove_version
from resources.versions import VersionStore
from schemas.errors import ConfigurationError, CorruptObject, StoreError, StoreUnavailable
from schemas.tables import to_frame

FILES = {f"{label}/{n}.png": f"{label}{n}".encode() for label in ("circle", "square") for n in range(3)}
KEY = "datasets/shapes/versions/{}/baseline.json"


def with_baseline(setting):
    return config(quality={"drift": {"baseline": setting}})


def again(version):
    """The same version, looked at afresh."""
    return VersionStore(version.store, version.dataset, version.version)


def publish(store, name):
    return make_version(store, name, {**FILES, f"circle/{name}.png": name.encode()})


def name_of(found):
    return None if found is None else found.version


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


def remove(store, version):
    """As `cv-assets gc --keep-last` removes a version."""
    with deleting(store) as lease:
        record = VersionStore(store, "shapes", version).commit()
        assert record is not None
        assert remove_version(store, Removal("shapes", version, record.digest), lease)


def test_the_baseline_is_the_release_before(any_store: ObjectStore):
    first = publish(any_store, "v1")
    found = find_baseline(make_open(any_store, "v2", FILES), config())
    record = first.commit()
    assert found is not None
    assert record is not None
    assert (found.version, found.digest, found.is_removed) == ("v1", record.digest, False)
    assert found.tables["manifest"].equals(first.load_table("manifest"))
    assert found.tables["annotations"].equals(first.load_table("annotations"))
    assert find_baseline(again(first), config()) is None  # there was none before it


def test_the_choice_is_kept_whatever_is_released_later(store):
    publish(store, "v1")
    second = make_open(store, "v2", FILES)
    assert name_of(find_baseline(second, config())) == "v1"
    publish(store, "v3")
    assert name_of(find_baseline(again(second), config())) == "v1"


def test_that_there_was_none_is_kept_too(store):
    first = make_open(store, "v1", FILES)
    assert find_baseline(first, config()) is None
    publish(store, "v2")
    assert find_baseline(again(first), config()) is None


def test_a_setting_that_changes_while_the_version_is_open_is_asked_anew(store):
    publish(store, "v1")
    publish(store, "v2")
    third = make_open(store, "v3", FILES)
    for setting, expected in [("latest", "v2"), ("v1", "v1"), (None, None), ("latest", "v2")]:
        assert name_of(find_baseline(again(third), with_baseline(setting))) == expected


def test_of_a_committed_version_the_choice_stays_whatever_is_set(store):
    publish(store, "v1")
    assert name_of(find_baseline(make_open(store, "v2", {**FILES, "circle/v2.png": b"v2"}), config())) == "v1"
    second = publish(store, "v2")
    publish(store, "v3")
    for setting in ("latest", None, "v3"):
        assert name_of(find_baseline(again(second), with_baseline(setting))) == "v1"


def test_a_committed_version_of_before_is_compared_with_the_release_before_it(store):
    second = [publish(store, name) for name in ("v1", "v2", "v3")][1]
    assert name_of(find_baseline(again(second), config())) == "v1"


def test_after_a_rollback_the_baseline_is_what_latest_names(store):
    for name in ("v1", "v2", "v3"):
        publish(store, name)
    Refs(store, "shapes").move_latest("v1", "rollback")
    fourth = make_open(store, "v4", FILES)
    assert name_of(find_baseline(fourth, config())) == "v1"
    assert list(load_history(fourth)) == ["v1", "v2", "v3"]


def test_a_version_or_a_tag_may_be_named(store):
    publish(store, "v1")
    publish(store, "v2")
    Refs(store, "shapes").tag("good", "v1")
    third = make_open(store, "v3", FILES)
    assert name_of(find_baseline(third, with_baseline("good"))) == "v1"
    Refs(store, "shapes").tag("good", "v2", move=True)
    assert name_of(find_baseline(again(third), with_baseline("good"))) == "v1"  # fixed


def test_a_version_is_never_its_own_baseline(store):
    assert find_baseline(make_open(store, "v1", FILES), with_baseline("v1")) is None
    second = publish(store, "v2")
    Refs(store, "shapes").tag("good", "v2")
    assert find_baseline(again(second), with_baseline("good")) is None


@pytest.mark.parametrize(
    ("setting", "words"), [("v9", "among v1, v2.*; name another"), ("v2", "found v2 open.*, or name another")]
)
def test_a_baseline_that_is_not_there_is_told_with_its_setting(store, setting, words):
    publish(store, "v1")
    make_open(store, "v2", FILES)
    third = make_open(store, "v3", FILES)
    with pytest.raises(ConfigurationError, match=rf"quality\.drift\.baseline of dataset shapes: .*{words}"):
        find_baseline(third, with_baseline(setting))
    assert store.find(KEY.format("v3")) is None  # nothing is fixed by a mistake


def test_an_open_version_whose_baseline_was_removed_takes_the_next_one(store):
    publish(store, "v1")
    third = make_open(store, "v3", FILES)
    assert name_of(find_baseline(third, config())) == "v1"
    publish(store, "v2")
    remove(store, "v1")
    assert name_of(find_baseline(again(third), config())) == "v2"


def test_a_committed_version_whose_baseline_was_removed_knows_its_name_only(store):
    digest = publish(store, "v1").commit().digest
    find_baseline(make_open(store, "v2", {**FILES, "circle/v2.png": b"v2"}), config())
    second = publish(store, "v2")
    remove(store, "v1")
    found = find_baseline(again(second), config())
    assert (found.version, found.digest, found.is_removed, found.tables) == ("v1", digest, True, {})
    assert not found.lends_near_duplicates(config())
    assert load_history(second) == {}


def test_a_baseline_that_is_lost_or_another_one_is_an_error(store):
    publish(store, "v1")
    second = make_open(store, "v2", {**FILES, "circle/v2.png": b"v2"})
    find_baseline(second, config())
    publish(store, "v2")
    record = store.get(commit_key("shapes", "v1"))
    store.delete(commit_key("shapes", "v1"))
    with pytest.raises(StoreError, match=r"compared with v1: .* found no commit record"):
        find_baseline(again(second), config())
    store.put(commit_key("shapes", "v1"), record)
    assert name_of(find_baseline(again(second), config())) == "v1"


def test_a_damaged_record_is_made_anew_while_the_version_is_open_only(store):
    publish(store, "v1")
    second = make_open(store, "v2", {**FILES, "circle/v2.png": b"v2"})
    find_baseline(second, config())
    store.put(KEY.format("v2"), b"{}")
    assert name_of(find_baseline(again(second), config())) == "v1"
    assert name_of(find_baseline(again(second), config())) == "v1"
    publish(store, "v2")
    store.put(KEY.format("v2"), b"{}")
    with pytest.raises(CorruptObject, match=r"baseline\.json"):
        find_baseline(again(second), config())


def test_a_damaged_table_of_the_baseline_is_told_by_its_key(store):
    first = publish(store, "v1")
    key = first.find_table_key("manifest")
    store.put(key, store.get(key)[:-9])
    with pytest.raises(CorruptObject, match="versions/v1/tables/manifest"):
        find_baseline(make_open(store, "v2", FILES), config())


def test_near_duplicates_are_lent_if_they_were_found_with_the_same_settings(store):
    same, other = config(), config(quality={"near_duplicates": {"max_distance_bits": 2}})
    first = publish(store, "v1")
    second = make_open(store, "v2", FILES)
    assert not find_baseline(second, same).lends_near_duplicates(same)  # it has none
    first.save_table("near_duplicates", to_frame("near_duplicates", []))
    found = find_baseline(again(second), same)
    assert "near_duplicates" in found.tables
    assert found.lends_near_duplicates(same)
    assert not found.lends_near_duplicates(other)
    older = type(found)(found.version, found.digest, {}, found.tables)  # before there was such a setting
    assert not older.lends_near_duplicates(same)


# the release before


@pytest.mark.parametrize("setting", [None, "v1", "latest"])
def test_the_release_before_is_found_whatever_the_version_is_compared_with(store, setting):
    publish(store, "v1")
    publish(store, "v2")
    third = make_open(store, "v3", FILES)
    baseline = find_baseline(third, with_baseline(setting))
    found = find_previous(third, baseline)
    assert name_of(found) == "v2"
    assert found.tables["manifest"].equals(again(VersionStore(store, "shapes", "v2")).load_table("manifest"))
    assert (found is baseline) is (setting == "latest")  # no table is read twice


def test_the_release_before_is_kept_whatever_is_released_later(store):
    first = make_open(store, "v1", FILES)
    assert find_previous(first) is None
    publish(store, "v2")
    third = make_open(store, "v3", FILES)
    assert name_of(find_previous(third)) == "v2"
    publish(store, "v4")
    assert name_of(find_previous(again(third))) == "v2"
    assert find_previous(again(first)) is None
    remove(store, "v2")
    assert name_of(find_previous(again(third))) == "v4"


# history


def test_a_history_is_of_the_releases_before_oldest_first(store):
    for name in ("v10", "v9", "b", "a"):
        publish(store, name)
    make_open(store, "v11", FILES)
    after = make_open(store, "v12", FILES)
    found = load_history(after)
    assert list(found) == ["v10", "v9", "b", "a"]
    assert list(load_history(after, 2)) == ["b", "a"]
    assert list(load_history(VersionStore(store, "shapes", "b"))) == ["v10", "v9"]
    assert isinstance(found["a"]["quality_report"], pl.DataFrame)
    assert "drift" not in found["a"]  # that version was made without one


def test_a_history_passes_over_what_is_damaged_or_gone(store):
    first, second = publish(store, "v1"), publish(store, "v2")
    publish(store, "v3")
    key = first.find_table_key("quality_report")
    store.put(key, b"not a table")
    store.delete(second.find_table_key("quality_report"))
    store.put(commit_key("shapes", "v3"), b"{}")
    assert load_history(make_open(store, "v4", FILES)) == {"v1": {}, "v2": {}}


def test_a_history_is_not_read_from_a_store_that_gives_no_answer(store, monkeypatch):
    publish(store, "v1")

    def silent(*_):
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(VersionStore, "find_table", silent)
    with pytest.raises(StoreUnavailable):
        load_history(make_open(store, "v2", FILES))
