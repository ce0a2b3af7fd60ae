"""What tables have in common: the base of their models, and kinds of columns that occur in several."""

from typing import Annotated, Final

import pandera.polars as pa
import polars as pl
from pandera.api.polars.model_config import BaseConfig

SHA256: Final = r"^[0-9a-f]{64}$"
PHASH: Final = r"^[0-9a-f]{16}$"
SHARE: Final = {"min_value": 0, "max_value": 1}

TextList = Annotated[pl.List, pl.String()]


class Table(pa.DataFrameModel):
    """A closed table: no unknown column, and the columns in the order of the model."""

    class Config(BaseConfig):
        """Pandera's settings of all tables."""

        strict = True
        ordered = True
