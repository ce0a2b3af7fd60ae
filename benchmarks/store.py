"""Puts and gets of our object store beside boto3 with 32 threads, on the same S3 server, in one run.

    AWS_ENDPOINT_URL=… AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… python -m benchmarks.store s3://BUCKET/PREFIX [--rounds 5]

Without a URL, the S3 server of the tests is started for it (Ceph's gateway, or moto's server where that is not installed).
Both sides move the same 1,000 objects of 100 kB, each object under a key of its own; rounds alternate, medians are
printed. Ours checks every length, and tries again what can pass; the client's CPU time is given beside the rate.
"""

import argparse
import os
import secrets
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from resources.object_store import open_store

OBJECTS, SIZE_BYTES, THREADS = 1_000, 100_000, 32

Move = Callable[[int], None]


def ours(url: str, data: list[bytes]) -> tuple[Move, Move]:
    """(put, get) of one object by its number."""
    store = open_store(f"{url}/ours")

    def get(number: int) -> None:
        assert len(store.get(f"object/{number}")) == SIZE_BYTES

    return lambda number: store.put(f"object/{number}", data[number % len(data)]), get


def boto(url: str, data: list[bytes]) -> tuple[Move, Move]:
    """The same by boto3, whose client is shared by all threads as its documentation advises."""
    parts = urlsplit(url)
    bucket, prefix = parts.netloc, parts.path.strip("/")
    client = boto3.client("s3", config=Config(max_pool_connections=THREADS))

    def put(number: int) -> None:
        client.put_object(Bucket=bucket, Key=f"{prefix}/boto3/{number}", Body=data[number % len(data)])

    def get(number: int) -> None:
        body = client.get_object(Bucket=bucket, Key=f"{prefix}/boto3/{number}")["Body"].read()
        assert len(body) == SIZE_BYTES

    return put, get


def rate(move: Move) -> tuple[float, float]:
    """(objects a second, CPU seconds of this process)."""
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(move, range(OBJECTS)))
    return OBJECTS / (time.perf_counter() - wall), time.process_time() - cpu


def server_of_the_tests() -> str:
    """URL of a fresh bucket on the server that the tests use, with the environment set to reach it."""
    from cv_assets_tests.servers.s3 import serve  # noqa: PLC0415 - only where no URL is given

    endpoint = serve()
    os.environ.update(endpoint.environment)
    bucket = f"benchmark-{secrets.token_hex(4)}"
    endpoint.client().create_bucket(Bucket=bucket)
    print(f"server: {endpoint.kind}")
    return f"s3://{bucket}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    url = f"{options.url or server_of_the_tests()}/{secrets.token_hex(4)}"
    data = [secrets.token_bytes(SIZE_BYTES) for _ in range(50)]
    sides = {"ours": ours(url, data), "boto3": boto(url, data)}
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(options.rounds):
        for place, what in enumerate(("put", "get")):
            for name, moves in sides.items():
                found.setdefault((what, name), []).append(rate(moves[place]))
    for what in ("put", "get"):
        us, them = found[what, "ours"], found[what, "boto3"]
        ratios = [one[0] / other[0] for one, other in zip(us, them, strict=True)]
        said = [f"{name} {statistics.median(r for r, _ in side):6.0f}/s, {statistics.median(c for _, c in side):.2f} s of CPU"
                for name, side in (("ours", us), ("boto3", them))]  # fmt: skip
        print(
            f"{what}   {'   '.join(said)}   ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
