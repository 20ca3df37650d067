"""What the documents claim to list whole, they list whole."""

import os
import re
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from rxassist import errors, operators
from rxassist.responses import operators as of_responses

ROOT = Path(__file__).parent.parent


def first_cells(page):
    """The names in the first column of the tables of a page."""
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([A-Za-z_]+)", row)}


def test_every_error_is_in_the_table_and_nothing_else():
    classes = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    assert first_cells("docs/errors.md") == classes


def test_every_operator_is_in_the_table_of_the_readme():
    assert set(operators.__all__) <= first_cells("README.md")


def test_the_table_of_the_readme_says_which_operators_work_over_both_protocols():
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \| .* \| (.*?) \|$", page, re.MULTILINE)
    over = {name: where for cell, where in rows for name in re.findall(r"`(\w+)\(", cell)}
    alone = {name for name, where in over.items() if where == "Assistants"}
    assert over.keys() == set(operators.__all__)
    assert alone == set(operators.__all__) - set(of_responses.__all__)


APPLICATIONS = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "web.md").read_text(encoding="utf-8"), re.DOTALL
)


@pytest.mark.parametrize("number", range(len(APPLICATIONS)))
def test_an_application_that_a_server_imports_has_a_client_that_is_open(number, tmp_path):
    path = tmp_path / "app.py"
    path.write_text(APPLICATIONS[number], encoding="utf-8")
    code = (
        f"import runpy; print(runpy.run_path({str(path)!r}, run_name='app')['client'].is_closed())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "RXASSIST_BASE_URL": "http://127.0.0.1:1/v1"},
    )
    assert done.stdout == "False\n"


def test_the_methods_of_the_official_sdk_are_all_in_the_table():
    page = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
    if f"| openai {openai.__version__} |" not in page:
        pytest.skip("the table is of another version")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", ROOT / "benchmarks" / "methods.py"],
        check=True,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    printed = page.partition("<!-- printed by benchmarks/methods.py -->")[2]
    assert printed.partition("<!-- end -->")[0].split() == done.stdout.split()
