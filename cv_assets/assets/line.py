"""What the assets of one dataset have in common: keys, group, partitions, and what each result says of its table."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import dagster as dg
import polars as pl

from cv_assets.domain.digests import table_digest
from cv_assets.domain.expecting import suite_of
from cv_assets.domain.lineage import READS, configuration_digest
from cv_assets.failures import RETRY, tell_apart
from cv_assets.partitions import versions_of
from resources.configured import MADE_UNDER
from resources.data_docs import data_docs_key
from resources.object_store import ObjectStore
from resources.versions import VersionStore
from schemas.datasets import DatasetConfig
from schemas.tables import TABLES, polars_schema

PREVIEW_ROWS = 5
# Assets that decode images take every core; all others only read and write the store. What the pools let run at one time
# says dagster.yaml.
DECODING_POOL, STORE_POOL = "decoding", "store"
DECODING_ASSETS = frozenset({"raw_images", "manifest", "quality_report", "shards"})


@dataclass(frozen=True)
class Line:
    """One dataset's assets, from the uploads to the release."""

    config: DatasetConfig

    @cached_property
    def partitions(self) -> dg.DynamicPartitionsDefinition:
        """One partition a version."""
        return versions_of(self.config.name)

    def key(self, asset: str) -> dg.AssetKey:
        """Key of an asset of this dataset."""
        return dg.AssetKey([self.config.name, asset])

    def ins(self, *assets: str) -> dict[str, dg.AssetIn]:
        """Inputs that are the tables of the same version."""
        return {asset: dg.AssetIn(key=self.key(asset)) for asset in assets}

    def describe(self, asset: str, description: str, *, code_version: str, kinds: set[str]) -> dict[str, Any]:
        """What `@dg.asset` is told of every asset alike."""
        about = f"\n\nDataset: {self.config.description}" if self.config.description else ""
        return {
            "key": self.key(asset),
            "description": description + about,
            "group_name": self.config.name,
            "owners": list(self.config.owners),
            "partitions_def": self.partitions,
            "code_version": code_version,
            "kinds": {"polars", *kinds},
            "retry_policy": RETRY,
            "pool": DECODING_POOL if asset in DECODING_ASSETS else STORE_POOL,
            "freshness_policy": self._freshness() if asset == "release" else None,
            "metadata": {
                "dagster/column_schema": column_schema(asset),
                **({MADE_UNDER: configuration_digest(asset, self.config)} if asset in READS else {}),
            },
        }

    def _freshness(self) -> dg.FreshnessPolicy | None:
        """Warns of a release that is older than the dataset allows, and fails one that is twice as old.

        Dagster looks at the last materialization, of whichever version: a backfill of an old release counts as fresh.
        """
        allowed = self.config.freshness
        return None if allowed is None else dg.FreshnessPolicy.time_window(fail_window=allowed * 2, warn_window=allowed)

    def data_docs(self, version: VersionStore, asset: str) -> dict[str, dg.MetadataValue]:
        """Where the pages about what is expected of an asset will lie, as its metadata; nothing if nothing is expected.

        And the command that opens them: no browser opens an address in a bucket.
        """
        if not suite_of(self.config, asset):
            return {}
        command = f"cv-assets report {version.dataset}@{version.version} --docs {asset} --open"
        return {
            "data_docs": page_link(version.store, data_docs_key(version, asset)),
            "open_data_docs": dg.MetadataValue.text(command),
        }

    def version(self, context: dg.AssetExecutionContext, store: ObjectStore) -> VersionStore:
        """The records of the version that a run is about."""
        return VersionStore(store, self.config.name, context.partition_key)


def as_asset(described: dict[str, Any], **more: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """`@dg.asset` with what `Line.describe` gives and more; typed, which a dict of arguments is not.

    Errors of the body are told apart, so that the retry policy is for those alone that may pass.
    """
    declare = cast("Any", dg.asset(**described, **more))
    return lambda compute: declare(tell_apart(compute))


def column_schema(table: str) -> dg.TableSchema:
    """A table's columns as Dagster shows them, from its pandera model."""
    columns = TABLES[table].to_schema().columns
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                type=str(dtype),
                description=columns[name].description,
                constraints=dg.TableColumnConstraints(nullable=columns[name].nullable, unique=columns[name].unique),
            )
            for name, dtype in polars_schema(table).items()
        ]
    )


def result(frame: pl.DataFrame, **metadata: Any) -> dg.MaterializeResult[pl.DataFrame]:
    """An asset's table with its digest as data version, its row count, its first rows, and what else there is to say."""
    digest = table_digest(frame)
    said = {"dagster/row_count": frame.height, **metadata, "digest": digest, "first_rows": preview(frame)}
    return dg.MaterializeResult(value=frame, data_version=dg.DataVersion(digest), metadata=said)


def preview(frame: pl.DataFrame) -> dg.MetadataValue:
    """The first rows as a table of text; values from the data are shown as they are, never as markup."""
    rows = frame.head(PREVIEW_ROWS).to_dicts()
    return dg.MetadataValue.table(
        [dg.TableRecord({key: str(value)[:80] for key, value in row.items()}) for row in rows],
        schema=dg.TableSchema([dg.TableColumn(name, "string") for name in frame.columns]),
    )


def picture(jpeg: bytes, alt: str) -> dg.MetadataValue:
    """A picture of our own drawing, inline."""
    return dg.MetadataValue.md(f"![{alt}](data:image/jpeg;base64,{base64.b64encode(jpeg).decode()})")


def page_link(store: ObjectStore, key: str) -> dg.MetadataValue:
    """Where a page of our own making lies: a path of this machine's disk, or a URL. Keys hold no names from the data."""
    path = store.local_path(key)
    return dg.MetadataValue.url(f"{store.url.rstrip('/')}/{key}") if path is None else dg.MetadataValue.path(str(path))
