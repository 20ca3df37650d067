"""The official SDK as a real client: it cannot tell the service from the real one."""

import asyncio

import openai
import pytest
from openai import AssistantEventHandler, AsyncAssistantEventHandler

from rxassist.local import call, code, say

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning")

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    },
    {"type": "code_interpreter"},
]


def guide(_):
    """Speak, call two functions, run code, and speak again."""
    yield say("Let me", " see.")
    weather, time = yield [call("get_weather", {"city": "Lima"}), call("get_time", {})]
    yield code("print(2)", logs="2\n")
    yield say(f"It is {weather} at {time}.")


class Recorder(AssistantEventHandler):
    """Notes every callback, and what matters of its arguments."""

    def __init__(self):
        super().__init__()
        self.notes = []

    def on_end(self):
        self.notes.append(("end",))

    def on_exception(self, exception):
        self.notes.append(("exception", repr(exception)))

    def on_timeout(self):
        self.notes.append(("timeout",))

    def on_run_step_created(self, run_step):
        self.notes.append(("step created", run_step.type, run_step.status))

    def on_run_step_delta(self, delta, snapshot):
        assert snapshot.id == self.current_run_step_snapshot.id

    def on_run_step_done(self, run_step):
        self.notes.append(("step done", run_step.type, run_step.status, run_step.usage is not None))

    def on_tool_call_created(self, tool_call):
        assert tool_call.id.startswith("call_")
        self.notes.append(("call created", tool_call.type))

    def on_tool_call_delta(self, delta, snapshot):
        if snapshot.type == "code_interpreter" and delta.code_interpreter.outputs:
            self.notes.append(("call outputs", delta.code_interpreter.outputs[0].logs))

    def on_tool_call_done(self, tool_call):
        if tool_call.type == "function":
            function = tool_call.function
            self.notes.append(("call done", function.name, function.arguments, function.output))
        else:
            interpreter = tool_call.code_interpreter
            self.notes.append(("call done", interpreter.input, interpreter.outputs[0].logs))

    def on_message_created(self, message):
        self.notes.append(("message created", message.status, len(message.content)))

    def on_message_delta(self, delta, snapshot):
        assert snapshot.content[0].text.value.endswith(delta.content[0].text.value)

    def on_message_done(self, message):
        self.notes.append(("message done", message.status, message.content[0].text.value))

    def on_text_created(self, text):
        self.notes.append(("text created", text.value, list(text.annotations)))

    def on_text_delta(self, delta, snapshot):
        self.notes.append(("text delta", delta.value, snapshot.value))

    def on_text_done(self, text):
        self.notes.append(("text done", text.value))


FIRST_LEG = [
    ("step created", "message_creation", "in_progress"),
    ("message created", "in_progress", 0),
    ("text created", "Let me", []),
    ("text delta", "Let me", "Let me"),
    ("text delta", " see.", "Let me see."),
    ("text done", "Let me see."),
    ("message done", "completed", "Let me see."),
    ("step done", "message_creation", "completed", True),
    ("step created", "tool_calls", "in_progress"),
    ("call created", "function"),
    ("call done", "get_weather", '{"city":"Lima"}', None),
    ("call created", "function"),
    ("call done", "get_time", "{}", None),
    ("end",),
]


@pytest.fixture
def client(serve):
    with openai.OpenAI(base_url=serve(guide).base_url, api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def scripted(serve):
    """A client of a service with the default script."""
    with openai.OpenAI(base_url=serve().base_url, api_key="any", max_retries=0) as client:
        yield client


def prepared(client, text="What is the weather in Lima?"):
    assistant = client.beta.assistants.create(model="gpt-4o", name="Guide", tools=TOOLS)
    thread = client.beta.threads.create()
    client.beta.threads.messages.create(thread.id, role="user", content=text)
    return {"thread_id": thread.id, "assistant_id": assistant.id}


def outputs(run, **by_name):
    calls = run.required_action.submit_tool_outputs.tool_calls
    return [{"tool_call_id": each.id, "output": by_name[each.function.name]} for each in calls]


def test_an_event_handler_hears_a_run_up_to_its_calls(client):
    recorder = Recorder()
    with client.beta.threads.runs.stream(**prepared(client), event_handler=recorder) as stream:
        stream.until_done()
    assert recorder.notes == FIRST_LEG
    assert recorder.current_run.status == "requires_action"


def test_outputs_are_submitted_as_a_stream(client):
    with client.beta.threads.runs.stream(**prepared(client)) as stream:
        run = stream.get_final_run()
    recorder = Recorder()
    with client.beta.threads.runs.submit_tool_outputs_stream(
        run_id=run.id,
        thread_id=run.thread_id,
        tool_outputs=outputs(run, get_weather="sunny", get_time="noon"),
        event_handler=recorder,
    ) as stream:
        text = "".join(stream.text_deltas)
        final = stream.get_final_run()
        messages = stream.get_final_messages()
        steps = stream.get_final_run_steps()
    assert text == "It is sunny at noon."
    assert (final.id, final.status) == (run.id, "completed")
    assert final.usage.total_tokens > 0
    assert [message.content[0].text.value for message in messages] == [text]
    # The step of the calls began in the stream before: the SDK does not count it here.
    assert [step.type for step in steps] == ["tool_calls", "message_creation"]
    notes = [note for note in recorder.notes if not note[0].startswith("text")]
    assert notes[:7] == [
        ("step done", "tool_calls", "completed", True),
        ("step created", "tool_calls", "in_progress"),
        ("call created", "code_interpreter"),
        ("call outputs", "2\n"),
        ("call done", "print(2)", "2\n"),
        ("step done", "tool_calls", "completed", True),
        ("step created", "message_creation", "in_progress"),
    ]
    assert ("message done", "completed", text) in notes
    assert notes[-1] == ("end",)
    assert "exception" not in {note[0] for note in notes}


def test_a_run_is_polled(client):
    run = client.beta.threads.runs.create_and_poll(**prepared(client))
    assert run.status == "requires_action"
    done = client.beta.threads.runs.submit_tool_outputs_and_poll(
        run_id=run.id,
        thread_id=run.thread_id,
        tool_outputs=outputs(run, get_weather="rainy", get_time="dawn"),
    )
    assert done.status == "completed"
    page = client.beta.threads.messages.list(run.thread_id, run_id=run.id, order="asc")
    assert [message.content[0].text.value for message in page] == [
        "Let me see.",
        "It is rainy at dawn.",
    ]
    steps = client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id, limit=1)
    assert [step.type for step in steps] == [  # fetched page by page
        "message_creation",
        "tool_calls",
        "tool_calls",
        "message_creation",
    ]
    step = client.beta.threads.runs.steps.retrieve(
        steps.data[0].id, thread_id=run.thread_id, run_id=run.id
    )
    assert step.status == "completed"


def test_a_thread_is_created_with_its_run(client):
    assistant = client.beta.assistants.create(model="gpt-4o")
    with client.beta.threads.create_and_run_stream(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "hi"}]}
    ) as stream:
        events = [event.event for event in stream]
    assert events[:2] == ["thread.created", "thread.run.created"]
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": "hi"}]}
    )
    assert run.status == "requires_action"


def test_raw_events_are_streamed_without_a_helper(client):
    stream = client.beta.threads.runs.create(**prepared(client), stream=True)
    with stream:
        events = [event.event for event in stream]
    assert events[0] == "thread.run.created"
    assert events[-1] == "thread.run.requires_action"  # the SDK swallows ``done``


def test_objects_are_changed_and_deleted(client):
    place = prepared(client)
    threads = client.beta.threads
    assistant = client.beta.assistants.update(place["assistant_id"], name="Other")
    assert assistant.name == "Other"
    assert client.beta.assistants.list().data[0].id == assistant.id
    assert threads.update(place["thread_id"], metadata={"k": "v"}).metadata == {"k": "v"}
    (message,) = threads.messages.list(place["thread_id"])
    assert threads.messages.retrieve(message.id, thread_id=place["thread_id"]).role == "user"
    assert threads.messages.delete(message.id, thread_id=place["thread_id"]).deleted
    run = threads.runs.create_and_poll(**place)
    threads.runs.update(run.id, thread_id=run.thread_id, metadata={"k": "v"})
    assert threads.runs.cancel(run.id, thread_id=run.thread_id).status == "cancelling"
    assert threads.runs.poll(run.id, thread_id=run.thread_id).status == "cancelled"
    assert [each.id for each in threads.runs.list(run.thread_id)] == [run.id]
    assert threads.delete(run.thread_id).deleted
    assert client.beta.assistants.delete(assistant.id).deleted


def test_errors_are_those_of_the_service(client, serve):
    with pytest.raises(openai.NotFoundError) as caught:
        client.beta.threads.retrieve("thread_x")
    assert caught.value.body["message"] == "No thread found with id 'thread_x'."
    assert caught.value.request_id.startswith("req_")
    place = prepared(client)
    run = client.beta.threads.runs.create_and_poll(**place)
    with pytest.raises(openai.BadRequestError, match="already has an active run"):
        client.beta.threads.runs.create(**place)
    with pytest.raises(openai.BadRequestError, match="Expected tool outputs"):
        client.beta.threads.runs.submit_tool_outputs(
            run.id, thread_id=run.thread_id, tool_outputs=[]
        )
    with (
        openai.OpenAI(base_url=serve(api_key="k").base_url, api_key="other") as other,
        pytest.raises(openai.AuthenticationError),
    ):
        other.beta.assistants.list()


def test_the_default_script_talks_to_it(scripted):
    with scripted.beta.threads.runs.stream(**prepared(scripted)) as stream:
        run = stream.get_final_run()
    (asked,) = run.required_action.submit_tool_outputs.tool_calls
    assert asked.function.arguments == '{"city":"Lima"}'
    with scripted.beta.threads.runs.submit_tool_outputs_stream(
        run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs(run, get_weather="sunny")
    ) as stream:
        assert "get_weather answered: sunny" in "".join(stream.text_deltas)


def test_the_async_client_does_all_that_too(serve):
    heard = []

    class Handler(AsyncAssistantEventHandler):
        async def on_text_delta(self, delta, snapshot):
            heard.append(delta.value)

        async def on_tool_call_done(self, tool_call):
            heard.append(tool_call.function.name)

    async def main(base_url):
        async with openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
            threads = client.beta.threads
            assistant = await client.beta.assistants.create(model="gpt-4o", tools=TOOLS)
            thread = await threads.create(messages=[{"role": "user", "content": "hi"}])
            place = {"thread_id": thread.id, "assistant_id": assistant.id}
            async with threads.runs.stream(**place, event_handler=Handler()) as stream:
                run = await stream.get_final_run()
            async with threads.runs.submit_tool_outputs_stream(
                run_id=run.id,
                thread_id=thread.id,
                tool_outputs=outputs(run, get_weather="sunny", get_time="noon"),
            ) as stream:
                text = "".join([piece async for piece in stream.text_deltas])
            run = await threads.runs.create_and_poll(**place)
            await threads.runs.cancel(run.id, thread_id=thread.id)
            cancelled = await threads.runs.poll(run.id, thread_id=thread.id)
            return text, cancelled.status

    async def bounded(base_url):
        async with asyncio.timeout(30):
            return await main(base_url)

    assert asyncio.run(bounded(serve(guide).base_url)) == ("It is sunny at noon.", "cancelled")
    assert heard == ["Let me", " see.", "get_weather", "get_time"]
