"""The shard formats, by the name that a dataset asks for them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Final

from cv_assets.domain.packing import webdataset
from cv_assets.domain.packing.plan import Sample


@dataclass(frozen=True, slots=True)
class ShardFormat:
    """How one format is written, and how a written shard is asked which images it holds."""

    extension: str
    pack: Callable[[Iterable[Sample], Callable[[Sample], bytes]], Iterator[bytes]]
    sample_ids: Callable[[BufferedIOBase], list[str]]


FORMATS: Final[dict[str, ShardFormat]] = {
    "webdataset": ShardFormat(webdataset.EXTENSION, webdataset.pack, webdataset.sample_ids),
}
