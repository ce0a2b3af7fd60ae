"""What happens to publishes besides a crash at a known place: kills at any moment, bad networks, full disks, and company."""

import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from cv_assets_tests.faults.bench import SEED, Bench, Place, Tally, Trial
from cv_assets_tests.faults.crash_points import TYPED
from cv_assets_tests.faults.processes import LONGEST_SECONDS, Publish
from cv_assets_tests.faults.reader import read_below
from cv_assets_tests.servers.plans import Fault, Plan, after, share
from cv_assets_tests.servers.s3 import SECRET_KEY, Bucket

SOON_SECONDS: Final = 30.0  # a publish that is told no must not wait for the deadline, which is 120 s
WRONG_KEY: Final = "a-wrong-key-that-no-message-may-show"
MIDDLE_REQUESTS: Final = 150  # a publish makes more


@dataclass(frozen=True, slots=True)
class Refusal:
    """How the store turns a publish down, and words that the error must hold."""

    bucket: Bucket
    words: str
    plan: Plan = lambda request: None
    environment: Mapping[str, str] = field(default_factory=dict)


def killed_at_random(bench: Bench, number: int, *, seed: int) -> Tally:
    """SIGKILL to the publisher at a moment that was drawn, until it is done at the latest."""
    generator = random.Random(seed)
    longest = _longest(bench)

    def trial(share: float) -> Trial:
        def attempt(delay: float) -> Trial:
            def strike(publish: Publish) -> None:
                time.sleep(delay)
                publish.kill()

            tried = bench.survive(bench.local(), during=strike)
            tried.struck = tried.ending.outcome == "killed"
            return tried

        return _until_struck(attempt, share * longest)

    shares = [generator.random() for _ in range(number)]
    return Tally("local disk, kill -9 at random times", seed=seed).try_each(shares, trial)


def _longest(bench: Bench) -> float:
    """Seconds that a publish takes as those do that are killed: beside another one, and with a reader for each."""
    with ThreadPoolExecutor(2) as pool:
        tried = list(pool.map(lambda _: bench.survive(bench.local()), range(2)))
    assert [one.failures for one in tried] == [[], []]
    return max(one.seconds for one in tried)


def _until_struck(attempt: Callable[[float], Trial], delay: float) -> Trial:
    """Try again, sooner, while the publish has ended before the kill: some are quicker than the one that was measured."""
    tried = attempt(delay)
    for part in (0.7, 0.4):
        if tried.struck:
            break
        again = attempt(delay * part)
        again.failures += tried.failures
        tried = again
    return tried


def decoders_killed(bench: Bench, number: int, *, seed: int) -> Tally:
    """SIGKILL to a decoding worker: at work it is replaced; at its start, the run ends with an error that says so."""
    generator = random.Random(seed)

    def attempt(delay: float) -> Trial:
        def strike(publish: Publish) -> bool:
            worker = _first_child(publish.pid)
            time.sleep(delay)
            try:
                if worker is not None:
                    worker.kill()
            except psutil.NoSuchProcess:
                return False
            return worker is not None

        return bench.survive(bench.local(), during=strike)

    def trial(delay: float) -> Trial:
        tried = _until_struck(attempt, delay)
        if tried.ending.outcome != "published" and tried.ending.kind != "EngineError":
            tried.failures.append(f"ended as {tried.ending}")
        return tried

    delays = [generator.uniform(0, 0.6) for _ in range(number)]
    return Tally("local disk, kill -9 of a decoding worker", seed=seed).try_each(delays, trial)


def _first_child(pid: int) -> psutil.Process | None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            if children := psutil.Process(pid).children():
                return children[0]
        except psutil.NoSuchProcess:
            return None
        time.sleep(0.002)
    return None


def bad_network(bench: Bench, bucket: Bucket, name: str, plans: Mapping[str, Plan]) -> Tally:
    """A publish through a proxy that follows a plan; it must succeed at the first run."""

    def trial(point: str) -> Trial:
        with bench.remote(bucket) as place:
            assert place.proxy is not None
            place.proxy.start_over(plans[point])
            return must_publish(bench.survive(place))

    return Tally(f"S3, {name}", seed=SEED).try_each(plans, trial)


def must_publish(trial: Trial) -> Trial:
    """The trial, with an objection if it did not end in a published version."""
    if trial.ending.outcome != "published":
        trial.failures.append(f"ended as {trial.ending}")
    return trial


def busy(percents: Sequence[int], codes: Sequence[str] = ("SlowDown", "ServiceUnavailable")) -> dict[str, Plan]:
    """Plans of a server that answers 503 to a share of all requests."""
    return {
        f"{percent} % {code}": share(percent / 100, Fault(status=503, code=code), seed=SEED + percent)
        for percent in percents
        for code in codes
    }


def lossy(percents: Sequence[int]) -> dict[str, Plan]:
    """Plans of a network that loses replies, cuts them, or ends connections."""
    faults = {"replies lost": Fault(lose_reply=True), "replies cut": Fault(cut_reply=0.5), "resets": Fault(reset=True)}
    return {
        f"{percent} % {name}": share(percent / 100, fault, seed=SEED + percent)
        for percent in percents
        for name, fault in faults.items()
    }


def outage(bench: Bench, bucket: Bucket, seconds: float) -> Tally:
    """The server is gone for a while in the middle of a publish."""
    tally = Tally(f"S3, an outage of {seconds:g} s")
    with bench.remote(bucket) as place:
        proxy = place.proxy
        assert proxy is not None

        def strike(publish: Publish) -> None:
            end = time.monotonic() + LONGEST_SECONDS
            while len(proxy.log) < MIDDLE_REQUESTS:
                assert psutil.pid_exists(publish.pid), f"it ended at {len(proxy.log)} requests: {publish.wait()}"
                assert time.monotonic() < end, f"no more than {len(proxy.log)} requests in {LONGEST_SECONDS} s"
                time.sleep(0.005)
            proxy.down()
            time.sleep(seconds)
            proxy.up()

        tally.add(f"{seconds} s", must_publish(bench.survive(place, during=strike)))
    return tally


def full_disk(bench: Bench, sizes_kb: Sequence[int]) -> Tally:
    """A file system of so many kB, made larger for the rerun. One that cannot hold the version must fail the publish."""
    needed_kb = sum(-(-path.stat().st_size // 4096) * 4 for path in bench.undisturbed.root.rglob("*") if path.is_file())

    def trial(size_kb: int) -> Trial:
        root = bench.folder / f"disk-{size_kb}"
        root.mkdir()
        with small_disk(root, size_kb):
            place = Place(str(root), bench.uploads, read_below(root), root)
            tried = bench.survive(place, heal=lambda: _mount("-o", "remount,size=64m", str(root)))
        said = tried.ending
        if said.outcome == "failed" and (said.kind not in TYPED or "No space left" not in said.message):
            tried.failures.append(f"failed as {said}")
        tried.struck, tried.may_miss = said.outcome == "failed", size_kb >= needed_kb
        return tried

    return Tally("local disk, full").try_each(sizes_kb, trial)


def read_only_disk(bench: Bench) -> Tally:
    """A file system that may only be read, until it is mended: a publish says so before it decodes anything."""
    tally = Tally("local disk, read-only")
    root = bench.folder / "disk-read-only"
    root.mkdir()
    with small_disk(root, 64_000, "ro"):
        place = Place(str(root), bench.uploads, read_below(root), root)
        trial = bench.survive(place, heal=lambda: _mount("-o", "remount,rw", str(root)))
    trial.struck = trial.ending.outcome == "failed"
    if trial.ending.kind not in TYPED or "Read-only file system" not in trial.ending.message:
        trial.failures.append(f"ended as {trial.ending}")
    tally.add("ro", trial)
    return tally


@contextmanager
def small_disk(folder: Path, size_kb: int, access: str = "rw") -> Iterator[None]:
    """A tmpfs of so many kB. Raises subprocess.CalledProcessError where mounting is not permitted."""
    _mount("-t", "tmpfs", "-o", f"size={size_kb}k,{access}", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def limited(bench: Bench, limits: Sequence[tuple[str, int]]) -> Tally:
    """A limit of the process is too low: for the size of a file, or the number of open ones."""

    def trial(limit: tuple[str, int]) -> Trial:
        place = bench.local()
        tried = bench.survive(place, place.order(limits=dict([limit])))
        if tried.ending.outcome == "failed" and tried.ending.kind not in TYPED:
            tried.failures.append(f"failed as {tried.ending}")
        tried.struck = tried.ending.outcome == "failed"
        return tried

    return Tally("local disk, limits of the process").try_each(limits, trial)


def turned_down(bench: Bench, cases: Mapping[str, Refusal]) -> Tally:
    """The store says no, from the start or in the middle: the run says why, soon, and goes on when that is mended."""

    def trial(name: str) -> Trial:
        case = cases[name]
        with bench.remote(case.bucket) as place:
            assert place.proxy is not None
            place.proxy.start_over(case.plan)
            tried = bench.survive(place, place.order(environment=case.environment))
        said = tried.ending
        tried.struck = said.outcome == "failed"  # a wrong key or a server that ignores conditions is in no log
        if said.kind != "StoreRefused" or case.words not in said.message:
            tried.failures.append(f"ended as {said}")
        if any(secret in said.message for secret in (SECRET_KEY, WRONG_KEY)):
            tried.failures.append("the message holds a secret")
        if tried.seconds > SOON_SECONDS:
            tried.failures.append(f"it took {tried.seconds:.0f} s")
        return tried

    return Tally("S3, turned down").try_each(cases, trial)


def refusals(bucket: Bucket) -> dict[str, Refusal]:
    """Ways to be turned down that heal: credentials, a clock, a server that ignores conditions."""
    found = {
        "expired": Refusal(bucket, "renew them", after(100, Fault(status=400, code="ExpiredToken"))),
        "clock": Refusal(bucket, "set the clock", after(100, Fault(status=403, code="RequestTimeTooSkewed"))),
        "denied": Refusal(bucket, "AccessDenied", after(100, Fault(status=403, code="AccessDenied"))),
        "no condition": Refusal(bucket, "ignores If-None-Match", bucket.ignore_conditions),
    }
    if not bucket.endpoint.is_mock:
        wrong = {"AWS_SECRET_ACCESS_KEY": WRONG_KEY}
        found["wrong secret"] = Refusal(bucket, "check AWS_SECRET_ACCESS_KEY", environment=wrong)
    return found
