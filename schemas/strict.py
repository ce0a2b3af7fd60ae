"""The base of what people write: a record that knows all its keys."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A closed, frozen record: an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)
