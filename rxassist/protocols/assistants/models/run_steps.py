"""Steps of a run and their tool calls (API reference: Run steps)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen

from rxassist.protocols.assistants.models.assistants import RankingOptions
from rxassist.runs.state import AnyToolCall, Usage
from rxassist.wire.values import LastError, Model, Unknown


@frozen
class MessageCreation(Model):
    """The message that a step wrote."""

    message_id: str = ""


@frozen
class MessageCreationStepDetails(Model):
    """The step wrote a message."""

    message_creation: MessageCreation = MessageCreation()
    type: Literal["message_creation"] = "message_creation"


@frozen
class Function(Model):
    """A function's name, its arguments as JSON text, and its output once it was submitted."""

    name: str = ""
    arguments: str = ""
    output: str | None = None


@frozen
class FunctionToolCall(Model, AnyToolCall):
    """A call of a function of yours."""

    id: str
    function: Function = Function()
    type: Literal["function"] = "function"


@frozen
class CodeInterpreterOutputLogs(Model):
    """The text that the code printed."""

    logs: str = ""
    type: Literal["logs"] = "logs"


@frozen
class CodeInterpreterImage(Model):
    """An image that the code drew, by the id of its file."""

    file_id: str = ""


@frozen
class CodeInterpreterOutputImage(Model):
    """An image that the code drew."""

    image: CodeInterpreterImage = CodeInterpreterImage()
    type: Literal["image"] = "image"


@frozen
class UnknownCodeInterpreterOutput(Unknown):
    """An output of the code interpreter of a type that this version does not know."""


CodeInterpreterOutput = (
    CodeInterpreterOutputLogs | CodeInterpreterOutputImage | UnknownCodeInterpreterOutput
)


@frozen
class CodeInterpreter(Model):
    """The code that ran, and its outputs."""

    input: str = ""
    outputs: tuple[CodeInterpreterOutput, ...] = ()


@frozen
class CodeInterpreterToolCall(Model, AnyToolCall):
    """Code that the service ran."""

    id: str
    code_interpreter: CodeInterpreter = CodeInterpreter()
    type: Literal["code_interpreter"] = "code_interpreter"


@frozen
class FileSearchResultContent(Model):
    """A piece of a file that was found."""

    type: str | None = None
    text: str | None = None


@frozen
class FileSearchResult(Model):
    """A file that was found, and how well it fits (``score`` from 0 to 1)."""

    file_id: str = ""
    file_name: str = ""
    score: float = 0
    content: tuple[FileSearchResultContent, ...] = ()
    attributes: Mapping[str, Any] | None = None


@frozen
class FileSearch(Model):
    """The options and the results of a search."""

    ranking_options: RankingOptions | None = None
    results: tuple[FileSearchResult, ...] = ()


@frozen
class FileSearchToolCall(Model, AnyToolCall):
    """A search in the vector stores."""

    id: str
    file_search: FileSearch = FileSearch()
    type: Literal["file_search"] = "file_search"


@frozen
class UnknownToolCall(Unknown, AnyToolCall):
    """A call of a tool that this version does not know, such as ``browser``."""

    @property
    def id(self) -> str:
        """The call's id, empty if there is none."""
        return str(self.raw.get("id") or "")


ToolCall = FunctionToolCall | CodeInterpreterToolCall | FileSearchToolCall | UnknownToolCall


@frozen
class ToolCallsStepDetails(Model):
    """The step called tools."""

    tool_calls: tuple[ToolCall, ...] = ()
    type: Literal["tool_calls"] = "tool_calls"


@frozen
class UnknownStepDetails(Unknown):
    """A step that did something which this version does not know."""


StepDetails = MessageCreationStepDetails | ToolCallsStepDetails | UnknownStepDetails


@frozen
class RunStep(Model):
    """One step of a run: a message written, or tools called.

    ``status`` is one of ``in_progress``, ``cancelled``, ``failed``, ``completed``, ``expired``,
    or a text that a server made up.
    """

    id: str
    object: str = "thread.run.step"
    created_at: float = 0
    assistant_id: str = ""
    thread_id: str = ""
    run_id: str = ""
    type: str = ""
    status: str = ""
    step_details: StepDetails | None = None
    last_error: LastError | None = None
    expires_at: float | None = None
    expired_at: float | None = None
    cancelled_at: float | None = None
    failed_at: float | None = None
    completed_at: float | None = None
    metadata: Mapping[str, str] | None = None
    usage: Usage | None = None


__all__ = [
    "CodeInterpreter",
    "CodeInterpreterImage",
    "CodeInterpreterOutput",
    "CodeInterpreterOutputImage",
    "CodeInterpreterOutputLogs",
    "CodeInterpreterToolCall",
    "FileSearch",
    "FileSearchResult",
    "FileSearchResultContent",
    "FileSearchToolCall",
    "Function",
    "FunctionToolCall",
    "MessageCreation",
    "MessageCreationStepDetails",
    "RunStep",
    "StepDetails",
    "ToolCall",
    "ToolCallsStepDetails",
    "UnknownCodeInterpreterOutput",
    "UnknownStepDetails",
    "UnknownToolCall",
]
