"""``python -m benchmarks.run_log`` runs, tiny, on both sides."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = ["latency-100", "latency-1000-sse", "singly", "read", "memory-batches"]

pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").exists(), reason="a source distribution has no benchmarks"
)


def test_each_kind_of_row_has_figures_of_both_sides(redis_server):
    only = [argument for row in ROWS for argument in ("--only", row)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.run_log", "--quick", *only],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "(`" in line]
    assert len(lines) == len(ROWS)
    for line in lines:
        _, what, _, ours, theirs, *_ = (cell.strip() for cell in line.split("|"))
        assert float(ours.replace(",", "")) > 0
        if "`latency-1000-sse`" not in what:  # which has no peer
            assert float(theirs.replace(",", "")) > 0
