"""How far two samples are apart, and how far samples of their size are apart by chance. What is compared is not said here.

- PSI, the population stability index: the sum of (q − p) · ln(q / p) over bins with the shares p of the baseline and q of
  the other sample. Bins of numbers are tenths of the baseline; a value that makes up a tenth of it or more has a bin of its
  own, so that constants and counts can be compared too. Bins of categories are the categories, the rare ones in one.
- Jensen–Shannon distance of the same shares, base 2; Kolmogorov–Smirnov statistic of the values themselves, with the p-value
  of its limiting distribution (N. Smirnov, Table for estimating the goodness of fit of empirical distributions, 1948).

A small sample differs from its own source: with B bins and sizes n and m, PSI / (1/n + 1/m) of two samples of one source
follows chi² with B − 1 degrees of freedom (B. Yurdakul, Statistical properties of the population stability index, 2018).
A tenth of 30 values is 3, so PSI is about 0.6 where nothing has changed, and above 0.25 in 96 of 100 tries: hence
`chance_psi`, which one try in a thousand exceeds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

# of two samples of one source, one pair in so many is further apart than what is put down to chance
CHANCE: Final = 0.001
# a bin with nothing in it counts as half a value, and no bin as less than this share: the usual epsilon
LEAST_SHARE: Final = 1e-4
# categories of which the smaller sample is to hold fewer values than this are taken together, as in a chi² test
LEAST_EXPECTED: Final = 5
TENTHS: Final = 10

Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
# a category, None for all rare ones; or two edges: above the first, up to the second, None where it is open
Bin = str | tuple[float | None, float | None] | None
Name = TypeVar("Name")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two samples side by side: sizes, distances, and the shares of each in the same bins.

    All distances are None if a sample is empty, or if it has several categories that are all rare; those of
    Kolmogorov–Smirnov are None for categories too.
    """

    baseline_rows: int
    rows: int
    bins: tuple[Bin, ...] = ()
    baseline_shares: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    psi: float | None = None
    js_distance: float | None = None
    ks_statistic: float | None = None
    ks_p_value: float | None = None
    expected_psi: float | None = None
    chance_psi: float | None = None

    @property
    def is_beyond_chance(self) -> bool:
        """Does either test say that two samples of one source are hardly ever as far apart?

        PSI knows any kind of change; of a shift in fewer than 100 values, Kolmogorov–Smirnov finds more.
        """
        by_psi = self.psi is not None and self.chance_psi is not None and self.psi > self.chance_psi
        return by_psi or (self.ks_p_value is not None and self.ks_p_value < CHANCE)


def compare_numbers(baseline: Numbers, values: Numbers) -> Comparison:
    """Two samples of numbers, shapes (n,) and (m,); what is not finite is left out."""
    baseline, values = np.sort(baseline[np.isfinite(baseline)]), np.sort(values[np.isfinite(values)])
    if not (baseline.size and values.size):
        return Comparison(baseline.size, values.size)
    edges, bins = _bins_of(baseline)
    statistic, p_value = _kolmogorov_smirnov(baseline, values)
    return _compare(bins, _count(baseline, edges), _count(values, edges), ks=(statistic, p_value))


def compare_categories(baseline: Mapping[str, int], counts: Mapping[str, int]) -> Comparison:
    """Two samples of categories, given as how often each occurs; bins are sorted by the baseline's counts, largest first."""
    names = sorted({*baseline, *counts}, key=lambda name: (-baseline.get(name, 0), -counts.get(name, 0), name))
    before = np.array([baseline.get(name, 0) for name in names], dtype=np.int64)
    after = np.array([counts.get(name, 0) for name in names], dtype=np.int64)
    total, other_total = int(before.sum()), int(after.sum())
    if not (total and other_total):
        return Comparison(total, other_total)
    is_rare = (before + after) * min(total, other_total) < LEAST_EXPECTED * (total + other_total)
    if len(names) > 1 and is_rare.all():
        return Comparison(total, other_total)
    bins: list[Bin] = [name for name, rare in zip(names, is_rare, strict=True) if not rare]
    before_rare, after_rare = before[is_rare].sum(), after[is_rare].sum()
    return _compare(
        [*bins, None], np.append(before[~is_rare], before_rare), np.append(after[~is_rare], after_rare), ks=(None, None)
    )


def stability_index(baseline_counts: Counts, counts: Counts) -> float:
    """PSI of two histograms over the same bins, shapes (bins,), neither of them empty; see LEAST_SHARE for empty bins."""
    expected, actual = (
        np.maximum(one / one.sum(), max(0.5 / int(one.sum()), LEAST_SHARE)) for one in (baseline_counts, counts)
    )
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def most_moved(rows: Sequence[tuple[Name, float, float]], most: int) -> list[tuple[Name | None, float, float]]:
    """Of bins with both shares, if more than `most` are categories: those that moved furthest, in their order.

    All the others are one last bin, None, with the rare ones.
    """
    named = [row for row in rows if isinstance(row[0], str)]
    if len(named) <= most:
        return list(rows)
    kept = {name for name, _, _ in sorted(named, key=lambda row: (-abs(row[1] - row[2]), -max(row[1:])))[:most]}
    shown = [row for row in rows if isinstance(row[0], str) and row[0] in kept]
    others = [row for row in rows if not isinstance(row[0], str) or row[0] not in kept]
    return [*shown, (None, sum(row[1] for row in others), sum(row[2] for row in others))]


def _compare(
    bins: list[Bin], baseline_counts: Counts, counts: Counts, *, ks: tuple[float | None, float | None]
) -> Comparison:
    special = _special()
    used = (baseline_counts + counts) > 0
    baseline_counts, counts = baseline_counts[used], counts[used]
    total, other_total = int(baseline_counts.sum()), int(counts.sum())
    shares, other_shares = baseline_counts / total, counts / other_total
    between = (shares + other_shares) / 2
    divergence = float(np.sum(special.rel_entr(shares, between) + special.rel_entr(other_shares, between))) / 2
    spread = 1 / total + 1 / other_total
    freedom = int(used.sum()) - 1
    return Comparison(
        baseline_rows=total,
        rows=other_total,
        bins=tuple(one for one, is_used in zip(bins, used, strict=True) if is_used),
        baseline_shares=tuple(shares.tolist()),
        shares=tuple(other_shares.tolist()),
        psi=stability_index(baseline_counts, counts),
        js_distance=math.sqrt(max(0.0, divergence) / math.log(2)),  # what should be 0 may be less by a rounding error
        ks_statistic=ks[0],
        ks_p_value=ks[1],
        expected_psi=freedom * spread,
        chance_psi=float(special.chdtri(freedom, CHANCE)) * spread if freedom else 0.0,
    )


def _bins_of(ordered: Numbers) -> tuple[Numbers, list[Bin]]:
    """Upper edges of all bins but the last, and the bins: tenths of the sorted values, and single values that are frequent."""
    places = np.ceil(np.arange(1, TENTHS) * ordered.size / TENTHS).astype(np.int64) - 1
    edges: list[float] = []
    bins: list[Bin] = []
    low: float | None = None
    for edge in np.unique(ordered[places]).tolist():
        if np.count_nonzero(ordered == edge) * TENTHS >= ordered.size:
            edges.append(float(np.nextafter(edge, -np.inf)))
            bins.append((low, edge))
            low = edge
        edges.append(edge)
        bins.append((low, edge))
        low = edge
    return np.array(edges), [*bins, (low, None)]


def _count(ordered: Numbers, edges: Numbers) -> Counts:
    below = np.searchsorted(ordered, edges, "right")
    return np.diff(below, prepend=0, append=ordered.size).astype(np.int64)


def _kolmogorov_smirnov(baseline: Numbers, values: Numbers) -> tuple[float, float]:
    """Statistic and p-value of two sorted samples, neither of them empty.

    Of a few values the limiting distribution is nearer to the exact p-value than what scipy.stats calls asymptotic, and that
    takes a second to import.
    """
    both = np.concatenate([baseline, values])
    shares, other_shares = (np.searchsorted(one, both, "right") / one.size for one in (baseline, values))
    statistic = float(np.abs(shares - other_shares).max())
    size = baseline.size * values.size / (baseline.size + values.size)
    return statistic, float(_special().kolmogorov(math.sqrt(size) * statistic))


def _special() -> Any:
    # scipy takes longer to import than a command may, and has no types
    from scipy import special  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs]

    return special
