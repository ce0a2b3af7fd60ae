"""The bench of the fault tests, one for all of them: it takes five seconds to set up."""

from collections.abc import Iterator

import pytest

from cv_assets_tests.faults.bench import Bench, bench_in
from cv_assets_tests.faults.scenarios import is_whole


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Publishers and uploads; a sampled run verifies every fourth version, a whole one all."""
    with bench_in(tmp_path_factory.mktemp("bench"), verify_every=1 if is_whole() else 4) as made:
        yield made
