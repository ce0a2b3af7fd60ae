"""Bytes that stay in a local source: their hash tells whether a file is still the one that was pinned, and nothing else does."""

import errno
import os
import shutil

import pytest

from cv_assets.domain.packing.plan import PlannedShard, Sample
from cv_assets_tests.conftest import write_files
from cv_assets_tests.resources.made import make_version, sha256
from cv_assets_tests.resources.test_packing import members
from resources.checkout import check_out
from resources.content_store import contents_of
from resources.engine import Engine
from resources.inspecting import Inspection, Scope
from resources.laying_out import Wish
from resources.listing import stamp_of
from resources.object_store import open_store
from resources.packing import Packer
from resources.source import open_source
from resources.verifying import verify_version
from schemas.errors import SourceChanged, SourceError, SourceGone, SourceUnavailable
from schemas.images import Limits

FILES = {f"circle/{number}.png": f"image {number}".encode() for number in range(3)}
ONE = "circle/1.png"


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "uploads"
    write_files(folder, FILES.items())
    return folder


def refer(folder, files=FILES):
    """A version over files that stay in a folder."""
    pins = {path: stamp_of((folder / path).stat()) for path in files}
    store = open_store(str(folder.parent / "store"))
    return make_version(store, "v1", files, source=str(folder), pins=pins)


def content_of(version):
    return contents_of(version.store, version.commit().source_url, version.load_table("raw_images"))


def problems(version, *, read_data):
    """Path → problem and what was found, of everything that a look finds."""
    seen = Inspection(version, Scope(read_data=read_data), lambda _: None).run()
    return {one.key: (one.problem, one.found) for one in seen.problems}


def restore(folder):
    """As from a backup: the same bytes and times, in other inodes."""
    aside = folder.rename(folder.with_name("aside"))  # which keeps the inodes, so that no other file has them
    shutil.copytree(aside, folder)


def touch(folder):
    for path in FILES:
        os.utime(folder / path, (1, 1))


@pytest.mark.parametrize("change", [restore, touch])
def test_a_file_that_was_restored_or_moved_with_its_bytes_is_the_one_that_was_pinned(source, tmp_path, change):
    version = refer(source)
    before = {path: stamp_of((source / path).stat()) for path in FILES}
    change(source)
    assert all(stamp_of((source / path).stat()) != stamp for path, stamp in before.items())
    for read_data in (False, True):
        assert verify_version(version, read_data=read_data).passed
    check_out(version, tmp_path / "out", Wish())
    assert {path: (tmp_path / "out" / path).read_bytes() for path in FILES} == FILES
    packer = Packer(version, content_of(version), Engine(workers=1), Limits())
    samples = tuple(Sample(sha256(data), "png", 1, False, b"{}", len(data)) for data in FILES.values())
    (entry,) = packer.pack("webdataset-1", "webdataset", [PlannedShard("train", 1, samples)])
    packed = members(version.store, entry.key)
    assert {packed[f"{sha256(data)}.png"] for data in FILES.values()} == set(FILES.values())


def test_what_is_as_it_was_is_not_read_to_tell_so(source, monkeypatch):
    version = refer(source)
    monkeypatch.setattr("resources.source.LocalSource._read", lambda *_: pytest.fail("read"))
    assert problems(version, read_data=False) == {}


def replace(path):
    times = path.stat()
    path.write_bytes(path.read_bytes().swapcase())
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1))


def replace_by_a_link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def replace_by_a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def replace_by_a_folder(path):
    path.unlink()
    path.mkdir()


def grow(path):
    os.truncate(path, 1 << 40)  # a hole: whoever read it would need 1 TB of memory


# what becomes of a file → the problem that is told, and words of it
CHANGES = {
    replace: ("altered", r"expected circle/1\.png to hold the bytes that were pinned .*, found sha256 "),
    grow: ("altered", "as it was pinned: it had 7 bytes, and has 1099511627776; put its bytes back, or begin a new"),
    replace_by_a_link: ("altered", "as it was pinned: a symbolic link is in its place; put its bytes back"),
    replace_by_a_pipe: ("altered", "as it was pinned: it is no regular file; put its bytes back"),
    replace_by_a_folder: ("altered", "as it was pinned: Is a directory; put its bytes back"),
    os.unlink: ("missing", "as it was pinned: No such file or directory; put its bytes back, or begin a new version"),
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_file_that_is_another_by_now_is_told_and_neither_followed_nor_waited_for(source, change):
    version = refer(source)
    change(source / ONE)
    problem, words = CHANGES[change]
    with pytest.raises(SourceChanged, match=words) as caught:
        content_of(version).read(sha256(FILES[ONE]))
    assert isinstance(caught.value, SourceGone) == (problem == "missing")
    for read_data in (False, True):
        assert problems(version, read_data=read_data) == {ONE: (problem, str(caught.value))}


@pytest.mark.parametrize("read_data", [False, True])
def test_a_folder_that_is_not_there_is_one_error_and_no_finding_about_each_file(source, read_data):
    version = refer(source)
    shutil.rmtree(source)
    for look in (lambda: problems(version, read_data=read_data), lambda: content_of(version).read(sha256(FILES[ONE]))):
        with pytest.raises(SourceUnavailable, match=r"expected .*uploads to stay .* mount it again, then run again"):
            look()


# what opening a file meets with → what is raised, and words of it
MET = {
    errno.EIO: (SourceChanged, "as it was pinned: Input/output error; put its bytes back"),
    errno.EMFILE: (SourceError, r"cannot read .*circle/1\.png: Too many open files; mend that, then run again"),
    errno.ESTALE: (SourceError, r"cannot read .*circle/1\.png: Stale file handle; mend that, then run again"),
}


@pytest.mark.parametrize("met", MET, ids=errno.errorcode.get)
def test_what_is_not_the_fault_of_a_file_is_no_change_of_it(source, monkeypatch, met):
    content, (kind, words) = content_of(refer(source)), MET[met]

    def refuse(path, *_):
        raise OSError(met, os.strerror(met), path)

    monkeypatch.setattr("resources.source.os.open", refuse)
    with pytest.raises(SourceError, match=words) as caught:
        content.read(sha256(FILES[ONE]))
    assert type(caught.value) is kind


def test_a_file_that_is_written_to_while_it_is_read_is_not_taken(tmp_path):
    # the kernel makes this file up as it is read: 0 bytes are announced, more are read
    with pytest.raises(SourceChanged, match="it had 0 bytes before it was read"):
        open_source("/proc/self").read_pinned("status", "1:2", 0)


def test_an_image_is_read_from_any_file_that_has_its_bytes_and_the_one_that_lost_them_is_told(source):
    twins = {**FILES, "square/1.png": FILES[ONE]}
    write_files(source, twins.items())
    version = refer(source, twins)
    image_id = sha256(FILES[ONE])
    (source / ONE).unlink()
    assert content_of(version).read(image_id) == FILES[ONE]
    for read_data in (False, True):
        assert {path: problem for path, (problem, _) in problems(version, read_data=read_data).items()} == {
            ONE: "missing"
        }
    (source / "square/1.png").write_bytes(b"another")
    with pytest.raises(
        SourceGone, match=r"circle/1\.png as .* \(1 more held the same bytes and do not either, such as sq"
    ):
        content_of(version).read(image_id)
