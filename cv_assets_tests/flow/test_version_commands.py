"""The commands about versions as a person gives them: what they print, their JSON, and how they end."""

import json
import shutil
from pathlib import Path

import pytest

from cv_assets_tests.conftest import Place, drawn_files, write_files
from cv_assets_tests.domain.images import encode, noise
from cv_assets_tests.resources.places import command, said_in_lines, shared_place, write_dataset
from resources.object_store import open_store

GROUPED = 'group_by: {path_pattern: "(?P<group>camera\\\\d+)_"}'


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two committed versions: between them one image came, one went, one file got other bytes, and one was renamed."""
    with shared_place(tmp_path_factory) as place:
        write_files(place.uploads, drawn_files())
        write_dataset(place, "shapes", GROUPED)
        assert command("run", "shapes").exit_code == 0
        circle, square = place.uploads / "circle", place.uploads / "square"
        (circle / "camera01_1.jpg").unlink()
        (circle / "camera01_2.jpg").write_bytes((circle / "camera01_3.jpg").read_bytes() + b" ")
        shutil.copy(circle / "camera01_4.jpg", circle / "camera01_new.jpg")
        with (circle / "camera01_new.jpg").open("ab") as out:
            out.write(b" ")
        (square / "camera01_1.jpg").rename(square / "camera01_renamed.jpg")
        assert command("run", "shapes").exit_code == 0
        yield place


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """The two versions in a store that belongs to one test."""
    shutil.copytree(made.folder / "store", tmp_path / "store")
    monkeypatch.setenv("CV_ASSETS_STORE", str(tmp_path / "store"))
    return Place(tmp_path, made.uploads, open_store(str(tmp_path / "store")))


def parsed(*arguments, exit_code=0):
    done = command(*arguments, "--json")
    assert done.exit_code == exit_code, done.output
    return json.loads(done.stdout)


def test_diff_says_what_differs_and_how_much(place):
    found = parsed("diff", "shapes@v1", "shapes@v2")
    assert found["counts"] == {
        "added": 2, "removed": 2, "changed_paths": 1, "renamed": 1, "moved": 0,
        "annotations_added": 0, "annotations_removed": 0, "annotations_changed": 0,
    }  # fmt: skip
    assert [row["path"] for row in found["added"]] == ["circle/camera01_2.jpg", "circle/camera01_new.jpg"]
    assert [row["path"] for row in found["changed_paths"]] == ["circle/camera01_2.jpg"]
    assert found["digests"]["before"] != found["digests"]["after"]

    printed = command("diff", "shapes@v1", "latest").stdout
    assert printed.splitlines()[0] == "shapes@v1 → shapes@v2"
    assert "  + circle/camera01_new.jpg  circle" in printed
    assert "  r square/camera01_1.jpg → square/camera01_renamed.jpg" in printed
    assert said_in_lines(printed)


def test_diff_names_every_image_that_moved_to_another_split(tmp_path_factory):
    with shared_place(tmp_path_factory) as place:
        write_files(
            place.uploads, ((f"ant/{number}.png", encode(noise((20, 20), number), "PNG")) for number in range(12))
        )
        for seed in (0, 1):
            write_dataset(place, "shapes", f"split: {{seed: {seed}}}")
            assert command("run", "shapes").exit_code == 0
        found = parsed("diff", "shapes@v1", "shapes@v2")
        before, after = (place.version(place.config(), name).load_table("splits") for name in ("v1", "v2"))
        was, now = (dict(table.select("image_id", "split").iter_rows()) for table in (before, after))
        moved = {image: (was[image], now[image]) for image in was.keys() & now.keys() if was[image] != now[image]}
        assert moved  # or nothing is said of them below
        assert {row["image_id"]: (row["before"], row["after"]) for row in found["moved"]} == moved
        assert found["counts"]["moved"] == len(moved)


def test_diff_ends_with_1_only_when_it_is_asked_to(place):
    assert command("diff", "shapes@v1", "v2").exit_code == 0
    assert command("diff", "shapes@v1", "v2", "--exit-code").exit_code == 1
    done = command("diff", "shapes@v2", "latest", "--exit-code")
    assert done.exit_code == 0
    assert "the two hold the same content" in done.stdout


def test_diff_says_of_digests_only_what_is_known(tmp_path_factory):
    with shared_place(tmp_path_factory) as place:
        write_files(
            place.uploads, ((f"ant/{number}.png", encode(noise((20, 20), number), "PNG")) for number in range(12))
        )
        write_dataset(place, "shapes")
        assert command("run", "shapes").exit_code == 0
        write_files(place.uploads, [("ant/broken.png", b"no image")])
        assert command("run", "shapes").exit_code == 0
        up_to_splits = "raw_images,annotations,manifest,quarantine,quality_report,splits"
        assert command("run", "shapes", "--version", "v3", "--select", up_to_splits).exit_code == 0
        rejected, open_still = (command("diff", f"shapes@{name}", "v2", "--exit-code") for name in ("v1", "v3"))
    assert "nothing of this differs, but the digests do; not compared are rejected files, " in rejected.stdout
    assert rejected.exit_code == 1
    assert "nothing of this differs; the first is not committed" in open_still.stdout
    assert open_still.exit_code == 0


def test_names_are_given_shown_moved_and_taken_back(place):
    assert command("tag", "shapes@v1", "production").stdout == "production is shapes@v1\n"
    assert command("pin", "shapes@production", "--reason", "the paper").stdout == "shapes@v1 is pinned\n"
    assert command("rollback", "shapes", "production").stdout == "shapes@latest is v1, was v2\n"
    assert command("rollback", "shapes", "v1").stdout == "shapes@latest is v1 already\n"
    first, second = command("list").stdout.splitlines()
    assert first.endswith("latest, production, pinned: the paper")
    assert second.split()[:2] == ["shapes", "v2"]
    assert command("show", "shapes").stdout.splitlines()[0].endswith("(latest, production, pinned)")
    assert parsed("show", "shapes@production")["version"] == "v1"

    assert command("tag", "shapes@v2", "production").exit_code == 2
    assert parsed("tag", "shapes@v2", "production", "--move")["tags"] == {"production": "v2"}
    assert command("tag", "shapes@v1", "production", "--delete").exit_code == 2
    assert parsed("tag", "shapes@v2", "production", "--delete")["tags"] == {}
    assert parsed("pin", "shapes@v1", "--release")["pins"] == {}
    history = parsed("rollback", "shapes", "v2", "--reason", "found the cause")["history"]
    assert [(entry["version"], entry["reason"]) for entry in history[2:]] == [
        ("v1", "rolled back"),
        ("v2", "found the cause"),
    ]


def test_a_rollback_closes_a_gap_in_the_history(place):
    place.store.delete("datasets/shapes/refs/latest/00000001.json")
    for arguments in (("show", "shapes"), ("gc", "--keep-last", "1")):
        done = command(*arguments)
        assert (done.exit_code, "`cv-assets rollback shapes VERSION`" in done.stderr) == (1, True)
    done = command("rollback", "shapes", "v1")
    assert done.stderr == "lost from the history, which says so now: 1\n"
    assert done.stdout == "shapes@latest is v1, was v2\n"
    assert parsed("show", "shapes")["version"] == "v1"


def test_a_damaged_commit_record_hides_no_other_version(place):
    record = place.folder / "store/datasets/shapes/versions/v1/COMMIT.json"
    record.write_bytes(record.read_bytes()[:-20])
    done = command("list")
    assert done.exit_code == 1
    first, second = done.stdout.splitlines()
    assert first.split()[:3] == ["shapes", "v1", "damaged"]
    assert second.endswith("latest")
    assert "shapes@v1 is damaged" in done.stderr
    assert "restore it from a copy" in done.stderr
    assert [bool(row["damaged"]) for row in parsed("list", exit_code=1)] == [True, False]


def test_names_that_cannot_be_read_hide_neither_versions_nor_other_datasets(place, monkeypatch):
    command("pin", "shapes@v1")
    place.store.delete("datasets/shapes/refs/latest/00000001.json")
    (place.folder / "datasets").mkdir()
    monkeypatch.setenv("CV_ASSETS_DATASETS", str(place.folder / "datasets"))
    write_dataset(place, "parts")
    done = command("list")
    assert done.exit_code == 1
    assert [line.split()[:3] for line in done.stdout.splitlines()] == [
        ["parts", "-", "not"], ["shapes", "-", "damaged"], ["shapes", "v1", "122"], ["shapes", "v2", "122"],
    ]  # fmt: skip
    assert "pinned" in done.stdout
    assert done.stderr.startswith("names of shapes are damaged: expected every move of shapes@latest in ")
    assert "`cv-assets rollback shapes VERSION`, which closes the gap" in done.stderr
    assert [row["latest"] for row in parsed("list", exit_code=1)] == [False, None, None, None]


def test_versions_whose_dataset_has_no_file_any_more_are_listed_and_shown(place, monkeypatch):
    before = parsed("show", "shapes@v1")
    (place.folder / "datasets").mkdir()
    monkeypatch.setenv("CV_ASSETS_DATASETS", str(place.folder / "datasets"))
    write_dataset(place, "parts")
    none_yet, first, second = command("list").stdout.splitlines()
    assert none_yet.split() == ["parts", "-", "not", "committed"]
    assert first.endswith("  no dataset file")
    assert second.endswith("  latest, no dataset file")
    assert [row["defined"] for row in parsed("list")] == [True, False, False]
    assert command("show", "shapes@v1").stdout.splitlines()[0].endswith("  (no dataset file)")
    assert parsed("show", "shapes@v1") == {**before, "defined": False, "splits": dict(sorted(before["splits"].items()))}


def test_an_open_version_has_no_commit_record_yet_and_every_check_that_was_made_is_told(place, monkeypatch):
    names = {(check["asset"], check["name"]) for check in parsed("show", "shapes@v1")["checks"]}
    assert len(names) == len(parsed("show", "shapes@v1")["checks"])
    assert ("raw_images", "uploads_still_come") in names  # of the moment, so the commit record has it not
    open_one = parsed("run", "shapes", "--select", "raw_images")
    assert (open_one["commit"], open_one["files"]) == (None, 125)
    # what no table tells yet is not known, and is no zero
    assert [open_one[name] for name in ("images", "quarantined", "splits")] == [None, None, {}]
    lines = command("show", "shapes@v3").stdout.splitlines()
    assert [line.split() for line in lines[1:4]] == [["files", "125"], ["images", "-"], ["quarantined", "-"]]
    assert lines[-1].endswith("/store/datasets/shapes/versions/v3/")
    done = command("diff", "shapes@v1", "v3")
    assert (done.exit_code, "found shapes@v3 open, without manifest, annotations, splits" in done.stderr) == (2, True)

    monkeypatch.setattr("cv_assets.assets.splits.split_sizes", lambda *_: 1 / 0)
    failed = parsed("run", "shapes", "--version", "v3", exit_code=1)
    assert failed["success"] is False
    assert (failed["files"], failed["images"], failed["commit"]) == (125, parsed("show", "shapes@v2")["images"], None)


READING = {
    "show": ("shapes",), "diff": ("shapes@v1", "v2"), "verify": ("shapes@v1",), "gc": ("--delete",),
    "quarantine": ("shapes",), "report": ("shapes@v1",), "checkout": ("shapes@v1", "out"), "backfill": ("shapes",),
    "tag": ("shapes@v1", "good"), "pin": ("shapes@v1",), "rollback": ("shapes", "v1"), "requeue": ("shapes", "--all"),
}  # fmt: skip


@pytest.mark.parametrize("name", READING)
def test_a_store_that_is_not_there_is_said_and_not_made(made, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CV_ASSETS_STORE", "stroe")
    done = command(name, *READING[name])
    assert done.exit_code == 2
    assert f"expected a store at {tmp_path / 'stroe'}, found no folder there; correct CV_ASSETS_STORE" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_datasets_are_listed_before_there_is_a_store_and_none_is_made(made, tmp_path, monkeypatch):
    monkeypatch.setenv("CV_ASSETS_STORE", str(tmp_path / "stroe"))
    done = command("list")
    assert done.stdout.split()[:2] == ["shapes", "-"]
    assert f"no version of any dataset is in the store {tmp_path / 'stroe'}, which is not there" in done.stderr
    assert list(tmp_path.iterdir()) == []


# what is looked for in a store that holds nothing
NOT_THERE = {"list": (), "show": ("shapes@v1",), "backfill": ("shapes",), "verify": ("shapes@v1",)}


@pytest.mark.parametrize("name", NOT_THERE)
def test_where_nothing_is_found_the_store_is_named(made, tmp_path, monkeypatch, name):
    monkeypatch.setenv("CV_ASSETS_STORE", str(tmp_path))
    assert (
        f"the store {'is ' if name in {'show', 'backfill'} else ''}{tmp_path}" in command(name, *NOT_THERE[name]).stderr
    )


def test_a_rerun_after_a_rollback_leaves_latest_where_it_is(place):
    assert command("rollback", "shapes", "v1").exit_code == 0
    assert command("run", "shapes", "--version", "v2").exit_code == 0
    assert parsed("show", "shapes")["version"] == "v1"


def test_checkout_lays_the_uploads_out_and_follows_to_another_version(place):
    folder = place.folder / "out"
    assert parsed("checkout", "shapes@v2", str(folder))["linked"] == 123
    uploads = {path.relative_to(place.uploads): path.read_bytes() for path in place.uploads.rglob("*.*")}
    rejected = {Path("circle/camera02_cut_off.jpg"), Path("square/notes.txt")}
    found = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.parent != folder}
    assert found == {path: data for path, data in uploads.items() if path not in rejected}

    again = command("checkout", "shapes@v1", str(folder))
    assert again.stdout.splitlines()[1] == "  3 linked, 120 unchanged, 2 removed"
    (folder / "circle/camera01_1.jpg").unlink()
    (folder / "circle/camera01_1.jpg").write_text("mine")
    kept = command("checkout", "shapes@v1", str(folder))
    assert kept.exit_code == 1
    assert "kept, since somebody changed it: circle/camera01_1.jpg" in kept.stderr
    assert command("checkout", "shapes@v1", str(folder), "--force").exit_code == 0


def test_checkout_by_class_takes_the_images_of_some_splits(place):
    summary = parsed("show", "shapes@v1")
    done = parsed("checkout", "shapes@v1", str(place.folder / "out"), "--layout", "classes", "--split", "val", "--copy")
    assert done["copied"] == done["files"] == summary["splits"]["val"]


def test_verify_finds_damage_repair_mends_it_and_both_tell_by_their_exit_code(place):
    shutil.copytree(place.folder / "store", place.folder / "copy")
    assert command("verify", "shapes@v1").stdout.splitlines()[1] == "  no problems"
    assert parsed("verify", "shapes@v1", "--read-data", "--sample", "0.2", "--seed", "3")["passed"] is True
    blob, *_ = place.store.keys("blobs")
    (shard, *_) = (key for key in place.store.keys("datasets/shapes/versions/v1/shards") if key.endswith(".tar"))
    for key in (blob, shard):
        place.store.put(key, b"!" + place.store.get(key)[1:])

    assert command("verify", "shapes@v1").exit_code == 0  # sizes are right
    done = command("verify", "shapes@v1", "--read-data")
    assert done.exit_code == 1
    assert done.stdout.count("altered") == 2
    assert blob in done.stdout

    assert command("repair", "shapes@v1").exit_code == 2
    half = command("repair", "shapes@v1", "--from-source")
    assert (half.exit_code, half.stdout.splitlines()[0]) == (1, "shapes@v1: 1 object brought back, 1 still wrong")
    whole = parsed("repair", "shapes@v1", "--from", str(place.folder / "copy"))
    assert [one["key"] for one in whole["repaired"]] == [shard]
    assert command("verify", "shapes@v1", "--read-data").exit_code == 0


# what is interrupted, and what is said to stay
INTERRUPTED = {
    "checkout": ("resources.checkout.check_out", ("shapes@v1", "out"), "what is in out by now stays; the same command"),
    "verify": ("resources.verifying.verify_version", ("shapes@v1",), "nothing was changed"),
    "repair": (
        "resources.repairing.repair_version",
        ("shapes@v1", "--from-source"),
        "what was done stays; give the same",
    ),
    "run": (
        "cv_assets.runs.run_line",
        ("shapes", "--select", "raw_images, manifest"),
        "`cv-assets run shapes --version VERSION --select 'raw_images, manifest'` goes on with it",
    ),
    "backfill": ("cv_assets.runs.backfill", ("shapes", "--versions", "v2,v1"), "backfill shapes --versions v1,v2`"),
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_an_interrupted_command_says_in_one_line_what_stays_and_ends_with_130(place, monkeypatch, name):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    patched, arguments, words = INTERRUPTED[name]
    monkeypatch.setattr(patched, interrupt)
    done = command(name, *arguments)
    assert done.exit_code == 130
    assert done.stderr.startswith(f"cv-assets: {name} was interrupted: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_gc_tells_first_and_deletes_later(place):
    assert "nothing was deleted; use --delete" in command("gc").stdout
    dry = parsed("gc", "--keep-last", "1")
    assert (dry["dry_run"], dry["versions"], dry["blobs"]["count"]) == (True, ["shapes@v1"], 2)
    command("pin", "shapes@v1")
    assert parsed("gc", "--keep-last", "1", "--delete")["versions"] == []
    command("pin", "shapes@v1", "--release")
    warned = command("gc", "--keep-last", "1", "--delete", "--grace", "0")
    assert "so short a grace time" in warned.stderr
    assert parsed("gc", "--delete", "--grace", "0")["deleted"]["count"] == 2
    assert command("list").stdout.splitlines()[0].split() == ["shapes", "v1", "removed"]
    assert command("show", "shapes@v1").exit_code == 2
    assert command("verify", "shapes@v2", "--read-data").exit_code == 0


def test_the_name_of_a_tag_is_not_run_as_a_version(place):
    assert command("tag", "shapes@v1", "production").exit_code == 0
    done = command("run", "shapes", "--version", "production")
    assert done.exit_code == 2
    assert "'production' is a tag of shapes@v1" in done.stderr
    assert parsed("show", "shapes@production")["version"] == "v1"


def test_a_name_that_differs_by_case_alone_is_not_run_as_a_version(place):
    done = command("run", "shapes", "--version", "V1")
    assert (done.exit_code, "differs from v1 by more than case, found V1" in done.stderr) == (2, True)


def test_the_name_of_a_removed_version_is_not_run_again_and_the_next_one_is_new(place):
    command("gc", "--keep-last", "1", "--delete")
    done = command("run", "shapes", "--version", "v1")
    assert done.exit_code == 2
    assert "shapes@v1 was removed by `cv-assets gc`" in done.stderr
    assert [key for key in place.store.keys("datasets/shapes/versions/v1") if "TOMBSTONE" not in key] == []


UNUSABLE = {
    "no version": ("verify", "shapes"),
    "an empty version": ("verify", "shapes@"),
    "no such version": ("verify", "shapes@v7"),
    "no such dataset": ("verify", "faces@v1"),
    "a path for a dataset": ("verify", "../shapes@v1"),
    "a path for a version": ("checkout", "shapes@../v1", "out"),
    "a name of 300 characters": ("diff", "shapes@v1", "v" * 300),
    "two datasets": ("diff", "shapes@v1", "faces@v1"),
    "a sample without data": ("verify", "shapes@v1", "--sample", "0.5"),
    "a sample above 1": ("verify", "shapes@v1", "--read-data", "--sample", "2"),
    "rejected files by class": ("checkout", "shapes@v1", "out", "--layout", "classes", "--quarantined"),
    "a time without a unit": ("gc", "--grace", "5"),
    "a time before all stores": ("gc", "--grace", "999999d"),
    "a time below nothing": ("gc", "--grace", "-1h"),
    "no version to keep": ("gc", "--keep-last", "0"),
    "a copy that is not there": ("repair", "shapes@v1", "--from", "nowhere"),
    "a copy that nobody can look at": ("repair", "shapes@v1", "--from", "s" * 300),
    "the store itself for a copy": ("repair", "shapes@v1", "--from", "store"),
    "a tag to move and to delete": ("tag", "shapes@v1", "good", "--move", "--delete"),
    "a tag with a slash": ("tag", "shapes@v1", "a/b"),
    "a rollback to nowhere": ("rollback", "shapes", "v9"),
    "a rollback of nothing": ("rollback", "faces", "v1"),
}


@pytest.mark.parametrize("arguments", UNUSABLE.values(), ids=UNUSABLE)
def test_arguments_that_cannot_be_used_end_with_2_and_a_sentence(made, arguments, monkeypatch):
    monkeypatch.chdir(made.folder)
    before = {key: made.store.get(key) for key in made.store.keys("datasets")}
    done = command(*arguments)
    assert done.exit_code == 2
    assert "expected" in done.stderr
    assert said_in_lines(done.stderr)
    assert {key: made.store.get(key) for key in made.store.keys("datasets")} == before
