"""The parameters of the endpoints, as keyword arguments: API reference, request bodies.

A parameter that is not given is not sent; ``None`` sends a null. Objects are mappings with the
field names of the wire, tools may be models as well.
"""

# Evaluated at once (no ``from __future__ import annotations``): what is required is read from it.

from collections.abc import Callable, Iterable
from typing import Any, Generic, Required, TypeAlias, TypedDict, TypeVar

from rxassist.protocols.assistants.handler import AssistantEventHandler, AsyncAssistantEventHandler
from rxassist.protocols.assistants.models import AssistantTool
from rxassist.protocols.assistants.run_tools import Approve, OnToolError
from rxassist.runs.streams.creation import IfBusy
from rxassist.runs.streams.leaving import OnDispose
from rxassist.runs.tools import Tool, Toolbox
from rxassist.wire.options import (
    ListParameters,
    Metadata,
    Object,
    Objects,
    PollOptions,
    RequestOptions,
)

HandlerT = TypeVar("HandlerT", bound=AssistantEventHandler | AsyncAssistantEventHandler)
"""The handlers of a client."""


Tools: TypeAlias = Iterable[AssistantTool | Object | Tool[..., Any] | Callable[..., Any]]
"""Functions are sent as their definitions."""


class MessageListParameters(ListParameters, total=False):
    """Which messages: those of a run, if ``run_id`` is given."""

    run_id: str
    """Only the messages that this run wrote."""


class AssistantSettings(RequestOptions, total=False):
    """What an assistant is, besides its model."""

    name: str | None
    """The name, of at most 256 characters."""
    description: str | None
    """The description, of at most 512 characters."""
    instructions: str | None
    """What the model is told to be and to do."""
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
    """What else to return, such as the content of the results of file search."""


class StepListParameters(ListParameters, total=False):
    """``GET /threads/{thread_id}/runs/{run_id}/steps``."""

    include: Iterable[str]
    """What else to return, such as the content of the results of file search."""


class ThreadParameters(RequestOptions, total=False):
    """``POST /threads``."""

    messages: Objects
    """The messages that the thread begins with."""
    tool_resources: Object | None
    """The files and vector stores that tools may use on this thread."""
    metadata: Metadata | None
    """Up to 16 pairs of text, stored with the object."""


class BusyOptions(TypedDict, total=False):
    """What to do on a thread with a run that works or waits: nothing of it is sent.

    ``if_busy="fail"``, the default, is a ``ThreadBusyError``; ``"wait"`` waits until that run has
    ended; ``"cancel"`` cancels it. Runs and messages of one client that wait for one thread come in
    the order in which they were asked for.
    """

    if_busy: IfBusy
    """What to do on a thread with an active run: ``"fail"``, ``"wait"`` or ``"cancel"`` it."""


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
    """What every call that creates a run takes."""

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
    """Whether the model may ask for several calls at once."""
    response_format: str | Object | None
    """``"auto"`` or an object, such as ``{"type": "json_object"}``."""


class StartOptions(BusyOptions, total=False):
    """How a run is started: nothing of it is sent.

    Where nobody knows whether a run was created, that is a ``RunOutcomeUnknown``, and it is not
    asked for again. With ``idempotent`` the run carries a mark in its metadata, by which it is
    looked for before that is said, for ``patience`` seconds (30; ``None``: once).
    """

    idempotent: bool
    """Mark the run, so that it is looked for where an answer was lost: never two runs."""
    patience: float | None
    """Seconds for which ``idempotent`` looks for the run (30); ``None``: it looks once."""


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
    """What else to return, such as the content of the results of file search."""


class ThreadAndRunParameters(CommonRunParameters, total=False):
    """``POST /threads/runs``."""

    thread: Object
    """The thread to create: a mapping with ``messages``, ``metadata``, ``tool_resources``."""
    tool_resources: Object | None
    """The files and vector stores that the tools of this run may use."""
    idempotent: bool
    """Mark the run, so that it is looked for where an answer was lost: never two runs."""
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


class ToolOptions(TypedDict, total=False):
    """How the functions among ``tools`` are called when the run asks for them.

    The definitions of a list are sent as the run's ``tools``, instead of the assistant's, and its
    functions are called. A ``Toolbox`` is called only: the assistant has its ``definitions``.

    The calls of a round run all at a time, or ``max_concurrent_tools`` of them, for
    ``tool_timeout`` seconds each, by default without bound. ``approve`` is asked before each call,
    also of those that the service makes itself (MCP): a function, a coroutine or an Observable
    that gives ``True``, or why not. What fails is told the model; with ``on_tool_error="raise"`` it
    is a ``ToolError``, and a function of the call and the error gives what is told. After
    ``max_rounds`` rounds (16) that is a ``ToolRoundsExceeded``.
    """

    max_rounds: int
    """How often the run may ask for tools (16); then it is ``ToolRoundsExceeded``."""
    max_concurrent_tools: int | None
    """How many functions run at a time; by default all calls of a round."""
    tool_timeout: float | None
    """Seconds for each function; by default no bound."""
    on_tool_error: OnToolError
    """``"tell"`` the model, ``"raise"`` a ``ToolError``, or a function of call and error."""
    approve: Approve | None
    """A function that is asked before each call: it gives ``True``, or why not."""


class StreamOptions(TypedDict, Generic[HandlerT], total=False):
    """How a stream behaves on this side: nothing of it is sent.

    ``replay=False`` drops the events that every subscriber has seen. The stream runs at most
    ``read_ahead`` events ahead of a reader that can be slow (1,024; ``None``: without bound).
    ``on_dispose="cancel"`` cancels the run on the server when the last subscriber leaves before
    its end, and ``close()`` waits for that; ``"detach"``, the default, leaves it working. With
    ``linger`` the stream goes on for so many seconds after the last subscriber left, for one that
    comes back; by default it ends at once. ``event_handler`` is told of each event
    once, before any subscriber: an ``AssistantEventHandler`` on a ``Client``, an
    ``AsyncAssistantEventHandler`` on an ``AsyncClient``.

    Where the connection is lost, or silent for ``idle_timeout`` seconds (the client's; any byte is
    a sign of life), the run is followed to its end all the same, unless ``recover`` is ``False``;
    the service may be out of reach for ``recovery_timeout`` seconds (60). The whole of it ends
    after ``deadline`` seconds, by default never, in an ``APITimeoutError``; a run that waits for
    ``tools`` of this call then is cancelled, as nobody goes on with it.
    """

    recover: bool
    """Whether a run is followed to its end after its connection is lost (``True``)."""
    recovery_timeout: float
    """Seconds for which the service may be out of reach then (60)."""
    idle_timeout: float | None
    """Seconds of silence after which a stream is recovered; ``None`` for no bound."""
    deadline: float | None
    """Seconds after which the stream ends in an error; by default never."""
    replay: bool
    """``False`` drops the events that every subscriber has received."""
    read_ahead: int | None
    """How many events the stream may be ahead of a slow reader (1,024; ``None``: no bound)."""
    on_dispose: OnDispose
    """``"cancel"`` cancels the run when the last reader leaves; ``"detach"`` does not."""
    linger: float
    """Seconds for which the run is read on after the last subscriber has left (0)."""
    event_handler: HandlerT | None
    """Its callbacks are called once for each event, before any subscriber."""


class RunPollOptions(PollOptions, total=False):
    """How a run is polled.

    ``on_dispose="cancel"`` cancels the run on the server when the last subscriber leaves before
    its end, or the deadline comes; ``"detach"``, the default, leaves it working.

    After ``deadline`` seconds, counted from the subscription, the poll ends in ``PollTimeout``,
    also where the run has not begun. If the run was last seen to wait for ``tools`` of this call,
    nobody goes on with it, and it is cancelled. ``PollTimeout`` comes when a run that is to be
    cancelled has ended, at most five seconds late; if it cannot be cancelled, that is logged.
    """

    on_dispose: OnDispose
    """``"cancel"`` cancels the run when readers leave or time is up; ``"detach"`` does not."""


class RunPollParameters(RunParameters, RunPollOptions, ToolOptions, total=False):
    """``POST /threads/{thread_id}/runs``, and then polls."""


class ThreadAndRunPollParameters(ThreadAndRunParameters, RunPollOptions, ToolOptions, total=False):
    """``POST /threads/runs``, and then polls."""


class OutputsPollParameters(ToolOutputsParameters, RunPollOptions, total=False):
    """``POST …/submit_tool_outputs``, and then polls."""


class OutputsStreamParameters(ToolOutputsParameters, StreamOptions[HandlerT], total=False):
    """``POST …/submit_tool_outputs``, as a stream."""


class RunStreamParameters(RunParameters, StreamOptions[HandlerT], ToolOptions, total=False):
    """``POST /threads/{thread_id}/runs``, as a stream."""


class ThreadAndRunStreamParameters(
    ThreadAndRunParameters, StreamOptions[HandlerT], ToolOptions, total=False
):
    """``POST /threads/runs``, as a stream."""


__all__ = [
    "AssistantParameters",
    "AssistantSettings",
    "AssistantUpdateParameters",
    "BusyOptions",
    "CommonRunParameters",
    "MessageListParameters",
    "MessageParameters",
    "MetadataParameters",
    "OutputsPollParameters",
    "OutputsStreamParameters",
    "RunParameters",
    "RunPollOptions",
    "RunPollParameters",
    "RunStreamParameters",
    "StartOptions",
    "StepListParameters",
    "StepParameters",
    "StreamOptions",
    "ThreadAndRunParameters",
    "ThreadAndRunPollParameters",
    "ThreadAndRunStreamParameters",
    "ThreadParameters",
    "ThreadUpdateParameters",
    "ToolOptions",
    "ToolOutputsParameters",
]
