"""What the page of the official helpers shows, with the imports and the client changed.

Checked by mypy and pyright, and run by ``tests/client/test_helpers_page.py``.
"""

from typing_extensions import override

from rxassist import AssistantEventHandler, AsyncAssistantEventHandler, AsyncClient, Client
from rxassist.events import Event
from rxassist.models import Run, Text, TextDelta, ToolCall, ToolCallDelta

# --- an event handler ----------------------------------------------------------------------


class EventHandler(AssistantEventHandler):
    @override
    def on_text_created(self, text: Text) -> None:
        print("\nassistant > ", end="", flush=True)

    @override
    def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        print(delta.value, end="", flush=True)

    @override
    def on_tool_call_created(self, tool_call: ToolCall) -> None:
        print(f"\nassistant > {tool_call.type}\n", flush=True)

    @override
    def on_tool_call_delta(self, delta: ToolCallDelta, snapshot: ToolCall) -> None:
        if delta.type == "code_interpreter" and delta.code_interpreter:
            if delta.code_interpreter.input:
                print(delta.code_interpreter.input, end="", flush=True)
            if delta.code_interpreter.outputs:
                print("\n\noutput >", flush=True)
                for output in delta.code_interpreter.outputs:
                    if output.type == "logs":
                        print(f"\n{output.logs}", flush=True)


def with_an_event_handler(client: Client, thread_id: str, assistant_id: str) -> None:
    with client.beta.threads.runs.stream(
        thread_id=thread_id,
        assistant_id=assistant_id,
        event_handler=EventHandler(),
    ) as stream:
        stream.until_done()


# --- iterating -----------------------------------------------------------------------------


def over_events(client: Client, thread_id: str, assistant_id: str) -> None:
    with client.beta.threads.runs.stream(thread_id=thread_id, assistant_id=assistant_id) as stream:
        for event in stream:
            # Print the text from text delta events
            if event.event == "thread.message.delta" and event.data.delta.content:
                print(event.data.delta.content[0].text)


def over_text(client: Client, thread_id: str, assistant_id: str) -> None:
    with client.beta.threads.runs.stream(thread_id=thread_id, assistant_id=assistant_id) as stream:
        for text in stream.text_deltas:
            print(text)


# --- creating streams ----------------------------------------------------------------------


def outputs_of(run: Run) -> list[dict[str, str]]:
    outputs: list[dict[str, str]] = []
    if run.required_action and run.required_action.type == "submit_tool_outputs":
        for call in run.required_action.submit_tool_outputs.tool_calls:
            if call.type == "function" and call.function.name == "get_weather":
                outputs.append({"tool_call_id": call.id, "output": "sunny"})  # noqa: PERF401 -- as the page has it
    return outputs


def on_a_new_thread(client: Client, assistant_id: str) -> str:
    with client.beta.threads.create_and_run_stream(
        assistant_id=assistant_id,
        thread={"messages": [{"role": "user", "content": "What is the weather?"}]},
    ) as stream:
        run = stream.get_final_run()
    with client.beta.threads.runs.submit_tool_outputs_stream(
        thread_id=run.thread_id, run_id=run.id, tool_outputs=outputs_of(run)
    ) as stream:
        for text in stream.text_deltas:
            print(text, end="", flush=True)
    return stream.get_final_run().status


# --- on an event loop ----------------------------------------------------------------------


class AsyncEventHandler(AsyncAssistantEventHandler):
    def __init__(self, client: AsyncClient) -> None:
        super().__init__()
        self.client = client

    @override
    async def on_event(self, event: Event) -> None:
        if event.event == "thread.run.requires_action":
            async with self.client.beta.threads.runs.submit_tool_outputs_stream(
                thread_id=event.data.thread_id,
                run_id=event.data.id,
                tool_outputs=outputs_of(event.data),
                event_handler=AsyncEventHandler(self.client),
            ) as stream:
                await stream.until_done()

    @override
    async def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        print(delta.value, end="", flush=True)

    @override
    async def on_tool_call_created(self, tool_call: ToolCall) -> None:
        print(f"\nassistant > {tool_call.type}\n", flush=True)


async def with_an_async_event_handler(client: AsyncClient, assistant_id: str) -> None:
    async with client.beta.threads.create_and_run_stream(
        assistant_id=assistant_id,
        thread={"messages": [{"role": "user", "content": "What is the weather?"}]},
        event_handler=AsyncEventHandler(client),
    ) as stream:
        await stream.until_done()


async def over_events_and_text(client: AsyncClient, assistant_id: str) -> str:
    thread = await client.beta.threads.create()
    async with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant_id
    ) as stream:
        async for event in stream:
            if event.event == "thread.message.delta" and event.data.delta.content:
                print(event.data.delta.content[0].text)
        async for text in stream.text_deltas:
            print(text, end="", flush=True)
        run = await stream.get_final_run()
    return run.status
