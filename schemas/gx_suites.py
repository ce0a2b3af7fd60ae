"""Reads a suite as Great Expectations 1.x writes it (JSON), into the form of schemas/expectations.py."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, cast

from schemas.expectation_types import TABLES

# what a run of Great Expectations adds, and what is empty there
_OF_THE_RUN: Final = frozenset({"batch_id", "result_format", "catch_exceptions"})
_SEVERITIES: Final = {"critical": "ERROR", "warning": "WARN", "info": "WARN"}
# keys of `meta` that are read, of an expectation and of the suite, and those that Great Expectations writes there itself
_META: Final = ("table", "name", "where")
_SUITE_META: Final = ("table", "defaults")
_THEIRS: Final = frozenset({"notes", "great_expectations_version"})
# our keys that have another place there
_PLACES: Final = {"expect": "type", "name": "meta.name", "where": "meta.where", "table": "meta.table"}


class GxSuite(NamedTuple):
    """A suite in our keys, and where each expectation stands in the file: (table, place there) → place in the file."""

    content: dict[str, Any]
    places: dict[tuple[str, int], int]

    def place(self, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
        """The place in the file of a place in our keys."""
        match location:
            case (str(table), int(number), *rest) if (table, number) in self.places:
                key = [_PLACES.get(str(part), part) for part in rest[:1]]
                return ("expectations", self.places[table, number], *key, *rest[1:])
            case _:
                return location


def is_gx_suite(content: dict[str, Any]) -> bool:
    """Is it a suite of Great Expectations, and not ours?"""
    return isinstance(content.get("expectations"), list)


def from_gx_suite(content: dict[str, Any]) -> GxSuite:
    """The same suite in our keys. Raises ValueError that lists every place that cannot be read.

    The table of each expectation is `meta.table`, else that of the whole suite; `meta` may also hold `name` and `where`,
    and that of the suite `defaults`. Severity critical is ERROR, warning and info are WARN, also where none is given.
    """
    about = _mapping(content.get("meta"))
    suite = GxSuite({"defaults": about["defaults"]} if "defaults" in about else {}, {})
    mistakes = [*_odd_keys("meta", about, _SUITE_META)]
    for place, given in enumerate(content["expectations"]):
        said = _mapping(given)
        mistakes += _mistakes(f"expectations.{place}", said, about)
        table = str(_mapping(said.get("meta")).get("table", about.get("table")))
        if table not in TABLES:  # it is among the mistakes
            continue
        rows = suite.content.setdefault(table, [])
        suite.places[table, len(rows)] = place
        rows.append(_to_ours(said))
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return suite


def _mistakes(place: str, said: dict[str, Any], about: dict[str, Any]) -> Iterator[str]:
    meta, type_, severity = _mapping(said.get("meta")), _type(said), said.get("severity")
    table = meta.get("table", about.get("table"))
    if table not in TABLES:
        yield f"{place}.meta.table: found {table!r}; name the table, one of {', '.join(TABLES)}"
    if not isinstance(type_, str):
        yield f"{place}.type: found {type_!r}; name the type, such as expect_column_values_to_not_be_null"
    if severity is not None and str(severity).lower() not in _SEVERITIES:
        yield f"{place}.severity: found {severity!r}; expected one of {', '.join(_SEVERITIES)}"
    yield from _odd_keys(f"{place}.meta", meta, _META)


def _odd_keys(place: str, meta: dict[str, Any], known: tuple[str, ...]) -> Iterator[str]:
    for key in meta:
        if key not in known and key not in _THEIRS:
            yield f"{place}.{key}: found an unknown key; known keys are {', '.join(known)}"


def _to_ours(said: dict[str, Any]) -> dict[str, Any]:
    meta, kwargs = _mapping(said.get("meta")), _mapping(said.get("kwargs"))
    return {
        "expect": _type(said),
        "severity": _SEVERITIES.get(str(said.get("severity")).lower(), "WARN"),
        **{key: meta[key] for key in ("name", "where") if key in meta},
        **({"description": said["description"]} if said.get("description") else {}),
        **{key: value for key, value in kwargs.items() if key not in _OF_THE_RUN and value is not None},
    }


def _type(said: dict[str, Any]) -> Any:
    return said.get("type") or said.get("expectation_type")


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
