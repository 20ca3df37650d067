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
    "idle_memory": ["streams=3"],
    "polls": ["polls=3 fetches=2 how=both"],
    "many_streams": [
        "streams=3 deltas=4 server=local",
        "streams=3 deltas=4 server=local-responses how=both",
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
    # The server of latency, beside other tests, may note the time too late, three streams may fit
    # into memory that was there, and little work needs no collection.
    if module not in {"latency", "idle_memory", "polls", "many_streams"}:
        assert all(number > 0 for number in numbers)


EVERY_ROW = """
import json, sys
from importlib import import_module
from benchmarks.table import BENCHMARKS

tiny = {"in_memory": {"repeats": 1}, "growth": {"repeats": 1}, "short_runs": {"runs": 2}}
measured = {}
for benchmark in BENCHMARKS:
    for subject in (benchmark.ours, benchmark.peer):
        if benchmark.module not in tiny or not subject.side.startswith(sys.argv[1]):
            continue
        arguments = {**subject.arguments, **tiny[benchmark.module]}
        if "deltas" in arguments:
            arguments["deltas"] = 20
        key = benchmark.module, subject.side, *sorted(arguments.items())
        if key not in measured:
            measure = import_module(f"benchmarks.{benchmark.module}").measure
            measured[key] = measure(subject.side, **arguments)["delivered"]
        print(json.dumps([benchmark.name, measured[key]]))
"""


def test_every_row_in_memory_delivers_what_its_body_holds():
    sides = SIDES if importlib.util.find_spec("openai") else SIDES[:1]
    with ThreadPoolExecutor() as pool:
        printed = list(pool.map(lambda side: python("-c", EVERY_ROW, side), sides))
    ours, *others = [dict(map(json.loads, lines.splitlines())) for lines in printed]
    assert len(ours) > 80
    for theirs in others:
        assert len(theirs) > 60
        both = ours.keys() & theirs.keys()
        assert {name: theirs[name] for name in both} == {name: ours[name] for name in both}


UNCALLED = """
import sys
from benchmarks import handlers, in_memory

for heard in (handlers._Value, handlers._AwaitedValue, handlers._Text, handlers._AwaitedText):
    del heard.on_text_delta
shapes = {"text": ""} if sys.argv[1] == "openai" else {"text": "", "response": "responses-"}
for shape, prefix in shapes.items():
    for view in ("handler", "handler-all"):
        for mode in ("sync", "async"):
            try:
                in_memory.measure(
                    sys.argv[1], view=prefix + view, mode=mode, deltas=20, shape=shape
                )
            except ValueError as error:
                print(error)
"""


@pytest.mark.parametrize(("side", "rows"), [("rxassist", 8), ("openai", 4)])
def test_a_row_of_a_handler_fails_if_its_callback_is_not_called(side, rows):
    if side == "openai":
        pytest.importorskip("openai")
    failures = python("-c", UNCALLED, side).splitlines()
    assert len(failures) == rows
    assert all(failure.startswith("tail: expected '") for failure in failures)


def test_the_names_of_the_rows_are_shown():
    shown = python("-m", "benchmarks", "--list", "--only", "growth-*")
    assert "growth-text: " in shown
    assert "latency" not in shown


CLAIMS = """
from fnmatch import filter
from benchmarks import summary
from benchmarks.table import BENCHMARKS

results, page = (path.read_text("utf-8") for path in (summary.RESULTS, summary.PAGE))
names = [each.name for each in BENCHMARKS]
if page != summary.summarized(page, results):
    print("its tables are older than the results: python -m benchmarks.summary")
print("not shown:", *(name for name in names if f"`{name}`" not in page))
print("no such row:", *(name for name in summary.named(page) if not filter(names, name)))
"""


def test_the_page_shows_the_results_of_every_row_and_names_no_other():
    assert python("-c", CLAIMS) == "not shown:\nno such row:\n"
