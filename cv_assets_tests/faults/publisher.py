"""A process that has imported everything and publishes in children that it forks: a publish then costs a second.

What the children run is the line as it is shipped: the job of the dataset with its assets, checks and IO manager, in an
ephemeral Dagster instance. Started by processes.py; `python -m cv_assets_tests.faults.publisher DESCRIPTOR`.
"""

import ctypes
import functools
import importlib
import json
import os
import resource
import signal
import socket
import sys
import traceback
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from cv_assets.assets import raw_images
from cv_assets.definitions import build_defs
from cv_assets.domain.quality import page
from cv_assets.partitions import versions_of
from cv_assets_tests.faults.planted import BUGS
from cv_assets_tests.faults.syscalls import watch_me
from resources import expectations
from resources.configured import EngineResource
from resources.examiner import GreatExpectations, Question, Reply
from resources.garbage import collect_garbage
from resources.inspecting import Inspection, Scope
from resources.object_store import open_store
from resources.versions import VersionStore
from schemas import errors
from schemas.datasets import DatasetConfig
from schemas.errors import CvAssetsError
from schemas.releases import CommitRecord

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
DATASET = "shapes"
TYPED = {name for name, kind in vars(errors).items() if isinstance(kind, type)}


def warm_up() -> None:
    """Import what is imported at first use, but start no thread: none would be there in a child."""
    for module in (
        "pandera.backends.polars.builtin_checks",
        "boto3",
        "botocore.client",
        "obstore.auth.boto3",
        "tenacity",
        "great_expectations",
        "great_expectations.render.renderer.inline_renderer",
    ):
        importlib.import_module(module)
    # four seconds of work, in a process of each child's own if it were left to resources/examining.py
    raw_images.begin_examiner, expectations.examine = (lambda: None), _examine_here
    config = DatasetConfig.model_validate({"name": DATASET, "source": {"url": "nowhere"}})
    with dg.DagsterInstance.ephemeral():
        build_defs(datasets=[config], resource_overrides={}).resolve_job_def(DATASET)
    for name in page.templates().list_templates():
        page.templates().get_template(name)
    threads = {name.read_text().strip() for name in Path("/proc/self/task").glob("*/comm")}
    assert "polars-0" not in threads, (
        "an import computed with polars, whose threads would be missing in every child: each would wait for ever"
    )


def _examine_here(questions: list[Question], table: bytes) -> dict[str, Reply]:
    return _great_expectations().answer(questions, pl.read_ipc_stream(table))


@functools.cache
def _great_expectations() -> GreatExpectations:
    return GreatExpectations()


def serve(control: socket.socket) -> None:
    """Fork a child for each order; its channel comes with the order."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1 << 16, 1)
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            control.close()
            _be_child(json.loads(message), socket.socket(fileno=descriptors[0]))
        os.close(descriptors[0])
        control.sendall(pid.to_bytes(8, "little"))


def _be_child(order: dict[str, Any], channel: socket.socket) -> None:
    """Do what the order says and end, whatever happens."""
    try:
        die_with_parent = 1
        ctypes.CDLL(None).prctl(die_with_parent, signal.SIGKILL, 0, 0, 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.update(order["environment"])
        for limit, value in order["limits"].items():
            resource.setrlimit(getattr(resource, limit), (value, value))
        if order["watch"]:
            listener = watch_me(order["watch"])
            socket.send_fds(channel, [b"w"], [listener])
            os.close(listener)
        else:
            channel.sendall(b"r")
        channel.recv(1)  # the word to begin
        if order["bug"]:
            BUGS[order["bug"]]()
        said = {"publish": publish, "commit": commit, "verify": verify, "collect": collect}[order["do"]](order)
        channel.sendall(json.dumps(said).encode())
    except BaseException:  # noqa: BLE001 - a child of a fork must not return
        channel.sendall(json.dumps({"outcome": "broken", "kind": "", "message": traceback.format_exc()}).encode())
    finally:
        os._exit(0)


def publish(order: dict[str, Any]) -> dict[str, Any]:
    """Make a version from the uploads, as `cv-assets run` does."""
    config = DatasetConfig.model_validate(
        {"name": DATASET, "source": {"url": order["uploads"]}, **order.get("settings", {})}
    )
    defs = build_defs(datasets=[config], resource_overrides={"engine": EngineResource(workers=order["workers"])})
    partitions = versions_of(config.name)
    assert partitions.name is not None
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(partitions.name, [order["version"]])
        job = defs.resolve_job_def(config.name)
        done = job.execute_in_process(
            instance=instance, partition_key=order["version"], run_config=QUIET, raise_on_error=False
        )
    if not done.success:
        return _why(done)
    record = VersionStore(open_store(order["environment"]["CV_ASSETS_STORE"]), DATASET, order["version"]).commit()
    assert record is not None
    return {"outcome": "published", "digest": record.digest}


def commit(order: dict[str, Any]) -> dict[str, Any]:
    """Only the last step: a commit record of its own making."""
    record = CommitRecord.from_bytes(order["record"].encode())
    try:
        VersionStore(open_store(order["environment"]["CV_ASSETS_STORE"]), DATASET, record.version).publish(record)
    except CvAssetsError as error:
        return {"outcome": "failed", "kind": type(error).__name__, "message": str(error)}
    return {"outcome": "published", "digest": record.digest}


def collect(order: dict[str, Any]) -> dict[str, Any]:
    """`cv-assets gc` without a grace time: what was marked by the one before is deleted."""
    try:
        found = collect_garbage(open_store(order["environment"]["CV_ASSETS_STORE"]), grace=timedelta(0))
    except CvAssetsError as error:
        return {"outcome": "failed", "kind": type(error).__name__, "message": str(error)}
    return {"outcome": "collected", "message": str(len(found.deleted))}


def verify(order: dict[str, Any]) -> dict[str, Any]:
    """`cv-assets verify --read-data`, which does its reading in a process of its own: that is this one."""
    version = VersionStore(open_store(order["environment"]["CV_ASSETS_STORE"]), DATASET, order["version"])
    record = version.commit()
    assert record is not None
    seen = Inspection(version, Scope(read_data=True), lambda _: None).run()
    if seen.problems:
        return {"outcome": "failed", "kind": "problems", "message": str(seen.problems)}
    return {"outcome": "published", "digest": record.digest}


def _why(done: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """What the first step that failed raised: the project's own error if there is one, else the first cause."""
    for event in done.all_events:
        error: Any = event.step_failure_data.error if event.is_step_failure else None
        if error is None and event.is_run_failure:
            error = event.job_failure_data.error
        while error is not None and error.cls_name not in TYPED and error.cause is not None:
            error = error.cause
        if error is not None:
            return {"outcome": "failed", "kind": error.cls_name, "message": error.message}
    return {"outcome": "failed", "kind": "", "message": "no step failed"}


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children: their channels tell of their end
    warm_up()
    serve(socket.socket(fileno=int(sys.argv[1])))
