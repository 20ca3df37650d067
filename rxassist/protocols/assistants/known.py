"""A run that exists already, of which the first events may be known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce

from attrs import evolve, field, frozen

from rxassist.protocols.assistants.awaited import says_nothing
from rxassist.protocols.assistants.events import (
    Event,
    RunEvent,
    RunStepEvent,
    ThreadRunInProgress,
    ThreadRunQueued,
    ThreadRunRequiresAction,
    ThreadRunStepCompleted,
)
from rxassist.protocols.assistants.models import (
    FunctionCall,
    FunctionToolCall,
    RequiredActionFunctionToolCall,
    RequiredActionSubmitToolOutputs,
    Run,
    RunStep,
    SubmitToolOutputs,
)
from rxassist.protocols.assistants.snapshots import NOTHING, calls_in, fold, required_calls
from rxassist.reactive.kernel import choose_each, nothing
from rxassist.reactive.typing import Operator
from rxassist.runs.state import FINISHED
from rxassist.runs.streams.creation import SEARCH_PATIENCE

_WAITS = "requires_action"


@frozen
class Known:
    """What is known of a run that exists already: for a program that follows it after another one.

    - ``events``: the first events of its stream. What is emitted begins after them.
    - ``run_id``: its id, unless the events have it.
    - ``mark``: the mark in its metadata by which it is found if nothing tells its id.
    - ``outputs``: replies to its tool calls, by the ids of the calls: these are not made again.
    - ``patience``: seconds for which a run with the mark is looked for; ``None``: it looks once.
    """

    events: Sequence[Event] = ()
    run_id: str | None = None
    mark: str | None = None
    outputs: Mapping[str, str] = field(factory=dict[str, str])
    patience: float | None = SEARCH_PATIENCE

    @property
    def id(self) -> str | None:
        """The id of the run, if it is known."""
        return self.run_id or next((event.data.id for event in self._of_runs), None)

    @property
    def run(self) -> Run | None:
        """The run as the events had it first."""
        return next((event.data for event in self._of_runs), None)

    @property
    def is_over(self) -> bool:
        """Whether the last event of the stream is known."""
        return bool(self.events) and self.events[-1].is_done

    @property
    def has_finished(self) -> bool:
        """Whether the end of the run is known."""
        return any(event.data.status in FINISHED for event in self._of_runs)

    @property
    def wait(self) -> Run | None:
        """The run at its last known wait for outputs."""
        waits = [event.data for event in self._of_runs if event.data.status == _WAITS]
        return waits[-1] if waits else None

    @property
    def submitted(self) -> set[str] | None:
        """The calls whose outputs end the last known wait; ``None`` if there was no wait."""
        wait = self.wait
        if wait is None or not says_nothing(wait):
            return None if wait is None else set(required_calls(wait))
        steps = reduce(fold, self.events[: len(self.events) - len(self.since)], NOTHING).run_steps
        return {
            call.id for step in steps if step.status == "in_progress" for call in _functions(step)
        }

    @property
    def since(self) -> list[Event]:
        """The events after the last wait; all of them if there was no wait."""
        events = [event for event in self.events if not event.is_done]
        places = [place for place, event in enumerate(events) if _begins_wait(event)]
        return events[places[-1] + 1 :] if places else events

    @property
    def _of_runs(self) -> list[RunEvent]:
        return [event for event in self.events if isinstance(event, RunEvent)]


def still_waits(run: Run, known: Known) -> bool:
    """Whether a run waits for the outputs that it waited for when its last known event came."""
    calls = known.submitted
    if calls is None or known.since or run.status != _WAITS:
        return False
    return says_nothing(run) or calls <= set(required_calls(run))


def with_waits(known: Known) -> Operator[Event, Event]:
    """Add the waits for outputs that are over: no stored object tells of them.

    A step with calls of functions has completed only after the run has waited for their outputs.
    A wait at the beginning that is known already is left out.
    """
    return choose_each(lambda: (_Waits(known).step, nothing))


class _Waits:
    """One subscription: whether the run waits for outputs, and how it was last told."""

    def __init__(self, known: Known) -> None:
        self._run: Run | None = None
        self._waits = False  # since a wait was told, nothing but the end of its steps was
        self._told: set[str] = set()  # the calls of all waits
        for event in known.events:
            self._take(event)
        self._is_repeated = self._waits and not known.since

    def step(self, event: Event) -> Iterator[Event]:
        """An event, and the wait before it that is over."""
        is_repeated, self._is_repeated = self._is_repeated and _begins_wait(event), False
        if is_repeated:
            return
        run = self._run
        if run is None or not (isinstance(event, ThreadRunStepCompleted) and self._is_new(event)):
            self._take(event)
            yield event
            return
        resumed = evolve(run, status="queued", required_action=None)
        for each in (
            ThreadRunRequiresAction(_waiting(run, event.data)),
            event,
            ThreadRunQueued(resumed),
            ThreadRunInProgress(evolve(resumed, status="in_progress")),
        ):
            self._take(each)
            yield each

    def _is_new(self, event: RunStepEvent) -> bool:
        """Whether a step has completed after a wait that was not told."""
        calls = {call.id for call in _functions(event.data)}
        return bool(calls) and not self._waits and not calls & self._told

    def _take(self, event: Event) -> None:
        if isinstance(event, RunEvent):
            self._run = event.data
            self._waits = event.data.status == _WAITS
            self._told |= required_calls(event.data).keys()
        elif event.is_delta or (isinstance(event, RunStepEvent) and event.begins):
            self._waits = False


def _waiting(run: Run, step: RunStep) -> Run:
    """The run as it waited for the outputs of a step."""
    calls = tuple(
        RequiredActionFunctionToolCall(
            call.id, FunctionCall(call.function.name, call.function.arguments)
        )
        for call in _functions(step)
    )
    action = RequiredActionSubmitToolOutputs(SubmitToolOutputs(calls))
    return evolve(run, status=_WAITS, required_action=action)


def _functions(step: RunStep) -> list[FunctionToolCall]:
    calls = calls_in(step.step_details)
    return [call for call in calls if isinstance(call, FunctionToolCall)]


def _begins_wait(event: Event) -> bool:
    return isinstance(event, RunEvent) and event.data.status == _WAITS


__all__ = ["Known", "still_waits", "with_waits"]
