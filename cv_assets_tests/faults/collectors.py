"""Publishers and the collector of garbage, which would delete just the blobs that a publish is about to use again."""

import shutil
from collections.abc import Iterable

from cv_assets_tests.faults.bench import DATASET, VERSION, Bench, Place, Tally, Trial
from cv_assets_tests.faults.crash_points import STEPS
from cv_assets_tests.faults.processes import Ending
from cv_assets_tests.faults.reader import Poller
from cv_assets_tests.faults.syscalls import Call

GIVEN_WAY = {"StoreUnavailable", "StoreError"}


def collect_between_steps(bench: Bench, points: Iterable[int]) -> Tally:
    """A collector runs, from beginning to end, while a publisher stands still before its n-th step."""

    def trial(point: int) -> Trial:
        place = _with_marked_blobs(bench)
        collected: list[Ending] = []

        def judge(call: Call) -> None:
            if call.number == point:
                collected.append(bench.publishers.run(place.order(do="collect")))

        tried = bench.survive(place, watch=STEPS, judge=judge)
        if not _is_published_or_gave_way(tried.ending):
            tried.failures.append(f"ended as {tried.ending}")
        tried.struck = bool(collected)
        tried.failures += [f"the collector ended as {one}" for one in collected if not _is_collected_or_gave_way(one)]
        return tried

    return Tally("local disk, gc between two steps of a publish").try_each(points, trial)


def publish_between_deletions(bench: Bench, points: Iterable[int]) -> Tally:
    """A publisher runs, from beginning to end, while a collector stands still before its n-th step."""

    def trial(point: int) -> Trial:
        place = _with_marked_blobs(bench)
        published: list[Ending] = []

        def judge(call: Call) -> None:
            if call.number == point:
                published.append(bench.publishers.run(place.order()))

        collector = bench.publishers.start(place.order(do="collect"), watch=STEPS)
        with Poller(place.read, DATASET, VERSION) as poller:
            collected = collector.begin(place.root, judge).wait()
        tried = bench.survive(place)
        tried.struck = bool(published)
        tried.failures += [
            *poller.faults,
            *(f"ended as {one}" for one in published if not _is_published_or_gave_way(one)),
        ]
        if not _is_collected_or_gave_way(collected):
            tried.failures.append(f"the collector ended as {collected}")
        return tried

    return Tally("local disk, a publish between two steps of gc").try_each(points, trial)


def publisher_steps(bench: Bench) -> list[Call]:
    """The steps of a publish that finds its blobs: fewer than of one that writes them."""
    place = _with_marked_blobs(bench)
    publish = bench.publishers.start(place.order(), watch=STEPS).begin(place.root)
    ending = publish.wait()
    assert ending.outcome == "published", ending
    assert publish.watch is not None
    return publish.watch.calls


def collector_steps(bench: Bench) -> list[Call]:
    """The steps of a collection that deletes all blobs there are."""
    place = _with_marked_blobs(bench)
    collector = bench.publishers.start(place.order(do="collect"), watch=STEPS).begin(place.root)
    ending = collector.wait()
    assert ending.outcome == "collected", ending
    assert ending.message == "6", ending
    assert collector.watch is not None
    return collector.watch.calls


def _with_marked_blobs(bench: Bench) -> Place:
    """A store that holds the blobs of the uploads, of no version, and marked: the next collection deletes them."""
    place = bench.local()
    shutil.copytree(bench.undisturbed.root / "blobs", place.root / "blobs")
    marked = bench.publishers.run(place.order(do="collect"))
    assert marked.outcome == "collected", marked
    return place


def _is_published_or_gave_way(ending: Ending) -> bool:
    return ending.outcome == "published" or (ending.kind in GIVEN_WAY and "gc" in ending.message)


def _is_collected_or_gave_way(ending: Ending) -> bool:
    return ending.outcome == "collected" or ending.kind == "StoreUnavailable"
