"""What the type checkers must know of the Responses protocol, and must refuse. Never run."""

from collections.abc import Mapping
from typing import assert_type

from reactivex import GroupedObservable, Observable

from rxassist import MergedEvent, Operator, Usage, from_dict, from_json, to_dict, to_json
from rxassist import operators as any_operators
from rxassist.events import Event as RunEvent
from rxassist.models import Run
from rxassist.responses import (
    CallDelta,
    Event,
    FunctionCall,
    OutputItem,
    OutputItemDone,
    OutputMessage,
    OutputTextDelta,
    Response,
    ResponseCompleted,
    ShellDelta,
    Snapshot,
    ToolCall,
)
from rxassist.responses import operators as rxops
from rxassist.runs.events import AnyEvent
from rxassist.runs.operators.lifetime import EventOperator
from rxassist.testing import ResponseEventBuilder


def operators_have_the_types_of_what_they_take_and_give() -> None:
    assert_type(rxops.accumulate_snapshots(), Operator[Event, Snapshot])
    assert_type(rxops.as_assistant_events(), Operator[Event, RunEvent])
    assert_type(rxops.check_ending(), EventOperator)
    assert_type(rxops.citations(), Operator[AnyEvent | str, str])
    assert_type(rxops.decode(protocol="responses"), Operator[bytes, Event])
    assert_type(rxops.final_run(), Operator[Event, Response])
    assert_type(rxops.messages(), Operator[Event, OutputMessage])
    assert_type(rxops.of_type(OutputTextDelta), Operator[object, OutputTextDelta])
    assert_type(rxops.runs(), Operator[Event, Response])
    assert_type(rxops.text_deltas(on_reset="follow"), Operator[AnyEvent, str])
    assert_type(rxops.tool_call_deltas(), Operator[Event, CallDelta | ShellDelta])
    assert_type(rxops.tool_calls(), Operator[Event, ToolCall])
    assert_type(rxops.usage(), Operator[AnyEvent, Usage | None])


def waits_again(run: Response) -> bool:
    return run.wire_status == "failed"


def pipes(chunks: Observable[bytes]) -> None:
    events = chunks.pipe(rxops.decode(protocol="responses"))
    assert_type(events, Observable[Event])
    assert_type(events.pipe(rxops.until_done(), rxops.text_deltas()), Observable[str])
    assert_type(events.pipe(rxops.check_ending(), rxops.runs()), Observable[Response])
    assert_type(events.pipe(rxops.check_ending(), rxops.until_done()), Observable[Event])
    assert_type(
        events.pipe(rxops.until_done(), rxops.raise_for_status(), rxops.final_run()),
        Observable[Response],
    )
    assert_type(events.pipe(rxops.retry_run(when=waits_again)), Observable[Event])
    assert_type(events.pipe(rxops.citations(), rxops.smooth(1)), Observable[str])
    assert_type(events.pipe(rxops.as_assistant_events(), any_operators.runs()), Observable[Run])
    names = events.pipe(rxops.of_type(OutputItemDone)).map(lambda event: event.item)
    assert_type(names, Observable[OutputItem])


def operators_that_take_the_events_of_both(
    old: Observable[RunEvent], new: Observable[Event], both: Observable[RunEvent | Event]
) -> None:
    assert_type(old.pipe(any_operators.text_deltas()), Observable[str])
    assert_type(new.pipe(any_operators.text_deltas()), Observable[str])
    assert_type(both.pipe(any_operators.text_deltas()), Observable[str])
    assert_type(new.pipe(any_operators.usage()), Observable[Usage | None])
    assert_type(old.pipe(any_operators.check_ending()), Observable[RunEvent])
    assert_type(new.pipe(any_operators.check_ending()), Observable[Event])
    assert_type(both.pipe(any_operators.until_done()), Observable[RunEvent | Event])
    assert_type(new.pipe(any_operators.until_done(), any_operators.lines()), Observable[str])


def merged(events: Observable[MergedEvent[int]]) -> None:
    assert_type(events.pipe(rxops.of_run(1)), Observable[Event])
    assert_type(events.pipe(rxops.latest_snapshots()), Observable[Mapping[int, Snapshot]])
    assert_type(events.pipe(rxops.group_by_run()), Observable[GroupedObservable[int, Event]])


def names_tell_events_apart(event: Event, item: OutputItem) -> None:
    assert_type(event.name, str)
    if event.type == "response.completed":
        assert_type(event.run(), Response)
    if isinstance(event, ResponseCompleted):
        assert_type(event.response, Response)
    if isinstance(item, FunctionCall):
        assert_type(item.arguments, str)


def snapshots(snapshot: Snapshot) -> None:
    assert_type(snapshot.run, Response | None)
    assert_type(snapshot.output, tuple[OutputItem, ...])
    assert_type(snapshot.messages, tuple[OutputMessage, ...])
    assert_type(snapshot.text, str)


def kept(event: Event, snapshot: Snapshot, run: Response) -> None:
    assert_type(from_dict(Snapshot, to_dict(snapshot)), Snapshot)
    assert_type(from_json(Response, to_json(run)), Response)
    assert_type(from_dict(OutputTextDelta, to_dict(event)), OutputTextDelta)


def built(build: ResponseEventBuilder) -> None:
    assert_type(build.text_delta("Hi"), Event)


# --- what must be refused ------------------------------------------------------------------


def events_of_the_other_protocol(
    old: Observable[RunEvent], new: Observable[Event], both: Observable[RunEvent | Event]
) -> None:
    old.pipe(rxops.runs())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    new.pipe(any_operators.runs())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    both.pipe(rxops.final_run())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    old.pipe(rxops.as_assistant_events())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _: Observable[Run] = new.pipe(rxops.runs())  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]


def operators_with_the_wrong_arguments(texts: Observable[str]) -> None:
    rxops.text_deltas(on_reset="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    rxops.decode(protocol="chat")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    texts.pipe(rxops.check_ending())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    rxops.run_steps()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
