"""What an interrupted stream has not said: the stored run, compared with what was heard."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import cast

import attrs
from attrs import field, frozen

from rxassist.errors import StreamDiverged
from rxassist.events import (
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
from rxassist.growing import continuation
from rxassist.kinds import CALLS, PARTS
from rxassist.models import (
    FINISHED,
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
from rxassist.snapshots import Snapshot, calls_in, required_calls

Told = frozenset[tuple[str, str]]
"""Which whole objects were told of: names of events, and ids."""

_ENDS_OF_RUNS: dict[str, Callable[[Run], Event]] = {
    "requires_action": ThreadRunRequiresAction,
    "completed": ThreadRunCompleted,
    "incomplete": ThreadRunCompleted,  # so the service says it; the status is the truth
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


@frozen
class Stored:
    """What the service has of a run that has settled: steps and messages oldest first."""

    run: Run
    steps: Sequence[RunStep] = ()
    messages: Sequence[Message] = ()


@frozen
class Heard:
    """What a stream has said: the run as it stood, and the events of whole objects."""

    snapshot: Snapshot = field(factory=Snapshot)
    told: Told = frozenset()

    def is_told(self, id_: str, names: Sequence[str]) -> bool:
        """Whether one of these events was told of an object."""
        return any((name, id_) in self.told for name in names)

    def messages_of(self, run: Run) -> list[Message]:
        """The messages of this run, as far as they were heard: a stream may tell of others."""
        return [message for message in self.snapshot.messages if _is_of(run, message)]

    def steps_of(self, run: Run) -> list[RunStep]:
        """The steps of this run, as far as they were heard."""
        return [step for step in self.snapshot.run_steps if _is_of(run, step)]

    def rest(self, beginnings: Sequence[Event], *, is_past: bool) -> Sequence[Event]:
        """The beginnings of an object that are behind everything that was heard of it.

        Not all servers tell of each: one that comes before what was heard comes no more.
        """
        if is_past:
            return ()
        told = (place for place, event in enumerate(beginnings) if told_of(event) in self.told)
        return beginnings[max(told, default=-1) + 1 :]


def _is_of(run: Run, item: RunStep | Message) -> bool:
    return item.run_id in {run.id, "", None}


def told_of(event: Event) -> tuple[str, str] | None:
    """The entry of an event in what was told, ``None`` for one that is only a part."""
    if isinstance(event, RunEvent | RunStepEvent | MessageEvent):
        return event.event, event.data.id
    return None


def missing_events(
    heard: Heard, stored: Stored, *, submitted: Collection[str] | None = None
) -> Iterator[Event]:
    """The events that are missing, in the order of an uninterrupted stream, ``done`` included.

    No status is told behind a later one, nor twice. A stream that goes on with ``submitted``
    outputs, of the calls of these ids, begins with the end of their step; what was before that, and
    that the run was created, is of the stream before. Raises ``StreamDiverged`` where what is
    stored does not continue what was heard.
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
    """Whether what is stored may yet come to continue what was heard: it is only less."""
    streamed, stored = error.streamed, error.stored
    if isinstance(streamed, str) and isinstance(stored, str):
        return continuation(streamed, stored) is not None
    if isinstance(streamed, list) and isinstance(stored, list):
        return streamed[: len(cast("list[object]", stored))] == stored
    return stored is None


def is_open(heard: Heard, stored: Stored) -> bool:
    """Whether a message is stored as one that grows, of a run that has ended."""
    return stored.run.status in FINISHED and any(
        message.status == _IN_PROGRESS
        and _is_of(stored.run, message)
        and not heard.is_told(message.id, _NAMES_OF_MESSAGE_ENDS)
        for message in stored.messages
    )


def _own(stored: Stored) -> Stored:
    """What is stored of the run: not all servers list the steps of one run only."""
    steps = [step for step in stored.steps if _is_of(stored.run, step)]
    return attrs.evolve(stored, steps=steps)


def _with_required(stored: Stored) -> Stored:
    """What is stored, with the calls that the run waits for: some servers store them there only."""
    required = tuple(required_calls(stored.run).values())

    def told(step: RunStep) -> RunStep:
        is_open = step.type == "tool_calls" and step.status not in _ENDS_OF_STEPS
        if not is_open or _calls_of(step):
            return step
        return attrs.evolve(step, step_details=ToolCallsStepDetails(required))

    return attrs.evolve(stored, steps=[told(step) for step in stored.steps]) if required else stored


def _work(heard: Heard, stored: Stored, submitted: Collection[str] | None) -> Iterator[Event]:
    """All whole objects before the end of the run, and what was not heard of their parts."""
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
        if message.run_id == run.id:  # not all servers list the messages of one run only
            yield from _message(message, heard)


def _check_kept(heard: Heard, stored: Stored) -> None:
    """What began must be stored: else its rest is lost, and nobody would be told."""
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
    """Whether a run counts tokens that it wrote: then there is a step, or a message."""
    return run.usage is not None and bool(run.usage.completion_tokens)


def _apart(
    steps: Sequence[RunStep], submitted: Collection[str]
) -> tuple[Sequence[RunStep], Sequence[RunStep]]:
    """The steps up to the one whose outputs were submitted, and those behind it."""
    places = [place for place, step in enumerate(steps) if _calls_of(step) & set(submitted)]
    begin = places[-1] + 1 if places else 0
    return steps[:begin], steps[begin:]


def _calls_of(step: RunStep) -> set[str]:
    """The ids of the calls of a step."""
    return {call.id for call in calls_in(step.step_details)}


def _written_by(step: RunStep) -> str:
    """The id of the message that a step wrote, if it did."""
    details = step.step_details
    if not isinstance(details, MessageCreationStepDetails):
        return ""
    return details.message_creation.message_id


# --- beginnings and ends -------------------------------------------------------------------


def _begun_run(run: Run, heard: Heard, submitted: Collection[str] | None) -> Iterator[Event]:
    begun = attrs.evolve(
        run,
        status="queued",
        required_action=None,
        last_error=None,
        incomplete_details=None,
        started_at=None,
        completed_at=None,
        failed_at=None,
        cancelled_at=None,
        usage=None,
    )
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
    begun = attrs.evolve(
        step,
        status=_IN_PROGRESS,
        step_details=ToolCallsStepDetails()
        if isinstance(details, ToolCallsStepDetails)
        else details,
        last_error=None,
        completed_at=None,
        failed_at=None,
        cancelled_at=None,
        expired_at=None,
        usage=None,
    )
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
    """A run that was cancelled said so before anything ended by it."""
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
    begun = attrs.evolve(
        message,
        status=_IN_PROGRESS,
        content=(),
        incomplete_details=None,
        completed_at=None,
        incomplete_at=None,
    )
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
