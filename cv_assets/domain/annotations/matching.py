"""Which image file an annotation means. A name is a key into what the snapshot listed, and nothing else."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache, cached_property
from typing import Final, Literal, NamedTuple, TypeVar

from cv_assets.domain.annotations.paths import (
    composed,
    folder_of,
    folders_upward,
    is_tail,
    joined,
    lookup_key,
    without_extension,
    without_image_extension,
)
from cv_assets.domain.annotations.records import Entries, Entry, Sources
from cv_assets.domain.annotations.text import listed, shown

# So many last parts of a key and topmost folders of a path are compared: a path of a thousand folders stays cheap.
MAX_PARTS: Final = 16

# Words for splits, which folders and the files of their labels are called after: val2017/ and instances_val2017.json.
_SPLIT: Final = re.compile(r"(?:train|training|val|valid|validation|test|testing|dev|default)\d*")
_WORD_END: Final = re.compile(r"[^A-Za-z0-9]+")

Value = TypeVar("Value")


class Match(NamedTuple):
    """The image's path, or why there is none; and did the name spell all of the path, with or without extension?"""

    path: str | None
    reason: Literal["ambiguous-file", "no-file"] | None = None
    detail: str | None = None
    is_spelled: bool = False


Matcher = Callable[[str, Entry], Match]


def no_file(detail: str) -> Match:
    """The answer that the source holds no such image."""
    return Match(None, "no-file", detail)


def _grouped(pairs: Iterable[tuple[str, Value]]) -> dict[str, list[Value]]:
    groups: dict[str, list[Value]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return dict(groups)


def _tails(key: str) -> list[str]:
    """The last parts of a key, from the most to the name alone."""
    parts = key.split("/")[-MAX_PARTS:]
    return ["/".join(parts[start:]) for start in range(len(parts))]


class _Twins:
    """Paths that a key fits equally well; `nearest` tells them apart by the folder of the annotation file."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = sorted(paths)

    @cached_property
    def _inside(self) -> dict[str, list[str]]:
        return _grouped((folder_of(path), path) for path in self._paths)

    @cached_property
    def _below(self) -> dict[str, list[str]]:
        return _grouped((folder, path) for path in self._paths for folder in folders_upward(path)[-MAX_PARTS:])

    def nearest(self, folders: list[str]) -> Match:
        """The only path, the only one right in `folders[0]`, or the only one below the first folder with any."""
        if len(self._paths) == 1:
            return Match(self._paths[0])
        own = self._inside.get(folders[0], [])
        found = own if len(own) == 1 else next(filter(None, map(self._below.get, folders)), self._paths)
        if len(found) == 1:
            return Match(found[0])
        return Match(None, "ambiguous-file", f"{len(found)} files fit: {listed(found)}")


class _Keys:
    """Paths under the keys that they are looked up by: whole paths, or paths without their extension."""

    def __init__(self, keyed: Iterable[tuple[str, str]]) -> None:
        pairs = tuple(keyed)
        self._paths = _grouped(pairs)
        self._named = _grouped((key.rpartition("/")[2], (key, path)) for key, path in pairs)
        self._tails_of = cache(self._index_tails)

    def exactly(self, key: str) -> _Twins | None:
        paths = self._paths.get(key)
        return _Twins(paths) if paths else None

    def seen_from(self, key: str, folders: list[str]) -> _Twins | None:
        """Paths at `key`, relative to the source or to a folder round the annotation file.

        A path with folders is most likely one below the source; a bare name is one beside the annotation file.
        """
        order = ["", *folders] if "/" in key else folders
        return next(filter(None, (self.exactly(joined(folder, key)) for folder in order)), None)

    def ending_like(self, key: str) -> _Twins | None:
        """Paths that share the most last parts with `key`, at least the name."""
        name = key.rpartition("/")[2]
        named = self._named.get(name, [])
        if len(named) < 2:  # nearly every name is unique: its tails are not worth their memory
            return _Twins([path for _, path in named]) if named else None
        return next(filter(None, map(self._tails_of(name).get, _tails(key))), None)

    def _index_tails(self, name: str) -> dict[str, _Twins]:
        """Every tail of the keys that end in `name`, so that a name shared by thousands is not searched each time."""
        paths = _grouped((tail, path) for key, path in self._named[name] for tail in _tails(key))
        return {tail: _Twins(fitting) for tail, fitting in paths.items()}


class ImageIndex:
    """All image paths of a source, accepted or not, ready to be looked up by foreign names.

    An accent may be a character of its own (NFD, as macOS writes it) or not (NFC). Names are compared as NFC, unless two
    paths of the source differ in nothing else.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        written = tuple(paths)
        self._all = tuple(map(composed, written))
        self.composed: Callable[[str], str] = composed
        if len(set(self._all)) < len(written):
            self._all, self.composed = written, str
        self._written = {path: raw for path, raw in zip(self._all, written, strict=True) if path != raw}

    @cached_property
    def _whole(self) -> _Keys:
        return _Keys((path, path) for path in self._all)

    @cached_property
    def _bare(self) -> _Keys:
        return _Keys((without_extension(path), path) for path in self._all)

    @cached_property
    def _folders(self) -> frozenset[str]:
        return frozenset(map(folder_of, self._all))

    @cached_property
    def _split_folders(self) -> list[str]:
        above = {folder for own in self._folders for folder in folders_upward(f"{own}/")}
        return sorted(folder for folder in above if _SPLIT.fullmatch(folder.rpartition("/")[2]))

    def place_of(self, source: str) -> str:
        """Where a list of labels counts as lying: labels/val.json in images/val, the folder of a split that it is called after.

        Where it is if images lie beside it, or if its name tells no folder or, of those nearest to it, several. Beside the
        folders of other splits its own, which is gone, counts as there: its labels are not those of train/.
        """
        path = self.composed(source)
        folder, _, name = path.rpartition("/")
        words = set(_WORD_END.split(without_extension(name)))
        fits = [one for one in self._split_folders if one.rpartition("/")[2] in words]
        for above in folders_upward(path) if folder not in self._folders else ():
            near = [one for one in fits if above in folders_upward(f"{one}/")]
            if near:
                return joined(near[0], name) if len(near) == 1 else source
        gone = [word for word in words if _SPLIT.fullmatch(word)]
        if fits or len(gone) != 1 or folder in self._folders or not self._has_split_below(folder):
            return source
        return joined(folder, f"{gone[0]}/{name}")

    def _has_split_below(self, folder: str) -> bool:
        return any(folder in folders_upward(f"{one}/") for one in self._split_folders)

    def find(self, named: str, beside: str) -> Match:
        """The image that an annotation file at `beside` calls `named`.

        In turn: the path as it stands, the same from the folders round `beside`, the longest path that ends alike,
        the name; then all of it again without extension. The first step that fits anything decides; of several,
        the one nearest to `beside`, else none. A name in a folder of the source is not found in another folder: what
        ends alike is how other machines are read, and a folder that is there has lost the image.
        """
        key = self.key(named)
        if key is None:
            return no_file(f"{shown(named)} cannot name a file of the source")
        folders = folders_upward(self.composed(beside))
        for twins, is_spelled in self._steps(key, folders):
            if twins:
                return self._as_written(self._unless_lost(twins.nearest(folders), key, folders, is_spelled=is_spelled))
        return no_file(f"no image file fits {shown(named)}")

    def _steps(self, key: str, folders: list[str]) -> Iterator[tuple[_Twins | None, bool]]:
        """What fits at each step, and whether the key spells it."""
        yield self._whole.seen_from(key, folders), True
        yield self._whole.ending_like(key), False
        for stem in dict.fromkeys((key, without_image_extension(key))):
            yield self._bare.seen_from(stem, folders), stem == key
            yield self._bare.ending_like(stem), False

    def _unless_lost(self, match: Match, key: str, folders: list[str], *, is_spelled: bool) -> Match:
        """The match, unless the folder that the key names is there and the image found lies in another one."""
        if match.path is None:
            return match
        if is_spelled:
            return Match(match.path, is_spelled=True)
        found, lost = folder_of(match.path), self._folder_meant(key, folders)
        if lost is None or lost == found or is_tail(folder_of(key), found):  # a key that says less agrees
            return Match(match.path, is_spelled=is_tail(match.path, key))
        return no_file(f"no image file fits {shown(key)}: the folder {shown(lost)} has none")

    def _folder_meant(self, key: str, folders: list[str]) -> str | None:
        """The folder that should hold the image, if any image lies in it; for a bare name that of its annotation file.

        Of a path of another machine it is the longest of its ends that is a folder here.
        """
        if "/" not in key:
            places = [folder_of(joined(folders[0], key))]
        else:
            places = [folder_of(joined(folder, key)) for folder in ("", *folders)] + _tails(folder_of(key))
        return next(filter(self.has_images, places), None)

    def has_images(self, folder: str) -> bool:
        """Does an image lie right in this folder?"""
        return self.composed(folder) in self._folders

    def expected(self, named: str, beside: str) -> str:
        """The path that `named` would have if its image were there; the name itself where no folder is meant."""
        key = self.key(named) or ""
        folder = self._folder_meant(key, folders_upward(self.composed(beside)))
        return key if folder is None else joined(folder, key.rpartition("/")[2])

    def with_stem(self, stem: str) -> Match | None:
        """The image whose path without extension is exactly `stem`; None if there is none."""
        key = self.composed(stem)
        twins = self._bare.exactly(key)
        return self._as_written(twins.nearest([folder_of(key)])._replace(is_spelled=True)) if twins else None

    def key(self, named: str) -> str | None:
        """A foreign name as it is looked up; None if it cannot name an image of the source."""
        key = lookup_key(named)
        return None if key is None else self.composed(key)

    def _as_written(self, match: Match) -> Match:
        return match._replace(path=self._written[match.path]) if match.path in self._written else match


def by_itself(sources: Sources, images: ImageIndex, entries: Entries) -> Matcher:
    """An entry that was read from an image's own path means that image."""
    return lambda source, entry: Match(source)
