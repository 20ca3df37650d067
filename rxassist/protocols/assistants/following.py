"""Messages, steps and tool calls of a run, each when it can no longer change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rxassist.protocols.assistants.events import (
    Event,
    MessageEvent,
    RunEvent,
    RunStepEvent,
    ThreadMessageDelta,
    ThreadRunStepDelta,
)
from rxassist.protocols.assistants.models import (
    Message,
    Run,
    RunStep,
    RunStepDeltaEvent,
    ToolCall,
    ToolCallDelta,
)
from rxassist.protocols.assistants.snapshots import Snapshot, calls_in, required_calls
from rxassist.reactive.kernel import Step
from rxassist.runs.state import SETTLED

_T = TypeVar("_T")


def _deltas(data: RunStepDeltaEvent) -> tuple[ToolCallDelta, ...]:
    details = data.delta.step_details
    if details is None or details.type != "tool_calls":
        return ()
    return details.tool_calls


def deltas_of_calls(event: Event) -> tuple[ToolCallDelta, ...]:
    """The deltas of tool calls that an event holds."""
    if isinstance(event, ThreadRunStepDelta):
        return _deltas(event.data)
    return ()


class _Calls:
    """The calls that have begun and can still change, and the ids of those that were emitted."""

    def __init__(self, after: Callable[[Event], Snapshot]) -> None:
        self._fold = after
        self._open: dict[str, tuple[int, str]] = {}  # by step: index and id of the latest call
        self._ended: set[str] = set()  # steps
        self._emitted: set[str] = set()

    def step(self, event: Event) -> Iterable[ToolCall]:
        snapshot = self._fold(event)
        if isinstance(event, ThreadMessageDelta):  # nearly always, and it concerns no call
            return ()
        return self._whole_calls(event, snapshot)

    def _whole_calls(self, event: Event, snapshot: Snapshot) -> Iterator[ToolCall]:
        if isinstance(event, ThreadRunStepDelta):
            said = event.glance()
            for delta in _deltas(said):
                yield from self._began(snapshot, said.id, delta)
        elif isinstance(event, RunEvent):
            if event.data.status in SETTLED:
                yield from self._settled(snapshot, event.data)
        elif isinstance(event, RunStepEvent) and not event.begins:
            yield from self._end(snapshot, event.data)

    def _began(self, snapshot: Snapshot, step_id: str, delta: ToolCallDelta) -> Iterator[ToolCall]:
        """Take a delta: if it begins a later call, the one before can no longer change."""
        index, call_id = delta.index or 0, delta.id or ""  # some servers send null for 0
        before = self._open.get(step_id)
        if before is None or (index == before[0] and not before[1]):
            self._open[step_id] = (index, call_id)
        elif index > before[0] or (index == before[0] and self._is_other(call_id, before[1])):
            self._open[step_id] = (index, call_id)
            yield from self._at(snapshot, step_id, *before)

    def _is_other(self, call_id: str, before: str) -> bool:
        """Whether an id begins another call; calls may share an index, and earlier ones grow."""
        return bool(call_id) and call_id != before and call_id not in self._emitted

    def _end(self, snapshot: Snapshot, step: RunStep) -> Iterator[ToolCall]:
        """End a step; for a step that ends again, only the calls in its event count."""
        self._open.pop(step.id, None)
        if step.id not in self._ended:
            self._ended.add(step.id)
            step = snapshot.run_step or step
        for index, call in enumerate(calls_in(step.step_details)):
            yield from self._once(call, f"{step.id} {index}")

    def _settled(self, snapshot: Snapshot, run: Run) -> Iterator[ToolCall]:
        """The run waits or has ended: no call changes any more, and the required ones are whole."""
        required = required_calls(run)
        for step_id, (index, call_id) in self._open.items():
            for began in self._at(snapshot, step_id, index, call_id):
                yield required.pop(began.id, began)
        self._open.clear()
        for required_id, required_call in required.items():
            yield from self._once(required_call, required_id)

    def _at(self, snapshot: Snapshot, step_id: str, index: int, call_id: str) -> Iterator[ToolCall]:
        call = snapshot.find_tool_call(step_id, index, call_id)
        if call is not None:
            yield from self._once(call, f"{step_id} {index}")

    def _once(self, call: ToolCall, place: str) -> Iterator[ToolCall]:
        key = call.id or place
        if key not in self._emitted:
            self._emitted.add(key)
            yield call


def whole_calls(after: Callable[[Event], Snapshot]) -> Step[Event, ToolCall]:
    """Follow the tool calls of a run: each once, when it is whole."""
    return _Calls(after).step


def finished_messages(after: Callable[[Event], Snapshot]) -> Step[Event, Message]:
    """Follow the messages of a run: each once, when it is finished."""
    return _finished(after, MessageEvent, lambda snapshot: snapshot.message)


def finished_run_steps(after: Callable[[Event], Snapshot]) -> Step[Event, RunStep]:
    """Follow the steps of a run: each once, when it is finished."""
    return _finished(after, RunStepEvent, lambda snapshot: snapshot.run_step)


def _finished(
    after: Callable[[Event], Snapshot],
    kind: type[MessageEvent | RunStepEvent],
    latest: Callable[[Snapshot], _T | None],
) -> Step[Event, _T]:
    seen: set[str] = set()

    def finished(event: Event) -> Iterator[_T]:
        snapshot = after(event)
        if isinstance(event, kind) and not event.begins and event.data.id not in seen:
            whole = latest(snapshot)
            if whole is not None:
                seen.add(event.data.id)
                yield whole

    return finished


__all__ = ["deltas_of_calls", "finished_messages", "finished_run_steps", "whole_calls"]
