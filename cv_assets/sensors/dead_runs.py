"""dead_runs: watches runs in progress, and marks those as failed whose process is gone; `run_retries` starts them again."""

import dagster as dg

from cv_assets.beginning import PARTITION_TAG
from cv_assets.processes import PROCESS_TAG, fail_dead_runs

EVERY_SECONDS = 30


@dg.sensor(
    minimum_interval_seconds=EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs as failed whose process was killed, so that nothing waits for them. "
    "Runs that Dagster launched are then started again where they stopped (run_retries in dagster.yaml).",
)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Requests nothing; what it did is its skip reason."""
    marked = fail_dead_runs(context.instance, launched=True)
    runs = [run for run_id in marked if (run := context.instance.get_run_by_id(run_id)) is not None]
    return dg.SkipReason("\n".join(map(_tell, runs)) or "Found no run whose process is gone.")


def _tell(run: dg.DagsterRun) -> str:
    """What was found, what was done about it, and what is to do."""
    version = run.tags.get(PARTITION_TAG)
    what = run.job_name if version is None else f"{run.job_name}, version {version}"
    if PROCESS_TAG in run.tags and run.remote_job_origin is None:  # of the command line
        cure = f"Run `cv-assets run {run.job_name} --version {version}`"
    elif run.is_complete_and_waiting_to_retry:
        cure = "Nothing is to do: Dagster starts it again"
    else:
        cure = "Re-execute it in the UI"
    return (
        f"Found run {run.run_id} ({what}) in progress and its process gone: killed, or lost with its machine. "
        f"Marked it as failed. {cure}; what is finished is not made again."
    )
