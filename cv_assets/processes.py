"""Finds runs whose process is gone (killed, or lost with its machine) and marks them as failed.

Dagster's own monitoring cannot ask its default launcher whether a run is alive: such a run would stay STARTED, hold its
place in the queue and its pools, and keep its version waiting.
"""

import os
import socket
from pathlib import Path
from typing import Final

import dagster as dg

# host, process id and start of the process that executes a run of the command line
PROCESS_TAG: Final = "cv_assets/process"
# Dagster's own tag; its daemon can mark a run of the command line as failed (max_runtime_seconds in dagster.yaml), and not end it
NO_LONGEST_TIME: Final = {"dagster/max_runtime": "0"}
# the first, too: a run of the command line is recorded before it starts, and may be ended in between
ALIVE: Final = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def process_tags() -> dict[str, str]:
    """Tags of a run that this process is about to execute itself."""
    return {PROCESS_TAG: f"{socket.gethostname()} {os.getpid()} {_started(os.getpid())}", **NO_LONGEST_TIME}


def fail_dead_runs(instance: dg.DagsterInstance, *, launched: bool) -> list[str]:
    """Mark runs whose process is gone as failed, free what they hold, and return their ids.

    Looks at runs that the command line executed on this machine, and, with `launched`, at those of Dagster's default
    launcher: they are children of the code server, so only who runs beside it can tell of them.
    """
    marked: list[str] = []
    for run in instance.get_runs(dg.RunsFilter(statuses=ALIVE)):
        pid = _find_dead_process(instance, run, launched=launched)
        if pid is not None and _is_in_progress(instance, run):
            said = (
                f"The process of this run (pid {pid}) is gone: it was killed, or its machine was restarted. "
                "Run the same again, unless Dagster does; what is finished is not made again."
            )
            instance.report_run_failed(run, said)
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            marked.append(run.run_id)
    return marked


def free_ended_runs(instance: dg.DagsterInstance) -> None:
    """Free the places in pools of runs that came to an end without doing so: whoever marked them was killed, or nobody looked.

    The daemon does so half a minute after; where none lives, the next run would wait for ever.
    """
    for run_id in instance.event_log_storage.get_concurrency_run_ids():
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def _is_in_progress(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Is it so still? A run that ended since it was listed ended its process too, and keeps the end that it came to."""
    found = instance.get_run_by_id(run.run_id)
    return found is not None and found.status in ALIVE


def _find_dead_process(instance: dg.DagsterInstance, run: dg.DagsterRun, *, launched: bool) -> int | None:
    """The process that executed a run, if it is gone; None while it lives, and where that cannot be known."""
    # a run that is launched to execute another one again gets its tags, and has a process of its own
    if PROCESS_TAG in run.tags and run.remote_job_origin is None:
        host, pid, started = run.tags[PROCESS_TAG].rsplit(" ", 2)
        return int(pid) if host == socket.gethostname() and not _is_running(int(pid), started) else None
    if launched and isinstance(instance.run_launcher, dg.DefaultRunLauncher):
        said = _process_said(instance, run)
        return said if said is not None and not _is_running(said, None) else None
    return None


def _process_said(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int | None:
    """The process that a run's events name first; none if it has not got so far."""
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        metadata = event.engine_event_data.metadata if event is not None else {}
        pid = str(metadata["pid"].value) if "pid" in metadata else ""
        if pid.isdecimal():
            return int(pid)
    return None


def _is_running(pid: int, started: str | None) -> bool:
    """Is there such a process, and is it the one that started then? A number is given out again."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # there, and of somebody else
        pass
    return _started(pid) != "ended" and not _is_thread(pid) and (started is None or _started(pid) == started)


def _is_thread(pid: int) -> bool:
    """Is this the number of a thread of some process? In a container that started again they are soon given to those."""
    try:
        return f"\nTgid:\t{pid}\n" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _started(pid: int) -> str:
    """When a process started, in clock ticks since the machine did, which no change of the clock moves; "" if not known."""
    try:
        # the name, in parentheses, may hold anything; the state is the first field after it, the start the 20th
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "ended" if fields[0] == "Z" else fields[19]
