"""Responses over real sockets, with both clients: streams, their views, polls, handlers, ends."""

import gc
import threading

import pytest
import reactivex as rx
from reactivex import operators as ops

from rxassist import (
    APITimeoutError,
    AssistantEventHandler,
    AsyncAssistantEventHandler,
    AsyncResponseEventHandler,
    Budget,
    Client,
    ResponseEventHandler,
    RunFailed,
    StreamClosed,
    merge_runs,
    operators,
)
from rxassist.local import (
    LocalService,
    cite,
    code,
    fail,
    image,
    incomplete,
    say,
    search,
    think,
    wait,
)
from rxassist.models import Run
from rxassist.protocols.responses.events import ResponseCreated

ASKED = {"model": "m", "input": "hi"}
CREATE = ("POST", "/v1/responses")


def every(observable):
    return observable.pipe(ops.to_list())


def talk(_):
    yield think("Hm ", "hm.")
    yield say("one ", "two ", "three")


def endless(_):
    yield say("word")
    yield wait(600)


@pytest.fixture
def side(serve, connect):
    """A client of a service that talks: ``side.service``."""
    service = serve(talk)
    made = connect(service)
    made.service = service
    return made


@pytest.fixture
def forever(serve, connect):
    """A client of a service whose responses do not end."""
    service = serve(endless)
    made = connect(service)
    made.service = service
    return made


# --- views ---------------------------------------------------------------------------------


@pytest.mark.parametrize("background", [False, True])
def test_views_are_views_of_one_response(side, background):
    stream = side.begin(lambda client: client.responses.stream(**ASKED, background=background))
    assert side.service.requests == []
    assert side(lambda _: every(stream.text_deltas)) == ["one ", "two ", "three"]
    run = side(lambda _: stream.get_final_run())
    assert (run.status, run.output_text) == ("completed", "one two three")
    assert side(lambda _: stream.get_final_text()) == "one two three"
    (message,) = side(lambda _: stream.get_final_messages())
    assert message == run.output[-1]
    assert side(lambda _: every(stream.messages)) == [message]
    assert [each.id for each in side(lambda _: every(stream.responses))] == [run.id]
    assert side(lambda _: every(stream.tool_calls)) == []
    snapshots = side(lambda _: every(stream.snapshots))
    assert snapshots[-1].text == "one two three"
    assert side(lambda _: stream.final_snapshot).run == run
    events = side(lambda _: every(stream))
    assert isinstance(events[0], ResponseCreated)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert side.service.requests == [CREATE]
    assert side.service.runs == [run.id]


def test_until_done_waits_for_the_end(side):
    stream = side.begin(lambda client: client.responses.stream(**ASKED))
    side(lambda _: stream.until_done())
    assert side(lambda _: stream.snapshot).text == "one two three"


def test_events_are_iterated(side):
    stream = side.begin(lambda client: client.responses.stream(**ASKED))

    async def async_names():
        return [event.name async for event in stream]

    names = side(lambda _: async_names() if side.is_async else [event.name for event in stream])
    assert names[0] == "response.created"
    assert names[-1] == "response.completed"


@pytest.mark.parametrize("move", [fail("server_error", "No."), incomplete("max_output_tokens")])
def test_an_end_that_is_not_completed_is_data(serve, connect, move):
    side = connect(serve(lambda _: [say("a"), move]))
    stream = side.begin(lambda client: client.responses.stream(**ASKED))
    run = side(lambda _: stream.get_final_run())
    assert run.status == ("failed" if move.__class__.__name__ == "Fail" else "incomplete")
    with pytest.raises(RunFailed) as raised:
        side(lambda _: every(stream.pipe(operators.raise_for_status())))
    assert raised.value.run == run


def test_a_response_is_started_anew_after_a_rate_limit(serve, connect):
    played = []

    def script(_):
        played.append(1)
        if len(played) == 1:
            yield fail("rate_limit_exceeded", "Too fast.")
        yield say("fine")

    side = connect(serve(script))

    def retried(client):
        started = rx.defer(lambda _: client.responses.stream(**ASKED))
        return every(started.pipe(operators.retry_run(backoff=0), operators.text_deltas()))

    assert side(retried) == ["fine"]
    assert len(played) == 2


# --- one response --------------------------------------------------------------------------


def test_a_response_is_created_retrieved_and_deleted(side):
    run = side(lambda client: client.responses.create(**ASKED))
    assert (run.status, run.output_text) == ("completed", "one two three")
    assert side(lambda client: client.responses.retrieve(run.id)) == run
    (item,) = side(lambda client: every(client.responses.input_items.list(run.id)))
    assert item.role == "user"
    assert side(lambda client: client.responses.delete(run.id)).deleted
    count = side(lambda client: client.responses.input_tokens.count(**ASKED))
    assert count.input_tokens > 0
    smaller = side(lambda client: client.responses.compact(**ASKED))
    again = side(lambda client: client.responses.create(model="m", input=smaller.output))
    assert again.status == "completed"


def test_a_response_is_created_once(side):
    creation = side.begin(lambda client: client.responses.create(**ASKED))
    assert side.service.runs == []
    first, second = (side(lambda _: creation) for _ in range(2))
    assert first == second
    assert side.service.runs == [first.id]


def test_a_conversation_has_the_items_of_its_responses(side):
    conversation = side(lambda client: client.conversations.create(metadata={"a": "b"}))
    stream = side.begin(
        lambda client: client.responses.stream(**ASKED, conversation=conversation.id)
    )
    assert side(lambda _: stream.get_final_text()) == "one two three"
    items = side(lambda client: every(client.conversations.items.list(conversation.id)))
    assert len(items) == 3
    side(lambda client: client.conversations.delete(conversation.id))


def test_a_response_in_the_background_is_polled(side):
    states = side(lambda client: every(client.responses.create_and_poll(**ASKED, background=True)))
    assert states[-1].status == "completed"
    assert states[-1].output_text == "one two three"
    again = side(lambda client: every(client.responses.poll(states[-1].id)))
    assert again == states[-1:]


@pytest.mark.parametrize("after", [None, 0, 4])
def test_a_response_is_resumed_in_another_process(side, after):
    stream = side.begin(lambda client: client.responses.stream(**ASKED, background=True))
    events = side(lambda _: every(stream))
    resumed = side.begin(lambda client: client.responses.resume(events[0].response_id, after=after))
    again = side(lambda _: every(resumed))
    assert again == events[0 if after is None else after + 1 :]
    assert len(side.service.runs) == 1


def test_a_response_is_cancelled(forever):
    stream = forever.begin(lambda client: client.responses.stream(**ASKED, background=True))
    first = forever(lambda _: stream.pipe(ops.first()))
    cancelled = forever(lambda client: client.responses.cancel(first.response_id))
    assert cancelled.status == "cancelled"


# --- leaving -------------------------------------------------------------------------------


def test_a_deadline_ends_a_stream(forever):
    stream = forever.begin(lambda client: client.responses.stream(**ASKED, deadline=0.2))
    with pytest.raises(APITimeoutError, match="no end within the deadline") as raised:
        forever(lambda _: stream.until_done())
    assert raised.value.snapshot.text == "word"
    forever.service.wait_for(lambda: not forever.service.open_streams)


@pytest.mark.parametrize("background", [False, True])
def test_a_left_response_is_cancelled(forever, background, caplog):
    stream = forever.begin(
        lambda client: client.responses.stream(**ASKED, background=background, on_dispose="cancel")
    )
    forever(lambda _: stream.text_deltas.pipe(ops.first()))
    service = forever.service
    service.wait_for(lambda: not service.open_streams and not service.active_runs)
    cancel = ("POST", f"/v1/responses/{service.runs[0]}/cancel")
    assert service.requests == [CREATE, cancel][: 1 + background]
    forever(lambda client: client.close())
    gc.collect()  # a task that failed says so when it is collected
    assert not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.parametrize("background", [False, True])
def test_a_left_response_is_detached(forever, background):
    stream = forever.begin(lambda client: client.responses.stream(**ASKED, background=background))
    forever(lambda _: stream.text_deltas.pipe(ops.first()))
    service = forever.service
    service.wait_for(lambda: not service.open_streams)
    if not background:
        service.wait_for(lambda: not service.active_runs)
    assert len(service.active_runs) == background
    assert service.requests == [CREATE]


@pytest.mark.parametrize("background", [False, True])
def test_a_response_is_cancelled_that_is_left_before_it_is_known(serve, connect, background):
    """The request was sent, so there is a response, which nobody would ever look at."""
    service = serve(endless)
    side = connect(service)
    stream = side.begin(
        lambda client: client.responses.stream(**ASKED, background=background, on_dispose="cancel")
    )
    subscription = side.begin(lambda _: stream.subscribe())
    service.wait_for(lambda: service.requests)
    side(lambda _: subscription.dispose())
    if background:
        service.wait_for(lambda: len(service.requests) == 2)
    service.wait_for(lambda: not service.open_streams and not service.active_runs)


def test_a_poll_that_is_left_cancels_its_response(forever):
    polled = forever(
        lambda client: client.responses.create_and_poll(
            **ASKED, background=True, on_dispose="cancel"
        ).pipe(ops.first())
    )
    service = forever.service
    service.wait_for(lambda: not service.active_runs)
    assert ("POST", f"/v1/responses/{polled.id}/cancel") in service.requests


def test_a_stream_lingers(forever):
    stream = forever.begin(
        lambda client: client.responses.stream(**ASKED, background=True, linger=30)
    )
    for _ in range(2):
        assert forever(lambda _: stream.text_deltas.pipe(ops.first())) == "word"
    assert forever.service.open_streams == 1
    forever(lambda _: stream.close())
    forever.service.wait_for(lambda: not forever.service.open_streams)
    assert forever.service.requests == [CREATE]


def test_events_are_dropped_without_replay(side):
    stream = side.begin(lambda client: client.responses.stream(**ASKED, replay=False))
    side(lambda _: stream.until_done())
    assert side(lambda _: every(stream.text_deltas)) == []
    assert side(lambda _: stream.get_final_text()) == "one two three"


def test_a_stream_is_closed_early(forever):
    stream = forever.begin(lambda client: client.responses.stream(**ASKED))
    forever(lambda _: stream.text_deltas.pipe(ops.first()))
    forever(lambda _: stream.close())
    forever.service.wait_for(lambda: not forever.service.active_runs)
    with pytest.raises(StreamClosed):
        forever(lambda _: stream.get_final_run())


def test_a_stream_that_is_never_read_requests_nothing(side):
    stream = side.begin(lambda client: client.responses.stream(**ASKED))
    side(lambda _: stream.close())
    assert side.service.requests == []


def test_a_stream_that_is_dropped_leaves_nothing(forever):
    def drop(client):
        stream = client.responses.stream(**ASKED)
        stream.subscribe()

    forever(drop)
    service = forever.service
    service.wait_for(lambda: service.open_streams == 1)
    forever(lambda client: client.close())
    service.wait_for(lambda: not service.open_streams and not service.active_runs)


def test_a_budget_holds_back_responses(serve, connect):
    service = serve(endless)
    side = connect(service, budget=Budget(max_runs=1))
    first, second = (
        side.begin(lambda client: client.responses.stream(**ASKED, linger=30)) for _ in range(2)
    )
    assert side(lambda _: first.text_deltas.pipe(ops.first())) == "word"
    texts = []
    side.begin(lambda _: second.text_deltas.subscribe(texts.append, lambda _: None))
    side(lambda client: client.conversations.create())
    assert service.requests == [CREATE, ("POST", "/v1/conversations")]
    side(lambda _: first.close())
    assert side(lambda _: second.text_deltas.pipe(ops.first())) == "word"
    side(lambda _: second.close())


# --- handlers ------------------------------------------------------------------------------


def rich(turn):
    yield say("Cake ", cite("file-1"), "is good.")
    if isinstance(turn.run, Run):
        yield code("1+1", logs="2")
        yield search()
        yield say("see ", image("file-2"))


def collecting(kind, calls):
    """A handler of a class that notes each of its callbacks."""

    def noting(name):
        if kind.__name__.startswith("Async"):

            async def note(_, *__):
                calls.append(name)
        else:

            def note(_, *__):
                calls.append(name)

        note.__name__ = name
        return note

    names = [name for name in dir(kind) if name.startswith("on_")]
    names = [name for name in names if name not in {"on_next", "on_error", "on_completed"}]
    return type("Noting", (kind,), {name: noting(name) for name in names})()


KINDS = {
    "Response": (ResponseEventHandler, AsyncResponseEventHandler),
    "Assistant": (AssistantEventHandler, AsyncAssistantEventHandler),
}


@pytest.mark.parametrize("protocol", ["responses", "assistants"])
@pytest.mark.parametrize("of", KINDS)
def test_handlers_of_both_kinds_take_streams_of_both(serve, connect, of, protocol):
    """Each calls the callbacks that it has."""
    side = connect(serve(rich))
    calls = []
    handler = collecting(KINDS[of][side.is_async], calls)
    if protocol == "responses":
        stream = side.begin(lambda client: client.responses.stream(**ASKED, event_handler=handler))
    else:
        made = side(lambda client: client.assistants.create(model="m"))
        stream = side.begin(
            lambda client: client.threads.create_and_run_stream(
                assistant_id=made.id, event_handler=handler
            )
        )
    side(lambda _: stream.until_done())
    assert calls[-1] == "on_end"
    assert {"on_message_created", "on_text_delta", "on_text_done", "on_message_done"} < set(calls)
    of_assistants = of == "Assistant" and protocol == "assistants"
    own = {"on_run_step_created", "on_run_step_done", "on_image_file_done"}
    assert own & set(calls) == (own if of_assistants else set())
    assert ("on_tool_call_done" in calls) == (protocol == "assistants")
    assert handler.current_run.status == "completed"


def raising(side, error):
    class Raising(ResponseEventHandler):
        def on_text_delta(self, delta, snapshot):
            raise error

    class AsyncRaising(AsyncResponseEventHandler):
        async def on_text_delta(self, delta, snapshot):
            raise error

    return AsyncRaising() if side.is_async else Raising()


def test_an_exception_in_a_callback_closes_the_stream(forever):
    stream = forever.begin(
        lambda client: client.responses.stream(
            **ASKED, event_handler=raising(forever, ValueError("mine"))
        )
    )
    with pytest.raises(ValueError, match="mine"):
        forever(lambda _: stream.until_done())
    forever.service.wait_for(lambda: not forever.service.active_runs)


def test_system_exit_in_a_callback_ends_the_response(serve, process):
    service = serve(endless)
    written = process(
        """
class Leaving(rxassist.ResponseEventHandler):
    def on_text_delta(self, delta, snapshot):
        raise SystemExit(0)
    def on_end(self):
        os.write(1, b"end\\n")  # as one piece: another thread writes too
with make() as client:
    stream = client.responses.stream(model="m", input="hi", event_handler=Leaving())
    try:
        stream.until_done()
    except SystemExit:
        os.write(1, b"left\\n")
""",
        service.base_url,
    )
    assert {"left", "end"} <= {line.strip() for line in written}  # in either order: two threads
    service.wait_for(lambda: not service.active_runs and not service.open_streams)


def test_a_child_process_has_streams_of_its_own(serve, process):
    service = serve(talk)
    written = process(
        """
client = make()
pid = os.fork()
stream = client.responses.stream(model="m", input="hi")
text = stream.get_final_text().replace(" ", "")
client.close()
if pid:
    os.waitpid(pid, 0)
print(text, flush=True)
if not pid:
    os._exit(0)
""",
        service.base_url,
    )
    assert written == ["onetwothree"] * 2


# --- both protocols ------------------------------------------------------------------------


def test_streams_of_both_protocols_are_merged(serve, connect):
    side = connect(serve(lambda _: [say("a ", "b")]))
    made = side(lambda client: client.assistants.create(model="m"))

    def merged(client):
        old = client.threads.create_and_run_stream(assistant_id=made.id)
        new = client.responses.stream(**ASKED)
        return every(merge_runs({"old": old, "new": new}))

    seen = side(merged)
    for key in ("old", "new"):
        events = [each.event for each in seen if each.key == key and each.event is not None]
        assert "".join(piece for event in events for piece in _pieces(event)) == "a b"


def _pieces(event):
    piece = event.piece()
    return () if piece is None else piece[-1:]


def test_views_are_taken_on_several_threads(side):
    stream = side.begin(lambda client: client.responses.stream(**ASKED))
    texts = []

    def read():
        texts.append("".join(side(lambda _: every(stream.text_deltas))))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["one two three"] * 4
    assert len(side.service.runs) == 1


def test_every_parameter_is_taken():
    names = ("access_programs", "image", "prompt_cache_options", "reasoning", "stream_options")
    mappings = {name: {} for name in names}
    more = {"prompt_cache_key": "k", "prompt_cache_retention": "24h", "service_tier": "flex"}
    with LocalService() as service, Client(base_url=service.base_url) as client:
        asked = {"model": "m", "input": "hi"}
        assert client.responses.create(**asked, **mappings, **more).run().output_text
        compacted = {"image": {}, "prompt_cache_options": {}, **more}
        assert client.responses.compact(**asked, **compacted).run().output
        counted = client.responses.input_tokens.count(**asked, personality="friendly").run()
        assert counted.input_tokens
