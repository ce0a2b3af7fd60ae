"""Runs Great Expectations over tables in memory. It takes seconds to import, so it is imported where it is used.

Nothing leaves the process: the context is ephemeral, no file is written, usage statistics and progress bars are off.
"""

import functools
import importlib
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from string import Template
from typing import Any, Final

import polars as pl

from cv_assets.domain.digests import record_digest
from cv_assets.domain.expected_tables import ASSETS, READS, ROW_NAMES, Seen, expected_table
from cv_assets.domain.expecting import Answer, asked, is_of_the_moment, rows_meant
from schemas.expectation_types import Table
from schemas.expectations import PREFIX, Expectation

ROWS_SHOWN: Final = 20
TEXT_SHOWN: Final = 200
# a mean may differ in its last bits from one CPU to the next
DIGITS: Final = 9
SUMMARY: Final = "atomic.prescriptive.summary"


def look_at_version(expectations: Sequence[Expectation], seen: Seen) -> dict[str, Answer]:
    """Name of each expectation → the answer, from the stored tables of a version; also where one of them is missing or odd."""
    frames: dict[Table, pl.DataFrame] = {}
    problems: dict[Table, str] = {}
    spoken_of: set[Table] = {one.table for one in expectations}
    for table in sorted(spoken_of):
        missing = [name for name in READS[table] if name not in seen.tables]
        if missing:
            problems[table] = f"the table {', '.join(missing)} is not there; materialize {ASSETS[table]}"
            continue
        try:
            frames[table] = expected_table(table, seen)
        except pl.exceptions.PolarsError as error:
            problems[table] = f"the stored tables do not hold to their schema: {str(error).splitlines()[0]}"
    unknown = {one.check_name for one in expectations if is_of_the_moment(one) and seen.newest_upload_age_hours is None}
    answers = look_at([one for one in expectations if one.table in frames and one.check_name not in unknown], frames)
    for one in expectations:
        if one.check_name not in answers:
            why = problems.get(one.table, "when the uploads came was not written down for this version")
            answers[one.check_name] = Answer(passed=False, problem=why)
    return answers


def look_at(expectations: Sequence[Expectation], frames: Mapping[Table, pl.DataFrame]) -> dict[str, Answer]:
    """Name of each expectation → what Great Expectations answers.

    `frames` holds every table that is spoken of, with the columns of schemas.expectation_types.COLUMNS. An expectation
    that cannot be looked at has not passed, and says why; the others are looked at all the same. A million rows take
    about 0.3 s an expectation.
    """
    if not expectations:
        return {}
    runner = _start()
    answers: dict[str, Answer] = {}
    by_rows = sorted(expectations, key=_rows_key)
    for _, group in groupby(by_rows, key=_rows_key):
        alike = list(group)
        frame = frames[alike[0].table]
        try:
            meant = rows_meant(frame, alike[0])
        except pl.exceptions.PolarsError as error:
            why = f"the rows that are meant cannot be told: {str(error).splitlines()[0][:TEXT_SHOWN]}"
            answers |= {one.check_name: Answer(passed=False, problem=why) for one in alike}
        else:
            answers |= runner.run(alike, meant)
    return answers


def _question(expectation: Expectation) -> str:
    """The same for expectations that ask the same."""
    return record_digest(asked(expectation))


def _rows_key(expectation: Expectation) -> str:
    """The same for expectations of the same rows."""
    return repr((expectation.table, sorted(expectation.where.items())))


@functools.cache
def _start() -> "_Runner":
    """One a process: a context takes a quarter of a second."""
    return _Runner()


class _Runner:
    """One ephemeral context of Great Expectations."""

    def __init__(self) -> None:
        # set before the import: the setting is read then
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        with warnings.catch_warnings():
            # modules of Python that have other names since 3.11; it imports them by the old ones
            warnings.filterwarnings("ignore", r"module 'sre_(constants|parse)' is deprecated", DeprecationWarning)
            self._gx: Any = importlib.import_module("great_expectations")
            importlib.import_module("great_expectations.render.renderer.inline_renderer")
        context = self._gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        source = context.data_sources.add_pandas("version")
        self._held = source.get_execution_engine().batch_manager
        self._batches = source.add_dataframe_asset("table").add_batch_definition_whole_dataframe("rows")

    def run(self, expectations: Sequence[Expectation], frame: pl.DataFrame) -> dict[str, Answer]:
        """Answers about one table, in one pass; only the columns that are spoken of are handed over."""
        # a suite holds nothing twice, whatever its names
        distinct = {_question(one): one for one in expectations}
        names = sorted({column for one in expectations for column in one.columns})
        handed = frame.select(names or frame.columns[:1])  # without a column there are no rows either
        batch = self._batches.get_batch({"dataframe": handed.to_pandas()})
        suite = self._gx.ExpectationSuite(name=expectations[0].table)
        answers = {key: refused for key, one in distinct.items() if (refused := self._add(suite, key, one))}
        result_format = {"result_format": "SUMMARY", "partial_unexpected_count": ROWS_SHOWN}
        for result in batch.validate(suite, result_format=result_format).results:
            key = result.expectation_config.meta["key"]
            answers[key] = self._answer(distinct[key], result, frame)
        self._held.batch_data_cache.clear()  # it would hold the table for as long as the process lives
        self._held.reset_batch_cache()
        return {one.check_name: answers[_question(one)] for one in expectations}

    def _add(self, suite: Any, key: str, expectation: Expectation) -> Answer | None:
        """Add it to a suite; or say why it is refused, which schemas/expectation_types.py should have seen."""
        # plain lists and numbers, as a suite file holds them
        arguments = {name: value for name, value in asked(expectation).items() if name in expectation.arguments}
        make = self._gx.expectations.expectation_configuration.ExpectationConfiguration
        try:
            # add_expectation_configuration() would put it in the place of another one of this type and column
            suite.add_expectation(
                make(type=PREFIX + expectation.expect, kwargs=arguments, meta={"key": key}).to_domain_obj()
            )
        except (TypeError, ValueError) as error:
            return Answer(passed=False, problem=" ".join(str(error).split())[:TEXT_SHOWN])
        return None

    def _answer(self, expectation: Expectation, result: Any, frame: pl.DataFrame) -> Answer:
        problem = next(iter(_problems(result.exception_info)), None)
        said = result.result
        is_set = any(name in said for name in ("partial_unexpected_list", "partial_missing_list"))
        if problem is None and not is_set and said.get("observed_value", "") is None:
            problem = f"there is no such figure: rows that are meant: {frame.height}, with a value: none"
        if problem is not None:
            return Answer(passed=False, sentence=self._sentence(result), problem=problem)
        places = [place for place in said.get("partial_unexpected_index_list") or () if isinstance(place, int)]
        return Answer(
            passed=bool(result.success),
            sentence=self._sentence(result),
            observed=_observed(said),
            rows=_count(said, "element_count"),
            unexpected=_count(said, "unexpected_count"),
            unexpected_percent=_plain(said.get("unexpected_percent")),
            offending=[] if result.success else _rows(expectation, frame, places),
            note="`where` means no row" if expectation.where and frame.is_empty() else None,
        )

    def _sentence(self, result: Any) -> str:
        """What Great Expectations calls the expectation in its own documents, as text; empty if it has no words for it."""
        renderer = self._gx.render.renderer.inline_renderer.InlineRenderer
        for content in renderer(render_object=result.expectation_config).get_rendered_content():
            value: Any = content.to_json_dict()["value"]
            if content.name == SUMMARY and value.get("template"):
                words = {name: str(_plain(one["value"])) for name, one in (value.get("params") or {}).items()}
                said = " ".join(Template(value["template"]).safe_substitute(words).split())
                return "" if said.startswith(PREFIX) else said
        return ""


def _problems(said: Mapping[str, Any]) -> Iterator[str]:
    """First lines of the errors that an evaluation met: one for all of it, or one a figure that it needed."""
    entries: Iterable[Any] = [said] if "raised_exception" in said else said.values()
    for entry in entries:
        if entry.get("raised_exception"):
            yield str(entry.get("exception_message") or "cannot be evaluated").splitlines()[0][:TEXT_SHOWN]


def _observed(said: Mapping[str, Any]) -> Any:
    """The figure or the values that an aggregate came to; for a set, what is too much and what is missing."""
    if said.get("observed_value") is not None:
        return _plain(said["observed_value"])
    sets = {"unexpected": said.get("partial_unexpected_list"), "missing": said.get("partial_missing_list")}
    if "partial_missing_list" not in said:
        return None
    return _plain({name: sorted(found, key=str) for name, found in sets.items() if found})


def _rows(expectation: Expectation, frame: pl.DataFrame, places: Sequence[int]) -> list[dict[str, Any]]:
    """The rows that broke it, the first of them, by name and with the columns that it speaks of."""
    name = ROW_NAMES[expectation.table]
    columns = dict.fromkeys([*([name] if name else []), *expectation.columns])
    return [_plain(row) for row in frame.select(list(columns))[list(places)].to_dicts()]


def _count(said: Mapping[str, Any], name: str) -> int | None:
    return None if said.get(name) is None else int(said[name])


def _plain(value: Any) -> Any:
    """A value as JSON can hold it, and always the same for the same data."""
    if hasattr(value, "item"):  # a number of numpy's
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value][:ROWS_SHOWN]
    return value if isinstance(value, bool | int | None) else str(value)[:TEXT_SHOWN]
