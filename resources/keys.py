"""What keys name, in a bucket a file, the mark of a folder or nothing that obstore could ask for; and which a store may have.

No store is asked here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from resources.listing import LISTED, SourceFile, to_listed
from resources.local_disk import is_leftover
from schemas.errors import StoreError


def why_no_path(key: str) -> str | None:
    """Why no request for an object with this key can be made by obstore, or None; its rules are those of object_store's Path.

    A slash at the end is none of them: consoles mark a folder so.
    """
    segments = key.removesuffix("/").split("/")
    if "" in segments:
        return "a folder in its key has no name"
    if {".", ".."} & set(segments):
        return "a folder in its key is . or .."
    if not all(" " <= letter != "\x7f" for letter in key):
        return "its key has a control character, such as a tab or a line break"
    return None


def tabulate(named: Mapping[str, Any], odd: list[SourceFile]) -> pl.DataFrame:
    """A LISTED table of objects by their path, and of those that cannot be asked for.

    An empty object that has the name of a folder of others, or none below the prefix, marks that folder, as consoles do, and
    is no file.
    """
    folders = _folders_of(named)
    files = {path: one for path, one in named.items() if one["size"] > 0 or path not in folders}
    sound = {
        "path": list(files),
        "size_bytes": [one["size"] for one in files.values()],
        "stamp": [one["e_tag"] for one in files.values()],
        "modified_seconds": [one["last_modified"].timestamp() for one in files.values()],
    }
    return to_listed(pl.DataFrame(sound, schema={name: LISTED[name] for name in sound}), odd)


def _folders_of(paths: Iterable[str]) -> set[str]:
    found = {""}
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def require_key(key: str) -> None:
    """Raise StoreError unless this is a key that the store may use: folders and a name below its root."""
    parts = key.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or "\0" in key or is_leftover(parts[-1]):
        raise StoreError(f"expected a key of folders and a name below the store's root, found {key!r}")
