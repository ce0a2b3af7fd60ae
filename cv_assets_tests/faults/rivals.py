"""Publishers that meet others: sixteen of one version at once, one that is overtaken, one whose reply is lost."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cv_assets_tests.faults.bench import COMMIT, DATASET, VERSION, Bench, Place, Tally, Trial
from cv_assets_tests.faults.crash_points import STEPS
from cv_assets_tests.faults.hard_days import must_publish
from cv_assets_tests.faults.processes import Ending, Order
from cv_assets_tests.faults.reader import Partial, Poller, seen_version
from cv_assets_tests.faults.syscalls import Call
from cv_assets_tests.servers.plans import Fault, Request, on
from cv_assets_tests.servers.s3 import Bucket
from schemas.releases import CommitRecord

PUBLISHERS: Final = 16


def all_at_once(bench: Bench, orders: Sequence[Order]) -> list[Ending]:
    """Publishes that begin at the same moment; their endings, in order."""
    under_way = [bench.publishers.start(order) for order in orders]
    for publish in under_way:
        publish.begin()
    return [publish.wait() for publish in under_way]


def sixteen_alike(bench: Bench, place: Place, *, number: int = PUBLISHERS) -> Tally:
    """Sixteen publishers of one version with the same uploads: one commit, and success for all."""
    tally = Tally(f"{_where(place)}, {number} publishers of equal content")
    with Poller(place.read, DATASET, VERSION) as poller:
        endings = all_at_once(bench, [place.order()] * number)
    failures = [*poller.faults, *(f"ended as {ending}" for ending in endings if ending.digest != bench.digest)]
    failures += _changed(poller)
    tally.add("all", Trial(endings[0], poller.polls, failures))
    tally.tried = number
    return tally


def _changed(poller: Poller) -> list[str]:
    """What is committed stays as it is: a reader sees one content, however often it looks."""
    return [f"the reader saw several digests: {sorted(poller.digests)}"] if len(poller.digests) > 1 else []


def _where(place: Place) -> str:
    return "S3" if place.proxy else "local disk"


def sixteen_commits(bench: Bench, place: Place, versions: int, *, alike: bool = False) -> Tally:
    """Sixteen writers of one commit record: the last step alone, so that all arrive at it together.

    If they differ, one wins and fifteen learn of the conflict with both digests. The objects are those of a finished
    version.
    """
    tally = Tally(f"{_where(place)}, {PUBLISHERS} commits of {'equal' if alike else 'different'} content")
    assert bench.publishers.run(place.order()).outcome == "published"
    record = CommitRecord.from_bytes(place.read(COMMIT) or b"")
    digests = [f"{0 if alike else index:064x}" for index in range(PUBLISHERS)]
    for turn in range(versions):
        name = f"race-{turn}"
        rivals = [record.model_copy(update={"version": name, "digest": digest}).to_bytes() for digest in digests]
        endings = all_at_once(bench, [place.order(do="commit", version=name, record=one.decode()) for one in rivals])
        seen = seen_version(place.read, DATASET, name)
        failures = [f"ended as {ending}" for ending in endings if ending.digest != seen]
        tally.add(name, Trial(endings[0], 0, failures if alike else _one_winner(endings, digests, seen)))
    return tally


def _one_winner(endings: Sequence[Ending], digests: Sequence[str], seen: str | None) -> list[str]:
    winners = [ending.digest for ending in endings if ending.outcome == "published"]
    failures = [] if winners == [seen] else [f"winners {winners}, but the reader sees {seen}"]
    for ending, digest in zip(endings, digests, strict=True):
        told = ending.kind == "VersionConflict" and digest in ending.message and str(seen) in ending.message
        if ending.outcome != "published" and not told:
            failures.append(f"a loser ended as {ending}")
    return failures


def different_uploads(bench: Bench, place: Place, uploads: Sequence[Path]) -> Tally:
    """Whole publishes of one version from different uploads: one content is committed; the others join it or are refused."""
    tally = Tally("local disk, publishers with different uploads")
    orders = [Place(place.store, folder, place.read, place.root).order() for folder in uploads]
    with Poller(place.read, DATASET, VERSION) as poller:
        endings = all_at_once(bench, orders)
    seen = place.digest()
    failures = [*poller.faults, *_changed(poller), *([] if seen else ["nothing was committed"])]
    for ending in endings:
        joined = ending.outcome == "published" and ending.digest == seen
        if not joined and ending.kind != "VersionConflict":
            failures.append(f"ended as {ending}")
    tally.add("all", Trial(endings[0], poller.polls, failures))
    tally.tried = len(uploads)
    tally.notes = {kind: sum(e.outcome == kind for e in endings) for kind in ("published", "failed")}
    return tally


def paused_before_commit(bench: Bench, *, alike: bool, bug: str | None = None) -> Tally:
    """A publisher stands still just before its commit record appears, another one commits, the first goes on."""
    tally = Tally(f"local disk, paused before the commit while {'an equal' if alike else 'another'} version appears")
    place = bench.local()
    arrived, go_on = threading.Event(), threading.Event()

    def judge(call: Call) -> None:
        if call.kind in {"link", "rename"} and call.paths[-1].name == "COMMIT.json":
            arrived.set()
            assert go_on.wait(120)

    slow = bench.publishers.start(place.order(bug=bug), watch=STEPS).begin(place.root, judge)
    with Poller(place.read, DATASET, VERSION) as poller:
        slow.wait_until(arrived)
        quick, wanted = _overtake(bench, place, alike=alike)
        go_on.set()
        ending = slow.wait()
    failures = [*poller.faults, *_changed(poller), *_overtaken(bench, place, ending, quick, wanted)]
    tally.add("link", Trial(ending, poller.polls, failures))
    return tally


def paused_before_commit_on_s3(bench: Bench, bucket: Bucket, *, alike: bool) -> Tally:
    """The same on S3, where the request with the commit record is held."""
    tally = Tally(f"S3, paused before the commit while {'an equal' if alike else 'another'} version appears")
    with bench.remote(bucket) as place, bench.remote(bucket) as another:
        proxy = place.proxy
        assert proxy is not None
        direct = Place(place.store, place.uploads, place.read, proxy=another.proxy)  # the same store, another way
        arrived, go_on = threading.Event(), threading.Event()

        def plan(request: Request) -> Fault | None:
            if request.method == "PUT" and request.key.endswith(COMMIT):
                arrived.set()
                return Fault(hold=go_on)
            return None

        proxy.start_over(plan)
        environment = {"CV_ASSETS_STORE_TIMEOUT": "60"}
        slow = bench.publishers.start(place.order(environment=environment)).begin()
        with Poller(place.read, DATASET, VERSION) as poller:
            slow.wait_until(arrived)
            quick, wanted = _overtake(bench, direct, alike=alike)
            go_on.set()
            ending = slow.wait()
        failures = [*poller.faults, *_changed(poller), *_overtaken(bench, place, ending, quick, wanted)]
        tally.add("PUT", Trial(ending, poller.polls, failures))
    return tally


def _overtake(bench: Bench, place: Place, *, alike: bool) -> tuple[Ending, str]:
    """Commit the version that somebody else is about to commit; with other content, by a record of its own."""
    if alike:
        return bench.publishers.run(place.order()), bench.digest
    record = CommitRecord.from_bytes(bench.undisturbed.read(COMMIT) or b"").model_copy(update={"digest": "0" * 64})
    return bench.publishers.run(place.order(do="commit", record=record.to_bytes().decode())), "0" * 64


def _overtaken(bench: Bench, place: Place, slow: Ending, quick: Ending, wanted: str) -> list[str]:
    failures = [] if quick.digest == wanted else [f"the one that was quick ended as {quick}"]
    try:
        seen = place.digest()
    except Partial as error:
        return [*failures, str(error)]
    if seen != wanted:
        failures.append(f"what was committed first is overwritten: the reader sees {seen}")
    well = slow.digest == bench.digest if wanted == bench.digest else slow.kind == "VersionConflict"
    return failures if well else [*failures, f"the one that was slow ended as {slow}"]


def lost_commit(bench: Bench, bucket: Bucket, bug: str | None = None) -> Tally:
    """The reply to the commit record is lost after it landed."""
    tally = Tally("S3, the reply to the commit is lost")
    with bench.remote(bucket) as place:
        assert place.proxy is not None
        place.proxy.start_over(on("PUT", Fault(lose_reply=True), key=COMMIT, times=1))
        tally.add("PUT", must_publish(bench.survive(place, place.order(bug=bug))))
    return tally
