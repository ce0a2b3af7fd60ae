"""A backfill goes over versions as they were begun: it makes what is missing, and changes nothing that is committed."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from cv_assets.cli import main
from cv_assets.commands.reading import print_summary
from cv_assets.definitions import build_defs
from cv_assets.runs import RunOutcome, backfill
from cv_assets_tests.conftest import Place, write_drawn
from cv_assets_tests.resources.places import shared_place
from resources import probes
from resources.engine import Answer
from resources.settings import PROJECT_ROOT
from schemas.datasets import DatasetConfig
from schemas.errors import ConfigurationError


def go_over(
    place: Place, config: DatasetConfig, *, versions: list[str] | None = None, select: str | None = None
) -> list[RunOutcome]:
    return list(backfill(config, [config], place.store, versions=versions, select=select))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A dataset with two committed versions, and a third that got as far as its snapshot."""
    with shared_place(tmp_path_factory) as place:
        write_drawn(place.uploads)
        config = place.config()
        assert place.run(config).success
        (place.uploads / "circle" / "camera01_1.jpg").unlink()
        assert place.run(config).success
        (place.uploads / "circle" / "camera01_2.jpg").unlink()
        assert place.run(config, select="raw_images").success
        yield place


@pytest.fixture
def three(begun: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The three versions in a place that belongs to one test."""
    with shared_place(tmp_path_factory, like=begun, with_runs=True) as place:
        yield place


@pytest.fixture
def config(three: Place) -> DatasetConfig:
    return three.config()


def committed(place: Place, config: DatasetConfig) -> dict[str, str | None]:
    """Version → digest, or none while it is open."""
    records = {name: place.version(config, name).commit() for name in ("v1", "v2", "v3")}
    return {name: record.digest if record else None for name, record in records.items()}


def test_what_is_missing_is_made_and_what_is_committed_stays_as_it_is(three: Place, config: DatasetConfig):
    before = {name: three.objects(f"datasets/shapes/versions/{name}/") for name in ("v1", "v2")}
    # of no account here and in the tests that share the uploads: a version is what it was begun as
    (three.uploads / "circle" / "camera01_3.jpg").unlink()

    outcomes = go_over(three, config)
    assert [(one.version, one.success) for one in outcomes] == [("v1", True), ("v2", True), ("v3", True)]
    for name, objects in before.items():
        assert three.objects(f"datasets/shapes/versions/{name}/") == objects
    assert three.summary(config, "v3")["files"] == 123
    assert len(set(committed(three, config).values())) == 3


def test_other_shards_are_recorded_beside_those_of_a_committed_version(
    three: Place, config: DatasetConfig, capsys: pytest.CaptureFixture[str]
):
    digests = committed(three, config)
    smaller = three.config(shards={"max_bytes": "50kB"})
    assert [one.success for one in go_over(three, smaller, versions=["v2", "v1"], select="shards")] == [True, True]
    assert committed(three, config) == digests
    for name in ("v1", "v2"):
        version = three.version(config, name)
        (build,) = version.builds()
        record = version.commit()
        assert record is not None
        assert len(build.shards) > len(record.shards)
        assert not {shard.key for shard in build.shards} & {shard.key for shard in record.shards}

        summary = three.summary(config, name)
        rows = [shard.model_dump() for shard in build.shards]
        assert summary["builds"] == [{"build": build.build, "digest": build.digest, "shards": rows}]
        print_summary(summary, "store")
        said = capsys.readouterr().out
        assert f"  packed later, too     {len(rows)} files, " in said
        assert f"    {rows[0]['key']}  {rows[0]['samples']} samples" in said


def test_other_settings_that_pack_alike_find_the_packing_recorded(three: Place, config: DatasetConfig):
    for max_bytes in ("50kB", "50001B"):
        other = three.config(shards={"max_bytes": max_bytes})
        assert [one.failures for one in go_over(three, other, versions=["v1"], select="shards")] == [[]]
    (build,) = three.version(config, "v1").builds()
    assert build.configuration["max_bytes"] == 50_000

    three.store.put(
        "datasets/shapes/versions/v1/builds/" + build.build + ".json",
        build.model_copy(update={"shards": []}).to_bytes(),
    )
    (said,) = go_over(three, other, versions=["v1"], select="shards")
    assert "VersionConflict" in said.failures[0]


def test_an_image_that_was_given_up_is_tried_again_in_the_next_version_and_stays_so_in_a_committed_one(
    drawn: Place, monkeypatch: pytest.MonkeyPatch
):
    slow = hashlib.sha256((drawn.uploads / "circle" / "camera01_1.jpg").read_bytes()).hexdigest()
    decode = probes.decode_items

    def with_a_slow_one(*arguments: Any) -> Iterator[tuple[str, Answer]]:
        given_up: Answer = {"rejected": {"reason": "time-over-limit", "detail": "took longer than 20 s to decode"}}
        return ((key, given_up if key == slow else answer) for key, answer in decode(*arguments))

    config = drawn.config()
    with monkeypatch.context() as patched:
        patched.setattr(probes, "decode_items", with_a_slow_one)
        warnings = drawn.run(config).warnings
    assert "to retry, materialize raw_images again, or begin the next version" in " ".join(warnings)
    before = drawn.objects("datasets/shapes/versions/v1/")
    assert [one.failures for one in go_over(drawn, config, versions=["v1"], select="raw_images")] == [[]]

    assert "time-over-limit" not in " ".join(drawn.run(config).warnings)
    assert [one.failures for one in go_over(drawn, config, versions=["v1"])] == [[]]
    assert drawn.objects("datasets/shapes/versions/v1/") == before
    images = [drawn.summary(config, version)["images"] for version in ("v1", "v2")]
    assert images[1] == images[0] + 1


def test_one_version_that_fails_does_not_keep_the_next_from_being_tried(three: Place, config: DatasetConfig):
    key = three.version(config, "v1").find_table_key("raw_images")
    assert key is not None
    three.store.put(key, b"no Parquet")
    outcomes = {one.version: one for one in go_over(three, config)}
    assert {name: one.success for name, one in outcomes.items()} == {"v1": False, "v2": True, "v3": True}
    assert "CorruptObject" in outcomes["v1"].failures[0]


UNKNOWN = {"a version that there is not": ["v1", "v9"], "a name that is none": ["../v1"], "nothing": [""]}


@pytest.mark.parametrize("versions", UNKNOWN.values(), ids=UNKNOWN)
def test_a_version_that_there_is_not_stops_it_before_anything_runs(
    three: Place, config: DatasetConfig, versions: list[str]
):
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs_count()
        with pytest.raises(ConfigurationError, match="expected versions of shapes among v1, v2, v3; found"):
            go_over(three, config, versions=versions)
        assert instance.get_runs_count() == runs


def test_a_dataset_without_a_version_has_nothing_to_go_over(place: Place):
    with pytest.raises(ConfigurationError, match=r"among \(none yet\); found none to go over"):
        go_over(place, place.config())


def test_a_selection_that_names_nothing_is_said_before_anything_runs(three: Place, config: DatasetConfig):
    with pytest.raises(ConfigurationError, match="--select: expected assets among"):
        go_over(three, config, select="shard")


def command(place: Place, *arguments: str) -> Result:
    """`cv-assets backfill …` as people call it."""
    return CliRunner(env={"CV_ASSETS_DATASETS": write_file(place)}).invoke(main, ["backfill", *arguments])


def write_file(place: Place) -> str:
    """The folder with the dataset's file."""
    folder = place.folder / "datasets"
    folder.mkdir(exist_ok=True)
    (folder / "shapes.yaml").write_text(f"name: shapes\nsource: {{url: '{place.uploads}'}}\n")
    return str(folder)


def test_the_command_says_a_row_a_version_and_its_exit_code_counts(three: Place, config: DatasetConfig):
    said = command(three, "shapes", "--versions", "v1, v3", "--select", "+splits")
    assert said.exit_code == 0, said.output
    rows = said.stdout.splitlines()
    assert [row.split()[:2] for row in rows[:2]] == [["shapes@v1", "passed"], ["shapes@v3", "passed"]]
    assert rows[2:] == ["2 versions, 0 failed"]

    key = three.version(config, "v2").find_table_key("raw_images")
    assert key is not None
    three.store.put(key, b"no Parquet")
    said = command(three, "shapes", "--all", "--select", "annotations", "--json")
    assert said.exit_code == 1
    found = json.loads(said.stdout)
    assert [(run["version"], run["success"]) for run in found["runs"]] == [("v1", True), ("v2", False), ("v3", True)]
    assert found["failed"] == 1


USES = {
    "no such version": (["shapes", "--versions", "v9"], "among v1, v2, v3; found 'v9'"),
    "a version without a name": (["shapes", "--versions", "v1,"], "among v1, v2, v3; found ''"),
    "a version that only Dagster knows, of another store": (
        ["shapes", "--versions", "v4"],
        "among v1, v2, v3; found 'v4'",
    ),
    "no such dataset": (["squares"], "found 'squares'"),
    "no such asset": (["shapes", "--select", "shard"], "--select: expected assets among"),
    "both": (["shapes", "--all", "--versions", "v1"], "not both"),
}


@pytest.mark.parametrize(("arguments", "words"), USES.values(), ids=USES)
def test_a_command_that_cannot_be_meant_is_exit_code_2(place: Place, arguments: list[str], words: str):
    for version in ("v1", "v2", "v3"):
        place.store.put(f"datasets/shapes/versions/{version}/begun", b"")
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("shapes_versions", ["v1", "v2", "v3", "v4"])
    said = command(place, *arguments)
    assert said.exit_code == 2
    assert words in said.stderr


def test_every_asset_is_backfilled_one_run_a_version(place: Place):
    graph = build_defs(datasets=[place.config()]).resolve_asset_graph()
    policies = {key.path[-1]: graph.get(key).backfill_policy for key in graph.get_all_asset_keys()}
    # none given: Dagster then makes one run a partition (docs/adr/0015-one-run-a-version.md)
    assert set(policies.values()) == {None}


def test_the_job_of_the_ui_goes_over_versions_in_one_run(
    three: Place, config: DatasetConfig, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CV_ASSETS_DATASETS", write_file(three))
    before = committed(three, config)
    job = build_defs(datasets=[config]).resolve_job_def("shapes__backfill")
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

    def launch(**asked: Any) -> tuple[dg.ExecuteInProcessResult, list[str], list[str | None]]:
        """How it ended, what it said, and the versions of the runs that it made."""
        with dg.DagsterInstance.get() as instance:
            known = {run.run_id for run in instance.get_runs()}
            run_config = {**quiet, "ops": {"go_over": {"config": asked}}}
            result = job.execute_in_process(instance=instance, run_config=run_config, raise_on_error=False)
            made = [run for run in instance.get_runs() if run.run_id not in {*known, result.run_id}]
            said = [entry.user_message for entry in instance.all_logs(result.run_id) if not entry.is_dagster_event]
            return result, said, sorted(run.tags.get("dagster/partition") for run in made)

    result, said, made = launch(select="raw_images,annotations,manifest", versions="v2,v3")
    assert (result.success, made) == (True, ["v2", "v3"])
    told = [line.split()[:2] for line in said if not line.startswith("  warning: ")]
    assert told == [["shapes@v2", "passed"], ["shapes@v3", "passed"], ["2", "versions,"]]
    assert three.version(config, "v3").find_table("manifest") is not None
    result, _, made = launch(versions="v9")
    (failure,) = result.get_step_failure_events()
    assert failure.step_failure_data.user_failure_data is not None
    words = failure.step_failure_data.user_failure_data.description or ""
    assert words.startswith(
        "`cv-assets backfill shapes --versions v9` ended with 2: cv-assets: expected versions of shapes"
    )
    assert (made, committed(three, config)) == ([], before)


ENDED = """
import dagster as dg
from cv_assets.definitions import build_defs
with dg.DagsterInstance.get() as instance:
    build_defs().resolve_job_def("shapes__backfill").execute_in_process(instance=instance, raise_on_error=False)
"""


def test_the_job_of_the_ui_begins_no_other_version_once_somebody_ended_it(three: Place):
    environment = {**os.environ, "CV_ASSETS_DATASETS": write_file(three)}
    with dg.DagsterInstance.get() as instance:
        known = {run.run_id for run in instance.get_runs()}

        def begun() -> list[dg.DagsterRun]:
            new = (run for run in instance.get_runs() if run.run_id not in known and run.job_name == "shapes")
            return [run for run in new if run.status != dg.DagsterRunStatus.NOT_STARTED]

        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen([sys.executable, "-c", ENDED], env=environment, cwd=PROJECT_ROOT, **quiet) as process:
            deadline = time.monotonic() + 60
            while not begun() and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            process.wait(60)
        (ended,) = begun()
        assert (ended.tags["dagster/partition"], ended.is_finished) == ("v1", True)
        (outer,) = (
            run for run in instance.get_runs() if run.job_name == "shapes__backfill" and run.run_id not in known
        )
        assert outer.status in {dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE}
