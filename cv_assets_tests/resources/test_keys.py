"""Keys of a bucket: which are files, which mark folders, and which are rejected as no paths."""

import obstore
import pytest
from obstore.exceptions import InvalidPathError

from cv_assets_tests.domain.images import encode, picture
from cv_assets_tests.domain.tables import config
from resources.backends import remote_backends
from resources.content_store import ContentStore
from resources.ingest import entries_of, ingest, list_source
from resources.keys import why_no_path
from resources.object_store import open_store
from resources.source import open_source
from schemas.tables import TABLES, to_frame

PNG = encode(picture((16, 12)), "PNG")

ODD_KEYS = {
    "a//b.png": "has no name",
    "/above.png": "has no name",
    "a/../x.png": "is . or ..",
    "./x.png": "is . or ..",
    "tab\t.png": "control character",
    "new\nline.png": "control character",
    "delete\x7f.png": "control character",
}


@pytest.mark.parametrize("prefix", ["", "up/loads"])
def test_keys_that_are_no_paths_are_rows_with_a_reason_and_hide_no_other(bucket, tmp_path, prefix):
    below = f"{prefix}/" if prefix else ""
    for key in ("sound.png", "caf\xe9 & co.png", *ODD_KEYS):
        bucket.put(below + key, PNG)
    bucket.put(f"{below}folder/", b"")  # as consoles mark a folder
    dataset = config(source={"url": f"{bucket.url}/{prefix}"})
    source = open_source(dataset.source.url)
    listing = list_source(source, dataset)
    assert listing.not_included == []
    content = ContentStore(open_store(str(tmp_path / "store")))
    rows = [one.row for one in ingest(entries_of(listing.files), source, content, dataset, threads=2)]
    TABLES["raw_images"].validate(to_frame("raw_images", rows), lazy=True)
    by_path = {row["path"]: row for row in rows}
    assert {path for path, row in by_path.items() if row["reason"] is None} == {"sound.png", "caf\xe9 & co.png"}
    assert by_path["folder"]["reason"] == "empty-file"
    for key, why in ODD_KEYS.items():
        assert by_path[key]["reason"] == "key-not-a-path"
        assert why in by_path[key]["detail"]
        assert "rename the object" in by_path[key]["detail"]


@pytest.mark.parametrize("odd", [[], ["tab\t.png"]], ids=["by obstore", "by boto3"])
@pytest.mark.parametrize("prefix", ["", "up/"])
def test_an_empty_object_with_the_name_of_a_folder_is_no_file(bucket, prefix, odd):
    for marker in (*([prefix] if prefix else []), f"{prefix}cats/", f"{prefix}dogs/", f"{prefix}dogs/small/"):
        bucket.put(marker, b"")
    for key in ("cats/1.png", "dogs/small/2.png", "birds", "birds/3.png", *odd):
        bucket.put(prefix + key, PNG)
    listed = open_source(f"{bucket.url}/{prefix}").listing()["path"].to_list()
    assert listed == sorted(["birds", "birds/3.png", "cats/1.png", "dogs/small/2.png", *odd])


@pytest.mark.parametrize("odd", [[], ["tab\t.png"]], ids=["by obstore", "by boto3"])
@pytest.mark.parametrize("scheme", ["s3", "S3", "s3a"])
def test_an_object_and_a_mark_of_its_path_are_one_file_which_is_what_a_read_finds(bucket, odd, scheme):
    for key, data in {"a": PNG, "a/": b"", "b": PNG, "b/": b"another", **dict.fromkeys(odd, PNG)}.items():
        bucket.put(key, data)
    listed = open_source(bucket.url.replace("s3", scheme, 1)).listing()
    assert listed.select("path", "size_bytes").rows() == [(path, len(PNG)) for path in ["a", "b", *odd]]


@pytest.mark.parametrize(
    "key", [*ODD_KEYS, "sound.png", "%2e.png", "a b+c&<d>.png", "back\\slash.png", "*[x]{y}^`|.png", "\x80.png"]
)
def test_what_is_no_path_is_what_obstore_cannot_list(bucket, key):
    bucket.put(f"up/{key}", PNG)
    try:
        listed = [
            one["path"]
            for page in obstore.list(remote_backends(f"{bucket.url}/up", setting="url").asking())
            for one in page
        ]
    except InvalidPathError:
        assert why_no_path(key) is not None
    else:
        assert why_no_path(key) is None
        assert listed == [key]
