"""Values that several objects share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen

from rxassist.runs.state import FINISHED, SETTLED, Usage
from rxassist.runs.tools.definitions import FunctionDefinition, FunctionTool
from rxassist.wire.values import Deleted, ErrorObject, LastError, Model, Page, Unknown


@frozen
class IncompleteDetails(Model):
    """Why a run or a message stopped early, such as ``max_completion_tokens``."""

    reason: str | None = None


@frozen
class CodeInterpreterResources(Model):
    """The files that the code interpreter may read."""

    file_ids: tuple[str, ...] = ()


@frozen
class FileSearchResources(Model):
    """The vector stores that file search may read."""

    vector_store_ids: tuple[str, ...] = ()


@frozen
class ToolResources(Model):
    """The files and vector stores that the tools of an assistant or a thread may use."""

    code_interpreter: CodeInterpreterResources | None = None
    file_search: FileSearchResources | None = None


@frozen
class ResponseFormatText(Model):
    """Plain text, the default."""

    type: Literal["text"] = "text"


@frozen
class ResponseFormatJSONObject(Model):
    """Any JSON object."""

    type: Literal["json_object"] = "json_object"


@frozen
class ResponseFormatJSONSchema(Model):
    """JSON that fits a schema: ``json_schema`` has ``name``, ``schema``, ``strict``."""

    json_schema: Mapping[str, Any] = field(factory=dict[str, Any])
    type: Literal["json_schema"] = "json_schema"


@frozen
class UnknownResponseFormat(Unknown):
    """A response format of a type that this version does not know."""


ResponseFormat = (
    str
    | ResponseFormatText
    | ResponseFormatJSONObject
    | ResponseFormatJSONSchema
    | UnknownResponseFormat
)
"""``"auto"`` or an object."""


__all__ = [
    "FINISHED",
    "SETTLED",
    "CodeInterpreterResources",
    "Deleted",
    "ErrorObject",
    "FileSearchResources",
    "FunctionDefinition",
    "FunctionTool",
    "IncompleteDetails",
    "LastError",
    "Model",
    "Page",
    "ResponseFormat",
    "ResponseFormatJSONObject",
    "ResponseFormatJSONSchema",
    "ResponseFormatText",
    "ToolResources",
    "Unknown",
    "UnknownResponseFormat",
    "Usage",
]
