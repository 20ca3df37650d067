"""What ``from rxassist import …`` gives."""

from rxassist import errors, events, models, operators
from rxassist.backpressure import Demand, current_demand, demanding
from rxassist.budget import Budget
from rxassist.client import AsyncClient, Client
from rxassist.consumers import LoopObservable, map_async
from rxassist.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    BlockingCallError,
    ClientClosed,
    ConflictError,
    DecodeError,
    EmptyError,
    EventTooLargeError,
    FilesFailed,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    PollTimeout,
    RateLimitError,
    RunFailed,
    RunOutcomeUnknown,
    RxAssistError,
    StreamClosed,
    StreamDiverged,
    StreamTruncated,
    ThreadBusyError,
    ToolError,
    ToolRoundsExceeded,
    UnprocessableEntityError,
    UploadError,
    WrongLoopError,
)
from rxassist.handler import AssistantEventHandler, AsyncAssistantEventHandler
from rxassist.iteration import iterate
from rxassist.many import RunEvent, RunSummary, merge_runs
from rxassist.operators._citations import Citation
from rxassist.operators._usage import Timings
from rxassist.polling import PollEvent, poll_many
from rxassist.run_stream import AsyncRunStream, RunStream
from rxassist.serialization import from_dict, from_json, to_dict, to_json
from rxassist.snapshots import Snapshot
from rxassist.tools import Tool, Toolbox, ToolResult, tool
from rxassist.typing import Operator
from rxassist.web import to_sse, to_sse_blocking

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "AssistantEventHandler",
    "AsyncAssistantEventHandler",
    "AsyncClient",
    "AsyncRunStream",
    "AuthenticationError",
    "BadRequestError",
    "BlockingCallError",
    "Budget",
    "Citation",
    "Client",
    "ClientClosed",
    "ConflictError",
    "DecodeError",
    "Demand",
    "EmptyError",
    "EventTooLargeError",
    "FilesFailed",
    "InternalServerError",
    "LoopObservable",
    "NotFoundError",
    "Operator",
    "PermissionDeniedError",
    "PollEvent",
    "PollTimeout",
    "RateLimitError",
    "RunEvent",
    "RunFailed",
    "RunOutcomeUnknown",
    "RunStream",
    "RunSummary",
    "RxAssistError",
    "Snapshot",
    "StreamClosed",
    "StreamDiverged",
    "StreamTruncated",
    "ThreadBusyError",
    "Timings",
    "Tool",
    "ToolError",
    "ToolResult",
    "ToolRoundsExceeded",
    "Toolbox",
    "UnprocessableEntityError",
    "UploadError",
    "WrongLoopError",
    "current_demand",
    "demanding",
    "errors",
    "events",
    "from_dict",
    "from_json",
    "iterate",
    "map_async",
    "merge_runs",
    "models",
    "operators",
    "poll_many",
    "to_dict",
    "to_json",
    "to_sse",
    "to_sse_blocking",
    "tool",
]
