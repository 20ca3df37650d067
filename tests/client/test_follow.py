"""A run that exists, as a stream: of this program or of another one, also after its first part."""

import asyncio
import threading
from functools import reduce

import pytest

from rxassist import (
    APITimeoutError,
    AssistantEventHandler,
    AsyncAssistantEventHandler,
    NotFoundError,
    RunOutcomeUnknown,
)
from rxassist.local import (
    call,
    cite,
    code,
    cut,
    expire,
    fail,
    image,
    mcp,
    refuse,
    say,
    wait,
)
from rxassist.protocols.assistants.known import Known
from rxassist.protocols.assistants.snapshots import NOTHING, fold


def two_rounds(_):
    yield say("Let me ", "look. ")
    number = yield call("double", {"number": 4})
    yield say("So far ", f"{number}. ")
    both = yield [call("double", {"number": 1}), call("double", {"number": 2})]
    yield say("The ", "end: ", f"{both}")


class Doubling:
    """A function for runs, and what it was called with."""

    def __init__(self):
        self.calls = []

    def tools(self):
        def double(number: int) -> int:
            self.calls.append(number)
            return 2 * number

        return [double]


def named(event):
    return event.event, getattr(event.data, "id", None)


def seen(events):
    """What readers get of a stream, but for how text was cut into deltas."""
    snapshot = reduce(fold, events, NOTHING)
    waits = [e.data.required_action for e in events if e.event == "thread.run.requires_action"]
    return {
        "events": [named(event) for event in events if not event.is_delta],
        "runs": [event.data.status for event in events if event.run() is not None],
        "waits": waits,
        "text": snapshot.text,
        "final": (snapshot.run, snapshot.messages, snapshot.run_steps),
    }


@pytest.fixture
def start():
    """Start a run on a new thread: its thread, and its stream."""

    async def start(client, **options):
        assistant = await client.assistants.create(model="m")
        thread = await client.threads.create()
        stream = client.threads.runs.stream(
            thread_id=thread.id, assistant_id=assistant.id, **options
        )
        return thread.id, stream

    return start


def successor(client, thread_id, *events, run_id=None, mark=None, outputs=None, **options):
    """The stream of a program that knows these events of a run."""
    known = Known(events, run_id, mark, outputs or {}, patience=None)
    return client.threads.runs._follow(known, thread_id, {"poll_interval_ms": 1, **options})


async def text_of(stream):
    return "".join([text async for text in stream.text_deltas])


async def all_of(stream):
    return [event async for event in stream]


# --- the law -------------------------------------------------------------------------------


def of_many_kinds(_):
    yield say("Thinking ", image("file_1"), "of it. ")
    yield code("print(6 * 7)", logs="42\n")
    number = yield call("double", {"number": 21})
    yield mcp("lookup", {"q": "x"}, output="found", approval=False)
    yield say(f"{number}, ", "as ", cite("[1]", "file_1"))


def after_a_call(end):
    def script(_):
        yield say("First. ")
        yield call("double", {"number": 1})
        yield say("Then ", "this")
        yield end

    return script


SCRIPTS = {
    "two rounds": two_rounds,
    "many kinds": of_many_kinds,
    "fails": after_a_call(fail()),
    "expires": after_a_call(expire()),
}


@pytest.mark.parametrize("script", [*SCRIPTS.values()], ids=[*SCRIPTS])
def test_any_first_events_and_those_that_follow_are_the_whole_stream(
    serve, run_async, start, script
):
    async def main(client):
        doubling = Doubling()
        thread_id, stream = await start(client, tools=doubling.tools())
        whole = await all_of(stream)
        run_id = stream.snapshot.run.id
        calls = [*doubling.calls]
        assert calls
        for count in range(len(whole) + 1):
            first = whole[:count]
            rest = await all_of(successor(client, thread_id, *first, run_id=run_id))
            assert seen([*first, *rest]) == seen(whole), count
            again = successor(
                client, thread_id, *first, run_id=run_id, tools=doubling.tools(), replay=False
            )
            assert await all_of(again) == rest
        assert doubling.calls == calls

    run_async(serve(script), main)


def test_a_successor_at_every_event_of_a_run_that_waits(serve, run_async, start):
    async def main(client):
        doubling = Doubling()
        thread_id, stream = await start(client, tools=doubling.tools())
        pattern = [event.event for event in await all_of(stream) if not event.is_delta]
        thread_id, stream = await start(client)
        waiting = await all_of(stream)
        for count in range(1, len(waiting)):  # without ``done``: with tools there is none here
            thread_id, stream = await start(client)
            first = (await all_of(stream))[:count]
            doubling.calls.clear()
            follows = successor(
                client, thread_id, *first, run_id=stream.snapshot.run.id, tools=doubling.tools()
            )
            everything = [*first, *await all_of(follows)]
            assert [each.event for each in everything if not each.is_delta] == pattern, count
            assert doubling.calls == [4, 1, 2]
            assert seen(everything)["text"].startswith("Let me look. So far 8. The end: ")

    run_async(serve(two_rounds), main)


def test_outputs_that_were_made_before_are_not_made_again(serve, run_async, start):
    async def main(client):
        doubling = Doubling()
        thread_id, stream = await start(client)
        first = (await all_of(stream))[:-1]
        action = first[-1].data.required_action
        outputs = {each.id: "800" for each in action.submit_tool_outputs.tool_calls}
        follows = successor(client, thread_id, *first, outputs=outputs, tools=doubling.tools())
        text = seen([*first, *await all_of(follows)])["text"]
        assert "So far 800. " in text
        assert doubling.calls == [1, 2]

    run_async(serve(two_rounds), main)


def test_outputs_that_were_taken_and_of_which_nothing_was_heard(serve, run_async, start):
    async def main(client):
        thread_id, stream = await start(client)
        first = (await all_of(stream))[:-1]
        run = first[-1].data
        calls = run.required_action.submit_tool_outputs.tool_calls
        outputs = [{"tool_call_id": each.id, "output": "8"} for each in calls]
        submit = client.threads.runs.submit_tool_outputs
        await submit(run.id, thread_id=thread_id, tool_outputs=outputs)
        doubling = Doubling()
        everything = [
            *first,
            *await all_of(successor(client, thread_id, *first, tools=doubling.tools())),
        ]
        assert doubling.calls == [1, 2]
        assert [each.event for each in everything].count("thread.run.requires_action") == 2
        assert everything[-1].is_done

    run_async(serve(two_rounds), main)


# --- a run that works, waits, or is not there ----------------------------------------------


def test_a_run_that_works_is_followed_to_its_end(serve, run_async, start):
    def script(_):
        yield say("a")
        yield wait(0.2)
        yield say("b")

    async def main(client):
        thread_id, stream = await start(client)
        whole = asyncio.ensure_future(all_of(stream))
        async for _ in stream.text_deltas:
            break
        follow = client.threads.runs.follow(
            stream.snapshot.run.id, thread_id=thread_id, poll_interval_ms=10
        )
        assert await text_of(follow) == "ab"
        assert seen(await all_of(follow)) == seen(await whole)
        assert (await follow.get_final_run()).status == "completed"

    run_async(serve(script), main)


def test_a_run_that_waits_ends_the_stream_without_functions(serve, run_async, start):
    async def main(client):
        thread_id, stream = await start(client)
        whole = await all_of(stream)
        run_id = stream.snapshot.run.id
        follow = client.threads.runs.follow(run_id, thread_id=thread_id)
        assert seen(await all_of(follow)) == seen(whole)
        assert (await follow.get_final_run()).status == "requires_action"

    run_async(serve(two_rounds), main)


def test_a_stream_that_is_lost_after_the_functions_is_recovered(serve, run_async, start):
    def faults(asked):
        submits = asked.path.endswith("/submit_tool_outputs")
        return cut(600) if submits else None

    async def main(client):
        doubling = Doubling()
        thread_id, stream = await start(client)
        await stream.until_done()
        follow = client.threads.runs.follow(
            stream.snapshot.run.id, thread_id=thread_id, tools=doubling.tools()
        )
        text = await text_of(follow)
        assert text == "Let me look. So far 8. The end: ['2', '4']"
        assert doubling.calls == [4, 1, 2]

    run_async(serve(two_rounds, faults=faults), main)


def test_a_run_that_does_not_exist_is_an_error_at_once(serve, run_async, start):
    async def main(client):
        thread_id, stream = await start(client)
        await stream.until_done()
        follow = client.threads.runs.follow("run_none", thread_id=thread_id)
        with pytest.raises(NotFoundError) as caught:
            await all_of(follow)
        assert caught.value.run_id == "run_none"

    run_async(serve(two_rounds), main)


def test_a_service_that_is_out_of_reach_for_a_moment(serve, run_async, start):
    left = [3]

    def faults(asked):
        if asked.method == "GET" and left[0]:
            left[0] -= 1
            return refuse(503)
        return None

    async def main(client):
        thread_id, stream = await start(client)
        await stream.until_done()
        follow = client.with_options(max_retries=0).threads.runs.follow(
            stream.snapshot.run.id, thread_id=thread_id, poll_interval_ms=1
        )
        assert len(await all_of(follow)) > 3
        assert left == [0]

    run_async(serve(two_rounds, faults=faults), main)


@pytest.mark.parametrize(
    "wrong", [{"poll_interval_ms": -1}, {"model": "m"}, {"deadline": 0}, {"replay": 1}]
)
def test_wrong_arguments_are_refused_before_any_request(client, wrong):
    with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
        client.threads.runs.follow("run_1", thread_id="thread_1", **wrong)


# --- by the mark ---------------------------------------------------------------------------


def test_a_run_whose_id_nobody_knows_is_found_by_its_mark(serve, run_async, start):
    async def main(client):
        thread_id, stream = await start(client, idempotent=True)
        whole = await all_of(stream)
        mark = stream._pipe.mark
        assert mark in stream.snapshot.run.metadata.values()
        found = successor(client, thread_id, mark=mark)
        assert seen(await all_of(found)) == seen(whole)
        assert (await found.get_final_run()).id == stream.snapshot.run.id
        with pytest.raises(RunOutcomeUnknown, match="looked for, and not found") as caught:
            await all_of(successor(client, thread_id, mark="another"))
        assert caught.value.thread_id == thread_id

    run_async(serve(two_rounds), main)


def test_a_run_of_which_only_the_thread_is_known(serve, run_async):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, idempotent=True)
        whole = await all_of(stream)
        assert whole[0].event == "thread.created"
        thread_id = whole[0].data.id
        rest = await all_of(successor(client, thread_id, whole[0], mark=stream._pipe.mark))
        assert seen([whole[0], *rest]) == seen(whole)

    run_async(serve(two_rounds), main)


# --- a stream like any other ---------------------------------------------------------------


def test_a_handler_and_views_on_both_clients(connect, serve):
    def two_words(_):
        yield say("two ", "words")

    acting = connect(serve(two_words))
    assistant = acting(lambda c: c.assistants.create(model="m"))
    run = acting(
        lambda c: c.threads.create_and_run_poll(assistant_id=assistant.id, poll_interval_ms=1)
    )
    heard = []

    class Sync(AssistantEventHandler):
        def on_text_created(self, text):
            heard.append("created")

        def on_text_done(self, text):
            heard.append(text.value)

    class Async(AsyncAssistantEventHandler):
        async def on_text_created(self, text):
            heard.append("created")

        async def on_text_done(self, text):
            heard.append(text.value)

    handler = Async() if acting.is_async else Sync()
    follow = acting.begin(
        lambda c: c.threads.runs.follow(
            run.id, thread_id=run.thread_id, event_handler=handler, replay=True
        )
    )
    assert acting(lambda _: follow.text_deltas.to_list()) == ["two words"]
    assert heard == ["created", "two words"]
    assert acting(lambda _: follow.final_snapshot).run.status == "completed"


def test_leaving_cancels_the_run_if_it_should(forever, run_async, start):
    async def main(client):
        thread_id, stream = await start(client)
        async for event in stream:
            if event.is_delta:
                break
        run_id = stream.snapshot.run.id
        async with client.threads.runs.follow(
            run_id, thread_id=thread_id, on_dispose="cancel"
        ) as follow:
            subscription = follow.subscribe()
            await asyncio.sleep(0.05)
            subscription.dispose()
        run = await client.threads.runs.retrieve(run_id, thread_id=thread_id)
        assert run.status == "cancelled"

    run_async(forever, main)


def test_a_deadline_names_the_run(forever, run_async, start):
    async def main(client):
        thread_id, stream = await start(client)
        async for event in stream:
            if event.is_delta:
                break
        run_id = stream.snapshot.run.id
        late = client.threads.runs.follow(run_id, thread_id=thread_id, deadline=0.1)
        with pytest.raises(APITimeoutError) as caught:
            await all_of(late)
        assert (caught.value.run_id, caught.value.thread_id) == (run_id, thread_id)

    run_async(forever, main)


def test_many_subscribers_poll_once(serve, connect):
    asked = []

    def faults(request):
        asked.append((request.method, request.path))

    def script(_):
        yield say("x")

    acting = connect(serve(script, faults=faults))
    assistant = acting(lambda c: c.assistants.create(model="m"))
    run = acting(
        lambda c: c.threads.create_and_run_poll(assistant_id=assistant.id, poll_interval_ms=1)
    )
    asked.clear()
    follow = acting.begin(lambda c: c.threads.runs.follow(run.id, thread_id=run.thread_id))
    ended, texts = [], []

    def subscribe(_):
        ended.append(threading.Event())
        return follow.text_deltas.subscribe(texts.append, on_completed=ended[-1].set)

    for _ in range(3):
        acting.begin(subscribe)
    assert all(event.wait(10) for event in ended)
    assert texts == ["x"] * 3
    assert len(asked) == 3  # the run, its steps, its messages
