"""Finds images that look alike by their perceptual hash: which are linked by a chain, and in which cluster each stands.

Images without content, such as even areas, all have nearly the same hash: they are near duplicates like others, and
the rule low-information says of each what it is.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from cv_assets.domain.quality.clusters import Bounds, find_leaders
from cv_assets.domain.quality.hamming import Hashes, Pairs, Positions, near_pairs, near_pairs_between
from schemas.quality import NearDuplicatesConfig
from schemas.tables import polars_schema

# pairs that are gathered before they are linked, as that costs a walk over all hashes
GATHERED: Final = 1 << 20


class Earlier(NamedTuple):
    """An earlier version of the dataset: its manifest, and its near duplicates, found with the same settings."""

    manifest: pl.DataFrame
    near_duplicates: pl.DataFrame


class _Known(NamedTuple):
    """The hashes of an earlier version, and its near duplicates with theirs."""

    hashes: Hashes
    linked: pl.DataFrame


def find_near_duplicates(
    manifest: pl.DataFrame, config: NearDuplicatesConfig, earlier: Earlier | None = None
) -> pl.DataFrame:
    """One row an image that another one is near, sorted by `image_id`; see schemas.tables.NearDuplicates.

    `earlier` spares comparing what was compared; `component_id` is the same without it. `cluster_id` is by the rule of
    cv_assets.domain.quality.clusters: an image keeps that of `earlier` while its leader is there and both look alike.
    """
    images = _with_hash(manifest)
    images = images if images["image_id"].is_sorted() else images.sort("image_id")
    known = None if earlier is None else _known(earlier)
    hashes, hash_of = np.unique(images["hash"].to_numpy(), return_inverse=True)
    roots = _linked(hashes, config.max_distance_bits, known)[hash_of]
    first = np.full(len(hashes), images.height)
    np.minimum.at(first, roots, np.arange(images.height))
    rows = np.flatnonzero(np.bincount(roots, minlength=len(hashes))[roots] > 1)
    near = images[rows]
    own = near["hash"].to_numpy()
    leaders = find_leaders(own, _known_leaders(near, known), Bounds(config.max_distance_bits, config.max_cluster))
    found = near.select(
        "image_id",
        near["image_id"].gather(leaders).alias("cluster_id"),
        pl.Series("distance_bits", np.bitwise_count(own ^ own[leaders])),
        images["image_id"].gather(first[roots[rows]]).alias("component_id"),
    )
    return found.cast(pl.Schema(polars_schema("near_duplicates")))


def hash_of_phash() -> pl.Expr:
    """The 64 bits that `phash` spells, as one number."""
    return pl.col("phash").str.decode("hex").bin.reinterpret(dtype=pl.UInt64, endianness="big")


def _with_hash(manifest: pl.DataFrame) -> pl.DataFrame:
    """Columns image_id and hash."""
    return manifest.select("image_id", hash_of_phash().alias("hash"))


def _known(earlier: Earlier) -> _Known:
    images = _with_hash(earlier.manifest)
    linked = earlier.near_duplicates.drop("distance_bits").join(images, on="image_id", how="inner")
    return _Known(np.sort(images["hash"].to_numpy()), linked)


def _linked(hashes: Hashes, distance: int, known: _Known | None) -> Positions:
    """A root for each of the distinct hashes, the same for all that are linked by near pairs; shape (n,)."""
    roots, searched = np.arange(len(hashes)), np.arange(len(hashes))
    if known is not None:
        roots, searched = _start_from(known, hashes)
    # a search of some among all costs twice their share of a search of all among themselves
    if 2 * len(searched) > len(hashes):
        return _link(roots, near_pairs(hashes, distance))
    pairs = near_pairs_between(hashes[searched], hashes, distance)
    return _link(roots, ((searched[left], right) for left, right in pairs))


def _start_from(known: _Known, hashes: Hashes) -> tuple[Positions, Positions]:
    """Roots by the components that lost no hash, and where to search: hashes of the others, and those that are new."""
    is_here, positions = _find(hashes, known.linked["hash"].to_numpy())
    linked = known.linked.select("component_id", pl.Series("is_here", is_here), pl.Series("position", positions))
    lowest, is_whole = pl.col("position").min().over("component_id"), pl.col("is_here").all().over("component_id")
    linked = linked.select("position", "is_here", lowest.alias("lowest"), is_whole.alias("is_whole"))
    whole, broken = linked.filter("is_whole"), linked.filter("is_here", ~pl.col("is_whole"))
    roots, searched = np.arange(len(hashes)), np.ones(len(hashes), dtype=np.bool_)
    roots[whole["position"].to_numpy()] = whole["lowest"].to_numpy()
    is_here, positions = _find(hashes, known.hashes)
    searched[positions[is_here]] = False
    searched[broken["position"].to_numpy()] = True
    return roots, np.flatnonzero(searched)


def _find(hashes: Hashes, some: Hashes) -> tuple[npt.NDArray[np.bool_], Positions]:
    """Which of some hashes are among the sorted ones, and where."""
    positions = np.searchsorted(hashes, some)
    inside = positions < len(hashes)
    inside[inside] = hashes[positions[inside]] == some[inside]
    return inside, positions


def _link(roots: Positions, pairs: Iterable[Pairs]) -> Positions:
    """Give the two ends of every pair the same root; a root is the smallest position of those it stands for."""
    gathered, number = list[Pairs](), 0
    for left, right in pairs:
        apart = np.flatnonzero(roots[left] != roots[right])
        if len(apart):
            gathered.append((left[apart], right[apart]))
            number += len(apart)
        if number > GATHERED:
            _hook(roots, gathered)
            gathered, number = [], 0
    if gathered:
        _hook(roots, gathered)
    return roots


def _hook(roots: Positions, pairs: list[Pairs]) -> None:
    """Hang the larger root of a pair below the smaller one, and shorten the way up, until no pair is apart.

    After Shiloach and Vishkin, "An O(log n) Parallel Connectivity Algorithm" (1982): a few rounds, each over arrays.
    """
    left, right = (np.concatenate(each) for each in zip(*pairs, strict=True))
    while len(left):
        one, other = roots[left], roots[right]
        apart = one != other
        left, right = left[apart], right[apart]
        np.minimum.at(roots, np.maximum(one, other)[apart], np.minimum(one, other)[apart])
        while not np.array_equal(above := roots[roots], roots):
            roots[:] = above


def _known_leaders(images: pl.DataFrame, known: _Known | None) -> Positions:
    """Position of the leader that an image had before, or -1; both are there, and look as they did."""
    leaders = np.full(images.height, -1)
    if known is None:
        return leaders
    same = known.linked.join(images.with_row_index("position"), on=["image_id", "hash"], how="inner")
    led = same.join(same.select(cluster_id="image_id", leader="position"), on="cluster_id", how="inner")
    leaders[led["position"].to_numpy()] = led["leader"].to_numpy()
    return leaders
