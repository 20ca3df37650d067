"""The fuzzer's targets, for the tests."""

import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("fuzz.py")


@pytest.fixture(scope="session")
def fuzzer():
    """The path of the fuzzer's script, which can be run."""
    return SCRIPT


@pytest.fixture(scope="session")
def survive():
    """Decode a body in chunks of a size, fold and read its events: only our errors are caught."""
    return runpy.run_path(str(SCRIPT))["survive"]


@pytest.fixture(scope="session")
def read():
    """Send events through the operators of some names."""
    return runpy.run_path(str(SCRIPT))["read"]
