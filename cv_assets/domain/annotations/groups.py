"""Group keys: what must stay on one side of a split, read from an annotation or from an image's path.

Keys are kept as NFC: a name whose accents another machine encoded otherwise is the same group.
"""

import re
from collections.abc import Callable
from itertools import islice
from typing import Final

from cv_assets.domain.annotations.paths import composed
from cv_assets.domain.annotations.records import Entry
from cv_assets.domain.annotations.text import listed
from schemas.datasets import PathGroup

# So many other keys are remembered for the complaint.
MAX_OTHERS: Final = 100

# what stands for a value that is missing, as JSON and pandas spell it
_NO_GROUP: Final = frozenset({"", "NaN", "nan", "Infinity", "-Infinity", "inf", "-inf"})

PathRule = Callable[[str], str | None]


def path_group_rule(group_by: str | PathGroup | None) -> PathRule:
    """Image path → group key, or None where the pattern does not match or the key is no matter of paths.

    All named groups whose name starts with `group` count, in order of the pattern and joined by `/`: a drawer 07
    of one alphabet is not the drawer 07 of another.
    """
    if not isinstance(group_by, PathGroup):
        return lambda path: None
    pattern = re.compile(composed(group_by.path_pattern))
    numbers = sorted(number for name, number in pattern.groupindex.items() if name.startswith("group"))

    def group_of(path: str) -> str | None:
        found = pattern.search(composed(path))
        keys = [found[number] for number in numbers] if found else []
        return "/".join(key for key in keys if key) or None

    return group_of


def named_group(entry: Entry, key: str) -> str | None:
    """The value under `key` of the object or else of its image, as text; None if it is absent, empty or no scalar."""
    return _as_group(entry.attributes.get(key)) or _as_group(entry.context.get(key))


def _as_group(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()  # as JSON spells it
    text = composed(str(value)).strip() if isinstance(value, str | int | float) else ""
    if re.fullmatch(r"-?\d+\.0", text):
        return text.removesuffix(".0")  # beside a missing value, pandas writes 1 as 1.0
    return None if text in _NO_GROUP else text


class GroupCount:
    """Watches whether the key that `group_by` names is ever met: a misspelt key would let groups leak unseen."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._is_met = False
        self._others: set[str] = set()

    def group_of(self, entry: Entry) -> str | None:
        """The entry's group."""
        group = named_group(entry, self._key)
        self._is_met = self._is_met or group is not None
        if not self._is_met and len(self._others) < MAX_OTHERS:
            self._others.update(islice((*entry.attributes, *entry.context), MAX_OTHERS))
        return group

    @property
    def complaint(self) -> str | None:
        """What was expected and found, if some entries were seen and none had the key."""
        if self._is_met or not self._others:
            return None
        return f"group_by: expected {self._key} as a column or key, found {listed(sorted(self._others))}"
