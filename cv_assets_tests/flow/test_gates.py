"""A version whose gates have not passed goes no further, however the next step is launched."""

import json
from collections import Counter

import dagster as dg
import polars as pl
import pytest

from cv_assets.assets import release
from cv_assets.assets.release import require_blobs
from cv_assets.definitions import build_defs
from cv_assets.domain.lineage import MADE_WITH, READS
from cv_assets_tests.conftest import Place, drawn_files, write_files
from cv_assets_tests.domain.images import encode, noise
from cv_assets_tests.domain.tables import file_row
from cv_assets_tests.resources.places import command, shared_place, write_dataset
from resources.content_store import ContentStore
from resources.object_store import ObjectStore
from schemas.errors import CorruptObject
from schemas.tables import to_frame

GROUPED = {"group_by": {"path_pattern": r"(?P<group>camera\d+)_"}}
BEFORE_SHARDS = "raw_images,annotations,manifest,quarantine,quality_report,splits"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(scope="module")
def dealt(tmp_path_factory):
    """A place with a version that is checked up to its splits."""
    with shared_place(tmp_path_factory) as place:
        write_files(place.uploads, drawn_files()[::4])
        outcome = place.run(place.config(**GROUPED), select=BEFORE_SHARDS)
        assert outcome.success, outcome.failures
        yield place


@pytest.fixture(scope="module")
def packed(dealt, tmp_path_factory):
    """The same version with its shards, not released."""
    with shared_place(tmp_path_factory, like=dealt) as place:
        assert place.run(place.config(**GROUPED), version="v1", select="shards").success
        yield place


@pytest.fixture
def before_shards(dealt, tmp_path_factory):
    with shared_place(tmp_path_factory, like=dealt) as place:
        yield place


@pytest.fixture
def before_release(packed, tmp_path_factory):
    with shared_place(tmp_path_factory, like=packed) as place:
        yield place


def run(place: Place, select):
    return place.run(place.config(**GROUPED), version="v1", select=select)


def version(place: Place):
    return place.version(place.config(**GROUPED), "v1")


def shard_files(place: Place):
    return [key for key in place.objects("datasets/shapes/versions/v1/") if key.startswith("shards/")]


def refused(outcome, *words):
    """The run failed at one step, in words that hold all of these."""
    assert not outcome.success
    (line,) = outcome.failures
    assert [word for word in ("GateNotPassed", "shapes@v1 may not go on to", *words) if word not in line] == []
    return True


def tear_a_group(splits: pl.DataFrame, manifest: pl.DataFrame) -> pl.DataFrame:
    """The splits with one image moved away from its group."""
    groups = manifest.explode("groups").group_by("groups", maintain_order=True).agg("image_id")
    moved = groups.filter(pl.col("image_id").list.len() > 1)["image_id"][0][0]
    was = splits.filter(image_id=moved)["split"][0]
    other = "val" if was == "train" else "train"
    return splits.with_columns(pl.when(image_id=moved).then(pl.lit(other)).otherwise("split").alias("split"))


def leak(place: Place):
    """Overwrite the splits with ones that tear a group apart, as a damaged or meddled store would hold."""
    store = version(place)
    store.save_table("splits", tear_a_group(store.load_table("splits"), store.load_table("manifest")))


def run_checks(place: Place, asset: str):
    """Run the checks of one asset without making it again, as the UI does."""
    config = place.config(**GROUPED)
    defs = build_defs(datasets=[config])
    checks = dg.AssetSelection.checks_for_assets(dg.AssetKey(["shapes", asset]))
    # a job of checks alone has no partitions; the report is made of other tables and stays the same
    report = dg.AssetSelection.assets(dg.AssetKey(["shapes", "quality_report"])).without_checks()
    job = dg.Definitions(
        assets=defs.assets,
        asset_checks=defs.asset_checks,
        resources=defs.resources,
        jobs=[dg.define_asset_job("only_checks", selection=checks | report)],
        executor=dg.in_process_executor,
    ).resolve_job_def("only_checks")
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("shapes_versions", ["v1"])
        return job.execute_in_process(instance=instance, partition_key="v1", run_config=QUIET, raise_on_error=False)


def test_a_part_of_the_line_runs_its_checks_and_the_rest_goes_on_from_there(before_shards):
    checked = {check["asset"] for check in before_shards.summary(before_shards.config(**GROUPED), "v1")["checks"]}
    assert checked == set(BEFORE_SHARDS.split(","))
    assert run(before_shards, "shards+").success
    assert version(before_shards).commit() is not None


@pytest.mark.parametrize("asset", ["raw_images", "splits"])
def test_shards_are_refused_where_checks_never_ran(before_shards, asset):
    (before_shards.folder / "store" / "datasets" / "shapes" / "versions" / "v1" / "verdicts" / f"{asset}.json").unlink()
    assert refused(
        run(before_shards, "shards"), "shards", f"the checks of {asset} have not run", "Look at the failed check"
    )
    assert shard_files(before_shards) == []


def test_shards_are_refused_for_splits_that_changed_since_they_were_checked(before_shards):
    leak(before_shards)
    assert refused(run(before_shards, "shards"), "the checks of splits ran on other content of splits")
    assert shard_files(before_shards) == []


def test_shards_are_refused_by_the_gate_that_failed_by_its_name(before_shards):
    leak(before_shards)
    run_checks(before_shards, "splits")
    outcome = run(before_shards, "shards")
    assert refused(outcome, "splits: groups_stay_together failed: No group is on two sides of a split. Saw {'groups':")
    assert shard_files(before_shards) == []


def test_splits_that_are_made_again_are_checked_again_and_the_version_goes_on(before_shards):
    leak(before_shards)
    run_checks(before_shards, "splits")
    assert run(before_shards, "splits+").success
    assert version(before_shards).commit() is not None


def test_a_manifest_that_changed_since_stops_the_shards(before_shards):
    store = version(before_shards)
    store.save_table("manifest", store.load_table("manifest").head(5))
    assert refused(run(before_shards, "shards"), "other content of manifest")


def test_a_refusal_is_said_without_the_module_of_its_class(before_shards):
    leak(before_shards)
    (line,) = run(before_shards, "shards").failures
    assert line.startswith("step shapes__shards: GateNotPassed: shapes@v1 may not go on to shards: ")


def test_a_release_is_refused_before_there_are_shards(before_shards):
    outcome = run(before_shards, "release")
    assert not outcome.success
    (line,) = outcome.failures
    assert "shards" in line
    assert version(before_shards).commit() is None


def test_a_release_is_refused_where_the_shards_were_never_checked(before_release):
    verdicts = before_release.folder / "store" / "datasets" / "shapes" / "versions" / "v1" / "verdicts"
    (verdicts / "shards.json").unlink()
    assert refused(run(before_release, "release"), "release", "the checks of shards have not run")
    assert version(before_release).commit() is None


def test_a_release_is_refused_for_splits_that_changed_after_packing(before_release):
    leak(before_release)
    outcome = run(before_release, "release")
    assert refused(outcome, "the checks of splits ran on other content", "the checks of shards ran on other content")
    assert version(before_release).commit() is None


def damage(place: Place, key):
    data = bytearray(place.store.get(key))
    data[2_000] ^= 1
    place.store.put(key, bytes(data))


def test_a_damaged_shard_fails_its_check_and_stops_the_release(before_release):
    key = before_release.summary(before_release.config(**GROUPED), "v1")["shards"][0]["key"]
    damage(before_release, key)
    run_checks(before_release, "shards")
    assert refused(run(before_release, "release"), "shards: shards_match_their_index failed", "release")
    assert version(before_release).commit() is None


def test_a_version_whose_shard_is_gone_is_not_committed(before_release):
    key = before_release.summary(before_release.config(**GROUPED), "v1")["shards"][0]["key"]
    (before_release.folder / "store" / key).unlink()
    assert not run(before_release, "release").success
    # a commit record is never taken back: it may not name what is not there
    assert version(before_release).commit() is None


def test_a_blocking_check_that_fails_stops_the_line_and_is_said_with_exit_code_1(tmp_path_factory):
    with shared_place(tmp_path_factory) as place:
        write_files(place.uploads, drawn_files()[::12])
        write_dataset(place, "shapes")
        # a snapshot of this version as another writer left it: it is not taken again, so the line has to judge it
        kept = [ContentStore(place.store).add(encode(noise((20, 20), seed), "PNG")) for seed in range(2)]
        rows = [file_row("circle/a.png", sha256=kept[0], format="avif"), file_row("circle/b.png", sha256=kept[1])]
        place.version(place.config(), "v7").save_table("raw_images", to_frame("raw_images", rows))
        done = command("run", "shapes", "--version", "v7", "--json")

        assert done.exit_code == 1
        assert "failed: raw_images: raw_images_match_their_schema — Every row of raw_images holds" in done.stderr
        assert "shapes@v7 did not pass; look at run" in done.stderr
        assert done.stderr.endswith(
            "then go on with `cv-assets run shapes --version v7`; mended uploads go into a new version: `cv-assets run shapes`\n"
        )
        said = json.loads(done.stdout)
        assert (said["success"], said["version"]) == (False, "v7")
        assert any("raw_images_match_their_schema" in line for line in said["failures"])
        stored = set(place.objects("datasets/shapes/versions/v7/"))
        assert {key for key in stored if key.startswith("tables/") and key.endswith(".json")} == {
            "tables/raw_images.json",
            "tables/probes.json",
        }
        assert {key for key in stored if key.startswith("verdicts/")} == {
            "verdicts/raw_images.json",
            "verdicts/raw_images.expectations.json",
        }
        assert not any(key.startswith(("shards/", "COMMIT")) for key in stored)
        shown = json.loads(command("show", "shapes@v7", "--json").stdout)
        assert (shown["committed"], shown["digest"]) == (False, None)
        failed = [check["name"] for check in shown["checks"] if not check["passed"]]
        assert failed == ["raw_images_match_their_schema", "uploads_still_come"]  # and nobody knows when they came
        assert command("show", "shapes").exit_code == 2  # there is no committed version


def test_a_version_has_one_snapshot_even_if_its_first_run_died_before_it_said_what_that_was_made_from(before_shards):
    (before_shards.folder / "store/datasets/shapes/versions/v1/made/raw_images.json").unlink()
    other = before_shards.config(**GROUPED, limits={"min_side_px": 9})
    outcome = before_shards.run(other, version="v1", select="raw_images")
    (line,) = outcome.failures
    assert "VersionConflict" in line
    assert "the snapshot of shapes@v1" in line
    assert "begin a new version" in line
    assert run(before_shards, "raw_images").success
    assert run(before_shards, "shards").success


@pytest.mark.parametrize(
    "damage", [ObjectStore.delete, lambda store, key: store.put(key, b"PAR1")], ids=["gone", "damaged"]
)
def test_probes_of_an_open_version_that_are_lost_are_made_again(before_shards, damage):
    store, probes = before_shards.store, version(before_shards).load_table("probes")
    damage(store, version(before_shards).find_table_key("probes"))
    with pytest.raises(CorruptObject):
        version(before_shards).load_table("probes")
    assert run(before_shards, "raw_images").success
    assert version(before_shards).load_table("probes").equals(probes)


def test_what_the_gates_read_is_what_is_released_and_no_table_is_read_twice(before_release, monkeypatch):
    read, find = Counter(), ObjectStore.find

    def count(store, key):
        read[key] += key.endswith(".parquet")
        return find(store, key)

    monkeypatch.setattr(ObjectStore, "find", count)
    assert run(before_release, "release").success
    record = version(before_release).commit()
    named = {entry.key for entry in record.objects if entry.role == "table"}
    assert len(named) == len({*READS, *MADE_WITH})
    assert {key: times for key, times in read.items() if key in named} == dict.fromkeys(named, 1)


def test_a_release_that_finds_its_version_committed_flushes_what_its_run_may_have_written_over(
    before_release, monkeypatch
):
    assert run(before_release, "release").success
    named = {entry.key: entry.sha256 for entry in version(before_release).commit().objects}
    flushed = []
    monkeypatch.setattr(ObjectStore, "flush", lambda store, hashes, *, at_once=False: flushed.append((hashes, at_once)))
    assert run(before_release, "release").success
    assert (named, False) in flushed


@pytest.mark.parametrize(
    ("edit", "select"),
    [
        ("split: {seed: 7}", "splits"),
        ("limits: {min_side_px: 9}", "raw_images"),
    ],
)
def test_what_an_edit_would_change_in_a_committed_version_is_said_to_be_for_a_new_one(before_release, edit, select):
    assert run(before_release, "release").success
    write_dataset(before_release, "shapes", f"group_by: {json.dumps(GROUPED['group_by'])}\n{edit}")
    done = command("run", "shapes", "--version", "v1", "--select", select)
    assert (done.exit_code, "VersionConflict" in done.stderr) == (1, True)
    assert done.stderr.endswith(
        "\nshapes@v1 stays as it was committed; what is to be different goes into a new version: `cv-assets run shapes`\n"
    )


@pytest.mark.parametrize("table", MADE_WITH)
def test_a_table_made_beside_an_asset_that_is_gone_is_named_with_what_makes_it(before_release, table):
    before_release.store.delete(f"datasets/shapes/versions/v1/tables/{table}.json")
    assert refused(run(before_release, "release"), f"{table} is not made; materialize {MADE_WITH[table]}")


def test_a_version_whose_name_differs_by_case_alone_is_not_begun_from_the_ui(before_shards):
    job = build_defs(datasets=[before_shards.config(**GROUPED)]).resolve_job_def("shapes")
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("shapes_versions", ["V1"])
        done = job.execute_in_process(instance=instance, partition_key="V1", run_config=QUIET, raise_on_error=False)
    assert not done.success
    assert before_shards.objects("datasets/shapes/versions/V1/") == {}


def test_a_table_that_another_run_makes_anew_while_a_version_is_released_stops_the_release(before_release, monkeypatch):
    made = version(before_release)
    whole = made.load_table("splits")

    def look_for_blobs(store, snapshot):
        made.save_table("splits", whole.head(1))
        return require_blobs(store, snapshot)

    monkeypatch.setattr(release, "require_blobs", look_for_blobs)
    outcome = run(before_release, "release")
    assert ["another run made some of them anew" in line for line in outcome.failures] == [True]
    assert version(before_release).commit() is None
    monkeypatch.undo()
    made.save_table("splits", whole)
    assert run(before_release, "release").success


# which version, the asset whose verdicts are lost, and a selection that makes them anew but leaves out what lies between
GAPS = [
    ("packed", "splits", "splits,release"),
    ("packed", "quality_report", "release,quality_report"),
    ("dealt", "quarantine", "quarantine,shards"),
]


@pytest.mark.parametrize(("made", "mended", "select"), GAPS)
def test_what_is_mended_runs_before_what_asks_for_it_whatever_lies_between(
    request, tmp_path_factory, made, mended, select
):
    with shared_place(tmp_path_factory, like=request.getfixturevalue(made)) as place:
        place.store.delete(f"datasets/shapes/versions/v1/verdicts/{mended}.json")
        outcome = run(place, select)
        assert outcome.success, outcome.failures
