"""The default script: honest, and able to show what an assistant can do."""

import pytest

from rxassist.local.scripts.arguments import fitting_arguments
from rxassist.local.scripts.arithmetic import expression_in, value_of
from rxassist.protocols.assistants.snapshots import Snapshot, fold

WEATHER = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city", "unit"],
    },
}
TIME = {"name": "currentTime", "parameters": {"type": "object", "properties": {}}}
TOOLS = [
    {"type": "code_interpreter"},
    {"type": "function", "function": WEATHER},
    {"type": "function", "function": TIME},
]


@pytest.fixture
def ask(serve, connect):
    """The snapshot after the first stream of a run with the default script and all tools."""
    caller = connect(serve())

    def ask(text, *outputs, **body):
        events = caller.perform(text, assistant_id=caller.assistant(tools=TOOLS), **body)
        for output in outputs:
            events += caller.submit(events[-2].data, *output)
        snapshot = Snapshot()
        for event in events:
            snapshot = fold(snapshot, event)
        return snapshot

    return ask


def asked(snapshot):
    action = snapshot.run.required_action
    calls = action.submit_tool_outputs.tool_calls if action else ()
    return [(call.function.name, call.function.arguments) for call in calls]


def test_the_answer_says_that_it_is_scripted(ask):
    snapshot = ask("Hello, you!")
    assert "scripted" in snapshot.text
    assert 'You wrote: "Hello, you!"' in snapshot.text
    assert len(snapshot.run_steps) == 1


def test_the_same_message_gets_the_same_answer(ask):
    assert ask("Hello").text == ask("Hello").text


def test_a_thread_without_a_message_gets_an_answer_too(serve, connect):
    assert connect(serve()).perform()[-2].event == "thread.run.completed"


@pytest.mark.parametrize(
    "text",
    ["What is the weather in New York?", "call get_weather for “New York”", "WEATHER in New York"],
)
def test_a_function_that_the_message_asks_for_is_called(ask, text):
    assert asked(ask(text)) == [("get_weather", '{"city":"New York","unit":"celsius"}')]


def test_functions_are_called_at_once_and_their_outputs_told(ask):
    text = "Tell me the time and the weather in Lima."
    assert [name for name, _ in asked(ask(text))] == ["get_weather", "currentTime"]
    told = ask(text, ("sunny", "noon")).text
    assert "get_weather answered: sunny\ncurrentTime answered: noon" in told


def test_functions_are_called_one_by_one_where_the_run_says_so(ask):
    text = "Tell me the time and the weather in Lima."
    snapshot = ask(text, ("sunny",), parallel_tool_calls=False)
    assert [name for name, _ in asked(snapshot)] == ["currentTime"]
    assert "noon" in ask(text, ("sunny",), ("noon",), parallel_tool_calls=False).text


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("none", []),
        ("required", ["get_weather", "currentTime"]),
        ({"type": "function", "function": {"name": "currentTime"}}, ["currentTime"]),
        ({"type": "code_interpreter"}, []),
    ],
)
def test_the_tool_choice_is_respected(ask, choice, names):
    snapshot = ask("What is the weather, times 2 + 2?", tool_choice=choice)
    assert [name for name, _ in asked(snapshot)] == names


def test_a_calculation_is_really_worked_out(ask):
    snapshot = ask("What is 2 + 3*4?")
    (call,) = snapshot.run_steps[0].step_details.tool_calls
    assert call.code_interpreter.input == "print(2 + 3*4)"
    assert call.code_interpreter.outputs[0].logs == "14\n"
    assert "The code printed: 14" in snapshot.text


def test_code_without_a_calculation_is_honest(ask):
    snapshot = ask("Please write some Python code.")
    assert "no model wrote this code" in snapshot.text


def test_tools_are_not_used_for_nothing(ask):
    snapshot = ask("Hello there")
    assert [step.type for step in snapshot.run_steps] == ["message_creation"]


@pytest.mark.parametrize(
    ("message", "expression", "value"),
    [
        ("What is 2+2?", "2+2", 4),
        ("6 * 7 = ?", "6 * 7", 42),
        ("so 10 / 4.", "10 / 4", 2.5),
        ("2^10 please", "2**10", 1024),
        ("-3 - 4", "-3 - 4", -7),
        ("(1 + 2) * 3", "(1 + 2) * 3", 9),
        ("7 // 2 and then", "7 // 2", 3),
        ("first 1/0, then 1+1", "1+1", 2),
    ],
)
def test_expressions_are_found_in_messages(message, expression, value):
    assert expression_in(message) == expression
    assert value_of(expression) == value


@pytest.mark.parametrize(
    "message",
    ["", "Hello", "in 2024", "on 2026-01-09", "9**9**9", "(2 + 3", "1 / 0", "v1.2.3", "+ 1", "-5"],
)
def test_what_is_no_calculation_is_none(message):
    assert expression_in(message) is None


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "it"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": "string", "minLength": 4, "maxLength": 6}, "itxx"),
        ({"type": "string", "maxLength": 1}, "i"),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "exclusiveMinimum": 5, "multipleOf": 4}, 8),
        ({"type": "number", "minimum": 0.25, "maximum": 0.75}, 0.25),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"]}, 1),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": {"x": 1}}, {"x": 1}),
        ({"type": "string", "default": "d"}, "d"),
        ({"type": "string", "examples": ["e"]}, "e"),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 1),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 1),
        ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, 3),
        ({"$ref": "#/$defs/color"}, "red"),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, []),
        (
            {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "uniqueItems": True},
            ["a", "b"],
        ),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True},
            ["it1", "it2"],
        ),
        ({"prefixItems": [{"type": "integer"}, {"type": "boolean"}], "type": "array"}, [1, True]),
        ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}}, {"a": 1, "b": "b"}),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]}, {"b": "b"}),
        (
            {"properties": {"in": {"properties": {"deep": {"items": {"type": "boolean"}}}}}},
            {"in": {"deep": [True]}},
        ),
        ({}, "it"),
        (True, "it"),
    ],
)
def test_arguments_fit_their_schema(schema, value):
    whole = {
        "type": "object",
        "properties": {"it": schema},
        "required": ["it"],
        "$defs": {"color": {"enum": ["red"]}},
    }
    assert fitting_arguments(whole) == {"it": value}


@pytest.mark.parametrize(
    "schema", [None, {}, {"type": "object"}, {"type": "object", "properties": {}}]
)
def test_functions_without_parameters_get_no_arguments(schema):
    assert fitting_arguments(schema) == {}


def test_a_schema_that_never_ends_is_cut_off():
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert "next" in fitting_arguments(node)
    loop = {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert fitting_arguments(loop) == {"a": "a"}


def test_arguments_are_taken_from_the_message():
    numbers = {"properties": {"a": {"type": "integer"}, "b": {"type": "number"}}}
    assert fitting_arguments(numbers, "Add 2 and 3.5") == {"a": 2, "b": 3.5}
    texts = {"properties": {"who": {"type": "string"}, "where": {"type": "string"}}}
    assert fitting_arguments(texts, "Where is Ada Lovelace? I think she is in London.") == {
        "who": "Ada Lovelace",
        "where": "London",
    }
    assert fitting_arguments(texts, 'Find "the cat", please, Bob') == {
        "who": "the cat",
        "where": "where",
    }
