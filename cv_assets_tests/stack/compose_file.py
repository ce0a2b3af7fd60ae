"""docker-compose.yml as tests read it: parsed, with its variables found or filled in. Starting anything is not here."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import yaml

from resources.settings import PROJECT_ROOT

COMPOSE_FILE: Final = PROJECT_ROOT / "docker-compose.yml"
_VARIABLE: Final = re.compile(r"\$\{(?P<name>\w+)(?P<operator>:[-?])(?P<rest>[^}]*)\}")


class Variable(NamedTuple):
    """`${NAME:-rest}` or `${NAME:?rest}`."""

    name: str
    operator: str
    rest: str


def read_compose() -> dict[str, Any]:
    """The file, with YAML anchors resolved and variables as they are written."""
    return yaml.safe_load(COMPOSE_FILE.read_text())


def variables(text: str) -> Iterator[Variable]:
    """Every variable with an operator."""
    return (Variable(*found.groups()) for found in _VARIABLE.finditer(text))


def without_variables(text: str) -> str:
    """The text with every variable that has an operator cut out."""
    return _VARIABLE.sub("", text)


def interpolate(text: str, settings: Mapping[str, str]) -> str:
    """What `docker compose` makes of a value. Raises KeyError for a required variable that `settings` lacks."""

    def fill(found: re.Match[str]) -> str:
        variable = Variable(*found.groups())
        if settings.get(variable.name):
            return settings[variable.name]
        if variable.operator == ":?":
            raise KeyError(f"required variable {variable.name} is missing: {variable.rest}")
        return variable.rest

    return _VARIABLE.sub(fill, text)


def built_services(compose: Mapping[str, Any]) -> dict[str, Any]:
    """The services that run the image which this project builds."""
    built = {service["image"] for service in compose["services"].values() if "build" in service}
    return {name: service for name, service in compose["services"].items() if service["image"] in built}


def is_one_shot(name: str, compose: Mapping[str, Any]) -> bool:
    """Whether a service ends by itself, and others wait for it to have succeeded."""
    conditions = {
        service.get("depends_on", {}).get(name, {}).get("condition") for service in compose["services"].values()
    }
    return compose["services"][name]["restart"] == "no" and "service_completed_successfully" in conditions
