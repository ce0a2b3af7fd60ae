"""WebDataset shards: POSIX tar files whose members share a key per sample. Equal samples give equal bytes.

Member names are made of image ids and detected formats: an upload's name can neither join two samples at a dot nor
smuggle in an extension that a loader would unpickle. Layout: https://github.com/webdataset/webdataset (USTAR members).
"""

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from cv_assets.domain.packing.plan import Sample

EXTENSION: Final = "tar"
_BLOCK: Final = 512
_RECORD: Final = 20 * _BLOCK


def pack(samples: Iterable[Sample], read: Callable[[Sample], bytes]) -> Iterator[bytes]:
    """One shard, part by part: of each sample `ID.EXT` (the image), `ID.json`, and `ID.cls` if it has exactly one class.

    `read` gives the bytes to pack of a sample.
    """
    length = 2 * _BLOCK
    for sample in samples:
        members = {f"{sample.image_id}.{sample.extension}": read(sample)}
        if sample.class_index is not None:
            members[f"{sample.image_id}.cls"] = str(sample.class_index).encode()
        members[f"{sample.image_id}.json"] = sample.metadata
        for name, data in members.items():
            filling = -len(data) % _BLOCK
            yield _header(name, len(data))
            yield data
            yield bytes(filling)
            length += _BLOCK + len(data) + filling
    yield bytes(2 * _BLOCK + -length % _RECORD)


def sample_ids(shard: bytes) -> list[str]:
    """Image ids of a shard in their order, from its `.json` members. Raises tarfile.TarError if it is no whole tar."""
    with tarfile.open(fileobj=io.BytesIO(shard), mode="r:") as opened:
        return [name.removesuffix(".json") for name in opened.getnames() if name.endswith(".json")]


def _header(name: str, size_bytes: int) -> bytes:
    """A USTAR header (POSIX.1-1988) whose other fields are constant: no clock, no owner.

    tarfile writes the same, at twenty times the cost, and a shard has three a sample.
    """
    assert len(name) <= 100
    assert size_bytes < 8**11
    before = (
        name.encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size_bytes + b"%011o\0" % 0
    )
    after = b"0" + bytes(100) + b"ustar\x0000" + bytes(247)
    checksum = sum(before) + sum(after) + 8 * ord(" ")  # its own field counts as blanks
    return before + b"%06o\0 " % checksum + after
