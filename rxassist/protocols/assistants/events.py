"""The events of the service: one class for each kind.

``event.event`` is the name on the wire; it distinguishes the classes, for people and for type
checkers (``"unknown"`` for an ``UnknownEvent``); ``event.data`` is the object. API reference:
Assistants, streaming events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, cast, get_args
from typing import Protocol as Typed

from attrs import fields, frozen

from rxassist.errors import APIError
from rxassist.protocols.assistants.models import (
    Message,
    MessageDeltaEvent,
    Run,
    RunStep,
    RunStepDeltaEvent,
    TextContentBlock,
    TextDelta,
    TextDeltaBlock,
    Thread,
)
from rxassist.runs.events import AnyEvent, Piece, Texts, Used
from rxassist.runs.protocol import Protocol
from rxassist.wire.maker import maker
from rxassist.wire.values import ErrorObject

_text_delta = maker(TextDelta)


class _Event(AnyEvent):
    """The base of all events of the Assistants protocol."""

    __slots__ = ()

    def run(self) -> Run | None:
        """The run that the event carries."""
        return None

    def protocol(self) -> Protocol:
        """The parts of the Assistants protocol that need a state."""
        from rxassist.protocols.assistants.protocol import PROTOCOL  # noqa: PLC0415 -- it folds these

        return PROTOCOL


@frozen
class ThreadCreated(_Event):
    """A thread was created, by a call that also starts a run on it."""

    begins = True

    data: Thread
    event: Literal["thread.created"] = "thread.created"


@frozen
class RunEvent(_Event):
    """The base of the events that carry a run."""

    data: Run

    def run(self) -> Run:
        """The run."""
        return self.data

    def run_status(self) -> str:
        """The status of the run, else the one in the name of the event."""
        return self.data.status or self.name.removeprefix("thread.run.")

    def used(self) -> Used:
        """The tokens that the run used."""
        return Used(self.data.id, None, self.data.usage)


@frozen
class ThreadRunCreated(RunEvent):
    """A run was created."""

    event: Literal["thread.run.created"] = "thread.run.created"


@frozen
class ThreadRunQueued(RunEvent):
    """The run waits for its turn, for the first time or after tool outputs."""

    event: Literal["thread.run.queued"] = "thread.run.queued"


@frozen
class ThreadRunInProgress(RunEvent):
    """The run works."""

    event: Literal["thread.run.in_progress"] = "thread.run.in_progress"


@frozen
class ThreadRunRequiresAction(RunEvent):
    """The run waits for the outputs of tools."""

    event: Literal["thread.run.requires_action"] = "thread.run.requires_action"


@frozen
class ThreadRunCompleted(RunEvent):
    """The run ended; ``data.status`` says how (some servers send ``incomplete`` here)."""

    event: Literal["thread.run.completed"] = "thread.run.completed"


@frozen
class ThreadRunIncomplete(RunEvent):
    """The run stopped early, at a limit of tokens."""

    event: Literal["thread.run.incomplete"] = "thread.run.incomplete"


@frozen
class ThreadRunFailed(RunEvent):
    """The run failed; ``data.last_error`` is the reason."""

    event: Literal["thread.run.failed"] = "thread.run.failed"


@frozen
class ThreadRunCancelling(RunEvent):
    """The run is about to be cancelled."""

    event: Literal["thread.run.cancelling"] = "thread.run.cancelling"


@frozen
class ThreadRunCancelled(RunEvent):
    """The run was cancelled."""

    event: Literal["thread.run.cancelled"] = "thread.run.cancelled"


@frozen
class ThreadRunExpired(RunEvent):
    """The run took too long, mostly while it waited for tool outputs."""

    event: Literal["thread.run.expired"] = "thread.run.expired"


@frozen
class RunStepEvent(_Event):
    """The base of the events that carry a whole step."""

    data: RunStep

    def used(self) -> Used:
        """The tokens that the step used."""
        return Used(self.data.run_id, self.data.id, self.data.usage)


@frozen
class ThreadRunStepCreated(RunStepEvent):
    """A step began."""

    begins = True

    event: Literal["thread.run.step.created"] = "thread.run.step.created"


@frozen
class ThreadRunStepInProgress(RunStepEvent):
    """The step works."""

    begins = True

    event: Literal["thread.run.step.in_progress"] = "thread.run.step.in_progress"


@frozen
class ThreadRunStepCompleted(RunStepEvent):
    """The step ended; its usage is known."""

    event: Literal["thread.run.step.completed"] = "thread.run.step.completed"


@frozen
class ThreadRunStepFailed(RunStepEvent):
    """The step failed."""

    event: Literal["thread.run.step.failed"] = "thread.run.step.failed"


@frozen
class ThreadRunStepCancelled(RunStepEvent):
    """The step was cancelled."""

    event: Literal["thread.run.step.cancelled"] = "thread.run.step.cancelled"


@frozen
class ThreadRunStepExpired(RunStepEvent):
    """The step took too long."""

    event: Literal["thread.run.step.expired"] = "thread.run.step.expired"


@frozen
class MessageEvent(_Event):
    """The base of the events that carry a whole message."""

    _finishes: ClassVar[bool] = False

    data: Message

    def texts(self) -> tuple[Texts]:
        """The texts of the message, and nothing else."""
        texts = {
            index: block.text.value
            for index, block in enumerate(self.data.content)
            if isinstance(block, TextContentBlock) and block.text.value
        }
        return (Texts(self.data.id, texts, self._finishes, self.data.role == "user"),)


@frozen
class ThreadMessageCreated(MessageEvent):
    """A message began."""

    begins = True

    event: Literal["thread.message.created"] = "thread.message.created"


@frozen
class ThreadMessageInProgress(MessageEvent):
    """The message is being written."""

    begins = True

    event: Literal["thread.message.in_progress"] = "thread.message.in_progress"


@frozen
class ThreadMessageCompleted(MessageEvent):
    """The message is whole."""

    _finishes = True

    event: Literal["thread.message.completed"] = "thread.message.completed"


@frozen
class ThreadMessageIncomplete(MessageEvent):
    """The message stopped early."""

    _finishes = True

    event: Literal["thread.message.incomplete"] = "thread.message.incomplete"


class ReadDelta(Typed):
    """The data of a delta: parsed and checked, but not yet made into models."""

    def made(self) -> MessageDeltaEvent | RunStepDeltaEvent:
        """All of it, as models."""
        ...


class ReadTextDelta(ReadDelta, Typed):
    """The same of a delta that holds one piece of text."""

    def piece(self) -> Piece:
        """The piece."""
        ...


_Data = TypeVar("_Data", MessageDeltaEvent, RunStepDeltaEvent)
_Late = TypeVar("_Late", bound="_MadeLate[Any]")


class _MadeLate(_Event, Generic[_Data]):
    """A base of events whose ``data`` is made when it is first read.

    The data of most deltas is never read: code that follows text or tool calls uses ``glance()``.
    Python calls ``__getattr__`` for an attribute whose slot is empty.
    """

    __slots__ = ("_read",)
    is_delta = True
    _read: _Data | None  # the parsed data, until the models are made

    def glance(self) -> _Data:
        """The data, or its parsed form, which has the same attributes.

        Distinguish its parts by ``type``, not by class.
        """
        read = self._read
        return cast("_Data", cast("Any", self).data) if read is None else read

    def unkept(self) -> _Data:
        """The data, which is not kept if it is made for this: the collector would look at it."""
        read = self._read
        return cast("_Data", cast("Any", self).data if read is None else cast("Any", read).made())

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            if name == "_read":
                return None
            if name != "data":
                msg = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(msg)
            read = self._read
            if read is not None:  # else another thread has made it meanwhile
                object.__setattr__(self, "data", read.made())
                _set_read(self, None)
            return object.__getattribute__(self, "data")


_set_read = _MadeLate.__dict__["_read"].__set__


def late(cls: type[_Late]) -> Callable[[ReadDelta], _Late]:
    """A function that makes events of a class whose data is made when it is first read."""
    new, set_event = object.__new__, cls.__dict__["event"].__set__
    name = fields(cast("Any", cls)).event.default

    def make(read: ReadDelta) -> _Late:
        event = new(cls)
        _set_read(event, read)
        set_event(event, name)
        return event

    return make


@frozen
class ThreadRunStepDelta(_MadeLate[RunStepDeltaEvent]):
    """Tool calls of a step grew."""

    data: RunStepDeltaEvent
    event: Literal["thread.run.step.delta"] = "thread.run.step.delta"


@frozen
class ThreadMessageDelta(_MadeLate[MessageDeltaEvent]):
    """A message grew."""

    data: MessageDeltaEvent
    event: Literal["thread.message.delta"] = "thread.message.delta"

    def piece(self) -> Piece | None:
        """Its piece of text, if it has exactly one and nothing else."""
        read: Any = self._read
        if read is not None:  # nearly always, and then it has nothing else
            piece: Piece = read.piece()
            return piece
        said = self.data
        content = said.delta.content
        if len(content) != 1:
            return None
        block = content[0]
        if block.type != "text":
            return None
        if block.text is None or block.text.annotations:
            return None
        return said.id, block.index, block.text.value

    def text_delta(self) -> TextDelta | None:
        """What it adds to a text, if it has exactly one part: its ``data`` is not made for that."""
        read = self._read
        if read is not None:
            return _text_delta(cast("ReadTextDelta", read).piece()[2])
        (block,) = self.data.delta.content
        return block.text if isinstance(block, TextDeltaBlock) else None

    def pieces(self) -> Iterator[Piece]:
        """Its pieces of text."""
        for part in self.data.delta.content:
            if isinstance(part, TextDeltaBlock) and part.text is not None:
                yield self.data.id, part.index, part.text.value


@frozen
class ErrorEvent(_Event):
    """The service reports an error."""

    data: ErrorObject
    event: Literal["error"] = "error"

    def error(self) -> APIError:
        """The error of the service."""
        said = self.data
        return APIError(said.message, code=said.code, type=said.type, param=said.param)


@frozen
class DoneEvent(_Event):
    """The stream is over; the run may have ended in any way."""

    is_done = True

    data: str = "[DONE]"
    event: Literal["done"] = "done"


@frozen
class UnknownEvent(_Event):
    """An event that this version does not know: its name on the wire, and all of its JSON.

    ``event`` is ``"unknown"``, which no other event has.
    """

    name: str  # pyright: ignore[reportIncompatibleMethodOverride] -- as a field
    data: Any
    event: Literal["unknown"] = "unknown"


KnownEvent = (
    ThreadCreated
    | ThreadRunCreated
    | ThreadRunQueued
    | ThreadRunInProgress
    | ThreadRunRequiresAction
    | ThreadRunCompleted
    | ThreadRunIncomplete
    | ThreadRunFailed
    | ThreadRunCancelling
    | ThreadRunCancelled
    | ThreadRunExpired
    | ThreadRunStepCreated
    | ThreadRunStepInProgress
    | ThreadRunStepCompleted
    | ThreadRunStepFailed
    | ThreadRunStepCancelled
    | ThreadRunStepExpired
    | ThreadRunStepDelta
    | ThreadMessageCreated
    | ThreadMessageInProgress
    | ThreadMessageCompleted
    | ThreadMessageIncomplete
    | ThreadMessageDelta
    | ErrorEvent
    | DoneEvent
)

Event = KnownEvent | UnknownEvent
"""Any event of a stream."""

EVENTS: tuple[type[Event], ...] = get_args(Event)
"""The classes of all events."""

__all__ = [
    "DoneEvent",
    "ErrorEvent",
    "Event",
    "KnownEvent",
    "MessageEvent",
    "RunEvent",
    "RunStepEvent",
    "ThreadCreated",
    "ThreadMessageCompleted",
    "ThreadMessageCreated",
    "ThreadMessageDelta",
    "ThreadMessageInProgress",
    "ThreadMessageIncomplete",
    "ThreadRunCancelled",
    "ThreadRunCancelling",
    "ThreadRunCompleted",
    "ThreadRunCreated",
    "ThreadRunExpired",
    "ThreadRunFailed",
    "ThreadRunInProgress",
    "ThreadRunIncomplete",
    "ThreadRunQueued",
    "ThreadRunRequiresAction",
    "ThreadRunStepCancelled",
    "ThreadRunStepCompleted",
    "ThreadRunStepCreated",
    "ThreadRunStepDelta",
    "ThreadRunStepExpired",
    "ThreadRunStepFailed",
    "ThreadRunStepInProgress",
    "UnknownEvent",
]
