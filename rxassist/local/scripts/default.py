"""The default script: deterministic, says that it is a script, and uses the tools."""

from __future__ import annotations

import re

from rxassist.local.scripts.arguments import fitting_arguments
from rxassist.local.scripts.arithmetic import expression_in, value_of
from rxassist.local.scripts.moves import Call, Moves, call, code, say
from rxassist.local.scripts.turn import Turn
from rxassist.models import CodeInterpreterTool, FunctionDefinition, FunctionTool, ToolChoice

_INTRODUCTION = "This is a scripted answer of the rxassist local service; no model was asked."

_CODE_WORDS = frozenset(
    {"calculate", "calculation", "code", "compute", "plot", "program", "python"}
)
_VERBS = frozenset({"call", "current", "find", "from", "list", "make", "show", "this", "with"})
_SHORTEST_WORD = 4  # a word of a tool's name that hints at the tool


def default_script(turn: Turn) -> Moves:
    """Reply to the user's last message, and use the tools of the assistant that it mentions.

    The code interpreter is shown if the message has a calculation, whose result is really
    computed, or mentions code. A function is called if the message has its name, or a word of its
    name with four letters or more (``weather`` for ``get_weather``); its arguments fit its JSON
    Schema. The script obeys the run's ``tool_choice`` and ``parallel_tool_calls``. The last move is
    a message: it says that it is scripted, repeats the user's text, and lists the results.
    """
    lines = [_INTRODUCTION]
    if turn.text:
        lines.append(f'You wrote: "{turn.text}"')
    if _wants_code(turn):
        source, printed = _calculation(turn.text)
        yield code(source, logs=printed)
        lines.append(f"The code printed: {printed.strip()}")
    calls = _wanted_calls(turn)
    outputs: list[str] = []
    if turn.run.parallel_tool_calls is False:
        for each in calls:
            output = yield each
            outputs.append(output)
    elif calls:
        outputs = yield calls
    for each, output in zip(calls, outputs, strict=True):
        lines.append(f"{each.name} answered: {output}")
    yield say("\n".join(lines))


def _wants_code(turn: Turn) -> bool:
    if not any(isinstance(tool, CodeInterpreterTool) for tool in turn.run.tools):
        return False
    choice = turn.run.tool_choice
    if choice == "none":
        return False
    if isinstance(choice, ToolChoice):
        return choice.type == "code_interpreter"
    return bool(_CODE_WORDS & _words(turn.text)) or expression_in(turn.text) is not None


def _calculation(message: str) -> tuple[str, str]:
    """Code that fits the message, and what it prints."""
    expression = expression_in(message)
    if expression is None:
        return 'print("no model wrote this code")', "no model wrote this code\n"
    return f"print({expression})", f"{value_of(expression)}\n"


def _wanted_calls(turn: Turn) -> list[Call]:
    functions = [tool.function for tool in turn.run.tools if isinstance(tool, FunctionTool)]
    choice = turn.run.tool_choice
    if choice == "none":
        functions = []
    elif isinstance(choice, ToolChoice):
        name = choice.function.name if choice.function else None
        functions = [each for each in functions if each.name == name]
    elif choice != "required":
        functions = [each for each in functions if _mentions(turn.text, each)]
    return [call(each.name, fitting_arguments(each.parameters, turn.text)) for each in functions]


def _mentions(message: str, function: FunctionDefinition) -> bool:
    if function.name.lower() in message.lower():
        return True
    hints = {word for word in _words(function.name) if len(word) >= _SHORTEST_WORD}
    return bool((hints - _VERBS) & _words(message))


def _words(text: str) -> frozenset[str]:
    """The words of a text or of a name like ``get_weather`` or ``getWeather``, in lower case."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return frozenset(word.lower() for word in re.findall(r"[^\W_]+", apart))


__all__ = ["default_script"]
