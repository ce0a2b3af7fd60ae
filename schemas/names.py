"""Names that a dataset can have: its jobs and assets in Dagster, and the arguments of their functions, are named after it."""

import keyword
import re
from typing import Final

NAME_PATTERN: Final = r"^[a-z][a-z0-9_]{0,62}$"
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


def require_usable(name: str) -> str:
    """A name that a dataset can have, as it is. Raises ValueError."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValueError(
            "expected lower-case letters from a to z, digits and single underscores, a letter first, at most 63 in all, "
            "such as parts_2024"
        )
    if name in RESERVED_NAMES:
        raise ValueError(f"is a word of Python or Dagster: use another name, such as {name}_images")
    if "__" in name:
        single = re.sub("_+", "_", name)
        raise ValueError(f"expected no two underscores in a row, which begin the names of its steps: use {single}")
    return name
