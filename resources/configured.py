"""The resources that Dagster configures: settings that hand out the plain objects of this package. All of Dagster is here."""

import dagster as dg
import polars as pl
from pydantic import Field

from cv_assets.domain.digests import table_digest
from cv_assets.domain.lineage import READS
from resources.engine import Engine
from resources.object_store import ObjectStore, open_store
from resources.versions import VersionStore
from schemas.releases import Making

# an asset's definition metadata that asks for a table which never changes, committed or not
WRITE_ONCE = "cv_assets/write_once"
# digest of the configuration that an asset is made under; with it, what the table was made from is kept
MADE_UNDER = "cv_assets/made_under"


class ObjectStoreResource(dg.ConfigurableResource):
    """Where versions live."""

    url: str = Field(
        description="local path, file:// or s3:// URL below which everything is kept; holds no credentials"
    )

    def open(self) -> ObjectStore:
        """The store behind `url`. Raises ConfigurationError."""
        return open_store(self.url)


class EngineResource(dg.ConfigurableResource):
    """Decoding workers, and the limits that each image is decoded under."""

    workers: int = Field(default=0, ge=0, description="worker processes; 0 means one a core")
    memory_bytes: int = Field(default=2_000_000_000, gt=0, description="address space that one worker may use")
    seconds: float = Field(default=20.0, gt=0, description="how long one image may take to decode")

    def open(self) -> Engine:
        """The engine with these settings; it starts workers when it is given work."""
        return Engine(workers=self.workers, memory_bytes=self.memory_bytes, seconds=self.seconds)


class TableIOManager(dg.ConfigurableIOManager):
    """The one IO manager: keeps an asset [DATASET, TABLE] of partition VERSION as a table of that version."""

    object_store: dg.ResourceDependency[ObjectStoreResource]

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        """Write the table as one Parquet object, atomically. Raises VersionConflict if it may not change."""
        dataset, table = context.asset_key.path
        version = VersionStore(self.object_store.open(), dataset, context.partition_key)
        write_once = bool(context.definition_metadata.get(WRITE_ONCE))
        version.save_table(table, obj, write_once=write_once)
        if MADE_UNDER in context.definition_metadata and not (write_once and version.find_making(table)):
            inputs = {name: version.load_digest(name) for name in READS[table]}
            # of runs at the same moment, the one that made a table which is written once said under what
            place = version.find_place(table) if write_once else None
            made_under = (place and place.made_under) or str(context.definition_metadata[MADE_UNDER])
            version.save_making(
                Making(asset=table, table_digest=table_digest(obj), inputs=inputs, configuration=made_under)
            )

    def load_input(self, context: dg.InputContext) -> pl.DataFrame:
        """The table of the same version. Raises StoreError, CorruptObject."""
        dataset, table = context.asset_key.path
        return VersionStore(self.object_store.open(), dataset, context.partition_key).load_table(table)
