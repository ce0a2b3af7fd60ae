"""What tests stand on and a machine may lack: they are left out for that, unless who runs them has seen to it."""

import os
from typing import NoReturn

import pytest


def is_required(program: str) -> bool:
    """Does CV_ASSETS_TEST_REQUIRE name it, as CI does, which installs it?"""
    return program in os.environ.get("CV_ASSETS_TEST_REQUIRE", "").split(",")


def leave_out(program: str, reason: str) -> NoReturn:
    """Skip a test for want of a program, or fail it where that is required."""
    if is_required(program):
        pytest.fail(f"{reason}, and CV_ASSETS_TEST_REQUIRE asks for it")
    pytest.skip(reason)
