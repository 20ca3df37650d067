"""What the documents claim to list whole, they list whole."""

import re
from pathlib import Path

from rxassist import errors, operators

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
