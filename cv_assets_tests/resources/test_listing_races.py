"""Uploads that are moved while they are listed: what is gone is as if it had never been seen, and the rest is listed."""

import shutil

import pytest

from resources import listing
from resources.listing import list_folder
from schemas.errors import SourceError


@pytest.fixture
def landing(tmp_path):
    for path in ("a/1.png", "b/c/2.png", "d/3.png"):
        (tmp_path / "landing" / path).parent.mkdir(parents=True)
        (tmp_path / "landing" / path).write_bytes(b"x")
    return tmp_path / "landing"


def scan_and_lose(monkeypatch, lose, *, at):
    """From here on, `lose` is called right before a folder whose path ends so is looked into."""
    scan = listing._scan

    def scan_later(folder, **settings):
        if str(folder).rstrip("/").endswith(at):
            lose()
        return scan(folder, **settings)

    monkeypatch.setattr(listing, "_scan", scan_later)


@pytest.mark.parametrize(("gone", "left"), [("a", ["b/c/2.png", "d/3.png"]), ("b/c", ["a/1.png", "d/3.png"])])
def test_a_folder_that_is_gone_before_it_is_looked_into_is_left_out(landing, monkeypatch, gone, left):
    scan_and_lose(monkeypatch, lambda: shutil.rmtree(landing / gone), at=f"landing/{gone}")
    assert list_folder(landing)["path"].to_list() == left


def test_the_folder_of_all_uploads_must_not_go_away(landing, monkeypatch):
    scan_and_lose(monkeypatch, lambda: shutil.rmtree(landing), at="landing")
    with pytest.raises(
        SourceError, match=r"cannot list .*landing: No such file or directory; a snapshot must see every"
    ):
        list_folder(landing)


def test_a_folder_that_becomes_a_file_ends_the_listing_which_would_miss_that_file(landing, monkeypatch):
    def swap():
        shutil.rmtree(landing / "a")
        (landing / "a").write_bytes(b"x")

    scan_and_lose(monkeypatch, swap, at="landing/a")
    with pytest.raises(SourceError, match="Not a directory"):
        list_folder(landing)


def test_a_folder_that_becomes_a_link_is_not_followed(landing, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret.png").write_bytes(b"x")

    def swap():
        shutil.rmtree(landing / "a")
        (landing / "a").symlink_to(elsewhere)

    scan_and_lose(monkeypatch, swap, at="landing/a")
    with pytest.raises(SourceError, match="Not a directory"):
        list_folder(landing)
