"""The types of the operators for the events of the Assistants protocol.

The operators themselves are made for the events of any protocol; those whose output does not depend
on it have the types of any. ``rxassist.responses.operators`` has the types of the other one.
"""

from collections.abc import Callable, Mapping

from reactivex import GroupedObservable, Observable, abc

from rxassist.events import Event
from rxassist.models import Message, Run, RunStep, ToolCall, ToolCallDelta
from rxassist.protocols.assistants.recovery import recover
from rxassist.protocols.assistants.run_tools import run_tools
from rxassist.protocols.assistants.snapshots import Snapshot
from rxassist.protocols.bridge import as_assistant_events
from rxassist.protocols.decode import decode
from rxassist.reactive.typing import Operator
from rxassist.runs.operators import (
    check_ending,
    choose,
    choose_each,
    citations,
    deadline,
    debounce_snapshots,
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
from rxassist.runs.operators.merge import KeyT, MergedEvent

def accumulate_snapshots() -> Operator[Event, Snapshot]: ...
def final_run() -> Operator[Event, Run]: ...
def group_by_run() -> Callable[
    [Observable[MergedEvent[KeyT]]], Observable[GroupedObservable[KeyT, Event]]
]: ...
def latest_snapshots() -> Callable[
    [Observable[MergedEvent[KeyT]]], Observable[Mapping[KeyT, Snapshot]]
]: ...
def messages() -> Operator[Event, Message]: ...
def of_run(key: KeyT) -> Operator[MergedEvent[KeyT], Event]: ...
def retry_run(
    times: int = 2,
    backoff: float | Callable[[int], float] = 1.0,
    when: Callable[[Run], bool] = ...,
    *,
    hold: bool = False,
    scheduler: abc.SchedulerBase | None = None,
) -> Operator[Event, Event]: ...
def run_steps() -> Operator[Event, RunStep]: ...
def runs() -> Operator[Event, Run]: ...
def tool_call_deltas() -> Operator[Event, ToolCallDelta]: ...
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
    "recover",
    "retry_run",
    "run_steps",
    "run_summaries",
    "run_tools",
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
