"""Reads `datasets/*.yaml`, and the suites in `expectations/` beside that folder.

A mistake names file, field, value and cure, and stops the load: no dataset and no suite vanishes quietly.
"""

import difflib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from cv_assets.domain.expecting import names_taken
from cv_assets.domain.quality.rulebook import check_rules
from resources.settings import PROJECT_ROOT
from resources.urls import is_remote, require_form
from schemas.datasets import DatasetConfig
from schemas.errors import ConfigurationError
from schemas.expectations import Expectations
from schemas.gx_suites import GxSuite, from_gx_suite, is_gx_suite

Place = tuple[int | str, ...]
MAX_FILE_BYTES: Final = 1_000_000
_YAML: Final = frozenset({".yaml", ".yml"})
_VARIABLE: Final = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>(?:(?!\$\{)[^}])*))?\}")


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases (they can grow without bound) and without a key given twice (one of them would be lost)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ComposerError(None, None, "aliases (*name) are not allowed", self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise ConstructorError(None, None, f"the key {key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load_datasets(folder: Path) -> list[DatasetConfig]:
    """Every dataset of a folder, by name. Raises ConfigurationError that lists every mistake of every file."""
    paths = _files_in(folder, _YAML)
    if paths is None:
        raise ConfigurationError(f"expected a folder of dataset files at {folder}, found none; set CV_ASSETS_DATASETS")
    datasets: dict[str, DatasetConfig] = {}
    mistakes: list[str] = []
    for path in paths:
        try:
            config = load_dataset(path)
        except ConfigurationError as error:
            mistakes.append(str(error))
        else:
            if config.name != path.stem:
                mistakes.append(
                    f"{path}: name: expected {path.stem!r} as in the file's name, found {config.name!r}; rename one"
                )
            if config.name in datasets:
                mistakes.append(
                    f"{path}: name: found {config.name!r}, which another file describes; remove one of the two"
                )
            datasets[config.name] = config
    mistakes += _suites_without_a_dataset(paths, folder)
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))
    return list(datasets.values())


def load_dataset(path: Path) -> DatasetConfig:
    """One dataset file with its suite. Raises ConfigurationError that lists every mistake in the two."""
    content = _read(path, "keys such as `name:` and `source:`")
    try:
        config = DatasetConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(_explain_all(path, error, DatasetConfig)) from error
    url = _resolve(config.source.url, path)
    config = config.model_copy(update={"source": config.source.model_copy(update={"url": url})})
    try:
        check_rules(config)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    suites = [suite for suite in _suite_files(path.parent) if suite.stem == path.stem]
    if len(suites) + ("expectations" in content) > 1:
        places = ", ".join(str(place) for place in (*suites, *([path] if "expectations" in content else ())))
        raise ConfigurationError(f"{path}: expectations: found in {places}; keep one of them")
    config = _with_suite(config, suites[0]) if suites else config
    if taken := names_taken(config):
        raise ConfigurationError(
            f"{suites[0] if suites else path}: name: found {', '.join(taken)}, as a gate is called; choose another name"
        )
    return config


def _with_suite(config: DatasetConfig, path: Path) -> DatasetConfig:
    """The dataset with what its suite file expects, in our keys or in those of Great Expectations."""
    content = _read(path, "tables such as `manifest:` with a list of expectations")
    try:
        suite = from_gx_suite(content) if is_gx_suite(content) else GxSuite(content, {})
    except ValueError as error:
        raise ConfigurationError("\n".join(f"{path}: {mistake}" for mistake in str(error).splitlines())) from error
    try:
        expected = Expectations.model_validate(suite.content)
    except ValidationError as error:
        raise ConfigurationError(_explain_all(path, error, Expectations, suite.place)) from error
    return config.model_copy(update={"expectations": expected})


def _suite_files(datasets: Path) -> list[Path]:
    return _files_in(datasets.absolute().parent / "expectations", _YAML | {".json"}) or []


def _files_in(folder: Path, endings: frozenset[str]) -> list[Path] | None:
    """Files with such endings, by name, or None if there is no such folder. Raises ConfigurationError."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in endings)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be listed: {error.strerror}; let this user read it") from error


def _suites_without_a_dataset(paths: list[Path], folder: Path) -> list[str]:
    known = {path.stem for path in paths}
    return [
        f"{suite}: expected the name of a dataset, one of {', '.join(sorted(known)) or '(none)'}; rename or remove it"
        for suite in _suite_files(folder)
        if suite.stem not in known
    ]


def _read(path: Path, expected: str) -> dict[str, Any]:
    """The mapping that a file holds. Raises ConfigurationError."""
    kind = "JSON" if path.suffix.lower() == ".json" else "YAML"
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, found {path.stat().st_size}")
        text = path.read_text(encoding="utf-8")
        if kind == "JSON":
            content = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
        else:
            content = yaml.load(text, _PlainLoader)  # noqa: S506 - a SafeLoader, stricter
    except (yaml.YAMLError, OSError, RecursionError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as {kind}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: expected {expected}, found {type(content).__name__}")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise ValueError(f"the key {twice!r} is given twice")
    return dict(pairs)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


def _resolve(url: str, path: Path) -> str:
    """`${VAR}` and `${VAR:-default}` filled in; a relative path made absolute from the project's root folder."""

    def fill(found: re.Match[str]) -> str:
        value = os.environ.get(found["name"]) or found["default"]
        if value is None:
            raise ConfigurationError(
                f"{path}: source.url: found ${{{found['name']}}}, which the environment lacks; set it"
            )
        return value

    if "${" in _VARIABLE.sub("", url):
        raise ConfigurationError(f"{path}: source.url: found {url!r}; write variables as ${{VAR}} or ${{VAR:-default}}")
    filled = _VARIABLE.sub(fill, url)
    if not filled:
        raise ConfigurationError(f"{path}: source.url: found {url!r}, of which its variables leave nothing; set them")
    try:
        require_form(filled, setting="it")
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: source.url: {error}") from error
    if is_remote(filled) or filled.lower().startswith("file:"):
        return filled
    return os.path.normpath(PROJECT_ROOT / Path(filled).expanduser())


def _explain_all(
    path: Path, error: ValidationError, model: type[BaseModel], place: Callable[[Place], Place] = tuple
) -> str:
    """Every mistake; `place` gives where in the file something stands that the model has elsewhere."""
    said: list[str] = []
    for mistake in error.errors():
        known, tags = _at(mistake["loc"], model)
        if mistake["type"] == "string_type" and tags and isinstance(mistake["input"], dict):
            continue  # a text would do, too; what is wrong with the mapping is said by the other mistakes
        if mistake["type"] == "too_short" and mistake["input"]:
            continue  # there would be more members if they had no mistakes, which are said
        at = place(mistake["loc"])
        shown = tuple(part for index, part in enumerate(at) if index not in tags) if at == mistake["loc"] else at
        said.append(f"{path}: {_explain(mistake, known, shown)}")
    return "\n".join(said)


def _explain(mistake: ErrorDetails, known: list[str], place: Place) -> str:
    """`field: found value; what was expected and what to do`, in one line."""
    if place[-1:] == ("[key]",):
        place, known = place[:-1], re.findall(r"'([^']*)'", str(mistake.get("ctx", {}).get("expected", "")))
    field = ".".join(str(part) for part in place) or "(whole file)"
    if mistake["type"] == "extra_forbidden" or (mistake["type"] == "literal_error" and mistake["loc"][-1] == "[key]"):
        close = difflib.get_close_matches(str(place[-1]), known, n=1)
        cure = f"did you mean {close[0]!r}?" if close else f"known keys are {', '.join(known)}"
        return f"{field}: found an unknown key; {cure}"
    if mistake["type"] == "missing":
        return f"{field}: found nothing; this key is required"
    found = repr(mistake["input"])
    message = mistake["msg"].removeprefix("Value error, ")
    if mistake["type"] in {"tuple_type", "list_type"}:
        message = f"expected a list, such as [{found[:60]}]"
    elif mistake["type"] == "model_type":
        message = f"expected a mapping with keys such as {', '.join(known)}"
    return f"{field}: found {found if len(found) <= 120 else found[:117] + '...'}; {message}"


def _at(location: Place, top: type[BaseModel]) -> tuple[list[str], set[int]]:
    """What keys the model knows at a place, and which parts of it are no keys: they tell the members of a union apart."""
    model, is_choice, tags = top, False, set[int]()
    for index, part in enumerate(location):
        field = model.model_fields.get(str(part))
        if field is None:
            if is_choice and part in {"str", model.__name__}:
                tags.add(index)
            continue  # that, a key of the user's own, an index, or an unknown key
        models = [one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type)]
        model = next((one for one in models if issubclass(one, BaseModel)), model)
        is_choice = isinstance(field.annotation, UnionType) and str in models
    return list(model.model_fields), tags
