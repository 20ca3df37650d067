"""The parameters of the endpoints, as keyword arguments: API reference, request bodies.

A parameter that is not given is not sent; ``None`` sends a null. Objects are mappings with the
field names of the wire, tools may be models as well.
"""

# Evaluated at once (no ``from __future__ import annotations``): what is required is read from it.

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Required, TypeAlias, TypedDict

from rxassist.creation import IfBusy
from rxassist.handler import AssistantEventHandler, AsyncAssistantEventHandler
from rxassist.leaving import OnDispose
from rxassist.models import Tool as ToolModel
from rxassist.operators._run_tools import Approve, OnToolError
from rxassist.tools import Tool, Toolbox

Object: TypeAlias = Mapping[str, Any]
Objects: TypeAlias = Iterable[Object]
Tools: TypeAlias = Iterable[ToolModel | Object | Tool[..., Any] | Callable[..., Any]]
"""Functions are sent as their definitions."""
Metadata: TypeAlias = Mapping[str, str]


class RequestOptions(TypedDict, total=False):
    """What every call takes: additions to its request, and how it is made.

    ``timeout`` (seconds, ``None`` for without bound) and ``max_retries`` replace the client's.
    """

    extra_headers: Mapping[str, str] | None
    extra_query: Object | None
    extra_body: Object | None
    timeout: float | None
    max_retries: int


class PollOptions(RequestOptions, total=False):
    """How a poll is made.

    Without ``poll_interval_ms`` the service's ``openai-poll-after-ms`` is obeyed each time, else
    one second passes. After ``deadline`` seconds the poll ends in ``PollTimeout``.

    For ``patience`` seconds it asks again where the service is out of reach or does not find what
    is polled: 60 of what the same call has created or gone on with, which may be stored late. By
    default any other poll fails at once. Where a run is created it is the patience of
    ``idempotent``, too.
    """

    poll_interval_ms: float
    deadline: float | None
    patience: float | None


class ListParameters(RequestOptions, total=False):
    """Which items of a list: ``limit`` of them a page, from 1 to 100."""

    limit: int
    order: Literal["asc", "desc"]
    after: str
    before: str


class MessageListParameters(ListParameters, total=False):
    """Which messages: those of a run, if ``run_id`` is given."""

    run_id: str


class AssistantSettings(RequestOptions, total=False):
    """What an assistant is, besides its model."""

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


class AssistantParameters(AssistantSettings, total=False):
    """``POST /assistants``."""

    model: Required[str]


class AssistantUpdateParameters(AssistantSettings, total=False):
    """``POST /assistants/{assistant_id}``."""

    model: str


class MetadataParameters(RequestOptions, total=False):
    """``POST`` on a message or a run: only its metadata can be changed."""

    metadata: Metadata | None


class ThreadUpdateParameters(MetadataParameters, total=False):
    """``POST /threads/{thread_id}``."""

    tool_resources: Object | None


class StepParameters(RequestOptions, total=False):
    """``GET /threads/{thread_id}/runs/{run_id}/steps/{step_id}``."""

    include: Iterable[str]


class StepListParameters(ListParameters, total=False):
    """``GET /threads/{thread_id}/runs/{run_id}/steps``."""

    include: Iterable[str]


class FileListParameters(ListParameters, total=False):
    """``GET /files``."""

    purpose: str


class FileParameters(RequestOptions, total=False):
    """``POST /files``, besides the file itself."""

    purpose: Required[str]
    expires_after: Object


class VectorStoreUpdateParameters(RequestOptions, total=False):
    """``POST /vector_stores/{vector_store_id}``."""

    name: str | None
    expires_after: Object | None
    metadata: Metadata | None


class VectorStoreParameters(RequestOptions, total=False):
    """``POST /vector_stores``."""

    file_ids: Iterable[str]
    name: str
    description: str
    expires_after: Object
    chunking_strategy: Object
    metadata: Metadata | None


class IngestionParameters(RequestOptions, total=False):
    """How a file is taken into a vector store."""

    chunking_strategy: Object
    attributes: Object | None


class VectorStoreFileParameters(IngestionParameters, total=False):
    """``POST /vector_stores/{vector_store_id}/files``."""

    file_id: Required[str]


class VectorStoreFileUpdateParameters(RequestOptions, total=False):
    """``POST /vector_stores/{vector_store_id}/files/{file_id}``."""

    attributes: Required[Object]


class VectorStoreFileListParameters(ListParameters, total=False):
    """``GET /vector_stores/{vector_store_id}/files``: ``filter`` is a status."""

    filter: str


class FileBatchParameters(IngestionParameters, total=False):
    """``POST /vector_stores/{vector_store_id}/file_batches``: ids of files, or files."""

    file_ids: Iterable[str]
    files: Objects


class IngestionPollParameters(IngestionParameters, PollOptions, total=False):
    """How a file is taken into a vector store, and polled."""


class FileBatchPollParameters(FileBatchParameters, PollOptions, total=False):
    """``POST /vector_stores/{vector_store_id}/file_batches``, and then polls."""


class SearchParameters(RequestOptions, total=False):
    """``POST /vector_stores/{vector_store_id}/search``."""

    query: Required[str | Iterable[str]]
    filters: Object
    max_num_results: int
    ranking_options: Object
    rewrite_query: bool


class ThreadParameters(RequestOptions, total=False):
    """``POST /threads``."""

    messages: Objects
    tool_resources: Object | None
    metadata: Metadata | None


class BusyOptions(TypedDict, total=False):
    """What to do on a thread with a run that works or waits: nothing of it is sent.

    ``if_busy="fail"``, the default, is a ``ThreadBusyError``; ``"wait"`` waits until that run has
    ended; ``"cancel"`` cancels it. Runs and messages of one client that wait for one thread come in
    the order in which they were asked for.
    """

    if_busy: IfBusy


class MessageParameters(RequestOptions, BusyOptions, total=False):
    """``POST /threads/{thread_id}/messages``."""

    role: Required[str]
    content: Required[str | Objects]
    attachments: Objects | None
    metadata: Metadata | None


class CommonRunParameters(RequestOptions, total=False):
    """What every call that creates a run takes."""

    assistant_id: Required[str]
    model: str
    instructions: str | None
    tools: Tools | Toolbox | None
    metadata: Metadata | None
    temperature: float | None
    top_p: float | None
    max_prompt_tokens: int | None
    max_completion_tokens: int | None
    truncation_strategy: Object | None
    tool_choice: str | Object | None
    parallel_tool_calls: bool
    response_format: str | Object | None


class StartOptions(BusyOptions, total=False):
    """How a run is started: nothing of it is sent.

    Where nobody knows whether a run was created, that is a ``RunOutcomeUnknown``, and it is not
    asked for again. With ``idempotent`` the run carries a mark in its metadata, by which it is
    looked for before that is said, for ``patience`` seconds (30; ``None``: once).
    """

    idempotent: bool
    patience: float | None


class RunParameters(CommonRunParameters, StartOptions, total=False):
    """``POST /threads/{thread_id}/runs``.

    ``additional_messages`` are added to the thread before the run starts, in the same request.
    """

    additional_instructions: str | None
    additional_messages: Objects | None
    tool_resources: Object | None
    reasoning_effort: str | None
    include: Iterable[str]


class ThreadAndRunParameters(CommonRunParameters, total=False):
    """``POST /threads/runs``."""

    thread: Object
    tool_resources: Object | None
    idempotent: bool
    patience: float | None


class ToolOutputsParameters(RequestOptions, total=False):
    """``POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs``.

    Approvals (Azure AI Foundry) are mappings with ``tool_call_id`` and ``approve``.
    """

    tool_outputs: Objects
    tool_approvals: Objects


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
    max_concurrent_tools: int | None
    tool_timeout: float | None
    on_tool_error: OnToolError
    approve: Approve | None


class StreamOptions(TypedDict, total=False):
    """How a stream behaves on this side: nothing of it is sent.

    ``replay=False`` drops the events that every subscriber has seen. The stream runs at most
    ``read_ahead`` events ahead of a reader that can be slow (1,024; ``None``: without bound).
    ``on_dispose="cancel"`` cancels the run on the server when the last subscriber leaves before
    its end, and ``close()`` waits for that; ``"detach"``, the default, leaves it working.
    ``event_handler`` is told of each event
    once, before any subscriber: an ``AssistantEventHandler`` on a ``Client``, an
    ``AsyncAssistantEventHandler`` on an ``AsyncClient``.

    Where the connection is lost, or silent for ``idle_timeout`` seconds (the client's; any byte is
    a sign of life), the run is followed to its end all the same, unless ``recover`` is ``False``;
    the service may be out of reach for ``recovery_timeout`` seconds (60). The whole of it ends
    after ``deadline`` seconds, by default never, in an ``APITimeoutError``; a run that waits for
    ``tools`` of this call then is cancelled, as nobody goes on with it.
    """

    recover: bool
    recovery_timeout: float
    idle_timeout: float | None
    deadline: float | None
    replay: bool
    read_ahead: int | None
    on_dispose: OnDispose
    event_handler: AssistantEventHandler | AsyncAssistantEventHandler | None


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


class RunPollParameters(RunParameters, RunPollOptions, ToolOptions, total=False):
    """``POST /threads/{thread_id}/runs``, and then polls."""


class ThreadAndRunPollParameters(ThreadAndRunParameters, RunPollOptions, ToolOptions, total=False):
    """``POST /threads/runs``, and then polls."""


class OutputsPollParameters(ToolOutputsParameters, RunPollOptions, total=False):
    """``POST …/submit_tool_outputs``, and then polls."""


class OutputsStreamParameters(ToolOutputsParameters, StreamOptions, total=False):
    """``POST …/submit_tool_outputs``, as a stream."""


class RunStreamParameters(RunParameters, StreamOptions, ToolOptions, total=False):
    """``POST /threads/{thread_id}/runs``, as a stream."""


class ThreadAndRunStreamParameters(ThreadAndRunParameters, StreamOptions, ToolOptions, total=False):
    """``POST /threads/runs``, as a stream."""


__all__ = [
    "AssistantParameters",
    "AssistantSettings",
    "AssistantUpdateParameters",
    "BusyOptions",
    "CommonRunParameters",
    "FileBatchParameters",
    "FileBatchPollParameters",
    "FileListParameters",
    "FileParameters",
    "IngestionParameters",
    "IngestionPollParameters",
    "ListParameters",
    "MessageListParameters",
    "MessageParameters",
    "MetadataParameters",
    "OutputsPollParameters",
    "OutputsStreamParameters",
    "PollOptions",
    "RequestOptions",
    "RunParameters",
    "RunPollOptions",
    "RunPollParameters",
    "RunStreamParameters",
    "SearchParameters",
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
    "VectorStoreFileListParameters",
    "VectorStoreFileParameters",
    "VectorStoreFileUpdateParameters",
    "VectorStoreParameters",
    "VectorStoreUpdateParameters",
]
