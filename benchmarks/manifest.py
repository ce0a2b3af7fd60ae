"""Probe and hash of every image, on all cores, beside Pillow's full decode in one process: images a second, ratio, memory.

    python -m benchmarks.manifest [--images 3000] [--rounds 5] [--folder DIR]

Both sides read the same files in turn, round by round, after their imports; medians are printed. Ours decodes in limited
worker processes, checks headers against limits, and yields size, mode, orientation and perceptual hash besides the SHA-256.
"""

import argparse
import resource
import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from benchmarks.photos import draw_photos
from resources.engine import Engine, Item
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
        probe_and_hash(paths[:50])
        rates: dict[str, list[float]] = {"ours": [], "pillow": []}
        for _ in range(options.rounds):
            for name, work in (("ours", probe_and_hash), ("pillow", decode_fully)):
                begin = time.perf_counter()
                assert work(paths) == len(paths)
                rates[name].append(len(paths) / (time.perf_counter() - begin))
        ratios = [ours / peer for ours, peer in zip(rates["ours"], rates["pillow"], strict=True)]
        print(f"probe + hash            {statistics.median(rates['ours']):8.0f} images/s")
        print(f"Pillow full decode      {statistics.median(rates['pillow']):8.0f} images/s, one process")
        print(
            f"ratio                   {statistics.median(ratios):8.2f}   (pairs {min(ratios):.2f} to {max(ratios):.2f})"
        )
        before = peak_mb()[0]
        probe_and_hash(paths * 4)
        parent, worker = peak_mb()
        print(f"peak memory             {parent:8.0f} MB parent, {worker:.0f} MB a worker")
        print(f"four times the folder   {parent - before:+8.1f} MB parent")


if __name__ == "__main__":
    main()
