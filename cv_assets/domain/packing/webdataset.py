"""WebDataset shards: POSIX tar files whose members share a key per sample. Equal samples give equal bytes.

Member names are made of image ids and detected formats: an upload's name can neither join two samples at a dot nor
smuggle in an extension that a loader would unpickle. Layout: https://github.com/webdataset/webdataset (USTAR members).
"""

import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from io import BufferedIOBase
from typing import Final

from cv_assets.domain.packing.plan import BLOCK, RECORD, Sample, archive_bytes, member_bytes

EXTENSION: Final = "tar"
# the fields of a header that are the same for every member: no clock, no owner
_MODE_AND_OWNER: Final = b"0000644\0" + b"0000000\0" * 2
_TIME: Final = b"00000000000\0"
_TYPE_AND_MAGIC: Final = b"0" + bytes(100) + b"ustar\x0000" + bytes(247)
_SUM: Final = sum(_MODE_AND_OWNER) + sum(_TIME) + 8 * ord(" ") + sum(_TYPE_AND_MAGIC)  # its own field counts as blanks


def pack(samples: Iterable[Sample], read: Callable[[Sample], bytes]) -> Iterator[bytes]:
    """One shard, piece by piece. Members of a sample: `ID.EXT` (the image), `ID.json`, and `ID.cls` if it has exactly one class.

    `read` gives the bytes to pack of a sample.
    """
    place = 0
    for sample in samples:
        members = [(f"{sample.image_id}.{sample.extension}", read(sample))]
        if sample.class_index is not None:
            members.append((f"{sample.image_id}.cls", str(sample.class_index).encode()))
        members.append((f"{sample.image_id}.json", sample.metadata))
        for name, data in members:
            yield _header(name, len(data))
            yield data
            yield bytes(-len(data) % BLOCK)
            place += member_bytes(len(data))
    yield bytes(archive_bytes(place) - place)


def sample_ids(shard: BufferedIOBase) -> list[str]:
    """Image ids of a shard in their order, from its `.json` members. Only headers are read.

    Raises tarfile.TarError unless it is a whole tar of members as `pack` writes them.
    """
    ids: list[str] = []
    place = shard.seek(0)
    while any(header := shard.read(BLOCK)):
        try:
            name, size_bytes = _read_header(header)
        except ValueError as error:
            raise tarfile.ReadError(f"expected the header of a member at byte {place}, found none: {error}") from error
        place = shard.seek(place + member_bytes(size_bytes))
        if name.endswith(".json"):
            ids.append(name.removesuffix(".json"))
    end, length = shard.read(2 * BLOCK + RECORD), shard.seek(0, os.SEEK_END)
    if length != archive_bytes(place) or any(end):
        raise tarfile.ReadError(f"expected the end of an archive at byte {place} of {length}, found something else")
    return ids


def _header(name: str, size_bytes: int) -> bytes:
    """A USTAR header (POSIX.1-1988), as tarfile writes it at twenty times the cost. Raises ValueError for what has no room."""
    named, size = name.encode().ljust(100, b"\0"), b"%011o\0" % size_bytes
    if len(named) > 100 or size_bytes not in range(8**11):
        raise ValueError(f"a member {name!r} of {size_bytes} bytes does not fit into a USTAR header")
    checksum = b"%06o\0 " % (_SUM + sum(named) + sum(size))
    return b"".join((named, _MODE_AND_OWNER, size, _TIME, checksum, _TYPE_AND_MAGIC))


def _read_header(header: bytes) -> tuple[str, int]:
    """Name and size in bytes of a member. Raises ValueError unless it is a header as `_header` writes it."""
    name, size_bytes = header[:100].rstrip(b"\0").decode(), int(header[124:135], 8)
    if header != _header(name, size_bytes):
        raise ValueError("not as it was written")
    return name, size_bytes
