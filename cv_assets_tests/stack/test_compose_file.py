"""What docker-compose.yml promises, read from it: secrets, pins, confinement, order, and files that fit together."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cv_assets_tests.stack.compose_file import (
    COMPOSE_FILE,
    built_services,
    interpolate,
    is_one_shot,
    read_compose,
    variables,
    without_variables,
)
from resources.settings import PROJECT_ROOT

SECRET = re.compile("PASSWORD|SECRET|KEY")
# made by `cv-assets draw`, or empty by Docker: git does not hold it
MADE_ON_DEMAND = {"./uploads"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The parsed compose file."""
    return read_compose()


@pytest.fixture(scope="module")
def example() -> dict[str, str]:
    """Name → value, of .env.example."""
    lines = (PROJECT_ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def offenders(compose: dict[str, Any], is_fine: Any) -> list[str]:
    """The names of the services that a rule does not hold for."""
    return [name for name, service in compose["services"].items() if not is_fine(service)]


# --- the compose specification ---------------------------------------------------------------------------------------


def test_the_file_follows_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE_FILE)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def docker_compose_config(env_file: Path) -> subprocess.CompletedProcess[str]:
    """What `docker compose config` says, with nothing of this environment but the path. Needs no engine."""
    command = ["docker", "compose", "--file", str(COMPOSE_FILE), "--env-file", str(env_file), "config", "--quiet"]
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def docker_compose() -> None:
    """Skips the test where the compose plugin is not installed."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    asked = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=60, check=False)
    if asked.returncode != 0:
        pytest.skip("docker has no compose plugin here")


@pytest.mark.usefixtures("docker_compose")
def test_docker_compose_accepts_the_file_once_the_secrets_are_set(tmp_path: Path, example: dict[str, str]) -> None:
    filled = tmp_path / "filled.env"
    filled.write_text("".join(f"{name}={value or 'a-secret'}\n" for name, value in example.items()))
    answer = docker_compose_config(filled)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.usefixtures("docker_compose")
def test_docker_compose_refuses_the_example_as_it_is() -> None:
    answer = docker_compose_config(PROJECT_ROOT / ".env.example")
    assert answer.returncode != 0
    assert "set it in .env" in answer.stderr


# --- settings and secrets --------------------------------------------------------------------------------------------


def test_every_variable_is_documented_and_every_documented_one_is_used(example: dict[str, str]) -> None:
    assert {variable.name for variable in variables(COMPOSE_FILE.read_text())} == set(example)


def test_every_variable_of_the_example_is_explained_by_a_comment() -> None:
    text = (PROJECT_ROOT / ".env.example").read_text()
    assert re.findall(r"^(?!#).*\n(\w+)=", text, re.MULTILINE) == []


def test_no_variable_is_silently_empty() -> None:
    # `$NAME` and `${NAME}` become "" with a warning that nobody reads
    assert "$" not in without_variables(COMPOSE_FILE.read_text())


def test_the_defaults_of_the_example_are_those_of_the_file(example: dict[str, str]) -> None:
    found = {v.name: v.rest for v in variables(COMPOSE_FILE.read_text()) if v.operator == ":-"}
    assert found == {name: example[name] for name in found}


def test_a_secret_has_no_default_anywhere(compose: dict[str, Any], example: dict[str, str]) -> None:
    secrets = {v.name for v in variables(COMPOSE_FILE.read_text()) if SECRET.search(v.name)}
    assert secrets == {v.name for v in variables(COMPOSE_FILE.read_text()) if v.operator == ":?"}
    assert {name: example[name] for name in secrets} == dict.fromkeys(secrets, "")
    written_out = [
        f"{name}: {key}"
        for name, service in compose["services"].items()
        for key, value in service.get("environment", {}).items()
        if SECRET.search(key) and not value.startswith("${")
    ]
    assert written_out == []


def test_interpolation_refuses_the_example_and_takes_a_secret(compose: dict[str, Any], example: dict[str, str]) -> None:
    password = compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"]
    with pytest.raises(KeyError, match=r"DAGSTER_POSTGRES_PASSWORD is missing: set it in \.env"):
        interpolate(password, example)
    assert interpolate(password, {"DAGSTER_POSTGRES_PASSWORD": "p"}) == "p"
    assert interpolate("${S3_BUCKET:-cv-assets}", {}) == "cv-assets"


def test_only_store_and_code_server_know_the_credentials_of_the_store(compose: dict[str, Any]) -> None:
    knowing = {n for n, s in compose["services"].items() if "AWS_SECRET_ACCESS_KEY" in s.get("environment", {})}
    assert knowing == {"code", "seaweedfs"}


# --- pins ------------------------------------------------------------------------------------------------------------


def test_every_image_is_built_here_or_pinned_by_a_version(compose: dict[str, Any]) -> None:
    ours = built_services(compose)
    foreign = {n: s["image"] for n, s in compose["services"].items() if n not in ours}
    assert {name: image for name, image in foreign.items() if not re.search(r":\d+\.\d+[\w.-]*$", image)} == {}


def test_one_service_builds_the_image_and_the_others_share_it(compose: dict[str, Any]) -> None:
    assert set(built_services(compose)) == {"migrate", "code", "webserver", "daemon"}
    assert [name for name, service in compose["services"].items() if "build" in service] == ["code"]


# --- confinement -----------------------------------------------------------------------------------------------------


def test_every_published_port_listens_on_loopback(compose: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert set(ports) == {"webserver", "seaweedfs"}
    assert [port for published in ports.values() for port in published if not port.startswith("127.0.0.1:")] == []


def test_postgres_and_grpc_are_reached_over_an_internal_network(compose: dict[str, Any]) -> None:
    networks = compose["networks"]
    assert [n for n in compose["services"]["postgres"]["networks"] if not (networks[n] or {}).get("internal")] == []
    # a container that is on internal networks alone cannot publish a port
    for name in ("webserver", "seaweedfs"):
        assert not all((networks[n] or {}).get("internal") for n in compose["services"][name]["networks"])


def test_nobody_is_root(compose: dict[str, Any]) -> None:
    assert offenders(compose, lambda service: re.fullmatch(r"[1-9]\d*:[1-9]\d*", service.get("user", ""))) == []


def test_every_service_is_confined(compose: dict[str, Any]) -> None:
    assert offenders(compose, lambda service: service["read_only"] is True) == []
    assert offenders(compose, lambda service: service["cap_drop"] == ["ALL"]) == []
    assert offenders(compose, lambda service: service["security_opt"] == ["no-new-privileges:true"]) == []
    loosening = {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"}
    assert offenders(compose, lambda service: not loosening & set(service)) == []


def test_the_docker_socket_is_mounted_nowhere() -> None:
    assert "docker.sock" not in COMPOSE_FILE.read_text()


def test_folders_of_the_host_are_mounted_read_only(compose: dict[str, Any]) -> None:
    mounts = [mount for service in compose["services"].values() for mount in service["volumes"] if mount[0] in "./~"]
    assert [mount for mount in mounts if not mount.endswith(":ro")] == []


# --- health and order ------------------------------------------------------------------------------------------------


def test_every_service_has_a_health_check_unless_it_ends_by_itself(compose: dict[str, Any]) -> None:
    without = offenders(compose, lambda service: service.get("healthcheck", {}).get("test"))
    assert without == [name for name in compose["services"] if is_one_shot(name, compose)] == ["migrate"]


def test_every_service_waits_until_what_it_needs_is_ready(compose: dict[str, Any]) -> None:
    waits = {
        (name, needed): condition["condition"]
        for name, service in compose["services"].items()
        for needed, condition in service.get("depends_on", {}).items()
    }
    assert waits == {
        ("migrate", "postgres"): "service_healthy",
        ("code", "migrate"): "service_completed_successfully",
        ("code", "seaweedfs"): "service_healthy",
        ("webserver", "code"): "service_healthy",
        ("daemon", "code"): "service_healthy",
    }


def test_whatever_keeps_running_is_restarted(compose: dict[str, Any]) -> None:
    unless_stopped = [name for name, s in compose["services"].items() if s["restart"] == "unless-stopped"]
    assert unless_stopped == [name for name in compose["services"] if not is_one_shot(name, compose)]


# --- the files fit together ------------------------------------------------------------------------------------------


def test_every_file_that_is_mounted_exists(compose: dict[str, Any]) -> None:
    mounted = {mount.split(":")[0] for service in compose["services"].values() for mount in service.get("volumes", [])}
    paths = {source for source in mounted if source.startswith("./")} - MADE_ON_DEMAND
    assert sorted(path for path in paths if not (PROJECT_ROOT / path).exists()) == []


def test_the_instance_gets_every_variable_that_it_reads(compose: dict[str, Any]) -> None:
    read = set(re.findall(r"env: (\w+)", (PROJECT_ROOT / "deploy" / "dagster.yaml").read_text()))
    assert "DAGSTER_POSTGRES_PASSWORD" in read
    assert [name for name, s in built_services(compose).items() if not read <= set(s["environment"])] == []


def test_the_workspace_names_the_code_server_and_the_location_of_the_development_one(compose: dict[str, Any]) -> None:
    (server,) = yaml.safe_load((PROJECT_ROOT / "deploy" / "workspace.yaml").read_text())["load_from"]
    (module,) = yaml.safe_load((PROJECT_ROOT / "workspace.yaml").read_text())["load_from"]
    command = compose["services"][server["grpc_server"]["host"]]["command"]
    assert str(server["grpc_server"]["port"]) == command[command.index("-p") + 1]
    assert module["python_module"]["module_name"] == command[command.index("-m") + 1]
    assert server["grpc_server"]["location_name"] == module["python_module"]["location_name"]
