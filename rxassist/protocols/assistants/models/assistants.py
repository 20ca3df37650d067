"""Assistants and the tools they may use (API reference: Assistants)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from rxassist.protocols.assistants.models.values import ResponseFormat, ToolResources
from rxassist.runs.tools.definitions import FunctionTool
from rxassist.wire.values import Model, Unknown


@frozen
class CodeInterpreterTool(Model):
    """The service runs the code that the model writes."""

    type: Literal["code_interpreter"] = "code_interpreter"


@frozen
class RankingOptions(Model):
    """How file search ranks its results; it omits scores below ``score_threshold``."""

    ranker: str | None = None
    score_threshold: float | None = None


@frozen
class FileSearchOptions(Model):
    """Settings of the file search tool."""

    max_num_results: int | None = None
    ranking_options: RankingOptions | None = None


@frozen
class FileSearchTool(Model):
    """The service searches the vector stores of the assistant and the thread."""

    file_search: FileSearchOptions | None = None
    type: Literal["file_search"] = "file_search"


@frozen
class UnknownTool(Unknown):
    """A tool of a type that this version does not know, such as ``bing_grounding``."""


AssistantTool = CodeInterpreterTool | FileSearchTool | FunctionTool | UnknownTool


@frozen
class Assistant(Model):
    """A model with instructions and tools."""

    id: str
    object: str = "assistant"
    created_at: float = 0
    name: str | None = None
    description: str | None = None
    model: str = ""
    instructions: str | None = None
    tools: tuple[AssistantTool, ...] = ()
    tool_resources: ToolResources | None = None
    metadata: Mapping[str, str] = field(factory=dict[str, str])
    temperature: float | None = None
    top_p: float | None = None
    reasoning_effort: str | None = None
    response_format: ResponseFormat | None = None


__all__ = [
    "Assistant",
    "AssistantTool",
    "CodeInterpreterTool",
    "FileSearchOptions",
    "FileSearchTool",
    "RankingOptions",
    "UnknownTool",
]
