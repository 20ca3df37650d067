"""What the service says: one class for each kind of event.

``event.event`` is the name on the wire and tells the classes apart, for people and for type
checkers (``"unknown"`` for an ``UnknownEvent``); ``event.data`` is the object. API reference:
Assistants, streaming events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, cast, get_args

from attrs import fields, frozen

from rxassist.errors import excerpt
from rxassist.models import (
    ErrorObject,
    Message,
    MessageDeltaEvent,
    Run,
    RunStep,
    RunStepDeltaEvent,
    Thread,
)


class _Named:
    """A base of events that are named on the wire as they are here."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name on the wire, also of an ``UnknownEvent``."""
        name: str = cast("Any", self).event
        return name


@frozen
class ThreadCreated(_Named):
    """A thread was created, by a call that also starts a run on it."""

    data: Thread
    event: Literal["thread.created"] = "thread.created"


@frozen
class RunEvent(_Named):
    """The base of the events that carry a run."""

    data: Run


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
    """The run ended; ``data.status`` is the truth (some servers send ``incomplete`` here)."""

    event: Literal["thread.run.completed"] = "thread.run.completed"


@frozen
class ThreadRunIncomplete(RunEvent):
    """The run stopped early, at a limit of tokens."""

    event: Literal["thread.run.incomplete"] = "thread.run.incomplete"


@frozen
class ThreadRunFailed(RunEvent):
    """The run failed; ``data.last_error`` says why."""

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
    """The run took too long, mostly to get its tool outputs."""

    event: Literal["thread.run.expired"] = "thread.run.expired"


@frozen
class RunStepEvent(_Named):
    """The base of the events that carry a whole step."""

    data: RunStep


@frozen
class ThreadRunStepCreated(RunStepEvent):
    """A step began."""

    event: Literal["thread.run.step.created"] = "thread.run.step.created"


@frozen
class ThreadRunStepInProgress(RunStepEvent):
    """The step works."""

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
class MessageEvent(_Named):
    """The base of the events that carry a whole message."""

    data: Message


@frozen
class ThreadMessageCreated(MessageEvent):
    """A message began."""

    event: Literal["thread.message.created"] = "thread.message.created"


@frozen
class ThreadMessageInProgress(MessageEvent):
    """The message is being written."""

    event: Literal["thread.message.in_progress"] = "thread.message.in_progress"


@frozen
class ThreadMessageCompleted(MessageEvent):
    """The message is whole."""

    event: Literal["thread.message.completed"] = "thread.message.completed"


@frozen
class ThreadMessageIncomplete(MessageEvent):
    """The message stopped early."""

    event: Literal["thread.message.incomplete"] = "thread.message.incomplete"


class ReadDelta(Protocol):
    """The data of a delta that was read, and checked, but of which no models were made."""

    def made(self) -> MessageDeltaEvent | RunStepDeltaEvent:
        """All of it, as models."""
        ...


_Data = TypeVar("_Data", MessageDeltaEvent, RunStepDeltaEvent)
_Late = TypeVar("_Late", bound="_MadeLate[Any]")


class _MadeLate(_Named, Generic[_Data]):
    """A base of events whose ``data`` is made when somebody looks at it first.

    Of nearly all deltas nobody does: what follows text and tool calls asks for a ``glance``. An
    attribute whose slot is empty is looked for in ``__getattr__``.
    """

    __slots__ = ("_read",)
    _read: _Data | None  # what was read of the data, which stands for it until it is made

    def glance(self) -> _Data:
        """The data, or what was read of it, which has the same attributes.

        Their parts are told apart by ``type``, not by class.
        """
        read = self._read
        return cast("_Data", cast("Any", self).data) if read is None else read

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            if name == "_read":
                return None
            if name != "data":
                msg = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(msg)
            read = self._read
            if read is not None:  # else it was made meanwhile, on another thread
                object.__setattr__(self, "data", read.made())
                _set_read(self, None)
            return object.__getattribute__(self, "data")


_set_read = _MadeLate.__dict__["_read"].__set__


def late(cls: type[_Late]) -> Callable[[ReadDelta], _Late]:
    """What makes events of a class whose data is made when somebody looks at it."""
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


Piece = tuple[str, int, str | None]
"""The id of a message, the index of a part of it, and what its text grows by."""


@frozen
class ThreadMessageDelta(_MadeLate[MessageDeltaEvent]):
    """A message grew."""

    data: MessageDeltaEvent
    event: Literal["thread.message.delta"] = "thread.message.delta"

    def piece(self) -> Piece | None:
        """What it brings, if that is one piece of text and nothing else."""
        said = self.glance()
        content = said.delta.content
        if len(content) != 1:
            return None
        block = content[0]
        if block.type != "text":
            return None
        if block.text is None or block.text.annotations:
            return None
        return said.id, block.index, block.text.value


@frozen
class ErrorEvent(_Named):
    """Something went wrong on the service's side."""

    data: ErrorObject
    event: Literal["error"] = "error"


@frozen
class DoneEvent(_Named):
    """The stream is over; says nothing about how the run ended."""

    data: str = "[DONE]"
    event: Literal["done"] = "done"


@frozen
class UnknownEvent:
    """An event that this version does not know: its name on the wire, and its JSON whole.

    ``event`` is ``"unknown"``, which tells it from the other events.
    """

    name: str
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
"""Anything that a stream may say."""

_EVENTS = get_args(Event)
_CLASSES = frozenset(_EVENTS)


def check_event(item: object, name: str, *, takes: str = "the events of one run") -> None:
    """Raise ``TypeError`` for what is no event of a run: ``name`` is what was given it."""
    if type(item) in _CLASSES or isinstance(item, _EVENTS):
        return
    merged = ""
    if hasattr(item, "key") and hasattr(item, "summary"):
        merged = (
            " of merge_runs; one run of those is of_run(key), and each of them is what "
            "group_by_run() emits"
        )
    msg = f"{name} takes {takes}, got {excerpt(item)}{merged}"
    raise TypeError(msg)


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
