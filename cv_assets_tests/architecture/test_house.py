"""The house itself: what may be imported, how long it takes, and which graph a fresh interpreter loads."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import resources
import schemas
from cv_assets.definitions import build_defs
from cv_assets.domain.quality.rule import Rule
from cv_assets.domain.quality.rulebook import RULES
from resources.settings import PROJECT_ROOT
from schemas.datasets import DatasetConfig

SNAPSHOT = Path(__file__).with_name("asset_graph.json")
AUTOMATION = Path(__file__).with_name("automation.json")
PAGE_OF_RULES = PROJECT_ROOT / "docs" / "rules.md"
PACKAGES = ("cv_assets", "resources", "schemas")
HELP_SECONDS = 0.5


def run_fresh(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in an interpreter that has imported nothing yet."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT_ROOT,
        env={**os.environ, **environment},
    )


def describe_graph(defs: dg.Definitions) -> dict[str, object]:
    """Assets with their dependencies and checks, as plain JSON."""
    graph = defs.resolve_asset_graph()
    return {
        key.to_user_string(): {
            "deps": sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
            "checks": sorted(check.name for check in graph.get_check_keys_for_assets({key})),
            "kinds": sorted(graph.get(key).kinds),
        }
        for key in sorted(graph.get_all_asset_keys(), key=lambda key: key.to_user_string())
    }


def describe_automation(defs: dg.Definitions) -> dict[str, object]:
    """What runs by itself, with the job that it starts and how often it looks, as plain JSON."""
    loaded = defs.get_repository_def()
    sensors = {
        sensor.name: {
            "every_seconds": sensor.minimum_interval_seconds,
            "job": sensor.job_name if sensor.has_jobs or sensor.targets else None,
            "status": sensor.default_status.value,
        }
        for sensor in loaded.sensor_defs
    }
    schedules = {
        schedule.name: {
            "cron": schedule.cron_schedule,
            "timezone": schedule.execution_timezone,
            "job": schedule.job_name,
            "status": schedule.default_status.value,
        }
        for schedule in loaded.schedule_defs
    }
    jobs = sorted(name for name in loaded.job_names if not name.startswith("__"))
    return {"sensors": sensors, "schedules": schedules, "jobs": jobs}


def describe_rule(rule: Rule) -> str:
    """A rule as a row of a Markdown table: code, what is found, severity, threshold with its bounds, unit."""
    low, high = rule.bounds
    bounds = f"at least {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"
    threshold = "" if rule.threshold is None else f"{rule.threshold:g} ({bounds})"
    return f"| `{rule.code}` | {rule.description} | {rule.severity} | {threshold} | {rule.unit} |"


def compare_with(snapshot: Path, found: str) -> None:
    if os.environ.get("UPDATE_SNAPSHOTS"):
        snapshot.write_text(found)
    assert found == snapshot.read_text(), "run with UPDATE_SNAPSHOTS=1 if the change is meant"


def as_json(found: dict[str, object]) -> str:
    return json.dumps(found, indent=2) + "\n"


def test_the_asset_graph_is_the_one_in_the_snapshot():
    config = DatasetConfig.model_validate({"name": "shapes", "source": {"url": "uploads/shapes"}})
    compare_with(SNAPSHOT, as_json(describe_graph(build_defs(datasets=[config]))))


def test_what_runs_by_itself_is_what_the_snapshot_says():
    asked = {"uploads": {}, "schedule": {"refresh": "0 3 * * *", "verify": "0 4 * * *"}}
    config = DatasetConfig.model_validate({"name": "shapes", "source": {"url": "uploads/shapes"}, **asked})
    compare_with(AUTOMATION, as_json(describe_automation(build_defs(datasets=[config]))))


def test_the_page_of_rules_says_what_the_rules_say():
    head = PAGE_OF_RULES.read_text().partition("| code |")[0]
    title = "| code | what is found | severity | threshold (bounds) | unit of the threshold |\n|---|---|---|---|---|\n"
    compare_with(PAGE_OF_RULES, head + title + "".join(describe_rule(rule) + "\n" for rule in RULES.values()))


def test_the_code_location_loads_in_a_fresh_interpreter_and_warns_of_nothing():
    load = "import dagster; from cv_assets.definitions import build_defs; loaded = build_defs();"
    count = "dagster.Definitions.validate_loadable(loaded); print(len(loaded.resolve_all_asset_specs()))"
    found = run_fresh("-W", "error", "-c", load + count)
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) >= 8


def test_several_datasets_load_in_one_code_location():
    asked = {"uploads": {}, "schedule": {"refresh": "0 3 * * *", "verify": "0 4 * * *"}}
    datasets = [
        DatasetConfig.model_validate({"name": name, "source": {"url": f"uploads/{name}"}, **more})
        for name, more in {"shapes": asked, "faces": asked, "plain": {}}.items()
    ]
    jobs = build_defs(datasets=datasets).get_repository_def().get_all_jobs()
    assert {"shapes__verify", "faces__verify", "plain__verify", "plain"} <= {job.name for job in jobs}


def test_help_imports_neither_dagster_nor_polars_and_is_quick():
    timed = "import sys, time; from cv_assets.cli import main\n"
    timed += "try: main(['--help'])\nexcept SystemExit: pass\n"
    timed += "print([m for m in ('dagster', 'polars', 'pandera', 'pyarrow', 'obstore', 'numpy') if m in sys.modules])\n"
    timed += "print(time.process_time())"  # what else runs on the machine is no fault of the command
    runs = [run_fresh("-c", timed).stdout.splitlines()[-2:] for _ in range(3)]
    assert {heavy for heavy, _ in runs} == {"[]"}
    assert min(float(seconds) for _, seconds in runs) < HELP_SECONDS


def test_importing_the_definitions_reads_no_file_of_ours(tmp_path: Path):
    found = run_fresh("-c", "import cv_assets.definitions", CV_ASSETS_DATASETS=str(tmp_path / "nowhere"))
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("package", [resources, schemas])
def test_the_two_plain_names_are_ours(package: object):
    # packages on PyPI install modules with these names
    assert Path(str(getattr(package, "__file__", ""))).parent.parent == PROJECT_ROOT


def test_the_locks_name_no_index_and_neither_of_the_two_names():
    for lock in ("requirements.lock", "requirements-dev.lock"):
        text = (PROJECT_ROOT / lock).read_text()
        assert "://" not in text
        assert not {"resources", "schemas"} & {line.split("==")[0] for line in text.splitlines()}


def test_no_module_is_a_drawer_or_longer_than_a_person_reads():
    modules = [path for package in PACKAGES for path in (PROJECT_ROOT / package).rglob("*.py")]
    drawers = {"utils", "helpers", "common", "lib", "misc"}
    assert not [path for path in modules if path.stem in drawers or drawers & set(path.parts)]
    assert not [path for path in modules if len(path.read_text().splitlines()) > 300]
    assert not [path for path in modules if path.name == "__init__.py" and path.read_text().strip()]
