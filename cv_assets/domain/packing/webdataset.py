"""WebDataset shards: POSIX tar files whose members share a key per sample. Equal samples give equal bytes.

Member names are made of image ids and detected formats: an upload's name can neither join two samples at a dot nor
smuggle in an extension that a loader would unpickle. Layout: https://github.com/webdataset/webdataset (USTAR members).
"""

import io
import tarfile
from collections.abc import Callable, Iterable
from typing import Final

from cv_assets.domain.packing.plan import Sample

EXTENSION: Final = "tar"
_BLOCK: Final = 512
_RECORD: Final = 20 * _BLOCK


def pack(samples: Iterable[Sample], read: Callable[[Sample], bytes]) -> bytes:
    """One shard as bytes: for each sample `ID.EXT` (the image), `ID.json`, and `ID.cls` if it has exactly one class.

    `read` gives the bytes to pack of a sample.
    """
    parts: list[bytes] = []
    for sample in samples:
        parts += _member(f"{sample.image_id}.{sample.extension}", read(sample))
        if sample.class_index is not None:
            parts += _member(f"{sample.image_id}.cls", str(sample.class_index).encode())
        parts += _member(f"{sample.image_id}.json", sample.metadata)
    length = sum(map(len, parts)) + 2 * _BLOCK
    parts.append(bytes(2 * _BLOCK + -length % _RECORD))
    return b"".join(parts)


def sample_ids(shard: bytes) -> list[str]:
    """Image ids of a shard in their order, from its `.json` members. Raises tarfile.TarError if it is no whole tar."""
    with tarfile.open(fileobj=io.BytesIO(shard), mode="r:") as opened:
        return [name.removesuffix(".json") for name in opened.getnames() if name.endswith(".json")]


def _member(name: str, data: bytes) -> tuple[bytes, bytes, bytes]:
    header = tarfile.TarInfo(name)  # its other fields are constant: no clock, no owner
    header.size = len(data)
    return header.tobuf(tarfile.USTAR_FORMAT), data, bytes(-len(data) % _BLOCK)
