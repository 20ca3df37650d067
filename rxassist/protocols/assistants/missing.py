"""The events that a lost stream did not send: the stored run, compared with the heard one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, TypeVar, cast

import attrs
from attrs import field, frozen

from rxassist.errors import StreamDiverged
from rxassist.protocols.assistants.events import (
    DoneEvent,
    Event,
    MessageEvent,
    RunEvent,
    RunStepEvent,
    ThreadMessageCompleted,
    ThreadMessageCreated,
    ThreadMessageDelta,
    ThreadMessageIncomplete,
    ThreadMessageInProgress,
    ThreadRunCancelled,
    ThreadRunCancelling,
    ThreadRunCompleted,
    ThreadRunCreated,
    ThreadRunExpired,
    ThreadRunFailed,
    ThreadRunInProgress,
    ThreadRunQueued,
    ThreadRunRequiresAction,
    ThreadRunStepCancelled,
    ThreadRunStepCompleted,
    ThreadRunStepCreated,
    ThreadRunStepDelta,
    ThreadRunStepExpired,
    ThreadRunStepFailed,
    ThreadRunStepInProgress,
)
from rxassist.protocols.assistants.kinds import CALLS, PARTS
from rxassist.protocols.assistants.models import (
    Message,
    MessageCreationStepDetails,
    MessageDelta,
    MessageDeltaEvent,
    Run,
    RunStep,
    RunStepDelta,
    RunStepDeltaEvent,
    ToolCallDeltaObject,
    ToolCallsStepDetails,
)
from rxassist.protocols.assistants.snapshots import Snapshot, calls_in, required_calls
from rxassist.runs.growing import continuation
from rxassist.runs.state import FINISHED

_T = TypeVar("_T", Run, RunStep, Message)

Told = frozenset[tuple[str, str]]
"""The events of whole objects that came: their names, and the ids of the objects."""

_ENDS_OF_RUNS: dict[str, Callable[[Run], Event]] = {
    "requires_action": ThreadRunRequiresAction,
    "completed": ThreadRunCompleted,
    "incomplete": ThreadRunCompleted,  # as the service does; the status is the truth
    "failed": ThreadRunFailed,
    "cancelled": ThreadRunCancelled,
    "expired": ThreadRunExpired,
}
_ENDS_OF_STEPS: dict[str, Callable[[RunStep], Event]] = {
    "completed": ThreadRunStepCompleted,
    "failed": ThreadRunStepFailed,
    "cancelled": ThreadRunStepCancelled,
    "expired": ThreadRunStepExpired,
}
_NAMES_OF_STEP_ENDS = [f"thread.run.step.{status}" for status in _ENDS_OF_STEPS]
_NAMES_OF_MESSAGE_ENDS = ["thread.message.completed", "thread.message.incomplete"]
_NAMES_OF_CANCELLED = ["thread.run.step.cancelled", "thread.message.incomplete"]
_IN_PROGRESS = "in_progress"
_SET_LATER = [
    *("required_action", "last_error", "incomplete_details", "usage"),
    *("started_at", "completed_at", "failed_at", "cancelled_at", "expired_at", "incomplete_at"),
]


@frozen
class Stored:
    """A settled run as the service stores it: steps and messages oldest first."""

    run: Run
    steps: Sequence[RunStep] = ()
    messages: Sequence[Message] = ()


@frozen
class Heard:
    """What came of a stream: the run as it stood, and the events of whole objects."""

    snapshot: Snapshot = field(factory=Snapshot)
    told: Told = frozenset()

    def is_told(self, id_: str, names: Sequence[str]) -> bool:
        """Whether one of these events came for an object."""
        return any((name, id_) in self.told for name in names)

    def messages_of(self, run: Run) -> list[Message]:
        """The messages of this run, as far as they came: a stream may have those of other runs."""
        return [message for message in self.snapshot.messages if _is_of(run, message)]

    def steps_of(self, run: Run) -> list[RunStep]:
        """The steps of this run, as far as they came."""
        return [step for step in self.snapshot.run_steps if _is_of(run, step)]

    def rest(self, beginnings: Sequence[Event], *, is_past: bool) -> Sequence[Event]:
        """The events that begin an object and come after all that was heard of it.

        Not all servers send each of them: one that is due before an event that came is left out.
        """
        if is_past:
            return ()
        told = (place for place, event in enumerate(beginnings) if told_of(event) in self.told)
        return beginnings[max(told, default=-1) + 1 :]


def _is_of(run: Run, item: RunStep | Message) -> bool:
    return item.run_id in {run.id, "", None}


def told_of(event: Event) -> tuple[str, str] | None:
    """The entry of an event in ``Told``, ``None`` for a delta or an event without an object."""
    if isinstance(event, RunEvent | RunStepEvent | MessageEvent):
        return event.event, event.data.id
    return None


def missing_events(
    heard: Heard, stored: Stored, *, submitted: Collection[str] | None = None
) -> Iterator[Event]:
    """The events that are missing, in the order of an uninterrupted stream, ``done`` included.

    No status comes after a later one, nor twice. A stream that goes on with the outputs of the
    ``submitted`` calls begins with the end of their step; all before that, and the creation of the
    run, belongs to the stream before. Raises ``StreamDiverged`` if the stored run does not continue
    the heard one.
    """
    stored = _with_required(_own(stored))
    _check_kept(heard, stored)
    run = stored.run
    for event in _with_cancelling(_work(heard, stored, submitted), heard, run):
        if told_of(event) not in heard.told:
            yield event
    if run.status in _ENDS_OF_RUNS:
        yield _ENDS_OF_RUNS[run.status](run)
    yield DoneEvent()


def is_behind(error: StreamDiverged) -> bool:
    """Whether the service has only stored less so far, and may yet store the rest."""
    streamed, stored = error.streamed, error.stored
    if isinstance(streamed, str) and isinstance(stored, str):
        return continuation(streamed, stored) is not None
    if isinstance(streamed, list) and isinstance(stored, list):
        return streamed[: len(cast("list[object]", stored))] == stored
    return stored is None


def is_open(heard: Heard, stored: Stored) -> bool:
    """Whether the run has ended, but a message of it is stored as one that still grows."""
    return stored.run.status in FINISHED and any(
        message.status == _IN_PROGRESS
        and _is_of(stored.run, message)
        and not heard.is_told(message.id, _NAMES_OF_MESSAGE_ENDS)
        for message in stored.messages
    )


def _own(stored: Stored) -> Stored:
    """The stored run with its own steps: some servers list those of other runs, too."""
    steps = [step for step in stored.steps if _is_of(stored.run, step)]
    return attrs.evolve(stored, steps=steps)


def _with_required(stored: Stored) -> Stored:
    """The stored run, with the calls that it waits for in their step: some servers omit them."""
    required = tuple(required_calls(stored.run).values())

    def told(step: RunStep) -> RunStep:
        is_open = step.type == "tool_calls" and step.status not in _ENDS_OF_STEPS
        if not is_open or _calls_of(step):
            return step
        return attrs.evolve(step, step_details=ToolCallsStepDetails(required))

    return attrs.evolve(stored, steps=[told(step) for step in stored.steps]) if required else stored


def _work(heard: Heard, stored: Stored, submitted: Collection[str] | None) -> Iterator[Event]:
    """All events before the end of the run; of what grew, only the deltas that are missing."""
    run = stored.run
    messages = {message.id: message for message in stored.messages}
    older, steps = _apart(stored.steps, submitted or ())
    for step in older:
        messages.pop(_written_by(step), None)
        if _calls_of(step) & set(submitted or ()):
            yield from _end_of(step)
    yield from _begun_run(run, heard, submitted)
    for step in steps:
        message = messages.pop(_written_by(step), None)
        if not heard.is_told(step.id, _NAMES_OF_STEP_ENDS):
            yield from _begun_step(step, heard)
            yield from () if message is None else _message(message, heard)
            yield from _calls(step, heard)
            yield from _end_of(step)
    for message in messages.values():
        if message.run_id == run.id:  # some servers list those of other runs, too
            yield from _message(message, heard)


def _check_kept(heard: Heard, stored: Stored) -> None:
    """Raise ``StreamDiverged`` if an object that began is not stored: its rest would be lost."""
    run = stored.run
    steps, messages = ({item.id for item in items} for items in (stored.steps, stored.messages))
    for message in heard.messages_of(run):
        if message.id not in messages and not heard.is_told(message.id, _NAMES_OF_MESSAGE_ENDS):
            raise StreamDiverged(message.id, message.content, None)
    for step in heard.steps_of(run):
        begun = _calls_of(step) and not heard.is_told(step.id, _NAMES_OF_STEP_ENDS)
        if begun and step.id not in steps:
            raise StreamDiverged(step.id, step.step_details, None)
    known = steps or messages or heard.messages_of(run) or heard.steps_of(run)
    if not known and run.status == "completed" and _has_written(run):
        raise StreamDiverged(run.id, None, None)
    for step in stored.steps:
        written = _written_by(step)
        heard_whole = heard.is_told(written, _NAMES_OF_MESSAGE_ENDS)
        if step.status == "completed" and written and written not in messages and not heard_whole:
            raise StreamDiverged(written, None, None)


def _has_written(run: Run) -> bool:
    """Whether a run has used tokens to write: then it has a step or a message."""
    return run.usage is not None and bool(run.usage.completion_tokens)


def _apart(
    steps: Sequence[RunStep], submitted: Collection[str]
) -> tuple[Sequence[RunStep], Sequence[RunStep]]:
    """The steps up to the one whose outputs were submitted, and those after it."""
    places = [place for place, step in enumerate(steps) if _calls_of(step) & set(submitted)]
    begin = places[-1] + 1 if places else 0
    return steps[:begin], steps[begin:]


def _calls_of(step: RunStep) -> set[str]:
    """The ids of the calls of a step."""
    return {call.id for call in calls_in(step.step_details)}


def _written_by(step: RunStep) -> str:
    """The id of the message that a step wrote, empty if it wrote none."""
    details = step.step_details
    if not isinstance(details, MessageCreationStepDetails):
        return ""
    return details.message_creation.message_id


# --- beginnings and ends -------------------------------------------------------------------


def _at_first(item: _T, **changes: object) -> _T:
    """An object as it was when it began: without the fields that the service sets later."""
    names = attrs.fields_dict(cast("Any", type(item)))
    later: dict[str, Any] = dict.fromkeys(name for name in _SET_LATER if name in names)
    begun: _T = attrs.evolve(cast("Any", item), **later, **changes)
    return begun


def _begun_run(run: Run, heard: Heard, submitted: Collection[str] | None) -> Iterator[Event]:
    begun = _at_first(run, status="queued")
    works = attrs.evolve(begun, status=_IN_PROGRESS, started_at=run.started_at)
    beginnings: list[Event] = [] if submitted is not None else [ThreadRunCreated(begun)]
    beginnings.append(ThreadRunQueued(begun))
    known = heard.snapshot.run
    status = known.status if known is not None and known.id == run.id else ""
    if status == _IN_PROGRESS:
        beginnings.clear()
    if run.started_at is not None:
        beginnings.append(ThreadRunInProgress(works))
    has_worked = heard.messages_of(run) or any(
        not _calls_of(step) & set(submitted or ()) for step in heard.steps_of(run)
    )
    is_past = bool(has_worked) or status not in {"", begun.status, works.status}
    yield from heard.rest(beginnings, is_past=is_past)


def _begun_step(step: RunStep, heard: Heard) -> Iterator[Event]:
    details = step.step_details
    if isinstance(details, ToolCallsStepDetails):
        details = ToolCallsStepDetails()
    begun = _at_first(step, status=_IN_PROGRESS, step_details=details)
    known = heard.snapshot.find_run_step(step.id)
    has_called = known is not None and _calls_of(known)
    has_written = heard.snapshot.find_message(_written_by(step))
    beginnings: list[Event] = [ThreadRunStepCreated(begun), ThreadRunStepInProgress(begun)]
    yield from heard.rest(beginnings, is_past=bool(has_called or has_written))


def _calls(step: RunStep, heard: Heard) -> Iterator[Event]:
    known = heard.snapshot.find_run_step(step.id)
    before = calls_in(None if known is None else known.step_details)
    if isinstance(step.step_details, ToolCallsStepDetails):
        for delta in CALLS.rest(calls_in(step.step_details), before, step.id):
            said = RunStepDelta(ToolCallDeltaObject((delta,)))
            yield ThreadRunStepDelta(RunStepDeltaEvent(step.id, said))


def _end_of(step: RunStep) -> Iterator[Event]:
    if step.status in _ENDS_OF_STEPS:
        yield _ENDS_OF_STEPS[step.status](step)


def _with_cancelling(events: Iterator[Event], heard: Heard, run: Run) -> Iterator[Event]:
    """Put the event that a run is being cancelled before the first object that this ended."""
    past = any(name in _NAMES_OF_CANCELLED for name, _ in heard.told)
    said = run.status != "cancelled" or past
    cancelling = ThreadRunCancelling(
        attrs.evolve(run, status="cancelling", cancelled_at=None, usage=None)
    )
    for event in events:
        if not said and _is_cancelled(event):
            said = True
            yield cancelling
        yield event
    if not said:
        yield cancelling


def _is_cancelled(event: Event) -> bool:
    if isinstance(event, ThreadMessageIncomplete):
        details = event.data.incomplete_details
        return details is not None and details.reason == "run_cancelled"
    return isinstance(event, ThreadRunStepCancelled)


# --- messages ------------------------------------------------------------------------------


def _message(message: Message, heard: Heard) -> Iterator[Event]:
    if heard.is_told(message.id, _NAMES_OF_MESSAGE_ENDS):
        return
    begun = _at_first(message, status=_IN_PROGRESS, content=())
    known = heard.snapshot.find_message(message.id)
    before = known.content if known else ()
    beginnings: list[Event] = [ThreadMessageCreated(begun), ThreadMessageInProgress(begun)]
    yield from heard.rest(beginnings, is_past=bool(before))
    for delta in PARTS.rest(message.content, before, message.id):
        said = MessageDelta(content=(delta,))
        yield ThreadMessageDelta(MessageDeltaEvent(message.id, said))
    if message.status == "incomplete":
        yield ThreadMessageIncomplete(message)
    elif message.status != _IN_PROGRESS:  # a server may leave it out
        yield ThreadMessageCompleted(message)


__all__ = ["Heard", "Stored", "Told", "is_behind", "is_open", "missing_events", "told_of"]
