"""What a script knows of a run, from the objects of the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rxassist.local.scripts.turn import Function, Turn
from rxassist.local.server.plain import as_object
from rxassist.models import (
    Assistant,
    FunctionTool,
    Message,
    ResponseFormatJSONSchema,
    Run,
    Thread,
    ToolChoice,
)
from rxassist.wire.values import type_on_wire


def turn_of(assistant: Assistant, thread: Thread, messages: tuple[Message, ...], run: Run) -> Turn:
    """What a script knows when the run begins."""
    choice = run.tool_choice
    named = choice if isinstance(choice, ToolChoice) else None
    return Turn(
        assistant,
        thread,
        messages,
        run,
        run.instructions or "",
        frozenset(type_on_wire(tool) for tool in run.tools),
        tuple(
            Function(tool.function.name, tool.function.parameters)
            for tool in run.tools
            if isinstance(tool, FunctionTool)
        ),
        str(choice or "auto") if named is None else named.type,
        named.function.name if named is not None and named.function is not None else None,
        run.parallel_tool_calls is not False,
        schema=_schema(run.response_format),
    )


def _schema(response_format: object) -> Mapping[str, Any] | None:
    """The JSON Schema in a response format."""
    if not isinstance(response_format, ResponseFormatJSONSchema):
        return None
    return as_object(response_format.json_schema.get("schema"))


__all__ = ["turn_of"]
