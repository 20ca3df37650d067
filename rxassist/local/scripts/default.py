"""The default script: deterministic, says that it is a script, and uses the tools."""

from __future__ import annotations

import re

from rxassist.local.scripts.arguments import fitting_arguments
from rxassist.local.scripts.arithmetic import expression_in, value_of
from rxassist.local.scripts.moves import Call, Moves, call, code, say
from rxassist.local.scripts.turn import Function, Turn
from rxassist.wire.json import to_json

_INTRODUCTION = "This is a scripted answer of the rxassist local service; no model was asked."

_CODE_WORDS = frozenset(
    {"calculate", "calculation", "code", "compute", "plot", "program", "python"}
)
_VERBS = frozenset({"call", "current", "find", "from", "list", "make", "show", "this", "with"})
_FREE = frozenset({"auto", "required"})  # the choices that leave the tool to the model
_SHORTEST_WORD = 4  # a word of a tool's name that hints at the tool


def default_script(turn: Turn) -> Moves:
    """Reply to the user's last message, and use the tools that it mentions.

    The code interpreter is shown if the message has a calculation, whose result is really
    computed, or mentions code. A function is called if the message has its name, or a word of its
    name with four letters or more (``weather`` for ``get_weather``); its arguments fit its JSON
    Schema. The script obeys the run's ``tool_choice`` and ``parallel_tool_calls``. The last move is
    a message: it says that it is scripted, repeats the user's text, and lists the results; or it is
    JSON that fits the schema that the text must fit. No function is called if the request brings
    outputs for calls that no script made.
    """
    lines = [_INTRODUCTION]
    if turn.text:
        lines.append(f'You wrote: "{turn.text}"')
    if _wants_code(turn):
        source, printed = _calculation(turn.text)
        yield code(source, logs=printed)
        lines.append(f"The code printed: {printed.strip()}")
    lines += [f"{each.name or each.call_id} answered: {each.text}" for each in turn.outputs]
    calls = [] if turn.outputs else _wanted_calls(turn)
    outputs: list[str] = []
    if not turn.parallel:
        for each in calls:
            output = yield each
            outputs.append(output)
    elif calls:
        outputs = yield calls
    for each, output in zip(calls, outputs, strict=True):
        lines.append(f"{each.name} answered: {output}")
    if turn.schema is not None:
        lines = [to_json(fitting_arguments(turn.schema, turn.text)).decode()]
    yield say("\n".join(lines))


def _wants_code(turn: Turn) -> bool:
    if "code_interpreter" not in turn.tools or turn.tool_choice == "none":
        return False
    if turn.tool_choice not in _FREE:
        return turn.tool_choice == "code_interpreter"
    return bool(_CODE_WORDS & _words(turn.text)) or expression_in(turn.text) is not None


def _calculation(message: str) -> tuple[str, str]:
    """Code that fits the message, and what it prints."""
    expression = expression_in(message)
    if expression is None:
        return 'print("no model wrote this code")', "no model wrote this code\n"
    return f"print({expression})", f"{value_of(expression)}\n"


def _wanted_calls(turn: Turn) -> list[Call]:
    functions, choice = turn.functions, turn.tool_choice
    if choice == "none":
        functions = ()
    elif choice not in _FREE:
        functions = tuple(each for each in functions if each.name == turn.chosen)
    elif choice != "required":
        functions = tuple(each for each in functions if _mentions(turn.text, each))
    return [call(each.name, fitting_arguments(each.parameters, turn.text)) for each in functions]


def _mentions(message: str, function: Function) -> bool:
    if function.name.lower() in message.lower():
        return True
    hints = {word for word in _words(function.name) if len(word) >= _SHORTEST_WORD}
    return bool((hints - _VERBS) & _words(message))


def _words(text: str) -> frozenset[str]:
    """The words of a text or of a name like ``get_weather`` or ``getWeather``, in lower case."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return frozenset(word.lower() for word in re.findall(r"[^\W_]+", apart))


__all__ = ["default_script"]
