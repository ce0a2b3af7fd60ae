"""dead_runs: watches runs in progress, and marks those as failed whose process is gone; `run_retries` starts them again."""

import dagster as dg

from cv_assets.processes import fail_dead_runs

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
    return dg.SkipReason(
        f"Marked as failed: {', '.join(marked)}." if marked else "Every run in progress has its process."
    )
