"""Reads `datasets/*.yaml`. A mistake names file, field, value and cure, and stops the load: no dataset vanishes quietly."""

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from resources.settings import PROJECT_ROOT
from schemas.datasets import DatasetConfig
from schemas.errors import ConfigurationError

MAX_FILE_BYTES: Final = 1_000_000
_VARIABLE: Final = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


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
    if not folder.is_dir():
        raise ConfigurationError(f"expected a folder of dataset files at {folder}, found none; set CV_ASSETS_DATASETS")
    datasets: dict[str, DatasetConfig] = {}
    mistakes: list[str] = []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in {".yaml", ".yml"}):
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
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))
    return list(datasets.values())


def load_dataset(path: Path) -> DatasetConfig:
    """One dataset file. Raises ConfigurationError that lists every mistake in it."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, found {path.stat().st_size}")
        content = yaml.load(path.read_text(encoding="utf-8"), _PlainLoader)  # noqa: S506 - a SafeLoader, stricter
    except (yaml.YAMLError, OSError, RecursionError, ValueError, LookupError, AttributeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: expected keys such as `name:` and `source:`, found {type(content).__name__}")
    try:
        config = DatasetConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError("\n".join(f"{path}: {_explain(mistake)}" for mistake in error.errors())) from error
    return config.model_copy(
        update={"source": config.source.model_copy(update={"url": _resolve(config.source.url, path)})}
    )


def _resolve(url: str, path: Path) -> str:
    """`${VAR}` and `${VAR:-default}` filled in; a relative path made absolute from the project's root folder."""

    def fill(found: re.Match[str]) -> str:
        value = os.environ.get(found["name"]) or found["default"]
        if value is None:
            raise ConfigurationError(
                f"{path}: source.url: found ${{{found['name']}}}, which the environment lacks; set it"
            )
        return value

    filled = _VARIABLE.sub(fill, url)
    return filled if urlsplit(filled).scheme else os.path.normpath(PROJECT_ROOT / Path(filled).expanduser())


def _explain(mistake: ErrorDetails) -> str:
    """`field: found value; what was expected and what to do`, in one line."""
    field = ".".join(str(part) for part in mistake["loc"]) or "(whole file)"
    message = mistake["msg"].removeprefix("Value error, ")
    if mistake["type"] == "extra_forbidden":
        known = list(_fields_at(mistake["loc"][:-1]))
        close = difflib.get_close_matches(str(mistake["loc"][-1]), known, n=1)
        cure = f"did you mean {close[0]!r}?" if close else f"known keys are {', '.join(known)}"
        return f"{field}: found an unknown key; {cure}"
    if mistake["type"] == "missing":
        return f"{field}: found nothing; this key is required"
    found = repr(mistake["input"])
    return f"{field}: found {found if len(found) <= 120 else found[:117] + '...'}; {message}"


def _fields_at(location: tuple[int | str, ...]) -> Iterator[str]:
    """Names of the keys that the model knows at a place."""
    model: Any = DatasetConfig
    for part in location:
        annotation = getattr(model.model_fields.get(str(part)), "annotation", None)
        models = [one for one in (annotation, *get_args(annotation)) if isinstance(one, type)]
        model = next((one for one in models if issubclass(one, BaseModel)), None)
        if model is None:
            return
    yield from model.model_fields
