"""What a look at a version, a repair and a checkout say of it: records for people and programs, none of them part of a version."""

from typing import Literal

from schemas.releases import ObjectRole, Record


class Problem(Record):
    """One object of a version that is not what it should be: what was expected, what was found, what to do.

    `sha256` is the hash that the version names it by, where it does.
    """

    key: str
    sha256: str | None
    role: ObjectRole | Literal["record", "blob", "source"]
    problem: Literal["missing", "short", "long", "altered", "misplaced", "unreadable"]
    expected: str
    found: str
    cure: str


class VerifyReport(Record):
    """What a look at every object of a version found. `objects` were looked at, `read` of them whole.

    `read_again` counts those that were sound only when they were read a second time.
    """

    dataset: str
    version: str
    read_data: bool
    sample: float | None
    seed: int
    objects: int
    read: int
    read_bytes: int
    read_again: int
    problems: list[Problem]

    @property
    def passed(self) -> bool:
        """Is every object that was looked at what it should be?"""
        return not self.problems


class CheckoutRecord(Record):
    """What lies in a folder that a version was checked out into; `complete` once every file is there."""

    dataset: str
    version: str
    digest: str
    layout: Literal["source", "classes"]
    splits: list[str]
    quarantined: bool
    complete: bool


class Repaired(Record):
    """An object that was brought back: from where, and under which key the bytes lie that it replaced, if there were any."""

    key: str
    origin: str
    kept_as: str | None


class RepairReport(Record):
    """What a repair brought back, and what is still wrong."""

    dataset: str
    version: str
    repaired: list[Repaired]
    remaining: list[Problem]
