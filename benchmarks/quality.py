"""What is wrong with a folder of images: ours beside cleanvision, and beside the bare reduced decode. Two jobs each.

    python -m benchmarks.quality [--images 1500] [--rounds 3] [--folder DIR] [--peer-python PATH]

Both look for the same nine kinds in the same files, round by round in turn: ours probes each image in limited worker
processes (one read, one decode: hash, integrity, measures, perceptual hash), then groups near duplicates and applies the
rules; cleanvision runs in an environment of its own, made by uv unless --peer-python names one. Each is timed after its
imports, which for ours are those of its workers, too. The bare rate is the same reduced decode and SHA-256 in two
processes, and nothing else; for it a small folder is read over and over, so that a round lasts for seconds.
"""

import argparse
import hashlib
import io
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from multiprocessing.pool import Pool
from pathlib import Path

import polars as pl
from PIL import Image

from benchmarks.photos import draw_photos
from cv_assets.domain.manifest import build_manifest, build_quarantine
from cv_assets.domain.quality.findings import build_findings
from cv_assets.domain.quality.near_duplicates import find_near_duplicates
from cv_assets.domain.quality.rulebook import RULES
from cv_assets.domain.reducing import draft
from resources.engine import Engine, Item
from resources.probes import to_row
from schemas.datasets import DatasetConfig
from schemas.images import Limits
from schemas.tables import to_frame

JOBS = 2
KINDS = (
    "blurry", "dark", "exact-duplicate", "grayscale-among-colour", "light", "low-information", "near-duplicate",
    "odd-aspect-ratio", "odd-size",
)  # fmt: skip
LEAST_READS = 6_000
PEER_SCRIPT = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
from cleanvision import Imagelab
if __name__ == "__main__":
    begin = time.perf_counter()
    lab = Imagelab(data_path=sys.argv[1])
    lab.find_issues(n_jobs=int(sys.argv[2]), verbose=False)
    seconds = time.perf_counter() - begin
    found = dict(zip(lab.issue_summary["issue_type"], map(int, lab.issue_summary["num_images"])))
    print("SAID " + json.dumps([seconds, found]))
"""
Rows = list[dict[str, object]]


def probe_all(paths: list[Path]) -> tuple[Rows, Rows]:
    """Rows of raw_images and of probes: one pass of our workers."""
    files: Rows = []
    probes: dict[str, dict[str, object]] = {}
    items = (Item(str(path), path) for path in paths)
    for item, answer in Engine(workers=JOBS).run("probe", {"limits": asdict(Limits())}, items):
        row = to_row(answer["sha256"], answer)
        probes[answer["sha256"]] = row
        files.append(
            {"path": item.key, "role": "image", "size_bytes": 1, "sha256": answer["sha256"], "format": row["format"]}
        )
    return files, list(probes.values())


def find_ours(paths: list[Path]) -> tuple[float, float, dict[str, int]]:
    """(seconds in all, seconds of them after the probes, findings by kind)."""
    begin = time.perf_counter()
    rules = {code: code in KINDS for code in RULES}
    config = DatasetConfig.model_validate({"name": "ours", "source": {"url": "/nowhere"}, "quality": {"rules": rules}})
    files, probes = (to_frame(*rows) for rows in zip(("raw_images", "probes"), probe_all(paths), strict=True))
    probed = time.perf_counter()
    nothing = to_frame("annotations", [])
    manifest = build_manifest(files, probes, nothing)
    near = find_near_duplicates(manifest, config.quality.near_duplicates)
    tables = {"raw_images": files, "annotations": nothing, "manifest": manifest, "near_duplicates": near}
    findings = build_findings({**tables, "quarantine": build_quarantine(files, probes)}, config)
    end = time.perf_counter()
    found = dict(findings.group_by("code").agg(pl.len()).sort("code").iter_rows())
    return end - begin, end - probed, found


def make_peer(scratch: str) -> str:
    """The Python of a new environment that has cleanvision."""
    python = f"{scratch}/peer/bin/python"
    subprocess.run(["uv", "venv", "-q", f"{scratch}/peer"], check=True)
    subprocess.run(["uv", "pip", "install", "-q", "-p", python, "cleanvision"], check=True)
    return python


def find_peers(folder: Path, python: str) -> tuple[float, dict[str, int]]:
    """(seconds, findings by kind) of cleanvision."""
    command = [python, "-c", PEER_SCRIPT, str(folder), str(JOBS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = next((line for line in done.stdout.splitlines() if line.startswith("SAID ")), None)
    if said is None:
        sys.exit(f"cleanvision ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    seconds, found = json.loads(said.removeprefix("SAID "))
    return seconds, found


def decode_and_hash(path: Path) -> str:
    """The least that any probe does: one read, the SHA-256, and the decode at our scale."""
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        draft(image, Limits().min_measured_side_px)
        image.load()
    return hashlib.sha256(data).hexdigest()


def rates(paths: list[Path], pool: Pool) -> tuple[float, float]:
    """Images a second: of our probe pass, and bare."""
    begin = time.perf_counter()
    probe_all(paths)
    ours = len(paths) / (time.perf_counter() - begin)
    begin = time.perf_counter()
    pool.map(decode_and_hash, paths, chunksize=50)
    return ours, len(paths) / (time.perf_counter() - begin)


def show(
    paths: list[Path], ours: list[tuple[float, float, dict[str, int]]], peers: list[tuple[float, dict[str, int]]]
) -> None:
    """Medians, their ratio, and how much was found."""
    mine, his = [one[0] for one in ours], [one[0] for one in peers]
    ratios = [peer / own for own, peer in zip(mine, his, strict=True)]
    for name, seconds in (("ours", mine), ("cleanvision", his)):
        middle = statistics.median(seconds)
        print(f"{name:<24}{middle:8.2f} s {len(paths) / middle:8.0f} images/s")
    print(f"{'':<24}{statistics.median(ratios):8.1f} times (pairs {min(ratios):.1f} to {max(ratios):.1f})")
    print(f"{'of ours after probing':<24}{statistics.median(one[1] for one in ours):8.2f} s")
    print(f"found, ours             {ours[-1][2]}\nfound, cleanvision      {peers[-1][1]}")


def show_share(measured: list[tuple[float, float]]) -> None:
    """Our share of the bare rate."""
    shares = [ours / bare for ours, bare in measured]
    for name, place in (("probe pass", 0), ("bare decode + SHA-256", 1)):
        print(f"{name:<24}{statistics.median(one[place] for one in measured):8.0f} images/s")
    print(
        f"{'share of the bare rate':<24}{statistics.median(shares):8.0%} (pairs {min(shares):.0%} to {max(shares):.0%})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_500, help="drawn photos of 98 kB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="measure on the JPEGs below this folder instead")
    parser.add_argument("--peer-python", help="a Python that has cleanvision; without it one is made for this run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        python = options.peer_python or make_peer(scratch)
        folder = (options.folder or Path(scratch) / "photos").absolute()
        paths = sorted(folder.rglob("*.jpg")) if options.folder else draw_photos(folder, options.images)
        size_kb = statistics.mean(path.stat().st_size for path in paths) / 1e3
        print(f"{len(paths)} images of {size_kb:.0f} kB on average, {options.rounds} rounds, {JOBS} jobs")
        probe_all(paths[: 8 * JOBS])  # the workers are there from now on
        pairs = [(find_ours(paths), find_peers(folder, python)) for _ in range(options.rounds)]
        show(paths, [ours for ours, _ in pairs], [peers for _, peers in pairs])
        often = paths * -(-LEAST_READS // len(paths))
        with multiprocessing.get_context("spawn").Pool(JOBS) as pool:
            pool.map(decode_and_hash, paths[:100])
            show_share([rates(often, pool) for _ in range(options.rounds)])


if __name__ == "__main__":
    main()
