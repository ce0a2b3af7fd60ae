"""Names that a dataset cannot have: its jobs and assets in Dagster, and the arguments of their functions, are named after it."""

import keyword
import re
from typing import Final

# Dagster's own, which it exports nowhere; a test holds the two equal
RESERVED_NAMES: Final = frozenset(keyword.kwlist) | {
    "arg_dict",
    "bool",
    "conf",
    "config",
    "context",
    "dict",
    "float",
    "input",
    "input_arg_dict",
    "int",
    "meta",
    "output",
    "output_arg_dict",
    "str",
    "type",
}


def require_free(name: str) -> str:
    """A name that a dataset can have, as it is. Raises ValueError."""
    if name in RESERVED_NAMES:
        raise ValueError(f"is a word of Python or Dagster: use another name, such as {name}_images")
    if "__" in name:
        single = re.sub("_+", "_", name)
        raise ValueError(f"expected no two underscores in a row, which begin the names of its steps: use {single}")
    return name
