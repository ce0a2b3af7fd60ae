"""Every fault that publishes are put through, as one table: pytest takes a drawn sample of it, `make faults` the whole.

`python -m cv_assets_tests.faults` prints what was tried and what survived; cases.md says which known case each one is.
"""

import errno
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, TypeVar

from cv_assets_tests.faults import collectors, crash_points, hard_days, rivals
from cv_assets_tests.faults.bench import COMMIT, DATASET, SEED, VERSION, Bench, Tally, write_uploads
from cv_assets_tests.faults.reader import named_keys
from cv_assets_tests.faults.syscalls import FLUSHES, NAMINGS, WRITES, why_not
from cv_assets_tests.servers.plans import MOMENTS
from cv_assets_tests.servers.s3 import Bucket

Need = Literal["watch", "s3", "mount"]
Run = Callable[[Bench, Bucket, bool], Tally]
Item = TypeVar("Item")
LINKS: Final = tuple(name for name in NAMINGS if not name.startswith("mkdir"))
OTHER_UPLOADS: Final = (("camera01_1", "camera02_1"), ("camera03_1", "camera02_1"), ("camera01_2", "camera04_1"))


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of fault: `run` is told whether to try every point or a sample; `needs` what this machine must have."""

    name: str
    needs: tuple[Need, ...]
    run: Run

    def try_on(self, bench: Bench, bucket: Bucket, whole: bool) -> Tally:
        """Run it, as the first or after others."""
        bench.begin_scenario()
        return self.run(bench, bucket, whole)


def why_skip(scenario: Scenario) -> str | None:
    """Why a scenario cannot be run on this machine, or None."""
    if "watch" in scenario.needs and (reason := why_not()):
        return reason
    if "mount" in scenario.needs and (os.geteuid() != 0 or shutil.which("mount") is None):
        return "only root may mount a small file system"
    return None


def is_whole() -> bool:
    """Is everything to be tried, and not a sample?"""
    return os.environ.get("CV_ASSETS_TEST_FAULTS") == "all"


def _drawn(points: Sequence[Item], whole: bool, number: int) -> list[Item]:
    """All of them, or so many drawn with the seed: one of each stretch, so that no part of a publish is left out."""
    if whole or len(points) <= number:
        return list(points)
    chance, ends = random.Random(SEED), [round(len(points) * part / number) for part in range(number + 1)]
    return [points[chance.randrange(begin, end)] for begin, end in pairwise(ends)]


def _kill_at_steps(bench: Bench, _: Bucket, whole: bool) -> Tally:
    beyond = len(crash_points.local_steps(bench)) + 1
    window: list[crash_points.Step] = ["before the commit", "after the commit"]  # around the one moment that counts
    return crash_points.kill_at_steps(bench, [*window, *_drawn(range(1, beyond + 1), whole, 4)])


def _fail(names: tuple[str, ...], verdict: int | Literal["short"], number: int) -> Run:
    def run(bench: Bench, _: Bucket, whole: bool) -> Tally:
        calls = crash_points.local_calls(bench, names)
        return crash_points.fail_at_steps(bench, names, _drawn(range(1, len(calls) + 1), whole, number), verdict)

    return run


def _lose_at_flush(bench: Bench, _: Bucket, whole: bool) -> Tally:
    keys = [key for key in named_keys(bench.undisturbed.read, DATASET, VERSION) if key != COMMIT]
    made = [key for key in keys if crash_points.is_made_again(key)]
    others = [key for key in keys if key not in made]
    return crash_points.lose_at_flush(bench, [*_drawn(made, whole, 1), *_drawn(others, whole, 1)])


def _kill_at_requests(bench: Bench, bucket: Bucket, whole: bool) -> Tally:
    log = crash_points.remote_requests(bench, bucket)
    window = [("COMMIT.json", moment) for moment in MOMENTS]
    points = [*window, *_drawn(crash_points.crash_requests(log), whole, 2)]
    return crash_points.kill_at_requests(bench, bucket, points, len(log))


def _different_uploads(bench: Bench, _: Bucket, whole: bool) -> Tally:
    folders = [bench.folder / f"uploads-{index}" for index in range(len(OTHER_UPLOADS))]
    for folder, cameras in zip(folders, OTHER_UPLOADS, strict=True):
        write_uploads(folder, cameras=cameras)
    return rivals.different_uploads(bench, bench.local(), folders * (5 if whole else 1))


def _commits(*, remote: bool, alike: bool) -> Run:
    def run(bench: Bench, bucket: Bucket, whole: bool) -> Tally:
        turns = 60 if whole else 2
        if not remote:
            return rivals.sixteen_commits(bench, bench.local(), turns, alike=alike)
        with bench.remote(bucket) as place:
            return rivals.sixteen_commits(bench, place, turns, alike=alike)

    return run


def _alike_on_s3(bench: Bench, bucket: Bucket, whole: bool) -> Tally:
    with bench.remote(bucket) as place:
        return rivals.sixteen_alike(bench, place, number=16 if whole else 4)


def _collect_between_steps(bench: Bench, _: Bucket, whole: bool) -> Tally:
    steps = range(1, len(collectors.publisher_steps(bench)) + 1)
    return collectors.collect_between_steps(bench, list(steps) if whole else [3, 8, 15])


def _publish_between_deletions(bench: Bench, _: Bucket, whole: bool) -> Tally:
    steps = range(1, len(collectors.collector_steps(bench)) + 1)
    return collectors.publish_between_deletions(bench, _drawn(steps, whole, 2))


LIMITS: Final = (("RLIMIT_FSIZE", 3_000), ("RLIMIT_FSIZE", 20_000), ("RLIMIT_NOFILE", 24), ("RLIMIT_NOFILE", 32))
SCENARIOS: Final = (
    Scenario("kill-at-file-system-calls", ("watch",), _kill_at_steps),
    Scenario("flush-fails", ("watch",), _fail(FLUSHES, errno.EIO, 2)),
    Scenario("flush-fails-and-loses", ("watch",), _lose_at_flush),
    Scenario("link-or-rename-fails", ("watch",), _fail(LINKS, errno.EIO, 2)),
    Scenario("write-finds-no-room", ("watch",), _fail(WRITES, errno.ENOSPC, 2)),
    Scenario("write-fails", ("watch",), _fail(WRITES, errno.EIO, 1)),
    Scenario("write-is-short", ("watch",), _fail(WRITES, "short", 1)),
    Scenario("flushed-before-commit", ("watch",), lambda bench, *_: crash_points.unflushed_at_commit(bench)),
    Scenario("kill-at-requests", ("s3",), _kill_at_requests),
    Scenario(
        "kill-at-random", (), lambda bench, _, whole: hard_days.killed_at_random(bench, 200 if whole else 4, seed=SEED)
    ),
    Scenario(
        "kill-decoders", (), lambda bench, _, whole: hard_days.decoders_killed(bench, 40 if whole else 2, seed=SEED)
    ),
    Scenario(
        "disk-full",
        ("mount",),
        lambda bench, _, whole: hard_days.full_disk(bench, range(20, 420, 20) if whole else (40, 200)),
    ),
    Scenario("disk-read-only", ("mount",), lambda bench, *_: hard_days.read_only_disk(bench)),
    Scenario("gc-between-steps", ("watch",), _collect_between_steps),
    Scenario("publish-between-deletions", ("watch",), _publish_between_deletions),
    Scenario("limits", (), lambda bench, _, whole: hard_days.limited(bench, LIMITS if whole else LIMITS[::2])),
    Scenario(
        "busy-server",
        ("s3",),
        lambda bench, bucket, whole: hard_days.bad_network(
            bench,
            bucket,
            "503",
            hard_days.busy((5, 10, 20, 30)) if whole else hard_days.busy((10,), ("ServiceUnavailable",)),
        ),
    ),
    Scenario(
        "lossy-network",
        ("s3",),
        lambda bench, bucket, whole: hard_days.bad_network(
            bench, bucket, "a lossy network", hard_days.lossy((2, 5, 10, 20) if whole else (3,))
        ),
    ),
    Scenario("outage", ("s3",), lambda bench, bucket, whole: hard_days.outage(bench, bucket, 60 if whole else 2)),
    Scenario(
        "turned-down",
        ("s3",),
        lambda bench, bucket, _: hard_days.turned_down(bench, hard_days.refusals(bucket)),
    ),
    Scenario("lost-commit-reply", ("s3",), lambda bench, bucket, _: rivals.lost_commit(bench, bucket)),
    Scenario("sixteen-alike", (), lambda bench, *_: rivals.sixteen_alike(bench, bench.local())),
    Scenario("several-alike-on-s3", ("s3",), _alike_on_s3),
    Scenario("sixteen-commits", (), _commits(remote=False, alike=False)),
    Scenario("sixteen-commits-on-s3", ("s3",), _commits(remote=True, alike=False)),
    Scenario("sixteen-equal-commits-on-s3", ("s3",), _commits(remote=True, alike=True)),
    Scenario("different-uploads", (), _different_uploads),
    Scenario("overtaken", ("watch",), lambda bench, *_: rivals.paused_before_commit(bench, alike=False)),
    Scenario("overtaken-by-its-equal", ("watch",), lambda bench, *_: rivals.paused_before_commit(bench, alike=True)),
    Scenario(
        "overtaken-on-s3",
        ("s3",),
        lambda bench, bucket, _: rivals.paused_before_commit_on_s3(bench, bucket, alike=False),
    ),
    Scenario(
        "overtaken-by-its-equal-on-s3",
        ("s3",),
        lambda bench, bucket, _: rivals.paused_before_commit_on_s3(bench, bucket, alike=True),
    ),
)
