"""Functions as tools: their schemas, and calls with what a model wrote."""

import dataclasses
import sqlite3
import sys
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from functools import partial
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Required,
    TypedDict,
    Union,
)
from uuid import UUID

import attrs
import pydantic
import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st

from rxassist import Tool, Toolbox, tool
from rxassist.errors import DecodeError
from rxassist.models import FunctionDefinition, FunctionTool
from rxassist.operators import json_snapshots
from rxassist.runs.tools.values import fit_value, to_plain, to_text
from rxassist.wire.json import from_json


class Unit(Enum):
    C = "celsius"
    F = "fahrenheit"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Color(StrEnum):
    RED = "red"


@dataclasses.dataclass
class Place:
    """Where it is.

    Attributes:
        name: What people call it.
    """

    name: str
    height: Annotated[float, "in metres"] = 0.0
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Plain:
    number: int


@attrs.frozen
class Trip:
    places: tuple[Place, ...]
    begins: date | None = None


@attrs.frozen
class Node:
    value: int
    below: "list[Node]" = attrs.field(factory=list)


@attrs.frozen
class Even:
    number: int = attrs.field()

    @number.validator
    def _check(self, _, value):
        if value % 2:
            msg = f"{value} is odd"
            raise ValueError(msg)


Id = NewType("Id", str)


def taking(kind, default=None, **options):
    """A tool that gives back its only argument."""

    def give(x):
        return x

    give.__annotations__["x"] = kind
    if default is not None:
        give.__defaults__ = default
    return Tool(give, **options)


def schema_of(kind, **options):
    return taking(kind, **options).parameters["properties"]["x"]


PLACE = {
    "description": "Where it is.",
    "type": "object",
    "properties": {
        "name": {"description": "What people call it.", "type": "string"},
        "height": {"description": "in metres", "default": 0.0, "type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name"],
    "additionalProperties": False,
}
TEXT, NUMBER, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}

KINDS = {
    "str": (str, TEXT, '"a"', "a"),
    "int": (int, NUMBER, "3", 3),
    "a whole float": (int, NUMBER, "3.0", 3),
    "float": (float, {"type": "number"}, "3", 3.0),
    "bool": (bool, {"type": "boolean"}, "true", True),
    "None": (None, NULL, "null", None),
    "Any": (Any, {}, '{"a": [1]}', {"a": [1]}),
    "Literal": (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}, '"b"', "b"),
    "mixed": (Literal["a", 1], {"type": ["string", "integer"], "enum": ["a", 1]}, "1", 1),
    "Enum": (Unit, {"type": "string", "enum": ["celsius", "fahrenheit"]}, '"celsius"', Unit.C),
    "IntEnum": (Level, {"type": "integer", "enum": [1, 2]}, "2", Level.HIGH),
    "StrEnum": (Color, {"type": "string", "enum": ["red"]}, '"red"', Color.RED),
    "NewType": (Id, TEXT, '"a"', "a"),
    "Optional": (Optional[int], {"anyOf": [NUMBER, NULL]}, "null", None),  # noqa: UP045 -- both
    "Union": (Union[int, str], {"anyOf": [NUMBER, TEXT]}, '"3"', "3"),  # noqa: UP007 -- both
    "list": (list[int], {"type": "array", "items": NUMBER}, "[1]", [1]),
    "bare list": (list, {"type": "array", "items": {}}, "[1]", [1]),
    "Sequence": (Sequence[int], {"type": "array", "items": NUMBER}, "[1]", [1]),
    "set": (set[int], {"type": "array", "items": NUMBER, "uniqueItems": True}, "[1, 1]", {1}),
    "tuple": (tuple[int, ...], {"type": "array", "items": NUMBER}, "[1, 2]", (1, 2)),
    "pair": (
        tuple[int, str],
        {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "prefixItems": [NUMBER, TEXT],
            "items": False,
        },
        '[1, "a"]',
        (1, "a"),
    ),
    "point": (
        tuple[int, int],
        {"type": "array", "minItems": 2, "maxItems": 2, "items": NUMBER},
        "[1, 2]",
        (1, 2),
    ),
    "dict": (
        dict[str, int],
        {"type": "object", "additionalProperties": NUMBER},
        '{"a": 1}',
        {"a": 1},
    ),
    "keys": (
        Mapping[int, str],
        {"type": "object", "additionalProperties": TEXT},
        '{"1": "a"}',
        {1: "a"},
    ),
    "datetime": (
        datetime,
        {"type": "string", "format": "date-time"},
        '"2026-01-31T12:00:00Z"',
        datetime(2026, 1, 31, 12, tzinfo=UTC),
    ),
    "date": (date, {"type": "string", "format": "date"}, '"2026-01-31"', date(2026, 1, 31)),
    "either": (
        datetime | date,
        {"anyOf": [{"type": "string", "format": f} for f in ("date-time", "date")]},
        '"2026-01-31"',
        date(2026, 1, 31),
    ),
    "time": (time, {"type": "string", "format": "time"}, '"12:00:00"', time(12)),
    "timedelta": (
        timedelta,
        {"type": "string", "format": "duration"},
        '"PT5M"',
        timedelta(minutes=5),
    ),
    "UUID": (UUID, {"type": "string", "format": "uuid"}, f'"{UUID(int=1)}"', UUID(int=1)),
    "Decimal": (Decimal, {"type": "string", "format": "decimal"}, "1.5", Decimal("1.5")),
    "dataclass": (Place, PLACE, '{"name": "a", "tags": ["b"]}', Place("a", tags=["b"])),
    "attrs class": (
        Trip,
        {
            "type": "object",
            "properties": {
                "places": {"type": "array", "items": PLACE},
                "begins": {
                    "default": None,
                    "anyOf": [{"type": "string", "format": "date"}, NULL],
                },
            },
            "required": ["places"],
            "additionalProperties": False,
        },
        '{"places": [{"name": "a", "height": null}], "begins": "2026-01-31"}',
        Trip((Place("a"),), date(2026, 1, 31)),
    ),
    "a union of classes": (
        list[Place | Plain],
        {
            "type": "array",
            "items": {
                "anyOf": [
                    PLACE,
                    {
                        "type": "object",
                        "properties": {"number": NUMBER},
                        "required": ["number"],
                        "additionalProperties": False,
                    },
                ]
            },
        },
        '[{"number": 1}, {"name": "a"}]',
        [Plain(1), Place("a")],
    ),
    "recursive": (
        Node,
        {"$ref": "#/$defs/Node"},
        '{"value": 1, "below": [{"value": 2}]}',
        Node(1, [Node(2)]),
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_type_its_schema_and_what_fits(name):
    kind, schema, written, value = KINDS[name]
    made = taking(kind)
    assert made.parameters["properties"] == {"x": schema}
    fitted = made.bind(f'{{"x": {written}}}')()
    assert fitted == value
    assert type(fitted) is type(value)


def test_a_class_that_holds_itself_is_defined_once():
    assert taking(Node | None).parameters["$defs"] == {
        "Node": {
            "type": "object",
            "properties": {
                "value": NUMBER,
                "below": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
            "required": ["value"],
            "additionalProperties": False,
        }
    }
    assert schema_of(Annotated[Node, "the top"]) == {
        "description": "the top",
        "anyOf": [{"$ref": "#/$defs/Node"}],
    }


# --- what does not fit ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "written", "said"),
    [
        (str, "5", "at $.x expected text, got 5"),
        (int, '"5"', "at $.x expected a whole number, got '5'"),
        (int, "true", "at $.x expected a whole number, got True"),
        (int, "1.5", "at $.x expected a whole number, got 1.5"),
        (bool, "1", "at $.x expected true or false, got 1"),
        (float, "null", "at $.x expected a number, got None"),
        (int | str, "[]", "at $.x expected a whole number or text, got []"),
        (Unit, '"kelvin"', "at $.x expected 'celsius' or 'fahrenheit', got 'kelvin'"),
        (Level, "true", "at $.x expected 1 or 2, got True"),
        (date, '"soon"', "at $.x expected a date such as 2026-01-31, got 'soon'"),
        (datetime, '"2026-01-31"', "at $.x expected a date and time such as"),
        (list[int], '"ab"', "at $.x expected a list, got 'ab'"),
        (list[int], '[1, "a"]', "at $.x[1] expected a whole number, got 'a'"),
        (tuple[int, str], "[1]", "at $.x expected a list of 2, got [1]"),
        (dict[str, int], "[]", "at $.x expected an object, got []"),
        (dict[str, int], '{"a": "b"}', "at $.x.a expected a whole number, got 'b'"),
        (dict[int, int], '{"a": 1}', "at $.x expected keys that are a whole number, got 'a'"),
        (Trip, '{"places": [{}]}', "at $.x.places[0] expected a field 'name', got {}"),
        (Trip | None, '{"places": [{}]}', "at $.x.places[0] expected a field 'name', got {}"),
        (Plain, '{"number": 1, "b": 2}', "at $.x expected no 'b'; it takes number, got"),
        (Plain, "5", "at $.x expected an object (Plain), got 5"),
        (Even, '{"number": 1}', "at $.x expected another Even (1 is odd), got {'number': 1}"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(kind, written, said):
    with pytest.raises(DecodeError) as raised:
        taking(kind).bind(f'{{"x": {written}}}')
    assert str(raised.value).startswith(f"give: {said}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("[]", "expected an object, got []"),
        ("", "expected a field 'x', got {}"),
        ("{", "expected JSON"),
        ('{"x": 1, "y": 2}', "expected no 'y'; it takes x"),
    ],
)
def test_arguments_that_are_none(arguments, said):
    with pytest.raises(DecodeError, match="give: at ") as raised:
        taking(int).bind(arguments)
    assert said in str(raised.value)


def test_null_stands_for_a_default_where_the_type_takes_none():
    assert taking(int, (7,)).bind('{"x": null}')() == 7
    assert taking(int | None, (7,)).bind('{"x": null}')() is None


def test_every_kind_of_parameter_gets_its_argument():
    def all_kinds(a: int, /, b: int, c: int = 3, *, d: int = 4) -> tuple[int, ...]:
        return a, b, c, d

    assert Tool(all_kinds).bind('{"b": 2, "a": 1, "d": 5}')() == (1, 2, 3, 5)


# --- descriptions --------------------------------------------------------------------------


def dense(city: Annotated[str, "The annotated one."], days: int = 1) -> None:
    """Tell the weather,
    in short.
    Args:
        city: The documented one.
        days: How many.
    """


def only_arguments(city: str) -> None:
    """Args:
    city: Which.
    """


def test_a_summary_ends_before_the_arguments():
    made = Tool(dense)
    assert made.description == "Tell the weather, in short."
    assert made.parameters["properties"]["days"]["description"] == "How many."
    assert Tool(only_arguments).description is None


def test_what_is_annotated_wins_over_the_docstring():
    assert Tool(dense).parameters["properties"]["city"]["description"] == "The annotated one."


def google(city: str, days: int = 1) -> None:
    """Tell the weather,
    as it will be.

    It is never wrong.

    Args:
        city: The city, and
            its country.
        days (int): How many.
    """


def numpy(city: str, days: int = 1) -> None:
    """Tell the weather, as it will be.

    Parameters
    ----------
    city : str
        The city, and its country.
    days : int
        How many.
    """


def sphinx(city: str, days: int = 1) -> None:
    """Tell the weather, as it will be.

    :param city: The city, and its country.
    :param days: How many.
    """


def annotated(
    city: Annotated[str, "The city, and its country."], days: Annotated[int, "How many."] = 1
) -> None:
    """Tell the weather, as it will be."""


@pytest.mark.parametrize("function", [google, numpy, sphinx, annotated])
def test_docstrings_of_all_styles(function):
    made = Tool(function)
    assert made.description == "Tell the weather, as it will be."
    said = {name: each["description"] for name, each in made.parameters["properties"].items()}
    assert said == {"city": "The city, and its country.", "days": "How many."}


def test_without_the_extra_there_is_a_warning_where_something_is_left_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "docstring_parser", None)
    with pytest.warns(UserWarning, match=r"docstring of google .* pip install docstring-parser"):
        made = Tool(google)
    assert made.description == "Tell the weather, as it will be."
    assert made.parameters["properties"]["city"] == TEXT
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Tool(annotated).parameters["properties"]["days"]["description"] == "How many."


# --- strict --------------------------------------------------------------------------------


def test_strict_is_the_subset_that_the_service_enforces():
    @tool(strict=True)
    def plan(trip: Trip, days: int = 3, when: datetime | None = None, price: Decimal = Decimal(1)):
        """Plan a trip."""
        return days, when

    assert plan.parameters["required"] == ["trip", "days", "when", "price"]
    properties = plan.parameters["properties"]
    assert properties["days"] == {"anyOf": [NUMBER, NULL]}
    assert properties["when"] == {"anyOf": [{"type": "string", "format": "date-time"}, NULL]}
    assert properties["price"] == {"anyOf": [TEXT, NULL]}
    place = properties["trip"]["properties"]["places"]["items"]
    assert place["required"] == ["name", "height", "tags"]
    assert place["additionalProperties"] is False
    assert place["properties"]["height"] == {
        "description": "in metres",
        "anyOf": [{"type": "number"}, NULL],
    }
    assert "default" not in str(plan.parameters)
    assert plan.definition.function.strict is True
    written = '{"trip": {"places": []}, "days": null, "when": null, "price": null}'
    assert plan.bind(written)() == (3, None)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (dict[str, int], "a mapping with keys of any name"),
        (Any, "a value of any type"),
        (list, "a value of any type"),
        (tuple[int, str], "a tuple of several types"),
    ],
)
def test_what_strict_cannot_say_is_refused(kind, said):
    with pytest.raises(TypeError, match=f"give: the argument x: {said} cannot be said with strict"):
        taking(kind, strict=True)


# --- tools and boxes -----------------------------------------------------------------------


def test_a_tool_is_still_its_function():
    @tool
    def double(number: int) -> int:
        """Twice as much."""
        return number * 2

    assert double(4) == 8
    assert double.__name__ == "double"
    assert repr(double) == "Tool(double(number: int) -> int)"


def test_name_and_description_may_be_given():
    @tool(name="twice", description="Two times.")
    def double(number: int) -> int:
        return number * 2

    assert double.definition == FunctionTool(
        FunctionDefinition(
            "twice",
            "Two times.",
            {
                "type": "object",
                "properties": {"number": NUMBER},
                "required": ["number"],
                "additionalProperties": False,
            },
        )
    )


def test_methods_partials_and_callable_objects_are_functions():
    class Scale:
        def __init__(self, factor: int) -> None:
            self.factor = factor

        def scale(self, number: int) -> int:
            """Scale it."""
            return number * self.factor

        def __call__(self, number: int) -> int:
            """Scale it, too."""
            return number * self.factor

    scale = Scale(3)
    box = Toolbox(
        [
            scale.scale,
            Tool(scale, name="called"),
            Tool(partial(scale.scale, number=5), name="fixed"),
        ]
    )
    assert [each.description for each in box] == ["Scale it.", "Scale it, too.", "Scale it."]
    assert box.bind("scale", '{"number": 2}')() == 6
    assert box.bind("called", '{"number": 2}')() == 6
    assert box.bind("fixed", "{}")() == 15


def test_a_toolbox():
    box = Toolbox([google, tool(name="other")(numpy)])
    assert len(box) == 2
    assert repr(box) == "Toolbox([google, other])"
    assert [each.function.name for each in box.definitions] == ["google", "other"]
    with pytest.raises(LookupError, match="there is no function 'sun'; there are: google, other"):
        box.bind("sun", "{}")
    with pytest.raises(ValueError, match="two tools are called 'google'"):
        Toolbox([google, google])
    with pytest.raises(TypeError, match="a Toolbox is made of a list of functions, got <function"):
        Toolbox(google)


def variable(*numbers: int) -> None:
    pass


def untyped(x) -> None:
    pass


def odd(x: object) -> None:
    pass


def method(self, x: int) -> None:
    pass


def unknown(x: "list[Missing]") -> None:  # noqa: F821 -- that is what is tried
    pass


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        (5, TypeError, "a tool is a function, got 5"),
        (dict, TypeError, "a tool is a function, got <class 'dict'>"),
        (lambda: 1, ValueError, "a tool needs a name of 1 to 64 letters.*'<lambda>'"),
        (variable, TypeError, r"variable: \*numbers: int has no schema"),
        (untyped, TypeError, "untyped: the argument x needs a type hint"),
        (method, TypeError, r"method is a method, which needs its self; .*tool\(thing.method\)"),
        (unknown, TypeError, "unknown: the type hint of x cannot be read: name 'Missing'"),
        (odd, TypeError, "odd: the argument x: <class 'object'> has no JSON Schema"),
    ],
)
def test_what_is_no_tool_says_why(function, error, said):
    with pytest.raises(error, match=said):
        Tool(function)


# --- classes that say what they are made of ------------------------------------------------


class Point(NamedTuple):
    """A place on a map."""

    x: Annotated[float, pydantic.Field(description="to the east")]
    y: float = 0.0


class Options(TypedDict, total=False):
    unit: Required[Unit]
    places: NotRequired[list[Point]]
    verbose: "NotRequired[bool]"


class Line(pydantic.BaseModel):
    product: str = pydantic.Field(alias="sku")
    count: int = pydantic.Field(default=1, gt=0)


class Order(pydantic.BaseModel):
    """What is bought."""

    lines: list[Line]
    due: date | None = None
    default: str = "x"


class Tree(pydantic.BaseModel):
    below: "list[Tree]" = []


def test_named_tuples_and_typed_dicts_are_objects():
    def find(at: Point, options: Options) -> object:
        return at, options

    made = Tool(find)
    point = {
        "type": "object",
        "description": "A place on a map.",
        "properties": {
            "x": {"type": "number", "description": "to the east"},
            "y": {"type": "number", "default": 0.0},
        },
        "required": ["x"],
        "additionalProperties": False,
    }
    at, options = (made.parameters["properties"][name] for name in ("at", "options"))
    assert at == point
    assert options["required"] == ["unit"]
    assert options["properties"]["places"] == {"type": "array", "items": point}
    assert options["properties"]["verbose"] == {"type": "boolean"}
    called = made.bind('{"at": {"x": 1}, "options": {"unit": "celsius", "places": [{"x": 2}]}}')
    assert called() == (Point(1.0), {"unit": Unit.C, "places": [Point(2.0)]})
    for arguments, said in [
        ('{"at": {"y": 1}, "options": {"unit": "celsius"}}', r"at \$\.at expected a field 'x'"),
        ('{"at": {"x": 1}, "options": {}}', r"at \$\.options expected a field 'unit'"),
        ('{"at": {"x": 1}, "options": {"unit": "celsius", "z": 1}}', "expected no 'z'"),
        ('{"at": [1, 2], "options": {"unit": "celsius"}}', r"at \$\.at expected an object"),
    ]:
        with pytest.raises(DecodeError, match=said):
            made.bind(arguments)


def test_models_of_pydantic_say_their_schema_and_validate_themselves():
    def buy(order: Order, tree: Tree) -> object:
        return order, tree

    made = Tool(buy)
    order = made.parameters["properties"]["order"]
    assert (order["description"], order["required"]) == ("What is bought.", ["lines"])
    assert order["properties"]["lines"]["items"] == {"$ref": "#/$defs/Line"}
    line = made.parameters["$defs"]["Line"]["properties"]
    assert (line["sku"]["type"], line["count"]["exclusiveMinimum"]) == ("string", 0)
    assert made.parameters["properties"]["tree"]["$ref"] == "#/$defs/Tree"
    arguments = '{"order": {"lines": [{"sku": "a"}], "due": "2026-01-31"}, "tree": {"below": [{}]}}'
    bought, tree = made.bind(arguments)()
    assert bought == Order(lines=[Line(sku="a")], due=date(2026, 1, 31))
    assert tree == Tree(below=[Tree()])
    with pytest.raises(
        DecodeError, match=r"at \$\.order\.lines\[0\]\.count expected greater than 0"
    ):
        made.bind('{"order": {"lines": [{"sku": "a", "count": 0}]}, "tree": {}}')
    assert fit_value([{"sku": "a", "count": 2}], list[Line], "x") == [Line(sku="a", count=2)]


def test_json_that_grows_may_end_as_a_model_of_pydantic():
    pytest.importorskip("jiter")
    values = []
    pieces = reactivex.of('{"sku": ', '"a"', ', "count": 2}')
    pieces.pipe(json_snapshots(Line)).subscribe(values.append)
    assert values[-1] == Line(sku="a", count=2)


def test_models_of_pydantic_can_be_enforced():
    def buy(order: Order) -> None:
        pass

    schema = Tool(buy, strict=True).parameters
    order, line = schema["properties"]["order"], schema["$defs"]["Line"]
    assert order["required"] == ["lines", "due", "default"]
    assert line["required"] == ["sku", "count"]
    assert order["additionalProperties"] is line["additionalProperties"] is False
    assert "default" not in line["properties"]["count"]
    assert "default" not in order["properties"]["due"]


def test_two_classes_of_one_name_are_told_apart():
    def one():
        class Line(pydantic.BaseModel):
            text: str

        class Page(pydantic.BaseModel):
            lines: list[Line]

        return Page

    def read(order: Order, page: one(), again: Order) -> None:
        pass

    schema = Tool(read).parameters
    assert schema["$defs"].keys() == {"Line", "Line1"}
    order, page, again = schema["properties"].values()
    assert order == again
    assert page["properties"]["lines"]["items"] == {"$ref": "#/$defs/Line1"}
    assert schema["$defs"]["Line1"]["properties"].keys() == {"text"}


def test_the_description_of_a_field_in_annotated_is_told():
    def find(city: Annotated[str, pydantic.Field(description="Where to look.")] = "") -> None:
        pass

    city = Tool(find).parameters["properties"]["city"]
    assert city == {"type": "string", "default": "", "description": "Where to look."}


@pytest.mark.parametrize("arguments", [None, "", " ", "null", " null "])
def test_null_is_no_arguments(arguments):
    def ping(times: int = 1) -> int:
        return times

    assert Tool(ping).bind(arguments)() == 1
    assert Toolbox([ping]).bind("ping", arguments)() == 1


# --- outputs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("as it is", "as it is"),
        (None, "null"),
        (1.5, "1.5"),
        ({"a": [1, True]}, '{"a":[1,true]}'),
        (Place("a"), '{"name":"a","height":0.0,"tags":[]}'),
        (Even(2), '{"number":2}'),
        (datetime(2026, 1, 31, tzinfo=UTC), '"2026-01-31T00:00:00Z"'),
        (Decimal("1.50"), '"1.50"'),
        (UUID(int=1), f'"{UUID(int=1)}"'),
        (Unit.C, '"celsius"'),
        (Color.RED, '"red"'),
        ({3}, "[3]"),
        (range(3), "[0,1,2]"),
        ("é", "é"),
        (["é"], '["é"]'),
        (Point(1, 2), '{"x":1,"y":2}'),
        ({"a": [Line(sku="a")]}, '{"a":[{"product":"a","count":1}]}'),
        (pydantic.RootModel[list[int]]([1]), "[1]"),
        ([type("Subtext", (str,), {})("a"), type("Score", (float,), {})(1)], '["a",1.0]'),
        (deque([1]), "[1]"),
        ({"a": Place("a")}.values(), '[{"name":"a","height":0.0,"tags":[]}]'),
        (
            FunctionDefinition("f"),
            '{"name":"f","description":null,"parameters":null,"strict":null}',
        ),
    ],
    ids=str,
)
def test_what_a_model_is_told(value, told):
    assert to_text(value) == told


def test_keys_are_told_as_json_does_it():
    assert to_text({None: 1, True: 2, 3: 4}) == '{"null":1,"true":2,"3":4}'
    for value in ({(1, 2): 3}, {frozenset([1]): 2}, {object(): 1}):
        with pytest.raises(TypeError, match="cannot be said as JSON"):
            to_text(value)


@pytest.mark.parametrize("value", [["\ud83d"], {"\ud83d": {"a": "\ud83d"}}])
def test_half_a_character_is_told_escaped(value):
    assert from_json(to_text(value), "what is told") == value


def test_what_cannot_be_told():
    with pytest.raises(TypeError, match=r"<object object at .* cannot be said as JSON"):
        to_text(object())


def test_rows_are_objects():
    with sqlite3.connect(":memory:") as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute("select 1 as a, 'x' as b").fetchall()
    connection.close()
    assert to_text(rows) == '[{"a":1,"b":"x"}]'
    assert to_plain(rows[0]) == {"a": 1, "b": "x"}


class Frame:
    """As of pandas: a table that gives the names of its columns when it is iterated."""

    def __init__(self):
        self.columns = {"a": [1]}

    def keys(self):
        return self.columns.keys()

    def __len__(self):
        return 1

    def __iter__(self):
        return iter(self.columns)

    def __contains__(self, name):
        return name in self.columns

    def __getitem__(self, name):
        return self.columns[name]


def test_what_merely_iterates_is_refused_and_it_is_said_what_can_be_returned(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a\n")
    with path.open() as file:
        for value in (Frame(), file, iter([1]), (n for n in [1]), Place, {"a": [Frame()]}):
            with pytest.raises(
                TypeError, match=r"cannot be said as JSON; a tool may return text, "
            ):
                to_text(value)
            with pytest.raises(TypeError, match="cannot be said"):
                to_plain(value)


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    | st.builds(Point, inner, inner) | st.tuples(inner),
    max_leaves=8,
))  # fmt: skip
def test_law_what_holds_plain_values_can_be_told(value):
    def plain(value):
        if isinstance(value, Point):
            return {"x": plain(value.x), "y": plain(value.y)}
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    assert to_plain(value) == plain(value)
