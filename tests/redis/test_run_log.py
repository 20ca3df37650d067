"""What a log does for those who publish, follow and stop: in memory, in Redis and in Valkey."""

import asyncio
import gc
import pickle
import threading
import time

import pytest
import reactivex as rx
from reactivex import Subject
from reactivex import operators as ops

from rxassist import AsyncAssistantEventHandler, AsyncClient, Client
from rxassist.errors import (
    AlreadyProduced,
    APIStatusError,
    ClientClosed,
    CursorUnavailable,
    LogTooLarge,
    ProducerLost,
    RateLimitError,
    RxAssistError,
    StreamClosed,
    StreamTruncated,
    ToolRoundsExceeded,
    status_error,
)
from rxassist.local import LocalService, call, say, wait
from rxassist.operators import choose, text_deltas
from rxassist.protocols.assistants.codec import EventDecoder
from rxassist.reactive.loop import RunningLoop, from_batches
from rxassist.redis import BlockingRunLog, InMemoryStore, Published, RunLog


async def heard(runs, key, after=None):
    return [event async for event in runs.follow(key, after)]


async def until_said(events):
    """Wait until the model has said something."""
    await events.pipe(ops.first(lambda event: event.is_delta))


async def until(true, seconds=10):
    """Wait until something is true, which happens on this loop."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


@pytest.fixture
def events(wire):
    """The events of a run of an assistant."""
    decoder = EventDecoder()
    return list(decoder.feed((wire / "assistants" / "oa4j-text.sse").read_bytes()))


# --- publishing -----------------------------------------------------------------------------


def test_a_run_is_published_by_one_worker_and_followed_by_another(run, logs):
    def script(_):
        yield say("Hello ", "there")

    async def main():
        with LocalService(script) as service:
            async with (
                AsyncClient(base_url=service.base_url) as client,
                logs() as runs,
                logs() as others,
            ):
                assistant = await client.assistants.create(model="m")
                stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
                key = runs.publish(stream)
                text = others.follow(key).pipe(text_deltas(), ops.reduce(str.__add__))
                assert await text == "Hello there"
                assert await heard(others, key) == [event async for event in stream]
                runs_of_it = others.follow(key).pipe(choose(lambda event: event.run()))
                assert (await runs_of_it).status == "completed"

    run(main)


def test_a_key_is_text_and_can_be_awaited(run, logs, stream_of, events):
    async def main():
        async with logs() as runs:
            key = runs.publish(stream_of(rx.from_iterable(events)))
            assert isinstance(key, Published)
            assert len(key) == 32
            assert await key == key
            assert type(await key) is str
            assert pickle.loads(pickle.dumps(key)) == key
            assert len(await heard(runs, key)) == len(events)

    run(main)


def test_a_caller_that_is_cancelled_does_not_end_what_it_published(run, stream_of, events):
    may_go_on = asyncio.Event()

    class Slow(InMemoryStore):
        async def acquire(self, *arguments, **options):
            await may_go_on.wait()
            return await super().acquire(*arguments, **options)

    async def main():
        async with RunLog(Slow()) as runs:
            key = runs.publish(stream_of(rx.from_iterable(events)))

            async def request():
                await key

            waiting = asyncio.ensure_future(request())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            may_go_on.set()
            assert await heard(runs, key) == events

    run(main)


def test_a_run_goes_on_when_nobody_follows_it(run, logs, stream_of, events):
    source = Subject()

    async def main():
        async with logs() as runs:
            key = await runs.publish(stream_of(source))
            for event in events[:5]:
                source.on_next(event)
            got = []
            follower = runs.follow(key).subscribe(got.append)
            await until(lambda: len(got) == 5)
            follower.dispose()
            for event in events[5:]:
                source.on_next(event)
            source.on_completed()
            assert await heard(runs, key) == events

    run(main)


def test_a_key_is_produced_once(run, logs, stream_of):
    begun = []

    def beginning(observer, scheduler=None):
        begun.append(observer)
        return rx.never().subscribe(observer)

    async def main():
        async with logs() as runs, logs() as others:
            assert await runs.publish(stream_of(rx.create(beginning)), key="job-1x") == "job-1x"
            await until(lambda: begun)
            for log in (runs, others):
                with pytest.raises(AlreadyProduced, match="job-1x"):
                    await log.publish(stream_of(rx.create(beginning)), key="job-1x")
            await others.stop("job-1x")
        assert len(begun) == 1

    run(main)


@pytest.fixture
def fresh(request):
    """A key that no other test has."""
    return f"{request.node.name}-{time.monotonic_ns()}".translate({ord(c): "-" for c in '{}"[]'})


def test_a_run_that_has_ended_is_not_produced_again(run, logs, stream_of, events, fresh):
    async def main():
        async with logs() as runs:
            await runs.publish(stream_of(rx.from_iterable(events)), key=fresh)
            await heard(runs, fresh)
            with pytest.raises(AlreadyProduced, match="follow it"):
                await runs.publish(stream_of(rx.never()), key=fresh)

    run(main)


@pytest.mark.parametrize("key", ["", "a{b}", "x" * 201, "a\nb", None, 5])
def test_a_key_that_cannot_be_one_is_refused(key):
    runs = RunLog(InMemoryStore())
    for read in (runs.follow, runs.sse):
        with pytest.raises((TypeError, ValueError), match="key must be text"):
            read(key)


def test_only_the_stream_of_a_run_is_published(run, logs):
    async def main():
        async with logs() as runs:
            with pytest.raises(TypeError, match="publish takes the stream of a run"):
                runs.publish(rx.of(1))

    run(main)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"lease": 0}, ValueError),
        ({"keep": -1}, ValueError),
        ({"linger": -1}, ValueError),
        ({"grace": "1"}, TypeError),
        ({"max_bytes": 0.5}, TypeError),
        ({"lease": 20, "ttl": 10}, ValueError),
    ],
)
def test_wrong_options_are_refused(options, error):
    with pytest.raises(error, match=next(iter(options))):
        RunLog(InMemoryStore(), **options)


def test_what_is_no_store_is_refused():
    with pytest.raises(TypeError, match="the URL of a Redis server"):
        RunLog(5)
    with pytest.raises(ValueError, match="redis://"):
        RunLog("http://localhost")


# --- endings --------------------------------------------------------------------------------

FAILURES = [
    StreamTruncated("the body ended"),
    ToolRoundsExceeded(3),
    status_error("slow down", status_code=429, code="rate_limit_exceeded", retry_after=2.0),
    RxAssistError("something else"),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_an_error_of_the_library_reaches_followers_as_what_it_is(
    error, run, logs, stream_of, events
):
    async def main():
        async with logs() as runs, logs() as others:
            source = rx.from_iterable(events[:3]).pipe(ops.concat(rx.throw(error)))
            key = await runs.publish(stream_of(source))
            got = []
            with pytest.raises(type(error)) as caught:
                await others.follow(key).pipe(ops.do_action(got.append))
            assert got == events[:3]
            assert str(caught.value) == str(error)
            if isinstance(error, APIStatusError):
                assert isinstance(caught.value, RateLimitError)
                assert (caught.value.code, caught.value.retry_after) == (error.code, 2.0)
                assert dict(caught.value.headers) == {}
            body = b"".join([chunk async for chunk in others.sse(key)])
            assert body.endswith(b"\n\n")
            assert f'"type":"{type(error).__name__}"'.encode() in body.split(b"event: error")[1]

    run(main)


def test_any_other_error_reaches_followers_without_secrets(run, logs, stream_of):
    async def main():
        async with logs() as runs, logs() as others:
            source = rx.throw(ZeroDivisionError("with redis://me:abcdefgh@there"))
            key = await runs.publish(stream_of(source))
            with pytest.raises(RxAssistError, match="ZeroDivisionError: with") as caught:
                await heard(others, key)
            assert type(caught.value) is RxAssistError
            assert "abcdef" not in str(caught.value)

    run(main)


def test_a_log_that_is_too_large_ends(run, logs, stream_of, events):
    async def main():
        async with logs(max_bytes=2000) as runs:
            key = await runs.publish(stream_of(rx.from_iterable(events)))
            with pytest.raises(LogTooLarge, match="max_bytes=2000"):
                await heard(runs, key)

    run(main)


def test_an_event_that_is_none_ends_the_log(run, logs, stream_of):
    async def main():
        async with logs() as runs:
            key = await runs.publish(stream_of(rx.of(None)))
            with pytest.raises(RxAssistError):
                await heard(runs, key)

    run(main)


def test_a_log_is_kept_for_a_while(run, logs, stream_of, events):
    async def main():
        async with logs(keep=0.2, grace=0.1) as runs:
            key = await runs.publish(stream_of(rx.from_iterable(events)))
            assert await heard(runs, key) == events
            await asyncio.sleep(0.3)
            with pytest.raises(CursorUnavailable, match="there is no log of it"):
                await heard(runs, key)

    run(main)


def test_a_log_that_never_was_is_an_error_soon(run, logs):
    async def main():
        async with logs(grace=0.2) as runs:
            with pytest.raises(CursorUnavailable, match="never published"):
                await heard(runs, "nobody")
            body = b"".join([chunk async for chunk in runs.sse("nobody")])
            assert body == b'event: error\ndata: {"type":"CursorUnavailable","code":null}\n\n'

    run(main)


def test_a_follower_waits_for_a_log_that_appears(run, logs, stream_of, events, fresh):
    async def main():
        async with logs() as runs:
            got = []
            runs.follow(fresh).subscribe(got.append)
            await asyncio.sleep(0.2)
            assert not got
            await runs.publish(stream_of(rx.from_iterable(events)), key=fresh)
            await until(lambda: got == events)

    run(main)


# --- following ------------------------------------------------------------------------------


def test_all_followers_of_a_process_share_one_reader(run, stream_of, events):
    reads = []

    class Counting(InMemoryStore):
        async def read(self, key, after, wait):
            reads.append(after)
            return await super().read(key, after, wait)

    async def main():
        source, store = Subject(), Counting()
        async with RunLog(store) as runs:
            key = await runs.publish(stream_of(source))
            got = [[] for _ in range(50)]
            followers = [runs.follow(key).subscribe(each.append) for each in got]
            bodies = [runs.sse(key) for _ in range(5)]
            begun = asyncio.gather(*[anext(body) for body in bodies])
            source.on_next(events[0])
            await until(lambda: all(len(each) == 1 for each in got))
            assert len(await begun) == 5
            assert len(reads) <= 4
            for follower in followers:
                follower.dispose()
            for body in bodies:
                await body.aclose()
            await until(lambda: not runs._followed._shared)
            await runs.stop(key)

    run(main)


def test_the_reader_ends_with_its_last_follower(run, logs, stream_of, events):
    async def main():
        source = Subject()
        async with logs() as runs:
            key = await runs.publish(stream_of(source))
            for _ in range(3):
                iterator = aiter(runs.follow(key))
                source.on_next(events[0])
                assert await anext(iterator) == events[0]
                await iterator.aclose()
                await until(lambda: not runs._followed._shared)
                assert asyncio.all_tasks()
            body = runs.sse(key)
            await anext(body)
            await body.aclose()
            await until(lambda: not runs._followed._shared)

    run(main)


def test_a_slow_follower_holds_up_nobody(run, logs, stream_of, events):
    many = [events[3]] * 3000

    async def main():
        async with logs() as runs:
            key = await runs.publish(stream_of(rx.from_iterable(many)))
            slow = aiter(runs.follow(key))
            await anext(slow)
            assert len(await heard(runs, key)) == 3000
            assert len([event async for event in slow]) == 2999

    run(main)


def test_a_callback_that_raises_closes_its_follower_only(run, logs, stream_of, events):
    reported = []

    async def main():
        source = Subject()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))

        def raising(_=None):
            raise LookupError

        async with logs() as runs:
            key = await runs.publish(stream_of(source))
            got = []
            runs.follow(key).subscribe(raising)
            runs.follow(key).subscribe(got.append, on_completed=raising)
            runs.follow(key).pipe(ops.map(raising)).subscribe(got.append, raising)
            for event in events:
                source.on_next(event)
            source.on_completed()
            await until(lambda: got == events)
            with pytest.raises(LookupError):
                await runs.follow(key).pipe(ops.map(raising))
            await until(lambda: len(reported) >= 3)
            await until(lambda: not runs._followed._shared)

    run(main)


def test_what_is_no_cursor(run, logs, stream_of, events):
    async def main():
        async with logs() as runs:
            key = await runs.publish(stream_of(rx.from_iterable(events)))
            await heard(runs, key)
            for after in ("x", -1, True, 1.5, "1-", "1-2-3"):
                with pytest.raises(ValueError, match="after must be the id"):
                    runs.follow(key, after)
            whole = b"".join([chunk async for chunk in runs.sse(key)])
            for after in ("x", "", "null", "9" * 50, None):
                assert b"".join([chunk async for chunk in runs.sse(key, after)]) == whole
            assert await heard(runs, key, "") == events
            for after in ("7-999", f"1-{len(events) + 1}", len(events) + 1):
                with pytest.raises(CursorUnavailable, match="its log does not have"):
                    await heard(runs, key, after)
            body = b"".join([chunk async for chunk in runs.sse(key, "7-999")])
            assert b'"type":"CursorUnavailable"' in body

    run(main)


# --- stopping -------------------------------------------------------------------------------


@pytest.fixture
def forever():
    """A service whose runs say a word and then go on for ever."""

    def script(_):
        yield say("word")
        yield wait(600)

    with LocalService(script) as service:
        yield service


def test_a_stop_from_elsewhere_cancels_the_run(run, logs, forever):
    async def main():
        async with (
            AsyncClient(base_url=forever.base_url) as client,
            logs() as runs,
            logs() as others,
        ):
            assistant = await client.assistants.create(model="m")
            thread = await client.threads.create()
            stream = client.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id)
            key = await runs.publish(stream)
            got = []
            async for event in others.follow(key):
                got.append(event)
                if event.is_delta:
                    began = time.monotonic()
                    await others.stop(key)
            assert time.monotonic() - began < 1
            assert got == [event async for event in stream]
            assert [event.run_status() for event in got if event.run()][-1] == "cancelled"
            assert got[-1].is_done

    run(main)


def test_a_stop_before_the_first_event_is_not_forgotten(run, logs, forever, fresh):
    async def main():
        async with (
            AsyncClient(base_url=forever.base_url) as client,
            logs() as runs,
            logs() as others,
        ):
            assistant = await client.assistants.create(model="m")
            thread = await client.threads.create()
            stream = client.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id)
            key = await runs.publish(stream, fresh)
            await others.stop(fresh)
            statuses = [e.run_status() async for e in others.follow(key) if e.run()]
            assert statuses[-1] == "cancelled"

    run(main)


@pytest.mark.parametrize("seconds", [0.05, 60])
def test_a_stop_while_a_function_runs_gives_the_ending_of_the_run(seconds, run, logs):
    begun = asyncio.Event()

    async def look() -> str:
        begun.set()
        await asyncio.sleep(seconds)
        return "seen"

    def script(_):
        yield call("look", {})
        yield say("Never said.")

    async def main():
        with LocalService(script) as service:
            async with (
                AsyncClient(base_url=service.base_url) as client,
                logs() as runs,
                logs() as others,
            ):
                assistant = await client.assistants.create(model="m")
                stream = client.threads.create_and_run_stream(
                    assistant_id=assistant.id, tools=[look]
                )
                key = await runs.publish(stream)
                await begun.wait()
                await others.stop(key)
                got = await heard(others, key)
                statuses = [event.run().status for event in got if event.run()]
                assert statuses.count("requires_action") == 1
                assert statuses[-1] == "cancelled"
                assert got[-1].is_done

    run(main)


def test_an_endless_stream_is_stopped_and_left(run, logs, stream_of, events):
    async def endless():
        while True:
            yield [events[0]] * 10

    def cancel(run):
        cancelled.append(run)
        return rx.of(run)

    cancelled = []

    async def main():
        home = RunningLoop()
        async with logs() as others:
            async with logs() as runs:
                keys = [
                    await runs.publish(stream_of(from_batches(home, endless), cancel=cancel))
                    for _ in range(2)
                ]
                await runs.follow(keys[0]).pipe(ops.take(2000))
                await others.stop(keys[0])
                with pytest.raises(StreamClosed, match="stopped"):
                    await others.follow(keys[0]).pipe(ops.ignore_elements())
                assert len(cancelled) == 1
                began = time.monotonic()
            assert time.monotonic() - began < 2
            assert keys[1] in [key async for key in others.orphans()]

    run(main)


def test_a_stop_of_a_run_that_has_ended_is_nothing(run, logs, stream_of, events, fresh):
    async def main():
        async with logs(keep=0.1) as runs:
            await runs.publish(stream_of(rx.from_iterable(events)), fresh)
            await heard(runs, fresh)
            await runs.stop(fresh)
            await asyncio.sleep(0.2)
            cancelled = []
            again = stream_of(rx.from_iterable(events), cancel=cancelled.append)
            await runs.publish(again, fresh)
            assert await heard(runs, fresh) == events
            assert not cancelled

    run(main)


def test_a_stop_right_after_publishing_is_not_lost(run, logs, stream_of, events):
    cancelled = []

    def cancel(run):
        cancelled.append(run)
        return rx.of(run)

    async def main():
        source = Subject()
        async with logs() as runs:
            key = runs.publish(stream_of(source, cancel=cancel))
            await runs.stop(key)
            await key
            await until(lambda: source.observers)
            source.on_next(events[0])
            await until(lambda: cancelled)

    run(main)


def test_the_stream_of_a_client_that_is_closed_is_not_published(run, logs, forever):
    async def main():
        async with logs() as runs:
            async with AsyncClient(base_url=forever.base_url) as client:
                stream = client.responses.stream(model="m", input="Hello")
            with pytest.raises(ClientClosed):
                runs.publish(stream)

    run(main)


def test_a_response_in_the_foreground_is_stopped_by_closing_it(run, logs, forever):
    async def main():
        async with (
            AsyncClient(base_url=forever.base_url) as client,
            logs() as runs,
            logs() as others,
        ):
            stream = client.responses.stream(model="m", input="Hello")
            key = await runs.publish(stream)
            await until_said(others.follow(key))
            await others.stop(key)
            with pytest.raises(StreamClosed, match="stopped"):
                await heard(others, key)

    run(main)


def test_a_source_is_paused_while_nothing_can_be_written(run, stream_of, events):
    emitted, may_write = [], asyncio.Event()

    class Stuck(InMemoryStore):
        async def append(self, claim, entry=None):
            if entry is not None:
                await may_write.wait()
            await super().append(claim, entry)

    async def many():
        for event in (events[3] for _ in range(5000)):
            emitted.append(event)
            yield (event,)

    async def main():
        home = RunningLoop()
        async with RunLog(Stuck()) as runs:
            key = await runs.publish(stream_of(from_batches(home, many)))
            await until(lambda: len(emitted) >= 1024)
            for _ in range(1000):
                await asyncio.sleep(0)
            assert len(emitted) < 1024 + 256 + 64
            may_write.set()
            assert len(await heard(runs, key)) == 5000

    run(main)


def test_events_that_come_together_are_written_together(run, stream_of, events):
    async def main():
        store = InMemoryStore()
        async with RunLog(store, linger=0.05) as runs:
            source = Subject()
            key = await runs.publish(stream_of(source))
            for event in events:
                source.on_next(event)
                await asyncio.sleep(0)
            assert await heard(runs, key) == events
            page = await store.read(key, None, 0)
            assert [entry.count for entry in page.entries] == [0, len(events), 1]

    run(main)


def test_a_handler_that_raises_ends_the_log_with_its_error(run, logs, forever):
    class Raising(AsyncAssistantEventHandler):
        async def on_text_created(self, text):
            msg = "of a handler"
            raise LookupError(msg)

    async def main():
        async with AsyncClient(base_url=forever.base_url) as client, logs() as runs:
            assistant = await client.assistants.create(model="m")
            stream = client.threads.create_and_run_stream(
                assistant_id=assistant.id, event_handler=Raising()
            )
            key = await runs.publish(stream)
            with pytest.raises(RxAssistError, match="LookupError: of a handler"):
                await heard(runs, key)

    run(main)


# --- closing, and the blocking kind ---------------------------------------------------------


def test_a_log_that_is_closed_leaves_its_runs_to_others(run, logs, stream_of, events):
    async def main():
        source = Subject()
        async with logs(grace=0.2) as others:
            async with logs() as runs:
                key = await runs.publish(stream_of(source, on_dispose="cancel"))
                for event in events[:3]:
                    source.on_next(event)
                follower = asyncio.ensure_future(heard(runs, key))
                await asyncio.sleep(0)
            with pytest.raises(ClientClosed):
                await follower
            assert key in [each async for each in others.orphans()]
            got = []
            with pytest.raises(ProducerLost, match="take_over"):
                await others.follow(key).pipe(ops.do_action(got.append))
            assert got == events[:3]
            with pytest.raises(ClientClosed):
                await heard(runs, key)
            with pytest.raises(ClientClosed):
                runs.publish(stream_of(source))
            with pytest.raises(ClientClosed):
                await runs.stop(key)
            await runs.close()

    run(main)


def test_a_client_that_is_closed_leaves_its_runs_to_others(run, logs, forever):
    async def main():
        async with logs() as runs:
            async with AsyncClient(base_url=forever.base_url) as client:
                assistant = await client.assistants.create(model="m")
                key = await runs.publish(
                    client.threads.create_and_run_stream(assistant_id=assistant.id)
                )
                await anext(aiter(runs.follow(key)))
            orphans = []
            while key not in orphans:
                orphans = [each async for each in runs.orphans()]

    run(main)


def test_a_log_that_nobody_uses_is_closed(run, logs):
    async def main():
        await logs().close()
        async with logs():
            pass

    run(main)


def test_threads_publish_follow_and_stop(forever, store_of):
    with (
        Client(base_url=forever.base_url) as client,
        BlockingRunLog(store_of()) as runs,
        BlockingRunLog(store_of()) as others,
    ):
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        key = runs.publish(stream)
        with pytest.raises(AlreadyProduced):
            others.publish(stream, key)
        body = others.sse(key)
        assert next(body).startswith(b"id: 1-1\nevent: thread.created\n")
        body.close()
        assert list(body) == []
        got = []
        for event in others.follow(key):
            got.append(event)
            if event.is_delta:
                others.stop(key)
        assert got == list(stream)
        assert others.follow(key).pipe(text_deltas()).run() == "word"
        assert key not in others.orphans()


def test_a_blocking_log_says_what_it_takes(forever, stream_of):
    runs = BlockingRunLog(InMemoryStore())
    with runs, pytest.raises(TypeError, match="the streams of a Client"):
        runs.publish(stream_of(rx.never()))
    with pytest.raises(ClientClosed):
        runs.stop("x")


def test_an_async_log_takes_the_streams_of_a_client(run, logs, forever):
    async def main():
        async with logs() as runs:
            with Client(base_url=forever.base_url) as client:
                assistant = client.assistants.create(model="m").run()
                key = await runs.publish(
                    client.threads.create_and_run_stream(assistant_id=assistant.id)
                )
                async for event in runs.follow(key):
                    if event.is_delta:
                        await runs.stop(key)

    run(main)


def test_a_log_that_is_closed_before_anything_has_begun(run, logs, stream_of):
    async def main():
        async with logs() as runs:
            key = runs.publish(stream_of(rx.never()))
        with pytest.raises((ClientClosed, asyncio.CancelledError)):
            await key
        async with logs() as runs:
            follower = asyncio.ensure_future(heard(runs, "nobody"))
            body = asyncio.ensure_future(anext(runs.sse("nobody")))
            await asyncio.sleep(0)
        with pytest.raises(ClientClosed):
            await follower
        with pytest.raises(StopAsyncIteration):
            await body

    run(main)


def test_a_blocking_log_that_nobody_has_ends_its_thread(store_of):
    runs = BlockingRunLog(store_of(), grace=0.1)
    runs.stop("nobody")
    assert len(list(runs.sse("nobody", keep_alive=None))) == 1
    del runs
    deadline = time.monotonic() + 5
    while any(thread.name == "rxassist" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        gc.collect()
