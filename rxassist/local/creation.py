"""New and changed objects, from the bodies of requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from rxassist.errors import DecodeError
from rxassist.local.identity import new_id, now
from rxassist.local.limits import (
    Check,
    anything,
    at_least,
    attachments,
    content,
    decimal,
    metadata,
    one_of,
    text_within,
    tool_resources,
    tools,
)
from rxassist.local.parsing import Body, objects, required, text
from rxassist.local.plain import as_list, as_object
from rxassist.local.problems import Problem, invalid_type, invalid_value
from rxassist.models import Assistant, Message, Run, Thread
from rxassist.wire.structure import structure, unstructure

_T = TypeVar("_T")

_RUN_LIFETIME = 600  # seconds until ``expires_at``

_SAMPLED: Mapping[str, Check] = {
    "temperature": decimal(0, 2),
    "top_p": decimal(0, 1),
    "reasoning_effort": one_of("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    "response_format": one_of("auto", types=("text", "json_object", "json_schema")),
}
_ASSISTANT_FIELDS: Mapping[str, Check] = {
    **_SAMPLED,
    "model": anything,
    "name": text_within(256),
    "description": text_within(512),
    "instructions": text_within(256_000),
    "tools": tools(128),
    "tool_resources": tool_resources,
    "metadata": metadata,
}
_THREAD_FIELDS: Mapping[str, Check] = {"metadata": metadata, "tool_resources": tool_resources}
_MESSAGE_FIELDS: Mapping[str, Check] = {
    "role": anything,
    "content": content,
    "attachments": attachments,
    "metadata": metadata,
}
_METADATA: Mapping[str, Check] = {"metadata": metadata}
_RUN_FIELDS: Mapping[str, Check] = {
    **_SAMPLED,
    "model": anything,
    "instructions": text_within(256_000),
    "tools": tools(20),
    "tool_resources": tool_resources,
    "metadata": metadata,
    "max_prompt_tokens": at_least(256),
    "max_completion_tokens": at_least(256),
    "truncation_strategy": one_of(types=("auto", "last_messages")),
    "tool_choice": one_of(
        "none", "auto", "required", types=("function", "code_interpreter", "file_search", "mcp")
    ),
    "parallel_tool_calls": anything,
}
_RUN_INSTRUCTIONS = frozenset(
    {"assistant_id", "stream", "thread", "additional_instructions", "additional_messages"}
)
_SAMPLING = {"temperature": 1.0, "top_p": 1.0, "response_format": "auto"}


def new_assistant(body: Body) -> Assistant:
    """The assistant that a request describes."""
    text(body, "model")
    given = stated(body, _ASSISTANT_FIELDS)
    fixed = {"id": new_id("asst"), "created_at": now()}
    return made(Assistant, {"tool_resources": {}, **_SAMPLING, **given, **fixed})


def new_thread(body: Body) -> Thread:
    """The thread that a request describes, without its messages."""
    given = stated(body, _THREAD_FIELDS, also=("messages",))
    given.pop("messages", None)
    return made(
        Thread, {"tool_resources": {}, **given, "id": new_id("thread"), "created_at": now()}
    )


def new_messages(body: Body, name: str, thread_id: str) -> list[Message]:
    """The messages that a request brings with it in a list."""
    return [new_message(item, thread_id) for item in objects(body, name)]


def new_message(body: Body, thread_id: str) -> Message:
    """The message that a request describes."""
    if text(body, "role") not in {"user", "assistant"}:
        raise invalid_value(body["role"], "role", "user", "assistant")
    given = stated(body, _MESSAGE_FIELDS)
    made_at = now()
    fixed = {
        "id": new_id("msg"),
        "created_at": made_at,
        "completed_at": made_at,
        "status": "completed",
        "thread_id": thread_id,
        "content": _content(required(body, "content")),
    }
    return made(Message, {**given, **fixed})


def new_run(body: Body, assistant: Assistant, thread: Thread) -> Run:
    """The run that a request describes; what it does not say is the assistant's."""
    given = stated(body, _RUN_FIELDS, also=_RUN_INSTRUCTIONS)
    inherited = {
        name: value
        for name, value in unstructure(assistant).items()
        if name in _RUN_FIELDS and name != "metadata"
    }
    asked = {name: value for name, value in given.items() if name in _RUN_FIELDS}
    instructions = [
        asked.get("instructions") or assistant.instructions,
        given.get("additional_instructions"),
    ]
    created_at = now()
    fixed = {
        "id": new_id("run"),
        "created_at": created_at,
        "expires_at": created_at + _RUN_LIFETIME,
        "assistant_id": assistant.id,
        "thread_id": thread.id,
        "status": "queued",
        "instructions": "\n".join(each for each in instructions if each) or None,
    }
    usual = {
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "truncation_strategy": {"type": "auto", "last_messages": None},
    }
    return made(Run, {**usual, **inherited, **asked, **fixed})


def changed_assistant(assistant: Assistant, body: Body) -> Assistant:
    """The assistant as a request changes it."""
    return made(Assistant, {**unstructure(assistant), **stated(body, _ASSISTANT_FIELDS)})


def changed_thread(thread: Thread, body: Body) -> Thread:
    """The thread as a request changes it."""
    return made(Thread, {**unstructure(thread), **stated(body, _THREAD_FIELDS)})


def changed_metadata(item: _T, body: Body) -> _T:
    """An object of which only the metadata can change."""
    return made(type(item), {**unstructure(item), **stated(body, _METADATA)})


def stated(body: Body, fields: Mapping[str, Check], also: Iterable[str] = ()) -> dict[str, Any]:
    """What a request says, without nulls; what it cannot say is an error."""
    known = {*fields, *also}
    for name in body:
        if name not in known:
            message = f"Unknown parameter: '{name}'."
            raise Problem(message, param=name, code="unknown_parameter")
    given = {name: value for name, value in body.items() if value is not None}
    for name, value in given.items():
        fields.get(name, anything)(value, name)
    return given


def made(kind: type[_T], plain: Mapping[str, Any]) -> _T:
    """The model of plain data that a request had a part in."""
    try:
        return structure({**plain, "tools": _tools(plain)} if "tools" in plain else plain, kind)
    except DecodeError as error:
        param = error.path.removeprefix("$.")
        raise Problem(str(error), param=param, code="invalid_type") from None


def _tools(plain: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- not yet checked
    """Function tools that do not say how strict they are: the service says it for them."""
    tools = as_list(plain["tools"])
    return plain["tools"] if tools is None else [_tool(tool) for tool in tools]


def _tool(given: object) -> object:
    tool = as_object(given) or {}
    function = as_object(tool.get("function"))
    return given if function is None else {**tool, "function": {"strict": False, **function}}


def _content(given: object) -> list[object]:
    """Content as it is stored: text in requests is short for a text block."""
    parts = [{"type": "text", "text": given}] if isinstance(given, str) else as_list(given)
    if not parts:
        raise invalid_type(given, "content", "a string or an array of objects")
    return [_part(part) for part in parts]


def _part(part: Mapping[str, Any]) -> object:
    if part["type"] == "text":
        return {"type": "text", "text": {"value": part["text"], "annotations": []}}
    return part


__all__ = [
    "changed_assistant",
    "changed_metadata",
    "changed_thread",
    "made",
    "new_assistant",
    "new_message",
    "new_messages",
    "new_run",
    "new_thread",
    "stated",
]
