"""The official SDK as a client of responses: it cannot tell the service from the real one."""

import asyncio

import openai
import pytest
from pydantic import BaseModel

from rxassist.local import (
    call,
    cite,
    code,
    custom_call,
    fail,
    link,
    mcp,
    say,
    search,
    think,
    together,
    wait,
    web_search,
)
from rxassist.models import FileSearchResult, FileSearchResultContent

GET_WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def guide(_):
    yield say("Let me", " see.")
    weather, time = yield [call("get_weather", {"city": "Lima"}), call("get_time", {})]
    yield say(f"It is {weather} at {time}.")


@pytest.fixture
def connected(serve):
    """The official client of a service with a script: ``connected(script, **options)``."""
    clients = []

    def connect(script=None, **options):
        service = serve(script, **options)
        client = openai.OpenAI(base_url=service.base_url, api_key="any", max_retries=0)
        clients.append(client)
        return client, service

    yield connect
    for client in clients:
        client.close()


def outputs(response, **by_name):
    calls = [item for item in response.output if item.type == "function_call"]
    return [
        {"type": "function_call_output", "call_id": each.call_id, "output": by_name[each.name]}
        for each in calls
    ]


def test_the_helper_accumulates_a_stream(connected):
    client, _ = connected(guide)
    with client.responses.stream(model="m", input="What is the weather?") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [events[0].type, events[1].type] == ["response.created", "response.in_progress"]
    assert events[-1].type == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert final.output_text == "Let me see."
    assert [item.type for item in final.output] == ["message", "function_call", "function_call"]
    assert final.usage.total_tokens == final.usage.input_tokens + final.usage.output_tokens > 0


@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
def test_a_script_continues_in_the_next_response(connected, again):
    client, _ = connected(guide)
    first = client.responses.create(model="m", input="What is the weather?")
    given = outputs(first, get_weather="sunny", get_time="noon")
    for _ in range(1 + again):
        second = client.responses.create(model="m", input=given, previous_response_id=first.id)
        assert second.output_text == "It is sunny at noon."
        assert second.previous_response_id == first.id


def test_all_can_be_sent_again_instead_of_an_id(connected):
    client, _ = connected(guide)
    sent = [{"role": "user", "content": "What is the weather?"}]
    first = client.responses.create(model="m", input=sent, store=False)
    sent += [item.model_dump(exclude_none=True) for item in first.output]
    sent += outputs(first, get_weather="rainy", get_time="dawn")
    second = client.responses.create(model="m", input=sent, store=False)
    assert second.output_text == "It is rainy at dawn."
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(second.id)


def test_outputs_must_not_be_missing(connected):
    client, _ = connected(guide)
    first = client.responses.create(model="m", input="What is the weather?")
    given = outputs(first, get_weather="sunny", get_time="noon")
    call_id = given.pop()["call_id"]
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="m", input=given, previous_response_id=first.id)
    assert caught.value.body["message"] == f"No tool output found for function call {call_id}."
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="m", input=given, previous_response_id="resp_x")
    assert caught.value.code == "previous_response_not_found"


def test_a_text_is_parsed(connected):
    class City(BaseModel):
        name: str

    client, _ = connected(lambda _: [say('{"name": ', '"Lima"}')])
    parsed = client.responses.parse(model="m", input="hi", text_format=City)
    assert parsed.output_parsed == City(name="Lima")
    with client.responses.stream(model="m", input="hi", text_format=City) as stream:
        assert stream.get_final_response().output_parsed == City(name="Lima")


def test_a_background_response_is_polled_and_read_again(connected):
    client, service = connected(guide, poll_after_ms=7)
    begun = client.responses.create(model="m", input="hi", background=True)
    assert begun.status == "queued"
    service.wait_for(lambda: client.responses.retrieve(begun.id).status == "completed")
    raw = client.responses.with_raw_response.retrieve(begun.id)
    assert raw.headers["openai-poll-after-ms"] == "7"
    events = list(client.responses.retrieve(begun.id, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response == client.responses.retrieve(begun.id)
    rest = list(client.responses.retrieve(begun.id, stream=True, starting_after=5))
    assert rest == events[6:]


def test_a_stream_in_the_background_continues_where_it_was_left(connected):
    client, service = connected(lambda _: [say("one ", "two ", "three")], token_delay=0.01)
    heard = []
    with client.responses.create(model="m", input="hi", background=True, stream=True) as stream:
        for event in stream:
            heard.append(event)
            if event.type == "response.output_text.delta":
                break
    response_id = heard[0].response.id
    last = heard[-1].sequence_number
    heard += client.responses.retrieve(response_id, stream=True, starting_after=last)
    assert [event.sequence_number for event in heard] == list(range(len(heard)))
    assert heard[-1].response.output_text == "one two three"
    assert service.open_streams == 0


def test_a_response_is_deleted(connected):
    client, _ = connected(guide)
    response = client.responses.create(model="m", input="hi")
    (item,) = client.responses.input_items.list(response.id)
    assert (item.role, item.content[0].text) == ("user", "hi")
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_a_failure_is_an_error_and_a_failed_response(connected):
    client, _ = connected(lambda _: [say("so"), fail("rate_limit_exceeded", "Too fast.")])
    failed = client.responses.create(model="m", input="hi")
    assert (failed.status, failed.error.code) == ("failed", "rate_limit_exceeded")
    stream = client.responses.create(model="m", input="hi", stream=True)
    with stream, pytest.raises(openai.APIError, match="Too fast"):
        list(stream)


def test_a_response_in_the_foreground_ends_with_its_client(connected):
    closed = []

    def endless(_):
        try:
            while True:
                yield say("more ")
                yield wait(0.01)
        finally:
            closed.append(True)

    client, service = connected(endless)
    with client.responses.create(model="m", input="hi", stream=True) as stream:
        response_id = next(iter(stream)).response.id
    service.wait_for(lambda: not service.active_runs)
    assert closed == [True]
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response_id)


def test_a_background_response_is_cancelled(connected):
    def endless(_):
        while True:
            yield wait(0.01)

    client, service = connected(endless)
    begun = client.responses.create(model="m", input="hi", background=True)
    service.wait_for(lambda: client.responses.retrieve(begun.id).status == "in_progress")
    assert client.responses.cancel(begun.id).status == "cancelled"
    client, _ = connected(lambda _: [say("a")])
    finished = client.responses.create(model="m", input="hi")
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        client.responses.cancel(finished.id)


def test_a_conversation_has_the_items_of_its_responses(connected):
    client, _ = connected(lambda _: [say("yes")])
    conversation = client.conversations.create(
        items=[{"type": "message", "role": "user", "content": "before"}]
    )
    client.responses.create(model="m", input="hi", conversation=conversation.id)
    items = client.conversations.items.list(conversation.id, order="asc", limit=2)
    assert [item.content[0].text for item in items] == ["before", "hi", "yes"]
    assert client.conversations.update(conversation.id, metadata={"a": "b"}).metadata == {"a": "b"}
    assert client.conversations.delete(conversation.id).deleted


def test_the_helper_continues_a_stream_by_its_id(connected):
    client, _ = connected(lambda _: [say("one ", "two")])
    stream = client.responses.create(model="m", input="hi", background=True, stream=True)
    with stream:
        response_id = next(iter(stream)).response.id
    with client.responses.stream(response_id=response_id, starting_after=6) as stream:
        events = list(stream)
        assert stream.get_final_response().output_text == "one two"
    assert events[0].sequence_number == 7


def test_input_is_counted_and_compacted(connected):
    client, _ = connected(lambda _: [say("a")])
    assert client.responses.input_tokens.count(model="m", input="one two").input_tokens == 2
    small = client.responses.compact(model="m", input="hi")
    assert [item.type for item in small.output] == ["message", "compaction"]


def test_the_default_script_obeys_the_sdk_too(connected):
    client, _ = connected()
    response = client.responses.create(model="m", input="How is the weather?", tools=[GET_WEATHER])
    assert response.output[0].name == "get_weather"


@pytest.mark.parametrize("streamed", [False, True])
def test_the_runner_of_tools_goes_on_to_the_end(connected, streamed):
    runners = pytest.importorskip("openai.lib.responses_tool_runner")
    asked = []

    def weather(arguments):
        asked.append(arguments)
        return "sunny"

    def script(_):
        yield think("so")
        output = yield call("get_weather", {"city": "Lima"})
        yield say(f"It is {output}.")

    client, _ = connected(script)
    tool = runners.RegisteredFunction({**GET_WEATHER, "strict": True}, weather)
    runner = runners.ResponsesToolRunner(functions=[tool])
    final = runner.run(client, {"model": "m", "input": "hi"}, stream=streamed)
    assert final.output_text == "It is sunny."
    assert asked == [{"city": "Lima"}]


def everything(_):
    found = FileSearchResult("file-1", "a.txt", 0.5, (FileSearchResultContent("text", "words"),))
    yield think("so")
    yield think("so", raw=True)
    yield say("See", cite("file-1"), " ", cite(url="https://a.b", title="A"), " ", link("file-2"))
    yield say("No.", refusal=True)
    yield code("print(2)", logs="2\n", image_file_id="file-3")
    yield search(found)
    yield web_search("tea", "https://a.b")
    yield mcp("read", {"a": 1}, output="text", approval=False)
    yield together(say("a", "b"), call("f"), custom_call("g", "x"), mcp("write"))


@pytest.mark.parametrize("background", [False, True])
def test_all_that_a_script_can_do_fits_the_models_of_the_sdk(serve, background):
    include = [
        "file_search_call.results",
        "reasoning.encrypted_content",
        "web_search_call.action.sources",
    ]
    service = serve(everything)
    with openai.OpenAI(
        base_url=service.base_url,
        api_key="any",
        max_retries=0,
        _strict_response_validation=True,  # what does not fit its models raises
    ) as client:
        body = {"model": "m", "input": "hi", "include": include, "background": background}
        with client.responses.stream(**body) as stream:
            names = {event.type for event in stream}
            final = stream.get_final_response()
        stored = client.responses.retrieve(final.id)
        assert [item.type for item in stored.output] == [item.type for item in final.output]
        assert len(stored.output) == 12
        assert len(names) == 37 + background


def test_the_async_client_does_all_that_too(serve):
    async def main(base_url):
        async with openai.AsyncOpenAI(base_url=base_url, api_key="any", max_retries=0) as client:
            responses, body = client.responses, {"model": "m", "input": "hi"}
            async with responses.stream(**body) as stream:
                first = await stream.get_final_response()
            given = outputs(first, get_weather="sunny", get_time="noon")
            second = await responses.create(model="m", input=given, previous_response_id=first.id)
            begun = await responses.create(**body, background=True)
            events = await responses.retrieve(begun.id, stream=True, starting_after=3)
            numbers = [event.sequence_number async for event in events]
            return second.output_text, numbers

    async def bounded(base_url):
        async with asyncio.timeout(30):
            return await main(base_url)

    text, numbers = asyncio.run(bounded(serve(guide).base_url))
    assert text == "It is sunny at noon."
    assert numbers == list(range(4, 4 + len(numbers)))
    assert len(numbers) > 10
