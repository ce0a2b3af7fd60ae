"""What is special to a store on local disk, which URLs are none, and blobs. What all stores do alike: test_store_conformance.py."""

import os
import subprocess
import sys
from dataclasses import asdict

import pytest

from resources.backends import remote_backends
from resources.content_store import ContentStore, blob_key
from resources.engine import Engine
from resources.object_store import open_store
from resources.settings import PROJECT_ROOT
from schemas.errors import ConfigurationError, CorruptObject, StoreError
from schemas.images import Limits

CHILD = """
import sys, time
from resources.object_store import open_store
from schemas.errors import VersionConflict
store = open_store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for key in range(20):
    try:
        store.put_new(f"a/{key}", sys.argv[2].encode() * 1000)
        print("won", key, flush=True)
    except VersionConflict:
        print("lost", key, flush=True)
"""


@pytest.fixture
def store(any_store):
    return any_store


def test_of_six_processes_exactly_one_writes_each_new_object(tmp_path):
    folder = str(tmp_path / "store")
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, folder, str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT,
        )
        for number in range(6)
    ]  # fmt: skip
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate()[0].splitlines() for child in children]
    won = sorted(int(line.split()[1]) for lines in said for line in lines if line.startswith("won"))
    assert won == list(range(20))
    assert sum(map(len, said)) == 6 * 20
    store = open_store(folder)
    for number, lines in enumerate(said):
        assert all(
            store.get(f"a/{line.split()[1]}") == str(number).encode() * 1_000
            for line in lines
            if line.startswith("won")
        )


@pytest.mark.parametrize("key", ["../up", "a/../../up", "/../up", "a/./../../up"])
def test_no_key_leads_out_of_the_store(tmp_path, key):
    store = open_store(str(tmp_path / "deep" / "store"))
    store.put("a/b", b"x")
    for write in (store.put, store.put_new):
        with pytest.raises(StoreError):
            write(key, b"x")
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"deep/store/a/b"}


def test_an_object_that_cannot_be_written_or_read_is_said_in_one_line(tmp_path):
    store = open_store(str(tmp_path / "store"))
    store.put("a", b"x")
    with pytest.raises(StoreError) as caught:
        store.put("a/b", b"x")  # `a` is a file
    assert str(caught.value).startswith("cannot write a/b (1 bytes) to ")
    assert "\n" not in str(caught.value)
    (tmp_path / "store" / "folder").mkdir()
    with pytest.raises(StoreError, match=r"expected an object at folder in .*, found none"):
        store.get("folder")


@pytest.mark.parametrize("key", ["../secret", "a/../../secret", "/etc/passwd"])
def test_nothing_outside_the_store_is_read(tmp_path, key):
    (tmp_path / "secret").write_bytes(b"secret")
    store = open_store(str(tmp_path / "store"))
    store.put("a/b", b"x")
    with pytest.raises(StoreError):
        store.get(key)


@pytest.mark.parametrize(
    "url",
    [
        "http://host/x",
        "https://bucket.s3.amazonaws.com/x",
        "ftp://host/x",
        "sqlite:///x",
        # slips of the hand: none of them may become a folder of that name
        "s3:/bucket/x",
        "s3:bucket/x",
        "s3//bucket/x",
        "S3:/bucket/x",
        "s4://bucket/x",
        "s3 ://bucket/x",
        "s3:\\\\bucket",
        "file:store",
        "file://store/folder",
    ],
)
def test_a_store_elsewhere_or_with_a_slip_in_its_url_is_refused(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"expected CV_ASSETS_STORE to .*s3://BUCKET/PREFIX; found"):
        open_store(url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["s3://", "s3:///prefix", "s3://?x=1"])
def test_a_url_without_a_bucket_is_refused(url):
    with pytest.raises(
        ConfigurationError, match="expected CV_ASSETS_STORE to name a bucket, such as s3://BUCKET/PREFIX"
    ):
        open_store(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://<bucket>/x", "to name a bucket by letters, digits, dots, dashes and underscores; found '<bucket>'"),
        ("s3://st or", "found 'st or'"),
        ("s3://stör/x", "found 'stör'"),
        ("s3://st%20or/x", "found 'st%20or'"),
        ("s3://../x", "found '..'"),
        ("s3://[x", r"s3://BUCKET/PREFIX; found 's3://\[x'"),
        ("s3://stor ", "without blanks at its ends, found 's3://stor '; take them off"),
        ("s3://stor/pre ", "without blanks at its ends"),
        (" s3://stor/pre", "without blanks at its ends"),
        ("s3://stor/pre\n", "without blanks at its ends"),
        ("s3://st\nor/pre", r"found '\\n' in it"),
        ("s3://stor/a//b", "folders that have names"),
        ("s3://stor/../b", "folders that have names"),
        (" ", "without blanks at its ends"),
        ("store\0", "without blanks at its ends"),
        ("~nobody-of-this-name/store", "to name the home folder of a user"),
    ],
)
def test_a_slip_in_a_url_is_said_and_no_panic(tmp_path, monkeypatch, url, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=f"^expected CV_ASSETS_STORE .*{words}"):
        open_store(url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bucket", ["Old_Bucket.of-2006", "b" * 255, "3d", "my-access-point-abc-s3alias"])
def test_a_bucket_may_have_an_old_name(s3, bucket):
    assert open_store(f"s3://{bucket}/a b/ä").url == f"s3://{bucket}/a b/ä"


def test_a_folder_may_be_called_as_a_scheme_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_store("s3").local_path("a") == tmp_path / "s3" / "a"


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://host:5655/ x",
        " http://host:5655",
        "http://host:99999",
        "http://host:port",
        "http://h st",
        "host:9000",
        "ftp://host",
        "http://host?x=1",
        "http://user:hunter2@host",
    ],
)
def test_a_slip_in_the_endpoint_is_said_and_no_panic(s3, monkeypatch, endpoint):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(
        ConfigurationError, match=r"expected AWS_ENDPOINT_URL to be|AWS settings: .*; correct AWS_"
    ) as caught:
        open_store("s3://bucket/p")
    assert "hunter2" not in str(caught.value)


ENDPOINTS = {
    "of a private network": "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com",
    "that conforms to FIPS": "https://s3-fips.eu-west-1.amazonaws.com",
    "of AWS in China": "https://s3.cn-north-1.amazonaws.com.cn",
    "that is not of AWS": "http://127.0.0.1:9000",
}


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)
def test_an_endpoint_of_the_profile_is_the_one_that_is_asked(s3, monkeypatch, tmp_path, endpoint):
    (tmp_path / "config").write_text(f"[profile ours]\nregion = eu-west-1\nendpoint_url = {endpoint}\n")
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "ours")
    reached = remote_backends("s3://bucket/p", setting="CV_ASSETS_STORE").asking()
    assert reached.config["endpoint"] == endpoint


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({}, "us-east-1"),
    ],
)
def test_the_region_is_the_one_that_every_tool_of_aws_takes(s3, monkeypatch, given, taken):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    for name, region in given.items():
        monkeypatch.setenv(name, region)
    assert remote_backends("s3://bucket/p", setting="CV_ASSETS_STORE").asking().config["region"] == taken


def test_the_usual_endpoint_of_aws_is_left_to_the_client(s3, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert "endpoint" not in remote_backends("s3://bucket/p", setting="CV_ASSETS_STORE").asking().config


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
def test_a_key_with_a_line_break_is_said_and_not_shown(s3, monkeypatch, name):
    monkeypatch.setenv(name, "hunter2\n")
    with pytest.raises(ConfigurationError, match=f"expected {name} to be one line") as caught:
        open_store("s3://bucket/p")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://KEY:hunter2@bucket/x",
        "s3://KEY:with/hunter2@bucket/x",
        "s3://KEY:with#hunter2@bucket/x",
        "s3://bucket/x?KEY:hunter2@y",
        "s3://hunter2@bucket/x",
        "http://u:hunter2@host/x",
        "http://u:with/hunter2@host/x",
        "S3:/u:hunter2@b",
        "s3://K:hunter2\n@b",
        "s3://bucket?secret_access_key=hunter2",
        "s3://bucket/x#hunter2",
        "s3://?secret_access_key=hunter2",
        "http://host/x?secret_access_key=hunter2",
        "file:///x?secret_access_key=hunter2",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url):
    with pytest.raises(ConfigurationError) as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://bucket/x?y", "s3://bucket/x#y", "file:///{}/x#y", "file:///{}/x?y"])
def test_what_would_be_lost_of_a_url_is_refused(tmp_path, url):
    with pytest.raises(ConfigurationError, match=r"expected CV_ASSETS_STORE without \? and #.*found '[?#]' in it"):
        open_store(url.format(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_store_where_no_folder_can_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="set CV_ASSETS_STORE"):
        open_store(str(tmp_path / "file" / "store"))


def test_a_file_url_and_a_path_are_the_same_store(tmp_path):
    open_store(f"file://{tmp_path}/with%20space").put("a", b"x")
    assert open_store(str(tmp_path / "with space")).get("a") == b"x"


def test_blobs_are_named_by_their_hash_and_kept_once(store):
    content = ContentStore(store)
    first, again = content.add(b"pixels"), content.add(b"pixels")
    assert first == again
    assert list(store.keys("blobs")) == [blob_key(first)]
    assert content.read(first) == b"pixels"


def test_a_blob_that_was_cut_off_is_written_again(store):
    content = ContentStore(store)
    sha256 = content.add(b"pixels")
    store.put(blob_key(sha256), b"pix")
    assert content.add(b"pixels") == sha256
    assert content.read(sha256) == b"pixels"


def test_a_blob_whose_bytes_changed_is_an_error_that_names_it(store):
    content = ContentStore(store)
    sha256 = content.add(b"pixels")
    for damaged in (b"pixelS", b"pixel", b""):
        store.put(blob_key(sha256), damaged)
        with pytest.raises(CorruptObject, match="delete that object and begin a new version") as caught:
            content.read(sha256)
        assert blob_key(sha256) in str(caught.value)


def test_a_blob_that_is_gone_is_an_error(store):
    with pytest.raises(StoreError, match="expected an object at blobs/sha256/00/0000"):
        ContentStore(store).read("0" * 64)


def test_a_worker_gets_a_path_from_a_disk_and_a_function_from_elsewhere(store):
    content = ContentStore(store)
    sha256 = content.add(b"pixels")
    ((found, answer),) = content.decode(Engine(workers=1), "probe", {"limits": asdict(Limits())}, [sha256])
    assert (found, answer["sha256"]) == (sha256, sha256)


def test_nothing_but_objects_is_left_on_disk(tmp_path):
    store = open_store(str(tmp_path))
    for number in range(5):
        store.put("a/b", os.urandom(100_000 + number))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b"]
