"""Probe and hash of every image, on all cores, beside Pillow's full decode in one process: images a second, ratio, memory.

    python -m benchmarks.manifest [--images 3000] [--rounds 5] [--folder DIR]

All sides read the same files in turn, round by round, after their imports; medians are printed. Ours decodes in limited
worker processes, checks headers against limits, and yields size, mode, orientation and perceptual hash besides the SHA-256.
Pillow's decode in as many processes as there are cores says what these cores are worth at that moment: on a machine that
shares them, two may do little more than one.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from benchmarks.photos import draw_photos
from resources.engine import LARGEST_BATCH, Engine, Item
from resources.parallel import batched
from resources.working import STAFF
from schemas.images import Limits


def probe_and_hash(paths: list[Path]) -> int:
    """Ours: number of images that were accepted and hashed."""
    items = (Item(str(path), path) for path in paths)
    answers = Engine().run("probe", {"limits": asdict(Limits())}, items)
    return sum("probe" in answer and len(answer["sha256"]) == 64 for _, answer in answers)


def decode_fully(paths: list[Path]) -> int:
    """Pillow's: number of images that were decoded."""
    for path in paths:
        with Image.open(path) as image:
            image.load()
    return len(paths)


def decode_on_all_cores(processes: ProcessPoolExecutor, paths: list[Path]) -> int:
    """Pillow's, on all cores: number of images that were decoded."""
    return sum(processes.map(decode_fully, batched(paths, LARGEST_BATCH)))


def peak_mb() -> tuple[float, float]:
    """Largest resident size so far of this process and of one worker, in MB."""
    STAFF.dismiss()  # only of those that have ended it is known
    return tuple(resource.getrusage(who).ru_maxrss / 1e3 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="measure on the JPEGs below this folder instead of drawn photos")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = sorted(options.folder.rglob("*.jpg")) if options.folder else draw_photos(Path(scratch), options.images)
        # a small folder is read over and over, so that a round lasts for seconds
        paths = [path.absolute() for path in found] * max(1, options.images // len(found))
        size_kb = statistics.mean(path.stat().st_size for path in paths) / 1e3
        print(f"{len(paths)} images of {size_kb:.0f} kB on average, {options.rounds} rounds")
        probe_and_hash(paths)
        before = peak_mb()[0]
        probe_and_hash(paths * 4)
        parent, worker = peak_mb()  # before there are other processes than the workers
        print(f"peak memory                   {parent:8.0f} MB parent, {worker:.0f} MB a worker")
        print(f"four times the folder         {parent - before:+8.1f} MB parent")
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as processes:
            sides = {
                "probe + hash": probe_and_hash,
                "Pillow full decode": decode_fully,
                "Pillow on all cores": partial(decode_on_all_cores, processes),
            }
            rates: dict[str, list[float]] = {name: [] for name in sides}
            for work in sides.values():
                work(paths[: 2 * LARGEST_BATCH])
            for _ in range(options.rounds):
                for name, work in sides.items():
                    begin = time.perf_counter()
                    assert work(paths) == len(paths)
                    rates[name].append(len(paths) / (time.perf_counter() - begin))
        ours, *peers = rates.values()
        for name, found_rates in rates.items():
            print(f"{name:<30}{statistics.median(found_rates):8.0f} images/s")
        for name, peer in zip(list(rates)[1:], peers, strict=True):
            ratios = [one / other for one, other in zip(ours, peer, strict=True)]
            print(f"beside {name:<23}{statistics.median(ratios):8.2f}   (pairs {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
