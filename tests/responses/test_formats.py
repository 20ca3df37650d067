"""The form of an answer: a class becomes a schema, and the answer a value of the class."""

from dataclasses import dataclass
from typing import TypedDict

import pytest
from attrs import frozen
from pydantic import BaseModel

from rxassist.errors import DecodeError
from rxassist.protocols.responses.formats import with_format
from rxassist.protocols.responses.models import Response
from rxassist.wire.structure import structure


@frozen
class Weather:
    """The weather of a place."""

    place: str
    degrees: float


@dataclass
class Data:
    place: str
    degrees: float


class Typed(TypedDict):
    place: str
    degrees: float


class Validated(BaseModel):
    place: str
    degrees: float


@frozen
class Tree:
    name: str
    children: list["Tree"]


def answered(text):
    item = {"type": "message", "content": [{"type": "output_text", "text": text}]}
    return structure(
        {"id": "resp_1", "status": "completed", "output": [item]}, Response, "response"
    )


@pytest.mark.parametrize("kind", [Weather, Data, Typed, Validated])
def test_a_class_is_sent_as_its_schema_and_the_answer_is_a_value_of_it(kind):
    form = with_format(None, kind)["format"]
    assert (form["type"], form["name"], form["strict"]) == ("json_schema", kind.__name__, True)
    schema = form["schema"]
    assert schema["properties"]["degrees"]["type"] == "number"
    assert schema["required"] == ["place", "degrees"]
    assert schema["additionalProperties"] is False
    value = answered('{"place": "Oslo", "degrees": 3.5}').parse(kind)
    degrees = value["degrees"] if kind is Typed else value.degrees
    assert degrees == 3.5


def test_a_class_that_contains_itself_is_an_object_at_the_root():
    schema = with_format(None, Tree)["format"]["schema"]
    assert schema["type"] == "object"
    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}
    assert schema["$defs"]["Tree"]["type"] == "object"
    value = answered('{"name": "a", "children": [{"name": "b", "children": []}]}').parse(Tree)
    assert value == Tree("a", [Tree("b", [])])


def test_what_else_is_said_of_text_stays():
    assert with_format({"verbosity": "low"}, Weather)["verbosity"] == "low"


@pytest.mark.parametrize("kind", [int, list[int], dict[str, int], "Weather"])
def test_what_is_no_object_is_refused(kind):
    with pytest.raises(TypeError, match="text_format"):
        with_format(None, kind)


def test_two_formats_are_refused():
    with pytest.raises(ValueError, match="not both"):
        with_format({"format": {"type": "json_object"}}, Weather)
    with pytest.raises(TypeError, match="text must be a mapping, got 'json'"):
        with_format("json", Weather)


@pytest.mark.parametrize("text", ["", '{"place": "Os', '{"place": "Oslo"}', '{"place": 1}'])
def test_an_answer_that_does_not_fit_is_an_error(text):
    with pytest.raises(DecodeError, match="the answer"):
        answered(text).parse(Weather)
