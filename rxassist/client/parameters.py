"""The parameters of the endpoints, as keyword arguments: API reference, request bodies.

A parameter that is not given is not sent; ``None`` sends a null. Objects are mappings with the
field names of the wire, tools may be models as well.
"""

# Evaluated at once (no ``from __future__ import annotations``): what is required is read from it.

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Required, TypeAlias, TypedDict

from rxassist.models import Tool
from rxassist.run_stream import OnDispose

Object: TypeAlias = Mapping[str, Any]
Objects: TypeAlias = Iterable[Object]
Tools: TypeAlias = Iterable[Tool | Object]
Metadata: TypeAlias = Mapping[str, str]


class ListParameters(TypedDict, total=False):
    """Which items of a list: ``limit`` of them a page, from 1 to 100."""

    limit: int
    order: Literal["asc", "desc"]
    after: str
    before: str


class MessageListParameters(ListParameters, total=False):
    """Which messages: those of a run, if ``run_id`` is given."""

    run_id: str


class AssistantParameters(TypedDict, total=False):
    """``POST /assistants``."""

    model: Required[str]
    name: str | None
    description: str | None
    instructions: str | None
    tools: Tools
    tool_resources: Object | None
    metadata: Metadata | None
    temperature: float | None
    top_p: float | None
    reasoning_effort: str | None
    response_format: str | Object | None


class ThreadParameters(TypedDict, total=False):
    """``POST /threads``."""

    messages: Objects
    tool_resources: Object | None
    metadata: Metadata | None


class MessageParameters(TypedDict, total=False):
    """``POST /threads/{thread_id}/messages``."""

    role: Required[str]
    content: Required[str | Objects]
    attachments: Objects | None
    metadata: Metadata | None


class CommonRunParameters(TypedDict, total=False):
    """What every call that creates a run takes."""

    assistant_id: Required[str]
    model: str
    instructions: str | None
    tools: Tools | None
    metadata: Metadata | None
    temperature: float | None
    top_p: float | None
    max_prompt_tokens: int | None
    max_completion_tokens: int | None
    truncation_strategy: Object | None
    tool_choice: str | Object | None
    parallel_tool_calls: bool
    response_format: str | Object | None


class RunParameters(CommonRunParameters, total=False):
    """``POST /threads/{thread_id}/runs``."""

    additional_instructions: str | None
    additional_messages: Objects | None
    reasoning_effort: str | None
    include: Iterable[str]


class ThreadAndRunParameters(CommonRunParameters, total=False):
    """``POST /threads/runs``."""

    thread: Object
    tool_resources: Object | None


class ToolOutputsParameters(TypedDict):
    """``POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs``."""

    tool_outputs: Objects


class StreamOptions(TypedDict, total=False):
    """How a stream behaves on this side: nothing of it is sent.

    ``replay=False`` drops the events that every subscriber has seen. The stream runs at most
    ``read_ahead`` events ahead of a reader that can be slow (1,024; ``None``: without bound).
    ``on_dispose="cancel"`` cancels the run on the server when the last subscriber leaves before
    its end; ``"detach"``, the default, leaves it working.
    """

    replay: bool
    read_ahead: int | None
    on_dispose: OnDispose


class RunStreamParameters(RunParameters, StreamOptions, total=False):
    """``POST /threads/{thread_id}/runs``, as a stream."""


class ThreadAndRunStreamParameters(ThreadAndRunParameters, StreamOptions, total=False):
    """``POST /threads/runs``, as a stream."""


__all__ = [
    "AssistantParameters",
    "CommonRunParameters",
    "ListParameters",
    "MessageListParameters",
    "MessageParameters",
    "RunParameters",
    "RunStreamParameters",
    "StreamOptions",
    "ThreadAndRunParameters",
    "ThreadAndRunStreamParameters",
    "ThreadParameters",
    "ToolOutputsParameters",
]
