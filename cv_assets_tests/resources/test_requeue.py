"""Requests to try rejected files again: refused where no bytes can be had, taken once, and safe from the collector meanwhile."""

import os
from datetime import timedelta

import polars as pl
import pytest

from cv_assets_tests.domain.tables import config
from cv_assets_tests.resources.made import sha256
from resources.content_store import ContentStore, blob_key
from resources.garbage import collect_garbage, find_garbage
from resources.leases import deleting
from resources.object_store import open_store
from resources.requeue import KeptFiles, Requeues, requeue
from resources.source import NotRead
from schemas.errors import CorruptObject, SourceError, StoreUnavailable
from schemas.releases import RequeuedFile

NOW = timedelta(0)
KEPT, LOST = b"bytes that were kept", b"bytes that are lost"


@pytest.fixture
def store(tmp_path):
    store = open_store(str(tmp_path / "store"))
    ContentStore(store).add(KEPT)
    return store


@pytest.fixture
def landing(tmp_path):
    folder = tmp_path / "landing"
    folder.mkdir()
    (folder / "here.png").write_bytes(LOST)
    return folder


def a_file(path: str, data: bytes | None = KEPT) -> RequeuedFile:
    """A file as a request names it; without bytes it was never read."""
    return RequeuedFile(path=path, sha256=None if data is None else sha256(data), size_bytes=len(data or b"0123"))


def ask(store, landing, *files, state="rejected", **source):
    """Requeue files that a version says are in this state."""
    rows = pl.DataFrame(
        [{**one.model_dump(), "state": state} for one in files],
        schema={"path": pl.String, "sha256": pl.String, "size_bytes": pl.Int64, "state": pl.String},
    )
    return requeue(store, config(source={"url": str(landing), **source}), rows)


def waiting(store):
    return [one.path for one in Requeues(store, "shapes").pending().files]


def test_what_the_source_has_or_the_store_keeps_waits_for_the_next_version(store, landing):
    done = ask(store, landing, a_file("here.png", LOST), a_file("gone.png"))
    assert [one.path for one in done.accepted] == ["here.png", "gone.png"]
    assert (done.already, done.refused, done.absent) == ([], [], ["gone.png"])
    assert waiting(store) == ["gone.png", "here.png"]


def test_what_waits_already_is_said_to_and_waits_once(store, landing):
    ask(store, landing, a_file("gone.png"))
    before = list(store.keys("datasets/shapes/requeue"))
    done = ask(store, landing, a_file("gone.png"))
    assert (done.accepted, [one.path for one in done.already]) == ([], ["gone.png"])
    assert list(store.keys("datasets/shapes/requeue")) == before
    ask(store, landing, a_file("gone.png"), a_file("here.png", LOST))
    assert waiting(store) == ["gone.png", "here.png"]


REFUSED = [
    # the file, what else is said of it or of the source, and why it cannot be tried again
    (a_file("gone.png", LOST), {}, "the source has it no more, and its bytes are not kept; upload it again"),
    (a_file("gone.png", None), {}, "the source has it no more, and its bytes were never read; upload it again"),
    (a_file("gone.png"), {"mode": "reference"}, "the source has it no more, and its bytes are not kept"),
    (a_file("here.png"), {"exclude": ["here*"]}, "the dataset's patterns do not name it as an image any more"),
    (a_file("here.png"), {"state": "accepted"}, "it is accepted by now"),
    (a_file("here.png"), {"state": "replaced"}, "its path holds other bytes by now"),
]


@pytest.mark.parametrize(("file", "more", "why"), REFUSED)
def test_what_cannot_be_tried_again_is_refused_with_a_reason_and_the_others_are_not(store, landing, file, more, why):
    done = ask(store, landing, file, **more)
    ((refused, said),) = done.refused
    assert (refused, done.accepted) == (file, [])
    assert said.startswith(why)
    assert list(store.keys("datasets/shapes/requeue")) == []
    (landing / "sound.png").write_bytes(KEPT)
    source = {key: value for key, value in more.items() if key != "state"}
    assert [one.path for one in ask(store, landing, a_file("sound.png"), **source).accepted] == ["sound.png"]


def test_of_several_contents_of_a_path_that_is_gone_one_waits_and_the_others_are_told_so(store, landing):
    ContentStore(store).add(LOST)
    done = ask(store, landing, a_file("gone.png"), a_file("gone.png", LOST))
    assert (done.accepted, [one for one, _ in done.refused]) == ([a_file("gone.png")], [a_file("gone.png", LOST)])
    assert done.refused[0][1].startswith("other bytes of its path wait already")
    assert ask(store, landing, a_file("gone.png", LOST)).accepted == []
    assert len(Requeues(store, "shapes").pending().files) == 1


def test_a_source_that_cannot_be_listed_is_an_error_and_nothing_waits(store, landing):
    landing.rename(landing.with_name("away"))
    with pytest.raises(SourceError):
        ask(store, landing, a_file("gone.png"))
    assert waiting(store) == []


def test_a_request_waits_until_a_snapshot_is_written_and_not_a_moment_less(store):
    requeues = Requeues(store, "shapes")
    requeues.add([a_file("a.png"), a_file("b.png", None)])
    requeues.add([a_file("a.png"), a_file("c.png")])
    pending = requeues.pending()
    assert [one.path for one in pending.files] == ["a.png", "b.png", "c.png"]
    requeues.claim(pending, "v2", ["c.png"])
    assert requeues.pending() == pending  # a run that ends here leaves it to the next one
    requeues.claim(requeues.pending(), "v3", [])  # and another version may take it at the same time
    requeues.settle(pending)
    requeues.settle(pending)
    assert requeues.pending().files == []
    assert (requeues.brought_back("v2"), requeues.brought_back("v3"), requeues.brought_back("v4")) == (
        ["c.png"],
        [],
        [],
    )


def test_what_is_requeued_while_a_version_takes_the_rest_waits_for_the_version_after(store):
    requeues = Requeues(store, "shapes")
    requeues.add([a_file("a.png")])
    pending = requeues.pending()
    requeues.add([a_file("late.png")])
    requeues.claim(pending, "v2", [])
    requeues.settle(pending)
    assert waiting(store) == ["late.png"]


def test_a_rerun_settles_what_its_snapshot_took_and_nothing_that_was_asked_for_since(store):
    requeues = Requeues(store, "shapes")
    requeues.add([a_file("a.png"), a_file("b.png")])
    early = requeues.pending()
    for key in early.keys:
        os.utime(store.local_path(key), (0, 0))  # not in the same tick of the clock
    requeues.add([a_file("late.png")])
    requeues.claim(early, "v2", [])  # and the store gave no answer to settle(): the run failed, and is tried again
    requeues.add([a_file("b.png")])  # it was rejected again, and somebody wants another try
    requeues.settle_for("v9")  # which took nothing
    assert waiting(store) == ["a.png", "b.png", "late.png"]
    requeues.settle_for("v2")
    requeues.settle_for("v2")
    assert waiting(store) == ["b.png", "late.png"]


def test_what_is_asked_for_again_since_a_snapshot_took_it_waits_on_when_that_run_is_gone_on_with(store, landing):
    ask(store, landing, a_file("gone.png"))
    requeues = Requeues(store, "shapes")
    os.utime(store.local_path(requeues.pending().keys[0]), (1, 1))
    requeues.claim(requeues.pending(), "v2", [])  # and the run was killed before settle()
    os.utime(store.local_path("datasets/shapes/requeue/taken/v2.json"), (2, 2))
    assert [one.path for one in ask(store, landing, a_file("gone.png")).already] == ["gone.png"]
    requeues.settle_for("v2")
    assert waiting(store) == ["gone.png"]


def test_a_damaged_record_of_what_was_taken_settles_nothing_and_stops_nothing(store):
    requeues = Requeues(store, "shapes")
    requeues.add([a_file("a.png")])
    os.utime(store.local_path(requeues.pending().keys[0]), (0, 0))
    requeues.claim(requeues.pending(), "v2", [])
    key = "datasets/shapes/requeue/taken/v2.json"
    store.put(key, store.get(key) + b"x")
    requeues.settle_for("v2")
    assert waiting(store) == ["a.png"]


def test_a_version_that_was_asked_for_nothing_writes_nothing(store):
    requeues = Requeues(store, "shapes")
    requeues.claim(requeues.pending(), "v2", [])
    requeues.settle(requeues.pending())
    assert list(store.keys("datasets")) == []


def test_a_request_that_is_damaged_is_an_error_that_says_what_to_do(store):
    Requeues(store, "shapes").add([a_file("a.png")])
    (key,) = store.keys("datasets/shapes/requeue")
    store.put(key, store.get(key).replace(b"a.png", b"b.png"))
    with pytest.raises(CorruptObject, match=f"delete {key}, and requeue those files again"):
        Requeues(store, "shapes").pending()
    with pytest.raises(CorruptObject):
        find_garbage(store, grace=NOW)


def test_kept_files_are_read_by_their_hash_and_never_altered(store):
    kept = KeptFiles(
        ContentStore(store), [a_file("b.png"), a_file("a.png"), a_file("lost.png", LOST), a_file("c.png", None)]
    )
    files = list(kept.files())
    assert [(file.path, file.size_bytes, file.stamp) for file in files] == [("a.png", 20, None), ("b.png", 20, None)]
    assert kept.read(files[0]).data == KEPT
    store.put(blob_key(sha256(KEPT)), KEPT[::-1])
    with pytest.raises(NotRead, match="the bytes that were kept are damaged"):
        kept.read(files[0])


def test_the_collector_leaves_what_waits_and_takes_it_when_nothing_waits(store):
    requeues = Requeues(store, "shapes")
    requeues.add([a_file("gone.png"), a_file("unread.png", None)])
    for _ in range(2):
        assert collect_garbage(store, grace=NOW).blobs == []
    assert store.get(blob_key(sha256(KEPT))) == KEPT
    requeues.settle(requeues.pending())
    for _ in range(2):
        collect_garbage(store, grace=NOW)
    assert store.look(blob_key(sha256(KEPT))) is None


def test_nothing_is_requeued_while_a_collector_deletes_for_it_may_delete_just_that(store, landing):
    with deleting(store), pytest.raises(StoreUnavailable, match="gc is deleting"):
        ask(store, landing, a_file("gone.png"))
    assert waiting(store) == []
    assert [one.path for one in ask(store, landing, a_file("gone.png")).accepted] == ["gone.png"]
    with deleting(store):
        pass  # no lease is left behind
