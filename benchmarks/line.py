"""The whole of `cv-assets run` beside the bare work that it cannot avoid, and a table of where the rest goes.

    python -m benchmarks.line [--images 1000 5000] [--rounds 3]

Bare work, on as many processes as there are cores: read each photo, hash it, decode it at the reduced scale that a probe
takes (docs/adr/0006), write its bytes twice. It is timed a second time with the least decode there is, 1/8 in grey. Dagster's
own start is the same command on the same graph with a single photo. Rounds alternate; medians. What one wrote is on the disk
before the next begins: a release flushes the file system, and would wait for that, too. Nothing is deleted on the way: for
minutes after, ext4 looks ten times as long for an inode that it may give to a new file.
"""

import argparse
import hashlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image

from benchmarks.photos import draw_photos
from cv_assets.domain.reducing import draft
from resources.settings import PROJECT_ROOT
from schemas.images import Limits

COMMAND = [sys.executable, "-c", "from cv_assets.cli import main; main()"]


def bare_work(path: Path, target: Path, *, least: bool) -> None:
    """What no platform can leave out, for one photo."""
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    with Image.open(io.BytesIO(data)) as image:
        if least:
            image.draft("L", (32, 32))
        else:
            draft(image, Limits().min_measured_side_px)
        image.load()
    for copy in ("a", "b"):
        (target / f"{digest}.{copy}").write_bytes(data)


def time_bare(paths: list[Path], scratch: Path, *, least: bool) -> float:
    """Seconds of the bare work."""
    target = Path(tempfile.mkdtemp(dir=scratch))
    with ProcessPoolExecutor() as pool:
        list(pool.map(abs, range(8)))  # processes are up before the clock starts
        os.sync()
        begin = time.perf_counter()
        list(pool.map(partial(bare_work, target=target, least=least), paths, chunksize=16))
        return time.perf_counter() - begin


def time_line(uploads: Path, scratch: Path) -> tuple[float, dict[str, float]]:
    """Seconds of a whole `cv-assets run` in a place of its own, and seconds by step."""
    place = Path(tempfile.mkdtemp(dir=scratch))
    (place / "datasets").mkdir()
    (place / "home").mkdir()
    shutil.copy(PROJECT_ROOT / ".dagster" / "dagster.yaml", place / "home")
    (place / "datasets" / "photos.yaml").write_text(json.dumps({"name": "photos", "source": {"url": str(uploads)}}))
    places = {
        "CV_ASSETS_STORE": place / "store",
        "CV_ASSETS_DATASETS": place / "datasets",
        "DAGSTER_HOME": place / "home",
    }
    environment = {**os.environ, **{name: str(path) for name, path in places.items()}}
    os.sync()
    begin = time.perf_counter()
    run = subprocess.run(
        [*COMMAND, "run", "photos", "--json"], env=environment, check=True, capture_output=True, cwd=PROJECT_ROOT
    )
    seconds = time.perf_counter() - begin
    os.environ["DAGSTER_HOME"] = str(place / "home")
    return seconds, step_seconds(json.loads(run.stdout)["run_id"])


def step_seconds(run_id: str) -> dict[str, float]:
    """Step → seconds, from Dagster's own record of the run."""
    import dagster as dg  # noqa: PLC0415

    with dg.DagsterInstance.get() as instance:
        stats = instance.get_run_step_stats(run_id)
    return {stat.step_key: (stat.end_time or 0) - (stat.start_time or 0) for stat in stats}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        draw_photos(scratch / "one", 1)
        for count in options.images:
            paths = draw_photos(scratch / f"uploads{count}", count)
            measured: dict[str, list[float]] = {"bare": [], "least": [], "start": [], "line": []}
            by_step: dict[str, list[float]] = {}
            for _ in range(options.rounds):
                measured["bare"].append(time_bare(paths, scratch, least=False))
                measured["least"].append(time_bare(paths, scratch, least=True))
                start, idle = time_line(scratch / "one", scratch)
                seconds, steps = time_line(scratch / f"uploads{count}", scratch)
                measured["start"].append(start)
                measured["line"].append(seconds)
                for name, step in steps.items():
                    by_step.setdefault(name, []).append(step - idle[name])
            medians = {name: statistics.median(values) for name, values in measured.items()}
            print(f"\n{count} photos   line {medians['line']:.1f} s   of it start {medians['start']:.1f} s")
            for name, said in (("bare", "at the scale of a probe"), ("least", "at 1/8 in grey")):
                rounds = zip(measured["line"], measured["start"], measured[name], strict=True)
                ratios = [(line - start) / work for line, start, work in rounds]
                print(f"    bare work, decode {said:<24}{medians[name]:7.2f} s   ratio beyond start "
                      f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip
            print("    seconds of each step beyond those that it takes for a single photo")
            for name, values in sorted(by_step.items(), key=lambda item: -statistics.median(item[1])):
                print(f"    {name:<34}{statistics.median(values):7.2f} s")


if __name__ == "__main__":
    main()
