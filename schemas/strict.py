"""The base of what people write: a record that knows all its keys."""

from typing import Any, Final, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

_NUMBERS: Final = (int, float, int | None, float | None)


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
        if wanted in _NUMBERS and any(isinstance(one, bool) for one in _values(value)):
            raise ValueError("expected a number")
        return value


def _values(given: object) -> list[object]:
    return list(cast("dict[object, object]", given).values()) if isinstance(given, dict) else [given]
