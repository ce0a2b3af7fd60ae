"""Whether an image that a name finds is meant by it, in view of what all other entries call that image."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

from cv_assets.domain.annotations.matching import ImageIndex, Match, Matcher, no_file
from cv_assets.domain.annotations.paths import (
    folder_of,
    image_extension,
    is_tail,
    shared_depth,
    without_image_extension,
)
from cv_assets.domain.annotations.records import Entries, Sources
from cv_assets.domain.annotations.text import shown

# an annotation file, and how it names an image
Name = tuple[str, str]
# an annotation file → where it counts as lying, its own path or another
PlaceOf = Callable[[str], str]


class Found(NamedTuple):
    """An image that a name finds: its path, how many folders it shares with the annotation file, and is it spelled?"""

    path: str
    depth: int
    is_spelled: bool


def by_name_in_lists(sources: Sources, images: ImageIndex, entries: Entries) -> Matcher:
    """The same as `by_name`, of files that each label many images, which may be called after the split of these."""
    return by_name(sources, images, entries, cache(images.place_of))


def by_name(sources: Sources, images: ImageIndex, entries: Entries, place_of: PlaceOf = str) -> Matcher:
    """Look images up by the name in each entry; equal names in one file are looked up once.

    An image that one entry names is given to no other one that names another, see `_named_otherwise`, and a name that
    does not spell its image's path means none that lies farther away than another one tells, see `answers_by_nearness`.
    """
    names = dict.fromkeys((source, entry.sought) for source, entry in entries)
    matches = {(source, named): images.find(named, place_of(source)) for source, named in names if named is not None}
    matches |= _named_otherwise(matches, images, place_of)
    matches |= answers_by_nearness(matches, images, place_of, cure="write its whole path")
    return lambda source, entry: matches[source, entry.sought or ""]


def _named_otherwise(matches: Mapping[Name, Match], images: ImageIndex, place_of: PlaceOf) -> dict[Name, Match]:
    """The answer to every name that finds an image which is another one's.

    An image whose path some entry spells is not given to a name that differs: with dogs/1.jpg gone, its label says
    nothing of cats/1.jpg, nor that of a.png of a.jpg. Where one file names old/1.jpg and 1.jpg, these are two images,
    even if the second is gone.
    """
    owners: dict[str, Name] = {}  # by whom a path is spelled
    spellers: dict[tuple[str, str], Name] = {}  # the same in one annotation file
    callers: dict[str, Name] = {}  # by whom its name is, extension and all
    times = Counter(match.path for match in matches.values())
    found = [
        (name, match.path, match.is_spelled)
        for name, match in matches.items()
        if match.path is not None and times[match.path] > 1  # nearly every image has one name
    ]
    for name, path, is_spelled in found:
        source, named = name
        if is_spelled:
            owners.setdefault(path, name)
            spellers.setdefault((source, path), name)
        if _last_part(images.key(named) or "") == _last_part(images.composed(path)):
            callers.setdefault(path, name)
    lost: dict[Name, Match] = {}
    for name, path, is_spelled in found:
        source, named = name
        speller = spellers.get((source, path))
        if not is_spelled and speller:
            lost[name] = _owned(named, path, speller)
        elif (
            not is_spelled
            and path in owners
            and _differs(images.expected(named, place_of(source)), images.composed(path))
        ):
            lost[name] = _owned(named, path, owners[path])
        elif path in callers and _differs_in_extension(named, path):
            lost[name] = _owned(named, path, callers[path])
    return lost


def answers_by_nearness(
    matches: Mapping[Name, Match], images: ImageIndex, place_of: PlaceOf = str, *, cure: str
) -> dict[Name, Match]:
    """The answer to every name that does not spell its image's path, where another image is nearer to its file.

    See `_named_nearer`, and of what that leaves `_gone_from_home`. `cure` says how to name an image all the same.
    """

    @cache
    def depth_of(folder: str, other: str) -> int:
        return shared_depth(images.composed(folder), images.composed(other))

    found = {
        name: Found(match.path, depth_of(folder_of(place_of(name[0])), folder_of(match.path)), match.is_spelled)
        for name, match in matches.items()
        if match.path is not None
    }
    lost = _named_nearer(found, images, place_of, cure)
    for name in lost:
        del found[name]
    return lost | _gone_from_home(found, images, place_of, cure)


def _named_nearer(found: Mapping[Name, Found], images: ImageIndex, place_of: PlaceOf, cure: str) -> dict[Name, Match]:
    """The answer to every name that a nearer annotation file calls the same image by.

    Whether val/labels.json speaks of train/1.jpg, or of its own 1.jpg that is gone, the name does not tell where
    train/labels.json names it too. Files above the image are no farther: they speak of all that is below.
    """
    nearest: dict[str, Name] = {}
    for name, (path, depth, _) in found.items():
        if path not in nearest or found[nearest[path]].depth < depth:
            nearest[path] = name
    lost: dict[Name, Match] = {}
    for (source, named), (path, depth, is_spelled) in found.items():
        if is_spelled or depth >= min(found[nearest[path]].depth, place_of(source).count("/")):
            continue
        owner, called = nearest[path]
        if _leaves_open(images.key(named) or "", images.key(called) or "", images.composed(path)):
            detail = f"{shown(path)} is named {shown(called)} in {shown(owner)}, which lies nearer"
            lost[source, named] = Match(None, "ambiguous-file", f"{detail}; if it is meant, {cure}")
    return lost


def _gone_from_home(found: Mapping[Name, Found], images: ImageIndex, place_of: PlaceOf, cure: str) -> dict[Name, Match]:
    """The answer to every name that finds an image farther away than others that label files of the same folder name.

    Where label files in val/ find other images in val/, their 1.jpg is not train/1.jpg: it is gone, unless the name says
    the folder.
    """
    homes: dict[str, int] = {}  # folder of label files → how far down it lies with an image that they name
    for (source, _), one in found.items():
        folder = folder_of(place_of(source))
        homes[folder] = max(one.depth, homes.get(folder, 0))
    lost: dict[Name, Match] = {}
    for (source, named), (path, depth, is_spelled) in found.items():
        folder = folder_of(place_of(source))
        if is_spelled or depth >= homes[folder] or _says_folder(images.key(named) or "", images.composed(path)):
            continue
        detail = (
            f"no image file fits {shown(named)}: label files of {shown(folder)} find others nearer than {shown(path)}"
        )
        lost[source, named] = no_file(f"{detail}; if it is meant, {cure}")
    return lost


def _last_part(key: str) -> str:
    return key.rpartition("/")[2]


def _leaves_open(key: str, other: str, path: str) -> bool:
    """Does a key say no more of an image than another one, extensions apart, or something else than its path?"""
    says_no_more = is_tail(without_image_extension(key), without_image_extension(other))
    return says_no_more or not _agree_on_folders(key, path)


def _says_folder(key: str, path: str) -> bool:
    """Does a key name the folder of a path by a path of its own, as that of another machine?"""
    one, other = folder_of(key), folder_of(path)
    return _last_part(one) == _last_part(other) and not is_tail(one, other)


def _agree_on_folders(key: str, path: str) -> bool:
    """Does one only have more folders in front than the other?"""
    one, other = folder_of(key), folder_of(path)
    return is_tail(one, other) or is_tail(other, one)


def _differs(key: str, path: str) -> bool:
    """Does a key that found an image say something else of its folders, or of its extension?"""
    return _differs_in_extension(key, path) or not _agree_on_folders(key, path)


def _differs_in_extension(key: str, path: str) -> bool:
    return len({image_extension(key), image_extension(path)} - {None}) > 1


def _owned(named: str, path: str, owner: Name) -> Match:
    """The answer that the image found is another one's: of the entries in a file that call it so."""
    return no_file(f"no image file fits {shown(named)}: {shown(path)} is named {shown(owner[1])} in {shown(owner[0])}")
