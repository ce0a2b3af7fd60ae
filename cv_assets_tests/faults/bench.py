"""The bench on which publishes are made to fail: six drawn images, a store, a reader that looks all the while.

`survive` is the one rule for every fault: no reader sees a partial version, and the rerun ends with the same digest.
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, TypeVar

from cv_assets.domain.drawing import draw_uploads
from cv_assets_tests.faults.processes import Ending, Order, Publish, Publishers, publishers
from cv_assets_tests.faults.reader import Partial, Poller, Read, read_below, seen_version
from cv_assets_tests.faults.syscalls import FLUSHES, NAMINGS, WRITES, Call, Judge, Verdict
from cv_assets_tests.servers.fault_proxy import FaultProxy, faults_before
from cv_assets_tests.servers.s3 import Bucket, serve
from resources.progress import track

DATASET: Final = "shapes"
VERSION: Final = "v1"
COMMIT: Final = f"datasets/{DATASET}/versions/{VERSION}/COMMIT.json"
SEED: Final = 20_261
Point = TypeVar("Point")


@dataclass(slots=True)
class Tally:
    """How often a fault was tried, and what went wrong. Of n tries without a failure, at most 3/n may fail (95 %)."""

    name: str
    tried: int = 0
    polls: int = 0
    seed: int | None = None
    failures: list[str] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)

    def add(self, point: object, trial: "Trial") -> None:
        """Count one try; what is wrong is told at once, as the others may take an hour."""
        self.tried += 1
        self.polls += trial.polls
        failures = [f"{point}: {failure}" for failure in trial.failures]
        if trial.struck is False and not trial.may_miss:  # what nothing happened to has survived nothing
            failures.append(f"{point}: the fault struck nothing")
        for failure in failures:
            print(f"\n{self.name}, {failure}", file=sys.stderr, flush=True)
        self.failures += failures
        for note in (trial.ending.outcome, *(["missed"] if trial.struck is False else [])):
            self.notes[note] = self.notes.get(note, 0) + 1

    def try_each(self, points: Iterable[Point], trial: "Callable[[Point], Trial]") -> "Tally":
        """Count a try of each point, two of them at the same time."""
        some = list(points)
        with ThreadPoolExecutor(2) as pool:
            done = zip(some, pool.map(trial, some), strict=True)
            for point, found in track(done, len(some), label="points"):
                self.add(point, found)
        return self

    @property
    def survived(self) -> int:
        """Tries after which all was well."""
        return self.tried - len({failure.split(":")[0] for failure in self.failures})


@dataclass(slots=True)
class Trial:
    """One publish that something happened to, and what was wrong with it in the end."""

    ending: Ending
    polls: int
    failures: list[str]
    seconds: float = 0.0  # that the publish took, without the rerun
    struck: bool | None = None  # did the fault happen at all? None where there is none that strikes at one place
    may_miss: bool = False  # it was aimed at the very end, and the publish may have ended before it


@dataclass(frozen=True, slots=True)
class Place:
    """A store that belongs to one try: how publishers reach it, and how the reader does, past any proxy."""

    store: str
    uploads: Path
    read: Read
    root: Path = Path("/nowhere")
    proxy: FaultProxy | None = None

    def order(self, **more: object) -> Order:
        """A publish into this place."""
        environment: dict[str, str] = {}
        if self.proxy is not None:
            environment = {**serve().environment, "AWS_ENDPOINT_URL": self.proxy.url}
        environment |= more.pop("environment", {})  # type: ignore[arg-type]
        return Order(self.store, self.uploads, environment=environment, **more)  # type: ignore[arg-type]

    def digest(self) -> str | None:
        """What a reader sees now."""
        return seen_version(self.read, DATASET, VERSION)


class Bench:
    """Publishers, uploads, and the digest that an undisturbed publish of them has."""

    def __init__(self, made: Publishers, folder: Path, *, verify_every: int = 1) -> None:
        self.publishers, self.folder, self._verify_every = made, folder, verify_every
        self.uploads = folder / "uploads"
        write_uploads(self.uploads)
        self._numbers, self._reruns = itertools.count(), itertools.count()
        self.undisturbed = self.local()  # only to be read
        ending = self.publishers.run(self.undisturbed.order())
        assert ending.outcome == "published", ending
        assert ending.digest is not None
        self.digest = ending.digest

    def begin_scenario(self) -> None:
        """Count reruns anew, so that the first one of each scenario is verified, however many there were before."""
        self._reruns = itertools.count()

    @cached_property
    def calls(self) -> list[Call]:
        """Every call of an undisturbed publish that touches the store: one publish tells them to all scenarios."""
        place = self.local()
        publish = self.publishers.start(place.order(), watch=(*FLUSHES, *NAMINGS, *WRITES)).begin(place.root)
        publish.wait()
        assert publish.watch is not None
        return publish.watch.calls

    def local(self) -> Place:
        """A fresh store on local disk."""
        root = self.folder / f"store-{next(self._numbers):05d}"
        return Place(str(root), self.uploads, read_below(root), root)

    @contextmanager
    def remote(self, bucket: Bucket) -> Iterator[Place]:
        """A fresh prefix of a bucket, reached through a proxy."""
        prefix = f"store-{next(self._numbers):05d}"
        with faults_before(serve().url) as proxy:
            yield Place(f"{bucket.url}/{prefix}", self.uploads, read_of(bucket, prefix), proxy=proxy)

    def survive(
        self,
        place: Place,
        order: Order | None = None,
        *,
        watch: Sequence[str] = (),
        judge: Judge | None = None,
        during: Callable[[Publish], bool | None] | None = None,
        heal: Callable[[], None] | None = None,
    ) -> Trial:
        """A publish that something happens to, a reader meanwhile, and the rerun after it.

        It has struck if the judge gave a verdict, the proxy did something to a request, or `during` did not return False.
        """
        struck = False
        with Poller(place.read, DATASET, VERSION) as poller:

            def look_and_judge(call: Call) -> Verdict:  # the publisher stands still while the reader looks
                nonlocal struck
                poller.poll()
                verdict = judge(call) if judge is not None else None
                struck = struck or verdict is not None
                return verdict

            publish = self.publishers.start(order or place.order(), watch=watch)
            if place.proxy is not None:
                place.proxy.victim = publish.pid
            begin = time.monotonic()
            publish.begin(place.root, look_and_judge)
            told = during(publish) if during is not None else False
            ending = publish.wait()
            took = time.monotonic() - begin
        struck = struck or told is not False or (place.proxy is not None and place.proxy.has_struck())
        if heal is not None:
            heal()
        failures = [*poller.faults, *self._objections(ending), *self._rerun(place)]
        failures += [f"the reader saw digest {found}" for found in poller.digests - {self.digest}]
        return Trial(ending, poller.polls, failures, took, struck)

    def _objections(self, ending: Ending) -> list[str]:
        if ending.outcome == "published" and ending.digest != self.digest:
            return [f"published digest {ending.digest}"]
        return []

    def _rerun(self, place: Place) -> list[str]:
        if place.proxy is not None:
            place.proxy.start_over()
        again = self.publishers.run(place.order())
        if again.outcome != "published" or again.digest != self.digest:
            return [f"the rerun ended as {again}"]
        try:
            found = place.digest()
        except Partial as error:
            return [f"after the rerun, {error}"]
        if found != self.digest:
            return [f"after the rerun, the reader saw {found}"]
        if next(self._reruns) % self._verify_every:
            return []
        verified = self.publishers.run(place.order(do="verify"))
        return [] if verified.digest == self.digest else [f"after the rerun, verify said {verified}"]


@contextmanager
def bench_in(folder: Path, *, verify_every: int = 1) -> Iterator[Bench]:
    """A bench, ended at the end; `cv-assets verify` looks at every so many of the versions that were made on it."""
    with publishers() as made:
        yield Bench(made, folder, verify_every=verify_every)


def write_uploads(folder: Path, *, cameras: Sequence[str] = ("camera01_1", "camera02_1")) -> None:
    """Six drawn images: two of each class."""
    for path, data in draw_uploads(7):
        if Path(path).stem in cameras:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)


def read_of(bucket: Bucket, prefix: str) -> Read:
    """Reads keys of a store on S3, by another client than the project's."""
    client = bucket.endpoint.client()

    def read(key: str) -> bytes | None:
        try:
            return client.get_object(Bucket=bucket.name, Key=f"{prefix}/{key}")["Body"].read()
        except client.exceptions.NoSuchKey:
            return None

    return read
