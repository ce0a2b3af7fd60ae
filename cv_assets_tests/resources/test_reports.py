"""The files of a report: kept with a version as its tables are, and looked after like everything that a record names."""

import json
import os
from datetime import timedelta
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from PIL import Image

from cv_assets.commands import reporting
from cv_assets.domain.digests import table_digest
from cv_assets.domain.expecting import expectations_key
from cv_assets.domain.releasing import build_commit
from cv_assets_tests.domain.images import decoded, encode, oriented, picture
from cv_assets_tests.domain.quality.reported import finding, page_of, report, tables
from cv_assets_tests.domain.tables import config, digests_of
from cv_assets_tests.resources.made import TABLES, make_open, make_version, sha256, tables_of
from cv_assets_tests.resources.places import said_in_lines
from resources.content_store import ContentStore
from resources.engine import Engine
from resources.garbage import collect_garbage
from resources.inspecting import Inspection, Scope
from resources.object_store import open_store
from resources.reading_back import CURES
from resources.refs import Refs
from resources.repairing import repair_version
from resources.reports import DATA, FILES, PAGE, find_report_key, load_report, make_thumbnails, save_report
from resources.verdicts import list_failed
from resources.verifying import verify_version
from resources.versions import VersionStore
from schemas.errors import ConfigurationError, CorruptObject, StoreError, VersionConflict
from schemas.images import Limits
from schemas.releases import AssetVerdicts, Verdict
from schemas.tables import TABLES as MODELS
from schemas.tables import to_frame

UPLOADS = {f"circle/{n}.png": f"image {n}".encode() * (n + 1) for n in range(3)}
DARK = tables(finding("dark", "circle/1.png", score=0.1))
REPORT = report(DARK)
HTML, OTHER = page_of(DARK).encode(), b"<!DOCTYPE html><p>another layout</p>"


@pytest.fixture
def store():
    return open_store(f"memory:///{os.urandom(8).hex()}")


@pytest.fixture
def version(store):
    return VersionStore(store, "shapes", "v1")


def commit(version, *, with_report=True):
    """Publish a version of UPLOADS, with the report that was saved before or without any; it is latest then."""
    make_open(version.store, version.version, UPLOADS)
    made = tables_of(UPLOADS)
    for name in TABLES:
        version.save_table(name, made[name])
    keys = [(version.find_table_key(name), "table") for name in TABLES]
    if with_report:
        keys += [(find_report_key(version, name), "report") for name in FILES]
    objects = [version.describe_object(key, role) for key, role in keys]
    version.publish(build_commit(config(), version.version, made, digests_of(made), checks=[], objects=objects))
    Refs(version.store, "shapes").advance(version.version)
    return VersionStore(version.store, "shapes", version.version)


def reported(store, name="v1"):
    """A committed version whose record names its report."""
    version = VersionStore(store, "shapes", name)
    save_report(version, HTML, REPORT)
    return commit(version)


def test_a_report_comes_back_as_it_was_and_its_key_tells_its_content(any_store):
    version = VersionStore(any_store, "shapes", "v1")
    keys = save_report(version, HTML, REPORT)
    assert load_report(version, PAGE) == HTML
    assert json.loads(load_report(version, DATA)) == REPORT
    assert keys[PAGE] == f"datasets/shapes/versions/v1/report/report-{sha256(HTML)[:16]}.html"
    assert keys[DATA].endswith(".json")


def test_equal_reports_are_equal_bytes(store):
    one, other = (VersionStore(store, "shapes", name) for name in ("v1", "v2"))
    save_report(one, HTML, REPORT)
    save_report(other, HTML, dict(reversed(REPORT.items())))
    assert load_report(one, DATA) == load_report(other, DATA)


def test_the_report_of_an_open_version_may_change(version):
    save_report(version, HTML, REPORT)
    save_report(version, OTHER, REPORT)
    assert load_report(version, PAGE) == OTHER


def test_a_committed_version_keeps_the_report_that_it_was_committed_with(store):
    version = reported(store)
    before = {key: store.get(key) for key in store.keys("datasets")}
    keys = save_report(version, OTHER, {**REPORT, "passed": False})
    assert keys == {name: find_report_key(version, name) for name in FILES}
    assert load_report(version, PAGE) == HTML
    assert {key: store.get(key) for key in store.keys("datasets")} == before


def test_a_late_run_cannot_change_the_report_that_another_one_has_committed_meanwhile(store):
    late = VersionStore(store, "shapes", "v1")
    assert late.commit() is None  # it has looked, and is slow from here on
    reported(store)
    save_report(late, OTHER, REPORT)
    reader = VersionStore(store, "shapes", "v1")
    assert load_report(reader, PAGE) == HTML
    assert verify_version(reader, read_data=True).passed


def test_a_committed_report_that_is_gone_is_written_again_and_a_damaged_one_is_an_error(store):
    version = reported(store)
    key = find_report_key(version, PAGE)
    store.delete(key)
    save_report(version, HTML, REPORT)
    assert store.get(key) == HTML
    store.put(key, OTHER)
    with pytest.raises(VersionConflict):
        save_report(version, HTML, REPORT)
    assert store.get(key) == OTHER


def test_a_version_that_was_committed_without_a_report_may_get_one_beside_its_record(store):
    version = commit(VersionStore(store, "shapes", "v1"), with_report=False)
    record = store.get(version.commit_key)
    with pytest.raises(ConfigurationError, match="committed by a release that made none"):
        load_report(version, PAGE)
    save_report(version, HTML, REPORT)
    assert load_report(version, PAGE) == HTML
    assert store.get(version.commit_key) == record


def test_without_a_report_it_is_said_how_to_make_one(store):
    version = make_open(store, "v2", UPLOADS)
    with pytest.raises(ConfigurationError, match="make it with `cv-assets run shapes --version v2`"):
        load_report(version, PAGE)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data.replace(b"dark", b"dork"), lambda _: b""])
def test_a_damaged_report_is_an_error_and_is_not_shown(store, version, damage):
    save_report(version, HTML, REPORT)
    for name in FILES:
        key = find_report_key(version, name)
        store.put(key, damage(store.get(key)))
        with pytest.raises(CorruptObject, match="repair the version"):
            load_report(version, name)
        store.delete(key)
        with pytest.raises(StoreError, match="found none; repair the version"):
            load_report(version, name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("damage", "problem"),
    [(None, "missing"), (lambda data: b"!" + data[1:], "altered"), (lambda data: data[:9], "short")],
)
def test_verify_covers_the_report_and_repair_brings_it_back_from_a_copy(store, name, damage, problem):
    version = reported(store)
    copy = open_store(f"memory:///{os.urandom(8).hex()}")
    for prefix in ("blobs", "datasets"):
        for key in store.keys(prefix):
            copy.put(key, store.get(key))
    key = find_report_key(version, name)
    before = store.get(key)
    store.delete(key)
    if damage is not None:
        store.put(key, damage(before))
    (found,) = verify_version(version, read_data=True).problems
    assert (found.key, found.role, found.problem, found.cure) == (key, "report", problem, CURES["report"])
    assert repair_version(version, copies=[copy]).remaining == []
    assert store.get(key) == before


def test_a_sound_report_is_counted_and_has_no_problem(store):
    version = reported(store)
    seen = Inspection(version, Scope(read_data=True), lambda _: None).run()
    assert seen.problems == []
    assert seen.objects == 1 + len(TABLES) + len(FILES) + len(UPLOADS)


def test_the_collector_keeps_reports_and_takes_them_with_their_version(store):
    old, new = reported(store), reported(store, "v2")
    collect_garbage(store, grace=timedelta(0))
    assert verify_version(old, read_data=True).passed
    keys = [find_report_key(old, name) for name in FILES]
    collect_garbage(store, grace=timedelta(0), keep_last=1)
    assert [store.look(key) for key in keys] == [None, None]
    assert load_report(new, PAGE) == HTML


def test_the_table_of_a_release_may_name_reports(store):
    entries = reported(store).commit().objects
    frame = to_frame("release", [entry.model_dump() for entry in entries])
    assert set(MODELS["release"].validate(frame, lazy=True)["role"]) == {"table", "report"}


def test_thumbnails_are_small_upright_and_without_metadata(tmp_path):
    store = open_store(str(tmp_path / "store"))
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    wide = encode(picture((400, 200)), "JPEG", exif=exif, icc_profile=b"a secret profile")
    turned = oriented(picture((400, 200)), 6)
    content = ContentStore(store)
    ids = [content.add(data) for data in (wide, turned)]
    made = make_thumbnails(content, Engine(workers=1), Limits(), [*ids, ids[0]])
    assert set(made) == set(ids)
    assert decoded(made[ids[0]]).size == (128, 64)
    assert decoded(made[ids[1]]).size == (64, 128)
    assert all(decoded(data).format == "JPEG" and not decoded(data).getexif() for data in made.values())
    assert not [data for data in made.values() if b"secret" in data or b"Exif" in data]


def test_an_image_that_no_worker_gets_through_has_no_thumbnail(tmp_path):
    content = ContentStore(open_store(str(tmp_path / "store")))
    sound, broken = content.add(encode(picture(), "PNG")), content.add(b"no image at all")
    assert set(make_thumbnails(content, Engine(workers=1), Limits(), [sound, broken])) == {sound}


@pytest.fixture
def local(tmp_path, monkeypatch):
    """A version with a report in a store on local disk, which the command line looks into."""
    monkeypatch.setenv("CV_ASSETS_STORE", str(tmp_path / "store"))
    return reported(open_store(str(tmp_path / "store")))


@pytest.fixture
def opened(monkeypatch):
    """Addresses that a browser was asked to open."""
    asked = []
    monkeypatch.setattr(reporting, "webbrowser", SimpleNamespace(open=lambda url: asked.append(url) or True))
    return asked


def command(*arguments, exit_code=0):
    done = CliRunner().invoke(reporting.report, list(arguments))
    assert done.exit_code == exit_code, done.output
    return done


def test_the_command_says_what_was_found_and_where_the_page_lies(local):
    said = command("shapes@v1").stdout
    assert said.splitlines()[0] == "shapes@v1  passed"
    assert any(line.split()[:3] == ["WARN", "dark", "1"] for line in said.splitlines())
    assert str(local.store.local_path(find_report_key(local, PAGE))) in said


def test_the_command_gives_the_report_as_json(local):
    assert json.loads(command("shapes@latest", "--json").stdout) == {**REPORT, "failed": []}


def test_the_command_writes_the_page_to_a_file(local, tmp_path):
    command("shapes@v1", "--output", str(tmp_path / "page.html"))
    assert (tmp_path / "page.html").read_bytes() == HTML
    said = command("shapes@v1", "--output", str(tmp_path / "nowhere" / "page.html"), exit_code=2)
    assert "--output: cannot write" in said.stderr


def test_the_command_opens_the_page_of_a_local_store_where_it_lies(local, opened):
    command("shapes@v1", "--open")
    assert opened == [local.store.local_path(find_report_key(local, PAGE)).as_uri()]


def test_the_command_opens_a_copy_of_a_page_that_lies_elsewhere(bucket, opened, monkeypatch, tmp_path):
    monkeypatch.setenv("CV_ASSETS_STORE", f"{bucket.url}/reports")
    monkeypatch.setattr(reporting.tempfile, "tempdir", str(tmp_path))
    reported(open_store(f"{bucket.url}/reports"))
    command("shapes@v1", "--open")
    (copy,) = tmp_path.glob("*.html")
    assert opened == [copy.as_uri()]
    assert copy.read_bytes() == HTML


def test_the_command_says_so_where_there_is_no_browser(local, monkeypatch):
    monkeypatch.setattr(reporting, "webbrowser", SimpleNamespace(open=lambda _: False))
    assert "no browser was found" in command("shapes@v1", "--open").stderr


def test_the_command_ends_with_one_for_a_version_that_is_blocked_and_names_the_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("CV_ASSETS_STORE", str(tmp_path / "store"))
    version = VersionStore(open_store(str(tmp_path / "store")), "shapes", "v1")
    make_open(version.store, "v1", UPLOADS)
    blocked = report(tables(finding("dark", "circle/1.png", severity="ERROR")), failed=("\x1b[31mred",))
    save_report(version, HTML, blocked)
    said = command("shapes@v1", exit_code=1).stdout
    assert "blocks: dark" in said
    assert "\\x1b[31mred" in said
    assert said_in_lines(said)


def keep(version, asset, name, *, of="splits", passed=False, severity="ERROR", digest=None):
    """Keep a verdict on a table of the version, as a check would."""
    verdict = Verdict(
        name=name,
        asset=asset.partition(".")[0],
        passed=passed,
        severity=severity,
        blocking=severity == "ERROR",
        description=f"{name} should hold.",
    )
    digests = {of: digest or table_digest(version.load_table(of))}
    version.save_verdicts(AssetVerdicts(asset=asset, table_digests=digests, verdicts=[verdict]))


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """An open version with a report in which nothing blocks, and with splits."""
    monkeypatch.setenv("CV_ASSETS_STORE", str(tmp_path / "store"))
    version = make_open(open_store(str(tmp_path / "store")), "v1", UPLOADS)
    version.save_table("splits", tables_of(UPLOADS)["splits"])
    save_report(version, HTML, REPORT)
    return version


@pytest.mark.parametrize("asset", ["splits", expectations_key("splits")])
def test_the_command_names_the_checks_that_failed_after_the_page_was_made(checked, asset):
    keep(checked, asset, "groups")
    said = command("shapes@v1", exit_code=1).stdout
    assert said.splitlines()[0] == "shapes@v1  blocked"
    assert said.count("blocks: check  splits: groups failed: groups should hold.") == 1
    found = json.loads(command("shapes@v1", "--json", exit_code=1).stdout)
    assert (found["passed"], found["failed"]) == (False, ["splits: groups failed: groups should hold."])


def test_a_check_that_the_page_knows_of_is_named_once(checked):
    keep(checked, "manifest", "ids")
    save_report(checked, HTML, report(DARK, failed=tuple(list_failed(checked, ["manifest"]))))
    assert command("shapes@v1", exit_code=1).stdout.count("manifest: ids failed") == 1


@pytest.mark.parametrize("how", [{"passed": True}, {"severity": "WARN"}, {"digest": "of other content"}])
def test_no_check_is_named_that_passed_or_warns_or_saw_other_content(checked, how):
    keep(checked, "splits", "groups", **how)
    assert command("shapes@v1").stdout.splitlines()[0] == "shapes@v1  passed"


def test_a_damaged_verdict_of_an_open_version_counts_as_none(checked):
    keep(checked, "splits", "groups")
    checked.store.put("datasets/shapes/versions/v1/verdicts/splits.json", b"{}")
    command("shapes@v1")


def test_the_command_ends_with_two_where_there_is_no_report(tmp_path, monkeypatch):
    monkeypatch.setenv("CV_ASSETS_STORE", str(tmp_path / "store"))
    make_version(open_store(str(tmp_path / "store")), "v1", UPLOADS)
    assert "The next version has one: `cv-assets run shapes`" in command("shapes@v1", exit_code=2).stderr
    command("shapes@v9", exit_code=2)
    command("shapes", exit_code=2)


def test_the_command_refuses_a_damaged_page(local, opened):
    path = local.store.local_path(find_report_key(local, PAGE))
    path.write_bytes(OTHER)
    assert "is damaged" in command("shapes@v1", "--open", exit_code=1).stderr
    assert opened == []
