"""A thread whose run was left, or still works: what one can wait for, with both clients."""

import asyncio
import pickle
import signal
import threading
import time

import pytest
from reactivex import operators as ops

from rxassist import (
    APITimeoutError,
    AssistantEventHandler,
    AsyncAssistantEventHandler,
    Client,
    PollTimeout,
    ThreadBusyError,
)
from rxassist.events import RunEvent
from rxassist.local import call, insert, refuse, say, stall, wait
from rxassist.wire.sse import ServerSentEvent

LAG = 0.3  # seconds for which a run is cancelling
LONG = 4.0  # seconds; nothing that goes well takes as long, and a close waits for 5
DEADLINE = 1.0  # seconds, in which a service that is busy with other tests has answered
QUESTION = {"role": "user", "content": "And now?"}


def endless(_):
    yield say("word")
    yield wait(600)


def brief(turn):
    yield say(turn.text)
    yield wait(0.1)


def cancels(fault):
    """What cancels a run meets a fault."""
    return lambda asked: fault if asked.path.endswith("/cancel") else None


@pytest.fixture
def slow(serve):
    """A service whose runs go on for ever, and take their time to be cancelled."""
    return serve(endless, cancel_delay=LAG)


@pytest.fixture
def client(slow):
    with Client(base_url=slow.base_url) as client:
        yield client


@pytest.fixture
def place(client):
    return place_of(client)


def place_of(client):
    """Where a run can be, as keyword arguments."""
    assistant = client.assistants.create(model="m").run()
    return {"thread_id": client.threads.create().run().id, "assistant_id": assistant.id}


async def async_place(client):
    assistant = await client.assistants.create(model="m")
    thread = await client.threads.create()
    return {"thread_id": thread.id, "assistant_id": assistant.id}


def begin(client, place, **options):
    """The stream of a run that is cancelled when it is left."""
    return client.threads.runs.stream(**place, on_dispose="cancel", **options)


# --- closing waits -------------------------------------------------------------------------


def test_a_message_is_taken_right_after_a_block_that_was_left(slow, client, place):
    with begin(client, place) as stream:
        for _ in stream.text_deltas:
            break
    message = client.threads.messages.create(place["thread_id"], **QUESTION).run()
    assert message.content[0].text.value == QUESTION["content"]
    assert not slow.active_runs


def test_closing_waits_until_the_run_has_ended(slow, client, place):
    stream = begin(client, place)
    next(iter(stream.text_deltas))
    stream.close()
    assert not slow.active_runs
    began = time.monotonic()
    stream.close()  # there is nothing to wait for any more
    assert time.monotonic() - began < LONG


def test_closing_waits_for_what_the_last_subscriber_has_begun(slow, client, place):
    stream, word = begin(client, place), threading.Event()
    subscription = stream.text_deltas.subscribe(lambda _: word.set())
    assert word.wait(LONG)
    subscription.dispose()
    stream.close()
    assert not slow.active_runs


def test_closing_waits_though_the_run_was_not_told_yet(slow, client, place):
    stream = begin(client, place)
    stream.subscribe(on_error=lambda _: None)
    stream.close()
    assert len(slow.runs) == 1
    assert not slow.active_runs


def test_closing_a_stream_that_leaves_its_run_waits_for_nothing(slow, client, place):
    stream = client.threads.runs.stream(**place)
    next(iter(stream.text_deltas))
    stream.close()
    assert slow.active_runs


def test_an_exception_in_the_block_waits_too(slow, client, place):
    def raise_in_a_block():
        with begin(client, place) as stream:
            for _ in stream:
                raise LookupError("mine")  # noqa: EM101 -- as users write it

    with pytest.raises(LookupError, match="mine"):
        raise_in_a_block()
    assert len(slow.runs) == 1
    assert not slow.active_runs


def test_a_callback_that_raises_leaves_and_closing_waits(slow, client, place, caplog):
    stream, raised = begin(client, place), threading.Event()

    def broken(_):
        raised.set()
        raise ValueError("my own fault")  # noqa: EM101, TRY003 -- as users write it

    stream.text_deltas.subscribe(broken)
    assert raised.wait(LONG)
    stream.close()
    assert not slow.active_runs
    assert "my own fault" in caplog.text


def test_an_async_block_waits(slow, run_async):
    async def main(client):
        place = await async_place(client)
        async with begin(client, place) as stream:
            async for _ in stream.text_deltas:
                break
        assert not slow.active_runs
        await client.threads.messages.create(place["thread_id"], **QUESTION)
        stream = begin(client, place)
        subscription = stream.subscribe()
        await stream.text_deltas.pipe(ops.first())
        subscription.dispose()
        await stream.close()
        assert not slow.active_runs

    run_async(slow, main)
    assert len(slow.runs) == 2


def test_an_async_block_that_is_cancelled_waits(slow, run_async):
    async def main(client):
        place = await async_place(client)

        async def in_a_block():
            async with begin(client, place) as stream:
                await stream.until_done()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(in_a_block(), DEADLINE)
        assert not slow.active_runs

    run_async(slow, main)
    assert len(slow.runs) == 1


# --- within a bound ------------------------------------------------------------------------


@pytest.fixture
def brief_bound(monkeypatch):
    monkeypatch.setattr("rxassist.runs.streams.run_stream._CLOSE_TIMEOUT", LAG)


@pytest.mark.parametrize("fault", [stall(0), None], ids=["no answer", "no end"])
@pytest.mark.usefixtures("brief_bound")
def test_a_service_that_does_not_answer_hangs_no_close(serve, fault):
    service = serve(endless, cancel_delay=600, faults=fault and cancels(fault))
    with Client(base_url=service.base_url) as client:
        stream = begin(client, place_of(client))
        next(iter(stream.text_deltas))
        began = time.monotonic()
        stream.close()
        assert LAG <= time.monotonic() - began < LONG
        assert service.active_runs


@pytest.mark.usefixtures("brief_bound")
def test_a_service_that_does_not_answer_hangs_no_async_close(serve, run_async):
    service = serve(endless, cancel_delay=600)

    async def main(client):
        async with begin(client, await async_place(client)) as stream:
            async for _ in stream:
                break
            began = time.monotonic()
        assert LAG <= time.monotonic() - began < LONG

    run_async(service, main)
    assert service.active_runs


def test_a_creation_that_is_never_answered_hangs_no_close(serve, brief_bound):
    service = serve(endless, faults=_stalls_runs)
    with Client(base_url=service.base_url) as client:
        stream = begin(client, place_of(client))
        stream.subscribe(on_error=lambda _: None)
        service.wait_for(lambda: service.open_streams)
        began = time.monotonic()
        stream.close()
        assert LAG <= time.monotonic() - began < LONG


@pytest.mark.usefixtures("brief_bound")
def test_a_callback_that_waits_for_who_closes_hangs_no_close(slow, client, place):
    word, taken = threading.Event(), threading.Event()

    def hand_over(_):  # as into a queue that is full
        word.set()
        taken.wait(2 * LONG)

    stream = begin(client, place)
    stream.text_deltas.subscribe(hand_over, lambda _: None)
    assert word.wait(LONG)
    began = time.monotonic()
    stream.close()
    assert time.monotonic() - began < LONG
    taken.set()
    slow.wait_for(lambda: not slow.active_runs)


def test_what_a_stream_tells_of_another_run_cancels_ours(serve):
    other = '{"id": "run_other", "thread_id": "thread_other", "status": "in_progress"}'
    told = insert(ServerSentEvent("thread.run.in_progress", other), at=3)
    service = serve(endless, faults=lambda asked: told if asked.path.endswith("/runs") else None)
    with Client(base_url=service.base_url) as client:
        stream = begin(client, place_of(client))
        next(iter(stream.text_deltas))
        assert "run_other" in [event.data.id for event in list_of(stream)]
        stream.close()
        assert not service.active_runs


def list_of(stream):
    """The run events that a stream has told so far."""
    return [event for event in stream._log.items if isinstance(event, RunEvent)]


def test_a_cancellation_that_is_refused_is_waited_for_no_longer(serve, caplog):
    service = serve(endless, faults=cancels(refuse(403)))
    with Client(base_url=service.base_url) as client:
        stream = begin(client, place_of(client))
        next(iter(stream.text_deltas))
        began = time.monotonic()
        with caplog.at_level("INFO", "rxassist"):
            stream.close()
        assert time.monotonic() - began < LONG
        assert f"run {service.runs[0]} could not be cancelled" in caplog.text


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_ends_the_wait_of_a_close(serve):
    main, asked = threading.main_thread().ident, []

    def interrupts(told):
        if told.path.endswith("/cancel"):
            asked.append(told)
            signal.pthread_kill(main, signal.SIGINT)

    service = serve(endless, cancel_delay=LAG, faults=interrupts)
    with Client(base_url=service.base_url) as client:
        stream = begin(client, place_of(client))
        next(iter(stream.text_deltas))
        with pytest.raises(KeyboardInterrupt):
            stream.close()
        assert asked
        service.wait_for(lambda: not service.active_runs)  # it goes on in the background


def test_a_client_that_is_closed_ends_the_wait_of_a_close(serve):
    service = serve(endless, cancel_delay=600)
    client = Client(base_url=service.base_url)
    stream = begin(client, place_of(client))
    next(iter(stream.text_deltas))
    closing = threading.Thread(target=stream.close)
    closing.start()
    service.wait_for(lambda: any(path.endswith("/cancel") for _, path in service.requests))
    client_closing = threading.Thread(target=client.close)
    client_closing.start()
    closing.join(LONG)
    assert not closing.is_alive()
    service.close()  # so that the client has nothing to wait for
    client_closing.join()


# --- where a close cannot wait -------------------------------------------------------------


def test_closing_in_a_callback_does_not_wait(slow, client, place):
    stream, took = begin(client, place), []
    ended = threading.Event()

    def close(_):
        began = time.monotonic()
        stream.close()
        took.append(time.monotonic() - began)

    stream.text_deltas.subscribe(close, lambda _: ended.set())
    assert ended.wait(LONG)
    slow.wait_for(lambda: not slow.active_runs)
    assert took[0] < LONG


def test_closing_in_an_event_handler_does_not_wait(slow, client, place):
    told = []

    class Closes(AssistantEventHandler):
        def on_text_delta(self, delta, snapshot):
            stream.close()
            told.append(delta.value)

        def on_end(self):
            told.append("end")

    stream = begin(client, place, event_handler=Closes())
    stream.subscribe(on_error=lambda _: None)
    slow.wait_for(lambda: slow.runs and not slow.active_runs)
    stream.close()
    assert told == ["word", "end"]


def test_closing_in_an_async_event_handler_does_not_wait(slow, run_async):
    async def main(client):
        ended = asyncio.Event()

        class Closes(AsyncAssistantEventHandler):
            async def on_text_delta(self, delta, snapshot):
                await stream.close()

            async def on_end(self):
                ended.set()

        stream = begin(client, await async_place(client), event_handler=Closes())
        stream.subscribe(on_error=lambda _: None)
        await asyncio.wait_for(ended.wait(), LONG)
        await stream.close()
        assert not slow.active_runs

    run_async(slow, main)


def test_closing_in_an_async_callback_waits(slow, run_async):
    async def main(client):
        closed = asyncio.Event()

        async def close(_):
            await stream.close()
            assert not slow.active_runs
            closed.set()

        stream = begin(client, await async_place(client))
        stream.text_deltas.subscribe_async(close, lambda _: None)
        await asyncio.wait_for(closed.wait(), LONG)

    run_async(slow, main)


def test_closing_in_a_tool_waits(serve):
    left, active = threading.Event(), []

    def leave() -> str:
        """Enough."""
        stream.close()
        active.append(service.active_runs)
        left.set()
        return "left"

    service = serve(lambda _: [call("leave")], cancel_delay=LAG)
    with Client(base_url=service.base_url) as client:
        stream = begin(client, place_of(client), tools=[leave])
        stream.subscribe(on_error=lambda _: None)
        assert left.wait(LONG)
    assert active == [frozenset()]


def test_closing_in_an_async_tool_is_cancelled_with_it(serve, run_async):
    async def leave() -> str:
        """Enough."""
        try:
            await stream.close()
        finally:
            left.set()
        return "left"

    async def main(client):
        nonlocal stream, left
        left = asyncio.Event()
        stream = begin(client, await async_place(client), tools=[leave])
        stream.subscribe(on_error=lambda _: None)
        await asyncio.wait_for(left.wait(), LONG)
        await stream.close()
        assert not service.active_runs

    stream = left = None
    service = serve(lambda _: [call("leave")], cancel_delay=LAG)
    run_async(service, main)


# --- messages wait -------------------------------------------------------------------------


def test_a_message_waits_for_what_a_dispose_has_begun(slow, client, place):
    word = threading.Event()
    subscription = begin(client, place).text_deltas.subscribe(lambda _: word.set())
    assert word.wait(LONG)
    subscription.dispose()
    create = client.threads.messages.create
    message = create(place["thread_id"], **QUESTION, if_busy="wait").run()
    assert message.thread_id == place["thread_id"]
    assert not slow.active_runs


def test_a_run_waits_for_what_a_dispose_has_begun(slow, client, place):
    next(iter(begin(client, place).text_deltas))
    run = client.threads.runs.create(**place, if_busy="wait").run()
    assert slow.runs[1:] == [run.id]
    assert slow.active_runs == {run.id}


def test_messages_and_runs_wait_on_an_async_client(slow, run_async):
    async def main(client):
        place = await async_place(client)
        await begin(client, place).text_deltas.pipe(ops.first())
        create = client.threads.messages.create
        with pytest.raises(ThreadBusyError) as busy:
            await create(place["thread_id"], **QUESTION)
        assert busy.value.run_id == slow.runs[0]
        await create(place["thread_id"], **QUESTION, if_busy="wait")
        await begin(client, place).text_deltas.pipe(ops.first())
        await client.threads.runs.create(**place, if_busy="wait")

    run_async(slow, main)
    assert len(slow.runs) == 3


def test_a_message_cancels_what_is_in_its_way(slow, client, place):
    run = client.threads.runs.create(**place).run()
    message = client.threads.messages.create(place["thread_id"], **QUESTION, if_busy="cancel")
    assert message.run().role == "user"
    ended = client.threads.runs.retrieve(run.id, thread_id=place["thread_id"]).run()
    assert ended.status == "cancelled"


def test_messages_and_runs_that_wait_come_in_the_order_in_which_they_were_asked_for(serve):
    service = serve(brief)
    with Client(base_url=service.base_url) as client:
        place = place_of(client)
        threads, thread_id = client.threads, place["thread_id"]
        streams, told = [], threading.Semaphore(0)
        for number in range(3):
            asked = {"role": "user", "content": f"question {number}"}
            threads.messages.create(thread_id, **asked, if_busy="wait").subscribe()
            streams.append(threads.runs.stream(**place, if_busy="wait"))
            streams[-1].text_deltas.subscribe(on_completed=told.release)
        assert all(told.acquire(timeout=LONG) for _ in streams)
        texts = ["".join(stream.text_deltas) for stream in streams]
    assert texts == [f"question {number}" for number in range(3)]


def test_a_message_that_waits_is_created_once(client, place):
    message = client.threads.messages.create(place["thread_id"], **QUESTION, if_busy="wait")
    assert message.run().id == message.run().id
    assert len(client.threads.messages.list(place["thread_id"]).to_list().run()) == 1


@pytest.mark.parametrize("if_busy", ["now", None])
def test_what_to_do_on_a_busy_thread_is_one_of_three(client, place, if_busy):
    with pytest.raises(ValueError, match='if_busy must be "fail", "wait" or "cancel"'):
        client.threads.messages.create(place["thread_id"], **QUESTION, if_busy=if_busy)


def test_what_waits_carries_the_headers_of_its_call(serve):
    seen = []

    def faults(asked):
        seen.append((asked.path.rpartition("/")[2], asked.headers.get("x-tenant")))

    service = serve(endless, faults=faults)
    with Client(base_url=service.base_url) as client:
        place = place_of(client)
        client.threads.runs.create(**place).run()
        headers = {"x-tenant": "t1"}
        client.threads.messages.create(
            place["thread_id"], **QUESTION, if_busy="cancel", extra_headers=headers
        ).run()
        with begin(client, place, extra_headers=headers) as stream:
            next(iter(stream.text_deltas))
    asked = [each for each in seen if each[0].startswith("run_") or each[0] == "cancel"]
    assert len(asked) >= 4
    assert {tenant for _, tenant in asked} == {"t1"}


# --- a deadline that ends while it waits ---------------------------------------------------


def followed(client, place, kind, **options):
    """A run as a stream or as a poll."""
    runs, place = client.threads.runs, dict(place)
    if kind == "stream":
        return runs.stream(**place, **options)
    return runs.create_and_poll(place.pop("thread_id"), **place, **options)


LATE = {"stream": APITimeoutError, "poll": PollTimeout}


@pytest.mark.parametrize("kind", LATE)
@pytest.mark.parametrize("if_busy", ["wait", "cancel"])
def test_a_deadline_says_that_a_run_never_began_and_which_one_is_in_its_way(serve, kind, if_busy):
    service = serve(endless, cancel_delay=600)
    with Client(base_url=service.base_url) as client:
        place = place_of(client)
        run = client.threads.runs.create(**place).run()
        waiting = followed(client, place, kind, if_busy=if_busy, deadline=DEADLINE)
        with pytest.raises(LATE[kind], match=rf"never began: run {run.id} is in") as late:
            waiting.run()
        error = late.value
        assert (error.run_id, error.thread_id) == (None, place["thread_id"])
        assert isinstance(error.__cause__, ThreadBusyError)
        assert (error.__cause__.run_id, service.runs) == (run.id, [run.id])
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("kind", LATE)
def test_a_deadline_says_that_others_came_first(serve, kind):
    service = serve(endless, cancel_delay=600)
    with Client(base_url=service.base_url) as client:
        place = place_of(client)
        run = client.threads.runs.create(**place).run()
        first = followed(client, place, kind, if_busy="wait")
        subscription = first.subscribe(on_error=lambda _: None)
        second = followed(client, place, kind, if_busy="wait", deadline=DEADLINE)
        with pytest.raises(LATE[kind], match=f"the run never began: run {run.id} is in its way"):
            second.run()
        subscription.dispose()


def test_a_deadline_behind_a_creation_that_is_not_answered_says_that_others_came_first(serve):
    service = serve(endless, faults=_stalls_runs)
    with Client(base_url=service.base_url) as client:
        place = place_of(client)
        first = client.threads.runs.stream(**place, if_busy="wait")
        first.subscribe(on_error=lambda _: None)
        for kind, error in LATE.items():
            second = followed(client, place, kind, if_busy="wait", deadline=DEADLINE)
            with pytest.raises(error, match="the run never began: others of this client came fir"):
                second.run()
        first.close()


def _stalls_runs(asked):
    return stall(0) if asked.path.endswith("/runs") else None


@pytest.mark.parametrize("kind", LATE)
def test_a_deadline_of_a_run_that_may_have_begun_does_not_say_that_it_has_not(serve, kind):
    service = serve(endless, faults=_stalls_runs)
    with Client(base_url=service.base_url) as client:
        place = place_of(client)
        with pytest.raises(LATE[kind]) as late:
            followed(client, place, kind, if_busy="wait", deadline=DEADLINE).run()
        assert "never began" not in str(late.value)
        assert late.value.thread_id == place["thread_id"]


def test_a_deadline_on_an_async_client_says_which_run_is_in_the_way(slow, run_async):
    async def main(client):
        place = await async_place(client)
        run = await client.threads.runs.create(**place)
        for kind, error in LATE.items():
            with pytest.raises(error, match=f"never began: run {run.id} is in its way"):
                await followed(client, place, kind, if_busy="wait", deadline=DEADLINE)

    run_async(slow, main)
    assert len(slow.runs) == 1


# --- a deadline while tools are called -----------------------------------------------------


def test_a_stream_that_is_too_late_while_its_tools_work_cancels_the_run(serve):
    release = threading.Event()

    def hang() -> str:
        """Take too long."""
        release.wait(LONG)
        return "late"

    service = serve(lambda _: [call("hang")], cancel_delay=LAG)
    with Client(base_url=service.base_url) as client:
        place = place_of(client)
        stream = client.threads.runs.stream(**place, tools=[hang], deadline=DEADLINE)
        with pytest.raises(APITimeoutError, match="no end within the deadline"):
            stream.until_done()
        stream.close()
        assert not service.active_runs
        release.set()


def test_a_stream_that_is_too_late_while_its_run_works_leaves_it(serve):
    service = serve(endless)
    with Client(base_url=service.base_url) as client:
        stream = client.threads.runs.stream(**place_of(client), tools=[print_it], deadline=DEADLINE)
        with pytest.raises(APITimeoutError):
            stream.until_done()
        stream.close()
        client.threads.retrieve(stream.current_run.thread_id).run()  # time goes by
        assert service.active_runs
        assert not any(path.endswith("/cancel") for _, path in service.requests)


def print_it() -> str:
    """Print something."""
    return "printed"
