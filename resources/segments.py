"""A table that only grows, kept as objects that are written once: what is remembered from one version to the next.

It is a memory, not a record: a segment that is damaged or gone counts as never written, and its rows are made again.
"""

from collections.abc import Iterable
from typing import Final

import polars as pl

from cv_assets.domain.digests import bytes_digest
from resources.object_store import ObjectStore
from resources.tables import read_table, table_bytes
from schemas.errors import CorruptObject
from schemas.tables import polars_schema

SEGMENT_ROWS: Final = 4_096
MOST_SEGMENTS: Final = 16


class Segments:
    """The rows of one table below one prefix; `key_columns` are what a row was found from, so that equal keys say the same."""

    def __init__(self, store: ObjectStore, prefix: str, table: str, key_columns: tuple[str, ...]) -> None:
        self._store, self._prefix, self._table, self._key_columns = store, prefix, table, list(key_columns)
        self._schema = pl.Schema(polars_schema(table))

    def load(self) -> pl.DataFrame:
        """Every row that is remembered, one for each key."""
        found = (self._load_one(key) for key in self._store.keys(self._prefix))
        every = pl.concat([pl.DataFrame(schema=self._schema), *(segment for segment in found if segment is not None)])
        return every.unique(self._key_columns, keep="last", maintain_order=True)

    def append(self, rows: pl.DataFrame) -> None:
        """Remember some rows; many small segments become one."""
        if rows.is_empty():
            return
        before = list(self._store.keys(self._prefix))
        if len(before) < MOST_SEGMENTS:
            self._put(rows)
            return
        merged = pl.concat([self.load(), rows]).unique(self._key_columns, keep="last", maintain_order=True)
        self._put_in_place_of(before, merged)

    def keep(self, column_values: pl.DataFrame) -> None:
        """Remember only rows that have the values of some row here, in its columns; what another run appends meanwhile stays."""
        before = list(self._store.keys(self._prefix))
        kept = self.load().join(column_values, on=column_values.columns, how="semi", maintain_order="left")
        self._put_in_place_of(before, kept)

    def forget(self, column: str, values: Iterable[str]) -> None:
        """Remember no row any more that has one of these values; a run that appends at this moment may bring it back."""
        unwanted = pl.Series(column, sorted(values), pl.String)
        for key in [] if unwanted.is_empty() else list(self._store.keys(self._prefix)):
            found = self._load_one(key)
            left = None if found is None else found.filter(~pl.col(column).is_in(unwanted.implode()))
            if found is None or left is None or left.height == found.height:
                continue
            if not left.is_empty():
                self._put(left)
            self._store.delete(key)

    def _put_in_place_of(self, before: Iterable[str], rows: pl.DataFrame) -> None:
        kept = self._put(rows)
        for key in before:
            if key != kept:
                self._store.delete(key)

    def _put(self, rows: pl.DataFrame) -> str:
        data = table_bytes(rows, self._table)
        key = f"{self._prefix}/{bytes_digest(data)}.parquet"
        self._store.put(key, data)
        return key

    def _load_one(self, key: str) -> pl.DataFrame | None:
        try:
            found = self._store.read(key, lambda data: read_table(data, self._table))
        except CorruptObject:
            return None
        is_of_today = found is not None and found.schema == self._schema
        return found if is_of_today else None
