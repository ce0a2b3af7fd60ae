"""A version laid out as files: complete, unaltered, nothing outside of the folder, nobody's own work lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cv_assets_tests.resources.killed_checkouts import ONE, TWO, version
from cv_assets_tests.resources.made import make_open, make_version, sha256
from resources import working_tree
from resources.checkout import check_out
from resources.content_store import blob_key
from resources.laying_out import Wish
from resources.object_store import open_store
from resources.settings import PROJECT_ROOT
from resources.versions import VersionStore
from resources.working_tree import WorkingTree
from schemas.errors import ConfigurationError, CorruptObject, StoreError
from schemas.upkeep import CheckoutRecord


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


def files_in(folder: Path) -> dict[str, bytes]:
    """Path → bytes of everything but what the checkout keeps for itself."""
    every = (path for path in folder.rglob("*") if not path.is_dir())
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in every}
    return {path: data for path, data in found.items() if not path.startswith(".cv-assets")}


@pytest.mark.parametrize("how", ["best", "copy"])
def test_a_checkout_is_the_uploads_byte_for_byte(any_store, folder, how):
    done = check_out(version(any_store), folder, Wish(how=how))
    assert files_in(folder) == ONE
    assert (done.files, done.size_bytes) == (4, sum(map(len, ONE.values())))
    linked = 4 if how == "best" and any_store.is_local else 0
    assert (done.linked, done.copied) == (linked, 4 - linked)
    marker = CheckoutRecord.from_bytes((folder / ".cv-assets.json").read_bytes())
    assert (marker.dataset, marker.version, marker.digest, marker.complete) == ("shapes", "v1", done.digest, True)


def test_a_linked_file_is_the_blob_and_nobody_may_write_to_it(store, folder):
    check_out(version(store), folder, Wish(how="link"))
    blob = store.local_path(blob_key(sha256(ONE["circle/a.png"])))
    assert (folder / "circle/a.png").samefile(blob)
    assert blob.stat().st_mode & 0o777 == 0o444


def test_a_blob_that_others_may_not_read_is_not_opened_to_them(store, folder):
    made = version(store)
    blob = store.local_path(blob_key(sha256(ONE["circle/a.png"])))
    blob.chmod(0o640)
    check_out(made, folder, Wish(how="link"))
    assert blob.stat().st_mode & 0o777 == 0o440


def test_a_copied_file_may_be_written_to_and_the_store_does_not_change(store, folder):
    check_out(version(store), folder, Wish(how="copy"))
    (folder / "circle/a.png").write_bytes(b"scribble")
    assert store.get(blob_key(sha256(ONE["circle/a.png"]))) == ONE["circle/a.png"]


def test_quarantined_files_come_only_when_they_are_asked_for(store, folder):
    made = version(store, rejected=["circle/sub/b.png"])
    check_out(made, folder, Wish())
    assert set(files_in(folder)) == set(ONE) - {"circle/sub/b.png"}
    check_out(made, folder, Wish(quarantined=True))
    assert files_in(folder) == ONE


def test_class_folders_come_with_the_classes_that_they_stand_for(store, folder):
    files = {"circle/a.png": b"1", "..": b"2", "a%b/c.png": b"3"}
    done = check_out(make_version(store, "v1", files), folder, Wish(layout="classes"))
    found = files_in(folder)
    assert set(found) == {"classes.json", *(f"{c}/{sha256(d)}.png" for c, d in
        (("circle", b"1"), ("%2E%2E", b"2"), ("a%25b", b"3")))}  # fmt: skip
    assert b'"%2E%2E": ".."' in found["classes.json"]
    assert (done.files, done.absent_classes) == (3, [])


def test_class_folders_of_a_split_come_with_all_classes_and_the_ones_that_it_lacks_are_told(store, folder):
    files = {"circle/a.png": b"1", "square/b.png": b"2"}
    made = make_version(store, "v1", files, splits={"square/b.png": "val"})
    done = check_out(made, folder, Wish(layout="classes", splits=("val",)))
    found = files_in(folder)
    assert json.loads(found["classes.json"]) == {"classes": {"circle": "circle", "square": "square"}}
    assert {path.partition("/")[0] for path in found} == {"classes.json", "square"}
    assert done.absent_classes == ["circle"]


@pytest.mark.parametrize("how", ["best", "copy"])
def test_another_version_in_the_same_folder_moves_only_what_differs(store, folder, how):
    one, two = version(store), version(store, "v2", TWO)
    check_out(one, folder, Wish(how=how))
    before = {path: (folder / path).stat().st_ino for path in ONE}
    done = check_out(two, folder, Wish(how=how))
    assert files_in(folder) == TWO
    assert (done.linked + done.copied, done.unchanged, done.removed, done.kept) == (2, 2, 1, [])
    assert not (folder / "circle/sub").exists()
    assert (folder / "square/c.png").stat().st_ino == before["square/c.png"]
    assert check_out(one, folder, Wish(how=how)).files == 4
    assert files_in(folder) == ONE


def test_another_layout_in_the_same_folder_leaves_nothing_of_the_first(store, folder):
    made = version(store, files={**ONE, "classes.json": b"{}"})
    check_out(made, folder, Wish())
    check_out(made, folder, Wish(layout="classes"))
    assert len(files_in(folder)) == 5
    check_out(made, folder, Wish())
    assert files_in(folder) == {**ONE, "classes.json": b"{}"}


def test_a_checkout_that_was_copied_elsewhere_goes_on_to_another_version(store, folder, tmp_path):
    one, two = version(store), version(store, "v2", TWO)
    check_out(one, folder, Wish(how="copy"))
    shutil.copytree(folder, tmp_path / "moved", copy_function=shutil.copyfile)
    assert check_out(two, tmp_path / "moved", Wish(how="copy")).kept == []
    assert files_in(tmp_path / "moved") == TWO


def test_names_of_classes_that_somebody_changed_are_kept_and_told_until_it_is_forced(store, folder):
    made = version(store)
    check_out(made, folder, Wish())
    (folder / "classes.json").write_bytes(b"mine")
    for _ in range(2):
        assert check_out(made, folder, Wish(layout="classes")).kept == ["classes.json"]
        assert files_in(folder)["classes.json"] == b"mine"
    assert check_out(made, folder, Wish(layout="classes", force=True)).kept == []
    assert b'"circle": "circle"' in files_in(folder)["classes.json"]
    assert check_out(made, folder, Wish(layout="classes")).kept == []


@pytest.mark.parametrize("how", ["best", "copy"])
def test_what_somebody_changed_is_kept_and_told_until_it_is_forced(store, folder, how):
    one, two = version(store), version(store, "v2", TWO)
    check_out(one, folder, Wish(how=how))
    for path in ("circle/a.png", "circle/sub/b.png", "square/c.png"):
        (folder / path).unlink()
        (folder / path).write_bytes(b"mine")
    (folder / "star").mkdir()
    (folder / "star/d.png").write_bytes(b"mine, too")
    (folder / "notes.txt").write_bytes(b"nobody's business")

    done = check_out(two, folder, Wish(how=how))
    assert sorted(done.kept) == ["circle/a.png", "circle/sub/b.png", "square/c.png", "star/d.png"]
    assert files_in(folder)["circle/a.png"] == b"mine"
    assert sorted(check_out(two, folder, Wish(how=how)).kept) == sorted(done.kept)
    assert check_out(two, folder, Wish(how=how, force=True)).kept == []
    assert files_in(folder) == {**TWO, "notes.txt": b"nobody's business"}


def test_a_link_that_was_written_through_is_told(store, folder):
    made = version(store)
    check_out(made, folder, Wish())
    path = folder / "circle/a.png"
    path.chmod(0o644)
    path.write_bytes(b"A ROUND ONE")
    assert check_out(made, folder, Wish()).kept == ["circle/a.png"]
    # the blob was written to, too: it is not linked again as if it were the image
    with pytest.raises(CorruptObject):
        check_out(made, folder, Wish(force=True))


def test_a_write_through_a_link_that_no_time_tells_of_is_found_when_it_is_asked_for(store, folder):
    made = version(store)
    check_out(made, folder, Wish())
    path = folder / "circle/a.png"
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"A ROUND ONE")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(CorruptObject):
        check_out(made, folder, Wish(verify=True))


def test_copies_take_the_place_of_links_and_links_that_of_copies_when_they_are_asked_for(store, folder):
    made = version(store)
    check_out(made, folder, Wish())
    done = check_out(made, folder, Wish(how="copy"))
    assert (done.copied, done.unchanged) == (4, 0)
    assert {(folder / path).stat().st_nlink for path in ONE} == {1}
    assert check_out(made, folder, Wish()).unchanged == 4
    done = check_out(made, folder, Wish(how="link"))
    assert (done.linked, done.unchanged) == (4, 0)
    assert check_out(made, folder, Wish(how="link")).unchanged == 4


def test_a_file_that_somebody_removed_comes_back(store, folder):
    made = version(store)
    check_out(made, folder, Wish())
    shutil.rmtree(folder / "circle")
    assert check_out(made, folder, Wish()).linked == 2
    assert files_in(folder) == ONE


def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(store, folder):
    folder.mkdir()
    (folder / "thesis.tex").write_bytes(b"years")
    with pytest.raises(ConfigurationError, match="to be empty or an earlier checkout; name another folder"):
        check_out(version(store), folder, Wish(force=True))
    assert files_in(folder) == {"thesis.tex": b"years"}


def test_a_checkout_of_another_dataset_is_refused(store, folder):
    check_out(version(store), folder, Wish())
    marker = CheckoutRecord.from_bytes((folder / ".cv-assets.json").read_bytes())
    (folder / ".cv-assets.json").write_bytes(marker.model_copy(update={"dataset": "faces"}).to_bytes())
    with pytest.raises(ConfigurationError, match="checkout of shapes, found one of faces@v1"):
        check_out(version(store), folder, Wish())


def test_two_checkouts_are_not_at_work_in_one_folder(store, folder):
    made = version(store)
    with WorkingTree(folder), pytest.raises(ConfigurationError, match="another checkout is at work in "):
        check_out(made, folder, Wish())
    check_out(made, folder, Wish())
    assert files_in(folder) == ONE


def test_a_damaged_marker_is_refused(store, folder):
    check_out(version(store), folder, Wish())
    (folder / ".cv-assets.json").write_bytes(b"{}")
    with pytest.raises(ConfigurationError, match=r"\.cv-assets\.json is damaged; empty the folder"):
        check_out(version(store), folder, Wish())


@pytest.mark.parametrize("damage", [Path.unlink, lambda listed: listed.write_bytes(b"")], ids=["gone", "empty"])
def test_a_checkout_whose_list_of_files_is_lost_is_refused(store, folder, damage):
    check_out(version(store), folder, Wish())
    damage(folder / ".cv-assets.files.parquet")
    # which files of the first version are to go, nothing tells
    with pytest.raises(ConfigurationError, match=r"\.cv-assets\.files\.parquet is damaged or gone.*; empty the folder"):
        check_out(version(store, "v2", TWO), folder, Wish())
    assert files_in(folder) == ONE


def test_the_source_is_no_place_for_a_checkout(store, tmp_path, monkeypatch):
    made = version(store)
    monkeypatch.chdir(tmp_path)
    (tmp_path / made.commit().source_url).mkdir(parents=True, exist_ok=True)
    for inside in (Path(made.commit().source_url), Path(made.commit().source_url) / "v1"):
        with pytest.raises(ConfigurationError, match="a folder outside of the source"):
            check_out(made, tmp_path / inside, Wish())


def test_the_store_itself_is_no_place_for_a_checkout(store):
    for folder in (store.local_path("x"), store.local_path("x").parent / "deep" / "er"):
        with pytest.raises(ConfigurationError, match="a folder outside of the store"):
            check_out(version(store), folder, Wish())


def test_an_open_version_is_refused(store, folder):
    with pytest.raises(ConfigurationError, match="expected a committed version, found shapes@v9 open"):
        check_out(make_open(store, "v9", ONE), folder, Wish())
    assert not folder.exists()


def test_a_path_that_leads_out_of_the_folder_is_refused_before_anything_is_written(store, folder, tmp_path):
    with pytest.raises(ConfigurationError, match=r"found '\.\./escaped\.png'"):
        check_out(version(store, files={"../escaped.png": b"!", **ONE}), folder, Wish())
    assert not folder.exists()
    assert not (tmp_path / "escaped.png").exists()


@pytest.mark.parametrize("how", ["best", "copy"])
@pytest.mark.parametrize("force", [False, True])
def test_no_link_below_the_folder_is_followed(store, folder, tmp_path, how, force):
    one, two = version(store), version(store, "v2", TWO)
    check_out(one, folder, Wish(how=how))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.png").write_bytes(b"precious")
    shutil.rmtree(folder / "circle")
    (folder / "circle").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match=r"found a file or a link, which is not followed"):
        check_out(two, folder, Wish(how=how, force=force))
    assert files_in(tmp_path / "elsewhere") == {"a.png": b"precious"}


@pytest.mark.parametrize("how", ["best", "copy"])
def test_a_link_in_place_of_a_file_is_replaced_and_not_written_through(store, folder, tmp_path, how):
    made = version(store)
    check_out(made, folder, Wish(how=how))
    (tmp_path / "precious").write_bytes(b"precious")
    (folder / "circle/a.png").unlink()
    (folder / "circle/a.png").symlink_to(tmp_path / "precious")
    assert check_out(made, folder, Wish(how=how)).kept == ["circle/a.png"]
    check_out(made, folder, Wish(how=how, force=True))
    assert files_in(folder) == ONE
    assert not (folder / "circle/a.png").is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"


DAMAGES = {
    "gone": (lambda path: path.unlink(), StoreError, "cv-assets repair"),
    "short": (lambda path: path.write_bytes(b"a"), CorruptObject, "cv-assets repair"),
}


@pytest.mark.parametrize(("damage", "error", "said"), DAMAGES.values(), ids=DAMAGES)
def test_a_blob_that_is_not_whole_is_not_linked(store, folder, damage, error, said):
    made = version(store)
    damage(store.local_path(blob_key(sha256(ONE["circle/a.png"]))))
    with pytest.raises(error, match=said):
        check_out(made, folder, Wish())
    assert not (folder / "circle/a.png").exists()


@pytest.mark.parametrize("wish", [Wish(how="copy"), Wish(verify=True)], ids=["copied", "verified"])
def test_altered_bytes_are_found_when_they_are_copied_or_verified(any_store, folder, wish):
    made = version(any_store)
    any_store.put(blob_key(sha256(ONE["circle/a.png"])), b"A round one")
    with pytest.raises(CorruptObject):
        check_out(made, folder, wish)
    assert not (folder / "circle/a.png").exists()


def test_names_that_the_file_system_takes_for_one_are_refused(store, folder, monkeypatch):
    made = version(store, files={"circle/a.png": b"1", "circle/A.png": b"2"})
    with monkeypatch.context() as patch:
        patch.setattr(working_tree.WorkingTree, "folds_names", lambda _: True)
        with pytest.raises(ConfigurationError, match=r"no note of case .* found 'circle/A\.png' and 'circle/a\.png'"):
            check_out(made, folder, Wish())
    assert files_in(folder) == {}
    assert check_out(made, folder, Wish()).files == 2


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("how", ["best", "copy"])
@pytest.mark.parametrize("then", ["on", "back"])
def test_a_checkout_that_was_killed_at_any_step_is_finished_or_undone_by_the_next(tmp_path, how, then):
    program = Path(__file__).with_name("killed_checkouts.py")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    subprocess.run([sys.executable, program, tmp_path, how], check=True, env=environment, timeout=120)
    places = sorted(tmp_path.iterdir())
    assert len(places) > 8
    for place in places:
        one, two = (VersionStore(open_store(str(place / "store")), "shapes", name) for name in ("v1", "v2"))
        # the same again, or back to the one before: nothing of the other one stays
        for made, files in ((two, TWO), (one, ONE))[:: 1 if then == "on" else -1]:
            assert check_out(made, place / "out", Wish(how=how)).kept == []
            found = files_in(place / "out")
            assert {path: data for path, data in found.items() if not path.endswith(".tmp")} == files


def kill_at(monkeypatch, number, call):
    """Let the call end at its n-th link."""
    links = iter(range(1, 99))
    link = os.link

    def end(*arguments, **more):
        if next(links) == number:
            raise Killed
        return link(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(working_tree.os, "link", end)
        with pytest.raises(Killed):
            call()


def test_a_first_checkout_that_was_killed_is_known_for_what_it_is(store, folder, monkeypatch):
    made = version(store)
    kill_at(monkeypatch, 3, lambda: check_out(made, folder, Wish()))
    assert CheckoutRecord.from_bytes((folder / ".cv-assets.json").read_bytes()).complete is False
    other = check_out(version(store, "v2", {"star/d.png": b"a star", "labels.csv": b""}), folder, Wish())
    assert (other.removed, other.kept) == (1, [])
    assert set(files_in(folder)) == {"star/d.png", "labels.csv"}


def test_a_first_checkout_that_was_killed_is_gone_on_with(store, folder, monkeypatch):
    made = version(store)
    kill_at(monkeypatch, 3, lambda: check_out(made, folder, Wish()))
    again = check_out(made, folder, Wish())
    assert (again.unchanged, again.linked, again.kept) == (2, 2, [])
    assert files_in(folder) == ONE
