"""Paths and names as keys to look up. Nothing here, and nothing that uses it, ever opens one."""

import unicodedata
from itertools import takewhile
from typing import Final

# S3 keys and Linux paths end at 1,024 and 4,096 bytes: nothing longer names a file.
MAX_NAME_LENGTH: Final = 4096
# What people write behind an image's name; only used to compare names, never to guess a format.
IMAGE_EXTENSIONS: Final = frozenset(
    {"bmp", "gif", "jfif", "jpe", "jpeg", "jpg", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp"}
)


def lookup_key(named: str) -> str | None:
    """A foreign name as a path of parts joined by `/`; None if it cannot name an image of the source.

    A name with `..` or NUL never matches. `C:\\data\\a.jpg`, `file:///data/a.jpg` and `/home/pi/a.jpg` are how
    labelling tools write their own machine's paths: they end in the same parts as ours, and only that counts.
    """
    if len(named) > MAX_NAME_LENGTH or "\0" in named:
        return None
    parts = [part for part in named.replace("\\", "/").split("/") if part not in {"", "."}]
    return "/".join(parts) if parts and ".." not in parts else None


def composed(text: str) -> str:
    """The text with each accent in one character with its letter (NFC), however it was written."""
    return unicodedata.normalize("NFC", text)


def folder_of(path: str) -> str:
    """The folder of a path; empty at the root."""
    return path.rpartition("/")[0]


def folders_upward(path: str) -> list[str]:
    """The folder of a path, then each folder above it; the root, which is empty, comes last."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:depth]) for depth in range(len(parts), -1, -1)]


def shared_depth(folder: str, other: str) -> int:
    """How many folders from the root down two folders have in common, themselves included."""
    pairs = zip(folder.split("/"), other.split("/"), strict=False) if folder and other else ()
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def joined(folder: str, name: str) -> str:
    """A name in a folder, as a key."""
    return f"{folder}/{name}" if folder else name


def is_tail(path: str, of: str) -> bool:
    """Are the parts of a path the last ones of another? Those of an empty path are."""
    return not path or f"/{of}".endswith(f"/{path}")


def without_extension(path: str) -> str:
    """A path without the last dot of its name and what follows; a leading dot starts no extension."""
    stem, dot, extension = path.rpartition(".")
    return stem if dot and "/" not in extension and not stem.endswith("/") and stem else path


def without_image_extension(name: str) -> str:
    """The same, but only where the extension is one that images have: `photo.v2` stays whole."""
    return without_extension(name) if image_extension(name) else name


def image_extension(name: str) -> str | None:
    """What follows the last dot, as it is written, if images have such an extension."""
    _, dot, extension = name.rpartition(".")
    return extension if dot and extension.lower() in IMAGE_EXTENSIONS else None
