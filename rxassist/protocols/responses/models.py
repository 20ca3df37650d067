"""What the service stores: a response, the items of its output, and their parts.

Frozen values with the field names of the wire. Lists are tuples, unknown members of a tagged union
are ``Unknown…`` values, and fields that this version does not know are in ``extra``. API reference:
Responses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from attrs import field, frozen

from rxassist.runs.state import AnyRun, AnyToolCall, Usage
from rxassist.runs.tools.values import fit_value
from rxassist.wire.json import from_json
from rxassist.wire.values import LastError, LateText, Model, Unknown, on_wire, type_on_wire

_T = TypeVar("_T")

# --- parts of a message --------------------------------------------------------------------


@frozen
class FileCitation(Model):
    """The text before ``index`` is a citation of a file."""

    file_id: str = ""
    filename: str = ""
    index: int | None = None
    type: Literal["file_citation"] = "file_citation"


@frozen
class URLCitation(Model):
    """The text at ``start_index:end_index`` is a citation of a page."""

    url: str = ""
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None
    type: Literal["url_citation"] = "url_citation"


@frozen
class ContainerFileCitation(Model):
    """The text at ``start_index:end_index`` is a citation of a file that code created."""

    container_id: str = ""
    file_id: str = ""
    filename: str = ""
    start_index: int | None = None
    end_index: int | None = None
    type: Literal["container_file_citation"] = "container_file_citation"


@frozen
class FilePath(Model):
    """The text before ``index`` is the path of a file."""

    file_id: str = ""
    index: int | None = None
    type: Literal["file_path"] = "file_path"


@frozen
class UnknownAnnotation(Unknown):
    """An annotation of a type that this version does not know."""


Annotation = FileCitation | URLCitation | ContainerFileCitation | FilePath | UnknownAnnotation


@frozen
class OutputText(LateText):
    """A part of a message that is text, with its annotations by place."""

    _late = "text"

    text: str = ""
    annotations: tuple[Annotation, ...] = ()
    logprobs: tuple[Mapping[str, Any], ...] = ()
    type: Literal["output_text"] = "output_text"

    @property
    def value(self) -> str:
        """The text, by the name that it has in the Assistants protocol."""
        return self.text


@frozen
class InputText(Model):
    """A part of a message for the model, which is text; other parts of such keep their raw form."""

    text: str = ""
    type: Literal["input_text"] = "input_text"


@frozen
class Refusal(Model):
    """A part of a message in which the model says why it does not answer."""

    refusal: str = ""
    type: Literal["refusal"] = "refusal"


@frozen
class ReasoningText(Model):
    """A part of what the model thought, as it thought it."""

    text: str = ""
    type: Literal["reasoning_text"] = "reasoning_text"


@frozen
class SummaryText(Model):
    """A part of a summary of what the model thought."""

    text: str = ""
    type: Literal["summary_text"] = "summary_text"


@frozen
class UnknownPart(Unknown):
    """A part of an item of a type that this version does not know."""


ContentPart = OutputText | InputText | Refusal | ReasoningText | SummaryText | UnknownPart


# --- items ---------------------------------------------------------------------------------


@frozen
class OutputMessage(Model):
    """A message, mostly of the model; ``phase`` tells comments on the way from the final answer."""

    id: str = ""
    role: str = "assistant"
    status: str | None = None
    content: tuple[ContentPart, ...] = ()
    phase: str | None = None
    type: Literal["message"] = "message"

    @property
    def text(self) -> str:
        """The text of all parts that are text, joined; empty if none is."""
        texts = (part for part in self.content if isinstance(part, OutputText | InputText))
        return "".join(part.text or "" for part in texts)


@frozen
class Reasoning(Model):
    """What the model thought: a summary, the text itself, or both encrypted."""

    id: str = ""
    summary: tuple[ContentPart, ...] = ()
    content: tuple[ContentPart, ...] = ()
    encrypted_content: str | None = None
    status: str | None = None
    type: Literal["reasoning"] = "reasoning"


@frozen
class FunctionCall(Model, AnyToolCall):
    """A call of a function of yours; ``call_id`` goes back with its output."""

    call_id: str = ""
    name: str = ""
    arguments: str = ""
    id: str | None = None
    status: str | None = None
    type: Literal["function_call"] = "function_call"

    @property
    def function(self) -> FunctionCall:
        """The call itself: name and arguments are one level deeper in the Assistants protocol."""
        return self


@frozen
class FunctionCallOutput(Model):
    """The output of a call of a function: text, or a list of parts."""

    call_id: str = ""
    output: Any = None
    id: str | None = None
    status: str | None = None
    type: Literal["function_call_output"] = "function_call_output"


@frozen
class CustomToolCall(Model, AnyToolCall):
    """A call of a tool of yours that takes text."""

    call_id: str = ""
    name: str = ""
    input: str = ""
    id: str | None = None
    status: str | None = None
    type: Literal["custom_tool_call"] = "custom_tool_call"


@frozen
class CustomToolCallOutput(Model):
    """The output of a call of a custom tool: text, or a list of parts."""

    call_id: str = ""
    output: Any = None
    id: str | None = None
    type: Literal["custom_tool_call_output"] = "custom_tool_call_output"


@frozen
class CodeInterpreterCall(Model, AnyToolCall):
    """Code that the service ran."""

    id: str = ""
    status: str | None = None
    code: str | None = None
    container_id: str = ""
    outputs: tuple[Mapping[str, Any], ...] = ()
    type: Literal["code_interpreter_call"] = "code_interpreter_call"


@frozen
class FileSearchCall(Model, AnyToolCall):
    """A search in the vector stores."""

    id: str = ""
    status: str | None = None
    queries: tuple[str, ...] = ()
    results: tuple[Mapping[str, Any], ...] = ()
    type: Literal["file_search_call"] = "file_search_call"


@frozen
class WebSearchCall(Model, AnyToolCall):
    """A search on the web; ``action`` has the queries, or the page that was opened."""

    id: str = ""
    status: str | None = None
    action: Mapping[str, Any] | None = None
    type: Literal["web_search_call"] = "web_search_call"


@frozen
class ImageGenerationCall(Model, AnyToolCall):
    """An image that the service drew; ``result`` is the image in base 64."""

    id: str = ""
    status: str | None = None
    result: str | None = None
    revised_prompt: str | None = None
    type: Literal["image_generation_call"] = "image_generation_call"


@frozen
class MCPCall(Model, AnyToolCall):
    """A call of a tool of an MCP server, which the service made."""

    id: str = ""
    server_label: str = ""
    name: str = ""
    arguments: str = ""
    output: str | None = None
    error: Any = None
    status: str | None = None
    approval_request_id: str | None = None
    type: Literal["mcp_call"] = "mcp_call"


@frozen
class MCPListTools(Model):
    """The tools that an MCP server has."""

    id: str = ""
    server_label: str = ""
    tools: tuple[Mapping[str, Any], ...] = ()
    error: Any = None
    type: Literal["mcp_list_tools"] = "mcp_list_tools"


@frozen
class MCPApprovalRequest(Model, AnyToolCall):
    """A call of a tool of an MCP server that waits for your approval."""

    id: str = ""
    server_label: str = ""
    name: str = ""
    arguments: str = ""
    type: Literal["mcp_approval_request"] = "mcp_approval_request"


@frozen
class ComputerCall(Model, AnyToolCall):
    """What to do on a screen of yours."""

    id: str = ""
    call_id: str = ""
    action: Mapping[str, Any] | None = None
    actions: tuple[Mapping[str, Any], ...] = ()
    pending_safety_checks: tuple[Mapping[str, Any], ...] = ()
    status: str | None = None
    type: Literal["computer_call"] = "computer_call"


@frozen
class LocalShellCall(Model, AnyToolCall):
    """A command to run on a machine of yours."""

    id: str = ""
    call_id: str = ""
    action: Mapping[str, Any] | None = None
    status: str | None = None
    type: Literal["local_shell_call"] = "local_shell_call"


@frozen
class ShellCall(Model, AnyToolCall):
    """Commands to run: by the service, or, if ``environment`` is yours, by you."""

    id: str = ""
    call_id: str = ""
    action: Mapping[str, Any] | None = None
    environment: Mapping[str, Any] | None = None
    status: str | None = None
    type: Literal["shell_call"] = "shell_call"


@frozen
class ApplyPatchCall(Model, AnyToolCall):
    """A change of a file of yours: ``operation`` has its type, the path and the diff."""

    id: str = ""
    call_id: str = ""
    operation: Mapping[str, Any] | None = None
    status: str | None = None
    type: Literal["apply_patch_call"] = "apply_patch_call"


@frozen
class ToolSearchCall(Model, AnyToolCall):
    """A search for tools: by the service, or, if ``execution`` is ``client``, by you."""

    id: str = ""
    call_id: str | None = None
    execution: str = ""
    arguments: Any = None
    status: str | None = None
    type: Literal["tool_search_call"] = "tool_search_call"


@frozen
class Compaction(Model):
    """What came before, made smaller and encrypted."""

    id: str = ""
    encrypted_content: str | None = None
    type: Literal["compaction"] = "compaction"


@frozen
class UnknownItem(Unknown, AnyToolCall):
    """An item of a type that this version does not know, such as ``computer_call_output``."""

    @property
    def id(self) -> str:
        """The item's id, empty if there is none."""
        return str(self.raw.get("id") or "")


ToolCall = (
    FunctionCall
    | CustomToolCall
    | CodeInterpreterCall
    | FileSearchCall
    | WebSearchCall
    | ImageGenerationCall
    | MCPCall
    | MCPApprovalRequest
    | ComputerCall
    | LocalShellCall
    | ShellCall
    | ApplyPatchCall
    | ToolSearchCall
    | UnknownItem
)
"""A call of a tool, by whoever makes it; an ``UnknownItem`` if its type ends in ``_call``."""

OutputItem = (
    OutputMessage
    | Reasoning
    | FunctionCall
    | FunctionCallOutput
    | CustomToolCall
    | CustomToolCallOutput
    | CodeInterpreterCall
    | FileSearchCall
    | WebSearchCall
    | ImageGenerationCall
    | MCPCall
    | MCPListTools
    | MCPApprovalRequest
    | ComputerCall
    | LocalShellCall
    | ShellCall
    | ApplyPatchCall
    | ToolSearchCall
    | Compaction
    | UnknownItem
)


def tool_call_of(item: OutputItem) -> ToolCall | None:
    """The item if it is a call of a tool."""
    if isinstance(item, UnknownItem):
        return item if item.wire_type.endswith("_call") else None
    return item if isinstance(item, ToolCall) else None


def waits(item: OutputItem) -> bool:
    """Whether an item is a call that the service does not make itself: you must answer it."""
    if isinstance(item, ToolSearchCall):
        return item.execution == "client"
    if isinstance(item, ShellCall):
        environment = item.environment or {"type": "local"}
        return bool(environment.get("type") == "local")
    return isinstance(
        item,
        FunctionCall
        | CustomToolCall
        | MCPApprovalRequest
        | ComputerCall
        | LocalShellCall
        | ApplyPatchCall,
    )


# --- the response --------------------------------------------------------------------------


@frozen
class ResponseUsage(Usage):
    """Tokens that a response used. ``None`` if the service sent nothing, never 0."""

    prompt_tokens: int | None = field(default=None, metadata=on_wire("input_tokens"))
    completion_tokens: int | None = field(default=None, metadata=on_wire("output_tokens"))
    total_tokens: int | None = None
    prompt_token_details: Mapping[str, Any] | None = field(
        default=None, metadata=on_wire("input_tokens_details")
    )
    completion_tokens_details: Mapping[str, Any] | None = field(
        default=None, metadata=on_wire("output_tokens_details")
    )

    def plain(self) -> Usage:
        """The same as any protocol has it."""
        return Usage(
            self.prompt_tokens,
            self.completion_tokens,
            self.total_tokens,
            self.prompt_token_details,
            self.completion_tokens_details,
        )


@frozen
class IncompleteDetails(Model):
    """Why a response stopped early, such as ``max_output_tokens``."""

    reason: str | None = None


@frozen
class Response(AnyRun):
    """One answer of a model.

    ``status`` is ``queued``, ``in_progress``, ``requires_action``, ``completed``, ``failed``,
    ``incomplete``, ``cancelled``, or a text that a server made up.
    """

    id: str
    object: str = "response"
    created_at: float = 0
    wire_status: str = field(default="", metadata=on_wire("status"))
    """The status that the service sent: ``completed`` also if the response waits for you."""
    background: bool | None = None
    completed_at: float | None = None
    conversation: Mapping[str, Any] | None = None
    error: LastError | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: Any = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    model: str = ""
    output: tuple[OutputItem, ...] = ()
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    reasoning: Mapping[str, Any] | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    temperature: float | None = None
    text: Mapping[str, Any] | None = None
    tool_choice: Any = None
    tools: tuple[Mapping[str, Any], ...] = ()
    top_logprobs: int | None = None
    top_p: float | None = None
    truncation: str | None = None
    usage: ResponseUsage | None = None
    user: str | None = None
    metadata: Mapping[str, Any] | None = None

    @property
    def status(self) -> str:
        """How the response stands.

        The service calls a response ``completed`` also if its last item is a call that you must
        answer: here that is ``requires_action``.
        """
        if self.wire_status == "completed" and self.output and waits(self.output[-1]):
            return "requires_action"
        return self.wire_status

    @property
    def required_calls(self) -> tuple[ToolCall, ...]:
        """The calls that you must answer: those without an output behind them."""
        if self.status != "requires_action":
            return ()
        outputs = (item for item in self.output if type_on_wire(item).endswith("_output"))
        answered = {_call_id(item) for item in outputs} - {""}
        calls = (tool_call_of(item) for item in self.output if waits(item))
        return tuple(call for call in calls if call and _call_id(call) not in answered)

    @property
    def last_error(self) -> LastError | None:
        """Why the response failed, by the name that it has in the Assistants protocol."""
        return self.error

    @property
    def output_text(self) -> str:
        """The text of all messages, joined."""
        return "".join(item.text for item in self.output if isinstance(item, OutputMessage))

    def parse(self, kind: type[_T]) -> _T:
        """The answer as a value of a class, which was given as ``text_format``.

        Raises ``DecodeError`` if it does not fit: a response that is incomplete, or refuses to
        answer, has no such value.
        """
        value: _T = fit_value(from_json(self.output_text, "the answer"), kind, "the answer")
        return value


@frozen
class CompactedResponse(Model):
    """A context made smaller: its ``output`` is the input of the next response."""

    id: str
    object: str = "response.compaction"
    created_at: float = 0
    output: tuple[OutputItem, ...] = ()
    usage: ResponseUsage | None = None


@frozen
class Conversation(Model):
    """Items that the service keeps, for one response after the other."""

    id: str
    object: str = "conversation"
    created_at: float = 0
    metadata: Mapping[str, Any] | None = None


@frozen
class InputTokens(Model):
    """How many tokens an input has."""

    input_tokens: int = 0
    object: str = "response.input_tokens"


def _call_id(item: OutputItem) -> str:
    """What ties a call to its output, empty if nothing does."""
    call_id: object = getattr(item, "call_id", "")
    if isinstance(item, UnknownItem):
        call_id = item.raw.get("call_id")
    return str(call_id or "")


__all__ = [
    "Annotation",
    "ApplyPatchCall",
    "CodeInterpreterCall",
    "CompactedResponse",
    "Compaction",
    "ComputerCall",
    "ContainerFileCitation",
    "ContentPart",
    "Conversation",
    "CustomToolCall",
    "CustomToolCallOutput",
    "FileCitation",
    "FilePath",
    "FileSearchCall",
    "FunctionCall",
    "FunctionCallOutput",
    "ImageGenerationCall",
    "IncompleteDetails",
    "InputText",
    "InputTokens",
    "LocalShellCall",
    "MCPApprovalRequest",
    "MCPCall",
    "MCPListTools",
    "OutputItem",
    "OutputMessage",
    "OutputText",
    "Reasoning",
    "ReasoningText",
    "Refusal",
    "Response",
    "ResponseUsage",
    "ShellCall",
    "SummaryText",
    "ToolCall",
    "ToolSearchCall",
    "URLCitation",
    "UnknownAnnotation",
    "UnknownItem",
    "UnknownPart",
    "WebSearchCall",
    "tool_call_of",
    "waits",
]
