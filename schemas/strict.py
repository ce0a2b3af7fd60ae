"""The base of what people write: a record that knows all its keys."""

from typing import Any, Final

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
        if isinstance(value, bool) and wanted in _NUMBERS:
            raise ValueError("expected a number")
        return value
