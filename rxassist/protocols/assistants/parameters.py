"""The parameters of the endpoints, as keyword arguments: API reference, request bodies.

A parameter that is not given is not sent; ``None`` sends a null. Objects are mappings with the
field names of the wire; tools may also be models.
"""

# Evaluated at once (no ``from __future__ import annotations``): ``Required`` is read at runtime.

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


class BusyOptions(TypedDict, total=False):
    """What to do on a thread with a run that works or waits: none of these options is sent.

    ``if_busy="fail"``, the default, raises a ``ThreadBusyError``; ``"wait"`` waits until that run
    has ended; ``"cancel"`` cancels it. Runs and messages of one client that wait for one thread
    keep the order of their subscriptions.
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


class StartOptions(BusyOptions, total=False):
    """How a run is started: none of these options is sent.

    If it is unknown whether a run was created, the call fails with ``RunOutcomeUnknown``, and does
    not request the run again. With ``idempotent`` the run has a mark in its metadata, and the call
    first looks for a run with that mark, for ``patience`` seconds (30; ``None``: once).
    """

    idempotent: bool
    """Mark the run, so that it can be found if an answer is lost: never two runs."""
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


class ToolOptions(TypedDict, total=False):
    """How the functions among ``tools`` are called when the run requires them.

    The definitions of a list are sent as the run's ``tools``, instead of the assistant's, and its
    functions are called. A ``Toolbox`` is only called: the assistant has its ``definitions``.

    All calls of a round run at once, or ``max_concurrent_tools`` of them, for ``tool_timeout``
    seconds each, by default without bound. ``approve`` is called before each call, also before
    calls that the service makes itself (MCP): a function, a coroutine or an Observable that gives
    ``True``, or a reason against the call. If a call fails, the model receives the error; with
    ``on_tool_error="raise"`` the stream or poll ends in a ``ToolError``; a function of the call and
    the error returns the reply to the model. After ``max_rounds`` rounds (16) the stream or poll
    ends in a ``ToolRoundsExceeded``.
    """

    max_rounds: int
    """How often the run may require tools (16); one more ends in ``ToolRoundsExceeded``."""
    max_concurrent_tools: int | None
    """How many functions run at once; by default all calls of a round."""
    tool_timeout: float | None
    """Seconds for each function; by default no bound."""
    on_tool_error: OnToolError
    """``"tell"`` the model, ``"raise"`` a ``ToolError``, or a function of call and error."""
    approve: Approve | None
    """A function that is called before each call: it returns ``True``, or a reason against it."""


class StreamOptions(TypedDict, Generic[HandlerT], total=False):
    """How a stream behaves on this side: none of these options is sent.

    ``replay=False`` drops the events that every subscriber has received. The stream reads at most
    ``read_ahead`` events ahead of a reader that can be slow (1,024; ``None``: no bound).
    ``on_dispose="cancel"`` cancels the run on the server when the last subscriber leaves before
    its end, and ``close()`` waits for that; ``"detach"``, the default, leaves it working. With
    ``linger`` the stream continues for so many seconds after the last subscriber left, for one that
    comes back; by default it ends at once. ``event_handler`` receives each event once, before any
    subscriber; it is an ``AssistantEventHandler`` on a ``Client``, an
    ``AsyncAssistantEventHandler`` on an ``AsyncClient``.

    If the connection is lost, or silent for ``idle_timeout`` seconds (by default the client's; any
    byte ends the silence), the run is still followed to its end, unless ``recover`` is ``False``;
    the service may be out of reach for ``recovery_timeout`` seconds (60). The whole stream ends
    after ``deadline`` seconds, by default never, in an ``APITimeoutError``; if the run then waits
    for ``tools`` of this call, it is cancelled, as no code would resume it.
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
    """How many events the stream may read ahead of a slow reader (1,024; ``None``: no bound)."""
    on_dispose: OnDispose
    """``"cancel"`` cancels the run when the last reader leaves; ``"detach"`` does not."""
    linger: float
    """Seconds for which the stream continues after the last subscriber has left (0)."""
    event_handler: HandlerT | None
    """Its callbacks are called once for each event, before any subscriber."""


class RunPollOptions(PollOptions, total=False):
    """How a run is polled.

    ``on_dispose="cancel"`` cancels the run on the server when the last subscriber leaves before
    its end, or the deadline comes; ``"detach"``, the default, leaves it working.

    After ``deadline`` seconds, counted from the subscription, the poll ends in ``PollTimeout``,
    even if the run has not begun. If the run then waits for ``tools`` of this call, as far as the
    polls know, it is cancelled, as no code would resume it. ``PollTimeout`` comes only when a run
    that is being cancelled has ended, at most five seconds late; a failure to cancel is logged.
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
