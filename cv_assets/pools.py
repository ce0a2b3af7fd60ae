"""How a run waits for its turn in a pool: asleep, and until somebody ends it.

Dagster's in-process executor means to sleep until it asks for a place again; the time that it reckons is never above zero, so
it asks without a pause, at the cost of a core, and the signal that would end the run is only looked at between steps.
"""

import time
from collections.abc import Callable

from dagster._core.errors import raise_execution_interrupts
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

LONGEST_NAP_SECONDS = 1.0


def wait_asleep(tell: Callable[[str], None] | None = None) -> None:
    """From now on runs of this process wait so (docs/adr/0028); `tell` is told once for what a run waits, step by step."""
    told: set[str] = set()

    def seconds_to_next_look(self: InstanceConcurrencyContext) -> float:
        with raise_execution_interrupts():  # for a signal that came since the last look
            pass
        for step in self.pending_claim_steps():
            if tell is not None and step not in told:
                tell(f"{step} waits: another run is where one may be at a time (see the UI, Deployment → Concurrency)")
            told.add(step)
        looks = self._pending_timeouts.values()
        return min(LONGEST_NAP_SECONDS, max(0.0, min(looks, default=0.0) - time.time()))

    InstanceConcurrencyContext.interval_to_next_pending_claim_check = seconds_to_next_look
