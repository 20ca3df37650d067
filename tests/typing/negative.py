"""What the type checkers must refuse. Checked by mypy and pyright, never run.

Each ignore names what the checker says. One that is not needed any more fails the check: then
something wrong has become possible.
"""

from typing import assert_never

from reactivex import Observable

from rxassist import (
    AssistantEventHandler,
    AsyncAssistantEventHandler,
    AsyncClient,
    Client,
    Operator,
    RunStream,
    Snapshot,
    iterate,
    map_async,
)
from rxassist import operators as rxops
from rxassist.events import Event, KnownEvent, RunEvent, ThreadMessageDelta
from rxassist.models import (
    ImageFileContentBlock,
    ImageURLContentBlock,
    MessageContent,
    RefusalContentBlock,
    RequiredToolCall,
    Run,
    Text,
    TextContentBlock,
    ToolCall,
    ToolCallDelta,
)


def operators_in_the_wrong_place(chunks: Observable[bytes], events: Observable[Event]) -> None:
    chunks.pipe(rxops.text_deltas())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    events.pipe(rxops.decode())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    events.pipe(rxops.text_deltas(), rxops.runs())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    events.pipe(rxops.text_deltas)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    _: Observable[int] = events.pipe(rxops.text_deltas())  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]


def operators_with_the_wrong_arguments() -> None:
    rxops.decode(1024)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    rxops.decode(max_event_bytes="1024")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    rxops.text_deltas(1)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    rxops.of_type("thread.message.delta")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    rxops.of_type(RunEvent, "thread.message.delta")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    rxops.choose(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def what_has_no_status(texts: Observable[str]) -> None:
    texts.pipe(rxops.raise_for_status())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def no_operator_of_events() -> Operator[Event, int]:
    return rxops.text_deltas()  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


def of_type_is_what_it_says(events: Observable[Event]) -> None:
    events.pipe(rxops.of_type(RunEvent)).map(lambda event: event.data.delta)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownLambdaType, reportUnknownMemberType]
    events.pipe(rxops.of_type(ThreadMessageDelta)).map(lambda event: event.data.status)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownLambdaType, reportUnknownMemberType]


def events_have_what_they_have(event: KnownEvent) -> None:
    _ = event.data.delta  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    if event.event == "thread.run.completed":
        _ = event.data.delta  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    if event.event == "thread.run.complete":  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
        pass


def parts_must_be_told_apart(part: MessageContent, call: ToolCall) -> None:
    _ = part.text  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    _ = call.function  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    if part.type == "image_file":
        _ = part.text  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    if call.type == "browser":  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
        pass  # which is a call's wire_type


def the_page_of_the_helpers_asks_first(
    delta: ToolCallDelta, call: RequiredToolCall, run: Run, stream: RunStream
) -> None:
    _ = delta.code_interpreter  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    if delta.type == "code_interpreter" and delta.code_interpreter:
        for output in delta.code_interpreter.outputs:
            _ = output.logs  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    _ = call.function  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    if run.required_action:
        _ = run.required_action.submit_tool_outputs  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    for event in stream:
        _ = event.data.delta  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
        if event.event == "thread.message.delta":
            _ = event.data.delta.content[0].refusal  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
            _ = event.data.delta.content[0].text.value  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]


def what_is_unknown_must_be_met(part: MessageContent, event: Event) -> None:
    match part:
        case TextContentBlock() | RefusalContentBlock() | ImageFileContentBlock():
            pass
        case ImageURLContentBlock():
            pass
        case _:
            assert_never(part)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    if event.event == "thread.hummed":  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
        pass  # which is an event's name


def values_do_not_change(run: Run, text: Text, snapshot: Snapshot, event: RunEvent) -> None:
    run.status = "completed"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    text.value = ""  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    snapshot.run = run  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    snapshot.text = ""  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    event.data = run  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def calls_know_their_parameters(client: Client) -> None:
    client.assistants.create()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.assistants.create(model=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.assistants.create(model="m", temprature=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.threads.messages.create("thread_1", role="user")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.threads.messages.list("thread_1", order="newest")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.threads.runs.retrieve("run_1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.threads.runs.retrieve("run_1", "thread_1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.threads.runs.stream(thread_id="thread_1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.threads.runs.stream(thread_id="thread_1", assistant_id="asst_1", on_dispose="kill")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.threads.messages.create("thread_1", role="user", content="", if_busy="now")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.threads.runs.poll("run_1", thread_id="thread_1", on_dispose="kill")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.vector_stores.poll("vs_1", on_dispose="cancel")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.threads.runs.create("thread_1", assistant_id="asst_1", replay=False)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def the_edges_differ(client: Client, other: AsyncClient) -> None:
    stream = client.threads.create_and_run_stream(assistant_id="asst_1")
    async_stream = other.threads.create_and_run_stream(assistant_id="asst_1")
    await stream.get_final_run()  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    async with stream:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    with async_stream:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    _ = async_stream.get_final_run().status  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


async def a_blocking_client(client: Client) -> None:
    """Its calls are run, and its streams are for ``for``."""
    await client.threads.create()  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    await client.threads.create().map(str)  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    await client.threads.messages.list("thread_1")  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    stream = client.threads.create_and_run_stream(assistant_id="asst_1")
    async for _ in stream:  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        pass
    async for _ in stream.text_deltas:  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        pass
    async for _ in stream.pipe(rxops.text_deltas(), rxops.sentences()):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        pass


def an_asynchronous_client(client: AsyncClient) -> None:
    """Its calls are awaited, and its streams are for ``async for``."""
    for _ in client.threads.messages.list("thread_1"):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        pass
    stream = client.threads.create_and_run_stream(assistant_id="asst_1")
    for _ in stream:  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        pass
    for _ in stream.text_deltas:  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        pass
    for _ in stream.pipe(rxops.text_deltas(), rxops.sentences()):  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        pass


class Printer(AssistantEventHandler):
    """A handler of a ``Client``."""


class AsyncPrinter(AsyncAssistantEventHandler):
    """A handler of an ``AsyncClient``."""


def a_handler_of_the_other_client(client: Client, other: AsyncClient) -> None:
    client.threads.create_and_run_stream(assistant_id="a", event_handler=AsyncPrinter())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.threads.runs.stream(thread_id="t", assistant_id="a", event_handler=AsyncPrinter())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.threads.runs.submit_tool_outputs_stream(
        thread_id="t",
        run_id="r",
        tool_outputs=[],
        event_handler=AsyncPrinter(),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    )
    other.threads.create_and_run_stream(assistant_id="a", event_handler=Printer())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.threads.runs.follow("r", thread_id="t", event_handler=AsyncPrinter())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    other.threads.runs.stream(thread_id="t", assistant_id="a", event_handler=Printer())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.threads.create_and_run_stream(assistant_id="a", event_handler=Printer)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def not_a_coroutine(text: str) -> str:
    return text


async def a_coroutine(text: str) -> str:
    return text


async def coroutines(client: AsyncClient) -> None:
    stream = client.threads.create_and_run_stream(assistant_id="asst_1")
    stream.text_deltas.pipe(map_async(not_a_coroutine))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportUnknownArgumentType]
    stream.pipe(map_async(a_coroutine))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    stream.text_deltas.subscribe_async(not_a_coroutine)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    rxops.decode(protocol="chat")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    map_async(a_coroutine, 2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def iteration(events: Observable[Event]) -> None:
    for event in iterate(events):
        _ = event.status  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]
    iterate([1, 2, 3])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    iterate(events, 16)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


class Handler(AssistantEventHandler):
    def on_text_done(self, text: str) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        """A text has annotations too."""


def handlers_are_told_of_events(client: Client, texts: Observable[str]) -> None:
    texts.subscribe(AssistantEventHandler())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.threads.create_and_run_stream(assistant_id="a", event_handler=print)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
