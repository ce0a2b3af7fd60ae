"""Every place at which a publish can die, one after the other: file system calls on local disk, requests on S3."""

import errno
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from cv_assets_tests.faults.bench import COMMIT, DATASET, VERSION, Bench, Place, Tally, Trial
from cv_assets_tests.faults.durability import Disk
from cv_assets_tests.faults.reader import named_keys
from cv_assets_tests.faults.syscalls import FLUSHES, NAMINGS, Call, Judge, Verdict
from cv_assets_tests.servers.plans import MOMENTS, Entry, Fault, Moment, at, on
from cv_assets_tests.servers.s3 import Bucket
from schemas import errors

STEPS: Final = (*FLUSHES, *(name for name in NAMINGS if not name.startswith("mkdir")))
NEAR_THE_END: Final = 2  # threads may need a request or two more in one publish than in another
Step = int | Literal["before the commit", "after the commit"]
Sent = int | Literal["COMMIT.json"]
TYPED: Final = {name for name, kind in vars(errors).items() if isinstance(kind, type)}


def local_calls(bench: Bench, names: tuple[str, ...]) -> list[Call]:
    """The calls of these names in an undisturbed publish, numbered as they are where no others are watched."""
    calls = (call for call in bench.calls if call.name in names)
    return [replace(call, number=number) for number, call in enumerate(calls, 1)]


def local_steps(bench: Bench) -> list[Call]:
    """The calls that flush, name or remove something."""
    return local_calls(bench, STEPS)


def kill_at_steps(bench: Bench, points: Iterable[Step], *, bug: str | None = None) -> Tally:
    """Kill the publisher before its n-th step; one step further the same call has happened, and the last is beyond the end."""
    last = len(local_steps(bench))

    def trial(point: Step) -> Trial:
        place = bench.local()
        judge = only_at(point, "die") if isinstance(point, int) else only_at_commit("die", later=point[:5] == "after")
        tried = bench.survive(place, place.order(bug=bug), watch=STEPS, judge=judge)
        tried.may_miss = isinstance(point, int) and point > last
        return tried

    return Tally("local disk, killed at a file system call").try_each(points, trial)


def fail_at_steps(bench: Bench, names: tuple[str, ...], points: Iterable[int], verdict: Verdict) -> Tally:
    """Let the n-th of some calls fail, or write only half; what comes of it is success or an error of the project's own."""

    def trial(point: int) -> Trial:
        tried = bench.survive(bench.local(), watch=names, judge=only_at(point, verdict))
        if tried.ending.outcome == "failed" and tried.ending.kind not in TYPED:
            tried.failures.append(f"failed as {tried.ending}")
        if verdict == "short" and tried.ending.outcome != "published":
            tried.failures.append(f"a short write was not gone on with: {tried.ending}")
        return tried

    how = "half done" if verdict == "short" else errno.errorcode[int(verdict or 0)]
    return Tally(f"local disk, {how} at {'/'.join(names[:3])}").try_each(points, trial)


def lose_at_flush(bench: Bench, keys: Iterable[str]) -> Tally:
    """Let the flush before the commit fail, and the disk lose a page of one object, which reads as if nothing had happened.

    A file system that has told of a failed write once does not tell it again: the rerun's flush succeeds. It makes again what
    was lost; but for images and the snapshot, without which it must fail, and another version be made.
    """

    def trial(key: str) -> Trial:
        place = bench.local()

        def judge(call: Call) -> Verdict:
            if call.name == "syncfs":
                data = bytearray((place.root / key).read_bytes())
                data[len(data) // 2] ^= 1
                (place.root / key).write_bytes(data)
                return errno.EIO
            return None

        if is_made_again(key):
            tried = bench.survive(place, watch=("syncfs",), judge=judge)
        else:
            publish = bench.publishers.start(place.order(), watch=("syncfs",)).begin(place.root, judge)
            tried = Trial(publish.wait(), 0, _without_the_lost(bench, place))  # struck, or the ending is another
        if tried.ending.kind != "ObjectsLost":
            tried.failures.append(f"a lost page was not noticed: {tried.ending}")
        return tried

    return Tally("local disk, EIO at the flush and a page lost").try_each(keys, trial)


def is_made_again(key: str) -> bool:
    """Does a rerun of its version make this object again?"""
    return not key.startswith("blobs/") and "/raw_images-" not in key


def _without_the_lost(bench: Bench, place: Place) -> list[str]:
    again = bench.publishers.run(place.order())
    failures = [] if again.kind in TYPED else [f"the rerun ended as {again}"]
    failures += [] if place.digest() is None else ["the version can be seen"]
    other = bench.publishers.run(place.order(version="v2"))
    return failures if other.digest == bench.digest else [*failures, f"another version ended as {other}"]


def unflushed_at_commit(bench: Bench, bug: str | None = None) -> Tally:
    """What a power cut could take of a version whose commit record is visible, and of the record once `latest` knows it."""
    place = bench.local()
    disk = Disk(place.root)
    lasting_at_commit: list[Path] = []
    lacking: list[str] = []

    def judge(call: Call) -> None:
        appears = call.paths[-1].name if call.kind in {"link", "rename"} else ""
        if appears == "COMMIT.json":
            lasting_at_commit.extend(disk.contents & disk.names)
            lacking.extend([] if call.paths[0] in disk.contents else ["bytes of COMMIT.json"])
        if appears == "00000001.json":
            lacking.extend(disk.lacks([place.root / COMMIT]))
        disk.follow(call)

    trial = bench.survive(place, place.order(bug=bug), watch=(*FLUSHES, *NAMINGS), judge=judge)
    named = {place.root / key for key in named_keys(place.read, DATASET, VERSION)} - {place.root / COMMIT}
    lacking += [f"bytes or name of {path.name}" for path in named - set(lasting_at_commit)]
    trial.failures += [f"a power cut could take {what}" for what in sorted(set(lacking))]
    trial.struck = bool(lasting_at_commit)  # the judge only looks on: did it see the commit at all?
    tally = Tally("local disk, what is flushed before the commit")
    tally.add("order", trial)
    return tally


def remote_requests(bench: Bench, bucket: Bucket) -> list[Entry]:
    """The requests of an undisturbed publish."""
    with bench.remote(bucket) as place:
        assert place.proxy is not None
        ending = bench.publishers.run(place.order())
        assert ending.outcome == "published", ending
        return sorted(place.proxy.log, key=lambda entry: entry.number)


def crash_requests(log: Iterable[Entry]) -> list[tuple[int, Moment]]:
    """Every request with the moments at which a death can differ.

    A read leaves the server as it was whenever its client dies, so one moment stands for all three.
    """
    return [
        (entry.number, moment)
        for entry in log
        for moment in (MOMENTS if entry.method in {"PUT", "POST", "DELETE"} else MOMENTS[:1])
    ]


def kill_at_requests(bench: Bench, bucket: Bucket, points: Iterable[tuple[Sent, Moment]], last: int) -> Tally:
    """Kill the publisher at its n-th request, or at the one with the commit: before the server sees it, midway, or after.

    `last` is the number of requests of an undisturbed publish: a publish that makes fewer misses those at the end alone.
    """

    def trial(point: tuple[Sent, Moment]) -> Trial:
        sent, fault = point[0], Fault(kill=point[1])
        with bench.remote(bucket) as place:
            assert place.proxy is not None
            place.proxy.start_over(at(sent, fault) if isinstance(sent, int) else on("PUT", fault, key=COMMIT, times=1))
            tried = bench.survive(place)
        tried.may_miss = isinstance(sent, int) and sent > last - NEAR_THE_END
        return tried

    return Tally("S3, killed at a request").try_each(points, trial)


def only_at(point: int, verdict: Verdict) -> Judge:
    """A judge that strikes the call with this number."""
    return lambda call: verdict if call.number == point else None


def only_at_commit(verdict: Verdict, *, later: bool) -> Judge:
    """A judge that strikes the call by which the commit record appears, or else the next one after it."""
    seen = False

    def judge(call: Call) -> Verdict:
        nonlocal seen
        if seen:
            return verdict if later else None
        seen = call.kind in {"link", "rename"} and call.paths[-1].name == "COMMIT.json"
        return verdict if seen and not later else None

    return judge
