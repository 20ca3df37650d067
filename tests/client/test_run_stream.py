"""A run is one thing, whoever looks at it and however it ends."""

import gc
import operator
import signal
import threading

import pytest
import reactivex as rx
from attrs import evolve
from reactivex import operators as ops

from rxassist import (
    APIError,
    BlockingCallError,
    Client,
    ClientClosed,
    RunFailed,
    RunOutcomeUnknown,
    StreamClosed,
    StreamTruncated,
    operators,
)
from rxassist.events import (
    DoneEvent,
    ErrorEvent,
    ThreadCreated,
    ThreadMessageDelta,
    ThreadRunCompleted,
    ThreadRunCreated,
    ThreadRunInProgress,
)
from rxassist.local import call, code, fail, incomplete, say
from rxassist.local.faults import edited
from rxassist.models import ErrorObject, Run, Thread
from rxassist.protocols.assistants.codec import encode_event
from rxassist.wire.sse import encode

CREATED = ("POST", "/runs")


def created(service):
    return sum(path.endswith("/runs") for method, path in service.requests if method == "POST")


@pytest.fixture
def endless(forever):
    """A client of ``forever``."""
    with Client(base_url=forever.base_url) as client:
        yield client


@pytest.fixture
def begin(endless):
    """Make a stream of a run that goes on for ever."""
    assistant = endless.assistants.create(model="m").run()
    return lambda **options: endless.threads.create_and_run_stream(
        assistant_id=assistant.id, **options
    )


# --- one run, many views -------------------------------------------------------------------


def test_nothing_happens_before_the_first_subscription(service, client, place):
    with client.threads.runs.stream(**place) as stream:
        views = stream.text_deltas, stream.snapshots, stream.pipe(operators.runs())
        assert len(views) == 3
    assert created(service) == 0


def test_views_are_views_of_one_run(service, client, place, numbers):
    stream = client.threads.runs.stream(**place)
    whole = threading.Event()
    early = []
    stream.text_deltas.subscribe(early.append, on_completed=whole.set)
    assert "".join(stream.text_deltas) == numbers
    assert stream.snapshots.run().text == numbers
    assert [message.status for message in stream.messages] == ["completed"]
    assert [step.status for step in stream.run_steps] == ["completed"]
    assert whole.wait(5)
    assert "".join(early) == numbers
    assert created(service) == 1


def test_views_that_go_side_by_side_are_told_of_the_same_snapshots(client, place, numbers):
    stream = client.threads.runs.stream(**place)
    seen = {"first": [], "second": []}
    begun = threading.Event()

    def subscribe(_):  # on the loop: no event comes in between
        stream.tool_calls.subscribe()
        for kept in seen.values():
            stream.snapshots.subscribe(kept.append)
        begun.set()

    client.threads.retrieve(place["thread_id"]).subscribe(subscribe)
    assert begun.wait(5)
    stream.until_done()
    assert len(seen["first"]) == len(seen["second"]) > len(numbers.split())
    assert all(map(operator.is_, *seen.values()))
    late = list(stream.snapshots)
    assert late[-1] is not seen["first"][-1]
    assert [each.text for each in late] == [each.text for each in seen["first"]]
    assert late[-1].text == numbers


def test_a_late_subscriber_begins_at_the_beginning(client, place):
    stream = client.threads.runs.stream(**place)
    stream.until_done()
    events = list(stream)
    assert events[0].event == "thread.run.created"
    assert events[-1].event == "done"
    assert events == list(stream)


def test_another_call_is_another_run(service, client, place):
    assert len({client.threads.runs.stream(**place).get_final_run().id for _ in range(3)}) == 3
    assert created(service) == 3


def test_without_replay_late_subscribers_get_what_is_kept_and_the_finals_are_known(
    client, place, numbers
):
    stream = client.threads.runs.stream(**place, replay=False)
    assert "".join(stream.text_deltas) == numbers
    assert list(stream) == []
    assert stream.get_final_messages()[0].content[0].text.value == numbers
    assert stream.current_event == DoneEvent()


def test_finals(client, place, numbers):
    stream = client.threads.runs.stream(**place)
    run = stream.get_final_run()
    assert run.status == "completed"
    assert run.usage is not None
    (message,) = stream.get_final_messages()
    assert message.content[0].text.value == numbers
    (step,) = stream.get_final_run_steps()
    assert step.status == "completed"
    assert step.usage is not None


def test_the_final_text_is_what_the_deltas_say(serve, run_async):
    def script(_):
        yield say("Let me look.")
        yield say("It is foggy.")

    service = serve(script)
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run().id
        stream = client.threads.create_and_run_stream(assistant_id=assistant)
        assert stream.get_final_text() == "".join(stream.text_deltas) == "Let me look.It is foggy."
        assert stream.get_final_text(separator="\n") == "Let me look.\nIt is foggy."

    async def main(client):
        stream = client.threads.create_and_run_stream(assistant_id=assistant)
        return await stream.get_final_text(" ")

    assert run_async(service, main) == "Let me look. It is foggy."


def test_where_the_stream_stands(client, place):
    stream = client.threads.runs.stream(**place)
    assert stream.current_event is None
    assert stream.current_run is None
    for event in stream:
        assert stream.current_event is event
        if isinstance(event, ThreadMessageDelta):
            text = stream.current_message_snapshot.content[0].text.value
            assert text.endswith(event.data.delta.content[0].text.value)
    assert stream.current_run.status == "completed"
    assert stream.current_run_step_snapshot.status == "completed"


def test_where_the_stream_stands_inside_a_callback(client, place):
    stream = client.threads.runs.stream(**place)
    stood = []
    stream.pipe(ops.do_action(lambda event: stood.append((event, stream.current_event)))).run()
    assert stood
    assert all(event is current for event, current in stood)


def test_tool_calls_and_their_outputs(serve):
    def script(_):
        yield code("print(1)", logs="1\n")
        outputs = yield [call("add", {"a": 1}), call("add", {"a": 2})]
        yield say(" and ".join(outputs))

    service = serve(script)
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        calls = list(stream.tool_calls)
        assert [c.type for c in calls] == ["code_interpreter", "function", "function"]
        assert [c.function.arguments for c in calls[1:]] == ['{"a":1}', '{"a":2}']
        run = stream.get_final_run()
        assert run.status == "requires_action"
        submitted = client.threads.runs.submit_tool_outputs_stream(
            thread_id=run.thread_id,
            run_id=run.id,
            tool_outputs=[{"tool_call_id": c.id, "output": f"out {c.id}"} for c in calls[1:]],
        )
        expected = " and ".join(f"out {c.id}" for c in calls[1:])
        assert "".join(submitted.text_deltas) == expected
        assert [c.function.output for c in submitted.tool_calls] == expected.split(" and ")


# --- endings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("move", "status"),
    [(fail("server_error", "broke"), "failed"), (incomplete("max_tokens"), "incomplete")],
    ids=["failed", "incomplete"],
)
def test_a_failed_run_is_data_and_raising_is_opt_in(serve, move, status):
    service = serve(lambda _: [say("so far"), move])
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        assert stream.get_final_run().status == status
        with pytest.raises(RunFailed, match=status) as caught:
            stream.pipe(operators.raise_for_status()).run()
        assert caught.value.run.status == status
        assert caught.value.snapshot.text == "so far"


def test_a_run_that_failed_without_a_message_says_so(serve):
    service = serve(lambda _: [fail("server_error", "it broke")])
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        for final in (stream.get_final_messages, stream.get_final_run_steps):
            with pytest.raises(RuntimeError, match=r"run_\w+ ended as 'failed' .*it broke"):
                final()
        polling = client.threads.create_and_run_poll(assistant_id=assistant.id)
        with pytest.raises(RunFailed, match="it broke"):
            polling.pipe(operators.raise_for_status()).run()


def body(*events):
    return b"".join(encode(encode_event(event)) for event in events)


RUN = Run("run_1", thread_id="thread_1", status="in_progress")
BEGUN = (ThreadRunCreated(RUN), ThreadRunInProgress(RUN))
ENDED = evolve(RUN, status="completed")
OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


def test_an_error_event_is_an_error_with_the_snapshot(raw):
    said = ErrorObject("it broke", type="server_error", code="7")
    server = raw(OK + body(*BEGUN, ErrorEvent(said), DoneEvent()))
    with Client(base_url=server.url) as client:
        stream = client.threads.runs.stream(thread_id="t", assistant_id="a")
        with pytest.raises(APIError, match="it broke") as caught:
            stream.until_done()
        assert (caught.value.type, caught.value.code) == ("server_error", "7")
        assert caught.value.snapshot.run == RUN
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "said",
    [b"event: error\ndata: it broke\n\n", b'data: {"error": {"message": "it broke"}}\n\n'],
    ids=["text", "unnamed"],
)
def test_an_error_event_in_other_shapes(raw, said):
    with Client(base_url=raw(OK + body(*BEGUN) + said).url) as client:
        stream = client.threads.runs.stream(thread_id="t", assistant_id="a")
        with pytest.raises(APIError, match="it broke") as caught:
            stream.until_done()
        assert caught.value.snapshot.run == RUN


@pytest.mark.parametrize("said", [b"<html>a page</html>", b'{"id": "run_1"}'], ids=["html", "json"])
def test_an_answer_that_is_no_stream_says_so(raw, said):
    with Client(base_url=raw(OK.replace(b"text/event-stream", b"text/x") + said).url) as client:
        stream = client.threads.runs.stream(thread_id="t", assistant_id="a")
        with pytest.raises(APIError, match="no event stream but text/x: "):
            stream.until_done()


def test_the_stream_ends_at_done_whatever_the_server_does_then(raw):
    done = body(*BEGUN, ThreadRunCompleted(ENDED), DoneEvent())
    with Client(base_url=raw(OK + done + body(*BEGUN)).url) as client:
        stream = client.threads.runs.stream(thread_id="t", assistant_id="a")
        assert list(stream)[-1] == DoneEvent()


@pytest.mark.parametrize(
    "cut",
    [body(*BEGUN), body(*BEGUN)[:-20], body(*BEGUN) + b"event: thread.message.delta\n"],
    ids=["between events", "in an event", "after a name"],
)
def test_a_body_that_just_ends_is_an_error(raw, cut):
    with Client(base_url=raw(OK + cut).url) as client:
        stream = client.threads.runs.stream(thread_id="t", assistant_id="a", recover=False)
        with pytest.raises(StreamTruncated) as caught:
            list(stream.text_deltas)
        assert caught.value.snapshot.run == RUN


def test_a_body_without_an_event_leaves_it_open_if_there_is_a_run(raw):
    with Client(base_url=raw(OK).url) as client:
        stream = client.threads.runs.stream(thread_id="t", assistant_id="a")
        with pytest.raises(RunOutcomeUnknown, match=r"runs\.list\('t', limit=1\)") as caught:
            list(stream.text_deltas)
        assert caught.value.thread_id == "t"


def test_a_connection_that_breaks_is_an_error(raw):
    chunked = OK.replace(b"connection", b"transfer-encoding: chunked\r\nconnection")
    with Client(base_url=raw(chunked + b"ffff\r\n" + body(*BEGUN)).url) as client:
        stream = client.threads.runs.stream(thread_id="t", assistant_id="a", recover=False)
        with pytest.raises(StreamTruncated, match="connection was lost") as caught:
            stream.until_done()
        error = caught.value
        assert (error.snapshot.run, error.run_id, error.thread_id) == (RUN, RUN.id, "t")
        assert error.last_event == BEGUN[-1].event


# --- leaving -------------------------------------------------------------------------------


def test_disposing_closes_the_connection_and_the_run_goes_on(forever, begin):
    word = threading.Event()
    subscription = begin().text_deltas.subscribe(lambda _: word.set())
    assert word.wait(5)
    assert forever.open_streams == 1
    subscription.dispose()
    forever.wait_for(lambda: forever.open_streams == 0)
    assert forever.active_runs


def test_the_last_subscriber_closes_the_connection(forever, begin):
    stream, word = begin(), threading.Event()
    first = stream.subscribe()
    second = stream.text_deltas.subscribe(lambda _: word.set())
    assert word.wait(5)
    first.dispose()
    assert next(iter(stream.text_deltas)) == "word"  # still live: a third one came and went
    assert forever.open_streams == 1
    second.dispose()
    forever.wait_for(lambda: forever.open_streams == 0)
    with pytest.raises(StreamClosed):
        stream.until_done()


def test_a_stream_that_was_never_subscribed_is_closed_all_the_same():
    client = Client(base_url="http://127.0.0.1:9/v1")
    with client.threads.runs.stream(thread_id="t", assistant_id="a") as stream:
        threads = threading.active_count()
    assert threading.active_count() == threads  # no loop was made only to close it
    client.close()
    stream.close()


def test_leaving_the_loop_closes_the_connection(forever, begin):
    for _ in begin().text_deltas:
        break
    forever.wait_for(lambda: forever.open_streams == 0)


def test_leaving_the_block_closes_the_stream_for_everybody(forever, begin):
    told = []
    with begin() as stream:
        stream.subscribe(on_error=told.append)
        for _ in stream.text_deltas:
            break
    forever.wait_for(lambda: forever.open_streams == 0)
    with pytest.raises(StreamClosed):
        stream.until_done()
    assert isinstance(told[0], StreamClosed)


def test_on_dispose_cancel_cancels_the_run(forever, begin):
    for _ in begin(on_dispose="cancel").text_deltas:
        break
    forever.wait_for(lambda: not forever.active_runs)
    assert any(request[1].endswith("/cancel") for request in forever.requests)


def test_a_run_that_waits_when_its_stream_fails_is_cancelled(serve):
    def fail_at_the_end(asked):
        return edited(lambda: _error_for_done) if asked.path.endswith("/runs") else None

    def ask(_):
        yield call("anything")

    service = serve(ask, faults=fail_at_the_end)
    with Client(base_url=service.base_url) as client:
        assistant = client.assistants.create(model="m").run()
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, on_dispose="cancel"
        )
        with pytest.raises(APIError, match="no more"):
            stream.until_done()
        assert stream.current_run.status == "requires_action"
        service.wait_for(lambda: not service.active_runs)


def _error_for_done(piece):
    said = b'event: error\ndata: {"message":"no more"}\n\n'
    before, done, _ = (piece or b"").partition(b"event: done")
    return [before + said if done else before]


def test_a_run_is_cancelled_though_its_stream_is_left_before_it_was_told(forever, begin):
    for _ in range(5):
        begin(on_dispose="cancel").subscribe().dispose()
    begin(on_dispose="cancel").text_deltas.pipe(ops.first()).run()
    forever.wait_for(lambda: not forever.active_runs and forever.open_streams == 0)


@pytest.mark.parametrize("leave_first", [True, False])
def test_closing_the_client_cancels_what_it_should(forever, endless, begin, leave_first):
    told, word = [], threading.Event()
    stream = begin(on_dispose="cancel")
    stream.text_deltas.subscribe(lambda _: word.set(), told.append)
    assert word.wait(5)
    if leave_first:
        stream.close()
    endless.close()
    forever.wait_for(lambda: not forever.active_runs)
    assert [type(error) for error in told] == [StreamClosed if leave_first else ClientClosed]


def test_a_call_that_races_the_closing_of_its_client_is_always_told(service):
    for _ in range(20):
        client = Client(base_url=service.base_url)
        told = [threading.Event() for _ in range(4)]
        for event in told:
            client.threads.create().subscribe(
                on_error=lambda _, event=event: event.set(), on_completed=event.set
            )
        client.close()
        assert all(event.wait(5) for event in told)


def test_a_finished_stream_is_read_after_its_client_was_closed(service, client, place, numbers):
    stream = client.threads.runs.stream(**place)
    stream.until_done()
    client.close()
    assert "".join(stream.text_deltas) == numbers
    assert stream.get_final_run().status == "completed"
    assert list(stream)[-1].event == "done"
    assert stream.text_deltas.pipe(ops.take(1)).run() == "0 "


def test_a_subscriber_that_exits_ends_neither_the_client_nor_the_program(client, place, numbers):
    def leave(_):
        raise SystemExit("enough")  # noqa: EM101 -- as users write it

    stream = client.threads.runs.stream(**place)
    texts = iter(stream.text_deltas)
    first = next(texts)  # the other one is not the last to leave
    stream.text_deltas.subscribe(leave)
    assert first + "".join(texts) == numbers


def test_two_places_in_one_stream_never_wait_for_each_other(service, client, place):
    stream = client.threads.runs.stream(**place, read_ahead=20)
    pieces = iter(stream.text_deltas)
    next(pieces)
    assert stream.get_final_run().status == "completed"
    stream = client.threads.runs.stream(**place, read_ahead=20)
    assert len(list(zip(stream, stream.messages, strict=False))) == 1


def test_two_places_in_one_stream_on_an_event_loop(service, run_async):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id, read_ahead=20)
        reader = aiter(stream)
        await anext(reader)
        assert (await stream.get_final_run()).status == "completed"
        await reader.aclose()

    run_async(service, main)


def test_take_disposes_when_it_has_enough(forever, begin):
    assert begin().text_deltas.pipe(ops.take(1)).run() == "word"
    forever.wait_for(lambda: forever.open_streams == 0)


@pytest.mark.usefixtures("_ctrl_c")
def test_ctrl_c_in_a_blocked_run_disposes(forever, begin):
    stream = begin()
    main = threading.main_thread().ident
    interrupt = stream.text_deltas.pipe(
        ops.do_action(lambda _: signal.pthread_kill(main, signal.SIGINT))
    )
    with pytest.raises(KeyboardInterrupt):
        interrupt.run()
    forever.wait_for(lambda: forever.open_streams == 0)


def test_closing_the_client_ends_its_streams(forever, endless, begin):
    word, told, stream = threading.Event(), [], begin()
    stream.subscribe(on_error=told.append)
    stream.text_deltas.subscribe(lambda _: word.set(), told.append)
    assert word.wait(5)
    endless.close()
    assert [type(error) for error in told] == [ClientClosed, ClientClosed]
    forever.wait_for(lambda: forever.open_streams == 0)


def test_a_client_may_be_closed_in_a_callback(forever, endless, begin):
    ended = threading.Event()
    begin().text_deltas.subscribe(lambda _: endless.close(), lambda _: ended.set())
    assert ended.wait(5)
    forever.wait_for(lambda: forever.open_streams == 0)


# --- subscribers ---------------------------------------------------------------------------


def test_a_subscriber_that_raises_is_closed_and_the_others_go_on(client, place, numbers, caplog):
    stream = client.threads.runs.stream(**place)

    def broken(_):
        raise ValueError("my own fault")  # noqa: EM101, TRY003 -- as users write it

    texts = iter(stream.text_deltas)
    first = next(texts)  # the other one is not the last to leave
    stream.subscribe(broken)
    assert first + "".join(texts) == numbers
    stream.until_done()  # subscribed after the other one
    assert "my own fault" in caplog.text
    assert caplog.text.count("a subscriber raised") == 1


@pytest.mark.filterwarnings("ignore:Threads.create.* was never run")  # the second of a merge
def test_a_blocking_call_on_the_clients_thread_raises_instead_of_hanging(client):
    caught = []

    def blocking(_):
        calls = [
            lambda: client.threads.create().run(),
            lambda: client.threads.create().pipe(ops.map(str)).run(),
            lambda: list(client.threads.create()),
            lambda: client.threads.runs.stream(thread_id="t", assistant_id="a").until_done(),
            lambda: rx.merge(client.threads.create(), client.threads.create()).run(),
            lambda: rx.of(1).pipe(ops.flat_map(lambda _: client.threads.create())).run(),
        ]
        for attempt in calls:
            try:
                attempt()
            except BlockingCallError as error:
                caught.append(str(error))

    client.threads.create().pipe(ops.do_action(blocking)).run()
    gc.collect()  # what was never run warns here, and not in another test
    assert len(caught) == 6
    assert all("flat_map" in message and "await" in message for message in caught)


def test_an_async_def_is_refused_by_subscribe(client, place):
    async def on_next(_):
        """Would never be awaited."""

    with pytest.raises(TypeError, match="subscribe_async"):
        client.threads.runs.stream(**place).subscribe(on_next)


# --- asyncio -------------------------------------------------------------------------------


def test_everything_on_an_event_loop(service, run_async, numbers):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        async with stream:
            text = "".join([piece async for piece in stream.text_deltas])
            assert text == numbers
            assert (await stream.get_final_run()).status == "completed"
            assert len(await stream.get_final_messages()) == 1
            assert len(await stream.get_final_run_steps()) == 1
            await stream.until_done()
        assert (await stream.text_deltas.pipe(ops.count())) > 1

    run_async(service, main)
    assert created(service) == 1


def test_leaving_an_async_block_closes_the_connection(forever, run_async):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        for on_dispose in ("detach", "cancel"):
            async with client.threads.create_and_run_stream(
                assistant_id=assistant.id, on_dispose=on_dispose
            ) as stream:
                async for _ in stream.text_deltas:
                    break

    run_async(forever, main)
    forever.wait_for(lambda: forever.open_streams == 0)


def test_a_body_that_is_left_in_the_middle_lets_go_of_nothing(raw, run_async):
    async def main(client):
        stream = client.threads.runs.stream(thread_id="t", assistant_id="a")
        return [event async for event in stream]

    server = raw(OK + body(*BEGUN, ThreadRunCompleted(ENDED), DoneEvent(), *BEGUN))
    server.base_url = server.url
    assert run_async(server, main)[-1] == DoneEvent()


def test_subscribe_async_awaits_in_order(service, run_async, numbers):
    async def main(client):
        assistant = await client.assistants.create(model="m")
        stream = client.threads.create_and_run_stream(assistant_id=assistant.id)
        seen = []

        async def keep(text):
            seen.append(text)

        subscription = stream.text_deltas.subscribe_async(keep)
        await stream.until_done()
        await stream.text_deltas.pipe(ops.count())
        subscription.dispose()
        return "".join(seen)

    assert numbers.startswith(run_async(service, main))


def test_closing_in_a_callback_is_at_once(begin):
    stream, seen = begin(), []

    def once(text):
        seen.append(text)
        stream.close()

    stream.text_deltas.subscribe(once)
    with pytest.raises(StreamClosed):
        stream.until_done()
    assert len(seen) == 1


def test_a_lost_creation_names_the_thread_that_was_told(raw):
    told = encode(encode_event(ThreadCreated(Thread("thread_7"))))
    with Client(base_url=raw(OK + told).url) as client:
        stream = client.threads.create_and_run_stream(assistant_id="a")
        with pytest.raises(RunOutcomeUnknown, match="thread_7") as caught:
            stream.until_done()
    assert caught.value.thread_id == "thread_7"


@pytest.mark.parametrize(("value", "error"), [("x", TypeError), (True, TypeError), (0, ValueError)])
def test_a_deadline_is_a_number_above_0(client, value, error):
    with pytest.raises(error, match="deadline"):
        client.threads.runs.stream(thread_id="t", assistant_id="a", deadline=value)


@pytest.mark.parametrize("name", ["on_dispose", "event_handler", "recover", "idle_timeout"])
def test_what_is_for_streams_is_refused_where_there_is_none(client, name):
    with pytest.raises(TypeError, match=f"{name} is an option of streams"):
        client.threads.runs.create("t", assistant_id="a", **{name: None})


@pytest.mark.parametrize("name", ["idempotent", "recover", "replay"])
def test_what_is_either_true_or_false_is_nothing_else(client, name):
    with pytest.raises(TypeError, match=f"{name} must be True or False, got 'no'"):
        client.threads.runs.stream(thread_id="t", assistant_id="a", **{name: "no"})
