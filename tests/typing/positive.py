"""What the type checkers must know. Checked by mypy and pyright, never run."""

from collections.abc import Mapping
from typing import Any, Literal, assert_type

import reactivex
from reactivex import Observable
from reactivex import operators as ops

import rxassist
from rxassist import (
    AssistantEventHandler,
    AsyncAssistantEventHandler,
    AsyncClient,
    AsyncRunStream,
    Client,
    LoopObservable,
    Operator,
    RunStream,
    Snapshot,
    iterate,
    map_async,
)
from rxassist import operators as rxops
from rxassist.events import (
    DoneEvent,
    ErrorEvent,
    Event,
    KnownEvent,
    RunEvent,
    ThreadMessageDelta,
    ThreadRunCompleted,
    ThreadRunRequiresAction,
    UnknownEvent,
)
from rxassist.models import (
    Assistant,
    CodeInterpreterToolCall,
    FunctionToolCall,
    ImageFileContentBlock,
    Message,
    MessageContent,
    MessageContentDelta,
    Run,
    RunStep,
    Text,
    TextContentBlock,
    TextDelta,
    TextDeltaBlock,
    Thread,
    ToolCall,
    ToolCallDelta,
    UnknownContentBlock,
)


def operators_have_the_types_of_what_they_take_and_give() -> None:
    assert_type(rxops.accumulate_snapshots(), Operator[Event, Snapshot])
    assert_type(rxops.check_ending(), Operator[Event, Event])
    assert_type(rxops.decode(max_event_bytes=1024), Operator[bytes, Event])
    assert_type(rxops.final_run(), Operator[Event, Run])
    assert_type(rxops.lines(), Operator[Event | str, str])
    assert_type(rxops.messages(), Operator[Event, Message])
    assert_type(rxops.of_type(ThreadMessageDelta), Operator[object, ThreadMessageDelta])
    assert_type(rxops.raise_for_status(), Operator[Event, Event])
    assert_type(rxops.run_steps(), Operator[Event, RunStep])
    assert_type(rxops.runs(), Operator[Event, Run])
    assert_type(rxops.sentences(), Operator[Event | str, str])
    assert_type(rxops.smooth(1), Operator[Event | str, str])
    assert_type(rxops.citations(), Operator[Event | str, str])
    assert_type(rxops.text_deltas(separator="\n\n"), Operator[Event, str])
    assert_type(rxops.text_deltas(), Operator[Event, str])
    assert_type(rxops.text_snapshots(), Operator[Event, str])
    assert_type(rxops.tool_call_deltas(), Operator[Event, ToolCallDelta])
    assert_type(rxops.tool_calls(), Operator[Event, ToolCall])
    assert_type(rxops.until_done(), Operator[Event, Event])


def length_of_long_ones(text: str) -> int | None:
    return len(text) if len(text) > 1 else None


def pipes(chunks: Observable[bytes]) -> None:
    assert_type(chunks.pipe(rxops.decode()), Observable[Event])
    assert_type(chunks.pipe(rxops.decode(), rxops.text_deltas()), Observable[str])
    assert_type(chunks.pipe(rxops.decode(), rxops.sentences()), Observable[str])
    assert_type(chunks.pipe(rxops.decode(), rxops.text_deltas(), rxops.lines()), Observable[str])
    assert_type(chunks.pipe(rxops.decode(), rxops.smooth(1)), Observable[str])
    assert_type(chunks.pipe(rxops.decode(), rxops.citations(), rxops.smooth(1)), Observable[str])
    assert_type(
        chunks.pipe(rxops.decode(), rxops.until_done(), rxops.raise_for_status(), rxops.runs()),
        Observable[Run],
    )
    texts = chunks.pipe(rxops.decode(), rxops.text_deltas())
    assert_type(texts.pipe(rxops.choose(length_of_long_ones)), Observable[int])
    assert_type(texts.pipe(ops.last()).map(str.upper), Observable[str])


def of_type_narrows(events: Observable[Event]) -> None:
    assert_type(events.pipe(rxops.of_type(ThreadMessageDelta)), Observable[ThreadMessageDelta])
    assert_type(events.pipe(rxops.of_type(RunEvent)), Observable[RunEvent])
    ids = events.pipe(rxops.of_type(ThreadMessageDelta)).map(lambda event: event.data.id)
    assert_type(ids, Observable[str])
    statuses = events.pipe(rxops.of_type(RunEvent)).map(lambda event: event.data.status)
    assert_type(statuses, Observable[str])


def an_operator_of_ones_own() -> Operator[Event, int]:
    def operator(source: Observable[Event]) -> Observable[int]:
        return source.pipe(rxops.text_deltas(), rxops.choose(length_of_long_ones))

    return operator


def operators_compose(events: Observable[Event]) -> None:
    assert_type(events.pipe(an_operator_of_ones_own()), Observable[int])


def names_tell_events_apart(event: KnownEvent) -> None:
    if event.event == "thread.message.delta":
        assert_type(event, ThreadMessageDelta)
        for part in event.data.delta.content:
            delta_parts_are_told_apart(part)
    elif event.event == "thread.run.requires_action":
        assert_type(event, ThreadRunRequiresAction)
        assert_type(event.data, Run)
    elif event.event == "done":
        assert_type(event, DoneEvent)
    elif event.event == "error":
        assert_type(event, ErrorEvent)
        assert_type(event.data.message, str)


def names_tell_events_apart_when_some_are_unknown(event: Event) -> None:
    """Its name may be any text, so mypy wants it told apart first; pyright does not."""
    if isinstance(event, UnknownEvent):
        assert_type(event.event, str)
    elif event.event == "thread.run.completed":
        assert_type(event, ThreadRunCompleted)


def delta_parts_are_told_apart(part: MessageContentDelta) -> None:
    if isinstance(part, TextDeltaBlock):
        assert_type(part.type, Literal["text"])
        if part.text is not None:
            assert_type(part.text.value, str | None)


def parts_are_told_apart(part: MessageContent) -> None:
    if isinstance(part, UnknownContentBlock):
        assert_type(part.raw, Mapping[str, Any])
    elif part.type == "text":
        assert_type(part, TextContentBlock)
        assert_type(part.text.value, str)
    elif part.type == "image_file":
        assert_type(part, ImageFileContentBlock)
        assert_type(part.image_file.file_id, str)


def calls_are_told_apart(call: ToolCall) -> None:
    if isinstance(call, FunctionToolCall):
        assert_type(call.function.arguments, str)
        assert_type(call.function.output, str | None)
    elif isinstance(call, CodeInterpreterToolCall):
        assert_type(call.code_interpreter.input, str)
    else:
        assert_type(call.id, str)


def blocking(client: Client) -> None:
    assistant = client.assistants.create(model="m", tools=[{"type": "code_interpreter"}])
    assert_type(assistant, LoopObservable[Assistant])
    assert_type(assistant.run(), Assistant)
    thread = client.threads.create(messages=[{"role": "user", "content": "Hello"}]).run()
    assert_type(thread, Thread)
    client.threads.messages.create(thread.id, role="user", content="Hello", metadata={"a": "b"})
    client.threads.messages.create(thread.id, role="user", content="Hello", if_busy="wait")
    polling = client.threads.runs.create_and_poll(
        thread.id, assistant_id="asst_1", if_busy="cancel", on_dispose="cancel", deadline=5
    )
    assert_type(polling.run(), Run)
    for message in client.threads.messages.list(thread.id, order="asc", limit=20):
        assert_type(message, Message)
    assert_type(client.beta.threads.runs.retrieve("run_1", thread_id="thread_1").run(), Run)


def blocking_stream(client: Client) -> None:
    stream = client.threads.runs.stream(
        thread_id="thread_1", assistant_id="asst_1", temperature=0.5, on_dispose="cancel"
    )
    assert_type(stream, RunStream)
    assert_type(stream.text_deltas, LoopObservable[str])
    assert_type(stream.snapshots, LoopObservable[Snapshot])
    assert_type(stream.tool_calls, LoopObservable[ToolCall])
    assert_type(stream.messages, LoopObservable[Message])
    assert_type(stream.run_steps, LoopObservable[RunStep])
    assert_type(stream.text_deltas.run(), str)
    assert_type(stream.get_final_run(), Run)
    assert_type(stream.get_final_messages(), list[Message])
    assert_type(stream.current_event, Event | None)
    assert_type(stream.until_done(), None)
    with stream as same:
        assert_type(same, RunStream)
        for event in same:
            assert_type(event, Event)
    for text in stream.text_deltas:
        assert_type(text, str)
    assert_type(stream.pipe(rxops.text_deltas()).run(), str)


async def awaited(client: AsyncClient) -> None:
    thread = await client.threads.create()
    assert_type(thread, Thread)
    stream = client.threads.create_and_run_stream(assistant_id="asst_1", thread={}, replay=False)
    assert_type(stream, AsyncRunStream)
    async with stream as same:
        assert_type(same, AsyncRunStream)
        async for event in same:
            assert_type(event, Event)
    async for text in stream.text_deltas:
        assert_type(text, str)
    assert_type(await stream.get_final_run(), Run)
    assert_type(await stream.get_final_run_steps(), list[RunStep])
    assert_type(await stream.text_deltas, str)


async def answer(question: str) -> bytes:
    return question.encode()


async def coroutines(stream: AsyncRunStream) -> None:
    assert_type(map_async(answer, max_concurrent=2), Operator[str, bytes])
    assert_type(stream.text_deltas.pipe(map_async(answer)), Observable[bytes])
    subscription = stream.text_deltas.subscribe_async(answer, max_concurrent=2)
    subscription.dispose()


async def iteration(numbers: Observable[int]) -> None:
    for number in iterate(numbers):
        assert_type(number, int)
    async for number in iterate(numbers, buffer=4):
        assert_type(number, int)


def runs_in_a_pipe(client: Client) -> Observable[str]:
    def text_of(thread: Thread) -> Observable[str]:
        return client.threads.runs.stream(thread_id=thread.id, assistant_id="asst_1").text_deltas

    return client.threads.create().pipe(ops.flat_map(text_of))


def merged(one: RunStream, other: RunStream) -> None:
    assert_type(reactivex.merge(one, other).pipe(rxops.runs()), Observable[Run])


def errors(error: rxassist.RunFailed) -> None:
    assert_type(error.run, Run)
    assert_type(error.snapshot, Snapshot | None)


class Handler(AssistantEventHandler):
    def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        assert_type(self.current_run, Run | None)
        assert_type(self.current_event, Event | None)
        assert_type(self.current_message_snapshot, Message | None)
        assert_type(self.current_run_step_snapshot, RunStep | None)


class AsyncHandler(AsyncAssistantEventHandler):
    async def on_tool_call_done(self, tool_call: ToolCall) -> None:
        assert_type(self.current_run, Run | None)


def handlers(client: Client, events: Observable[Event]) -> None:
    stream = client.threads.runs.stream(thread_id="t", assistant_id="a", event_handler=Handler())
    stream.subscribe(Handler())
    stream.subscribe(AsyncHandler())
    events.subscribe(Handler())
    events.subscribe(Handler().observer())
    client.threads.create_and_run_stream(assistant_id="a", event_handler=None)
