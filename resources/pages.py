"""What a remote store lists, page by page: after a page that failed, the listing goes on and does not begin anew."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store

from resources.retrying import persist

if TYPE_CHECKING:
    from obstore import ObjectMeta  # there for type checkers alone


def list_objects(
    store: ObjectStore, prefix: str | None = None, *, deadline_seconds: float, most: int | None = None
) -> list["ObjectMeta"]:
    """Every object below a prefix, each path once; or the `most` that come first. Raises the last error of a page that failed.

    The deadline is that of a page: a listing of a hundred thousand keys takes a hundred answers, of which at 5 % busy
    replies hardly ever all are sound. A store that need not list in the order of the keys is listed in one go, which the
    caller may try again.
    """
    if not _lists_in_order(store):
        return list(islice((one for page in obstore.list(store, prefix) for one in page), most))
    pages = _Pages(store, prefix)
    while (most is None or len(pages.found) < most) and persist(pages.advance, deadline_seconds=deadline_seconds):
        pass
    return list(islice(pages.found.values(), most))


def _lists_in_order(store: ObjectStore) -> bool:
    """Does it list by the bytes of the keys, and from any key on? S3 does; not its directory buckets, which end in --x-s3."""
    return isinstance(store, S3Store) and not store.config.get("bucket", "").endswith("--x-s3")


class _Pages:
    """A listing under way: what was found by path, and the stream of what follows, if it did not break off."""

    def __init__(self, store: ObjectStore, prefix: str | None) -> None:
        self._store, self._prefix = store, prefix
        self._stream: Iterator[Sequence[ObjectMeta]] | None = None
        self.found: dict[str, ObjectMeta] = {}

    def advance(self) -> bool:
        """Take what comes next. Was there anything new? Raises the store's error; the next call goes on behind what was found.

        obstore takes the slash from the key of a folder's mark (`a/`), so what follows its path may have been seen: only
        what is new counts, or such a page followed by one that fails would have no deadline.
        """
        if self._stream is None:
            self._stream = iter(obstore.list(self._store, self._prefix, offset=next(reversed(self.found), None)))
        before = len(self.found)
        try:
            for page in self._stream:
                for one in page:
                    self.found.setdefault(one["path"], one)
                if len(self.found) > before:
                    return True
        except (BaseError, OSError):
            self._stream = None
            raise
        return False
