"""Lines: whole, whatever the cuts."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxassist.operators import lines


def test_a_line_comes_when_it_is_whole(flows):
    flows(
        lines(),
        "-a-b-c---|",
        "---L-(MN)(e|)",
        L="One",
        M="Two",
        N="",
        e="x",
        a="O",
        b="ne\nTw",
        c="o\n\nx",
    )


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["a\r", "\nb"], ["a", "b"]),
        (["a\r", "b"], ["a", "b"]),
        (["a\r\n"], ["a"]),
        (["a\r"], ["a"]),
        (["\r", "\r", "\n"], ["", ""]),
        (["a\u2028b\x85c\x0bd"], ["a\u2028b\x85c\x0bd"]),
        (["", ""], []),
    ],
)
def test_line_ends(emitted, pieces, expected):
    assert emitted(lines(), *pieces) == expected


@given(st.lists(st.text("ab\r\n", max_size=6), max_size=10))
def test_the_cuts_make_no_difference(emitted, pieces):
    text = "".join(pieces)
    expected = re.split(r"\r\n|\r|\n", text)
    if expected[-1] == "":
        expected.pop()
    assert emitted(lines(), *pieces) == expected


def test_a_long_line_costs_its_length(emitted):
    assert emitted(lines(), *["x"] * 20_000, "\n") == ["x" * 20_000]
