"""Patterns for paths below a source, such as images/**/*.{jpg,png}, as dataset files have them."""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from wcmatch import glob
from wcmatch._wcparse import PatternLimitException  # pyright: ignore[reportPrivateUsage] - it is exported nowhere else

# `**` crosses folders, `{a,b}` is a choice; hidden files are matched only by a pattern that names the dot
_FLAGS: Final = glob.GLOBSTAR | glob.BRACE | glob.FORCEUNIX
# of all patterns of a list, once their choices are written out
_MOST: Final = 1_000


def to_expression(patterns: Iterable[str]) -> str:
    """A regular expression for paths that match one of the patterns. Raises ValueError if they hold too many choices."""
    try:
        translated, _ = glob.translate(list(patterns), flags=_FLAGS, limit=_MOST)
    except PatternLimitException as error:
        raise ValueError(
            f"names more than {_MOST} paths one by one: expected fewer choices in braces; "
            "use a pattern such as img[0-9][0-9][0-9][0-9].png or img*.png"
        ) from error
    return "|".join(translated)


def _can_match(pattern: str) -> str:
    folders = pattern.split("/")
    if folders[0][:1] in {"", "!"} or folders[-1] == "" or {".", ".."} & set(folders):
        raise ValueError(
            "matches no file: expected a pattern for paths below the source, such as images/**/*.jpg, with no / at its ends, "
            "no folder . or .., and no ! before it (what is to be left out stands in `exclude`)"
        )
    return pattern


def _can_be_translated(patterns: tuple[str, ...]) -> tuple[str, ...]:
    to_expression(patterns)
    return patterns


Globs = Annotated[
    tuple[Annotated[str, Field(min_length=1), AfterValidator(_can_match)], ...], AfterValidator(_can_be_translated)
]
