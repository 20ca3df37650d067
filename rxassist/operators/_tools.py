"""Tool calls: as they grow, and when they are whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rxassist.events import (
    Event,
    RunEvent,
    RunStepEvent,
    ThreadMessageDelta,
    ThreadRunStepCreated,
    ThreadRunStepDelta,
    ThreadRunStepInProgress,
    check_event,
)
from rxassist.models import (
    SETTLED,
    Run,
    RunStep,
    RunStepDeltaEvent,
    ToolCall,
    ToolCallDelta,
    ToolCallsStepDetails,
)
from rxassist.operators._kernel import Step, choose_each, nothing
from rxassist.operators._snapshots import by_fold
from rxassist.snapshots import Snapshot, required_calls
from rxassist.typing import Operator


def _deltas(data: RunStepDeltaEvent) -> tuple[ToolCallDelta, ...]:
    details = data.delta.step_details
    if details is None or details.type != "tool_calls":
        return ()
    return details.tool_calls


def tool_call_deltas() -> Operator[Event, ToolCallDelta]:
    """Emit each delta of each tool call, as the service sent it.

    ``index`` tells the parallel calls of a step apart. Completes and fails with its source.

    Where ``x`` is a step's delta that holds the deltas ``X`` and ``Y`` of two calls::

        source  -s-x---d|
        result  ---(XY)-|
    """
    return choose_each(lambda: (_deltas_of, nothing))


def _deltas_of(event: Event) -> tuple[ToolCallDelta, ...]:
    if isinstance(event, ThreadRunStepDelta):
        return _deltas(event.data)
    check_event(event, "tool_call_deltas")
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
        if isinstance(event, ThreadMessageDelta):  # nearly all are, and it tells of no call
            return ()
        return self._told(event, snapshot)

    def _told(self, event: Event, snapshot: Snapshot) -> Iterator[ToolCall]:
        if isinstance(event, ThreadRunStepDelta):
            said = event.glance()
            for delta in _deltas(said):
                yield from self._began(snapshot, said.id, delta)
        elif isinstance(event, RunEvent):
            if event.data.status in SETTLED:
                yield from self._settled(snapshot, event.data)
        elif isinstance(event, RunStepEvent) and not isinstance(
            event, ThreadRunStepCreated | ThreadRunStepInProgress
        ):
            yield from self._end(snapshot, event.data)

    def _began(self, snapshot: Snapshot, step_id: str, delta: ToolCallDelta) -> Iterator[ToolCall]:
        """A delta came: if it begins a later call, the one before can no longer change."""
        index, call_id = delta.index or 0, delta.id or ""  # some servers say null for 0
        before = self._open.get(step_id)
        if before is None or (index == before[0] and not before[1]):
            self._open[step_id] = (index, call_id)
        elif index > before[0] or (index == before[0] and self._is_other(call_id, before[1])):
            self._open[step_id] = (index, call_id)
            yield from self._at(snapshot, step_id, *before)

    def _is_other(self, call_id: str, before: str) -> bool:
        """Whether an id begins another call: of an index with several, earlier ones may grow."""
        return bool(call_id) and call_id != before and call_id not in self._emitted

    def _end(self, snapshot: Snapshot, step: RunStep) -> Iterator[ToolCall]:
        """A step ended; one that ends again tells no more than its event does."""
        self._open.pop(step.id, None)
        if step.id not in self._ended:
            self._ended.add(step.id)
            step = snapshot.run_step or step
        if isinstance(step.step_details, ToolCallsStepDetails):
            for index, call in enumerate(step.step_details.tool_calls):
                yield from self._once(call, f"{step.id} {index}")

    def _settled(self, snapshot: Snapshot, run: Run) -> Iterator[ToolCall]:
        """The run waits or has ended: nothing changes any more, what it waits for is whole."""
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
    """What ``tool_calls`` follows."""
    return _Calls(after).step


def tool_calls() -> Operator[Event, ToolCall]:
    """Emit each tool call exactly once, when it can no longer change.

    That is when a later call of its step began, when its step ended, or when the run requires
    action or has ended. ``function.arguments`` is whole then; ``function.output`` is known only in
    a stream that saw the outputs submitted. Completes and fails with its source.

    Where ``x`` begins a first call, ``y`` a second one, ``a`` is ``thread.run.requires_action``,
    and the capitals are the calls::

        source  -s-x-x-y-y-a-d|
        result  -------X---Y--|
    """
    return by_fold(whole_calls)
