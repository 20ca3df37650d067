"""Calls that were not run, and what is said to people who take them for what they give."""

from itertools import islice

import pytest

from rxassist import Client, StreamClosed

FIRST = r"call \.run\(\) or await it first"


@pytest.mark.parametrize("name", ["id", "data_", "status"])
def test_an_attribute_of_what_a_call_gives_is_not_there_yet(client, name):
    stream = client.threads.runs.stream(thread_id="thread_1", assistant_id="asst_1")
    calls = [client.threads.create(), client.threads.messages.list("thread_1"), stream]
    calls += [call.pipe(lambda source: source) for call in calls]
    calls += [client.threads.messages.list("thread_1")[0]]  # the first one, as with all of RxPY
    for call in calls:
        assert not hasattr(call, name)
        with pytest.raises(AttributeError, match=f"no attribute '{name}'; .*{FIRST}"):
            getattr(call, name)


def test_a_private_attribute_is_missed_without_advice(client):
    with pytest.raises(AttributeError, match=r"no attribute '_repr_html_'$"):
        client.threads.create()._repr_html_  # noqa: B018


def test_a_call_is_no_id(client):
    thread, assistant = client.threads.create(), client.assistants.create(model="m")
    for make in (
        lambda: client.threads.messages.create(thread, role="user", content="x"),
        lambda: client.threads.messages.list(thread),
        lambda: client.threads.runs.stream(thread_id="thread_1", assistant_id=assistant),
        lambda: client.threads.runs.retrieve("run_1", thread_id=thread),
    ):
        with pytest.raises(TypeError, match=rf"_id must be (text|an id), got \w+; {FIRST}"):
            make()


def test_next_gives_one_event_after_the_other(client, place):
    with client.threads.runs.stream(**place) as stream:
        told = [next(stream) for _ in range(3)]
        assert [event.event for event in told] == [event.event for event in islice(stream, 3)]
        told += iter(lambda: next(stream, None), None)
        assert told == list(stream)
        assert next(stream, None) is None


def test_next_ends_with_its_stream(forever):
    with Client(base_url=forever.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        next(stream)
        stream.close()
        with pytest.raises(StreamClosed, match="closed before its end"):
            list(iter(lambda: next(stream, None), None))


def test_anext_gives_one_event_after_the_other(service, run_async):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        async with client.threads.create_and_run_stream(assistant_id=assistant.id) as stream:
            told = [await anext(stream)]
            while (event := await anext(stream, None)) is not None:
                told.append(event)
            assert told == [event async for event in stream]

    run_async(service, main)
