"""A source of which this user may not see everything: files are rejected, folders end the snapshot, which would miss files."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cv_assets_tests.domain.images import encode, picture
from resources.settings import PROJECT_ROOT

PNG = encode(picture((16, 12)), "PNG")
UNREADABLE = """
import json, os, sys
from pathlib import Path
from resources.listing import files_of
from resources.source import LocalSource, NotRead
if os.geteuid() == 0:  # root may read everything
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
source, found = LocalSource(Path(sys.argv[1])), {}
for file in files_of(source.listing()):
    try:
        found[file.path] = len(source.read(file).data)
    except NotRead as error:
        found[file.path] = [error.reason, str(error)]
print(json.dumps(found))
"""


def as_nobody(code, *arguments):
    """Run code that gives up its rights."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT, check=False)


@pytest.fixture
def public_folder():
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_file_that_may_not_be_read_is_a_row_and_the_others_are_read(public_folder):
    for name in ("a.png", "b.png"):
        (public_folder / name).write_bytes(PNG)
        (public_folder / name).chmod(0o644)
    (public_folder / "b.png").chmod(0)
    done = as_nobody(UNREADABLE, str(public_folder))
    assert json.loads(done.stdout) == {
        "a.png": len(PNG),
        "b.png": ["unreadable", "cannot be read: Permission denied"],
    }


def test_a_folder_that_may_not_be_listed_ends_the_snapshot_which_would_miss_files(public_folder):
    (public_folder / "closed").mkdir(mode=0)
    done = as_nobody(UNREADABLE, str(public_folder))
    assert (
        f"SourceError: cannot list {public_folder / 'closed'}: Permission denied; a snapshot must see every file"
        in done.stderr
    )


def test_a_folder_whose_files_may_be_listed_and_no_more_ends_the_snapshot_too(public_folder):
    (public_folder / "named").mkdir(mode=0o755)
    (public_folder / "named" / "a.png").write_bytes(PNG)
    (public_folder / "named").chmod(0o444)
    done = as_nobody(UNREADABLE, str(public_folder))
    assert (
        f"SourceError: cannot list {public_folder / 'named'}: Permission denied; a snapshot must see every file"
        in done.stderr
    )


def test_a_source_below_a_folder_that_may_not_be_entered_is_said(public_folder):
    (public_folder / "closed").mkdir(mode=0)
    done = as_nobody(UNREADABLE, str(public_folder / "closed" / "uploads"))
    uploads = public_folder / "closed" / "uploads"
    assert f"SourceError: expected a folder with uploads at {uploads}, found Permission denied" in done.stderr
    assert "let this user enter it" in done.stderr


CLOSED_BLOBS = """
import os, sys
import polars as pl
from resources.content_store import ContentStore
from resources.object_store import open_store
from schemas.errors import StoreError
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    ContentStore(open_store(sys.argv[1])).has(pl.DataFrame({"sha256": ["a" * 64], "size_bytes": [1]}))
except StoreError as error:
    print(error)
"""


def test_a_folder_of_blobs_that_may_not_be_entered_is_said(public_folder):
    (public_folder / "blobs" / "sha256" / "aa").mkdir(parents=True, mode=0o755)
    (public_folder / "blobs" / "sha256" / "aa").chmod(0)
    done = as_nobody(CLOSED_BLOBS, str(public_folder))
    assert done.stdout.startswith(f"cannot look for images in {public_folder}/blobs/sha256: "), done.stderr
