"""Names of versions: which are allowed, how they sort, which comes next."""

import re
from collections.abc import Iterable
from typing import Final

from schemas.datasets import MAX_VERSION_LENGTH, VERSION_PATTERN
from schemas.errors import ConfigurationError

LATEST: Final = "latest"


def check_version(name: str) -> str:
    """The name itself. Raises ConfigurationError unless it is safe as a folder, a partition key and an argument."""
    if name == LATEST:
        raise ConfigurationError(
            "expected a version name such as v1 or 2024-05-01; found 'latest', which names the newest"
        )
    if len(name) > MAX_VERSION_LENGTH or not re.fullmatch(VERSION_PATTERN, name):
        raise ConfigurationError(
            f"expected a version name of letters, digits, `_`, `-` and single dots, at most {MAX_VERSION_LENGTH} characters, "
            f"such as v1 or 2024-05-01; found {name[:80]!r}"
        )
    return name


def is_version(name: str) -> bool:
    """May a version have this name? A partition may be called anything."""
    try:
        check_version(name)
    except ConfigurationError:
        return False
    return True


def next_version(names: Iterable[str]) -> str:
    """v1, v2, …: one more than the largest number among names of that form, or of V1, V2, …, which differ by case alone."""
    numbers = [int(found[1]) for name in names if (found := re.fullmatch(r"[vV](\d+)", name))]
    return f"v{max(numbers, default=0) + 1}"


def sort_versions(names: Iterable[str]) -> list[str]:
    """In natural order: v9 before v10."""
    return sorted(names, key=_natural)


def in_order_of_beginning(begun: Iterable[str], others: Iterable[str]) -> list[str]:
    """All versions, the one that was begun last at the end: of `begun` that is their order, of `others` nobody keeps it.

    Another goes by its number among names of its form, so that v8 follows v7 whoever began it; those without any come first.
    """
    first: list[str] = []
    names = list(begun)
    for one in sort_versions(others):
        alike = [place for place, name in enumerate(names) if _form(name) == _form(one)]
        later = [place for place in alike if _natural(names[place]) > _natural(one)]
        if alike:
            names.insert(later[0] if later else alike[-1] + 1, one)
        else:
            first.append(one)
    return first + names


def _natural(name: str) -> list[tuple[bool, int | str]]:
    return [(part.isdecimal(), int(part) if part.isdecimal() else part) for part in re.split(r"(\d+)", name)]


def _form(name: str) -> str:
    return re.sub(r"\d+", "0", name)
