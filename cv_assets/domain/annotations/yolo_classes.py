"""What the class numbers of YOLO label files mean: data.yaml, classes.txt or obj.names, the nearest one upward."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, cast

import yaml

from cv_assets.domain.annotations.paths import folder_of, folders_upward
from cv_assets.domain.annotations.records import AnnotationFile
from cv_assets.domain.annotations.text import lines_of, shown

# ImageNet-21k, the longest list of classes in use, is 43,683 nodes; a megabyte of one-letter names takes 18 s to read.
MAX_YAML_BYTES: Final = 1_000_000
MAX_YAML_NODES: Final = 50_000
MAX_YAML_DEPTH: Final = 20
_TAGS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


class Classes(NamedTuple):
    """Class number → name; whether boxes are followed by keypoints, which look like a polygon otherwise, how many, and how
    long each is: 2 or 3 numbers. Both are 0 if that is not told."""

    names: Mapping[int, str]
    has_keypoints: bool = False
    keypoints: int = 0
    keypoint_length: int = 0


NO_CLASSES: Final = Classes({})


class _TextLoader(yaml.SafeLoader):
    """Safe YAML in which every plain value is text, so that the class `no` stays `no`, and aliases are refused."""

    yaml_implicit_resolvers: dict[str, list[object]] = {}  # noqa: RUF012

    _nodes = 0
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # pyright: ignore[reportUnknownMemberType]
            raise ValueError("expected no aliases (*name), which can grow a small file without end")
        self._nodes += 1
        self._depth += 1
        if self._nodes > MAX_YAML_NODES or self._depth > MAX_YAML_DEPTH:
            raise ValueError(f"expected at most {MAX_YAML_NODES} nodes and {MAX_YAML_DEPTH} levels of YAML, found more")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None and node.tag not in _TAGS:
            raise ValueError(f"expected text, lists and mappings, found the tag {shown(node.tag)}")
        if isinstance(node, yaml.MappingNode):
            keys = [str(key.value) for key, _ in cast("list[tuple[yaml.ScalarNode, yaml.Node]]", node.value)]
            if len(keys) != len(set(keys)):
                raise ValueError(f"expected each key once, found {shown(Counter(keys).most_common(1)[0][0])} twice")
        return node


def is_class_file(file: AnnotationFile) -> bool:
    """Is the file one of class names rather than of labels, by its name?"""
    name = file.path.rpartition("/")[2].lower()
    return name == "classes.txt" or name.endswith(".names") or _is_yaml(name)


def read_classes(path: str, data: bytes) -> Classes:
    """The class names of one file. Raises ValueError or yaml.YAMLError if they cannot be told."""
    if not _is_yaml(path):
        lines = lines_of(data.decode("utf-8-sig"))
        names = {number: name for number, name in enumerate(lines) if name.strip()}
        if not names:
            raise ValueError("expected the name of a class a line, found none")
        return Classes(names)
    if len(data) > MAX_YAML_BYTES:
        raise ValueError(f"expected at most {MAX_YAML_BYTES} bytes of YAML, found {len(data)}")
    return _from_yaml(yaml.load(data, Loader=_TextLoader))  # noqa: S506


def contradicting(by_path: Mapping[str, Classes]) -> dict[str, str]:
    """Path of each class file in a folder where two contradict each other → one that does: none there can be gone by.

    Two of one kind must be equal; a YAML and a text, which says less, must agree on the numbers that both name.
    """

    def is_contradicted(path: str, other: str) -> bool:
        one, another = by_path[path], by_path[other]
        return one != another if _is_yaml(path) == _is_yaml(other) else _differing(one, another) is not None

    beside: dict[str, list[str]] = {}
    for path in sorted(by_path):
        beside.setdefault(folder_of(path), []).append(path)
    against: dict[str, str] = {}
    for paths in beside.values():
        first_of_kind = {_is_yaml(path): path for path in reversed(paths)}.values()
        pairs = ((first, path) for first in first_of_kind for path in paths)
        if odd := next((pair for pair in pairs if is_contradicted(*pair)), None):
            against |= dict.fromkeys(paths, odd[1]) | {odd[1]: odd[0]}
    return against


def overruling(by_path: Mapping[str, Classes]) -> Iterator[tuple[str, str]]:
    """Each text of classes that contradicts the nearest YAML above it, and, being nearer to labels, counts; with the words."""
    yamls = {folder_of(path): path for path in sorted(by_path) if _is_yaml(path)}
    for path in sorted(by_path):
        nearest = next((yamls[folder] for folder in folders_upward(path) if folder in yamls), path)
        number = _differing(by_path[path], by_path[nearest])
        if number is not None and not _is_yaml(path):
            one, other = (shown(by_path[each].names[number]) for each in (path, nearest))
            yield (
                path,
                f"class {number} is {one} here and {other} in {shown(nearest)}; this file counts, being nearer: correct one",
            )


def _differing(one: Classes, other: Classes) -> int | None:
    """The first class number that two lists name differently, space round the names apart; None if there is none."""
    both = sorted(one.names.keys() & other.names.keys())
    return next((number for number in both if one.names[number].strip() != other.names[number].strip()), None)


def nearest_classes(by_path: Mapping[str, Classes]) -> Callable[[str], Classes]:
    """Label path → the classes of the nearest folder upward that has any; of several there, the YAML, which says most.

    Of keypoints the nearest YAML tells, also above a text of classes, which cannot.
    """
    yamls = {folder_of(path): by_path[path] for path in sorted(by_path) if _is_yaml(path)}
    by_folder = {folder_of(path): by_path[path] for path in sorted(by_path)} | yamls

    def classes_for(label_path: str) -> Classes:
        folders = folders_upward(label_path)
        names, points = (
            next((some[folder] for folder in folders if folder in some), NO_CLASSES) for some in (by_folder, yamls)
        )
        return points._replace(names=names.names)

    return classes_for


def _is_yaml(path: str) -> bool:
    return path.lower().endswith((".yaml", ".yml"))


def _from_yaml(document: object) -> Classes:
    whole = cast("dict[str, object]", document) if isinstance(document, dict) else {}
    names = dict(_numbered(whole.get("names")))
    count = whole.get("nc")
    if not names:
        raise ValueError("expected a list or a mapping `names` of class names, found none")
    if count is not None and count != str(len(names)):
        raise ValueError(f"expected as many names as `nc` says, found {len(names)} names and nc {shown(count)}")
    return Classes(names, "kpt_shape" in whole, *_keypoint_shape(whole.get("kpt_shape")))


def _keypoint_shape(shape: object) -> tuple[int, int]:
    """`kpt_shape` is how many keypoints there are, and of how many numbers."""
    numbers = cast("list[object]", shape) if isinstance(shape, list) else []
    count, length = map(str, numbers) if len(numbers) == 2 else ("", "")
    is_told = re.fullmatch(r"[1-9][0-9]{0,5}", count) and length in {"2", "3"}
    return (int(count), int(length)) if is_told else (0, 0)


def _numbered(names: object) -> Iterator[tuple[int, str]]:
    pairs: list[tuple[object, object]] = []
    if isinstance(names, list):
        pairs = list(enumerate(cast("list[object]", names)))
    elif isinstance(names, dict):
        pairs = list(cast("dict[object, object]", names).items())
    numbers = set[int]()
    for number, name in pairs:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"expected text as the name of class {shown(number)}, found {shown(name)}")
        if int(str(number)) in numbers:
            raise ValueError(f"expected one name for class {int(str(number))}, found two")
        numbers.add(int(str(number)))
        yield int(str(number)), name
