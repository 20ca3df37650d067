"""Assistants, threads, messages and runs, created and changed from the bodies of requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from rxassist.local.assistants.parameters import attachments, content, tool_resources, tools
from rxassist.local.server.identity import new_id, now
from rxassist.local.server.limits import (
    Check,
    anything,
    at_least,
    decimal,
    metadata,
    one_of,
    text_within,
)
from rxassist.local.server.parsing import Body, fields_of, model_of, objects, required, text
from rxassist.local.server.plain import as_list, as_object
from rxassist.local.server.problems import invalid_type, invalid_value
from rxassist.models import Assistant, Message, Run, Thread
from rxassist.wire.structure import unstructure

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
    given = fields_of(body, _ASSISTANT_FIELDS)
    fixed = {"id": new_id("asst"), "created_at": now()}
    described: dict[str, Any] = {"tool_resources": {}, **_SAMPLING, **given, **fixed}
    return model_of(Assistant, _with_strictness(described))


def new_thread(body: Body) -> Thread:
    """The thread that a request describes, without its messages."""
    given = fields_of(body, _THREAD_FIELDS, also=("messages",))
    given.pop("messages", None)
    return model_of(
        Thread, {"tool_resources": {}, **given, "id": new_id("thread"), "created_at": now()}
    )


def new_messages(body: Body, name: str, thread_id: str) -> list[Message]:
    """The messages in a list of a request."""
    return [new_message(item, thread_id) for item in objects(body, name)]


def new_message(body: Body, thread_id: str) -> Message:
    """The message that a request describes."""
    if text(body, "role") not in {"user", "assistant"}:
        raise invalid_value(body["role"], "role", "user", "assistant")
    given = fields_of(body, _MESSAGE_FIELDS)
    created_at = now()
    fixed = {
        "id": new_id("msg"),
        "created_at": created_at,
        "completed_at": created_at,
        "status": "completed",
        "thread_id": thread_id,
        "content": _content(required(body, "content")),
    }
    return model_of(Message, {**given, **fixed})


def new_run(body: Body, assistant: Assistant, thread: Thread) -> Run:
    """The run that a request describes; fields that it does not have are the assistant's."""
    given = fields_of(body, _RUN_FIELDS, also=_RUN_INSTRUCTIONS)
    inherited = {
        name: value
        for name, value in unstructure(assistant).items()
        if name in _RUN_FIELDS and name != "metadata"
    }
    requested = {name: value for name, value in given.items() if name in _RUN_FIELDS}
    instructions = [
        requested.get("instructions") or assistant.instructions,
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
    return model_of(Run, _with_strictness({**usual, **inherited, **requested, **fixed}))


def changed_assistant(assistant: Assistant, body: Body) -> Assistant:
    """The assistant as a request changes it."""
    described = {**unstructure(assistant), **fields_of(body, _ASSISTANT_FIELDS)}
    return model_of(Assistant, _with_strictness(described))


def changed_thread(thread: Thread, body: Body) -> Thread:
    """The thread as a request changes it."""
    return model_of(Thread, {**unstructure(thread), **fields_of(body, _THREAD_FIELDS)})


def changed_metadata(item: _T, body: Body) -> _T:
    """An object with other metadata, the only field of it that can change."""
    return model_of(type(item), {**unstructure(item), **fields_of(body, _METADATA)})


def _with_strictness(plain: dict[str, Any]) -> dict[str, Any]:
    """The same with ``strict`` in each function tool: the service adds it if it is missing."""
    tools = as_list(plain.get("tools"))
    return plain if tools is None else {**plain, "tools": [_tool(tool) for tool in tools]}


def _tool(given: object) -> object:
    tool = as_object(given) or {}
    function = as_object(tool.get("function"))
    return given if function is None else {**tool, "function": {"strict": False, **function}}


def _content(given: object) -> list[object]:
    """Content as the service stores it: a text in a request is short for a text block."""
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
    "new_assistant",
    "new_message",
    "new_messages",
    "new_run",
    "new_thread",
]
