"""Stores of every kind for the tests of this room."""

import os

import pytest

from resources.object_store import ObjectStore, open_store


@pytest.fixture(params=["disk", "memory", "s3"])
def any_store(request: pytest.FixtureRequest) -> ObjectStore:
    """An empty store on local disk, in memory, and on S3 below a prefix."""
    if request.param == "s3":
        return open_store(f"{request.getfixturevalue('bucket').url}/some/prefix")
    folder = request.getfixturevalue("tmp_path") / "store"
    return open_store(str(folder) if request.param == "disk" else f"memory:///{os.urandom(8).hex()}")
