"""What a team expects of a dataset's tables: the model that `expectations/NAME.yaml` is held to. Files are read elsewhere."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any, Final, Self, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from schemas.codes import Severity
from schemas.expectation_types import ARGUMENTS, COLUMNS, TABLES, TYPES, WHOLE_NUMBERS, Kind, Scalar, Table
from schemas.strict import Strict

PREFIX: Final = "expect_"
_SETTINGS: Final = ("severity", "name", "description", "where")
_KIND_OF: Final[dict[Kind, tuple[type, ...]]] = {"text": (str,), "number": (int, float), "flag": (bool,)}


class Expectation(BaseModel):
    """One expectation of one table. Every other key is an argument of its type, by the name that Great Expectations gives."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Any] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    table: Table
    expect: str = Field(description="type, with or without the word expect_")
    severity: Severity = Field(default="WARN", description="ERROR blocks the version")
    name: str = Field(default="", pattern=r"^([a-z][a-z0-9_]{0,99})?$", description="name of the check; made if empty")
    description: str = Field(default="", max_length=500, description="a sentence that holds; made if empty")
    where: dict[str, Scalar | list[Scalar | None] | None] = Field(
        default={}, description="column → value or values of the rows that are meant"
    )

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the type, as Great Expectations takes them."""
        return dict(self.__pydantic_extra__)

    @property
    def columns(self) -> list[str]:
        """The columns that it speaks of, without those of `where`."""
        return list(self._named_columns())

    @property
    def check_name(self) -> str:
        """Its name, or one made of its type and its columns."""
        made = "_".join(
            [self.table, self.expect, *self.columns, *(["where", *sorted(self.where)] if self.where else [])]
        )
        return self.name or made.lower()[:100]

    @field_validator("expect")
    @classmethod
    def _is_known(cls, expect: str) -> str:
        name = expect.removeprefix(PREFIX)
        if name not in TYPES:
            raise ValueError(f"no such type of expectation; {_meant(name, TYPES)}")
        return name

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        mistakes = [*self._odd_arguments()]
        if not mistakes:
            mistakes = [*self._odd_columns(), *self._odd_values(), *self._odd_range()]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def _named_columns(self) -> Iterator[str]:
        given = self.__pydantic_extra__
        yield from (given[name] for name in ("column", "column_A", "column_B") if name in given)
        yield from given.get("column_list", ())

    def _odd_arguments(self) -> Iterator[str]:
        kind = TYPES[self.expect]
        known = (*kind.required, *kind.optional)
        for name, value in self.__pydantic_extra__.items():
            if name in {"row_condition", "condition_parser"}:
                yield f"{name}: is not read; say which rows are meant with `where: {{COLUMN: VALUE}}`"
            elif name not in known:
                yield f"{name}: no such argument; {_meant(name, [*known, *_SETTINGS])}"
            else:
                yield from (f"{name}: found {value!r}; {one}" for one in _problems(name, value))
        yield from (f"{name}: is required" for name in kind.required if name not in self.__pydantic_extra__)

    def _odd_columns(self) -> Iterator[str]:
        known, kinds = COLUMNS[self.table], TYPES[self.expect].kinds
        for column in (*self.columns, *self.where):
            if column not in known:
                yield f"the table {self.table} has no column {column!r}; {_meant(column, known)}"
            elif column in self.columns and known[column] not in kinds:
                yield f"{self.expect} is for columns of kind {' or '.join(kinds)}; {column} holds {known[column]}"

    def _odd_values(self) -> Iterator[str]:
        given = {f"where.{column}": (column, value) for column, value in self.where.items()}
        if "column" in self.__pydantic_extra__ and "value_set" in self.__pydantic_extra__:
            given["value_set"] = (self.columns[0], self.__pydantic_extra__["value_set"])
        for place, (column, values) in given.items():
            kind = COLUMNS[self.table].get(column)
            for value in values if isinstance(values, list) else [values]:
                if kind is not None and not _is_of(kind, value):
                    yield f"{place}: found {value!r}; {column} holds {kind}"

    def _odd_range(self) -> Iterator[str]:
        if "max_value" not in TYPES[self.expect].optional:
            return
        sides = [
            self.__pydantic_extra__[name] for name in ("min_value", "max_value") if name in self.__pydantic_extra__
        ]
        if not sides:
            yield "it has neither min_value nor max_value, and so expects nothing; give one"
        if sides != sorted(sides):
            yield f"max_value: found {sides[1]}, which is less than min_value; exchange them"
        if self.expect in WHOLE_NUMBERS and any(side != int(side) for side in sides):
            yield "expected whole numbers for min_value and max_value"


class Expectations(Strict):
    """A suite: what is expected of each table, beside the default suite or instead of it."""

    defaults: bool = Field(
        default=True, description="is the default suite expected too? One of the same name takes its place"
    )
    uploads: tuple[Expectation, ...] = ()
    annotations: tuple[Expectation, ...] = ()
    manifest: tuple[Expectation, ...] = ()
    classes: tuple[Expectation, ...] = ()
    drift: tuple[Expectation, ...] = ()
    splits: tuple[Expectation, ...] = ()

    @property
    def own(self) -> list[Expectation]:
        """The expectations of every table, without those of the default suite."""
        return [one for table in TABLES for one in cast("tuple[Expectation, ...]", getattr(self, table))]

    @model_validator(mode="before")
    @classmethod
    def _know_their_table(cls, value: Any) -> Any:
        """`manifest: [{expect: …}]`: the key is the table of each."""
        if not isinstance(value, dict):
            return value
        given = cast("dict[str, Any]", value)
        return {key: _with_table(key, entry) if key in TABLES else entry for key, entry in given.items()}

    @model_validator(mode="after")
    def _stand_under_their_table(self) -> Self:
        mistakes = [
            f"{table}.{place}.table: found {one.table!r} below {table!r}; leave it out, or move the expectation there"
            for table in TABLES
            for place, one in enumerate(cast("tuple[Expectation, ...]", getattr(self, table)))
            if one.table != table
        ]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    @model_validator(mode="after")
    def _are_named_once(self) -> Self:
        names = [one.check_name for one in self.own]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"found {', '.join(twice)} more than once; give each a `name` of its own")
        return self


def _with_table(table: str, entry: Any) -> Any:
    if not isinstance(entry, list | tuple):
        return entry
    rows = cast("Iterable[Any]", entry)
    return [{"table": table, **cast("dict[str, Any]", row)} if isinstance(row, dict) else row for row in rows]


def _is_of(kind: Kind, value: Scalar | None) -> bool:
    is_flag = isinstance(value, bool)
    return value is None or (isinstance(value, _KIND_OF[kind]) and is_flag == (kind == "flag"))


def _problems(name: str, value: Any) -> Iterator[str]:
    try:
        ARGUMENTS[name].validate_python(value)
    except ValidationError as error:
        yield "; ".join(dict.fromkeys(one["msg"].removeprefix("Value error, ") for one in error.errors()))


def _meant(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
