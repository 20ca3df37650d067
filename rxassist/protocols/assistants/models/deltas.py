"""Deltas of messages and run steps: all fields but ``index`` are optional on the wire.

``index`` says which part, call, output or annotation of the object grows.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from rxassist.protocols.assistants.models.messages import (
    FileCitation,
    FilePath,
    ImageFile,
    ImageURL,
)
from rxassist.protocols.assistants.models.run_steps import (
    CodeInterpreterImage,
    FileSearch,
    MessageCreation,
)
from rxassist.wire.values import Delta, Unknown


@frozen
class UnknownDelta(Unknown):
    """The base of deltas of types that this version does not know."""

    @property
    def index(self) -> int:
        """The index of the growing part, 0 if the service sent none."""
        index = self.raw.get("index")
        return index if isinstance(index, int) else 0


@frozen
class FileCitationDeltaAnnotation(Delta):
    """A citation of a file that was added to a text."""

    index: int = 0
    text: str | None = None
    file_citation: FileCitation | None = None
    start_index: int | None = None
    end_index: int | None = None
    type: Literal["file_citation"] = "file_citation"


@frozen
class FilePathDeltaAnnotation(Delta):
    """A path of a file that was added to a text."""

    index: int = 0
    text: str | None = None
    file_path: FilePath | None = None
    start_index: int | None = None
    end_index: int | None = None
    type: Literal["file_path"] = "file_path"


@frozen
class UnknownAnnotationDelta(UnknownDelta):
    """An annotation of a type that this version does not know."""


AnnotationDelta = FileCitationDeltaAnnotation | FilePathDeltaAnnotation | UnknownAnnotationDelta


@frozen
class TextDelta(Delta):
    """Text that is added to the end of a part."""

    value: str | None = None
    annotations: tuple[AnnotationDelta, ...] = ()


@frozen
class TextDeltaBlock(Delta):
    """A text part grows."""

    index: int = 0
    text: TextDelta | None = None
    type: Literal["text"] = "text"


class _WithoutText:
    """A base of parts that are no text, so that every part has the attribute ``text``."""

    __slots__ = ()

    @property
    def text(self) -> None:
        """No text: another part has it."""


@frozen
class RefusalDeltaBlock(_WithoutText, Delta):
    """A refusal grows."""

    index: int = 0
    refusal: str | None = None
    type: Literal["refusal"] = "refusal"


@frozen
class ImageFileDeltaBlock(_WithoutText, Delta):
    """An image was added."""

    index: int = 0
    image_file: ImageFile | None = None
    type: Literal["image_file"] = "image_file"


@frozen
class ImageURLDeltaBlock(_WithoutText, Delta):
    """An image was added."""

    index: int = 0
    image_url: ImageURL | None = None
    type: Literal["image_url"] = "image_url"


@frozen
class UnknownContentDelta(_WithoutText, UnknownDelta):
    """A part of a type that this version does not know."""


MessageContentDelta = (
    TextDeltaBlock
    | RefusalDeltaBlock
    | ImageFileDeltaBlock
    | ImageURLDeltaBlock
    | UnknownContentDelta
)


@frozen
class MessageDelta(Delta):
    """The addition to a message."""

    role: str | None = None
    content: tuple[MessageContentDelta, ...] = ()


@frozen
class MessageDeltaEvent(Delta):
    """The data of ``thread.message.delta``: ``id`` is the message's."""

    id: str
    delta: MessageDelta = MessageDelta()
    object: str = "thread.message.delta"


@frozen
class FunctionDelta(Delta):
    """The addition to a call of a function."""

    name: str | None = None
    arguments: str | None = None
    output: str | None = None


@frozen
class FunctionToolCallDelta(Delta):
    """A call of a function grows."""

    index: int = 0
    id: str | None = None
    function: FunctionDelta | None = None
    type: Literal["function"] = "function"


@frozen
class CodeInterpreterLogsDelta(Delta):
    """Printed text that is added to the end of an output."""

    index: int = 0
    logs: str | None = None
    type: Literal["logs"] = "logs"


@frozen
class CodeInterpreterImageDelta(Delta):
    """An image that was added."""

    index: int = 0
    image: CodeInterpreterImage | None = None
    type: Literal["image"] = "image"


@frozen
class UnknownOutputDelta(UnknownDelta):
    """An output of a type that this version does not know."""


OutputDelta = CodeInterpreterLogsDelta | CodeInterpreterImageDelta | UnknownOutputDelta


@frozen
class CodeInterpreterDelta(Delta):
    """Code that is added to the end of the input, and outputs that grow."""

    input: str | None = None
    outputs: tuple[OutputDelta, ...] = ()


@frozen
class CodeInterpreterToolCallDelta(Delta):
    """A run of code grows."""

    index: int = 0
    id: str | None = None
    code_interpreter: CodeInterpreterDelta | None = None
    type: Literal["code_interpreter"] = "code_interpreter"


@frozen
class FileSearchToolCallDelta(Delta):
    """A search began, or its results came."""

    index: int = 0
    id: str | None = None
    file_search: FileSearch | None = None
    type: Literal["file_search"] = "file_search"


@frozen
class UnknownToolCallDelta(UnknownDelta):
    """A call of a tool that this version does not know grows."""

    @property
    def id(self) -> str:
        """The call's id, empty if the service sent none."""
        return str(self.raw.get("id") or "")


ToolCallDelta = (
    FunctionToolCallDelta
    | CodeInterpreterToolCallDelta
    | FileSearchToolCallDelta
    | UnknownToolCallDelta
)


@frozen
class ToolCallDeltaObject(Delta):
    """Tool calls of a step grow."""

    tool_calls: tuple[ToolCallDelta, ...] = ()
    type: Literal["tool_calls"] = "tool_calls"


@frozen
class MessageCreationDelta(Delta):
    """The step writes a message."""

    message_creation: MessageCreation | None = None
    type: Literal["message_creation"] = "message_creation"


@frozen
class UnknownStepDetailsDelta(UnknownDelta):
    """A step does something that this version does not know."""


StepDetailsDelta = ToolCallDeltaObject | MessageCreationDelta | UnknownStepDetailsDelta


@frozen
class RunStepDelta(Delta):
    """The addition to a step."""

    step_details: StepDetailsDelta | None = None


@frozen
class RunStepDeltaEvent(Delta):
    """The data of ``thread.run.step.delta``: ``id`` is the step's."""

    id: str
    delta: RunStepDelta = RunStepDelta()
    object: str = "thread.run.step.delta"


__all__ = [
    "AnnotationDelta",
    "CodeInterpreterDelta",
    "CodeInterpreterImageDelta",
    "CodeInterpreterLogsDelta",
    "CodeInterpreterToolCallDelta",
    "FileCitationDeltaAnnotation",
    "FilePathDeltaAnnotation",
    "FileSearchToolCallDelta",
    "FunctionDelta",
    "FunctionToolCallDelta",
    "ImageFileDeltaBlock",
    "ImageURLDeltaBlock",
    "MessageContentDelta",
    "MessageCreationDelta",
    "MessageDelta",
    "MessageDeltaEvent",
    "OutputDelta",
    "RefusalDeltaBlock",
    "RunStepDelta",
    "RunStepDeltaEvent",
    "StepDetailsDelta",
    "TextDelta",
    "TextDeltaBlock",
    "ToolCallDelta",
    "ToolCallDeltaObject",
    "UnknownAnnotationDelta",
    "UnknownContentDelta",
    "UnknownDelta",
    "UnknownOutputDelta",
    "UnknownStepDetailsDelta",
    "UnknownToolCallDelta",
]
