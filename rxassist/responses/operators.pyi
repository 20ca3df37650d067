"""The types of the operators for the events of the Responses protocol."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from reactivex import GroupedObservable, Observable, abc

from rxassist.operators import (
    as_assistant_events,
    check_ending,
    choose,
    choose_each,
    citations,
    deadline,
    debounce_snapshots,
    decode,
    json_snapshots,
    lines,
    of_type,
    raise_for_status,
    run_summaries,
    sentences,
    smooth,
    text_deltas,
    text_snapshots,
    timings,
    until_done,
    usage,
)
from rxassist.protocols.responses.events import CallDelta, Event, ShellDelta
from rxassist.protocols.responses.models import OutputMessage, Response, ToolCall
from rxassist.protocols.responses.snapshots import Snapshot
from rxassist.reactive.typing import Operator
from rxassist.runs.operators.merge import MergedEvent

_K = TypeVar("_K")

def accumulate_snapshots() -> Operator[Event, Snapshot]: ...
def final_run() -> Operator[Event, Response]: ...
def group_by_run() -> Callable[
    [Observable[MergedEvent[_K]]], Observable[GroupedObservable[_K, Event]]
]: ...
def latest_snapshots() -> Callable[
    [Observable[MergedEvent[_K]]], Observable[Mapping[_K, Snapshot]]
]: ...
def messages() -> Operator[Event, OutputMessage]: ...
def of_run(key: _K) -> Operator[MergedEvent[_K], Event]: ...
def retry_run(
    times: int = 2,
    backoff: float | Callable[[int], float] = 1.0,
    when: Callable[[Response], bool] = ...,
    *,
    hold: bool = False,
    scheduler: abc.SchedulerBase | None = None,
) -> Operator[Event, Event]: ...
def runs() -> Operator[Event, Response]: ...
def tool_call_deltas() -> Operator[Event, CallDelta | ShellDelta]: ...
def tool_calls() -> Operator[Event, ToolCall]: ...

__all__ = [
    "accumulate_snapshots",
    "as_assistant_events",
    "check_ending",
    "choose",
    "choose_each",
    "citations",
    "deadline",
    "debounce_snapshots",
    "decode",
    "final_run",
    "group_by_run",
    "json_snapshots",
    "latest_snapshots",
    "lines",
    "messages",
    "of_run",
    "of_type",
    "raise_for_status",
    "retry_run",
    "run_summaries",
    "runs",
    "sentences",
    "smooth",
    "text_deltas",
    "text_snapshots",
    "timings",
    "tool_call_deltas",
    "tool_calls",
    "until_done",
    "usage",
]
