"""What ``from rxassist import …`` gives."""

from typing import TYPE_CHECKING

from rxassist import errors, events, models, operators
from rxassist.client import AsyncClient, Client, ClientOptions
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
from rxassist.models import (
    Assistant,
    File,
    Message,
    Page,
    Run,
    RunStep,
    Thread,
    ToolCall,
    Usage,
    VectorStore,
    VectorStoreFile,
    VectorStoreFileBatch,
)
from rxassist.polling import PollEvent, poll_many
from rxassist.protocols.assistants.handler import AssistantEventHandler, AsyncAssistantEventHandler
from rxassist.protocols.assistants.snapshots import Snapshot
from rxassist.protocols.assistants.streams import AsyncRunStream, RunStream
from rxassist.protocols.responses.handler import AsyncResponseEventHandler, ResponseEventHandler
from rxassist.protocols.responses.models import Conversation, Response
from rxassist.protocols.responses.streams import AsyncResponseStream, ResponseStream
from rxassist.protocols.serialization import from_dict, from_json, to_dict, to_json
from rxassist.reactive.backpressure import Demand, current_demand, demanding
from rxassist.reactive.budget import Budget
from rxassist.reactive.coroutines import map_async
from rxassist.reactive.iteration import iterate
from rxassist.reactive.observable import LoopObservable
from rxassist.reactive.typing import Operator
from rxassist.runs.operators.citations import Citation
from rxassist.runs.operators.usage import Timings
from rxassist.runs.streams.merging import MergedEvent, RunSummary, merge_runs
from rxassist.runs.streams.web import to_sse, to_sse_blocking
from rxassist.runs.tools import Tool, Toolbox, ToolResult, tool
from rxassist.wire.transport import ResponseHead

if TYPE_CHECKING:  # this door has the types of the Assistants protocol

    class RunFailed(errors.RunFailed):
        """As at runtime, where it is the class of ``errors``."""

        run: Run
        snapshot: Snapshot | None

else:
    RunFailed = errors.RunFailed

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "Assistant",
    "AssistantEventHandler",
    "AsyncAssistantEventHandler",
    "AsyncClient",
    "AsyncResponseEventHandler",
    "AsyncResponseStream",
    "AsyncRunStream",
    "AuthenticationError",
    "BadRequestError",
    "BlockingCallError",
    "Budget",
    "Citation",
    "Client",
    "ClientClosed",
    "ClientOptions",
    "ConflictError",
    "Conversation",
    "DecodeError",
    "Demand",
    "EmptyError",
    "EventTooLargeError",
    "File",
    "FilesFailed",
    "InternalServerError",
    "LoopObservable",
    "MergedEvent",
    "Message",
    "NotFoundError",
    "Operator",
    "Page",
    "PermissionDeniedError",
    "PollEvent",
    "PollTimeout",
    "RateLimitError",
    "Response",
    "ResponseEventHandler",
    "ResponseHead",
    "ResponseStream",
    "Run",
    "RunFailed",
    "RunOutcomeUnknown",
    "RunStep",
    "RunStream",
    "RunSummary",
    "RxAssistError",
    "Snapshot",
    "StreamClosed",
    "StreamDiverged",
    "StreamTruncated",
    "Thread",
    "ThreadBusyError",
    "Timings",
    "Tool",
    "ToolCall",
    "ToolError",
    "ToolResult",
    "ToolRoundsExceeded",
    "Toolbox",
    "UnprocessableEntityError",
    "UploadError",
    "Usage",
    "VectorStore",
    "VectorStoreFile",
    "VectorStoreFileBatch",
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
