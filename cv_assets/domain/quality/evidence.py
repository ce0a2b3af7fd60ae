"""The evidence behind a finding as JSON of bounded length, whatever paths and labels it quotes."""

import json
from typing import Final, cast

import polars as pl

MAX_EVIDENCE: Final = 2_000
# how many items of a list, and characters of a text, are kept of evidence that is too long; the first that fits
CUTS: Final = ((20, 200), (10, 100), (5, 60), (2, 30), (0, 10))

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]


def bounded(evidence: pl.Expr) -> pl.Expr:
    """JSON objects, of which the long ones are cut; few are, so they may take a Python call each."""
    long = pl.when(evidence.str.len_chars() > MAX_EVIDENCE).then(evidence)
    return long.map_elements(cut, return_dtype=pl.String).fill_null(evidence)


def cut(evidence: str) -> str:
    """A JSON object in at most 2,000 characters: of long lists the first items, with NAME_count; of long texts the start."""
    whole = cast("dict[str, Value]", json.loads(evidence))
    for items, characters in CUTS:
        counts: dict[str, Value] = {
            f"{name}_count": len(value)
            for name, value in whole.items()
            if isinstance(value, list | dict) and len(value) > items
        }
        shorter = {**{name: _shortened(value, items, characters) for name, value in whole.items()}, **counts}
        text = json.dumps(shorter, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        if len(text) <= MAX_EVIDENCE:
            return text
    return json.dumps({"characters": len(evidence)})


def _shortened(value: Value, items: int, characters: int) -> Value:
    if isinstance(value, str) and len(value) > characters:
        return f"{value[:characters]}…"
    if isinstance(value, list):
        return [_shortened(item, items, characters) for item in value[:items]]
    if isinstance(value, dict):
        return {key: _shortened(value[key], items, characters) for key in sorted(value)[:items]}
    return value
