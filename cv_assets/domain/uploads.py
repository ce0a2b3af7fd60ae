"""What a source lists, whether it has settled, and how it differs from a version. The clock comes in as an argument."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

import polars as pl
from pydantic import ValidationError

from cv_assets.domain.digests import table_digest
from schemas.automation import UploadsConfig
from schemas.strict import Strict

# one row a file that the dataset's patterns name; `stamp` changes when the bytes do, `reason` says why it is not read
LISTING: Final = {
    "path": pl.String(),
    "role": pl.String(),
    "size_bytes": pl.Int64(),
    "stamp": pl.String(),
    "reason": pl.String(),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source held at one look: table LISTING, sorted by path, and the SHA-256 of its rows."""

    table: pl.DataFrame
    digest: str

    @property
    def images(self) -> int:
        """How many of the files are images."""
        return int((self.table["role"] == "image").sum())

    def __str__(self) -> str:
        return f"{count_files(self.table.height)}, {int(self.table['size_bytes'].sum()):,} bytes"


def to_listing(files: pl.DataFrame) -> Listing:
    """The listing of a table that has the columns of LISTING, and its rows in any order."""
    table = files.select(list(LISTING)).sort("path")
    return Listing(table, table_digest(table))


class Waiting(Strict):
    """A listing that has to settle: since when it has been seen unchanged (seconds since 1970), and how often.

    `differs` says how it differs from the newest version, in words: to find that out takes longer than to list.
    """

    digest: str
    since: float
    looks: int
    differs: str = ""


class TakenListing(Strict):
    """The listing that was taken last, and the version that was begun for it or, if `is_held`, was found to hold it."""

    digest: str
    version: str
    is_held: bool = False


class Cursor(Strict):
    """What a sensor remembers from tick to tick: digests, so that it stays as small for a million files as for one."""

    taken: TakenListing | None = None
    waiting: Waiting | None = None

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """The cursor as it was kept. One that cannot be read is forgotten: what versions hold is in the store."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError:
            return cls()


def look_again(cursor: Cursor, digest: str, uploads: UploadsConfig, *, now: datetime) -> tuple[Cursor, timedelta]:
    """The cursor after one more look, and how long the listing must stay as it is before it counts as settled.

    Time is not enough, as a clock may jump forward: the source must also have been seen unchanged as many times as fit
    into `settle`. A clock that jumped back only starts the wait anew. When the files say they were modified is of no
    account: an upload may carry any time.
    """
    before, seconds = cursor.waiting, now.timestamp()
    if before is None or before.digest != digest or before.since > seconds:
        waiting = Waiting(digest=digest, since=seconds, looks=1)
    else:
        waiting = before.model_copy(update={"looks": before.looks + 1})
    looks_left = math.ceil(uploads.settle / uploads.every) + 1 - waiting.looks
    time_left = uploads.settle - timedelta(seconds=seconds - waiting.since)
    left = max(time_left, looks_left * uploads.every, timedelta(0))
    return Cursor(taken=cursor.taken, waiting=waiting), left


def tell(cursor: Cursor, differs: str) -> Cursor:
    """The cursor with words for what is being waited for."""
    assert cursor.waiting is not None
    return Cursor(taken=cursor.taken, waiting=cursor.waiting.model_copy(update={"differs": differs}))


@dataclass(frozen=True, slots=True)
class Changes:
    """How many files a listing has that a version has not, has otherwise, or has no more; and how many are requeued."""

    new: int
    changed: int
    removed: int
    requeued: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.new + self.changed + self.removed + self.requeued

    def __str__(self) -> str:
        asked = f", {self.requeued:,} requeued" if self.requeued else ""
        return f"{self.new:,} new, {self.changed:,} changed, {self.removed:,} removed{asked}"


def compare(listing: pl.DataFrame, snapshot: pl.DataFrame | None, sightings: pl.DataFrame) -> Changes:
    """A LISTING table against a RawImages table, by way of the Sightings: which bytes were found under which stamp.

    A file that lies there as it did when its bytes were read is unchanged; one that was never read counts as unchanged
    while its size is the same. Without a snapshot every file is new.
    """
    if snapshot is None:
        return Changes(new=listing.height, changed=0, removed=0)
    held = snapshot.select("path", role_held="role", size_held="size_bytes", sha256="sha256", reason_held="reason")
    both = listing.join(held, on="path", how="inner")
    seen = ["path", "role", "size_bytes", "stamp", "sha256"]
    read = both.join(sightings.select(seen).unique(), on=seen, how="semi").height
    unread = both.filter(
        pl.col("sha256").is_null()
        & (pl.col("role") == pl.col("role_held"))
        & (pl.col("size_bytes") == pl.col("size_held"))
        & (pl.col("reason").is_null() | (pl.col("reason") == pl.col("reason_held")))
        & (pl.col("reason_held") != "changed-while-reading")
    ).height
    return Changes(
        new=listing.height - both.height,
        changed=both.height - read - unread,
        removed=snapshot.height - both.height,
    )


def count_files(files: int) -> str:
    """`1 file`, `1,000 files`."""
    return f"{files:,} file" + ("" if files == 1 else "s")


def in_words(duration: timedelta) -> str:
    """`4 min 30 s`, to the second above."""
    seconds = math.ceil(duration.total_seconds())
    parts = ((seconds // 3600, "h"), (seconds % 3600 // 60, "min"), (seconds % 60, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"
