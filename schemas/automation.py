"""When a dataset is looked at by itself: settings of its sensor, its schedules and its freshness. Nothing runs here."""

import re
from datetime import timedelta
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from schemas.strict import Strict

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
# name, least and largest value, and the words that may stand for numbers, of each of the five fields of a cron string
_CRON_FIELDS: Final = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    ("day of week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_LONGEST_MONTHS: Final = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def parse_duration(value: Any) -> timedelta:
    """`90s`, `5m`, `36h` or `2d`; nothing else, as a bare number does not say its unit."""
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("expected a whole number with its unit: s, m, h or d, such as 90s, 5m or 36h")
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def check_cron(value: str) -> str:
    """A cron string of five fields that comes round. Raises ValueError that names the field."""
    fields = value.split()
    if len(fields) != len(_CRON_FIELDS):
        raise ValueError(
            f"expected the five fields of a cron string (minute, hour, day of month, month, day of week) such as "
            f'"0 3 * * *", found {len(fields)}'
        )
    values = [_expand(field, *described) for field, described in zip(fields, _CRON_FIELDS, strict=True)]
    days, months = values[2], values[3]
    if all(min(days) > _LONGEST_MONTHS.get(month, 31) for month in months):
        raise ValueError("names a day that none of its months has; change day of month or month")
    return value


def _expand(field: str, name: str, least: int, largest: int, words: tuple[str, ...]) -> set[int]:
    """Every value that one field of a cron string stands for."""
    values: set[int] = set()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{least}-{largest}" if span == "*" else span).partition("-")
        numbers = [_number(text, least, words) for text in ((first, last) if last else (first,))]
        low, high = numbers[0], numbers[-1]
        sound = low is not None and high is not None and least <= low <= high <= largest
        if not sound or ("/" in part and not re.fullmatch(r"[1-9][0-9]{0,2}", step)) or ("-" in span and not last):
            raise ValueError(
                f"{name}: found {part!r}; expected *, a number from {least} to {largest}, a range such as "
                f"{least}-{least + 3}, or a step such as */2"
            )
        assert low is not None
        assert high is not None
        # Dagster reads `5/15` as from 5 on in steps of 15
        values.update(range(low, (high if last or not step else largest) + 1, int(step or 1)))
    return values


def _number(text: str, least: int, words: tuple[str, ...]) -> int | None:
    if text in words:
        return words.index(text) + least
    return int(text) if re.fullmatch(r"[0-9]{1,2}", text) else None


def _check_timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:  # not there, a path, a folder
        raise ValueError("is no time zone; expected a name such as UTC or Europe/Berlin") from error
    return name


def _between(least: str, largest: str) -> AfterValidator:
    def check(value: timedelta) -> timedelta:
        if not parse_duration(least) <= value <= parse_duration(largest):
            raise ValueError(f"expected a duration from {least} to {largest}")
        return value

    return AfterValidator(check)


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Cron = Annotated[str, Field(max_length=200), AfterValidator(check_cron)]


class UploadsConfig(Strict):
    """A dataset whose uploads are watched: a new version is begun by itself once they have settled."""

    settle: Annotated[Duration, _between("1s", "7d")] = Field(
        default=timedelta(minutes=5), description="how long the source must list the same before a version is begun"
    )
    min_files: int = Field(
        default=1, ge=1, description="so many files must be new, changed or removed before a version is begun"
    )
    every: Annotated[Duration, _between("5s", "1d")] = Field(
        default=timedelta(minutes=1), description="how often the source is listed"
    )


class ScheduleConfig(Strict):
    """What happens to a dataset by the clock; each is a cron string of five fields."""

    refresh: Cron | None = Field(default=None, description="begin a new version if the source changed")
    verify: Cron | None = Field(default=None, description="read a share of every committed version back")
    verify_share: float = Field(default=0.1, gt=0, le=1, description="share of the objects that one such look reads")
    timezone: Annotated[str, AfterValidator(_check_timezone)] = "UTC"


# Dagster takes no freshness below a minute
Freshness = Annotated[Duration, _between("1m", "366d")]
