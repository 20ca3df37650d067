"""What the service sends: a class for each kind of event.

``event.type`` is the name on the wire; one class may stand for several names that carry the same.
Each event has the ``response_id`` that its decoder stamped on it: items are told apart by it and by
``output_index``, because some servers change ids from event to event. API reference: Responses,
streaming events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from attrs import evolve, frozen

from rxassist.errors import APIError
from rxassist.protocols.responses.models import (
    Annotation,
    ContentPart,
    OutputItem,
    OutputMessage,
    OutputText,
    Response,
    UnknownAnnotation,
    UnknownItem,
    UnknownPart,
)
from rxassist.runs.events import AnyEvent, Piece, Texts, Used
from rxassist.runs.state import SETTLED
from rxassist.wire.values import ErrorObject, Model

if TYPE_CHECKING:
    from rxassist.runs.protocol import Protocol

Key = tuple[str, int]
"""What an item is told apart by: the stamped id of its response, and its place in the output."""

PartKey = tuple[Literal["content", "summary"], int]
"""What a part of an item is told apart by: the list that it is in, and its place there."""

_NO_ITEM = UnknownItem("", {})
_NO_PART = UnknownPart("", {})


@frozen
class _Event(AnyEvent, Model):
    """The base of all events of the Responses protocol."""

    needs: ClassVar[tuple[str, ...]] = ()
    """The fields that must be objects: the defaults only spare the tests of users some words."""

    sequence_number: int | None = None
    response_id: str = ""

    @property
    def name(self) -> str:
        """The name on the wire, also of an ``UnknownEvent``."""
        name: str = getattr(self, "type", "")
        return name

    def protocol(self) -> Protocol:
        """What the Responses protocol knows that needs a state."""
        from rxassist.protocols.responses.protocol import PROTOCOL  # noqa: PLC0415 -- it folds these

        return PROTOCOL


# --- the response --------------------------------------------------------------------------


@frozen
class ResponseEvent(_Event):
    """An event that carries a response: the base of those with a known name."""

    needs: ClassVar[tuple[str, ...]] = ("response",)

    response: Response = Response("")
    type: str = "response.changed"

    def run(self) -> Response:
        """The response, by the stamped id, and with the status that the name says if it has none.

        Some servers give it another id in each event.
        """
        run = self.response
        if self.response_id and run.id != self.response_id:
            run = evolve(run, id=self.response_id)
        return run if run.wire_status else evolve(run, wire_status=self._named_status())

    def run_status(self) -> str:
        """The status of the response: it is the truth, the name of the event is not."""
        return self.run().status

    def texts(self) -> tuple[Texts, ...]:
        """The texts of all messages, which are finished if the response has ended or waits."""
        if not self.response.output:
            return ()
        finished = self.run_status() in SETTLED
        items = enumerate(self.response.output)
        each = (_texts((self.response_id, index), item, finished=finished) for index, item in items)
        return tuple(texts for texts in each if texts is not None)

    def used(self) -> Used:
        """The tokens that the response used."""
        run = self.run()
        return Used(run.id, None, None if run.usage is None else run.usage.plain())

    def _named_status(self) -> str:
        status = self.type.removeprefix("response.")
        return "in_progress" if status in {"created", "changed"} else status


@frozen
class ResponseCreated(ResponseEvent):
    """A response was created: it begins another one, if one came before."""

    begins_run = True

    type: Literal["response.created"] = "response.created"


@frozen
class ResponseQueued(ResponseEvent):
    """The response waits for its turn."""

    begins_run = True

    type: Literal["response.queued"] = "response.queued"


@frozen
class ResponseInProgress(ResponseEvent):
    """The response is being generated: anew, if items of it came before.

    A server that crashed says so when it goes on (Foundry's hosted agents do): the response holds
    what it has kept, and all else comes again.
    """

    begins_run = True

    type: Literal["response.in_progress"] = "response.in_progress"

    def resets(self) -> str:
        """The stamped id of the response."""
        return self.response_id


@frozen
class ResponseCompleted(ResponseEvent):
    """The response ended, or waits for you; its status is the truth."""

    type: Literal["response.completed"] = "response.completed"


@frozen
class ResponseIncomplete(ResponseEvent):
    """The response stopped early, such as at a limit of tokens."""

    type: Literal["response.incomplete"] = "response.incomplete"


@frozen
class ResponseFailed(ResponseEvent):
    """The response failed (``error`` has the reason), or was cancelled on some servers."""

    type: Literal["response.failed"] = "response.failed"


# --- items ---------------------------------------------------------------------------------


@frozen
class ItemEvent(_Event):
    """The base of events that belong to one item."""

    output_index: int = 0

    @property
    def key(self) -> Key:
        """What the item is told apart by."""
        return self.response_id, self.output_index


@frozen
class OutputItemEvent(ItemEvent):
    """The base of events that carry a whole item."""

    needs: ClassVar[tuple[str, ...]] = ("item",)

    item: OutputItem = _NO_ITEM


@frozen
class OutputItemAdded(OutputItemEvent):
    """An item began."""

    begins = True

    type: Literal["response.output_item.added"] = "response.output_item.added"


@frozen
class OutputItemDone(OutputItemEvent):
    """An item is whole."""

    type: Literal["response.output_item.done"] = "response.output_item.done"

    def texts(self) -> tuple[Texts, ...]:
        """The texts of the item, if it is a message."""
        texts = _texts(self.key, self.item, finished=True)
        return () if texts is None else (texts,)


@frozen
class ItemProgress(ItemEvent):
    """A call that the service makes goes on, as the name says."""

    item_id: str = ""
    type: Literal[
        "response.web_search_call.in_progress",
        "response.web_search_call.searching",
        "response.web_search_call.completed",
        "response.file_search_call.in_progress",
        "response.file_search_call.searching",
        "response.file_search_call.completed",
        "response.code_interpreter_call.in_progress",
        "response.code_interpreter_call.interpreting",
        "response.code_interpreter_call.completed",
        "response.image_generation_call.in_progress",
        "response.image_generation_call.generating",
        "response.image_generation_call.completed",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.completed",
        "response.mcp_list_tools.failed",
        "response.compaction.compacting",
    ] = "response.web_search_call.in_progress"

    @property
    def status(self) -> str:
        """The last word of the name."""
        return self.type.rpartition(".")[2]


@frozen
class PartialImage(ItemEvent):
    """An image as far as it has been drawn."""

    item_id: str = ""
    partial_image_index: int = 0
    partial_image_b64: str = ""
    type: Literal["response.image_generation_call.partial_image"] = (
        "response.image_generation_call.partial_image"
    )


# --- parts ---------------------------------------------------------------------------------


@frozen
class PartOfItemEvent(ItemEvent):
    """The base of events that belong to one part of an item.

    A part is in the item's content or, if it has a ``summary_index``, in its summary.
    """

    item_id: str = ""
    content_index: int | None = None
    summary_index: int | None = None

    @property
    def part_key(self) -> PartKey:
        """What the part is told apart by."""
        if self.summary_index is not None:
            return "summary", self.summary_index
        return "content", self.content_index or 0


@frozen
class PartEvent(PartOfItemEvent):
    """The base of events that carry a whole part of a message or of reasoning."""

    needs: ClassVar[tuple[str, ...]] = ("part",)

    part: ContentPart = _NO_PART


@frozen
class PartAdded(PartEvent):
    """A part began."""

    begins = True

    type: Literal["response.content_part.added", "response.reasoning_summary_part.added"] = (
        "response.content_part.added"
    )


@frozen
class PartDone(PartEvent):
    """A part is whole."""

    type: Literal["response.content_part.done", "response.reasoning_summary_part.done"] = (
        "response.content_part.done"
    )

    def texts(self) -> tuple[Texts, ...]:
        """The text of the part, if it is one of a message."""
        if not isinstance(self.part, OutputText):
            return ()
        return _part_texts(self, self.part.text)


@frozen
class OutputTextDelta(ItemEvent):
    """Text of a message grew."""

    is_delta = True

    item_id: str = ""
    content_index: int = 0
    delta: str = ""
    logprobs: tuple[Mapping[str, Any], ...] = ()
    obfuscation: str | None = None
    type: Literal["response.output_text.delta"] = "response.output_text.delta"

    @property
    def part_key(self) -> PartKey:
        """What the part is told apart by."""
        return "content", self.content_index

    @property
    def value(self) -> str:
        """The delta, by the name that it has in the Assistants protocol."""
        return self.delta

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """Nothing: annotations have events of their own here."""
        return ()

    def piece(self) -> Piece:
        """The piece of text that it brings."""
        return (self.response_id, self.output_index), self.content_index, self.delta

    def pieces(self) -> tuple[Piece, ...]:
        """The same, alone."""
        return (self.piece(),)


@frozen
class OutputTextDone(PartOfItemEvent):
    """Text of a message is whole."""

    text: str = ""
    logprobs: tuple[Mapping[str, Any], ...] = ()
    type: Literal["response.output_text.done"] = "response.output_text.done"

    def texts(self) -> tuple[Texts, ...]:
        """The text of the part."""
        return _part_texts(self, self.text)


@frozen
class AnnotationAdded(PartOfItemEvent):
    """Text of a message has an annotation, by its place in the text."""

    needs: ClassVar[tuple[str, ...]] = ("annotation",)

    annotation_index: int = 0
    annotation: Annotation = UnknownAnnotation("", {})
    type: Literal["response.output_text.annotation.added"] = "response.output_text.annotation.added"

    @property
    def value(self) -> str:
        """No text, by the name that it has in the Assistants protocol."""
        return ""

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """The annotation alone, as the Assistants protocol has it."""
        return (self.annotation,)


@frozen
class RefusalDelta(PartOfItemEvent):
    """A refusal grew."""

    is_delta = True

    delta: str = ""
    obfuscation: str | None = None
    type: Literal["response.refusal.delta"] = "response.refusal.delta"


@frozen
class RefusalDone(PartOfItemEvent):
    """A refusal is whole."""

    refusal: str = ""
    type: Literal["response.refusal.done"] = "response.refusal.done"


@frozen
class ReasoningDelta(PartOfItemEvent):
    """What the model thinks grew, or a summary of it."""

    is_delta = True

    delta: str = ""
    obfuscation: str | None = None
    type: Literal["response.reasoning_text.delta", "response.reasoning_summary_text.delta"] = (
        "response.reasoning_text.delta"
    )


@frozen
class ReasoningDone(PartOfItemEvent):
    """What the model thought is whole, or a summary of it."""

    text: str = ""
    type: Literal["response.reasoning_text.done", "response.reasoning_summary_text.done"] = (
        "response.reasoning_text.done"
    )


# --- calls ---------------------------------------------------------------------------------


@frozen
class CallDelta(ItemEvent):
    """The arguments, the input, the code or the diff of a call grew."""

    is_delta = True

    item_id: str = ""
    delta: str = ""
    obfuscation: str | None = None
    type: Literal[
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.mcp_call_arguments.delta",
        "response.code_interpreter_call_code.delta",
        "response.apply_patch_call_operation_diff.delta",
    ] = "response.function_call_arguments.delta"

    @property
    def index(self) -> int:
        """The place of the call, by the name that it has in the Assistants protocol."""
        return self.output_index


@frozen
class CallDone(ItemEvent):
    """The arguments, the input, the code or the diff of a call is whole."""

    item_id: str = ""
    arguments: str | None = None
    input: str | None = None
    code: str | None = None
    diff: str | None = None
    type: Literal[
        "response.function_call_arguments.done",
        "response.custom_tool_call_input.done",
        "response.mcp_call_arguments.done",
        "response.code_interpreter_call_code.done",
        "response.apply_patch_call_operation_diff.done",
    ] = "response.function_call_arguments.done"

    @property
    def whole(self) -> str | None:
        """What is whole, whichever it is."""
        each = (self.arguments, self.input, self.code, self.diff)
        return next((value for value in each if value is not None), None)


@frozen
class ShellDelta(ItemEvent):
    """A command of a call of a shell grew, or what it printed; the item has both when it is done.

    ``delta`` is text of a command, and an object of what was printed.
    """

    is_delta = True

    item_id: str | None = None
    command_index: int = 0
    delta: Any = None
    obfuscation: str | None = None
    type: Literal[
        "response.shell_call_command.delta", "response.shell_call_output_content.delta"
    ] = "response.shell_call_command.delta"


@frozen
class ShellProgress(ItemEvent):
    """A command of a call of a shell began or is whole, or what it printed."""

    item_id: str | None = None
    command_index: int = 0
    command: str | None = None
    output: Any = None
    type: Literal[
        "response.shell_call_command.added",
        "response.shell_call_command.done",
        "response.shell_call_output_content.done",
    ] = "response.shell_call_command.added"


# --- the rest ------------------------------------------------------------------------------


@frozen
class AudioDelta(_Event):
    """Sound in base 64, or text of what is said."""

    is_delta = True

    delta: str = ""
    type: Literal["response.audio.delta", "response.audio.transcript.delta"] = (
        "response.audio.delta"
    )


@frozen
class AudioDone(_Event):
    """Sound is whole, or the text of what is said."""

    type: Literal["response.audio.done", "response.audio.transcript.done"] = "response.audio.done"


@frozen
class KeepAlive(_Event):
    """The service is still there; it takes a number of the sequence."""

    begins = True

    type: Literal["keepalive"] = "keepalive"


@frozen
class ErrorEvent(_Event):
    """Something went wrong on the service's side."""

    data: ErrorObject = ErrorObject()
    type: Literal["error"] = "error"

    def error(self) -> APIError | None:
        """What went wrong."""
        sent = self.data
        return APIError(sent.message, code=sent.code, type=sent.type, param=sent.param)


@frozen
class FailureAnnounced(ErrorEvent):
    """An ``error`` that a failed response follows, which carries the same: so it is only data."""

    begins = True

    def error(self) -> None:
        """Nothing: the response that failed is what went wrong."""


@frozen
class DoneEvent(_Event):
    """The stream is over, on some servers; it does not say how the response ended."""

    is_done = True

    data: str = "[DONE]"
    type: Literal["done"] = "done"


@frozen
class UnknownEvent(_Event):
    """An event that this version does not know: its name on the wire, and its JSON whole.

    ``type`` is ``"unknown"``, which tells it from the other events.
    """

    name: str = ""  # pyright: ignore[reportIncompatibleMethodOverride] -- as a field
    data: Any = None
    type: Literal["unknown"] = "unknown"


@frozen
class UnknownDelta(UnknownEvent):
    """An event that this version does not know, by whose name something grows."""

    is_delta = True


def _texts(key: Key, item: OutputItem, *, finished: bool) -> Texts | None:
    """The texts of an item, if it is a message."""
    if not isinstance(item, OutputMessage):
        return None
    parts = enumerate(item.content)
    texts = {at: part.text for at, part in parts if isinstance(part, OutputText) and part.text}
    return Texts(key, texts, finished, is_input=False)


def _part_texts(event: PartOfItemEvent, text: str) -> tuple[Texts, ...]:
    """The text of one part of a message, which may go on with other parts."""
    texts = {event.content_index or 0: text} if text else {}
    return (Texts(event.key, texts, finished=False, is_input=False),)


KnownEvent = (
    ResponseCreated
    | ResponseQueued
    | ResponseInProgress
    | ResponseCompleted
    | ResponseIncomplete
    | ResponseFailed
    | OutputItemAdded
    | OutputItemDone
    | ItemProgress
    | PartialImage
    | PartAdded
    | PartDone
    | OutputTextDelta
    | OutputTextDone
    | AnnotationAdded
    | RefusalDelta
    | RefusalDone
    | ReasoningDelta
    | ReasoningDone
    | CallDelta
    | CallDone
    | ShellDelta
    | ShellProgress
    | AudioDelta
    | AudioDone
    | KeepAlive
)
"""The events whose names this version knows, but for ``error`` and the end of the stream."""

Event = (
    KnownEvent
    | ResponseEvent
    | ErrorEvent
    | FailureAnnounced
    | DoneEvent
    | UnknownEvent
    | UnknownDelta
)
"""Anything that a stream may send."""

EVENTS: tuple[type[Event], ...] = get_args(Event)
"""The classes of all events."""

__all__ = [
    "EVENTS",
    "AnnotationAdded",
    "AudioDelta",
    "AudioDone",
    "CallDelta",
    "CallDone",
    "DoneEvent",
    "ErrorEvent",
    "Event",
    "FailureAnnounced",
    "ItemEvent",
    "ItemProgress",
    "KeepAlive",
    "Key",
    "KnownEvent",
    "OutputItemAdded",
    "OutputItemDone",
    "OutputItemEvent",
    "OutputTextDelta",
    "OutputTextDone",
    "PartAdded",
    "PartDone",
    "PartEvent",
    "PartKey",
    "PartOfItemEvent",
    "PartialImage",
    "ReasoningDelta",
    "ReasoningDone",
    "RefusalDelta",
    "RefusalDone",
    "ResponseCompleted",
    "ResponseCreated",
    "ResponseEvent",
    "ResponseFailed",
    "ResponseInProgress",
    "ResponseIncomplete",
    "ResponseQueued",
    "ShellDelta",
    "ShellProgress",
    "UnknownDelta",
    "UnknownEvent",
]
