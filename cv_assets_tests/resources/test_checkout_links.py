"""Where a checkout makes no links: it copies and says why, or refuses if links were asked for."""

import os
import re

import pytest

from cv_assets_tests.resources.killed_checkouts import ONE, version
from resources import checkout, working_tree
from resources.checkout import check_out
from resources.content_store import ContentStore, PinnedContent
from resources.laying_out import Wish
from resources.object_store import open_store
from resources.source import open_source
from schemas.errors import ConfigurationError, StoreError


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


def test_where_no_links_can_be_made_files_are_copied(store, folder, monkeypatch):
    def refuse(*_, **__):
        raise OSError(18, os.strerror(18))

    made = version(store)
    monkeypatch.setattr(working_tree.os, "link", refuse)
    with pytest.raises(StoreError, match=r"Invalid cross-device link.*leave --link out"):
        check_out(made, folder, Wish(how="link"))
    done = check_out(made, folder, Wish())
    assert (done.copied, done.why_copied) == (
        4,
        f"{folder} takes no hard link to the store {store.url}: {os.strerror(18)}",
    )
    assert {path: (folder / path).read_bytes() for path in ONE} == ONE


def test_images_that_stay_in_the_source_are_copied_and_it_is_said_why(store, folder, monkeypatch):
    read = ContentStore(store).read
    monkeypatch.setattr(PinnedContent, "read", lambda _, sha256: read(sha256))
    monkeypatch.setattr(checkout, "contents_of", lambda *_: PinnedContent(store, open_source(str(folder.parent)), {}))
    why = r"the images stay in the source \(source.mode: reference\)"
    with pytest.raises(ConfigurationError, match=f"--link: expected a store on local disk .* found that {why}"):
        check_out(version(store), folder, Wish(how="link"))
    done = check_out(version(store), folder, Wish())
    assert (done.linked, done.copied) == (0, 4)
    assert re.match(why, done.why_copied)
    assert check_out(version(store), folder, Wish()).why_copied is None  # nothing is copied


def test_links_are_refused_for_a_store_that_is_elsewhere(folder):
    made = version(open_store("memory:///checkout"))
    with pytest.raises(ConfigurationError, match="found that the store memory:///checkout is not a folder of this"):
        check_out(made, folder, Wish(how="link"))
