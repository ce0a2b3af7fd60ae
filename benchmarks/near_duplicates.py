"""All near pairs of many 64-bit hashes, beside faiss and a plain polars join; then whole versions, built on each other.

    python -m benchmarks.near_duplicates [--hashes 100000 1000000] [--distance 4] [--peer-python PATH]

faiss-cpu runs from an environment of its own (made by uv unless --peer-python names one that has it) as an exact
search: IndexBinaryMultiHash with `distance + 1` hashes and no flips. Every side runs in a process of its own on the
same file of hashes, and all must find the same pairs. Two kinds of hashes: evenly spread ones, and ones as images have
them, half of their bits set, of which a fifth are like another, walks as of videos, and nearly empty drawings.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

PEERS = ("polars", "faiss")


def flip(hashes: np.ndarray, number: int, random: np.random.Generator) -> np.ndarray:
    """The hashes with `number` bits turned, some of them back again."""
    for _ in range(number):
        hashes = hashes ^ (np.uint64(1) << random.integers(0, 64, len(hashes), dtype=np.uint64))
    return hashes


def draw_hashes(kind: str, number: int) -> np.ndarray:
    """Hashes of `number` images, in no order, some equal; shape (number,), uint64."""
    random = np.random.default_rng(0)
    if kind == "even":
        return random.integers(0, 2**64, number, dtype=np.uint64)
    fall_off = 1 / (1 + np.hypot(*np.indices((8, 8)))).ravel()  # low frequencies are strong in pictures
    # photos, and drawings on white paper whose lines cross the same few places
    own, strokes = random.normal(size=(number * 3 // 5, 64)), random.normal(size=(300, 64))
    drawn = strokes[random.integers(0, 300, number // 5)] + 0.5 * random.normal(size=(number // 5, 64))
    waves = np.concatenate([own, drawn]) * fall_off
    bits = waves > np.median(waves, axis=1, keepdims=True)
    still = np.packbits(bits, axis=1).view(">u8").ravel().astype(np.uint64)
    alike = flip(random.choice(still, number // 10), 3, random)
    steps = np.uint64(1) << random.integers(0, 64, number - len(still) - len(alike), dtype=np.uint64)
    frames = np.bitwise_xor.accumulate(np.where(np.arange(len(steps)) % 50, steps, random.choice(still, len(steps))))
    return random.permutation(np.concatenate([still, alike, frames]))


def search_ours(hashes: np.ndarray, distance: int) -> Iterator[np.ndarray]:
    from cv_assets.domain.quality.hamming import near_pairs  # noqa: PLC0415 - not there in the peer's environment

    for pairs in near_pairs(hashes, distance):
        yield np.column_stack(pairs)


def search_faiss(hashes: np.ndarray, distance: int) -> Iterator[np.ndarray]:
    import faiss  # noqa: PLC0415 # pyright: ignore[reportMissingImports] - only there in the peer's environment

    index = faiss.IndexBinaryMultiHash(64, distance + 1, 64 // (distance + 1))
    codes = hashes.view(np.uint8).reshape(-1, 8)
    index.add(codes)
    for begin in range(0, len(codes), 100_000):
        limits, _, found = index.range_search(codes[begin : begin + 100_000], distance + 1)
        left = np.repeat(np.arange(len(limits) - 1) + begin, np.diff(limits.astype(np.int64)))
        yield np.column_stack([left, found])


def search_polars(hashes: np.ndarray, distance: int) -> Iterator[np.ndarray]:
    import polars as pl  # noqa: PLC0415 - not there in the peer's environment

    width = 64 // (distance + 1)
    rows = pl.LazyFrame({"hash": hashes, "place": np.arange(len(hashes))})
    near = (pl.col("hash") ^ pl.col("hash_right")).bitwise_count_ones() <= distance
    for number in range(distance + 1):
        banded = rows.with_columns(band=pl.col("hash") // (1 << width * number) % (1 << width))
        met = banded.join(banded, on="band").filter(pl.col("place") < pl.col("place_right"), near)
        yield met.select("place", "place_right").collect(engine="streaming").to_numpy()


SEARCHES = {"ours": search_ours, "faiss": search_faiss, "polars": search_polars}


def peak_megabytes() -> int:
    """Most memory that this process has held; what getrusage says begins with that of the process it came from."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024


def run_side(side: str, distance: int, folder: Path) -> None:
    """Search in this process; print seconds, peak memory and a hash of the pairs."""
    hashes = np.load(folder / "hashes.npy")
    begin = time.perf_counter()
    found = list(SEARCHES[side](hashes, distance))
    seconds = time.perf_counter() - begin
    peak = peak_megabytes()
    pairs = np.sort(np.concatenate(found), axis=1).astype(np.int64)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    digest = hashlib.sha256(pairs.tobytes()).hexdigest()
    print(json.dumps({"seconds": seconds, "megabytes": peak, "pairs": len(pairs), "digest": digest}))


def compare_sides(python: str, distance: int, folder: Path, number: int) -> None:
    """Ours beside its peers, on the hashes in `folder`."""
    told = {}
    for side in ("ours", *PEERS):
        command = [python if side == "faiss" else sys.executable, "-m", "benchmarks.near_duplicates"]
        done = subprocess.run(
            [*command, "--side", side, "--distance", str(distance), "--folder", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{side} ended with {done.returncode}:\n{done.stderr}")
        told[side] = json.loads(done.stdout)
        if told[side]["digest"] != told["ours"]["digest"]:
            sys.exit(f"{side} found {told[side]['pairs']} pairs, ours {told['ours']['pairs']}: they differ")
        ratio = told[side]["seconds"] / told["ours"]["seconds"]
        print(
            f"    {side:<8}{told[side]['seconds']:8.2f} s {number / told[side]['seconds']:12,.0f} hashes/s"
            f"   peak {told[side]['megabytes']:5} MB   {told[side]['pairs']} pairs   ratio {ratio:.1f}",
            flush=True,
        )


def build_versions(hashes: np.ndarray, distance: int) -> None:
    """A version, the same with 1 % more images built on it, and that from scratch: components, clusters and table."""
    import polars as pl  # noqa: PLC0415 - not there in the peer's environment

    from cv_assets.domain.quality.near_duplicates import Earlier, find_near_duplicates  # noqa: PLC0415 - likewise
    from schemas.quality import NearDuplicatesConfig  # noqa: PLC0415 - likewise

    names = [hashlib.sha256(str(place).encode()).hexdigest() for place in range(len(hashes))]
    grown = pl.DataFrame({"image_id": names, "phash": [f"{value:016x}" for value in hashes.tolist()]})
    grown = grown.with_columns(is_new=np.arange(len(hashes)) % 101 == 0).sort("image_id")
    manifest, config = grown.filter(~pl.col("is_new")), NearDuplicatesConfig(max_distance_bits=distance)

    def timed(name: str, images: pl.DataFrame, earlier: Earlier | None) -> pl.DataFrame:
        begin = time.perf_counter()
        found = find_near_duplicates(images, config, earlier)
        seconds = time.perf_counter() - begin
        clusters, components = found["cluster_id"].n_unique(), found["component_id"].n_unique()
        largest = found.group_by("component_id").len()["len"].max()
        print(
            f"    {name:<24}{seconds:8.2f} s   {images.height} images, {found.height} of them in {clusters} clusters"
            f" and {components} components, the largest of {largest}",
            flush=True,
        )
        return found

    before = timed("a version", manifest, None)
    added = timed("1 % more, built on it", grown, Earlier(manifest, before))
    scratch = timed("the same from scratch", grown, None)
    if not added["component_id"].equals(scratch["component_id"]):
        sys.exit("components differ from those found from scratch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hashes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--distance", type=int, default=4)
    parser.add_argument("--peer-python", help="a Python that has faiss; without it one is set up for this run")
    parser.add_argument("--side", choices=SEARCHES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        run_side(options.side, options.distance, options.folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        python, folder = options.peer_python, Path(scratch)
        if python is None:
            subprocess.run(["uv", "venv", "-q", f"{folder}/faiss"], check=True)
            python = f"{folder}/faiss/bin/python"
            subprocess.run(["uv", "pip", "install", "-q", "-p", python, "faiss-cpu"], check=True)
        for number in options.hashes:
            for kind in ("even", "images"):
                hashes = draw_hashes(kind, number)
                print(f"\n{number} hashes, {kind}, at most {options.distance} bits apart")
                np.save(folder / "hashes.npy", np.unique(hashes))
                compare_sides(python, options.distance, folder, number)
                build_versions(hashes, options.distance)


if __name__ == "__main__":
    main()
