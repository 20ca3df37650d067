"""The benchmarks run, tiny: each side delivers what the bodies hold."""

import importlib.util
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TINY = {
    "in_memory": [
        "view=text mode=async deltas=20",
        "view=views mode=sync deltas=20 shape=mixed",
        "view=text mode=async deltas=20 shape=recorded repeats=1",
        "view=responses-text mode=async deltas=20 shape=response",
        "view=responses-read mode=sync deltas=20 shape=response",
    ],
    "latency": ["events=20"],
    "many_streams": [
        "streams=3 deltas=4 server=local",
        "streams=3 deltas=4 server=local-responses",
    ],
}
SIDES = ["rxassist", "openai"]
CASES = [(module, arguments) for module, cases in TINY.items() for arguments in cases]

pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").exists(), reason="a source distribution has no benchmarks"
)


def python(*arguments):
    """What a program of the checkout prints."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("module", "arguments"), CASES)
def test_both_sides_deliver_the_same(module, arguments):
    sides = SIDES if importlib.util.find_spec("openai") else SIDES[:1]

    def measure(side):
        return json.loads(python("-m", "benchmarks.worker", module, side, *arguments.split()))

    with ThreadPoolExecutor() as pool:
        measured = list(pool.map(measure, sides))
    assert len({each.pop("delivered") for each in measured}) == 1
    numbers = [number for each in measured for number in each.values()]
    assert numbers
    if module != "latency":  # whose server, beside other tests, may note the time too late
        assert all(number > 0 for number in numbers)


def test_the_names_of_the_rows_are_shown():
    shown = python("-m", "benchmarks", "--list", "--only", "growth-*")
    assert "growth-text: " in shown
    assert "latency" not in shown
