"""What the Dockerfile promises, read from it: pins, a user without rights, and no file that it does not name."""

import re

import pytest

from cv_assets_tests.stack.compose_file import built_services, read_compose
from resources.settings import PROJECT_ROOT


@pytest.fixture(scope="module")
def dockerfile() -> list[str]:
    """The instructions of the Dockerfile, one a line, without comments."""
    text = (PROJECT_ROOT / "Dockerfile").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def copied(dockerfile: list[str]) -> set[str]:
    """The paths that the image takes from the project."""
    return {source for line in dockerfile if line.startswith("COPY ") for source in line.split()[1:-1]}


def test_the_base_image_and_every_package_of_the_dockerfile_are_pinned(dockerfile: list[str]) -> None:
    assert re.fullmatch(r"FROM python:3\.11\.\d+-slim-bookworm", dockerfile[0])
    arguments = {
        word for line in dockerfile for found in re.findall(r"pip install ([^&]*)", line) for word in found.split()
    }
    packages = {word for word in arguments if not word.startswith(("-", ".", "/")) and word != "requirements.lock"}
    assert {word for word in packages if not re.fullmatch(r"[\w-]+==[\d.]+", word)} == set()


def test_the_build_sees_what_it_copies_and_nothing_else(copied: set[str]) -> None:
    lines = (PROJECT_ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:].rstrip("/") for rule in rules if rule.startswith("!")} == copied


def test_the_image_finds_our_packages_before_their_namesakes(dockerfile: list[str]) -> None:
    assert "WORKDIR /app" in dockerfile
    assert any(re.search(r"^ENV .*\bPYTHONPATH=/app\b", line) for line in dockerfile)
    assert {service["working_dir"] for service in built_services(read_compose()).values()} == {"/app"}


def test_everything_that_is_copied_exists(copied: set[str]) -> None:
    assert sorted(path for path in copied if not (PROJECT_ROOT / path).exists()) == []


def test_the_image_runs_as_the_user_of_the_services(dockerfile: list[str]) -> None:
    users = [line.removeprefix("USER ") for line in dockerfile if line.startswith("USER ")]
    assert {service["user"] for service in built_services(read_compose()).values()} == set(users[-1:])
