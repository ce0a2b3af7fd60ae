"""Versions of many images beside DVC: add, add 1 % more, check out, verify.

    python -m benchmarks.versions [--files 5000 50000] [--images small] [--dvc PATH] [--rounds 3]

Images are small ones of 3 kB, where listing and comparing are the work, or photos of about 100 kB, where decoding is.

DVC runs from an environment of its own (made by uv unless --dvc names one), with hard links, as ours does. Ours is the
command `cv-assets`: for `add` the step raw_images of `cv-assets run` (which also decodes every image, as DVC does not)
stands beside `dvc add`, and the whole command, with checks, tables and shards, is given next to it. Each side keeps its
own copy of the same files; rounds alternate on fresh places, medians are printed.
"""

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.line import COMMAND, step_seconds
from benchmarks.photos import draw_photo
from resources.settings import PROJECT_ROOT

SETTLING_SECONDS = 3.0  # a file that was just written is not trusted by its time; see docs/adr/0012


def draw_small(number: int) -> bytes:
    """One PNG of 32 × 32 pixels, about 3 kB."""
    out = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


# name → what draws an image, and how the size of one is told
IMAGES = {"small": (draw_small, "3 kB"), "photos": (draw_photo, "100 kB")}


def draw_all(folder: Path, numbers: range, images: str) -> None:
    """An image for each number, in a hundred class folders."""
    for number in numbers:
        path = folder / f"class{number % 100:02d}" / f"{number:06d}.img"  # formats are told by content
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(IMAGES[images][0](number))


def timed(command: list[str], place: Path, environment: dict[str, str] | None = None) -> tuple[float, str]:
    """(seconds, what it printed). Raises CalledProcessError, after showing what went wrong."""
    os.sync()  # no side waits for what the other one wrote
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout


class Ours:
    """cv-assets in a place of its own."""

    def __init__(self, place: Path, uploads: Path) -> None:
        self._place, self._uploads = place, uploads
        for folder in ("datasets", "home"):
            (place / folder).mkdir(parents=True)
        shutil.copy(PROJECT_ROOT / ".dagster" / "dagster.yaml", place / "home")
        dataset = {"name": "small", "source": {"url": str(uploads)}}
        (place / "datasets" / "small.yaml").write_text(json.dumps(dataset))
        places = {"CV_ASSETS_STORE": "store", "CV_ASSETS_DATASETS": "datasets", "DAGSTER_HOME": "home"}
        self._environment = {**os.environ, **{name: str(place / folder) for name, folder in places.items()}}

    def _command(self, *arguments: str) -> tuple[float, str]:
        return timed([*COMMAND, *arguments], PROJECT_ROOT, self._environment)

    def add(self) -> dict[str, float]:
        whole, printed = self._command("run", "small", "--json")
        os.environ["DAGSTER_HOME"] = str(self._place / "home")
        return {"": step_seconds(json.loads(printed)["run_id"])["small__raw_images"], ", whole line": whole}

    def checkout(self) -> float:
        return self._command("checkout", "small@v2", str(self._place / "out"))[0]

    def verify(self) -> float:
        return self._command("verify", "small@v2", "--read-data")[0]


class Dvc:
    """DVC in a place of its own."""

    def __init__(self, place: Path, uploads: Path, dvc: str) -> None:
        self._place, self._dvc, self._data = place, dvc, place / "data"
        place.mkdir()
        shutil.copytree(uploads, self._data)
        for arguments in (
            ["init", "--no-scm"],
            ["config", "cache.type", "hardlink"],
            ["config", "core.analytics", "false"],
        ):
            timed([dvc, *arguments], place)

    def add(self) -> dict[str, float]:
        seconds, _ = timed([self._dvc, "add", "-q", "data"], self._place)
        return {"": seconds}

    def checkout(self) -> float:
        shutil.rmtree(self._data)
        return timed([self._dvc, "checkout", "-q"], self._place)[0]

    def verify(self) -> float:
        return timed([self._dvc, "status", "-q"], self._place)[0]


def one_round(files: int, images: str, scratch: Path, dvc: str) -> dict[str, dict[str, float]]:
    """Seconds by operation and side."""
    found: dict[str, dict[str, float]] = {}
    uploads = scratch / "uploads"
    draw_all(uploads, range(files), images)
    sides = {"ours": Ours(scratch / "ours", uploads), "dvc": Dvc(scratch / "dvc", uploads, dvc)}

    def note(operation: str, name: str, seconds: dict[str, float]) -> None:
        for suffix, value in seconds.items():
            found.setdefault(operation + suffix, {})[name] = value

    time.sleep(SETTLING_SECONDS)
    for name, side in sides.items():
        note("add", name, side.add())
    for folder in (uploads, scratch / "dvc" / "data"):
        draw_all(folder, range(files, files + files // 100), images)
    time.sleep(SETTLING_SECONDS)
    for name, side in sides.items():
        note("add 1 % more", name, side.add())
    for name, side in sides.items():
        note("check out", name, {"": side.checkout()})
        note("verify (DVC: status)", name, {"": side.verify()})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[5_000, 50_000])
    parser.add_argument("--images", choices=sorted(IMAGES), default="small")
    parser.add_argument("--dvc", help="an executable of DVC; without it one is installed for this run")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dvc = options.dvc
        if dvc is None:
            subprocess.run(["uv", "venv", "-q", f"{folder}/dvc"], check=True)
            subprocess.run(["uv", "pip", "install", "-q", "-p", f"{folder}/dvc/bin/python", "dvc"], check=True)
            dvc = f"{folder}/dvc/bin/dvc"
        for files in options.files:
            rounds = []
            for number in range(options.rounds):
                scratch = Path(folder) / f"{files}-{number}"
                # nothing is deleted on the way: for minutes after, ext4 looks ten times as long for an inode that it may give
                rounds.append(one_round(files, options.images, scratch, dvc))
            print(f"\n{files} images of {IMAGES[options.images][1]}, {options.rounds} rounds")
            for operation in rounds[0]:
                medians = {
                    name: statistics.median(each[operation][name] for each in rounds) for name in rounds[0][operation]
                }
                ratio = f"   ratio {medians['dvc'] / medians['ours']:.1f}" if "dvc" in medians else ""
                said = "   ".join(f"{name} {seconds:7.2f} s" for name, seconds in medians.items())
                print(f"    {operation:<26}{said}{ratio}")


if __name__ == "__main__":
    main()
