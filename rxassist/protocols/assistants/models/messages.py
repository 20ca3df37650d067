"""Messages, their content and its annotations (API reference: Messages)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from rxassist.protocols.assistants.models.assistants import AssistantTool
from rxassist.protocols.assistants.models.values import IncompleteDetails
from rxassist.wire.values import LateText, Model, Unknown


@frozen
class FileCitation(Model):
    """The file that a piece of text is quoted from."""

    file_id: str = ""
    quote: str | None = None


@frozen
class FileCitationAnnotation(Model):
    """Marks ``text`` at ``start_index:end_index`` as a citation of a file."""

    text: str | None = None
    file_citation: FileCitation = FileCitation()
    start_index: int | None = None
    end_index: int | None = None
    type: Literal["file_citation"] = "file_citation"


@frozen
class FilePath(Model):
    """A file that the code interpreter made."""

    file_id: str = ""


@frozen
class FilePathAnnotation(Model):
    """Marks ``text`` at ``start_index:end_index`` as the path of a file that was made."""

    text: str | None = None
    file_path: FilePath = FilePath()
    start_index: int | None = None
    end_index: int | None = None
    type: Literal["file_path"] = "file_path"


@frozen
class UnknownAnnotation(Unknown):
    """An annotation of a type that this version does not know, such as ``url_citation``."""


Annotation = FileCitationAnnotation | FilePathAnnotation | UnknownAnnotation


@frozen
class Text(LateText):
    """Text and the marks on it."""

    _late = "value"

    value: str = ""
    annotations: tuple[Annotation, ...] = ()


@frozen
class TextContentBlock(Model):
    """A part of a message that is text."""

    text: Text = Text()
    type: Literal["text"] = "text"


@frozen
class RefusalContentBlock(Model):
    """A part of a message in which the model refuses to answer."""

    refusal: str = ""
    type: Literal["refusal"] = "refusal"


@frozen
class ImageFile(Model):
    """An image by the id of its file."""

    file_id: str = ""
    detail: str | None = None


@frozen
class ImageFileContentBlock(Model):
    """A part of a message that is an image, named by its file."""

    image_file: ImageFile = ImageFile()
    type: Literal["image_file"] = "image_file"


@frozen
class ImageURL(Model):
    """An image by its address."""

    url: str = ""
    detail: str | None = None


@frozen
class ImageURLContentBlock(Model):
    """A part of a message that is an image, named by its address."""

    image_url: ImageURL = ImageURL()
    type: Literal["image_url"] = "image_url"


@frozen
class UnknownContentBlock(Unknown):
    """A part of a message of a type that this version does not know."""


MessageContent = (
    TextContentBlock
    | RefusalContentBlock
    | ImageFileContentBlock
    | ImageURLContentBlock
    | UnknownContentBlock
)


@frozen
class Attachment(Model):
    """A file that came with a message, and the tools that may read it."""

    file_id: str | None = None
    tools: tuple[AssistantTool, ...] = ()


@frozen
class Message(Model):
    """One message of a thread.

    ``status`` is ``in_progress``, ``incomplete`` or ``completed``, and ``None`` if a server does
    not send it (older versions did not for messages of users).
    """

    id: str
    object: str = "thread.message"
    created_at: float = 0
    thread_id: str = ""
    status: str | None = None
    incomplete_details: IncompleteDetails | None = None
    completed_at: float | None = None
    incomplete_at: float | None = None
    role: str = "assistant"
    content: tuple[MessageContent, ...] = ()
    assistant_id: str | None = None
    run_id: str | None = None
    attachments: tuple[Attachment, ...] = ()
    metadata: Mapping[str, str] = field(factory=dict[str, str])

    @property
    def text(self) -> str:
        """The text of all parts that are text, joined; empty if there are none."""
        texts = (part.text for part in self.content if isinstance(part, TextContentBlock))
        return "".join(text.value for text in texts)


__all__ = [
    "Annotation",
    "Attachment",
    "FileCitation",
    "FileCitationAnnotation",
    "FilePath",
    "FilePathAnnotation",
    "ImageFile",
    "ImageFileContentBlock",
    "ImageURL",
    "ImageURLContentBlock",
    "Message",
    "MessageContent",
    "RefusalContentBlock",
    "Text",
    "TextContentBlock",
    "UnknownAnnotation",
    "UnknownContentBlock",
]
