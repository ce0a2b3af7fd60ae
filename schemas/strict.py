"""The base of what people write: a record that knows all its keys."""

from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

_NUMBERS: Final = frozenset({int, float, NoneType})


class Strict(BaseModel):
    """A closed, frozen record: an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML's `yes` and `on` are truths, which Python takes for 1."""
        wanted: Any = cls.model_fields[str(info.field_name)].annotation
        if get_origin(wanted) is dict:
            wanted = get_args(wanted)[1]
        if _is_number(wanted) and any(isinstance(one, bool) for one in _values(value)):
            raise ValueError("expected a number")
        return value


def _is_number(wanted: Any) -> bool:
    """Is it a type of numbers, or of numbers and null?"""
    parts = get_args(wanted) if get_origin(wanted) in {Union, UnionType} else (wanted,)
    return all((get_args(part)[0] if get_origin(part) is Annotated else part) in _NUMBERS for part in parts)


def _values(given: object) -> list[object]:
    return list(cast("dict[object, object]", given).values()) if isinstance(given, dict) else [given]
