"""What the type checkers must know. Checked by mypy and pyright, never run."""

from asyncio import Future
from collections.abc import Mapping
from typing import Any, Literal, assert_never, assert_type

import reactivex
from reactivex import ConnectableObservable, Observable
from reactivex import operators as ops

import rxassist
from rxassist import (
    AssistantEventHandler,
    AsyncAssistantEventHandler,
    AsyncClient,
    AsyncRunStream,
    Client,
    LoopObservable,
    MergedEvent,
    Operator,
    RateLimitError,
    RunStream,
    Snapshot,
    ToolResult,
    iterate,
    map_async,
    merge_runs,
    to_sse,
    to_sse_blocking,
)
from rxassist import operators as rxops
from rxassist.events import (
    DoneEvent,
    ErrorEvent,
    Event,
    MessageEvent,
    RunEvent,
    RunStepEvent,
    ThreadCreated,
    ThreadMessageDelta,
    ThreadRunCompleted,
    ThreadRunFailed,
    ThreadRunRequiresAction,
    ThreadRunStepDelta,
    UnknownEvent,
)
from rxassist.models import (
    Annotation,
    AnnotationDelta,
    Assistant,
    AssistantTool,
    ChunkingStrategy,
    CodeInterpreterImageDelta,
    CodeInterpreterLogsDelta,
    CodeInterpreterOutputImage,
    CodeInterpreterOutputLogs,
    CodeInterpreterTool,
    CodeInterpreterToolCall,
    CodeInterpreterToolCallDelta,
    FileCitation,
    FileCitationAnnotation,
    FileCitationDeltaAnnotation,
    FilePath,
    FilePathAnnotation,
    FilePathDeltaAnnotation,
    FileSearchTool,
    FileSearchToolCall,
    FileSearchToolCallDelta,
    FunctionTool,
    FunctionToolCall,
    FunctionToolCallDelta,
    ImageFileContentBlock,
    ImageFileDeltaBlock,
    ImageURLContentBlock,
    ImageURLDeltaBlock,
    Message,
    MessageContent,
    MessageContentDelta,
    MessageCreationDelta,
    MessageCreationStepDetails,
    MessageDeltaEvent,
    OtherChunkingStrategy,
    RefusalContentBlock,
    RefusalDeltaBlock,
    RequiredActionFunctionToolCall,
    RequiredActionMCPToolCall,
    RequiredActionSubmitToolApproval,
    RequiredActionSubmitToolOutputs,
    ResponseFormat,
    ResponseFormatJSONObject,
    ResponseFormatJSONSchema,
    ResponseFormatText,
    Run,
    RunStep,
    StaticChunkingStrategy,
    StepDetails,
    StepDetailsDelta,
    Text,
    TextContentBlock,
    TextDelta,
    TextDeltaBlock,
    Thread,
    ToolCall,
    ToolCallDelta,
    ToolCallDeltaObject,
    ToolCallsStepDetails,
    ToolChoice,
    ToolChoiceFunctionName,
    UnknownAnnotation,
    UnknownAnnotationDelta,
    UnknownChunkingStrategy,
    UnknownCodeInterpreterOutput,
    UnknownContentBlock,
    UnknownContentDelta,
    UnknownOutputDelta,
    UnknownRequiredAction,
    UnknownRequiredToolCall,
    UnknownResponseFormat,
    UnknownStepDetails,
    UnknownStepDetailsDelta,
    UnknownTool,
    UnknownToolCall,
    UnknownToolCallDelta,
)
from rxassist.protocols.responses.events import Event as ResponseEvent
from rxassist.reactive.loop import RunningLoop, ThreadLoop
from rxassist.runs.events import AnyEvent
from rxassist.runs.operators.lifetime import EventOperator


def operators_have_the_types_of_what_they_take_and_give() -> None:
    assert_type(rxops.accumulate_snapshots(), Operator[Event, Snapshot])
    assert_type(rxops.as_assistant_events(), Operator[ResponseEvent, Event])
    assert_type(rxops.check_ending(), EventOperator)
    assert_type(rxops.decode(max_event_bytes=1024), Operator[bytes, Event])
    assert_type(rxops.decode(protocol="responses"), Operator[bytes, ResponseEvent])
    assert_type(rxops.final_run(), Operator[Event, Run])
    assert_type(rxops.lines(), Operator[AnyEvent | str, str])
    assert_type(rxops.messages(), Operator[Event, Message])
    assert_type(rxops.of_type(ThreadMessageDelta), Operator[object, ThreadMessageDelta])
    assert_type(rxops.run_steps(), Operator[Event, RunStep])
    assert_type(rxops.runs(), Operator[Event, Run])
    assert_type(rxops.sentences(), Operator[AnyEvent | str, str])
    assert_type(rxops.smooth(1), Operator[AnyEvent | str, str])
    assert_type(rxops.citations(), Operator[AnyEvent | str, str])
    assert_type(rxops.text_deltas(separator="\n\n"), Operator[AnyEvent, str])
    assert_type(rxops.text_deltas(), Operator[AnyEvent, str])
    assert_type(rxops.text_snapshots(), Operator[AnyEvent, str])
    assert_type(rxops.tool_call_deltas(), Operator[Event, ToolCallDelta])
    assert_type(rxops.tool_calls(), Operator[Event, ToolCall])
    assert_type(rxops.until_done(), EventOperator)


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
    assert_type(
        chunks.pipe(rxops.decode(), rxops.raise_for_status(), rxops.text_deltas()),
        Observable[str],
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
    either = events.pipe(rxops.of_type(ThreadMessageDelta, ThreadRunStepDelta))
    assert_type(either, Observable[ThreadMessageDelta | ThreadRunStepDelta])
    one_of_three = events.pipe(rxops.of_type(RunEvent, RunStepEvent, MessageEvent))
    assert_type(one_of_three.map(lambda event: event.data.id), Observable[str])
    assert_type(
        rxops.of_type(RunEvent, RunStepEvent, MessageEvent, DoneEvent),
        Operator[object, RunEvent | RunStepEvent | MessageEvent | DoneEvent],
    )


def an_operator_of_ones_own() -> Operator[Event, int]:
    def operator(source: Observable[Event]) -> Observable[int]:
        return source.pipe(rxops.text_deltas(), rxops.choose(length_of_long_ones))

    return operator


def operators_compose(events: Observable[Event]) -> None:
    assert_type(events.pipe(an_operator_of_ones_own()), Observable[int])


def names_tell_events_apart(event: Event) -> None:
    assert_type(event.name, str)
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
    elif event.event == "unknown":
        assert_type(event, UnknownEvent)
    elif event.event != "thread.run.completed":
        assert_type(event.event == "thread.run.failed", bool)
    else:
        assert_type(event, ThreadRunCompleted)


def names_tell_events_apart_in_a_match(event: Event) -> None:
    match event.event:
        case "thread.message.delta":
            assert_type(event, ThreadMessageDelta)
        case "thread.run.completed" | "thread.run.failed":
            assert_type(event, ThreadRunCompleted | ThreadRunFailed)
            assert_type(event.data.status, str)
        case "unknown":
            assert_type(event, UnknownEvent)
            assert_type(event.name, str)
        case _:
            pass


def classes_tell_events_apart(event: Event) -> None:
    match event:
        case ThreadMessageDelta(data=data):
            assert_type(data, MessageDeltaEvent)
        case RunEvent():
            assert_type(event.data, Run)
        case RunStepEvent() | MessageEvent():
            assert_type(event.data.id, str)
        case ThreadCreated() | ThreadRunStepDelta() | ErrorEvent() | DoneEvent():
            pass
        case UnknownEvent(name=name):
            assert_type(name, str)
        case _:
            assert_never(event)
    if isinstance(event, RunEvent):
        assert_type(event.data, Run)
    elif isinstance(event, UnknownEvent):
        assert_type(event, UnknownEvent)


def delta_parts_are_told_apart(part: MessageContentDelta) -> None:
    assert_type(part.text, TextDelta | None)
    if isinstance(part, TextDeltaBlock):
        assert_type(part.type, Literal["text"])
        if part.text is not None:
            assert_type(part.text.value, str | None)
    if part.type == "text":
        assert_type(part, TextDeltaBlock)
    elif part.type == "refusal":
        assert_type(part, RefusalDeltaBlock)
    elif part.type == "image_file":
        assert_type(part, ImageFileDeltaBlock)
    elif part.type == "image_url":
        assert_type(part, ImageURLDeltaBlock)
    else:
        assert_type(part, UnknownContentDelta)


def parts_are_told_apart(part: MessageContent) -> None:
    if part.type == "text":
        assert_type(part, TextContentBlock)
        assert_type(part.text.value, str)
    elif part.type == "refusal":
        assert_type(part, RefusalContentBlock)
    elif part.type == "image_file":
        assert_type(part, ImageFileContentBlock)
        assert_type(part.image_file.file_id, str)
    elif part.type == "image_url":
        assert_type(part, ImageURLContentBlock)
    else:
        assert_type(part, UnknownContentBlock)
        assert_type(part.wire_type, str)
        assert_type(part.raw, Mapping[str, Any])
    match part:
        case TextContentBlock(text=text):
            assert_type(text, Text)
        case RefusalContentBlock() | ImageFileContentBlock() | ImageURLContentBlock():
            pass
        case UnknownContentBlock(wire_type=wire_type):
            assert_type(wire_type, str)
        case _:
            assert_never(part)


def calls_are_told_apart(call: ToolCall) -> None:
    assert_type(call.id, str)
    if isinstance(call, FunctionToolCall):
        assert_type(call.function.arguments, str)
        assert_type(call.function.output, str | None)
    elif isinstance(call, CodeInterpreterToolCall):
        assert_type(call.code_interpreter.input, str)
    if call.type == "function":
        assert_type(call, FunctionToolCall)
    elif call.type == "code_interpreter":
        assert_type(call, CodeInterpreterToolCall)
        for output in call.code_interpreter.outputs:
            if output.type == "logs":
                assert_type(output, CodeInterpreterOutputLogs)
            elif output.type == "image":
                assert_type(output, CodeInterpreterOutputImage)
            else:
                assert_type(output, UnknownCodeInterpreterOutput)
    elif call.type == "file_search":
        assert_type(call, FileSearchToolCall)
    else:
        assert_type(call, UnknownToolCall)
        assert_type(call.wire_type == "browser", bool)


def deltas_of_calls_are_told_apart(call: ToolCallDelta) -> None:
    match call.type:
        case "function":
            assert_type(call, FunctionToolCallDelta)
        case "code_interpreter":
            assert_type(call, CodeInterpreterToolCallDelta)
            for output in call.code_interpreter.outputs if call.code_interpreter else ():
                if output.type == "logs":
                    assert_type(output, CodeInterpreterLogsDelta)
                elif output.type == "image":
                    assert_type(output, CodeInterpreterImageDelta)
                else:
                    assert_type(output, UnknownOutputDelta)
        case "file_search":
            assert_type(call, FileSearchToolCallDelta)
        case _:
            assert_type(call, UnknownToolCallDelta)


def details_are_told_apart(details: StepDetails, delta: StepDetailsDelta) -> None:
    if details.type == "tool_calls":
        assert_type(details, ToolCallsStepDetails)
    elif details.type == "message_creation":
        assert_type(details, MessageCreationStepDetails)
    else:
        assert_type(details, UnknownStepDetails)
    if delta.type == "tool_calls":
        assert_type(delta, ToolCallDeltaObject)
    elif delta.type == "message_creation":
        assert_type(delta, MessageCreationDelta)
    else:
        assert_type(delta, UnknownStepDetailsDelta)


def annotations_are_told_apart(annotation: Annotation, delta: AnnotationDelta) -> None:
    if annotation.type == "file_citation":
        assert_type(annotation, FileCitationAnnotation)
    elif annotation.type == "file_path":
        assert_type(annotation, FilePathAnnotation)
    else:
        assert_type(annotation, UnknownAnnotation)
    match delta:
        case FileCitationDeltaAnnotation():
            assert_type(delta.file_citation, FileCitation | None)
        case FilePathDeltaAnnotation():
            assert_type(delta.file_path, FilePath | None)
        case UnknownAnnotationDelta():
            assert_type(delta.raw, Mapping[str, Any])
        case _:
            assert_never(delta)
    if delta.type == "file_citation":
        assert_type(delta, FileCitationDeltaAnnotation)
    elif delta.type == "unknown":
        assert_type(delta, UnknownAnnotationDelta)


def settings_are_told_apart(
    tool: AssistantTool, chunking: ChunkingStrategy, response_format: ResponseFormat
) -> None:
    if tool.type == "function":
        assert_type(tool, FunctionTool)
    elif tool.type == "file_search":
        assert_type(tool, FileSearchTool)
    elif tool.type == "code_interpreter":
        assert_type(tool, CodeInterpreterTool)
    else:
        assert_type(tool, UnknownTool)
    if chunking.type == "static":
        assert_type(chunking, StaticChunkingStrategy)
    elif chunking.type == "other":
        assert_type(chunking, OtherChunkingStrategy)
    else:
        assert_type(chunking, UnknownChunkingStrategy)
    if isinstance(response_format, str):
        pass
    elif response_format.type == "text":
        assert_type(response_format, ResponseFormatText)
    elif response_format.type == "json_object":
        assert_type(response_format, ResponseFormatJSONObject)
    elif response_format.type == "json_schema":
        assert_type(response_format, ResponseFormatJSONSchema)
    else:
        assert_type(response_format, UnknownResponseFormat)


def actions_are_told_apart(run: Run) -> None:
    action = run.required_action
    if action is None:
        return
    if action.type == "submit_tool_outputs":
        assert_type(action, RequiredActionSubmitToolOutputs)
        for call in action.submit_tool_outputs.tool_calls:
            assert_type(call.id, str)
            if call.type == "function":
                assert_type(call, RequiredActionFunctionToolCall)
                assert_type(call.function.arguments, str)
            elif call.type == "mcp":
                assert_type(call, RequiredActionMCPToolCall)
            else:
                assert_type(call, UnknownRequiredToolCall)
    elif action.type == "submit_tool_approval":
        assert_type(action, RequiredActionSubmitToolApproval)
    else:
        assert_type(action, UnknownRequiredAction)
    match run.tool_choice:
        case ToolChoice(type="function", function=function):
            assert_type(function, ToolChoiceFunctionName | None)
        case str() | None:
            pass
        case ToolChoice() as choice:
            assert_type(choice.type, str)


def blocking(client: Client) -> None:
    assistant = client.assistants.create(model="m", tools=[{"type": "code_interpreter"}])
    assert_type(assistant, LoopObservable[Assistant, ThreadLoop])
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
    assert_type(stream.text_deltas, LoopObservable[str, ThreadLoop])
    assert_type(stream.snapshots, LoopObservable[Snapshot, ThreadLoop])
    assert_type(stream.tool_calls, LoopObservable[ToolCall, ThreadLoop])
    assert_type(stream.messages, LoopObservable[Message, ThreadLoop])
    assert_type(stream.run_steps, LoopObservable[RunStep, ThreadLoop])
    assert_type(stream.tool_results, LoopObservable[ToolResult[ToolCall], ThreadLoop])
    assert_type(stream.current_run_step_snapshot, RunStep | None)
    assert_type(stream.final_snapshot, LoopObservable[Snapshot, ThreadLoop])
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


def a_run_that_exists(client: Client, other: AsyncClient) -> None:
    def double(number: int) -> int:
        return 2 * number

    stream = client.threads.runs.follow(
        "run_1", thread_id="t", tools=[double], poll_interval_ms=50, on_dispose="cancel"
    )
    assert_type(stream, RunStream)
    assert_type(other.threads.runs.follow("run_1", thread_id="t"), AsyncRunStream)


def what_is_piped_is_of_the_client(client: Client, stream: RunStream) -> None:
    texts = stream.pipe(rxops.accumulate_snapshots()).map(lambda snapshot: snapshot.text)
    assert_type(texts, LoopObservable[str, ThreadLoop])
    for text in texts.filter(lambda text: len(text) > 1):
        assert_type(text, str)
    for sentence in stream.pipe(rxops.until_done(), rxops.text_deltas(), rxops.sentences()):
        assert_type(sentence, str)
    ids = client.threads.create().map(lambda thread: thread.id)
    assert_type(ids.run(), str)
    runs = client.threads.create().flat_map(
        lambda thread: client.threads.runs.create(thread.id, assistant_id="asst_1")
    )
    assert_type(runs, LoopObservable[Run, ThreadLoop])
    assert_type(runs.to_list().run(), list[Run])
    assert_type(stream.text_deltas.pipe(ops.publish()), ConnectableObservable[str])
    assert_type(stream.text_deltas.pipe(ops.to_future()), Future[str])
    assert_type(stream.text_deltas.pipe(ops.last()), LoopObservable[str, ThreadLoop])
    in_time = stream.pipe(rxops.text_deltas(), rxops.deadline(60))  # for any items, and not first
    assert_type(in_time, LoopObservable[str, ThreadLoop])
    assert_type(stream.text_deltas.first(), LoopObservable[str, ThreadLoop])


async def what_is_piped_is_awaited(client: AsyncClient, stream: AsyncRunStream) -> None:
    texts = stream.pipe(rxops.accumulate_snapshots()).map(lambda snapshot: snapshot.text)
    assert_type(await texts, str)
    async for text in texts.take(2):
        assert_type(text, str)
    texts.subscribe_async(answer)
    assert_type(await client.threads.messages.list("thread_1").to_list(), list[Message])
    assert_type(await stream.text_deltas.pipe(map_async(answer)), bytes)


async def one_of_any_client(given: LoopObservable[str], stream: RunStream) -> None:
    for text in given:
        assert_type(text, str)
    async for text in given:
        assert_type(text, str)
    assert_type(await given, str)
    await one_of_any_client(stream.text_deltas, stream)


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
    assert_type(stream.text_deltas.pipe(map_async(answer)), LoopObservable[bytes, RunningLoop])
    subscription = stream.text_deltas.subscribe_async(answer, max_concurrent=2)
    subscription.dispose()


async def iteration(numbers: Observable[int]) -> None:
    for number in iterate(numbers):
        assert_type(number, int)
    async for number in iterate(numbers, buffer=4):
        assert_type(number, int)


async def bodies_for_browsers(stream: AsyncRunStream, texts: Observable[str]) -> None:
    async for chunk in stream.text_deltas.pipe(rxops.smooth(0.02), to_sse()):
        assert_type(chunk, bytes)
    body = texts.pipe(to_sse_blocking(after=1))
    for chunk in body:
        assert_type(chunk, bytes)
    body.close()


def headers_of_an_error(error: RateLimitError) -> str:
    return error.headers["retry-after"]


def runs_in_a_pipe(client: Client) -> Observable[str]:
    def text_of(thread: Thread) -> Observable[str]:
        return client.threads.runs.stream(thread_id=thread.id, assistant_id="asst_1").text_deltas

    return client.threads.create().pipe(ops.flat_map(text_of))


def runs_that_failed(client: Client, stream: RunStream, events: Observable[Event]) -> None:
    polled = client.threads.create_and_run_poll(assistant_id="asst_1")
    assert_type(polled.pipe(rxops.raise_for_status()).run(), Run)
    assert_type(stream.pipe(rxops.raise_for_status(), rxops.text_deltas()).run(), str)
    assert_type(stream.pipe(rxops.raise_for_status()).run(), Event)
    assert_type(events.pipe(rxops.raise_for_status()), Observable[Event])
    assert_type(events.pipe(rxops.runs(), rxops.raise_for_status()), Observable[Run])
    assert_type(events.pipe(rxops.until_done(), rxops.raise_for_status()), Observable[Event])
    assert_type(
        events.pipe(rxops.until_done(), rxops.raise_for_status(), ops.take(1)), Observable[Event]
    )
    assert_type(stream.pipe(rxops.raise_for_status(), rxops.raise_for_status()).run(), Event)
    runs = stream.pipe(rxops.runs(), rxops.raise_for_status())
    assert_type(runs.pipe(ops.take(1)), LoopObservable[Run, ThreadLoop])
    operator: Operator[Run, Run] = rxops.raise_for_status()
    polled.pipe(operator)


def merged(one: RunStream, other: RunStream) -> None:
    assert_type(reactivex.merge(one, other).pipe(rxops.runs()), Observable[Run])
    for item in merge_runs({"one": one, "other": other}):
        assert_type(item, MergedEvent[str])
    assert_type(merge_runs(one, other).pipe(rxops.of_run(0)), Observable[Event])
    both = merge_runs(one, other)
    states = both.pipe(rxops.latest_snapshots(), rxops.debounce_snapshots(0.1))
    assert_type(states, Observable[Mapping[int, Snapshot]])
    in_time = both.pipe(rxops.deadline(60), rxops.run_summaries())
    assert_type(in_time.map(lambda summary: summary.key), Observable[int])


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
