"""Responses, created from the bodies of requests."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from rxassist.local.responses.history import (
    History,
    answers_in,
    check_outputs,
    messages_in,
    outputs_in,
    texts_in,
)
from rxassist.local.responses.input import Item, input_of
from rxassist.local.responses.items import usage_of
from rxassist.local.scripts.moves import Approval, tokens
from rxassist.local.scripts.turn import Function, Turn
from rxassist.local.server.identity import new_id, now
from rxassist.local.server.limits import (
    Check,
    anything,
    at_least,
    decimal,
    items_of,
    metadata,
    one_of,
    text_within,
    type_of,
)
from rxassist.local.server.parsing import Body, fields_of, flag, model_of, text, texts
from rxassist.local.server.plain import as_list, as_object
from rxassist.local.server.problems import invalid_type, invalid_value, missing
from rxassist.protocols.responses.models import Compaction, Response
from rxassist.wire.structure import unstructure

_TOOLS = (
    "function",
    "custom",
    "file_search",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "code_interpreter",
    "image_generation",
    "mcp",
    "computer",
    "computer_use_preview",
    "local_shell",
    "shell",
    "apply_patch",
    "tool_search",
    "namespace",
)


def _tools(value: object, param: str) -> None:
    """Accept a list of tools of known types."""
    for path, tool in items_of(value, param, 128):
        kind = type_of(tool, path, *_TOOLS)
        if kind in {"function", "custom"} and not isinstance(tool.get("name"), str):
            raise missing(param=f"{path}.name")


def _described(value: object, param: str) -> None:
    if as_object(value) is None:
        raise invalid_type(value, param, "an object")


_INCLUDE = (
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
)


def _include(value: object, param: str) -> None:
    for index, each in enumerate(as_list(value) or ()):
        if each not in _INCLUDE:
            raise invalid_value(each, f"{param}[{index}]", *_INCLUDE)


_FIELDS: Mapping[str, Check] = {
    "background": anything,
    "instructions": text_within(1_000_000),
    "max_output_tokens": at_least(16),
    "max_tool_calls": at_least(1),
    "metadata": metadata,
    "model": anything,
    "parallel_tool_calls": anything,
    "previous_response_id": anything,
    "prompt_cache_key": anything,
    "reasoning": _described,
    "safety_identifier": text_within(64),
    "service_tier": one_of("auto", "default", "flex", "scale", "priority"),
    "store": anything,
    "temperature": decimal(0, 2),
    "text": _described,
    "tool_choice": one_of("none", "auto", "required", types=(*_TOOLS, "allowed_tools")),
    "tools": _tools,
    "top_logprobs": decimal(0, 20),
    "top_p": decimal(0, 1),
    "truncation": one_of("auto", "disabled"),
    "user": anything,
}
"""The fields of a request that the response has, too."""

_OTHER_FIELDS: Mapping[str, Check] = {
    "access_programs": _described,
    "background_options": _described,
    "context_management": anything,
    "conversation": anything,
    "image": _described,
    "include": _include,
    "input": anything,
    "moderation": anything,
    "personality": text_within(64),
    "prompt": _described,
    "prompt_cache_options": _described,
    "prompt_cache_retention": anything,
    "stream": anything,
    "stream_options": _described,
}
_USUAL: Mapping[str, Any] = {
    "background": False,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
}
_SOURCES = ("input", "previous_response_id", "conversation", "prompt")


@frozen
class Request:
    """A request for a response, checked.

    ``given`` are the items of its input, ``before`` are the items before them. ``answers`` are the
    outputs and approvals in the input, by the ids of their calls.
    """

    response: Response
    given: Sequence[Item]
    before: Sequence[Item]
    answers: Mapping[str, str | Approval]
    conversation_id: str | None
    include: frozenset[str]
    streamed: bool
    obfuscated: bool

    @property
    def turn(self) -> Turn:
        """What a script knows when the response begins."""
        return _turn(self)

    @property
    def input_tokens(self) -> int:
        """How many tokens it has."""
        instructions = str(self.response.instructions or "")
        texts_before = texts_in([*self.before, *self.given])
        return sum(len(tokens(each)) for each in (instructions, *texts_before))


def new_request(body: Body, history: History, response_id: str | None = None) -> Request:
    """The response that a request describes, and the items that it builds on."""
    given = fields_of(body, {**_FIELDS, **_OTHER_FIELDS})
    text(body, "model")
    if all(given.get(name) is None for name in _SOURCES):
        raise missing(param="input")
    background, stored = flag(body, "background"), flag({"store": True, **given}, "store")
    before, conversation_id = history.before(body)
    items = history.resolved(input_of(given.get("input")))
    check_outputs([*before, *items])
    described: dict[str, Any] = {
        **_USUAL,
        **{name: value for name, value in given.items() if name in _FIELDS},
        "id": response_id or new_id("resp"),
        "created_at": now(),
        "status": "queued" if background else "in_progress",
        "conversation": None if conversation_id is None else {"id": conversation_id},
        "store": stored,
    }
    described["tools"] = _with_strictness(described["tools"])
    described["text"] = {**_USUAL["text"], **described["text"]}
    options = as_object(given.get("stream_options")) or {}
    return Request(
        model_of(Response, described),
        items,
        before,
        answers_in(items),
        conversation_id,
        frozenset(texts(given, "include")) if "include" in given else frozenset(),
        flag(body, "stream"),
        options.get("include_obfuscation") is not False,
    )


def compaction_of(request: Request) -> dict[str, Any]:
    """A shorter history: the messages of the user, and one item for everything else."""
    items = [*request.before, *request.given]
    kept = [item for item in items if item["type"] == "message" and item["role"] == "user"]
    hidden = b64encode("\n".join(texts_in(items)).encode()).decode()
    compacted = Compaction(new_id("cmp"), hidden)
    tokens_before = request.input_tokens
    return {
        "id": new_id("resp"),
        "object": "response.compaction",
        "created_at": now(),
        "output": [*kept, unstructure(compacted)],
        "usage": unstructure(usage_of(tokens_before, 1, 0)),
    }


def _with_strictness(tools: object) -> object:
    """The same with ``strict`` in each function: the service adds it if it is missing."""
    listed = as_list(tools)
    if listed is None:
        return tools
    described = [as_object(tool) or {} for tool in listed]
    return [{"strict": True, **each} if each["type"] == "function" else each for each in described]


def _turn(request: Request) -> Turn:
    response, items = request.response, [*request.before, *request.given]
    choice = response.tool_choice
    described = as_object(choice)
    functions = tuple(
        Function(str(tool["name"]), as_object(tool.get("parameters")))
        for tool in response.tools
        if tool["type"] == "function"
    )
    if described is not None and described["type"] == "allowed_tools":
        listed = map(as_object, as_list(described.get("tools")) or ())
        allowed = {str(each.get("name")) for each in listed if each is not None}
        functions = tuple(each for each in functions if each.name in allowed)
        choice, described = described.get("mode", "auto"), None
    return Turn(
        None,
        None,
        messages_in(items),
        response,
        str(response.instructions or ""),
        frozenset(str(tool["type"]) for tool in response.tools),
        functions,
        str(choice if described is None else described["type"]),
        None if described is None else described.get("name"),
        response.parallel_tool_calls is not False,
        outputs_in(items, dict(request.answers)),
        as_object((as_object((response.text or {}).get("format")) or {}).get("schema")),
    )


__all__ = ["Request", "compaction_of", "new_request"]
