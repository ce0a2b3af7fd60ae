"""The UI as tests meet it: a place of its own, `dagster dev` over it, GraphQL as the UI asks it, headless Chromium."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from cv_assets_tests.homes import dagster_home
from cv_assets_tests.servers.ports import free_port
from resources.settings import PROJECT_ROOT

START_SECONDS, RUN_SECONDS = 90, 120


def make_dataset(place: Path, name: str, **settings: Any) -> Path:
    """A dataset of a place; its landing place, still empty."""
    uploads = place / "uploads" / name
    for folder in (uploads, place / "datasets"):
        folder.mkdir(parents=True, exist_ok=True)
    config = {"name": name, "source": {"url": str(uploads)}, **settings}
    (place / "datasets" / f"{name}.yaml").write_text(json.dumps(config))
    return uploads


@contextmanager
def dagster_dev(place: Path) -> Iterator[str]:
    """URL of `dagster dev` as `make dev` starts it, over a place."""
    port = free_port()
    places = {"DAGSTER_HOME": "home", "CV_ASSETS_STORE": "store", "CV_ASSETS_DATASETS": "datasets"}
    environment = {**os.environ, **{name: str(place / folder) for name, folder in places.items()}}
    dagster = Path(sys.executable).with_name("dagster")
    command = [str(dagster), "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)]
    with dagster_home(place, "home"):
        with (place / "dev.log").open("wb") as log:
            server = subprocess.Popen(
                command, cwd=PROJECT_ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            wait_until(lambda: is_up(f"http://127.0.0.1:{port}/server_info"), START_SECONDS, place / "dev.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGINT)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()


def find(browser: webdriver.Chrome, xpath: str) -> WebElement:
    """The first element there, as soon as it is."""
    wait = WebDriverWait(browser, 30)
    return wait.until(lambda opened: opened.find_element(By.XPATH, xpath), f"no {xpath} at {browser.current_url}")


def ask(url: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Data of a GraphQL answer: what the UI itself asks."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found = json.load(answer)
    assert "errors" not in found, found
    return found["data"]


def status_of(url: str, run_id: str) -> str:
    return ask(url, "query($r: ID!) {runOrError(runId: $r) {... on Run {status}}}", {"r": run_id})["runOrError"][
        "status"
    ]


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_until(is_true: Any, seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            pytest.fail(f"nothing after {seconds} s; the log ends with:\n{log.read_text()[-3000:]}")
        time.sleep(0.5)
