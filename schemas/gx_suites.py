"""Reads a suite as Great Expectations 1.x writes it (JSON), into the form of schemas/expectations.py."""

from typing import Any, Final, cast

from schemas.expectation_types import TABLES

# what a run of Great Expectations adds, and what is empty there
_OF_THE_RUN: Final = frozenset({"batch_id", "result_format", "catch_exceptions"})
_SEVERITIES: Final = {"critical": "ERROR", "warning": "WARN", "info": "WARN"}


def is_gx_suite(content: dict[str, Any]) -> bool:
    """Is it a suite of Great Expectations, and not ours?"""
    return isinstance(content.get("expectations"), list)


def from_gx_suite(content: dict[str, Any]) -> dict[str, Any]:
    """The same suite in our keys. Raises ValueError that lists every place that cannot be read.

    The table of each expectation is `meta.table`, else that of the whole suite; `meta` may also hold `name` and `where`,
    and that of the suite `defaults`. Severity critical is ERROR, all else WARN, also where none is given.
    """
    about = _mapping(content.get("meta"))
    suite: dict[str, Any] = {"defaults": about["defaults"]} if "defaults" in about else {}
    mistakes: list[str] = []
    for place, given in enumerate(content["expectations"]):
        said = _mapping(given)
        meta = {**about, **_mapping(said.get("meta"))}
        table, type_ = meta.get("table"), said.get("type") or said.get("expectation_type")
        if table not in TABLES:
            mistakes.append(
                f"expectations.{place}.meta.table: found {table!r}; name the table, one of {', '.join(TABLES)}"
            )
        if not isinstance(type_, str):
            mistakes.append(
                f"expectations.{place}.type: found {type_!r}; name the type, such as expect_column_values_to_not_be_null"
            )
        arguments = {
            key: value
            for key, value in _mapping(said.get("kwargs")).items()
            if key not in _OF_THE_RUN and value is not None
        }
        own = {
            "expect": type_,
            "severity": _SEVERITIES.get(str(said.get("severity")).lower(), "WARN"),
            **{key: _mapping(said.get("meta"))[key] for key in ("name", "where") if key in _mapping(said.get("meta"))},
            **({"description": said["description"]} if said.get("description") else {}),
        }
        suite.setdefault(str(table), []).append({**own, **arguments})
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return suite


def _mapping(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
