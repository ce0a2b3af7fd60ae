"""Deals images to splits: stratified, with groups and duplicates kept together, the same whatever the row order.

Iterative stratification of Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-Label Data" (ECML PKDD
2011), over units instead of single images. A unit is all that must stay together: images that share a group key,
directly or through others. Where that paper draws at random, a hash of seed and content decides here: it ranks the splits
for each unit, which goes to the first one that has room, so that most stay where they are when others come or go. Ranked
is by weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", SPAA 2005).
"""

import hashlib
import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from schemas.datasets import SplitConfig
from schemas.tables import to_frame

TRAIN = "train"
# the stratum of images without a label, and of all images when nothing is stratified by
NO_LABEL = ""
# the pseudo-stratum of the totals; a label cannot be spelt like this, as YAML, CSV and JSON texts hold no NUL
ALL = "\0all"
# a class held by fewer units cannot be cut near to its shares, and many such classes would pull the totals off
FEW_UNITS = 20
# a unit has room where it is over the share by a part of itself, or shares that hardly change would be rounded up once and down
# once; but by no larger part of the share than this
SLACK = 0.1
MAX_SETTLING_ROUNDS = 20
LEAST_GAIN = 1e-9


@dataclass(slots=True)
class _Unit:
    """Images that stay together: `images` of them are dealt; `strata` counts those of each stratum, `labels` are all theirs.

    `name` is what it is drawn by: a group key stays where the smallest image id (`key`) changes as images come and go.
    """

    key: str
    name: str
    images: int = 0
    strata: dict[str, int] = field(default_factory=dict[str, int])
    labels: set[str] = field(default_factory=set[str])


def build_splits(manifest: pl.DataFrame, config: SplitConfig) -> pl.DataFrame:
    """One row an image of the manifest, sorted by `image_id`; see schemas.tables.Splits.

    Images without any label get no split if `config.unlabelled` is exclude, unless no image at all has a label.
    """
    ids: list[str] = manifest["image_id"].to_list()
    labels: list[list[str]] = manifest["labels"].to_list()
    groups: list[list[str]] = manifest["groups"].to_list()
    unit_of = find_units(ids, groups)
    group_of: dict[str, str] = {}
    for image_id, keys in zip(ids, groups, strict=True):
        if keys:
            group_of[unit_of[image_id]] = min(*keys, group_of.get(unit_of[image_id], keys[0]))
    leave_out = config.unlabelled == "exclude" and any(labels)
    units: dict[str, _Unit] = {}
    for image_id, names in zip(ids, labels, strict=True):
        if names or not leave_out:
            key = unit_of[image_id]
            unit = units.setdefault(key, _Unit(key, group_of.get(key, key)))
            unit.images += 1
            unit.labels.update(names)
            for stratum in names if names and config.stratify_by == "label" else [NO_LABEL]:
                unit.strata[stratum] = unit.strata.get(stratum, 0) + 1
    split_of = deal(list(units.values()), config.ratios, config.seed)
    return to_frame(
        "splits",
        [
            {
                "image_id": image_id,
                "split": split_of.get(unit_of[image_id]) if names or not leave_out else None,
                "unit": unit_of[image_id],
            }
            for image_id, names in zip(ids, labels, strict=True)
        ],
    )


def find_units(ids: Sequence[str], groups: Sequence[Sequence[str]]) -> dict[str, str]:
    """Image id → smallest image id among all that must stay with it: connected components over shared group keys."""
    parent = {image_id: image_id for image_id in ids}

    def root(image_id: str) -> str:
        while parent[image_id] != image_id:
            parent[image_id] = parent[parent[image_id]]
            image_id = parent[image_id]
        return image_id

    first_with: dict[str, str] = {}
    for image_id, keys in zip(ids, groups, strict=True):
        for key in keys:
            one, other = sorted((root(image_id), root(first_with.setdefault(key, image_id))))
            parent[other] = one
    return {image_id: root(image_id) for image_id in ids}


def deal(units: Sequence[_Unit], ratios: Mapping[str, float], seed: int) -> dict[str, str]:
    """Unit key → split. The label held by the fewest units still to deal goes first, as it leaves the least choice."""
    holders: defaultdict[str, list[_Unit]] = defaultdict(list)
    for unit in sorted(units, key=lambda unit: _draw(seed, unit.name)):
        for stratum in unit.strata:
            holders[stratum].append(unit)
    total = sum(unit.images for unit in units)
    wanted = {split: share * total for split, share in ratios.items()}
    slack = {split: SLACK * images for split, images in wanted.items()}
    wanted_of = {
        stratum: {split: share * sum(unit.strata[stratum] for unit in some) for split, share in ratios.items()}
        for stratum, some in holders.items()
    }
    split_of: dict[str, str] = {}
    remaining = {stratum: len(some) for stratum, some in holders.items()}
    by_rarity = [(count, stratum) for stratum, count in remaining.items()]
    heapq.heapify(by_rarity)
    while remaining:
        count, rarest = heapq.heappop(by_rarity)
        if remaining.get(rarest) != count:
            continue  # it has become rarer since, and stands in the heap for that as well
        del remaining[rarest]
        desire, touched = wanted_of[rarest], set[str]()
        for unit in sorted(holders[rarest], key=lambda unit: -unit.strata[rarest]):  # large ones while there is room
            if unit.key in split_of:
                continue
            for split in _rank(seed, unit.name, ratios):
                # so small a part that all other splits together take less than a unit from one
                over = min(unit.images / len(ratios), slack[split])
                few_over = unit.strata[rarest] / len(ratios)
                if desire[split] + few_over >= unit.strata[rarest] and wanted[split] + over >= unit.images:
                    break
            else:
                split = max(ratios, key=lambda name: (desire[name], wanted[name], ratios[name], name))
            split_of[unit.key] = split
            wanted[split] -= unit.images
            for stratum, count in unit.strata.items():
                wanted_of[stratum][split] -= count
                if stratum in remaining:
                    remaining[stratum] -= 1
                    touched.add(stratum)
        for stratum in touched:
            heapq.heappush(by_rarity, (remaining[stratum], stratum))
    _fill_train(units, split_of)
    few = {stratum for stratum, some in holders.items() if len(some) < FEW_UNITS}
    movable = [unit for unit in units if unit.images > 1 or not few.isdisjoint(unit.strata)]
    _settle(movable, units, ratios, split_of)
    return split_of


def _settle(
    movable: Sequence[_Unit], units: Sequence[_Unit], ratios: Mapping[str, float], split_of: dict[str, str]
) -> None:
    """Move groups and images of rare classes while that brings sizes and classes nearer to their shares.

    The measure is chi-squared over classes, with the totals counting as much as all classes together.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter[str])
    for unit in units:
        for stratum, number in _weigh(unit):
            counts[stratum][split_of[unit.key]] += number
    asked = {
        stratum: {split: share * sum(got.values()) for split, share in ratios.items()}
        for stratum, got in counts.items()
    }
    learnt = Counter(label for unit in units if split_of[unit.key] == TRAIN for label in unit.labels)
    weight = {stratum: len(counts) - 1 if stratum == ALL else 1 for stratum in counts}

    def gain(unit: _Unit, old: str, new: str) -> float:
        if old == TRAIN and any(learnt[label] == 1 for label in unit.labels):
            return -1.0  # a class would leave train
        total = 0.0
        for stratum, number in _weigh(unit):
            for split, change in ((old, -number), (new, number)):
                off, share = counts[stratum][split] - asked[stratum][split], asked[stratum][split]
                total += weight[stratum] * (off**2 - (off + change) ** 2) / share
        return total

    for _ in range(MAX_SETTLING_ROUNDS):
        moved = False
        for unit in sorted(movable, key=lambda unit: (-unit.images, unit.key)):
            old = split_of[unit.key]
            new = max(sorted(ratios), key=lambda split: gain(unit, old, split) if split != old else 0.0)
            if gain(unit, old, new) > LEAST_GAIN and new != old:
                split_of[unit.key], moved = new, True
                learnt.update(dict.fromkeys(unit.labels, (new == TRAIN) - (old == TRAIN)))
                for stratum, number in _weigh(unit):
                    counts[stratum][old] -= number
                    counts[stratum][new] += number
        if not moved:
            return


def _weigh(unit: _Unit) -> Iterable[tuple[str, int]]:
    return [(ALL, unit.images), *unit.strata.items()]


def _fill_train(units: Iterable[_Unit], split_of: dict[str, str]) -> None:
    """Give train the smallest unit of each class that it lacks: a class that is never seen cannot be learnt."""
    holders: defaultdict[str, list[_Unit]] = defaultdict(list)
    for unit in units:
        for label in unit.labels:
            holders[label].append(unit)
    for _, some in sorted(holders.items()):
        if all(split_of[unit.key] != TRAIN for unit in some):
            split_of[min(some, key=lambda unit: (unit.images, unit.key)).key] = TRAIN


def _rank(seed: int, name: str, ratios: Mapping[str, float]) -> list[str]:
    """The splits in the order in which a unit would go to them; each is first for its share of all units."""

    def distance(split: str) -> float:
        point = (int.from_bytes(_draw(seed, f"{split}:{name}")[:8]) + 1) / 2**64
        return -math.log(point) / ratios[split]

    return sorted(ratios, key=distance)


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
