"""What happens by the clock: a new version and a look at what is stored, as a dataset asks; one look a week at the store."""

from typing import Any, Final

import dagster as dg

from cv_assets.assets.line import Line
from cv_assets.beginning import Begin, decide, to_run_request
from resources.configured import ObjectStoreResource
from resources.uploads import list_uploads
from schemas.automation import ScheduleConfig

SUNDAY_MORNING: Final = "30 5 * * 0"
LOOKS_OF_LATE: Final = 100


def build_schedules(line: Line, schedule: ScheduleConfig) -> list[dg.ScheduleDefinition]:
    """The schedules that a dataset asks for. They run from the start: who writes `schedule:` asks for them."""
    return [
        *([_refresh(line, schedule.refresh, schedule)] if schedule.refresh else []),
        *([_verify(line, schedule.verify, schedule)] if schedule.verify else []),
    ]


def build_gc_schedule() -> dg.ScheduleDefinition:
    """A weekly look at what the whole store need not keep."""
    return dg.ScheduleDefinition(
        "store_gc_dry_run",
        cron_schedule=SUNDAY_MORNING,
        execution_timezone="UTC",
        job_name="store__gc_dry_run",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Says what `cv-assets gc --delete` would free; deletes nothing.",
    )


def _refresh(line: Line, cron: str, schedule: ScheduleConfig) -> dg.ScheduleDefinition:
    name = line.config.name

    @dg.schedule(
        cron,
        name=f"{name}_refresh",
        job_name=name,
        execution_timezone=schedule.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Begins the next version of {name} if its source changed since the last one. "
        "It takes what is there at that moment; `uploads:` is what waits until uploads have settled.",
    )
    def refresh(
        context: dg.ScheduleEvaluationContext, object_store: ObjectStoreResource
    ) -> dg.RunRequest | dg.SkipReason:
        listing = list_uploads(line.config)
        found = decide(context.instance, object_store.open(), line.config, listing, least=1)
        if not isinstance(found, Begin):
            return dg.SkipReason(f"Found {listing}: {found.reason}.")
        return to_run_request(line.config, found)

    return refresh


def _verify(line: Line, cron: str, schedule: ScheduleConfig) -> dg.ScheduleDefinition:
    name = line.config.name

    @dg.schedule(
        cron,
        name=f"{name}_verify",
        job_name=f"{name}__verify",
        execution_timezone=schedule.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Reads {schedule.verify_share:.0%} of the objects of every committed version of {name} back, "
        "others each time. The run fails if any is missing or damaged.",
    )
    def verify(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        config = {"sample": schedule.verify_share, "seed": _next_seed(context.instance, verify)}
        return dg.RunRequest(run_config={"ops": {"read_back": {"config": config}}})

    return verify


def _next_seed(instance: dg.DagsterInstance, schedule: dg.ScheduleDefinition) -> int:
    """One more than the highest of late. Seeds that follow each other take neighbouring shares (domain/sampling.py).

    The last look may be an old one that somebody re-executed, which has its seed again. The clock gives none that follow each
    other, for all cron strings: the days from Sunday to Sunday move a share of one seventh once round.
    """
    tags = dg.DagsterRun.tags_for_schedule(schedule)
    looks = instance.get_runs(dg.RunsFilter(job_name=schedule.job_name, tags=tags), limit=LOOKS_OF_LATE)
    configs: list[Any] = [look.run_config for look in looks]
    return max((int(config["ops"]["read_back"]["config"]["seed"]) for config in configs), default=-1) + 1
