"""The snapshot's pass: what is listed as before is not read again, what was begun is gone on with, what is pinned is held to."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import polars as pl
import pytest

from cv_assets_tests.domain.images import encode, noise
from cv_assets_tests.domain.tables import config
from cv_assets_tests.resources.made import sha256
from resources import ingest
from resources.content_store import blob_key, contents_of
from resources.engine import Engine
from resources.ingest import Snapshot
from resources.listing import files_of
from resources.object_store import open_store
from resources.probes import ProbeStore
from resources.segments import Segments
from resources.source import LocalSource
from schemas.errors import SourceChanged
from schemas.releases import RequeuedFile
from schemas.tables import TABLES, to_frame

LONG_AGO = time.time() - 3600


class Reads(LocalSource):
    """The local source, which writes down what was read."""

    paths: ClassVar[list[str]] = []

    def read(self, file):
        self.paths.append(file.path)
        return super().read(file)


class Killed(BaseException):
    """What ends a run from outside."""


@pytest.fixture
def landing(tmp_path):
    folder = tmp_path / "landing"
    folder.mkdir()
    for number in range(6):
        write(folder / f"{number}.png", number)
    return folder


def write(path, seed, *, at=LONG_AGO):
    path.write_bytes(encode(noise((20, 20), seed), "PNG"))
    os.utime(path, (at, at))


@pytest.fixture
def take(tmp_path, landing, monkeypatch):
    """Take a snapshot: (raw_images, probes, paths that were read)."""
    monkeypatch.setattr(ingest, "open_source", lambda _: Reads(landing))

    def run(requeued=(), **source):
        Reads.paths = []
        limits = source.pop("limits", {})
        dataset = config(source={"url": str(landing), **source}, limits=limits)
        taken = Snapshot(open_store(str(tmp_path / "store")), dataset, Engine(workers=1), lambda _: None)
        snapshot, probes = taken.take(requeued)
        TABLES["raw_images"].validate(snapshot, lazy=True)
        too_large = snapshot.filter(reason="bytes-over-limit")["path"]
        assert taken.files_read == len(Reads.paths) + len({*taken.brought_back, *too_large})
        return snapshot, probes, sorted(Reads.paths)

    return run


def test_a_file_that_is_listed_as_before_is_not_read_again(take, landing):
    first, probes, paths = take()
    assert paths == [f"{number}.png" for number in range(6)]
    write(landing / "new.png", 9)
    second, more, paths = take()
    assert paths == ["new.png"]
    assert second.filter(pl.col("path") != "new.png").equals(first)
    assert more.filter(pl.col("image_id").is_in(probes["image_id"].implode())).equals(probes)
    assert more.height == 7


def test_a_snapshot_is_the_same_whether_files_were_read_or_remembered(take, tmp_path):
    take()
    remembered = take()
    for segment in (tmp_path / "store").rglob("sightings/*/*"):
        segment.unlink()
    read = take()
    assert remembered[2] == []
    assert len(read[2]) == 6
    assert remembered[0].equals(read[0])
    assert remembered[1].equals(read[1])


def change_size(path):
    write(path, 3)
    with path.open("ab") as out:
        out.write(b"\0")
    os.utime(path, (LONG_AGO, LONG_AGO))


def change_time(path):
    os.utime(path, (LONG_AGO + 1, LONG_AGO + 1))


def change_file(path):
    before = path.rename(path.with_name("before"))  # it keeps its inode until the new file has one
    path.write_bytes(before.read_bytes())
    os.utime(path, (LONG_AGO, LONG_AGO))
    before.unlink()


@pytest.mark.parametrize("change", [change_size, change_time, change_file])
def test_a_file_that_is_listed_otherwise_is_read_again(take, landing, change):
    take()
    change(landing / "3.png")
    assert take()[2] == ["3.png"]


def test_a_file_that_was_just_written_is_read_again_for_its_time_may_not_tell_of_a_second_write(take, landing):
    write(landing / "0.png", 0, at=time.time())
    take()
    assert take()[2] == ["0.png"]


def test_a_file_whose_blob_is_gone_or_short_is_read_again(take, tmp_path):
    snapshot, _, _ = take()
    store = open_store(str(tmp_path / "store"))
    store.delete(blob_key(snapshot["sha256"][1]))
    store.put(blob_key(snapshot["sha256"][4]), b"short")
    assert take()[2] == ["1.png", "4.png"]
    assert store.size(blob_key(snapshot["sha256"][1])) == store.size(blob_key(snapshot["sha256"][4])) > 100


def test_a_file_that_is_no_image_is_remembered_with_its_reason(take, landing):
    (landing / "text.png").write_bytes(b"not an image at all")
    os.utime(landing / "text.png", (LONG_AGO, LONG_AGO))
    first, _, _ = take()
    second, _, paths = take()
    assert paths == []
    assert second.equals(first)
    assert second.filter(pl.col("path") == "text.png")["reason"].to_list() == ["format-not-allowed"]


def test_damaged_memory_is_no_memory(take, tmp_path):
    first, _, _ = take()
    for segment in (tmp_path / "store").rglob("sightings/*/*"):
        segment.write_bytes(segment.read_bytes()[:-9])
    second, _, paths = take()
    assert len(paths) == 6
    assert second.equals(first)


def test_a_snapshot_that_was_killed_goes_on_where_it_stopped(take, landing, monkeypatch):
    monkeypatch.setattr(ingest, "SEGMENT_ROWS", 2)
    monkeypatch.setattr(ingest, "BATCH", 1)
    read = Reads.read

    def killed_at_the_fifth(self, file):
        if file.path == "4.png":
            raise Killed
        return read(self, file)

    monkeypatch.setattr(Reads, "read", killed_at_the_fifth)
    with pytest.raises(Killed):
        take()
    monkeypatch.setattr(Reads, "read", read)
    _, _, paths = take()
    assert "4.png" in paths
    assert paths in (["2.png", "3.png", "4.png", "5.png"], ["4.png", "5.png"])  # what was kept, by whole segments


def test_what_a_landing_place_held_long_ago_is_forgotten(take, landing, tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "SEGMENT_ROWS", 2)
    remembered = []
    for turn in range(4):
        for number in range(6):
            (landing / f"{turn - 1}-{number}.png").unlink(missing_ok=True)
            (landing / f"{number}.png").unlink(missing_ok=True)
            write(landing / f"{turn}-{number}.png", 10 * turn + number)
        _, _, paths = take()
        assert len(paths) == 6
        memory = ingest.sightings_of(open_store(str(tmp_path / "store")), config(source={"url": str(landing)})).load()
        remembered.append(memory.height)
        assert take()[2] == []  # what is there is remembered
    assert max(remembered) <= 18


def asked(snapshot, *paths):
    """A request for files as a snapshot names them."""
    rows = snapshot.filter(pl.col("path").is_in(paths)).select("path", "sha256", "size_bytes")
    return [RequeuedFile(**row) for row in rows.iter_rows(named=True)]


@pytest.fixture
def misjudged(take, tmp_path, landing):
    """A first snapshot; then what is remembered of 3.png is wrong: a decoder that was at fault called it undecodable."""
    snapshot, probes, _ = take()
    wrong = {"image_id": snapshot["sha256"][3], "reason": "undecodable", "detail": "a fault of the decoder"}
    store = open_store(str(tmp_path / "store"))
    (key,) = store.keys("datasets/shapes/probes")
    store.delete(key)
    kept = probes.filter(pl.col("image_id") != wrong["image_id"])
    memory = Segments(store, key.rsplit("/", 1)[0], "probes", ("image_id",))
    memory.append(pl.concat([kept, to_frame("probes", [wrong])]))
    assert take()[1]["reason"].drop_nulls().to_list() == ["undecodable"]
    return snapshot, probes


def test_a_file_that_is_requeued_is_read_and_decoded_again_though_it_is_listed_as_before(take, misjudged):
    snapshot, probes = misjudged
    again = take(asked(snapshot, "3.png"))
    assert again[2] == ["3.png"]
    assert again[0].equals(snapshot)
    assert again[1].equals(probes)
    after = take()
    assert after[2] == []
    assert after[1].equals(probes)  # what was found then is what is remembered


def test_what_is_forgotten_is_only_what_was_requeued(take, misjudged, tmp_path):
    snapshot, _ = misjudged
    take(asked(snapshot, "0.png"))
    known = ProbeStore(open_store(str(tmp_path / "store")), config()).known()
    assert known.height == 6
    assert known.filter(pl.col("reason").is_not_null())["image_id"].to_list() == [snapshot["sha256"][3]]


def test_a_requeued_file_that_the_source_has_no_more_is_taken_from_what_is_kept_and_only_once(take, landing, misjudged):
    snapshot, probes = misjudged
    (landing / "3.png").unlink()
    again = take(asked(snapshot, "3.png"))
    assert again[2] == []
    assert again[0].equals(snapshot)
    assert again[1].equals(probes)
    assert "3.png" not in take()[0]["path"]


def test_a_requeued_file_that_was_uploaded_anew_is_the_one_in_the_source(take, landing):
    snapshot, _, _ = take()
    write(landing / "3.png", 33)
    again = take(asked(snapshot, "3.png"))
    assert again[2] == ["3.png"]
    assert again[0]["sha256"][3] == sha256((landing / "3.png").read_bytes()) != snapshot["sha256"][3]


def test_limits_of_today_hold_for_what_is_brought_back(take, landing):
    snapshot, _, _ = take()
    (landing / "3.png").unlink()
    again = take(asked(snapshot, "3.png"), limits={"max_bytes": 100})
    assert again[0]["reason"].to_list() == ["bytes-over-limit"] * 6  # and for what is remembered


def test_bytes_that_were_kept_and_are_damaged_by_now_are_a_row_with_a_reason(take, landing, tmp_path):
    snapshot, _, _ = take()
    (landing / "3.png").unlink()
    store = open_store(str(tmp_path / "store"))
    key = blob_key(snapshot["sha256"][3])
    store.put(key, store.get(key)[::-1])
    row = take(asked(snapshot, "3.png"))[0].row(3, named=True)
    assert (row["path"], row["reason"], row["sha256"]) == ("3.png", "unreadable", None)
    assert "the bytes that were kept are damaged" in row["detail"]


@pytest.mark.parametrize("gone", ["the bytes", "the pattern", "the copies"])
def test_what_cannot_be_brought_back_is_left_out(take, landing, tmp_path, gone):
    snapshot, _, _ = take()
    (landing / "3.png").unlink()
    if gone == "the bytes":
        open_store(str(tmp_path / "store")).delete(blob_key(snapshot["sha256"][3]))
    more = {"the pattern": {"exclude": ["3*"]}, "the copies": {"mode": "reference"}}.get(gone, {})
    again = take(asked(snapshot, "3.png"), **more)[0]
    assert again["path"].to_list() == [f"{number}.png" for number in (0, 1, 2, 4, 5)]


def test_a_file_that_was_never_read_can_be_requeued(take):
    snapshot, _, _ = take(limits={"max_bytes": 100})
    assert snapshot["sha256"].null_count() == 6
    again = take(asked(snapshot, "3.png"))
    assert len(again[2]) == 6
    assert again[0]["reason"].null_count() == 6


def test_bytes_that_are_referred_to_are_not_copied_and_read_from_where_they_are(take, tmp_path, landing):
    copied, _, _ = take()
    store = open_store(str(tmp_path / "store"))
    for key in list(store.keys("blobs")):
        store.delete(key)
    snapshot, probes, paths = take(mode="reference")
    assert len(paths) == 6
    assert list(store.keys("blobs")) == []
    assert snapshot.drop("pin").equals(copied.drop("pin"))
    assert snapshot["pin"].null_count() == 0
    assert probes["reason"].null_count() == 6
    content = contents_of(store, str(landing), snapshot)
    for path, image_id in snapshot.select("path", "sha256").iter_rows():
        assert content.read(image_id) == (landing / path).read_bytes()
    assert take(mode="reference")[2] == []


def pinned(snapshot, landing, tmp_path):
    return contents_of(open_store(str(tmp_path / "store")), str(landing), snapshot)


@pytest.mark.parametrize("change", [change_size, Path.unlink])
def test_a_pinned_file_that_changed_is_an_error_that_names_it(take, tmp_path, landing, change):
    snapshot, _, _ = take(mode="reference")
    change(landing / "3.png")
    with pytest.raises(SourceChanged, match=r"3\.png .*pinned.*or begin a new version"):
        pinned(snapshot, landing, tmp_path).read(snapshot["sha256"][3])


def test_a_version_of_an_object_that_ended_is_read_again_as_the_one_that_holds_the_same_bytes_now(tmp_path, bucket):
    client = bucket.endpoint.client()
    client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        bucket.put(f"{number}.png", encode(noise((20, 20), number), "PNG"))
    dataset, store = config(source={"url": bucket.url, "mode": "reference"}), open_store(str(tmp_path / "store"))

    def take():
        taken = Snapshot(store, dataset, Engine(workers=1), lambda _: None)
        return taken.take()[0], taken.files_read

    first, read = take()
    assert read == 3
    assert first["pin"].str.starts_with("version:").all()
    assert take()[1] == 0
    ended = first["pin"][1].removeprefix("version:")
    client.delete_object(Bucket=bucket.name, Key="1.png", VersionId=ended)
    bucket.put("1.png", encode(noise((20, 20), 1), "PNG"))
    with pytest.raises(
        SourceChanged, match=r"1\.png .* as it was pinned .*restore that object, or begin a new version"
    ):
        contents_of(store, bucket.url, first).read(first["sha256"][1])
    second, read = take()
    assert read == 1
    assert second.drop("pin").equals(first.drop("pin"))
    assert second["pin"].to_list() != first["pin"].to_list()
    for image_id in second["sha256"]:
        assert sha256(contents_of(store, bucket.url, second).read(image_id)) == image_id
    assert take()[1] == 0


def test_pinned_bytes_that_changed_behind_their_stamp_are_told_by_their_hash(take, tmp_path, landing):
    snapshot, _, _ = take(mode="reference")
    path = landing / "3.png"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    with path.open("r+b") as opened:  # the same inode
        opened.write(data)
    os.utime(path, ns=(int(snapshot["pin"][3].split(":")[0]),) * 2)
    with pytest.raises(SourceChanged, match="found sha256"):
        pinned(snapshot, landing, tmp_path).read(snapshot["sha256"][3])


def test_a_stamp_is_trusted_only_once_its_time_is_past(landing):
    source = LocalSource(landing)
    (file, *_) = files_of(source.listing())
    written_ns = int(file.stamp.split(":")[0])
    assert not source.is_settled(file.stamp, written_ns + 2_000_000_000)
    assert source.is_settled(file.stamp, written_ns + 3_000_000_000)
    assert not source.is_settled(replace(file, stamp=None).stamp, written_ns + 3_000_000_000)
