"""What the type checkers must know of the Responses protocol, and must refuse. Never run."""

from collections.abc import Mapping
from typing import TypedDict, assert_type

from reactivex import GroupedObservable, Observable

from rxassist import (
    AssistantEventHandler,
    AsyncClient,
    Client,
    LoopObservable,
    MergedEvent,
    Operator,
    RunStream,
    ToolResult,
    Usage,
    from_dict,
    from_json,
    merge_runs,
    to_dict,
    to_json,
)
from rxassist import operators as any_operators
from rxassist.events import Event as RunEvent
from rxassist.models import Run
from rxassist.reactive.loop import RunningLoop, ThreadLoop
from rxassist.responses import (
    AnnotationAdded,
    AsyncResponseEventHandler,
    AsyncResponseStream,
    CallDelta,
    CompactedResponse,
    Conversation,
    Event,
    FunctionCall,
    InputTokens,
    OutputItem,
    OutputItemDone,
    OutputMessage,
    OutputText,
    OutputTextDelta,
    Response,
    ResponseCompleted,
    ResponseEventHandler,
    ResponseStream,
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


# --- clients, streams and handlers ---------------------------------------------------------


def add(a: int, b: int) -> int:
    return a + b


class Answer(TypedDict):
    city: str


class Printer(ResponseEventHandler):
    def on_text_delta(self, delta: OutputTextDelta | AnnotationAdded, snapshot: OutputText) -> None:
        assert_type(delta.value, str)
        assert_type(self.current_run, Response | None)
        assert_type(self.current_event, Event | None)
        assert_type(self.current_message_snapshot, OutputMessage | None)

    def on_tool_call_done(self, tool_call: ToolCall) -> None:
        assert_type(self.get_final_run(), Response)
        assert_type(self.get_final_messages(), list[OutputMessage])


class AsyncPrinter(AsyncResponseEventHandler):
    async def on_message_done(self, message: OutputMessage) -> None:
        assert_type(await self.get_final_run(), Response)


def streams(client: Client) -> None:
    stream = client.responses.stream(model="m", input="Hello", tools=[add], max_rounds=4)
    assert_type(stream, ResponseStream)
    assert_type(stream.text_deltas, LoopObservable[str, ThreadLoop])
    assert_type(stream.snapshots, LoopObservable[Snapshot, ThreadLoop])
    assert_type(stream.messages, LoopObservable[OutputMessage, ThreadLoop])
    assert_type(stream.tool_calls, LoopObservable[ToolCall, ThreadLoop])
    assert_type(stream.tool_results, LoopObservable[ToolResult[ToolCall], ThreadLoop])
    assert_type(stream.responses, LoopObservable[Response, ThreadLoop])
    assert_type(stream.snapshot, Snapshot)
    assert_type(stream.current_run, Response | None)
    assert_type(stream.get_final_run(), Response)
    assert_type(stream.get_final_messages(), list[OutputMessage])
    assert_type(stream.get_final_run().parse(Answer), Answer)
    assert_type(stream.pipe(rxops.runs()).run(), Response)
    for event in stream:
        assert_type(event, Event)
    with client.responses.resume("resp_1", after=417, on_reset="follow") as resumed:
        assert_type(resumed, ResponseStream)


async def streams_that_are_awaited(client: AsyncClient) -> None:
    stream = client.responses.stream(model="m", input=[{"role": "user", "content": "Hello"}])
    response = await client.responses.create(model="m", input="Hello")
    client.responses.create(model="m", input=response.output)
    client.responses.stream(model="m", input=[*response.output, {"role": "user", "content": "Hi"}])
    client.responses.compact(model="m", input=response.output)
    client.conversations.create(items=response.output)
    client.conversations.items.create("conv_1", items=response.output)
    assert_type(stream, AsyncResponseStream)
    assert_type(stream.responses, LoopObservable[Response, RunningLoop])
    assert_type(await stream.get_final_run(), Response)
    async for event in stream:
        assert_type(event, Event)
    async with client.responses.resume("resp_1") as resumed:
        assert_type(resumed, AsyncResponseStream)


def calls(client: Client) -> None:
    assert_type(client.responses.create(model="m", text_format=Answer).run(), Response)
    assert_type(client.responses.retrieve("resp_1").run(), Response)
    assert_type(client.responses.cancel("resp_1").run(), Response)
    assert_type(client.responses.poll("resp_1", deadline=5).run(), Response)
    polling = client.responses.create_and_poll(model="m", background=True, tools=[add])
    assert_type(polling.run(), Response)
    assert_type(client.responses.compact(model="m").run(), CompactedResponse)
    assert_type(client.responses.input_tokens.count(model="m").run(), InputTokens)
    for item in client.responses.input_items.list("resp_1"):
        assert_type(item, OutputItem)
    assert_type(client.conversations.create().run(), Conversation)
    for item in client.conversations.items.list("conv_1"):
        assert_type(item, OutputItem)


def handlers(client: Client, other: AsyncClient, events: Observable[Event]) -> None:
    client.responses.stream(model="m", event_handler=Printer())
    client.responses.stream(model="m", event_handler=AssistantEventHandler())
    client.responses.resume("resp_1", event_handler=Printer()).subscribe(Printer())
    other.responses.stream(model="m", event_handler=AsyncPrinter())
    events.subscribe(Printer())


def streams_of_both(old: RunStream, new: ResponseStream) -> None:
    for item in merge_runs({"old": old, "new": new}):
        assert_type(item, MergedEvent[str])


def parameters_that_are_wrong(client: Client) -> None:
    client.responses.stream(modle="m")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.responses.stream(model=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.responses.stream(model="m", input=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.responses.stream(model="m", tools=[1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    client.responses.stream(model="m", if_busy="cancel")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.responses.stream(model="m", idempotent=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.responses.stream(model="m", on_reset="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.responses.stream(model="m", on_dispose="stop")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.responses.stream(assistant_id="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.responses.create(model="m", recover=False)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.responses.resume("resp_1", after="417")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.responses.resume("resp_1", model="m")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.responses.poll("resp_1", tools=[add])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.responses.compact(input="Hello")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.conversations.items.create("conv_1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def views_that_only_runs_have(stream: ResponseStream) -> None:
    _ = stream.run_steps  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    stream.get_final_run_steps()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def a_handler_of_the_other_client(client: Client, other: AsyncClient) -> None:
    client.responses.stream(model="m", event_handler=AsyncPrinter())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.responses.resume("resp_1", event_handler=AsyncPrinter())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.responses.stream(model="m", event_handler=Printer)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    other.responses.stream(model="m", event_handler=Printer())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def the_wrong_kind_of_wait(client: Client, other: AsyncClient) -> None:
    await client.responses.create(model="m")  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    for event in other.responses.stream(model="m"):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        _ = event  # pyright: ignore[reportUnknownVariableType]


class WrongHandler(ResponseEventHandler):
    def on_text_done(self, text: str) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        """A text has annotations too."""


class WrongAsyncHandler(AsyncResponseEventHandler):
    def on_text_done(self, text: OutputText) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        """It must be awaited."""
