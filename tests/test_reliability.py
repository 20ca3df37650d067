"""The table of docs/reliability.md is what its command prints, and its tests are there."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reliability.md"
SCRIPT = ROOT / "benchmarks" / "reliability.py"


PYTHON = (3, 11)
"""With which the page was made: errors of Python itself, of which the SDK lets some out, differ."""


def comparable(table):
    """The table for any version of the official SDK, and without its column on other Pythons."""
    table = re.sub(r"openai \d+(\.\w+)*", "openai", table)
    if sys.version_info[:2] == PYTHON:
        return table
    return re.sub(r"[^|\n]*\|$", "", table, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shown(page):
    """The table on the page."""
    _, _, rest = page.partition("<!-- printed by benchmarks/reliability.py -->\n")
    table, _, _ = rest.partition("\n<!-- end -->")
    return table


def printed_by(script):
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, script],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_table_is_what_the_command_prints(shown):
    assert comparable(printed_by(SCRIPT)) == comparable(shown)


def test_the_table_of_responses_is_what_its_command_prints(page):
    script = ROOT / "benchmarks" / "reliability_responses.py"
    _, _, rest = page.partition(f"<!-- printed by benchmarks/{script.name} -->\n")
    assert rest.partition("\n<!-- end -->")[0] == printed_by(script)


def test_each_test_that_the_page_names_exists(page, shown):
    named = re.findall(r"`(test_\w+)`", page)
    assert len(re.findall(r"^\| ", shown, re.MULTILINE)) > 40
    defined = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert set(named) <= defined
