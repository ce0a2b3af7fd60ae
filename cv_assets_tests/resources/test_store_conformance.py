"""What every store does alike, on local disk, in memory and on S3: the same tests for all three."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from cv_assets_tests.resources.made import sha256
from resources.object_store import open_store
from schemas.errors import CorruptObject, StoreError, VersionConflict

WRITERS = 16
ODD_KEYS = (
    "a b/c d",
    "plus+and&more=1",
    "percent%20sign",
    "per%2Fcent",
    "question?mark",
    "bild-ä-画像",
    "quote'and\"quote",
    "~tilde",
    "dot.",
    ".hidden",
    "a" * 200 + "/" + "b" * 200,
    "colon:semicolon;comma,at@",
    "<tag>",
    "UPPER/lower",
    "index.json",
)
REFUSED_KEYS = ("", "/", "../up", "a/../../up", "a/./b", "a//b", "/etc/passwd", "a/", "..", "a/..", "a\0b")


def put_all(store, keys):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: store.put(key, b"x"), keys))


def at_once(call):
    """What `call(0)`, `call(1)`, … return or raise when they begin together."""
    start = threading.Barrier(WRITERS)

    def begin(index):
        start.wait()
        try:
            return call(index)
        except StoreError as error:
            return error

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(begin, range(WRITERS)))


def test_what_was_put_is_there_and_the_last_put_wins(any_store):
    any_store.put("a/b.bin", b"one")
    any_store.put("a/b.bin", b"another")
    assert (any_store.get("a/b.bin"), any_store.find("a/b.bin"), any_store.size("a/b.bin")) == (b"another",) * 2 + (7,)


def test_what_was_never_put_is_nothing_and_getting_it_is_an_error_with_its_place(any_store):
    assert (any_store.find("a/b"), any_store.size("a/b"), any_store.look("a/b")) == (None, None, None)
    assert any_store.read("a/b", bytes.decode) is None
    with pytest.raises(StoreError, match=r"expected an object at a/b in .*, found none"):
        any_store.get("a/b")


def test_a_folder_is_no_object(any_store):
    any_store.put("a/b/c", b"x")
    assert (any_store.find("a/b"), any_store.look("a/b"), any_store.size("a")) == (None, None, None)


def test_an_empty_object_is_an_object(any_store):
    any_store.put("empty", b"")
    any_store.put_new("new", b"")
    any_store.put_new("new", b"")
    assert (any_store.find("empty"), any_store.size("empty"), any_store.get("new")) == (b"", 0, b"")
    assert list(any_store.keys("")) == ["empty", "new"]
    with pytest.raises(VersionConflict):
        any_store.put_new("empty", b"not empty")


def test_twenty_megabytes_come_back_as_they_were(any_store):
    data = bytes(range(256)) * 78_125
    any_store.put("large", data)
    any_store.put_new("large-and-new", data)
    assert any_store.get("large") == any_store.get("large-and-new") == data
    assert any_store.size("large") == len(data) == 20_000_000


@pytest.mark.parametrize("key", ODD_KEYS)
def test_an_odd_key_is_kept_as_it_is(any_store, key):
    any_store.put(key, b"one")
    any_store.put_new(f"folder/{key}", b"two")
    assert (any_store.get(key), any_store.get(f"folder/{key}")) == (b"one", b"two")
    assert list(any_store.keys("")) == sorted([key, f"folder/{key}"])
    assert any_store.look(key).key == key
    any_store.delete(key)
    assert list(any_store.keys("")) == [f"folder/{key}"]


@pytest.mark.parametrize("key", REFUSED_KEYS)
def test_a_key_that_is_no_folders_and_a_name_is_refused(any_store, key):
    for call in (
        lambda: any_store.put(key, b"x"),
        lambda: any_store.put_new(key, b"x"),
        lambda: any_store.find(key),
        lambda: any_store.look(key),
        lambda: any_store.delete(key),
    ):
        with pytest.raises(StoreError):
            call()
    assert list(any_store.keys("")) == []


def test_a_new_object_may_be_put_again_with_the_same_bytes_and_with_no_others(any_store):
    any_store.put_new("a", b"one")
    any_store.put_new("a", b"one")
    with pytest.raises(VersionConflict) as caught:
        any_store.put_new("a", b"two")
    message = str(caught.value)
    for words in ("expected a to be new", "7692c3ad", "3fc4ccfe", "never overwritten: use a new version name"):
        assert words in message
    assert any_store.get("a") == b"one"


def test_a_new_object_is_refused_where_another_was_put(any_store):
    any_store.put("a", b"one")
    with pytest.raises(VersionConflict):
        any_store.put_new("a", b"two")
    assert any_store.get("a") == b"one"


def test_of_sixteen_writers_with_different_content_exactly_one_wins(any_store):
    for turn in range(10):
        key = f"race/{turn}"
        outcomes = at_once(lambda index, key=key: any_store.put_new(key, bytes([index]) * 1_000))
        winners = [index for index, outcome in enumerate(outcomes) if outcome is None]
        assert len(winners) == 1
        assert all(type(outcome) is VersionConflict for outcome in outcomes if outcome is not None)
        assert any_store.get(key) == bytes(winners) * 1_000


def test_sixteen_writers_with_the_same_content_all_succeed(any_store):
    for turn in range(10):
        assert at_once(lambda index, key=f"same/{turn}": any_store.put_new(key, b"same" * 250)) == [None] * WRITERS
    assert [any_store.get(f"same/{turn}") for turn in range(10)] == [b"same" * 250] * 10


def test_a_reader_sees_one_whole_content_or_the_other_while_they_are_overwritten(any_store):
    contents = {letter * 200_000 for letter in (b"a", b"b")}
    any_store.put("a", b"a" * 200_000)
    done = threading.Event()
    seen: set[bytes] = set()

    def look():
        while not done.is_set():
            seen.add(any_store.get("a"))

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(30):
        for content in sorted(contents):
            any_store.put("a", content)
    done.set()
    reader.join()
    assert seen  # by a reader that looked at all
    assert seen <= contents


def test_keys_and_folders_are_listed_in_order(any_store):
    put_all(any_store, ("v/b/2", "v/a/1", "v/a/10", "vv/x", "v/c", "v/a.b/3", "v/a-b/4", "v/B/5"))
    assert list(any_store.keys("v")) == ["v/B/5", "v/a-b/4", "v/a.b/3", "v/a/1", "v/a/10", "v/b/2", "v/c"]
    assert list(any_store.keys("v/a")) == ["v/a/1", "v/a/10"]
    assert any_store.folders("v") == ["B", "a", "a-b", "a.b", "b"]
    assert (list(any_store.keys("none")), any_store.folders("none")) == ([], [])


def test_an_entry_says_size_and_time_as_looking_at_the_object_does(any_store):
    before = datetime.now(UTC)
    any_store.put("a/b", b"12345")
    any_store.put("a/c", b"")
    entries = list(any_store.entries("a"))
    assert [(entry.key, entry.size_bytes) for entry in entries] == [("a/b", 5), ("a/c", 0)]
    for entry in entries:
        looked = any_store.look(entry.key)
        assert (looked.key, looked.size_bytes) == (entry.key, entry.size_bytes)
        # a header tells whole seconds, a listing fractions
        assert abs(looked.modified - entry.modified) < timedelta(seconds=1)
        assert abs(looked.modified - before) < timedelta(minutes=1)
        assert looked.modified.utcoffset() == timedelta(0)


def test_other_content_has_another_etag_where_there_are_etags(any_store):
    any_store.put("a", b"one")
    first = any_store.look("a")
    any_store.put("a", b"two")
    assert first.etag is None or first.etag != any_store.look("a").etag


def test_what_is_deleted_is_gone_and_deleting_nothing_is_no_error(any_store):
    put_all(any_store, ("a/b", "a/c"))
    any_store.delete("a/b")
    any_store.delete("a/b")
    any_store.delete("never/there")
    assert list(any_store.keys("")) == ["a/c"]
    any_store.put_new("a/b", b"again")
    assert any_store.get("a/b") == b"again"


def test_a_listing_of_2500_keys_has_every_key_once(any_store):
    keys = [f"many/{number % 7}/{number:05d}" for number in range(2_500)]
    put_all(any_store, keys)
    assert list(any_store.keys("many")) == sorted(keys)
    assert any_store.folders("many") == [str(number) for number in range(7)]


def test_the_clock_of_the_store_goes_on_and_leaves_nothing_behind(any_store):
    first = any_store.now()
    second = any_store.now()
    assert first <= second
    assert abs(second - datetime.now(UTC)) < timedelta(minutes=1)
    assert list(any_store.keys("")) == []


def test_a_flush_of_what_was_put_changes_nothing(any_store):
    any_store.put("a/b", b"x")
    any_store.put_new("c", b"y")
    any_store.flush({"a/b": sha256(b"x"), "c": sha256(b"y")})
    any_store.flush({})
    assert list(any_store.keys("")) == ["a/b", "c"]


def test_a_parser_is_given_the_bytes_and_its_verdict_is_passed_on(any_store):
    any_store.put("a", b"12")
    assert any_store.read("a", int) == 12

    def refuse(data):
        raise CorruptObject(f"expected better than {data!r}")

    with pytest.raises(CorruptObject, match="expected better than b'12'"):
        any_store.read("a", refuse)


def test_create_only_writes_are_proven_and_leave_nothing_behind(any_store):
    any_store.require_create_only()
    any_store.require_create_only()
    assert list(any_store.keys("")) == []


def test_two_stores_with_one_url_are_one_store(any_store):
    any_store.put("a", b"x")
    assert open_store(any_store.url).get("a") == b"x"


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_a_listing_of_100000_keys_has_every_key_once(tmp_path, kind):
    store = open_store(str(tmp_path) if kind == "disk" else f"memory://{tmp_path}")
    keys = [f"many/{number % 256:02x}/{number:06d}" for number in range(100_000)]
    if kind == "memory":
        for key in keys:
            store.put(key, b"")
    else:
        for folder in {key.rsplit("/", 1)[0] for key in keys}:
            (tmp_path / folder).mkdir(parents=True)
        for key in keys:
            (tmp_path / key).touch()
    assert list(store.keys("many")) == sorted(keys)
    assert len(store.folders("many")) == 256
    shutil.rmtree(tmp_path / "many", ignore_errors=True)  # pytest would keep them for three runs
