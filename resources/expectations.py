"""Looks at what is expected of tables: which rows each expectation means, and what Great Expectations says of them.

It is asked in a process of its own (resources/examiner.py): importing it takes seconds, which pass while images are probed.
"""

import io
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import polars as pl

from cv_assets.domain.digests import record_digest
from cv_assets.domain.expected_tables import ASSETS, DERIVED_FROM, ROW_NAMES, Seen, expected_table
from cv_assets.domain.expecting import Answer, asked, is_of_the_moment, rows_meant
from resources.examiner import TEXT_SHOWN, plain
from resources.examining import examine
from schemas.expectation_types import Table
from schemas.expectations import PREFIX, Expectation


def look_at_version(expectations: Sequence[Expectation], seen: Seen) -> dict[str, Answer]:
    """Name of each expectation → the answer, from the stored tables of a version; also where one of them is missing or odd."""
    frames: dict[Table, pl.DataFrame] = {}
    problems: dict[Table, str] = {}
    spoken_of: set[Table] = {one.table for one in expectations}
    for table in sorted(spoken_of):
        missing = [name for name in DERIVED_FROM[table] if name not in seen.tables]
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
    about 0.3 s an expectation. Raises EngineError if Great Expectations cannot be asked.
    """
    if not expectations:
        return {}
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
            answers |= _ask(alike, meant)
    return answers


def _question(expectation: Expectation) -> str:
    """The same for expectations that ask the same."""
    return record_digest(asked(expectation))


def _rows_key(expectation: Expectation) -> str:
    """The same for expectations of the same rows."""
    return repr((expectation.table, sorted(expectation.where.items())))


def _ask(expectations: Sequence[Expectation], frame: pl.DataFrame) -> dict[str, Answer]:
    """Answers about the same rows; only the columns that are spoken of are handed over."""
    # what asks the same is asked once, whatever its names
    distinct = {_question(one): one for one in expectations}
    names = sorted({column for one in expectations for column in one.columns})
    handed = frame.select(names or frame.columns[:1])  # without a column there are no rows either
    questions = [
        # plain lists and numbers, as a suite file holds them
        {"key": key, "type": PREFIX + one.expect, "kwargs": {n: v for n, v in asked(one).items() if n in one.arguments}}
        for key, one in distinct.items()
    ]
    stream = io.BytesIO()
    handed.write_ipc_stream(stream)
    replies = examine(questions, stream.getvalue())
    answers = {key: _answer(one, replies[key], frame) for key, one in distinct.items()}
    return {one.check_name: answers[_question(one)] for one in expectations}


def _answer(expectation: Expectation, reply: dict[str, Any], frame: pl.DataFrame) -> Answer:
    places = reply.pop("places", [])
    if reply.get("problem"):
        return Answer(**reply)
    return Answer(
        **reply,
        offending=[] if reply["passed"] else _rows(expectation, frame, places),
        note="`where` means no row" if expectation.where and frame.is_empty() else None,
    )


def _rows(expectation: Expectation, frame: pl.DataFrame, places: Sequence[int]) -> list[dict[str, Any]]:
    """The rows that broke it, the first of them, by name and with the columns that it speaks of."""
    name = ROW_NAMES[expectation.table]
    columns = dict.fromkeys([*([name] if name else []), *expectation.columns])
    return [plain(row) for row in frame.select(list(columns))[list(places)].to_dicts()]
