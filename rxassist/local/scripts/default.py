"""The default script: honest, deterministic, and able to show what an assistant can do."""

from __future__ import annotations

import re

from rxassist.local.scripts.arguments import fitting_arguments
from rxassist.local.scripts.arithmetic import expression_in, value_of
from rxassist.local.scripts.moves import Call, Moves, Turn, call, code, say
from rxassist.models import CodeInterpreterTool, FunctionDefinition, FunctionTool, ToolChoice

_INTRODUCTION = "This is a scripted answer of the rxassist local service; no model was asked."

_CODE_WORDS = frozenset(
    {"calculate", "calculation", "code", "compute", "plot", "program", "python"}
)
_VERBS = frozenset({"call", "current", "find", "from", "list", "make", "show", "this", "with"})
_SHORTEST_WORD = 4  # of a tool's name, to be a hint at it


def default_script(turn: Turn) -> Moves:
    """Answer the user's last message, and use the assistant's tools where it asks for them.

    The code interpreter is shown when the message holds a calculation, which is really worked
    out, or speaks of code. A function is called when the message has its name in it, or a word of
    four letters or more of its name (``weather`` for ``get_weather``); its arguments fit its JSON
    Schema. The run's ``tool_choice`` and ``parallel_tool_calls`` are respected. Last comes one
    message that says that it is scripted, repeats what the user wrote, and tells the results.
    """
    told = [_INTRODUCTION]
    if turn.text:
        told.append(f'You wrote: "{turn.text}"')
    if _wants_code(turn):
        source, printed = _calculation(turn.text)
        yield code(source, logs=printed)
        told.append(f"The code printed: {printed.strip()}")
    calls = _wanted_calls(turn)
    outputs: list[str] = []
    if turn.run.parallel_tool_calls is False:
        for each in calls:
            output = yield each
            outputs.append(output)
    elif calls:
        outputs = yield calls
    for each, output in zip(calls, outputs, strict=True):
        told.append(f"{each.name} answered: {output}")
    yield say("\n".join(told))


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
        functions = [each for each in functions if _asks_for(turn.text, each)]
    return [call(each.name, fitting_arguments(each.parameters, turn.text)) for each in functions]


def _asks_for(message: str, function: FunctionDefinition) -> bool:
    if function.name.lower() in message.lower():
        return True
    hints = {word for word in _words(function.name) if len(word) >= _SHORTEST_WORD}
    return bool((hints - _VERBS) & _words(message))


def _words(text: str) -> frozenset[str]:
    """The words of a text or of a name like ``get_weather`` or ``getWeather``, in lower case."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return frozenset(word.lower() for word in re.findall(r"[^\W_]+", apart))


__all__ = ["default_script"]
