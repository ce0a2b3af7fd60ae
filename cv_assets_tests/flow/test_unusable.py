"""Arguments, settings and sources that cannot be used: said in words, with exit code 2, and no version begun."""

import errno
import json
import os

import dagster as dg
import pytest

from cv_assets.definitions import build_defs
from cv_assets.runs import run_line
from cv_assets_tests.conftest import write_files
from cv_assets_tests.domain.images import encode, noise
from cv_assets_tests.resources.places import command, said_in_lines, shared_place, write_dataset


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with shared_place(tmp_path_factory) as place:
        yield place


def test_a_source_without_an_image_begins_no_version_and_says_what_to_do(here):
    (here.uploads / "empty").mkdir()
    write_dataset(here, "empty", url=here.uploads / "empty")
    done = command("run", "empty")
    assert done.exit_code == 2
    assert done.stderr == (
        f"cv-assets: dataset empty: expected image files in {here.uploads / 'empty'} that match ['**/*'], "
        "found none (0 other files); upload some, or correct source.include\n"
    )
    assert begun("empty") == []


def begun(dataset):
    """Versions of a dataset that Dagster knows."""
    with dg.DagsterInstance.get() as instance:
        return instance.get_dynamic_partitions(f"{dataset}_versions")


def test_annotation_patterns_that_match_no_file_begin_no_version(here):
    image = here.uploads / "unlabelled" / "a.png"
    image.parent.mkdir()
    image.write_bytes(b"an image by its name")
    labels = 'annotations: {format: voc, include: ["Annotation/*.xml"]}'
    write_dataset(here, "unlabelled", labels, url=image.parent)
    done = command("run", "unlabelled")
    assert done.exit_code == 2
    assert "expected annotation files in " in done.stderr
    assert "that match ['Annotation/*.xml'], found none" in done.stderr
    assert "correct annotations.include" in done.stderr
    assert begun("unlabelled") == []


def test_a_folder_that_cannot_be_listed_begins_no_version_though_an_image_lies_beside_it(here, monkeypatch):
    (here.uploads / "half" / "closed").mkdir(parents=True)
    (here.uploads / "half" / "a.png").write_bytes(b"an image by its name")
    write_dataset(here, "half", url=here.uploads / "half")
    really_open = os.open

    def refuse(path, *arguments, **more):  # root may list every folder
        if str(path).rstrip("/").endswith("closed"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return really_open(path, *arguments, **more)

    monkeypatch.setattr(os, "open", refuse)
    done = command("run", "half")
    assert done.exit_code == 2
    assert "closed: Permission denied; a snapshot must see every file" in done.stderr
    assert begun("half") == []


def test_a_source_that_is_not_there_begins_no_version(here):
    write_dataset(here, "gone", url=here.uploads / "gone")
    done = command("run", "gone")
    assert done.exit_code == 2
    assert done.stderr == (
        f"cv-assets: dataset gone: expected a folder with uploads at {here.uploads / 'gone'}, found nothing; "
        "correct source.url\n"
    )
    assert begun("gone") == []
    assert {row["dataset"]: row["version"] for row in json.loads(command("list", "--json").stdout)}["gone"] is None


def test_a_source_that_nobody_can_look_at_begins_no_version(here):
    write_dataset(here, "long", url=here.uploads / ("s" * 300))
    done = command("run", "long")
    assert done.exit_code == 2
    assert "found File name too long; let this user enter it, or correct source.url" in done.stderr
    assert begun("long") == []


UNUSABLE = [
    # arguments, and what the message says was found and what to do
    (["run", "nowhere"], ["expected a dataset of ", "which holds ", "found 'nowhere'"]),
    (["run", "../hostile"], ["expected a dataset of ", "found '../hostile'"]),
    (["run", "gone", "--version", "../up"], ["expected a version name", "such as v1", "found '../up'"]),
    (["run", "gone", "--version", "v1/../v2"], ["expected a version name", "found 'v1/../v2'"]),
    (["run", "gone", "--version", ""], ["expected a version name", "found ''"]),
    (["run", "gone", "--version", "v1\n"], ["expected a version name", "found 'v1\\n'"]),
    (["run", "gone", "--version", "v1,v2"], ["expected a version name", "found 'v1,v2'"]),
    (["run", "gone", "--version", "v" * 300], ["expected a version name", "at most 64 characters"]),
    (
        ["run", "gone", "--select", "shard"],
        ["--select: expected assets among annotations, ", "shards", "found 'shard'"],
    ),
    (["run", "gone", "--select", "shards,,"], ["--select", "found ''"]),
    (["run", "gone", "--select", "*"], ["--select", "found '*'"]),
    (["run", "gone", "--select", ""], ["--select", "found ''"]),
    (["run", "gone", "--select", "splits++"], ["--select", "found 'splits++'"]),
    (["backfill", "gone", "--select", ""], ["--select", "found ''"]),
    (["show", "gone"], ["dataset gone has no committed version; make one with `cv-assets run gone`"]),
    (["show", "gone@v1"], ["expected a version of gone among (none yet), or a tag among latest; found 'v1'"]),
    (["show", "gone@../hostile"], ["expected a version of gone", "found '../hostile'"]),
    (["show", "nowhere@v1"], ["expected a dataset of ", "found 'nowhere'"]),
]


@pytest.mark.parametrize(("arguments", "words"), UNUSABLE, ids=lambda value: " ".join(value)[:40])
def test_what_cannot_be_used_is_said_with_exit_code_2(here, arguments, words):
    write_dataset(here, "gone", url=here.uploads / "gone")
    done = command(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert [word for word in words if word not in done.stderr] == []
    assert said_in_lines(done.stderr)
    assert begun("gone") == []


@pytest.mark.parametrize("select", ["shards", "splits+"])
def test_a_part_of_the_line_without_a_snapshot_begins_no_version(here, select):
    write_dataset(here, "gone", url=here.uploads / "gone")
    done = command("run", "gone", "--select", select)
    assert done.exit_code == 2
    assert f"--select: gone@v1 has no snapshot yet, and {select} would begin without one" in done.stderr
    assert "select raw_images with it, or name with --version one of (none yet)" in done.stderr
    with dg.DagsterInstance.get() as instance:
        assert instance.get_dynamic_partitions("gone_versions") == []


SETTINGS = [
    # setting, value, and what the message says
    ("CV_ASSETS_DATASETS", "/nowhere", ["expected a folder of dataset files at /nowhere", "set CV_ASSETS_DATASETS"]),
    (
        "CV_ASSETS_STORE",
        "ftp://host/x",
        ["expected CV_ASSETS_STORE to be a local path, file:///FOLDER or s3://BUCKET/PREFIX", "'ftp://host/x'"],
    ),
    ("CV_ASSETS_STORE", "/dev/null/x", ["cannot make the store's folder /dev/null/x", "set CV_ASSETS_STORE"]),
    ("CV_ASSETS_STORE", "/proc", ["cannot write ", "correct CV_ASSETS_STORE, or let this user write there"]),
    ("DAGSTER_HOME", "rel/home", ["expected DAGSTER_HOME to be an absolute path, found 'rel/home'"]),
    ("DAGSTER_HOME", "/dev/null", ["expected DAGSTER_HOME to name a folder, found /dev/null: File exists"]),
    ("DAGSTER_HOME", "/proc", ["cannot use /proc, which DAGSTER_HOME names: ", "correct it"]),
    ("CV_ASSETS_WORKERS", "many", ["CV_ASSETS_WORKERS", "many"]),
    ("CV_ASSETS_WORKERS", "-1", ["CV_ASSETS_WORKERS", "-1"]),
]


@pytest.mark.parametrize(("name", "value", "words"), SETTINGS)
def test_a_setting_that_cannot_be_used_is_said_with_exit_code_2(here, monkeypatch, name, value, words):
    write_dataset(here, "gone", url=here.uploads / "gone")
    monkeypatch.setenv(name, value)
    done = command("run", "gone")
    assert done.exit_code == 2
    assert [word for word in words if word not in done.stderr] == []


@pytest.mark.parametrize("arguments", [["list"], ["show", "gone"], ["verify", "gone@v1"]])
def test_a_store_that_nobody_can_look_at_is_said_with_exit_code_2(here, monkeypatch, tmp_path, arguments):
    write_dataset(here, "gone", url=here.uploads / "gone")
    monkeypatch.setenv("CV_ASSETS_STORE", str(tmp_path / ("s" * 300)))
    done = command(*arguments)
    assert done.exit_code == 2
    assert f"cannot make the store's folder {tmp_path}/sss" in done.stderr
    assert "File name too long; set CV_ASSETS_STORE" in done.stderr


def test_a_slip_in_the_settings_of_dagster_is_said_with_exit_code_2(here, monkeypatch, tmp_path):
    write_dataset(here, "gone", url=here.uploads / "gone")
    (tmp_path / "dagster.yaml").write_text("telemetri: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    for arguments in (["run", "gone"], ["backfill", "gone"]):
        done = command(*arguments)
        assert done.exit_code == 2
        assert f"cannot use {tmp_path}, which DAGSTER_HOME names: " in done.stderr
        assert "telemetri" in done.stderr


@pytest.mark.parametrize("url", ["", "store", "store/.."])
def test_a_store_among_the_uploads_is_refused_and_nothing_is_written(here, monkeypatch, url):
    uploads = here.uploads / "around"
    (uploads / "store").mkdir(parents=True, exist_ok=True)
    (uploads / "a.png").write_bytes(b"an image by its name")
    write_dataset(here, "around", url=uploads)
    monkeypatch.setenv("CV_ASSETS_STORE", str(uploads / url))
    done = command("run", "around")
    assert done.exit_code == 2
    assert f"expected a store outside of source.url {uploads}, found " in done.stderr
    assert sorted(path.name for path in uploads.rglob("*")) == ["a.png", "store"]
    assert begun("around") == []


def test_shares_that_do_not_make_one_stop_every_command_with_exit_code_2(here):
    wrong = here.folder / "datasets" / "wrong.yaml"
    wrong.write_text("name: wrong\nsource: {url: a}\nsplit: {train: 0.8, val: 0.3}\n")
    try:
        for arguments in (["run", "wrong"], ["run", "gone"], ["list"], ["show", "gone"]):
            done = command(*arguments)
            assert done.exit_code == 2
            assert done.stderr.startswith(f"cv-assets: {wrong}: split: ")
            assert "the shares sum to 1.1; change them so that they sum to 1" in done.stderr
    finally:
        wrong.unlink()


def run_past_the_command_line(here, dataset, name):
    """The job of a dataset, and one of its assets, in a partition that nobody looked at: (success, what it said) of both."""
    uploads = here.uploads / dataset
    write_files(uploads, [(f"ant/{number}.png", encode(noise((20, 20), number), "PNG")) for number in range(2)])
    config = here.config(dataset, source={"url": str(uploads)})
    job = build_defs(datasets=[config]).resolve_job_def(dataset)
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(f"{dataset}_versions", [name])
        for selection in (None, [dg.AssetKey([dataset, "splits"])]):
            done = job.execute_in_process(
                instance=instance, partition_key=name, asset_selection=selection, raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )  # fmt: skip
            failed = [event.step_failure_data.error for event in done.all_events if event.is_step_failure]
            yield done.success, [error.message for error in failed]


def files_of(here, *but):
    return {path for path in here.folder.rglob("*") if path.is_file() and not {"dagster", *but} & set(path.parts)}


@pytest.mark.parametrize("name", ["../../up", "' OR 1=1"])
def test_a_partition_that_was_added_past_the_command_line_writes_nothing_outside(here, name):
    before = files_of(here, "sneaky")
    for success, said in run_past_the_command_line(here, "sneaky", name):
        assert not success
        assert len(said) == 1
        assert "expected a version name of letters, digits" in said[0]
        assert f"found {name!r}" in said[0]
    assert files_of(here, "sneaky") == before


def test_a_partition_that_was_added_past_the_command_line_with_a_good_name_is_a_version(here):
    assert [success for success, _ in run_past_the_command_line(here, "added", "v1")] == [True, True]
    assert here.version(here.config("added"), "v1").commit() is not None


def test_a_mistake_of_the_caller_is_raised_and_not_printed(here):
    config = here.config("gone")
    with pytest.raises(Exception, match="expected a version name"):
        run_line(config, [config], here.store, version="..", select=None)


@pytest.mark.parametrize("where", ["", "/below"])
def test_a_folder_that_cannot_be_drawn_into_is_said(tmp_path, where):
    (tmp_path / "a file").write_bytes(b"kept")
    folder = f"{tmp_path}/a file{where}"
    done = command("draw", folder)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"cv-assets: FOLDER: cannot write {folder}/")
    assert done.stderr.endswith(": Not a directory; name another folder, or let this user write there\n")
    assert (tmp_path / "a file").read_bytes() == b"kept"


def test_a_folder_whose_names_are_taken_by_others_is_not_drawn_into(tmp_path):
    (tmp_path / "circle").write_bytes(b"kept")
    done = command("draw", str(tmp_path))
    assert done.exit_code == 2
    assert f"cannot write {tmp_path}/circle/" in done.stderr
    assert "File exists; name another folder" in done.stderr
