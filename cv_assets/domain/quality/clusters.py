"""Cuts images that look alike, be it through a chain of others, into bounded clusters, each round one of its images.

The rule: leaders have their turn one after the other, and each takes those images within the distance that no other
has taken, the nearest first, until its cluster is full. Leaders of an earlier version that still have room come first,
by image id; then, by image id, whoever is left leads. So every image is near its leader, no cluster is too large, and
what has a leader keeps it, whatever is added.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cv_assets.domain.quality.hamming import Hashes, Positions, near_pairs_between

# so many turns are looked up together, and so many neighbours held for them
TURNS: Final = 1 << 18
HELD: Final = 1 << 22
DISTANCES: Final = 65


class Bounds(NamedTuple):
    """How many bits an image may be off its leader, and how many images a cluster may hold."""

    distance_bits: int
    images: int


def find_leaders(hashes: Hashes, earlier: Positions, bounds: Bounds) -> Positions:
    """Position of each image's leader, shape (n,); leaders lead themselves.

    `hashes` has an entry an image, by image id; `earlier` the position of the leader that it has already, or -1.
    """
    table = _Table(hashes, earlier, bounds)
    table.let_lead(np.flatnonzero(earlier == np.arange(len(hashes))))
    for begin in range(0, len(hashes), TURNS):
        table.let_lead(begin + np.flatnonzero(table.leaders[begin : begin + TURNS] < 0))
    return table.leaders


class _Neighbours(NamedTuple):
    """`found[begin[v]:begin[v + 1]]` are the values near value v that images still have, the nearest first."""

    begin: Positions
    found: Positions


class _Table:
    """Who leads whom so far. Images that wait stand in a queue for each value of the hash, by image id."""

    def __init__(self, hashes: Hashes, earlier: Positions, bounds: Bounds) -> None:
        self.leaders = earlier.copy()
        self._bounds = bounds
        self._values, self._value_of = np.unique(hashes, return_inverse=True)
        self._sizes = np.bincount(earlier[earlier >= 0], minlength=len(hashes))
        free = np.flatnonzero(earlier < 0)
        self._queue = free[np.argsort(self._value_of[free], kind="stable")]
        waiting = np.bincount(self._value_of[free], minlength=len(self._values))
        self._end = np.cumsum(waiting)
        self._front = self._end - waiting

    def let_lead(self, images: Positions) -> None:
        """Give each of the images its turn, unless another has taken it by then."""
        some = len(images)
        while len(images):
            # those whom others have taken by now are most of a cloud, and need no look-up
            images = images[self._may_lead(images)]
            near = self._neighbours(np.unique(self._value_of[images[:some]]))
            if near is None:
                some = -(-min(some, len(images)) // 2)
                continue
            self._let_some_lead(images[:some], near)
            images = images[some:]
            some *= 2 if len(near.found) < HELD // 4 else 1

    def _may_lead(self, images: Positions) -> npt.NDArray[np.bool_]:
        """Who is not taken by another, and has room."""
        leaders = self.leaders[images]
        return ((leaders < 0) | (leaders == images)) & (self._sizes[images] < self._bounds.images)

    def _let_some_lead(self, images: Positions, near: _Neighbours) -> None:
        values = self._value_of[images]
        for image, begin, end in zip(
            images.tolist(), near.begin[values].tolist(), near.begin[values + 1].tolist(), strict=True
        ):
            if begin < end and self.leaders[image] in {-1, image}:
                self._take(image, near.found[begin:end].tolist())

    def _take(self, leader: int, values: list[int]) -> None:
        room = max(0, self._bounds.images - int(self._sizes[leader]))
        for value in values:
            front = int(self._front[value])
            taken = min(room, int(self._end[value]) - front)
            self.leaders[self._queue[front : front + taken]] = leader
            self._front[value] += taken
            room -= taken
            if not room:
                break

    def _neighbours(self, asked: Positions) -> _Neighbours | None:
        """Who is near the values asked for; None if that is too much to hold, and fewer can be asked for."""
        waiting = np.flatnonzero(self._front < self._end)
        pairs, held = [(asked[:0], asked[:0])], 0
        for left, right in near_pairs_between(self._values[asked], self._values[waiting], self._bounds.distance_bits):
            pairs.append((asked[left], waiting[right]))
            held += len(left)
            if held > HELD and len(asked) > 1:
                return None
        left, right = (np.concatenate(each) for each in zip(*pairs, strict=True))
        # one number a pair: by value, then by distance, then by neighbour; three columns took nine times as long to sort
        distance = np.bitwise_count(self._values[left] ^ self._values[right]).astype(np.int64)
        keys = np.sort((left * DISTANCES + distance) * len(self._values) + right)
        begin = np.searchsorted(keys, np.arange(len(self._values) + 1) * (DISTANCES * len(self._values)))
        return _Neighbours(begin, keys % max(1, len(self._values)))
