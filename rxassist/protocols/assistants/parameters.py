"""The parameters of the endpoints, as keyword arguments: API reference, request bodies.

A parameter that is not given is not sent; ``None`` sends a null. Objects are mappings with the
field names of the wire; tools may also be models.
"""

# Evaluated at once (no ``from __future__ import annotations``): ``Required`` is read at runtime.

from collections.abc import Callable, Iterable
from typing import Any, Required, TypeAlias, TypeVar

from rxassist.protocols.assistants.handler import AssistantEventHandler, AsyncAssistantEventHandler
from rxassist.protocols.assistants.models import AssistantTool, ToolCall
from rxassist.protocols.assistants.run_tools import Approvable
from rxassist.runs.streams.options import (
    BusyOptions,
    RunPollOptions,
    StartOptions,
    StreamOptions,
    ToolOptions,
)
from rxassist.runs.tools import Tool, Toolbox
from rxassist.wire.options import (
    ListParameters,
    Metadata,
    Object,
    Objects,
    RequestOptions,
)

HandlerT = TypeVar("HandlerT", bound=AssistantEventHandler | AsyncAssistantEventHandler)
"""The handlers of a client."""


Tools: TypeAlias = Iterable[AssistantTool | Object | Tool[..., Any] | Callable[..., Any]]
"""Functions are sent as their definitions."""


class MessageListParameters(ListParameters, total=False):
    """The options of a list of messages: with ``run_id``, only those of a run."""

    run_id: str
    """Only the messages that this run wrote."""


class AssistantSettings(RequestOptions, total=False):
    """The settings of an assistant, besides its model."""

    name: str | None
    """The name, of at most 256 characters."""
    description: str | None
    """The description, of at most 512 characters."""
    instructions: str | None
    """The system instructions for the model: its role and its task."""
    tools: Tools
    """The tools: functions, mappings or models. Functions are sent as definitions."""
    tool_resources: Object | None
    """The files and vector stores that the tools may use."""
    metadata: Metadata | None
    """Up to 16 pairs of text, stored with the object."""
    temperature: float | None
    """How random the answers are, from 0 to 2."""
    top_p: float | None
    """The share of likely tokens that the model chooses from, from 0 to 1."""
    reasoning_effort: str | None
    """How much a reasoning model thinks, such as ``"low"``."""
    response_format: str | Object | None
    """``"auto"`` or an object, such as ``{"type": "json_object"}``."""


class AssistantParameters(AssistantSettings, total=False):
    """``POST /assistants``."""

    model: Required[str]
    """The name of the model."""


class AssistantUpdateParameters(AssistantSettings, total=False):
    """``POST /assistants/{assistant_id}``."""

    model: str
    """The name of the model."""


class MetadataParameters(RequestOptions, total=False):
    """``POST`` on a message or a run: only its metadata can be changed."""

    metadata: Metadata | None
    """Up to 16 pairs of text, stored with the object."""


class ThreadUpdateParameters(MetadataParameters, total=False):
    """``POST /threads/{thread_id}``."""

    tool_resources: Object | None
    """The files and vector stores that tools may use on this thread."""


class StepParameters(RequestOptions, total=False):
    """``GET /threads/{thread_id}/runs/{run_id}/steps/{step_id}``."""

    include: Iterable[str]
    """More fields to return, such as the content of the results of file search."""


class StepListParameters(ListParameters, total=False):
    """``GET /threads/{thread_id}/runs/{run_id}/steps``."""

    include: Iterable[str]
    """More fields to return, such as the content of the results of file search."""


class ThreadParameters(RequestOptions, total=False):
    """``POST /threads``."""

    messages: Objects
    """The messages that the thread begins with."""
    tool_resources: Object | None
    """The files and vector stores that tools may use on this thread."""
    metadata: Metadata | None
    """Up to 16 pairs of text, stored with the object."""


class MessageParameters(RequestOptions, BusyOptions, total=False):
    """``POST /threads/{thread_id}/messages``."""

    role: Required[str]
    """``"user"`` or ``"assistant"``."""
    content: Required[str | Objects]
    """The text, or a list of parts."""
    attachments: Objects | None
    """Files for the tools: mappings with ``file_id`` and ``tools``."""
    metadata: Metadata | None
    """Up to 16 pairs of text, stored with the object."""


class CommonRunParameters(RequestOptions, total=False):
    """The parameters of every call that creates a run."""

    assistant_id: Required[str]
    """The id of the assistant that runs."""
    model: str
    """The model of this run, instead of the assistant's."""
    instructions: str | None
    """The instructions of this run, instead of the assistant's."""
    tools: Tools | Toolbox | None
    """The tools of this run, instead of the assistant's: functions, mappings, models."""
    metadata: Metadata | None
    """Up to 16 pairs of text, stored with the object."""
    temperature: float | None
    """How random the answer is, from 0 to 2."""
    top_p: float | None
    """The share of likely tokens that the model chooses from, from 0 to 1."""
    max_prompt_tokens: int | None
    """How many tokens the prompts of the run may have together."""
    max_completion_tokens: int | None
    """How many tokens the model may write in the run."""
    truncation_strategy: Object | None
    """How much of a long thread the model reads."""
    tool_choice: str | Object | None
    """``"auto"``, ``"none"``, ``"required"``, or the tool that the model must call."""
    parallel_tool_calls: bool
    """Whether the model may make several calls at once."""
    response_format: str | Object | None
    """``"auto"`` or an object, such as ``{"type": "json_object"}``."""


class RunParameters(CommonRunParameters, StartOptions, total=False):
    """``POST /threads/{thread_id}/runs``.

    ``additional_messages`` are added to the thread before the run starts, in the same request.
    """

    additional_instructions: str | None
    """Instructions that are added to the assistant's for this run."""
    additional_messages: Objects | None
    """Messages that are added to the thread before the run."""
    tool_resources: Object | None
    """The files and vector stores that the tools of this run may use."""
    reasoning_effort: str | None
    """How much a reasoning model thinks, such as ``"low"``."""
    include: Iterable[str]
    """More fields to return, such as the content of the results of file search."""


class ThreadAndRunParameters(CommonRunParameters, total=False):
    """``POST /threads/runs``."""

    thread: Object
    """The thread to create: a mapping with ``messages``, ``metadata``, ``tool_resources``."""
    tool_resources: Object | None
    """The files and vector stores that the tools of this run may use."""
    idempotent: bool
    """Mark the run, so that it can be found if an answer is lost: never two runs."""
    patience: float | None
    """Seconds for which ``idempotent`` looks for the run (30); ``None``: it looks once."""


class ToolOutputsParameters(RequestOptions, total=False):
    """``POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs``.

    Approvals (Azure AI Foundry) are mappings with ``tool_call_id`` and ``approve``.
    """

    tool_outputs: Objects
    """Mappings with ``tool_call_id`` and ``output``, one for each call."""
    tool_approvals: Objects
    """Mappings with ``tool_call_id`` and ``approve`` (Azure AI Foundry)."""


class RunPollParameters(
    RunParameters, RunPollOptions, ToolOptions[Approvable, ToolCall], total=False
):
    """``POST /threads/{thread_id}/runs``, and then polls."""


class ThreadAndRunPollParameters(
    ThreadAndRunParameters, RunPollOptions, ToolOptions[Approvable, ToolCall], total=False
):
    """``POST /threads/runs``, and then polls."""


class OutputsPollParameters(ToolOutputsParameters, RunPollOptions, total=False):
    """``POST …/submit_tool_outputs``, and then polls."""


class OutputsStreamParameters(ToolOutputsParameters, StreamOptions[HandlerT], total=False):
    """``POST …/submit_tool_outputs``, as a stream."""


class RunStreamParameters(
    RunParameters, StreamOptions[HandlerT], ToolOptions[Approvable, ToolCall], total=False
):
    """``POST /threads/{thread_id}/runs``, as a stream."""


class RunFollowParameters(
    RequestOptions, StreamOptions[HandlerT], ToolOptions[Approvable, ToolCall], total=False
):
    """A run that exists, as a stream.

    The run has its tools already: no definition among ``tools`` is sent.
    """

    tools: Tools | Toolbox | None
    """The functions that are called when the run requires them."""
    include: Iterable[str]
    """More fields to return, such as the content of the results of file search."""
    poll_interval_ms: float
    """Milliseconds between two polls of the run (1,000)."""


class ThreadAndRunStreamParameters(
    ThreadAndRunParameters, StreamOptions[HandlerT], ToolOptions[Approvable, ToolCall], total=False
):
    """``POST /threads/runs``, as a stream."""


__all__ = [
    "AssistantParameters",
    "AssistantSettings",
    "AssistantUpdateParameters",
    "CommonRunParameters",
    "MessageListParameters",
    "MessageParameters",
    "MetadataParameters",
    "OutputsPollParameters",
    "OutputsStreamParameters",
    "RunFollowParameters",
    "RunParameters",
    "RunPollParameters",
    "RunStreamParameters",
    "StepListParameters",
    "StepParameters",
    "ThreadAndRunParameters",
    "ThreadAndRunPollParameters",
    "ThreadAndRunStreamParameters",
    "ThreadParameters",
    "ThreadUpdateParameters",
    "ToolOutputsParameters",
]
