"""The landing place: whatever lies there is a row, nothing is followed, and nothing waits."""

import os
import re
import socket
import stat
from contextlib import nullcontext
from pathlib import Path

import pytest

from cv_assets_tests.domain.images import encode, picture
from cv_assets_tests.domain.tables import config
from resources.content_store import ContentStore
from resources.ingest import entries_of, ingest, list_source
from resources.listing import SourceFile, files_of
from resources.object_store import open_store
from resources.source import LocalSource, NotRead, open_source, pin_of
from resources.urls import require_apart
from schemas.errors import ConfigurationError, SourceError
from schemas.tables import TABLES, to_frame

PNG = encode(picture((16, 12)), "PNG")

ODD_NAMES = [
    "with space.png",
    " leading and trailing ",
    "new\nline.png",
    "a..b.png",
    "a...png",
    "-rf.png",
    "--help",
    "\u202egnp.exe.png",
    "\x1b[31mred.png",
    "<script>.png",
    "=cmd().png",
    "%2e%2e.png",
    "back\\slash.png",
    "quote'\".png",
    "tab\t.png",
    "😀.png",
    "CON.png",
    "x" * 250 + ".png",
]


def snapshot(folder, **settings):
    """Path → row of raw_images, as the line would make it; the rows are held to the table's law."""
    dataset = config(source={"url": str(folder)}, **settings)
    source, content = open_source(str(folder)), ContentStore(open_store(str(folder.parent / "store")))
    entries = entries_of(list_source(source, dataset).files)
    rows = [one.row for one in ingest(entries, source, content, dataset, threads=2)]
    TABLES["raw_images"].validate(to_frame("raw_images", rows), lazy=True)
    return {row["path"]: row for row in rows}


@pytest.fixture
def landing(tmp_path):
    folder = tmp_path / "landing"
    folder.mkdir()
    (folder / "sound.png").write_bytes(PNG)
    return folder


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_file_with_an_odd_name_is_a_file(landing, name):
    (landing / name).write_bytes(PNG)
    rows = snapshot(landing)
    assert set(rows) == {"sound.png", name}
    assert rows[name]["reason"] is None
    assert rows[name]["sha256"] == rows["sound.png"]["sha256"]


TWINS = [
    ("a.png", "A.png"),  # a case-insensitive disk has only one of them
    ("größe.png", "gro\u0308ße.png"),  # composed and decomposed
    ("strasse.png", "straße.png"),
    ("a.png", "a .png"),
    ("a.png", "а.png"),  # Latin and Cyrillic
    ("ﬁ.png", "fi.png"),
]


@pytest.mark.parametrize("twins", TWINS)
def test_names_that_look_alike_are_two_files(landing, twins):
    for number, name in enumerate(twins):
        (landing / name).write_bytes(PNG + bytes(number))
    rows = snapshot(landing)
    assert len(rows) == 3
    assert len({rows[name]["sha256"] for name in twins}) == 2


def test_what_is_no_file_is_a_row_with_a_reason_and_is_not_opened(landing, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(PNG)
    (landing / "link.png").symlink_to(secret)
    (landing / "dangling.png").symlink_to(tmp_path / "gone")
    (landing / "loop.png").symlink_to(landing / "loop.png")
    (landing / "folder").symlink_to(landing)
    (landing / "environ.png").symlink_to("/proc/self/environ")
    os.mkfifo(landing / "pipe.png")
    with socket.socket(socket.AF_UNIX) as opened:
        home = Path.cwd()
        os.chdir(landing)  # the path of a socket holds 108 bytes
        opened.bind("socket.png")
        os.chdir(home)
        rows = snapshot(landing)
    # a few digits of a hash of the name keep it apart from a sound name that is spelt like the escape
    assert {re.sub(r" \[[0-9a-f]{8}\]$", "", path): row["reason"] for path, row in rows.items()} == {
        "sound.png": None,
        "link.png": "symbolic-link",
        "dangling.png": "symbolic-link",
        "loop.png": "symbolic-link",
        "folder": "symbolic-link",
        "environ.png": "symbolic-link",
        "pipe.png": "not-a-regular-file",
        "socket.png": "not-a-regular-file",
    }
    assert all(row["sha256"] is None for row in rows.values() if row["reason"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_no_upload(landing):
    try:
        os.mknod(landing / "zero.png", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this container may not make devices")
    assert snapshot(landing)["zero.png"]["reason"] == "not-a-regular-file"


def test_a_name_that_is_not_text_is_a_row_that_shows_its_bytes(landing):
    (landing / os.fsdecode(b"caf\xe9.png")).write_bytes(PNG)
    folder = landing / os.fsdecode(b"d\xff")
    folder.mkdir()
    (folder / "a.png").write_bytes(PNG)
    rows = snapshot(landing)
    # a few digits of a hash of the name keep it apart from a sound name that is spelt like the escape
    assert {re.sub(r" \[[0-9a-f]{8}\]$", "", path): row["reason"] for path, row in rows.items()} == {
        "sound.png": None,
        "caf\\xe9.png": "name-not-text",
        "d\\xff/a.png": "name-not-text",
    }


def test_a_name_that_is_not_text_beside_one_that_spells_the_same_escape_are_two_rows(landing):
    (landing / os.fsdecode(b"a\xff.png")).write_bytes(PNG)
    (landing / "a\\xff.png").write_bytes(PNG)
    assert len(snapshot(landing)) == 3


def test_sizes_and_content_are_looked_at_before_any_decoder(landing):
    (landing / "empty.png").write_bytes(b"")
    (landing / "large.png").write_bytes(PNG + bytes(10_000))
    (landing / "page.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    (landing / "really.jpg").write_bytes(PNG)
    rows = snapshot(landing, limits={"max_bytes": 10_000})
    assert {path: (row["reason"], row["format"]) for path, row in rows.items()} == {
        "sound.png": (None, "png"),
        "empty.png": ("empty-file", None),
        "large.png": ("bytes-over-limit", None),
        "page.jpg": ("format-not-allowed", None),
        "really.jpg": (None, "png"),  # by content, not by name
    }
    assert rows["large.png"]["sha256"] is None
    assert rows["page.jpg"]["sha256"] is not None  # its bytes are kept with the reason


def test_files_come_in_the_order_of_their_paths_whatever_the_disk_says(landing):
    for name in ("z.png", "a/z.png", "a.png", "B.png", "a/b/c.png"):
        (landing / name).parent.mkdir(parents=True, exist_ok=True)
        (landing / name).write_bytes(PNG)
    assert list(snapshot(landing)) == ["B.png", "a.png", "a/b/c.png", "a/z.png", "sound.png", "z.png"]


def test_folders_a_thousand_deep_are_walked(tmp_path):
    root = tmp_path / "landing"
    root.mkdir()
    home = Path.cwd()
    os.chdir(root)
    try:
        for _ in range(900):
            Path("d").mkdir()
            os.chdir("d")
        Path("a.png").write_bytes(PNG)
    finally:
        os.chdir(home)
    assert LocalSource(root).listing()["path"].to_list() == ["d/" * 900 + "a.png"]


def test_a_file_that_changes_while_it_is_read_is_not_taken():
    # the kernel makes this file up as it is read: 0 bytes are announced, more are read
    with pytest.raises(NotRead, match="let uploads settle") as caught:
        LocalSource(Path("/proc/self")).read(SourceFile("status", 0, stamp="0:0"))
    assert caught.value.reason == "changed-while-reading"


def test_a_file_that_grows_within_one_step_of_the_clock_after_it_was_listed_is_not_taken(landing):
    source = LocalSource(landing)
    (file,) = files_of(source.listing())
    before = (landing / "sound.png").stat()
    with (landing / "sound.png").open("ab") as opened:
        opened.write(b"more")
    os.utime(landing / "sound.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(NotRead, match=f"it had {len(PNG)} bytes, and has {len(PNG) + 4}; let") as caught:
        source.read(file)
    assert caught.value.reason == "changed-while-reading"


PINS = [
    ("L4kqtJlcpXroDTDmpUMLUo", '"ab"', "version:L4kqtJlcpXroDTDmpUMLUo"),
    (None, '"ab"', 'etag:"ab"'),
    ("null", '"ab"', 'etag:"ab"'),  # a bucket that kept versions once, or does so since this was uploaded
    ("", '"ab"', 'etag:"ab"'),
]


@pytest.mark.parametrize(("version", "e_tag", "pin"), PINS)
def test_only_a_version_that_stays_pins_an_object(version, e_tag, pin):
    assert pin_of(version, e_tag) == pin


def swap_for_link(path):
    path.unlink()
    path.symlink_to("/etc/passwd")


def swap_for_pipe(path):
    path.unlink()
    os.mkfifo(path)


def swap_for_folder(path):
    path.unlink()
    path.mkdir()


SWAPS = [Path.unlink, swap_for_link, swap_for_pipe, swap_for_folder]


@pytest.mark.parametrize("swap", SWAPS, ids=lambda swap: swap.__name__)
def test_a_file_that_becomes_something_else_after_it_was_listed_is_not_read(landing, swap):
    source = LocalSource(landing)
    (file,) = files_of(source.listing())
    swap(landing / "sound.png")
    with pytest.raises(NotRead):
        source.read(file)


def test_a_file_that_becomes_a_pipe_with_a_silent_writer_is_neither_read_nor_waited_for(landing):
    source = LocalSource(landing)
    (file,) = files_of(source.listing())
    swap_for_pipe(landing / "sound.png")
    writer = os.open(landing / "sound.png", os.O_RDWR | os.O_NONBLOCK)
    try:
        with pytest.raises(NotRead):
            source.read(file)
    finally:
        os.close(writer)


def test_a_file_that_outgrows_its_limit_after_it_was_listed_is_not_taken(landing, tmp_path):
    dataset = config(source={"url": str(landing)}, limits={"max_bytes": 10_000})
    source = LocalSource(landing)
    listing = list_source(source, dataset)
    (landing / "sound.png").write_bytes(PNG + bytes(50_000))
    ((row, _, _),) = ingest(
        entries_of(listing.files), source, ContentStore(open_store(str(tmp_path / "store"))), dataset, threads=1
    )
    assert row["reason"] in {"bytes-over-limit", "changed-while-reading"}


NO_SOURCE = [
    # what stands at the url, and what the message says
    (lambda path: None, "found nothing; correct source.url"),
    (lambda path: path.write_bytes(b"x"), "found something else; correct source.url"),
    (lambda path: path.symlink_to(path.parent / "gone"), "found nothing; correct source.url"),
]


@pytest.mark.parametrize(("make", "words"), NO_SOURCE)
def test_a_source_that_is_no_folder_is_said(tmp_path, make, words):
    make(tmp_path / "landing")
    with pytest.raises(SourceError, match=words):
        open_source(str(tmp_path / "landing")).listing()


@pytest.mark.parametrize("url", ["http://169.254.169.254/x", "ftp://host/x", "javascript:x", "data:,x"])
def test_a_source_elsewhere_is_refused(url):
    with pytest.raises(ConfigurationError, match=r"expected source\.url to be a local path, file:///FOLDER or s3://"):
        open_source(url)


def test_a_file_url_names_a_folder_with_its_escapes(tmp_path):
    (tmp_path / "with space").mkdir()
    (tmp_path / "with space" / "a.png").write_bytes(PNG)
    url = f"file://{tmp_path}/with%20space"
    assert open_source(url).listing()["path"].to_list() == ["a.png"]


APART = [
    ("s3://data", "s3://data/store", False),
    ("s3a://data", "s3://data/store", False),
    ("S3://data/", "s3a://data/store", False),
    ("s3://data/up", "s3://data/store", True),
    ("s3a://data/up", "s3://data/upper", True),
]


@pytest.mark.parametrize(("url", "store", "apart"), APART)
def test_a_store_among_the_uploads_is_refused_however_its_address_is_spelled(url, store, apart):
    with nullcontext() if apart else pytest.raises(ConfigurationError, match="expected a store outside of"):
        require_apart(url, store)
