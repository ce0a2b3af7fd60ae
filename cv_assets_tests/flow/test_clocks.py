"""A machine whose clock is an hour off, against a server that looks at it: said in words, soon, and nothing is written."""

import os
import shutil
import subprocess
import time

import pytest

from cv_assets_tests.conftest import Place, write_files
from cv_assets_tests.domain.images import encode, picture
from cv_assets_tests.flow.test_s3 import COMMAND
from cv_assets_tests.resources.places import write_dataset
from cv_assets_tests.servers.lacking import leave_out
from cv_assets_tests.servers.s3 import Bucket
from resources.settings import PROJECT_ROOT

FAKETIME = shutil.which("faketime")
# what waits by the monotonic clock would wait an hour too little or too long, which no clock that is set wrong does
OFF = [FAKETIME, "--exclude-monotonic", "-f"]


@pytest.mark.parametrize("offset", ["+1h", "-1h"])
@pytest.mark.parametrize("arguments", [["run", "shapes"], ["gc"]], ids=lambda arguments: arguments[0])
def test_a_clock_that_is_an_hour_off_is_said_with_exit_code_1_and_writes_nothing(
    place: Place, bucket: Bucket, offset: str, arguments: list[str]
):
    if FAKETIME is None:
        leave_out("faketime", "faketime is not installed, which sets a process's clock (Debian: faketime)")
    if bucket.endpoint.is_mock:
        pytest.skip("moto does not look at the time of a request")
    write_files(place.uploads, [("ant/a.png", encode(picture(), "PNG"))])
    (place.folder / "datasets").mkdir()
    write_dataset(place, "shapes")
    environment = {**os.environ, **bucket.endpoint.environment, "CV_ASSETS_STORE": f"{bucket.url}/store"}
    environment["CV_ASSETS_DATASETS"] = str(place.folder / "datasets")
    begin = time.monotonic()
    done = subprocess.run(
        [*OFF, offset, *COMMAND, *arguments],
        env=environment, capture_output=True, text=True, cwd=PROJECT_ROOT, timeout=100, check=False,
    )  # fmt: skip
    assert time.monotonic() - begin < 60  # not tried again until the deadline of 120 s: it would never pass
    assert done.returncode == 1, done.stderr
    assert "RequestTimeTooSkewed" in done.stderr
    assert "this machine's clock differs too much from the store's: set the clock" in done.stderr
    assert bucket.keys() == []
