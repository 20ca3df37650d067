"""Whoever waits gets what is raised, wherever that is, and nothing is left open."""

import asyncio
import threading
from concurrent.futures import Future
from functools import partial

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from rxassist import (
    AssistantEventHandler,
    AsyncAssistantEventHandler,
    AsyncClient,
    Client,
    StreamClosed,
    iterate,
    map_async,
    merge_runs,
    operators,
    poll_many,
)
from rxassist.local import call, say, wait
from rxassist.reactive.kernel import choose

WAIT = 10  # seconds after which something hangs

RAISED = {
    "SystemExit": lambda: SystemExit("mine"),
    "KeyboardInterrupt": lambda: KeyboardInterrupt("mine"),
    "GeneratorExit": lambda: GeneratorExit("mine"),
    "CancelledError": lambda: asyncio.CancelledError("mine"),
    "a group": lambda: BaseExceptionGroup("mine", [SystemExit(1), ValueError(2)]),
    "ValueError": lambda: ValueError("mine"),
}


def outcome_of(function):
    """What a function returns or raises, in a thread, so that one that hangs fails the test."""
    outcome = Future()

    def work():
        try:
            value = function()
        except BaseException as error:  # noqa: BLE001 -- it is what is tested
            outcome.set_exception(error)
        else:
            outcome.set_result(value)

    threading.Thread(target=work, daemon=True).start()
    return outcome


def within(function):
    return outcome_of(function).result(WAIT)


def raised_by(function):
    return outcome_of(function).exception(WAIT)


def by_hand(make):
    """An operator as RxPY's guide writes them, whose callbacks raise."""

    def operator(source):
        def subscribe(observer, scheduler=None):
            on_next, on_completed = make(observer)
            return source.subscribe(on_next, observer.on_error, on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return operator


def piping(place, boom):
    """An operator that raises what ``boom`` raises."""

    async def booming(_):
        boom()

    return {
        "map": ops.map(lambda _: boom()),
        "choose": choose(lambda _: boom()),
        "filter": ops.filter(lambda _: boom()),
        "scan": ops.scan(lambda _, __: boom()),
        "flat_map": ops.flat_map(lambda _: boom()),
        "do_action": ops.do_action(lambda _: boom()),
        "map_async": map_async(booming),
        "a defer factory": ops.flat_map(lambda _: rx.defer(lambda _: boom())),
        "after a delay": lambda source: source.pipe(ops.delay(0.01), ops.map(lambda _: boom())),
        "by hand": by_hand(lambda observer: (lambda _: boom(), observer.on_completed)),
        "by hand, at the end": by_hand(lambda observer: (observer.on_next, boom)),
    }[place]


PLACES = [
    "map",
    "choose",
    "filter",
    "scan",
    "flat_map",
    "do_action",
    "map_async",
    "a defer factory",
    "after a delay",
    "by hand",
    "by hand, at the end",
]


@pytest.fixture
def words(serve):
    """A service whose runs say two words, and go on for ever where they are told to ``wait``."""

    def script(turn):
        yield say("one ", "two ")
        if turn.run.instructions == "wait":
            yield wait(600)

    return serve(script)


def started(client, assistant, place, **options):
    """A stream that would go on for ever, unless its end is what is waited for."""
    instructions = "end" if place == "by hand, at the end" else "wait"
    return client.threads.create_and_run_stream(
        assistant_id=assistant.id, instructions=instructions, **options
    )


def raiser(kind):
    error = RAISED[kind]()

    def boom(*_):
        raise error

    return error, boom


WAITS = {
    "run": lambda source: source.run(),
    "for": list,
    "iterate": lambda source: list(iterate(source)),
    "RxPY's run": lambda source: rx.merge(source).run(),
    "merged": lambda source: rx.merge(source, rx.never()).pipe(ops.take(99)).run(),
}


def assert_got(raised, error, place):
    """The very exception, but where the task of a coroutine was cancelled."""
    if place == "map_async" and isinstance(error, asyncio.CancelledError):
        assert isinstance(raised, StreamClosed)
    else:
        assert raised is error


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("waits", WAITS)
def test_code_that_blocks_gets_what_an_operator_raises(words, place, waits):
    with Client(base_url=words.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        for kind in RAISED:
            error, boom = raiser(kind)
            source = started(client, assistant, place).text_deltas.pipe(piping(place, boom))
            raised = raised_by(partial(WAITS[waits], source))
            assert_got(raised, error, place)
        words.wait_for(lambda: words.open_streams == 0)


async def listed(source):
    return [item async for item in source]


async def awaited(source):
    return await source


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("wait_for", [listed, awaited])
def test_code_that_awaits_gets_what_an_operator_raises(words, place, wait_for):
    caught = []

    async def main(boom):
        async with asyncio.timeout(WAIT), AsyncClient(base_url=words.base_url) as client:
            assistant = await client.assistants.create(model="m")
            source = started(client, assistant, place).text_deltas.pipe(piping(place, boom))
            try:
                await wait_for(source)
            except BaseException as raised:  # noqa: BLE001 -- it is what is tested
                caught.append(raised)

    for kind in RAISED:
        error, boom = raiser(kind)
        within(lambda boom=boom: asyncio.run(main(boom)))
        assert_got(caught.pop(), error, place)
    words.wait_for(lambda: words.open_streams == 0)


# --- below a stream ------------------------------------------------------------------------


def handler_that(boom, base=AssistantEventHandler):
    class Raises(base):
        ends = 0

        if base is AssistantEventHandler:

            def on_text_delta(self, delta, snapshot):
                boom()

            def on_end(self):
                self.ends += 1

        else:

            async def on_text_delta(self, delta, snapshot):
                boom()

            async def on_end(self):
                self.ends += 1

    return Raises()


@pytest.mark.parametrize("kind", RAISED)
def test_what_a_handler_raises_is_got_by_all_who_wait(words, kind):
    error, boom = raiser(kind)
    handler, told = handler_that(boom), []
    with Client(base_url=words.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        with started(client, assistant, "a handler", event_handler=handler) as stream:
            stream.subscribe(on_error=told.append)
            for function in (stream.until_done, lambda: list(stream.text_deltas)):
                raised = raised_by(function)
                if raised is not error:  # it came after the end
                    assert raised.__cause__ is error
    assert handler.ends == 1
    assert len(told) == 1
    assert told[0] is error or (isinstance(told[0], StreamClosed) and told[0].__cause__ is error)


@pytest.mark.parametrize("kind", RAISED)
def test_what_an_asynchronous_handler_raises_is_got_by_who_waits(words, kind):
    error, boom = raiser(kind)
    handler, caught = handler_that(boom, AsyncAssistantEventHandler), []

    async def main():
        async with asyncio.timeout(WAIT), AsyncClient(base_url=words.base_url) as client:
            assistant = await client.assistants.create(model="m")
            async with started(client, assistant, "", event_handler=handler) as stream:
                try:
                    await stream.until_done()
                except BaseException as raised:  # noqa: BLE001 -- it is what is tested
                    caught.append(raised)

    within(lambda: asyncio.run(main()))
    assert caught[0] is error or kind == "CancelledError"
    assert isinstance(caught[0], StreamClosed) or caught[0] is error
    assert handler.ends == 1
    words.wait_for(lambda: words.open_streams == 0)


def tool_that(boom, *, is_async):
    if is_async:

        async def look() -> str:
            """Look."""
            boom()

    else:

        def look() -> str:
            """Look."""
            boom()

    return look


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("kind", RAISED)
def test_a_tool_that_ends_the_program_ends_the_wait(serve, kind, is_async):
    def script(_):
        yield call("look", {})
        yield say("went on")

    service = serve(script)
    error, boom = raiser(kind)
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, tools=[tool_that(boom, is_async=is_async)]
        )
        if kind in {"ValueError", "CancelledError"}:  # of the tool: the model is told
            assert "".join(within(lambda: list(stream.text_deltas))) == "went on"
            return
        raised = raised_by(lambda: list(stream.text_deltas))
        assert raised is error
        service.wait_for(lambda: service.open_streams == 0)


@pytest.mark.parametrize("kind", sorted(set(RAISED) - {"ValueError", "CancelledError"}))
def test_a_subscriber_is_told_that_its_stream_was_closed(serve, kind, caplog):
    """Nobody waits: the exception is reported once, and what was told is an error."""

    def script(_):
        yield call("look", {})

    service = serve(script)
    error, boom = raiser(kind)
    told, ended = [], threading.Event()

    def on_error(closed):
        told.append(closed)
        ended.set()

    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, tools=[tool_that(boom, is_async=True)]
        )
        stream.subscribe(on_error=on_error)
        assert ended.wait(WAIT)
    assert isinstance(told[0], StreamClosed)
    assert told[0].__cause__ is error
    assert type(error).__name__ in str(told[0])
    assert len([record for record in caplog.records if record.exc_info]) == 1


@pytest.mark.parametrize("kind", RAISED)
def test_merged_runs_raise_what_an_operator_raises(words, kind):
    error, boom = raiser(kind)
    with Client(base_url=words.base_url) as client:
        assistant = client.assistants.create(model="m").run()

        def merged():
            streams = [started(client, assistant, "") for _ in range(3)]
            return merge_runs(streams).pipe(ops.do_action(boom))

        for wait_for in (lambda: merged().run(), lambda: list(merged())):
            raised = raised_by(wait_for)
            assert raised is error
        words.wait_for(lambda: words.open_streams == 0)


@pytest.mark.parametrize("kind", sorted(set(RAISED) - {"ValueError"}))
def test_merged_runs_free_the_others_where_one_cannot_be_made(words, kind):
    error, boom = raiser(kind)
    with Client(base_url=words.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        streams = [started(client, assistant, ""), rx.defer(boom)]
        raised = raised_by(merge_runs(streams).run)
        assert raised is error
        words.wait_for(lambda: words.open_streams == 0)


def test_merged_runs_are_iterable(words):
    with Client(base_url=words.base_url) as client:
        assistant = client.assistants.create(model="m").run()

        def merged():
            return merge_runs({n: started(client, assistant, PLACES[-1]) for n in range(2)})

        events = within(lambda: list(merged()))
        assert {event.key for event in events} == {0, 1}
        assert sum(event.summary is not None for event in events) == 2
        texts = within(lambda: list(merged().pipe(operators.of_run(1), operators.text_deltas())))
        assert texts == ["one ", "two "]


def test_merged_runs_are_awaited_and_iterated(words, run_async):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        streams = [started(client, assistant, PLACES[-1]) for _ in range(2)]
        assert (await merge_runs(streams)).summary is not None
        assert len([event async for event in merge_runs(streams)]) > 20

    run_async(words, main)


# --- other threads -------------------------------------------------------------------------


def slowly(item):
    done = threading.Event()
    threading.Timer(0.01, done.set).start()
    assert done.wait(WAIT)
    return item


ELSEWHERE = {
    "rx.start": lambda: ops.flat_map(lambda x: rx.start(lambda: slowly(x))),
    "observe_on": lambda: ops.observe_on(rx.scheduler.NewThreadScheduler()),
    "delay": lambda: ops.delay(0.01, rx.scheduler.TimeoutScheduler()),
}


@pytest.mark.parametrize("how", ELSEWHERE)
def test_await_takes_what_another_thread_ends(words, run_async, how):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = started(client, assistant, PLACES[-1])
        async with asyncio.timeout(WAIT):
            heard = await stream.text_deltas.pipe(ELSEWHERE[how](), ops.to_list())
        assert sorted(heard) == ["one ", "two "]  # threads keep no order
        with pytest.raises(LookupError):
            async with asyncio.timeout(WAIT):
                await stream.text_deltas.pipe(
                    ELSEWHERE[how](), ops.concat(rx.throw(LookupError("mine")))
                )

    run_async(words, main)


# --- a client that closes ------------------------------------------------------------------


TIMERS = {
    "timer": lambda: ops.catch(lambda _, __: rx.timer(60.0)),
    "delay": lambda: ops.catch(lambda _, __: rx.of("x").pipe(ops.delay(60.0))),
    "interval": lambda: ops.catch(lambda _, __: rx.interval(60.0)),
    "never": lambda: ops.catch(lambda _, __: rx.never()),
}


@pytest.mark.parametrize("how", TIMERS)
def test_closing_ends_a_wait_for_a_timer_of_the_loop(words, how):
    client = Client(base_url=words.base_url)
    assistant = client.assistants.create(model="m").run()
    heard = threading.Event()
    words_of = started(client, assistant, "").text_deltas
    source = words_of.pipe(ops.do_action(lambda _: heard.set()), TIMERS[how]())
    ended = outcome_of(source.run)
    assert heard.wait(WAIT)
    within(client.close)
    assert isinstance(ended.exception(WAIT), StreamClosed)


# --- blocking calls ------------------------------------------------------------------------


def test_a_second_call_in_a_plain_pipeline_is_no_blocking_call(client):
    def create(_):
        return client.threads.create()

    def retrieve(thread):
        return client.threads.retrieve(thread.id)

    pipeline = rx.of(1).pipe(ops.flat_map(create), ops.flat_map(retrieve))
    assert within(pipeline.run).id.startswith("thread_")
    got, ended = [], threading.Event()
    pool = rx.scheduler.ThreadPoolScheduler(2)
    pipeline.subscribe(got.append, on_completed=ended.set, scheduler=pool)
    assert ended.wait(WAIT)
    assert len(got) == 1
    pool.executor.shutdown()


# --- subscribers without on_error ----------------------------------------------------------


def test_a_subscriber_without_on_error_is_one_line_when_its_client_closes(words, caplog):
    heard = threading.Event()
    with Client(base_url=words.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        started(client, assistant, "").text_deltas.subscribe(lambda _: heard.set())
        assert heard.wait(WAIT)
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert record.exc_info is None
    assert "on_error" in record.getMessage()


def test_what_is_polled_and_what_is_added_is_iterable():
    def polled():
        return poll_many(rx.of, [1, 2], until=lambda _: True, interval=0.01)

    assert within(lambda: sorted(event.state for event in polled())) == [1, 2]
    assert within(lambda: sorted(event.state for event in polled() + polled())) == [1, 1, 2, 2]
    assert within(polled().run).state in {1, 2}
