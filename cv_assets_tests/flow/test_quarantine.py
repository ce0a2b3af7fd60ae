"""Rejected files from end to end: listed with their history, requeued after a limit was changed, accepted by the next version."""

import json
import shutil

import pytest

from cv_assets_tests.conftest import Place, drawn_files, write_files
from cv_assets_tests.domain.images import encode, noise
from cv_assets_tests.homes import dagster_home
from cv_assets_tests.resources.made import sha256
from cv_assets_tests.resources.places import command, said_in_lines, shared_place, write_dataset
from resources.object_store import open_store

SMALL, GONE, ODD = "circle/small.png", "square/gone.png", "circle/\x1b[31mred\nline.jpg"
STRICT, LOOSE = "limits: {min_side_px: 60}", "limits: {min_side_px: 30}"
BYTES = {
    SMALL: encode(noise((40, 40), 1), "PNG"),
    GONE: encode(noise((50, 40), 2), "PNG"),
    ODD: encode(noise((90, 90), 3), "JPEG")[:1_500],
    "square/notes.txt": b"Camera 3 was moved.\n",
    "square/tiny.png": encode(noise((9, 9), 4), "PNG"),
}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A version that rejected five files; then one of them was deleted from the uploads."""
    with shared_place(tmp_path_factory) as place:
        drawn = [file for file in drawn_files() if "_1." in file[0] or "_2." in file[0]]
        write_files(place.uploads, [*drawn, *BYTES.items()])
        write_dataset(place, "shapes", STRICT)
        assert command("run", "shapes").exit_code == 0
        (place.uploads / GONE).unlink()
        yield place


@pytest.fixture
def place(first, tmp_path, monkeypatch):
    """The same with store, Dagster home and dataset file of its own."""
    for name in ("store", "datasets"):
        shutil.copytree(first.folder / name, tmp_path / name)
    monkeypatch.setenv("CV_ASSETS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("CV_ASSETS_DATASETS", str(tmp_path / "datasets"))
    with dagster_home(tmp_path, like=first.folder / "dagster") as home:
        monkeypatch.setenv("DAGSTER_HOME", str(home))
        yield Place(tmp_path, first.uploads, open_store(str(tmp_path / "store")))


def parsed(*arguments, exit_code=0):
    done = command(*arguments, "--json")
    assert done.exit_code == exit_code, done.output
    return json.loads(done.stdout)


def test_what_was_rejected_is_listed_by_reason_with_its_history_and_no_terminal_obeys_a_name(place):
    said = parsed("quarantine", "shapes")
    assert (said["version"], said["count"]) == ("v1", 5)
    assert said["reasons"] == {"side-under-limit": 3, "format-not-allowed": 1, "undecodable": 1}
    rows = {row["path"]: row for row in said["files"]}
    assert {path: row["sha256"] for path, row in rows.items()} == {path: sha256(data) for path, data in BYTES.items()}
    assert rows[SMALL] == rows[SMALL] | {
        "stage": "probe", "reason": "side-under-limit", "attempts": 1, "kept": "yes", "requeued": False, "state": "rejected",
        "first_version": "v1", "last_version": "v1", "first_seen": rows[SMALL]["last_seen"], "size_bytes": len(BYTES[SMALL]),
    }  # fmt: skip

    printed = command("quarantine", "shapes").stdout
    assert printed.startswith("shapes@v1: 5 rejected files\n  side-under-limit               3\n")
    assert said_in_lines(printed)
    assert "circle/\\x1b[31mred\\nline.jpg" in printed
    assert "rejected by 1 version; bytes are kept" in printed
    some = parsed("quarantine", "shapes", "--reason", "undecodable", "--reason", "format-not-allowed")
    assert [row["path"] for row in some["files"]] == [ODD, "square/notes.txt"]


def test_a_file_that_a_limit_rejected_is_accepted_after_the_limit_was_changed_though_one_was_deleted(place):
    write_dataset(place, "shapes", LOOSE)
    done = command("requeue", "shapes", "--id", SMALL, "--id", sha256(BYTES[GONE])[:10])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "shapes@v1: 2 files requeued for the next version",
        f"  {SMALL}",
        f"  {GONE}",
        "  1 of them gone from the source: their kept bytes are taken, for that version",
        "`cv-assets run shapes` makes that version",
    ]
    assert {row["path"] for row in parsed("quarantine", "shapes")["files"] if row["requeued"]} == {SMALL, GONE}
    assert [one["path"] for one in parsed("requeue", "shapes", "--id", GONE)["already"]] == [GONE]

    made = parsed("run", "shapes")
    assert (made["version"], made["committed"], made["failures"]) == ("v2", True, [])
    manifest = place.version(place.config(), "v2").load_table("manifest")
    accepted = {path for paths in manifest["paths"] for path in paths}
    assert {SMALL, GONE} <= accepted
    (gate,) = (
        verdict for verdict in place.version(place.config(), "v2").find_verdicts("quarantine").verdicts
        if verdict.name == "images_are_decoded_or_quarantined"
    )  # fmt: skip
    landed = gate.saw.pop("landed")
    assert landed == sum(gate.saw.values()) == len(accepted) + 3

    rows = {row["path"]: row for row in parsed("quarantine", "shapes")["files"]}
    assert set(rows) == {ODD, "square/notes.txt", "square/tiny.png"}
    assert {row["attempts"] for row in rows.values()} == {2}
    assert (rows[ODD]["first_version"], rows[ODD]["last_version"]) == ("v1", "v2")
    assert rows[ODD]["first_seen"] < rows[ODD]["last_seen"]
    every = {row["path"]: row for row in parsed("quarantine", "shapes", "--all")["files"]}
    assert {every[path]["state"] for path in (SMALL, GONE)} == {"accepted"}
    assert {(every[path]["attempts"], every[path]["requeued"]) for path in (SMALL, GONE)} == {(1, False)}
    assert "accepted in v2" in command("quarantine", "shapes", "--all").stdout

    before = {key: place.store.get(key) for key in place.store.keys("datasets/shapes")}
    assert parsed("run", "shapes", "--version", "v2")["digest"] == made["digest"]  # a rerun counts nothing twice
    assert parsed("quarantine", "shapes")["files"] == list(rows.values())
    assert {key: place.store.get(key) for key in before} == before


def test_what_cannot_be_requeued_is_said_with_exit_code_1_and_the_rest_is_requeued(place):
    (blob,) = (key for key in place.store.keys("blobs") if sha256(BYTES[GONE]) in key)
    place.store.delete(blob)
    done = command("requeue", "shapes", "--reason", "side-under-limit")
    assert done.exit_code == 1
    assert "2 files requeued" in done.stdout
    assert done.stderr == (
        f"  not requeued: {GONE}: the source has it no more, and its bytes are not kept; upload it again\n"
    )
    (refused,) = parsed("requeue", "shapes", "--id", GONE, exit_code=1)["refused"]
    assert refused["path"] == GONE


def test_nothing_to_requeue_is_said_and_is_no_failure(place):
    done = command("requeue", "shapes", "--reason", "empty-file")
    assert (done.exit_code, done.stdout) == (0, "shapes@v1: no files requeued for the next version\n")
    assert list(place.store.keys("datasets/shapes/requeue")) == []


UNUSABLE = {
    "an unknown reason": (("quarantine", "shapes", "--reason", "ugly"), "'undecodable'"),
    "an unknown reason to requeue": (("requeue", "shapes", "--reason", "ugly"), "'side-under-limit'"),
    "an unknown dataset": (("quarantine", "faces"), "which holds shapes"),
    "an unknown version": (("quarantine", "shapes", "--version", "v9"), "expected a version of shapes among v1"),
    "nothing chosen": (("requeue", "shapes"), "expected one of --reason, --id and --all"),
    "two choices": (("requeue", "shapes", "--all", "--id", SMALL), "expected one of --reason, --id and --all"),
    "an id of nothing": (("requeue", "shapes", "--id", "circle/\x1b[2J.png"), "lists them"),
    "an id that is accepted": (("requeue", "shapes", "--id", "circle/camera01_1.jpg"), "of a rejected file"),
}


@pytest.mark.parametrize(("arguments", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_arguments_that_cannot_be_used_end_with_2_and_a_sentence(place, arguments, said):
    done = command(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert said_in_lines(done.stderr)
    assert list(place.store.keys("datasets/shapes/requeue")) == []


FEW = """expectations:
  uploads:
    - {expect: column_values_to_be_between, column: rejected_share, max_value: 0.5, severity: ERROR, name: few}
"""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "",
            "manifest: some_image_is_accepted — There is an image to train on; `cv-assets quarantine`",
        ),  # the manifest is stopped
        (FEW, "raw_images: few"),  # and with this the very first table
    ],
)
def test_files_that_hold_back_their_own_version_are_listed_and_pass_once_the_limit_is_mended(
    tmp_path_factory, more, said
):
    with shared_place(tmp_path_factory) as place:
        write_files(place.uploads, [(f"circle/{seed}.png", encode(noise((40, 40), seed), "PNG")) for seed in range(4)])
        write_dataset(place, "shapes", f"{STRICT}\n{more}")
        assert said in str(parsed("run", "shapes", exit_code=1)["failures"])
        listed = parsed("quarantine", "shapes")
        assert (listed["version"], listed["committed"], listed["reasons"]) == ("v1", False, {"side-under-limit": 4})

        write_dataset(place, "shapes", f"{LOOSE}\n{more}")
        assert len(parsed("requeue", "shapes", "--all")["requeued"]) == 4
        made = parsed("run", "shapes")
        assert (made["version"], made["committed"]) == ("v2", True)
        assert parsed("quarantine", "shapes")["files"] == []


def test_a_newer_version_that_was_held_back_is_the_one_that_is_meant_and_it_is_said_so(place):
    write_files(
        place.folder / "new", [(f"circle/{seed}.png", encode(noise((40, 40), seed), "PNG")) for seed in range(4)]
    )
    write_dataset(place, "shapes", STRICT, place.folder / "new")
    assert parsed("run", "shapes", exit_code=1)["version"] == "v2"
    assert command("quarantine", "shapes").stdout.startswith("shapes@v2 (not released): 4 rejected files\n")
    assert command("quarantine", "shapes", "--version", "latest").stdout.startswith("shapes@v1: 5 rejected files\n")
    assert command("requeue", "shapes", "--all").stdout.startswith("shapes@v2 (not released): 4 files requeued")
