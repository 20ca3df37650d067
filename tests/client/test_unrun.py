"""Calls that were not run, and what is said to people who take them for what they give."""

import gc
import warnings
from itertools import islice

import pytest

from rxassist import Client, StreamClosed

FIRST = r"call \.run\(\) or await it first"


NOT_RUN = pytest.mark.filterwarnings("ignore:.* was never run")  # on purpose


@NOT_RUN
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


@NOT_RUN
def test_a_private_attribute_is_missed_without_advice(client):
    with pytest.raises(AttributeError, match=r"no attribute '_repr_html_'$"):
        client.threads.create()._repr_html_  # noqa: B018


@NOT_RUN
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


# --- a call that nobody ran ------------------------------------------------------------------


CALLS = {
    "Threads.create": lambda client: client.threads.create(),
    "Threads.retrieve": lambda client: client.threads.retrieve("thread_1"),
    "Threads.delete": lambda client: client.threads.delete("thread_1"),
    "Messages.create": lambda client: client.threads.messages.create(
        "thread_1", role="user", content="x"
    ),
    "Runs.create": lambda client: client.threads.runs.create("thread_1", assistant_id="asst_1"),
    "Runs.cancel": lambda client: client.threads.runs.cancel("run_1", thread_id="thread_1"),
    "Threads.create_and_run": lambda client: client.threads.create_and_run(assistant_id="asst_1"),
    "Files.create": lambda client: client.files.create(file=("n", b""), purpose="assistants"),
    "Files.retrieve_content": lambda client: client.files.retrieve_content("file_1"),
    "VectorStoreFiles.create_and_poll": lambda client: client.vector_stores.files.create_and_poll(
        "file_1", vector_store_id="vs_1"
    ),
    "Client.request": lambda client: client.request("POST", "/threads"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_nobody_ran_warns_with_its_place(client, name):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        CALLS[name](client)
        gc.collect()
    (one,) = told
    said = f"{name}(…) was never run, and nothing was sent: call .run() or await it"
    assert (one.category, str(one.message), one.filename) == (RuntimeWarning, said, __file__)
    first = CALLS[name].__code__.co_firstlineno
    assert first <= one.lineno <= first + 1


def test_a_call_that_was_run_piped_or_refused_warns_of_nothing(client):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        client.threads.create().run()
        client.threads.create().map(lambda thread: thread.id).run()
        client.threads.create().subscribe().dispose()
        for created in client.threads.create(), client.assistants.create(model="m"):
            list(created)
        with pytest.raises(TypeError):
            client.threads.messages.create("thread_1", role="user")
        made = client.vector_stores.create().run()
        client.vector_stores.file_batches.upload_and_poll(made.id, files=[("n.txt", b"x")]).run()
        del created
        gc.collect()
    assert told == []
