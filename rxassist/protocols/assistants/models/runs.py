"""Runs and the calls that they wait for (API reference: Runs)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from rxassist.protocols.assistants.models.assistants import AssistantTool
from rxassist.protocols.assistants.models.values import (
    IncompleteDetails,
    ResponseFormat,
    ToolResources,
)
from rxassist.runs.state import AnyRun, AnyToolCall, Usage
from rxassist.wire.values import LastError, Model, Unknown


@frozen
class FunctionCall(Model):
    """The function to call; ``arguments`` is JSON text as the model wrote it."""

    name: str = ""
    arguments: str = ""


@frozen
class RequiredActionFunctionToolCall(Model, AnyToolCall):
    """A call that the run waits for; submit its output with its ``id``."""

    id: str
    function: FunctionCall = FunctionCall()
    type: Literal["function"] = "function"


@frozen
class RequiredActionMCPToolCall(Model, AnyToolCall):
    """A call of a tool of an MCP server that waits for approval (Azure AI Foundry)."""

    id: str
    name: str = ""
    arguments: str = ""
    server_label: str = ""
    type: Literal["mcp"] = "mcp"


@frozen
class UnknownRequiredToolCall(Unknown, AnyToolCall):
    """A call that the run waits for, of a type that this version does not know."""

    @property
    def id(self) -> str:
        """The call's id, empty if there is none."""
        return str(self.raw.get("id") or "")


RequiredToolCall = (
    RequiredActionFunctionToolCall | RequiredActionMCPToolCall | UnknownRequiredToolCall
)


@frozen
class SubmitToolOutputs(Model):
    """The calls whose outputs the run waits for."""

    tool_calls: tuple[RequiredToolCall, ...] = ()


@frozen
class RequiredActionSubmitToolOutputs(Model):
    """The run waits for the outputs of functions."""

    submit_tool_outputs: SubmitToolOutputs = SubmitToolOutputs()
    type: Literal["submit_tool_outputs"] = "submit_tool_outputs"


@frozen
class SubmitToolApproval(Model):
    """The calls whose approval the run waits for."""

    tool_calls: tuple[RequiredToolCall, ...] = ()


@frozen
class RequiredActionSubmitToolApproval(Model):
    """The run waits for calls to be approved or refused (Azure AI Foundry)."""

    submit_tool_approval: SubmitToolApproval = SubmitToolApproval()
    type: Literal["submit_tool_approval"] = "submit_tool_approval"


@frozen
class UnknownRequiredAction(Unknown):
    """The run waits for something that this version does not know."""


RequiredAction = (
    RequiredActionSubmitToolOutputs | RequiredActionSubmitToolApproval | UnknownRequiredAction
)


@frozen
class ToolChoiceFunctionName(Model):
    """The function that the model must call."""

    name: str = ""


@frozen
class ToolChoice(Model):
    """The tool that the model must call."""

    type: str
    function: ToolChoiceFunctionName | None = None


@frozen
class TruncationStrategy(Model):
    """How much of a long thread the model reads."""

    type: str = "auto"
    last_messages: int | None = None


@frozen
class Run(AnyRun):
    """One answer of an assistant on a thread.

    ``status`` is one of ``queued``, ``in_progress``, ``requires_action``, ``cancelling``,
    ``cancelled``, ``failed``, ``completed``, ``incomplete``, ``expired``, or a text that a
    server made up.
    """

    id: str
    object: str = "thread.run"
    created_at: float = 0
    thread_id: str = ""  # pyright: ignore[reportIncompatibleMethodOverride] -- as a field
    assistant_id: str = ""
    status: str = ""  # pyright: ignore[reportIncompatibleMethodOverride] -- as a field
    required_action: RequiredAction | None = None
    last_error: LastError | None = None
    expires_at: float | None = None
    started_at: float | None = None
    cancelled_at: float | None = None
    failed_at: float | None = None
    completed_at: float | None = None
    incomplete_details: IncompleteDetails | None = None
    model: str = ""
    instructions: str | None = None
    tools: tuple[AssistantTool, ...] = ()
    tool_resources: ToolResources | None = None
    metadata: Mapping[str, str] = field(factory=dict[str, str])
    usage: Usage | None = None
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    truncation_strategy: TruncationStrategy | None = None
    tool_choice: str | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None


__all__ = [
    "FunctionCall",
    "RequiredAction",
    "RequiredActionFunctionToolCall",
    "RequiredActionMCPToolCall",
    "RequiredActionSubmitToolApproval",
    "RequiredActionSubmitToolOutputs",
    "RequiredToolCall",
    "Run",
    "SubmitToolApproval",
    "SubmitToolOutputs",
    "ToolChoice",
    "ToolChoiceFunctionName",
    "TruncationStrategy",
    "UnknownRequiredAction",
    "UnknownRequiredToolCall",
]
