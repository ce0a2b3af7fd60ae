"""`make faults`: every fault at every point, and the table of what was tried and what survived. Takes two hours or more.

`python -m cv_assets_tests.faults NAME…` runs only the scenarios whose name holds one of the words given.
"""

import sys
import tempfile
import time
from pathlib import Path

from cv_assets_tests.faults.bench import SEED, bench_in
from cv_assets_tests.faults.scenarios import SCENARIOS, why_skip
from cv_assets_tests.servers.s3 import fresh_bucket, serve
from resources.progress import bars_on


def main(words: list[str]) -> int:
    """Run, print, and tell by the exit code whether all survived."""
    chosen = [one for one in SCENARIOS if not words or any(word in one.name for word in words)]
    if not chosen:
        print(f"expected words of {', '.join(one.name for one in SCENARIOS)}; found {words}", file=sys.stderr)
        return 2
    print(f"S3: {serve().kind}; seed {SEED}\n", flush=True)
    print(f"{'fault':<72}{'tried':>7}{'survived':>10}{'at most':>9}{'polls':>9}{'seconds':>9}", flush=True)
    failures: list[str] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        bench_in(Path(folder)) as bench,
        fresh_bucket(serve()) as bucket,
        bars_on(sys.stderr.fileno()),
    ):
        for scenario in chosen:
            if reason := why_skip(scenario):
                print(f"{scenario.name:<72} left out: {reason}", flush=True)
                continue
            begin = time.monotonic()
            tally = scenario.try_on(bench, bucket, True)
            took = time.monotonic() - begin
            # of n tries without a failure, at most 3/n fail, with 95 % confidence
            bound = f"{min(100.0, 300 / tally.tried):.1f} %"
            print(
                f"{tally.name:<72}{tally.tried:>7}{tally.survived:>10}{bound:>9}{tally.polls:>9}{took:>9.0f}",
                flush=True,
            )
            failures += [f"{tally.name}, {failure}" for failure in tally.failures]
    print("\n".join(["", *failures]) if failures else "\nall survived")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
