"""All pairs of 64-bit hashes that differ in few bits: exact, streamed, in memory that does not grow with the pairs.

Multi-index hashing (Norouzi, Punjani and Fleet, "Fast Search in Hamming Space with Multi-Index Hashing", CVPR 2012)
as a join: of `distance + k` disjoint bands of bits a near pair agrees on at least k, so hashes are sorted by every k
of the bands, and compared inside the buckets that agree. A sample of the pairs chooses k, and which bits make a band:
hashes of images are not spread evenly. A bucket that is large nevertheless is cut again by its own sample, and where
cutting would cost more than it spares, as in a cloud of hashes that are all near, everything is compared.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import combinations
from math import comb
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Hashes: TypeAlias = npt.NDArray[np.uint64]
Positions: TypeAlias = npt.NDArray[np.int64]
# positions in the left and in the right array, of equal length
Pairs: TypeAlias = tuple[Positions, Positions]

MAX_DISTANCE_BITS: Final = 12
# numpy lets go of the interpreter while it compares
THREADS: Final = 2
WAITING: Final = 2 * THREADS
# comparisons of one task: it finds at most so many pairs, 64 MB of them
BLOCK: Final = 1 << 22
# hashes that stay in a core's own cache
ROW: Final = 1 << 15
# buckets beyond one of these are joins of their own
LARGE_SIDE: Final = 1 << 10
LARGE_PAIRS: Final = 1 << 18
# measured, in comparisons of all with all: a hash in a sort, a pair that meets in a bucket, a cut of any size
SORTING: Final = 64
MEETING: Final = 3
CUTTING: Final = 1 << 17
MOST_AGREED: Final = 4
SAMPLE: Final = 128

_BITS: Final = np.uint64(1) << np.arange(64, dtype=np.uint64)
_CHOICES: Final = np.array(
    [[comb(n, k) for k in range(MOST_AGREED + 1)] for n in range(MAX_DISTANCE_BITS + MOST_AGREED + 1)], dtype=np.float64
)


class _Side(NamedTuple):
    """Hashes, and where they stand in the array that was given."""

    hashes: Hashes
    origin: Positions

    def part(self, chosen: slice | Positions) -> "_Side":
        return _Side(self.hashes[chosen], self.origin[chosen])


class _Join(NamedTuple):
    """Left against right; if both are the same, `alone`, each pair is looked at once.

    A near pair that agrees on one of the bands `elsewhere` is found in another bucket.
    """

    left: _Side
    right: _Side
    alone: bool
    distance: int
    elsewhere: tuple[np.uint64, ...] = ()

    @property
    def pairs(self) -> int:
        many = len(self.left.hashes) * len(self.right.hashes)
        return many // 2 if self.alone else many

    @property
    def size(self) -> int:
        return len(self.left.hashes) + (0 if self.alone else len(self.right.hashes))


class _Cut(NamedTuple):
    """The bits to sort by, and the bands on which a pair must differ so that it is found by this cut alone."""

    mask: np.uint64
    elsewhere: tuple[np.uint64, ...]


_Task: TypeAlias = Callable[[], Pairs]


def near_pairs(hashes: Hashes, max_distance: int) -> Iterator[Pairs]:
    """Every pair of distinct hashes at most `max_distance` bits apart, once, in blocks of at most some 4 million.

    `hashes` is strictly increasing, shape (n,); a pair is two positions in it, in either order. Raises ValueError if
    it is not, or for a distance outside 0 to 12. A million evenly spread hashes took 4 s of processor time at 4 bits,
    7 s at 6, 17 s at 8 and 180 s at 12, in 250 MB with numpy and the hashes; uneven ones up to twice that.
    """
    if not bool((hashes[1:] > hashes[:-1]).all()):
        raise ValueError("the hashes are not strictly increasing; give each once, sorted, as np.unique does")
    side = _Side(hashes, np.arange(len(hashes)))
    yield from _run(_tasks(_Join(side, side, True, _checked(max_distance))))


def near_pairs_between(left: Hashes, right: Hashes, max_distance: int) -> Iterator[Pairs]:
    """Every pair of a left and a right hash at most `max_distance` bits apart, once, equal hashes among them.

    Both of any length and order; a pair is a position in `left` and one in `right`. Raises ValueError for a distance
    outside 0 to 12.
    """
    one, other = (_Side(hashes, np.arange(len(hashes))) for hashes in (left, right))
    yield from _run(_tasks(_Join(one, other, False, _checked(max_distance))))


def _checked(distance: int) -> int:
    if not 0 <= distance <= MAX_DISTANCE_BITS:
        raise ValueError(f"max_distance is {distance} bits; expected 0 to {MAX_DISTANCE_BITS}")
    return distance


def _run(tasks: Iterable[_Task]) -> Iterator[Pairs]:
    """What the tasks find; only a few of them wait or are done at a time, whatever the caller does meanwhile."""
    under_way: deque[Future[Pairs]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for task in tasks:
            under_way.append(pool.submit(task))
            if len(under_way) > WAITING:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _tasks(join: _Join) -> Iterator[_Task]:
    """Comparisons that together find every near pair of the join once."""
    cuts = _plan(join) if join.pairs > CUTTING else []
    for cut in cuts:
        yield from _tasks_of_cut(join._replace(elsewhere=join.elsewhere + cut.elsewhere), cut.mask)
    if not cuts:
        yield from _all_with_all(join)


def _plan(join: _Join) -> list[_Cut]:
    """The cheapest cuts, judged by a sample of the pairs; none if it is cheapest to compare all."""
    left = join.left.hashes[:: max(1, len(join.left.hashes) // SAMPLE)]
    step = max(1, len(join.right.hashes) // SAMPLE)
    right = join.right.hashes[step // 2 :: step]  # others than on the left, as a hash agrees with itself
    one, other = (((some[:, None] & _BITS) != 0).mean(axis=0) for some in (left, right))
    by_use = np.argsort(-(one * (1 - other) + other * (1 - one)), kind="stable")  # bits that differ often come first
    apart = left[:, None] ^ right
    cheapest, plan = float(join.pairs), list[_Cut]()
    for agreed in range(1, MOST_AGREED + 1):
        number = join.distance + agreed
        bands = [np.bitwise_or.reduce(_BITS[by_use[start::number]]) for start in range(number)]
        agreeing = np.sum([(apart & band) == 0 for band in bands], axis=0)
        met = join.pairs * float(_CHOICES[agreeing, agreed].mean())
        cost = MEETING * met + comb(number, agreed) * (SORTING * join.size + CUTTING)
        if cost < cheapest:
            cheapest, plan = cost, _cuts(bands, agreed)
    return plan


def _cuts(bands: list[np.uint64], agreed: int) -> list[_Cut]:
    """Every `agreed` of the bands; a pair belongs to those on which it agrees first."""
    cuts: list[_Cut] = []
    for chosen in combinations(range(len(bands)), agreed):
        passed = tuple(bands[number] for number in range(chosen[-1]) if number not in chosen)
        cuts.append(_Cut(np.bitwise_or.reduce([bands[number] for number in chosen]), passed))
    return cuts


def _tasks_of_cut(join: _Join, mask: np.uint64) -> Iterator[_Task]:
    """Compare hashes that agree on `mask`: small buckets together, large ones each as a join of its own."""
    left = join.left.part(np.argsort(join.left.hashes & mask))
    right = left if join.alone else join.right.part(np.argsort(join.right.hashes & mask))
    join, keys, others = join._replace(left=left, right=right), left.hashes & mask, right.hashes & mask
    starts = np.flatnonzero(np.concatenate([np.ones(1, dtype=np.bool_), keys[1:] != keys[:-1]]))
    sizes = np.diff(starts, append=len(keys))
    first, until = (np.searchsorted(others, keys[starts], side) for side in ("left", "right"))
    met = until - first
    is_large = (met > 0) & ((np.maximum(sizes, met) > LARGE_SIDE) | (sizes * met > LARGE_PAIRS))
    for bucket in np.flatnonzero(is_large).tolist():
        inside = right.part(slice(first[bucket], until[bucket]))
        own = inside if join.alone else left.part(slice(starts[bucket], starts[bucket] + sizes[bucket]))
        yield from _tasks(join._replace(left=own, right=inside))
    end = np.repeat(np.where(is_large, 0, until), sizes)
    begin = np.arange(1, len(keys) + 1) if join.alone else np.repeat(first, sizes)
    yield from _few_with_few(join, begin, np.maximum(end - begin, 0))


def _few_with_few(join: _Join, first: Positions, count: Positions) -> Iterator[_Task]:
    """Compare each left hash with the `count` right ones from position `first` on."""
    some = np.flatnonzero(count)
    before = np.cumsum(count[some]) - count[some]
    block_of = before // BLOCK
    for block in np.split(some, np.flatnonzero(np.diff(block_of)) + 1):
        if len(block):
            yield partial(_compare_few, join, block, first[block], count[block])


def _compare_few(join: _Join, left: Positions, first: Positions, count: Positions) -> Pairs:
    """Each step compares left hashes with their next right one; those with most to meet come first, and go on longest."""
    order = np.argsort(-count, kind="stable")
    left, first = left[order], first[order]
    going_on = len(left) - np.cumsum(np.bincount(count))[:-1]
    hashes = join.left.hashes[left]
    hits: list[Pairs] = []
    for step, number in enumerate(going_on.tolist()):
        right = first[:number] + step
        differing = hashes[:number] ^ join.right.hashes[right]
        near = (np.bitwise_count(differing) <= join.distance).nonzero()[0]
        if len(near):
            hits.append((left[near], right[near]))
    return _found(join, hits)


def _all_with_all(join: _Join) -> Iterator[_Task]:
    """Compare every left hash with every right one."""
    rows = BLOCK // min(ROW, max(1, len(join.right.hashes)))
    for top in range(0, len(join.left.hashes), rows):
        lines = range(top, min(top + rows, len(join.left.hashes)))
        for begin in range(top // ROW * ROW if join.alone else 0, len(join.right.hashes), ROW):
            yield partial(_compare_all, join, lines, begin)


def _compare_all(join: _Join, lines: range, begin: int) -> Pairs:
    others = join.right.hashes[begin : begin + ROW]
    width = len(others)
    together = max(1, ROW // width)
    hits: list[Pairs] = []
    for top in range(lines.start, lines.stop, together):
        own = join.left.hashes[top : min(top + together, lines.stop), None]
        near = (np.bitwise_count(own ^ others) <= join.distance).ravel().nonzero()[0]
        if len(near):
            left, right = near // width + top, near % width + begin
            once = left < right if join.alone else slice(None)
            hits.append((left[once], right[once]))
    return _found(join, hits)


def _found(join: _Join, hits: list[Pairs]) -> Pairs:
    """The hits that no other bucket finds, as positions in the arrays that were given."""
    nothing = np.zeros(0, np.int64)
    left, right = (np.concatenate([nothing, *each]) for each in zip(*hits, strict=True)) if hits else (nothing, nothing)
    differing = join.left.hashes[left] ^ join.right.hashes[right]
    here = np.ones(len(left), dtype=np.bool_)
    for band in join.elsewhere:
        here &= (differing & band) != 0
    return join.left.origin[left[here]], join.right.origin[right[here]]
