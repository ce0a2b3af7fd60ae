"""Drift: each property of a version beside that of its baseline, and whether a threshold of the dataset is exceeded.

Nothing is called drift that samples of this size show by chance (see distributions.py), or that rests on fewer values than
`least_rows`: a check that cries wolf is switched off. Chance is reckoned for images that are independent of each other;
the frames of one film are not, and then a version that differs is one that was filmed elsewhere.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

import numpy as np
import polars as pl

from cv_assets.domain.annotations.text import listed, shortened
from cv_assets.domain.quality.compared_values import (
    DESCRIPTIONS,
    embeddings_of,
    place_embeddings,
    values_of,
)
from cv_assets.domain.quality.distributions import Bin, Comparison, compare_categories, compare_numbers, most_moved
from cv_assets.domain.quality.wording import shortened_label
from schemas.quality import DriftConfig
from schemas.tables import to_frame

Tables = Mapping[str, pl.DataFrame]
# bins of categories that are shown: those that moved most
BINS_SHOWN: Final = 40


class Compared(NamedTuple):
    """One property of both versions; `note` says why there is nothing to compare, `rare` what the figures cannot show."""

    name: str
    kind: Literal["number", "category", "embedding"]
    found: Comparison
    note: str | None = None
    rare: str | None = None


def build_drift(tables: Tables, baseline: Tables | None, config: DriftConfig) -> pl.DataFrame:
    """One row a property that either version has values of, sorted by name; see schemas.tables.Drift.

    Both hold manifest and annotations. Without a baseline, or with one that has no manifest any more, there are no rows.
    `evidence` is a JSON object: `bins` (categories, null for the rare ones together; or pairs of edges, above the first and
    up to the second, null where it is open, the same number twice for a bin of one value), `baseline` and `version` (their
    shares), `description`, `expected_psi` and `chance_psi` (the mean of it, and what it exceeds once in a thousand times,
    if nothing has changed), `threshold` of PSI, `exceeded` (names of measures), `beyond_chance`, `enough_rows`, and a
    `note` where there is something to say.
    """
    if baseline is None or "manifest" not in baseline:
        return to_frame("drift", [])
    compared = [*_values(tables, baseline), *_embeddings(tables, baseline, config)]
    return to_frame("drift", [_row(one, config) for one in compared])


def _values(tables: Tables, baseline: Tables) -> Iterator[Compared]:
    before, after = values_of(baseline), values_of(tables)
    nothing = np.empty(0)
    for name in {**before.numbers, **after.numbers}:
        found = compare_numbers(before.numbers.get(name, nothing), after.numbers.get(name, nothing))
        yield Compared(name, "number", found)
    for name in {**before.categories, **after.categories}:
        old, new = before.categories.get(name, {}), after.categories.get(name, {})
        found = compare_categories(old, new)
        note = "every category is too rare to be compared" if found.psi is None else None
        yield Compared(name, "category", found, note, _rare(old, new, found))


def _rare(before: Mapping[str, int], after: Mapping[str, int], found: Comparison) -> str | None:
    """The categories of one side alone that are too rare for a bin of their own, if both sides have any category."""
    sides = {"new": after.keys() - before.keys(), "gone": before.keys() - after.keys()}
    rare = {side: sorted(names.difference(filter(None, found.bins))) for side, names in sides.items()}
    said = [f"{side}: {listed([shortened_label(name) for name in names])}" for side, names in rare.items() if names]
    return f"too rare to be compared one by one, {'; '.join(said)}" if said and before and after else None


def _embeddings(tables: Tables, baseline: Tables, config: DriftConfig) -> Iterator[Compared]:
    if config.embedding is None:
        return
    before, after = embeddings_of(baseline, config.embedding), embeddings_of(tables, config.embedding)
    sizes = Comparison(len(before.lists), len(after.lists))
    lengths = before.lists.shape[1], after.lists.shape[1]
    if lengths[0] != lengths[1]:
        note = f"lists of {lengths[0]} numbers in the baseline and of {lengths[1]} here cannot be compared"
        yield Compared("embedding", "embedding", sizes, note)
    elif min(before.fewest, after.fewest) < 1:
        yield Compared("embedding", "embedding", sizes, "half of the lists are learnt from: too few are left")
    else:
        for name, (values, others) in place_embeddings(before, after).items():
            yield Compared(name, "embedding", compare_numbers(values, others))


def _row(compared: Compared, config: DriftConfig) -> dict[str, object]:
    found = compared.found
    own: Mapping[str, float | None] = {**config.thresholds}
    threshold = own.get(compared.name, config.psi)
    most = {"psi": threshold, "js_distance": config.js_distance, "ks_statistic": config.ks_statistic}
    measured = {name: _rounded(getattr(found, name)) for name in most}
    exceeded = [name for name, value in measured.items() if _is_above(value, most[name])]
    enough_rows = min(found.baseline_rows, found.rows) >= config.least_rows
    evidence = {
        **_histograms(found),
        "description": DESCRIPTIONS[compared.name],
        "expected_psi": _rounded(found.expected_psi),
        "chance_psi": _rounded(found.chance_psi),
        "threshold": threshold,
        "exceeded": exceeded,
        "beyond_chance": found.is_beyond_chance,
        "enough_rows": enough_rows,
        "note": "; ".join(filter(None, (_note(compared, config, is_above=bool(exceeded)), compared.rare))) or None,
    }
    return {
        "property": compared.name,
        "kind": compared.kind,
        "baseline_rows": found.baseline_rows,
        "rows": found.rows,
        **measured,
        "ks_p_value": _rounded(found.ks_p_value),
        "drifted": bool(exceeded) and enough_rows and found.is_beyond_chance,
        "evidence": json.dumps(evidence, ensure_ascii=False),
    }


def _note(compared: Compared, config: DriftConfig, *, is_above: bool) -> str | None:
    found = compared.found
    missing = [side for side, rows in (("baseline", found.baseline_rows), ("version", found.rows)) if not rows]
    if missing:
        return f"no values in the {' and the '.join(missing)}"
    if compared.note is None and min(found.baseline_rows, found.rows) < config.least_rows:
        return f"fewer than {config.least_rows} values on a side: nothing is called drift"
    if is_above and not found.is_beyond_chance:
        return "two samples of this size from one source may be as far apart: not called drift"
    return compared.note


def _histograms(found: Comparison) -> dict[str, object]:
    """The shares of both in the same bins; of many categories those that moved, and the others with the rare ones."""
    rows = most_moved(list(zip(found.bins, found.baseline_shares, found.shares, strict=True)), BINS_SHOWN)
    return {
        "bins": [_shown(one) for one, _, _ in rows],
        "baseline": [_rounded(share) for _, share, _ in rows],
        "version": [_rounded(share) for _, _, share in rows],
    }


def _shown(one: Bin) -> str | list[float | None] | None:
    if isinstance(one, tuple):
        return [None if edge is None else float(f"{edge:.6g}") for edge in one]
    return None if one is None else shortened(one)


def _is_above(value: float | None, most: float | None) -> bool:
    return value is not None and most is not None and value > most


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
