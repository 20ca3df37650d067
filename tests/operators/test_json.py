"""JSON as it grows."""

import json
import sys
from dataclasses import dataclass
from datetime import date

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from rxassist.errors import DecodeError
from rxassist.operators import json_snapshots


@frozen
class Recipe:
    name: str
    steps: tuple[str, ...] = ()


@dataclass
class Point:
    x: int
    y: float


def test_partial_values_and_the_last_one_typed(emitted):
    pieces = '{"name', '": "So', 'up", "steps": ["Boil', '"]', "}"
    assert emitted(json_snapshots(Recipe), *pieces) == [
        {},
        {"name": "So"},
        {"name": "Soup", "steps": ["Boil"]},
        Recipe("Soup", ("Boil",)),
    ]


def test_what_changes_nothing_is_not_emitted(flows):
    flows(
        json_snapshots(),
        "-a-b-c-d-|",
        "-A---B---|",
        a="[",
        b=" ",
        c="1",
        d="]",
        A=[],
        B=[1],
    )


def test_the_typed_value_comes_last_even_if_it_equals_the_partial_one(emitted):
    assert emitted(json_snapshots(list[int]), "[1", "]") == [[1], [1]]
    assert emitted(json_snapshots(Point), '{"x":1,"y":2}')[-1] == Point(1, 2.0)
    day = emitted(json_snapshots(date | None), '"2026-01-', '31"')[-1]
    assert day == date(2026, 1, 31)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("null", [None]),
        ("true", [True]),
        ('"é\\n😀"', ["", "é", "é\n", "é\n😀"]),
        ("12", [1, 12]),
        ('{"a":{"b":[1,{"c":"d', None),
    ],
)
def test_one_character_at_a_time(emitted, text, values):
    if values is None:
        with pytest.raises(DecodeError):
            emitted(json_snapshots(), *text)
    else:
        assert emitted(json_snapshots(), *text) == values


def test_an_escaped_pair_is_never_half(emitted):
    assert emitted(json_snapshots(), *'"\\ud83d\\ude00!"') == ["", "😀", "😀!"]


def test_a_number_never_vanishes(emitted):
    assert emitted(json_snapshots(), '{"price": 1', ".", "5}") == [{"price": 1}, {"price": 1.5}]
    assert emitted(json_snapshots(), *"[12.5e-1]") == [[], [1], [12], [12.5], [1.25]]
    assert emitted(json_snapshots(), '{"a": 1, "b": 2.', "5}") == [
        {"a": 1, "b": 2},
        {"a": 1, "b": 2.5},
    ]
    assert emitted(json_snapshots(), '["v1.', '2e"]') == [["v1."], ["v1.2e"]]


def test_no_text_is_no_value(emitted):
    assert emitted(json_snapshots(Recipe)) == []
    assert emitted(json_snapshots(Recipe), "", "") == []


def test_what_is_no_json_fails_at_once(flows):
    error = flows(json_snapshots(), "-a-b-|", "-#", "^!", a="Sure! ", b="{")
    assert isinstance(error, DecodeError)
    assert "json_snapshots" in str(error)
    assert "Sure!" in str(error)


def test_a_text_that_stops_in_the_middle_fails_at_the_end(flows):
    error = flows(json_snapshots(), "-a-|", "-A-#", a='{"n": 1', A={"n": 1})
    assert isinstance(error, DecodeError)


def test_what_does_not_fit_the_type_says_where(flows):
    text = '{"name": 1}'
    error = flows(json_snapshots(Recipe), "-a-|", "-A-#", a=text, A={"name": 1})
    assert isinstance(error, DecodeError)
    assert str(error) == "json_snapshots: at $.name expected text, got 1"


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jiter", None)
    with pytest.raises(ModuleNotFoundError, match="pip install jiter"):
        json_snapshots()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("[1.0]", [[], [1], [1.0]]),
        ('{"a": -0.0}', [{}, {"a": 0}, {"a": -0.0}]),
        ("[NaN]", [[], [float("nan")]]),
        ("NaN", [float("nan")]),
        ("[-Infinity]", [[], [-float("inf")]]),
        ('{"a": "\\ud83d"}', [{}, {"a": ""}, {"a": "\ufffd"}, {"a": "\ud83d"}]),
        ('["\\ude00!"]', [[], [""], ["\ufffd"], ["\ufffd!"], ["\ude00!"]]),
        ('{"\\ud83d":1}', [{}, {"\ufffd": 1}, {"\ud83d": 1}]),
        ('["\\\\ud83d"]', None),
        ("[12345678901234567890.0]", None),
        ("[1e400]", None),
        ('["\\ud83d1."]', None),
    ],
)
def test_the_last_value_is_that_of_the_whole_text_to_the_types_of_its_numbers(
    emitted, text, values
):
    for pieces in ([text], text):
        assert repr(emitted(json_snapshots(), *pieces)[-1]) == repr(json.loads(text))
    if values is not None:
        assert repr(emitted(json_snapshots(), *text)) == repr(values)


def test_half_a_pair_that_is_no_escape_is_taken_too(emitted):
    assert emitted(json_snapshots(), '["a\ud83d', '"]')[-1] == ["a\ud83d"]


def test_a_number_in_a_text_with_half_a_pair_is_whole(emitted):
    assert emitted(json_snapshots(), '["\\ud83d 1.', '"]') == [
        ["\ufffd 1."],
        ["\ud83d 1."],
    ]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.text("\ud83d\ude00a\\", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES, st.integers(1, 7))
def test_the_last_one_is_the_whole_value_whatever_the_cuts(emitted, value, size):
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        last = emitted(json_snapshots(), *pieces)[-1]
        assert repr(last) == repr(json.loads(text))
