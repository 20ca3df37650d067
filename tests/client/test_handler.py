"""Event handlers over real sockets: on streams, as their observers, on both clients."""

import asyncio
import gc
import socket
import threading

import pytest
import reactivex as rx
from reactivex import Subject
from reactivex import operators as ops
from reactivex.scheduler import NewThreadScheduler

from rxassist import (
    APIError,
    APITimeoutError,
    AssistantEventHandler,
    AsyncAssistantEventHandler,
    Client,
    NotFoundError,
    RunOutcomeUnknown,
    StreamClosed,
    StreamTruncated,
    map_async,
)
from rxassist.events import DoneEvent, ErrorEvent, ThreadMessageDelta, ThreadRunCreated
from rxassist.local import call, say
from rxassist.models import ErrorObject, Run
from rxassist.protocols.assistants.codec import encode_event
from rxassist.reactive.loop import from_batches
from rxassist.reactive.observable import LoopObservable
from rxassist.runs.streams.telling import tell
from rxassist.wire.sse import encode


class Heard(AssistantEventHandler):
    """Notes what it hears of."""

    def __init__(self, raises_at=None):
        self.events = []
        self.texts = {}
        self.ends = []
        self.over = threading.Event()
        self.raises_at = raises_at

    def on_event(self, event):
        assert not self.ends or self.ends[-1] == "end"
        self.events.append(event)
        assert self.current_event is event

    def on_text_delta(self, delta, snapshot):
        if len(self.events) == self.raises_at:
            raise ValueError("mine")  # noqa: EM101 -- as users write it
        message = self.current_message_snapshot
        assert snapshot == message.content[0].text
        self.texts[message.id] = self.texts.get(message.id, "") + delta.value
        assert snapshot.value == self.texts[message.id]

    def on_timeout(self):
        self.ends.append("timeout")

    def on_exception(self, exception):
        self.ends.append(exception)

    def on_end(self):
        self.ends.append("end")
        self.over.set()

    @property
    def text(self):
        (text,) = self.texts.values()
        return text


class AsyncHeard(AsyncAssistantEventHandler):
    """The same, and it awaits something in each callback."""

    def __init__(self, raises_at=None):
        self.heard = Heard(raises_at)
        self.running = 0

    async def on_event(self, event):
        assert not self.running
        self.running += 1
        try:
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        assert self.current_event is event
        self.heard.events.append(event)

    async def on_text_delta(self, delta, snapshot):
        assert not self.running
        if len(self.heard.events) == self.heard.raises_at:
            raise ValueError("mine")  # noqa: EM101 -- as users write it
        await asyncio.sleep(0)
        message = self.current_message_snapshot
        assert snapshot == message.content[0].text
        texts = self.heard.texts
        texts[message.id] = texts.get(message.id, "") + delta.value

    async def on_timeout(self):
        self.heard.on_timeout()

    async def on_exception(self, exception):
        self.heard.on_exception(exception)

    async def on_end(self):
        await asyncio.sleep(0)
        self.heard.on_end()


def raised(heard):
    """The exceptions that a handler was told of, which end with one ``on_end``."""
    assert heard.ends[-1] == "end"
    assert heard.ends.count("end") == 1
    return heard.ends[:-1]


# --- the three creators --------------------------------------------------------------------


def test_the_handler_hears_each_event_once_whatever_the_views(client, place, numbers):
    heard = Heard()
    with client.threads.runs.stream(**place, event_handler=heard) as stream:
        assert not heard.events
        assert "".join(stream.text_deltas) == numbers
        events = list(stream)
        stream.until_done()
    assert heard.events == events
    assert heard.text == numbers
    assert raised(heard) == []
    assert heard.current_run == stream.get_final_run()
    assert heard.current_event == DoneEvent()
    assert heard.current_message_snapshot.content[0].text.value == numbers
    assert heard.current_run_step_snapshot.status == "completed"


def test_every_creator_takes_a_handler(serve):
    def script(_):
        (output,) = yield [call("add", {"a": 1})]
        yield say(output)

    heard = Heard()
    calls = []
    heard.on_tool_call_done = calls.append
    with Client(base_url=serve(script).base_url) as client:
        assistant = client.assistants.create(model="m").run()
        first = client.threads.create_and_run_stream(assistant_id=assistant.id, event_handler=heard)
        run = first.get_final_run()
        assert [c.function.arguments for c in calls] == ['{"a":1}']
        outputs = [{"tool_call_id": calls[0].id, "output": "42"}]
        client.threads.runs.submit_tool_outputs_stream(
            thread_id=run.thread_id, run_id=run.id, tool_outputs=outputs, event_handler=heard
        ).until_done()
    assert len(calls) == 1
    assert heard.text == "42"
    assert heard.ends == ["end", "end"]


def test_no_handler_at_all(client, place, numbers):
    stream = client.threads.runs.stream(**place, event_handler=None)
    assert "".join(stream.text_deltas) == numbers


def test_on_an_event_loop(service, run_async, numbers):
    async def main(client):
        heard = AsyncHeard()
        assistant = await client.assistants.create(model="m")
        async with client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=heard
        ) as stream:
            assert "".join([text async for text in stream.text_deltas]) == numbers
            events = [event async for event in stream]
            await stream.until_done()
        assert heard.heard.events == events
        assert heard.current_run == await stream.get_final_run()
        return heard.heard

    heard = run_async(service, main)
    assert heard.text == numbers
    assert raised(heard) == []


@pytest.mark.parametrize(
    "wrong",
    [AsyncHeard(), AssistantEventHandler, AsyncAssistantEventHandler, print, "handler", 0],
    ids=["async", "class", "async class", "function", "text", "number"],
)
def test_what_is_no_handler_of_a_client_is_refused(service, client, place, wrong):
    before = len(service.requests)
    with pytest.raises(TypeError, match="event_handler of a Client must be an AssistantEventHandl"):
        client.threads.runs.stream(**place, event_handler=wrong)
    assert len(service.requests) == before


def test_what_is_no_handler_of_an_async_client_is_refused(service, run_async):
    async def main(client):
        for wrong in (Heard(), AsyncAssistantEventHandler):
            with pytest.raises(TypeError, match="an AsyncClient must be an AsyncAssistantEventH"):
                client.threads.create_and_run_stream(assistant_id="a", event_handler=wrong)

    run_async(service, main)


# --- where the stream stands ---------------------------------------------------------------


def test_the_stream_stands_where_the_handler_is_told(client, place):
    stood = []

    class Handler(AssistantEventHandler):
        def on_event(self, event):
            stood.append(
                stream.current_event is event
                and stream.current_run == self.current_run
                and stream.current_message_snapshot == self.current_message_snapshot
                and stream.current_run_step_snapshot == self.current_run_step_snapshot
            )

    for handler, subscriber in ((Handler(), None), (None, Handler())):
        stream = client.threads.runs.stream(**place, event_handler=handler)
        if subscriber is not None:
            stream.subscribe(subscriber)
        for event in stream:
            assert stream.current_event is event
        assert all(stood)
        assert len(stood) > 100
        stood.clear()


# --- as an observer ------------------------------------------------------------------------


def test_a_handler_is_an_observer(client, place, numbers):
    early, late = Heard(), Heard()
    stream = client.threads.runs.stream(**place)
    stream.subscribe(early)
    events = list(stream)
    stream.subscribe(late)
    for heard in (early, late):
        assert heard.over.wait(5)
        assert heard.events == events
        assert heard.text == numbers
        assert raised(heard) == []


def test_a_handler_observes_what_is_piped(client, place):
    heard = Heard()
    stream = client.threads.runs.stream(**place)
    deltas = stream.pipe(ops.filter(lambda event: isinstance(event, ThreadMessageDelta)))
    deltas.subscribe(heard)
    assert heard.over.wait(5)
    assert {type(event) for event in heard.events} == {ThreadMessageDelta}
    assert raised(heard) == []


def test_one_handler_of_streams_at_once_and_one_after_the_other(client, place, numbers):
    heard = Heard()
    for _ in range(2):
        threads = [client.threads.create().run().id for _ in range(4)]
        streams = [
            client.threads.runs.stream(
                thread_id=thread, assistant_id=place["assistant_id"], event_handler=heard
            )
            for thread in threads
        ]
        for stream in streams[1:]:
            stream.subscribe()
        for stream in streams:
            stream.until_done()
    assert list(heard.texts.values()) == 8 * [numbers]
    assert heard.ends == 8 * ["end"]


def test_one_async_handler_of_streams_at_once(service, run_async, numbers):
    class Handler(AsyncAssistantEventHandler):
        def __init__(self):
            self.texts = {}
            self.ends = 0

        async def on_text_delta(self, delta, snapshot):
            before = self.current_message_snapshot
            await asyncio.sleep(0)  # the others are told meanwhile
            assert self.current_message_snapshot is not None
            assert self.current_message_snapshot.id == before.id
            assert before.content[0].text == snapshot
            self.texts[before.id] = snapshot.value

        async def on_end(self):
            self.ends += 1

    async def main(client):
        handler = Handler()
        assistant = await client.assistants.create(model="m")
        streams = [
            client.threads.create_and_run_stream(assistant_id=assistant.id, event_handler=handler)
            for _ in range(4)
        ]
        await asyncio.gather(*(stream.until_done() for stream in streams))
        assert list(handler.texts.values()) == 4 * [numbers]
        assert handler.ends == 4

    run_async(service, main)


@pytest.mark.parametrize("piped", [False, True])
def test_an_async_handler_is_awaited_by_subscribe(service, run_async, numbers, piped):
    async def main(client):
        handler = AsyncHeard()
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        ended = asyncio.Event()
        handler.heard.on_end = ended.set
        (stream.pipe(ops.do_action()) if piped else stream).subscribe(handler)
        await ended.wait()
        assert handler.heard.text == numbers
        assert handler.heard.events == [event async for event in stream]

    run_async(service, main)


def test_an_async_handler_is_awaited_on_the_loop_of_a_client(client, place, numbers):
    handler = AsyncHeard()
    client.threads.runs.stream(**place).subscribe(handler)
    assert handler.heard.over.wait(5)
    assert handler.heard.text == numbers


def test_an_async_handler_is_awaited_on_the_loop_whatever_thread_emits(client, place, numbers):
    over = threading.Event()

    class Handler(AsyncHeard):
        async def on_end(self):
            over.set()

    handler = Handler()
    elsewhere = ops.observe_on(NewThreadScheduler())
    client.threads.runs.stream(**place).pipe(elsewhere).subscribe(handler)
    assert over.wait(10)
    assert handler.heard.text == numbers


def test_a_slow_async_handler_pauses_the_stream(service, run_async):
    async def main(client):
        handler = AsyncHeard()
        go_on = asyncio.Event()
        held = asyncio.Event()

        async def hold(delta, snapshot):
            held.set()
            await go_on.wait()

        handler.on_text_delta = hold
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=handler
        )
        seen = []
        stream.subscribe(seen.append)
        await held.wait()
        told = len(handler.heard.events)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(handler.heard.events) == told
        assert len(seen) == told - 1  # the handler comes first
        go_on.set()
        await stream.until_done()
        assert len(seen) == len(handler.heard.events)

    run_async(service, main)


def test_one_task_awaits_all_callbacks_of_a_stream(service, run_async):
    class Handler(AsyncAssistantEventHandler):
        def __init__(self):
            self.tasks = []

        async def on_event(self, event):
            self.tasks.append(asyncio.current_task())

        async def on_end(self):
            self.tasks.append(asyncio.current_task())

    async def main(client):
        handler = Handler()
        assistant = await client.assistants.create(model="m")
        for _ in range(2):
            await client.threads.create_and_run_stream(
                assistant_id=assistant.id, event_handler=handler
            ).until_done()
        first, second = dict.fromkeys(handler.tasks)
        await asyncio.wait_for(asyncio.gather(first, second), 5)
        assert asyncio.current_task() not in handler.tasks

    run_async(service, main)


def test_a_slow_async_handler_holds_only_a_few_events(service, run_async):
    sent, total = [], 200
    held, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Handler(AsyncAssistantEventHandler):
        async def on_event(self, event):
            held.set()
            await go_on.wait()

        async def on_end(self):
            ended.set()

    async def many():
        for number in range(total):
            sent.append(number)
            yield [BEGUN]

    async def main(client):
        events = LoopObservable(client._home, from_batches(client._home, many))
        events.subscribe(Handler())
        await held.wait()
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(sent) < 40
        go_on.set()
        await ended.wait()
        assert len(sent) == total

    async def noted(ended):
        ended.set()

    run_async(service, main)


# --- endings -------------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
BEGUN = ThreadRunCreated(Run("run_1", thread_id="thread_1", status="in_progress"))


def body(*events):
    return OK + b"".join(encode(encode_event(event)) for event in events)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (body(BEGUN, ErrorEvent(ErrorObject("it broke")), DoneEvent()), APIError),
        (body(BEGUN), StreamTruncated),
        (OK, RunOutcomeUnknown),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", NotFoundError),
    ],
    ids=["error event", "truncated", "empty", "refused"],
)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_stream_that_fails(raw, run_async, answer, error, kind):
    server = raw(answer)
    server.base_url = server.url

    async def main(client):
        handler = AsyncHeard()
        stream = client.threads.create_and_run_stream(assistant_id="a", event_handler=handler)
        with pytest.raises(error) as caught:
            await stream.until_done()
        return handler.heard, caught.value

    if kind == "async":
        heard, caught = run_async(server, main)
    else:
        heard = Heard()
        with Client(base_url=server.url) as client:
            stream = client.threads.create_and_run_stream(assistant_id="a", event_handler=heard)
            with pytest.raises(error) as raises:
                stream.until_done()
        caught = raises.value
    assert raised(heard) == [caught]


def test_a_silent_service_is_a_timeout(forever):
    heard = Heard()
    with Client(base_url=forever.base_url, idle_timeout=0.2) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=heard, recover=False
        )
        with pytest.raises(APITimeoutError) as caught:
            stream.until_done()
    assert raised(heard) == ["timeout", caught.value]


@pytest.mark.parametrize(
    "consume",
    [
        lambda stream: stream.until_done(),
        lambda stream: stream.get_final_run(),
        lambda stream: stream.run(),
        list,
        lambda stream: list(stream.text_deltas),
    ],
    ids=["until_done", "get_final_run", "run", "for", "for of a view"],
)
def test_what_a_callback_raises_reaches_the_caller(service, client, place, consume, caplog):
    heard = Heard(raises_at=10)
    stream = client.threads.runs.stream(**place, event_handler=heard)
    with pytest.raises(ValueError, match="mine") as caught:
        consume(stream)
    assert raised(heard) == [caught.value]
    assert len(heard.events) == 10
    service.wait_for(lambda: service.open_streams == 0)
    with pytest.raises(ValueError, match="mine"):
        stream.until_done()
    assert not caplog.text


def test_what_a_callback_raises_closes_the_stream(forever):
    class Handler(AssistantEventHandler):
        def on_text_delta(self, delta, snapshot):
            raise ValueError("mine")  # noqa: EM101 -- as users write it

    with Client(base_url=forever.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=Handler(), on_dispose="cancel"
        )
        with pytest.raises(ValueError, match="mine"):
            stream.until_done()
        forever.wait_for(lambda: forever.open_streams == 0 and not forever.active_runs)
    assert any(where.endswith("/cancel") for _, where in forever.requests)


def test_what_a_subscribed_handler_raises_closes_the_stream(forever, caplog):
    heard = Heard()

    def fail(delta, snapshot):
        raise ValueError("mine")  # noqa: EM101 -- as users write it

    heard.on_text_delta = fail
    with Client(base_url=forever.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        stream.subscribe(heard)
        with pytest.raises(ValueError, match="mine") as caught:
            stream.until_done()
        forever.wait_for(lambda: forever.open_streams == 0)
        assert raised(heard) == [caught.value]
    assert "mine" in caplog.text  # nobody might have waited for it


def test_what_an_async_callback_raises_reaches_the_caller(service, run_async):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        for consume in (
            lambda stream: stream.until_done(),
            lambda stream: stream.pipe(ops.count()),
            lambda stream: anext(text async for text in stream.text_deltas if text == "99 "),
        ):
            handler = AsyncHeard(raises_at=10)
            stream = client.threads.create_and_run_stream(
                assistant_id=assistant.id, event_handler=handler
            )
            with pytest.raises(ValueError, match="mine") as caught:
                await consume(stream)
            assert raised(handler.heard) == [caught.value]
            assert len(handler.heard.events) == 10

    run_async(service, main)
    service.wait_for(lambda: service.open_streams == 0)


def test_what_a_subscribed_async_handler_raises_closes_the_stream(forever, run_async, caplog):
    async def main(client):
        handler = AsyncHeard()

        async def fail(delta, snapshot):
            raise ValueError("mine")  # noqa: EM101 -- as users write it

        handler.on_text_delta = fail
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        stream.subscribe(handler)
        with pytest.raises(ValueError, match="mine") as caught:
            await stream.until_done()
        assert raised(handler.heard) == [caught.value]

    run_async(forever, main)
    forever.wait_for(lambda: forever.open_streams == 0)
    assert "mine" in caplog.text


# --- leaving -------------------------------------------------------------------------------


def test_the_end_is_told_when_the_block_is_left(forever):
    heard = Heard()
    with Client(base_url=forever.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        with client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=heard
        ) as stream:
            for _ in stream.text_deltas:
                break
        assert raised(heard) == []
        stream.close()
        with pytest.raises(StreamClosed):
            stream.until_done()
    assert raised(heard) == []


def test_the_end_is_told_when_a_subscription_is_disposed(forever):
    word, heard = threading.Event(), Heard()
    heard.on_text_delta = lambda delta, snapshot: word.set()
    with Client(base_url=forever.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        subscription = client.threads.create_and_run_stream(assistant_id=assistant.id).subscribe(
            heard
        )
        assert word.wait(5)
        subscription.dispose()
        assert heard.over.wait(5)
    assert raised(heard) == []


def test_the_stream_may_be_closed_in_a_callback(forever):
    heard = Heard()
    with Client(base_url=forever.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=heard
        )
        heard.on_text_delta = lambda delta, snapshot: stream.close()
        with pytest.raises(StreamClosed):
            stream.until_done()
        assert heard.over.wait(5)
    assert raised(heard) == []


def test_the_end_is_told_when_an_async_block_is_left(forever, run_async):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        handler = AsyncHeard()
        async with client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=handler
        ) as stream:
            async for _ in stream.text_deltas:
                break
        assert raised(handler.heard) == []
        await stream.close()
        handler = AsyncHeard()
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=handler
        )
        closed = asyncio.Event()

        async def close(delta, snapshot):
            await stream.close()
            closed.set()

        handler.on_text_delta = close
        with pytest.raises(StreamClosed):
            await stream.until_done()
        await stream.close()
        assert closed.is_set()
        assert raised(handler.heard) == []
        await client.threads.create()  # meanwhile httpx finishes its generators

    run_async(forever, main)


def test_a_callback_that_runs_when_the_stream_is_left_is_cancelled(forever, run_async):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        handler, told, runs = AsyncHeard(), [], asyncio.Event()

        async def never(delta, snapshot):
            runs.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                for _ in range(10):
                    await asyncio.sleep(0)
                assert not handler.heard.ends
                told.append("cancelled")
                raise

        handler.on_text_delta = never
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=handler
        )
        subscription = stream.subscribe(on_error=told.append)
        await runs.wait()
        await stream.close()
        assert told[-1] == "cancelled"
        assert isinstance(told[0], StreamClosed)
        assert raised(handler.heard) == []
        subscription.dispose()

    run_async(forever, main)


@pytest.mark.parametrize("how", ["the end", "left", "raised"])
def test_close_waits_for_the_last_callback_and_does_not_cancel_it(service, run_async, how):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        ending, told = asyncio.Event(), []

        class Handler(AsyncAssistantEventHandler):
            async def on_text_delta(self, delta, snapshot):
                if how == "left":
                    left.set()
                    await asyncio.Event().wait()
                if how == "raised":
                    raise ValueError("mine")  # noqa: EM101 -- as users write it

            async def on_end(self):
                ending.set()
                for _ in range(20):
                    await asyncio.sleep(0)
                told.append("end")

        left = asyncio.Event()
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=Handler()
        )
        subscription = stream.subscribe(on_error=lambda _: None)
        await (left if how == "left" else ending).wait()
        await asyncio.gather(stream.close(), stream.close())
        assert told == ["end"]
        subscription.dispose()

    run_async(service, main)


def test_the_task_of_a_handler_may_be_cancelled_from_outside(forever, run_async):
    async def main(client):
        handler, tasks = AsyncHeard(), []

        async def note(delta, snapshot):
            tasks.append(asyncio.current_task())
            noted.set()

        noted = asyncio.Event()
        handler.on_text_delta = note
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=handler
        )
        waiting = asyncio.ensure_future(stream.until_done())
        await noted.wait()
        tasks[0].cancel()
        with pytest.raises(StreamClosed, match="the task of an event handler was cancelled"):
            await waiting
        assert raised(handler.heard) == []

    run_async(forever, main)


def test_the_task_of_a_handler_may_be_cancelled_before_it_begins(forever, run_async):
    async def main(client):
        ends, source = [], Subject()

        class Handler(AsyncAssistantEventHandler):
            async def on_end(self):
                await asyncio.sleep(0)
                ends.append("end")

        await client.threads.create()  # a loop is bound
        others = asyncio.all_tasks()
        failed = asyncio.get_running_loop().create_future()
        telling = Handler().telling(source)
        source.pipe(tell(telling, client._home)).subscribe(on_error=failed.set_result)
        source.on_next(DoneEvent())
        (task,) = asyncio.all_tasks() - others
        task.cancel()
        assert "was cancelled" in str(await failed)
        assert ends == ["end"]

    run_async(forever, main)


def test_what_the_last_callback_raises_when_a_quiet_stream_is_left_is_reported(
    forever, run_async, caplog
):
    async def main(client):
        said, over = asyncio.Event(), asyncio.Event()

        class Handler(AsyncAssistantEventHandler):
            async def on_text_delta(self, delta, snapshot):
                said.set()

            async def on_end(self):
                over.set()
                raise ValueError("mine")  # noqa: EM101 -- as users write it

        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        subscription = stream.subscribe(Handler())
        await said.wait()
        subscription.dispose()
        await over.wait()

    run_async(forever, main)
    assert "a subscriber raised" in caplog.text


def test_an_error_knows_where_its_stream_stood_when_a_handler_is_told_of_it(raw, run_async):
    server = raw(body(*(ThreadRunCreated(Run(f"run_{n}", thread_id="t")) for n in range(40))))
    server.base_url = server.url

    async def main(client):
        told = []

        class Handler(AsyncAssistantEventHandler):
            async def on_event(self, event):
                await asyncio.sleep(0)

            async def on_exception(self, exception):
                told.append(exception)

        stream = client.threads.create_and_run_stream(
            assistant_id="a", event_handler=Handler(), recover=False
        )
        with pytest.raises(StreamTruncated) as caught:
            await stream.until_done()
        assert told == [caught.value]
        assert caught.value.snapshot.run.id == "run_39"

    run_async(server, main)


def test_a_callback_may_await_the_client_and_go_on_with_the_run(serve, run_async):
    def script(_):
        output = yield call("f", {})
        yield say(f"It is {output}.")

    async def main(client):
        told = []

        class Handler(AsyncAssistantEventHandler):
            async def on_event(self, event):
                if event.event == "thread.run.created":
                    told.append((await client.threads.retrieve(event.data.thread_id)).id)
                if event.event == "thread.run.requires_action":
                    run = event.data
                    (asked,) = run.required_action.submit_tool_outputs.tool_calls
                    stream = client.threads.runs.submit_tool_outputs_stream(
                        thread_id=run.thread_id,
                        run_id=run.id,
                        tool_outputs=[{"tool_call_id": asked.id, "output": "7"}],
                    )
                    told.append("".join([text async for text in stream.text_deltas]))

        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=Handler()
        )
        await stream.until_done()
        run = stream.current_run
        assert told == [run.thread_id, "It is 7."]

        async def again(_):
            return (await client.threads.retrieve(run.thread_id)).id

        assert await rx.of(1, 2).pipe(map_async(again), ops.to_list()) == [run.thread_id] * 2

    run_async(serve(script), main)


# --- closed before it is read --------------------------------------------------------------


@pytest.fixture
def starting(client):
    """Make a stream with a handler, of which nothing was read."""
    assistant = client.assistants.create(model="m").run()

    def start(handler):
        return client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=handler
        )

    return start


def test_a_stream_that_nobody_reads_is_closed_at_once(service, starting):
    handler = Heard()
    with starting(handler):
        pass
    starting(handler).close()
    assert handler.ends == []
    assert not any(path.endswith("/runs") for _, path in service.requests)


def test_an_exception_in_a_block_that_reads_nothing_is_seen(starting):
    with pytest.raises(LookupError, match="mine"), starting(Heard()):
        raise LookupError("mine")  # noqa: EM101 -- as users write it


def test_a_stream_that_is_closed_is_over_for_its_handler(starting):
    handler = Heard()
    stream = starting(handler)
    stream.close()
    with pytest.raises(StreamClosed):
        stream.until_done()
    stream.close()
    assert handler.events == []


def test_a_stream_that_is_closed_right_after_it_was_subscribed_tells_its_end(starting):
    for _ in range(20):
        handler = Heard()
        stream = starting(handler)
        stream.subscribe(on_error=lambda _: None)
        stream.close()
        assert handler.ends[-1:] == ["end"]
        assert handler.ends.count("end") == 1


def test_an_asynchronous_stream_that_nobody_reads_is_closed_at_once(service, run_async):
    async def main(client):
        assistant = await client.assistants.create(model="m")

        def start(handler):
            return client.threads.create_and_run_stream(
                assistant_id=assistant.id, event_handler=handler
            )

        handler = AsyncHeard()
        async with start(handler):
            pass
        await start(handler).close()
        with pytest.raises(LookupError, match="mine"):
            async with start(handler):
                raise LookupError("mine")  # noqa: EM101 -- as users write it
        stream = start(handler)
        stream.subscribe(on_error=lambda _: None)
        await stream.close()  # before it has begun
        assert handler.heard.ends == []

    run_async(service, main)
    assert not any("/runs" in path and method == "GET" for method, path in service.requests)


def test_a_plain_callback_of_an_asynchronous_handler_is_told_by_its_name(service, run_async):
    async def main(client):
        handler = AsyncAssistantEventHandler()
        handler.on_text_delta = lambda delta, snapshot: None
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, event_handler=handler
        )
        told = r"AsyncAssistantEventHandler\.on_text_delta is a plain def"
        with pytest.raises(TypeError, match=told):
            await stream.until_done()

    run_async(service, main)


# --- as the stream itself, which it is in the official SDK -----------------------------------


class Named(Heard):
    """A handler with something of its own."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def shout(self):
        return self.name.upper()


def test_a_handler_has_what_its_stream_has(client, place, numbers):
    handler = Named("ann")
    with client.threads.runs.stream(**place, event_handler=handler) as stream:
        handler.until_done()
        assert "".join(handler.text_deltas) == numbers
        assert list(handler) == handler.events
        assert handler.get_final_run() == stream.get_final_run()
        assert handler.get_final_messages() == stream.get_final_messages()
        assert handler.get_final_run_steps() == stream.get_final_run_steps()
    handler.close()


def test_a_stream_has_what_its_handler_has_of_its_own(client, place, numbers):
    with client.threads.runs.stream(**place, event_handler=Named("ann")) as stream:
        stream.until_done()
        assert (stream.name, stream.shout(), stream.text) == ("ann", "ANN", numbers)
        for name in ("on_text_delta", "nothing", "_heard"):
            with pytest.raises(AttributeError, match=name):
                getattr(stream, name)


def test_an_asynchronous_handler_has_what_its_stream_has(service, run_async, numbers):
    class Own(AsyncAssistantEventHandler):
        name = "bob"

    async def main(client):
        assistant = await client.assistants.create(model="m")
        handler = Own()
        create = client.threads.create_and_run_stream
        async with create(assistant_id=assistant.id, event_handler=handler) as stream:
            await handler.until_done()
            assert "".join([text async for text in handler.text_deltas]) == numbers
            assert [event async for event in handler][-1].event == "done"
            assert await handler.get_final_run() == await stream.get_final_run()
            assert await handler.get_final_messages() == await stream.get_final_messages()
            assert await handler.get_final_run_steps() == await stream.get_final_run_steps()
            await handler.close()
            return stream.name

    assert run_async(service, main) == "bob"


def test_a_handler_that_hears_nothing_says_so(client, place):
    handler = Named("ann")
    with pytest.raises(RuntimeError, match="event_handler="):
        handler.until_done()
    client.threads.runs.stream(**place, event_handler=handler)  # and nobody keeps it
    gc.collect()
    with pytest.raises(RuntimeError, match="event_handler="):
        handler.get_final_run()


def test_a_handler_is_told_that_the_creation_of_its_run_timed_out():
    handler = Heard()
    silent = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
    with silent, Client(base_url=url, timeout=0.2, max_retries=0) as client:
        stream = client.threads.create_and_run_stream(assistant_id="asst_1", event_handler=handler)
        with pytest.raises(RunOutcomeUnknown) as caught:
            stream.until_done()
        handler.over.wait(10)
    assert handler.ends == ["timeout", caught.value, "end"]
