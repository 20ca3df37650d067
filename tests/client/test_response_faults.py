"""What becomes of responses when something breaks, over real sockets, with both clients."""

import pytest
from reactivex import operators as ops

from rxassist import (
    APIError,
    APITimeoutError,
    BadRequestError,
    ConflictError,
    RunOutcomeUnknown,
    StreamDiverged,
    StreamTruncated,
)
from rxassist.local import (
    append,
    call,
    cut,
    drop,
    duplicate,
    error_form,
    fail,
    final_output,
    hang,
    hang_up,
    incomplete,
    keepalive,
    other_final_ids,
    queued,
    refuse,
    rename,
    renumber,
    reset,
    restart_numbers,
    retell,
    rewind,
    rotate_ids,
    say,
    stall,
    think,
    truncate,
    unstreamed,
    wait,
)

ASKED = {"model": "m", "input": "hi"}
WORDS = tuple(f"{number} " for number in range(8))
TEXT = "".join(WORDS)
CREATE = ("POST", "/v1/responses")


def every(observable):
    return observable.pipe(ops.to_list())


def talk(_):
    yield think("Hm ", "hm.")
    yield say(*WORDS)


def stopping_after(count):
    """The body ends properly after so many events: as a gateway that gives up."""

    def begin():
        left = count

        def told(event):
            nonlocal left
            left -= 1
            return [event] if left >= 0 else []

        return told

    return retell(begin)


def meeting(create=None, read=None, times=1):
    """What creates a response meets a fault, and what resumes its stream another one."""

    def faults(asked):
        if asked.method == "POST":
            return create if asked.path == "/v1/responses" and asked.attempt <= times else None
        return read if "stream=true" in asked.query else None

    return faults


@pytest.fixture
def follow(serve, connect):
    """Follow a stream to its end: service, text deltas, events, final run."""

    def follow(faults, script=talk, *, serving=None, **options):
        service = serve(script, faults=faults, **(serving or {}))
        side = connect(service)
        stream = side.begin(lambda client: client.responses.stream(**ASKED, **options))
        texts = side(lambda _: every(stream.text_deltas))
        events = side(lambda _: every(stream))
        return service, texts, events, side(lambda _: stream.get_final_run())

    return follow


def check_whole(followed, text=TEXT, status="completed"):
    service, texts, events, run = followed
    assert "".join(texts) == text
    assert (run.status, run.output_text) == (status, text)
    assert len(service.runs) == 1
    assert run.id == service.runs[0]
    names = [event.name for event in events if not event.is_delta]
    once = [name for name in names if "output_item" not in name and name != "keepalive"]
    assert len(set(once)) == len(once)
    assert service.requests.count(CREATE) == 1
    return [query for method, query in service.requests if method == "GET"]


# --- in the background: by number ----------------------------------------------------------

EVENTS = 24  # of ``talk``; the first event of a lost stream has the id


def test_a_run_has_so_many_events(follow):
    _, _, events, _ = follow(None, background=True)
    assert len(events) == EVENTS


@pytest.mark.parametrize("at", [1, 2, 5, 9, 13, 17, 22, 23])
def test_a_stream_that_is_lost_at_any_event_is_resumed(follow, at):
    followed = follow(meeting(stopping_after(at)), background=True)
    assert len(check_whole(followed)) == 1
    assert [event.sequence_number for event in followed[2]] == list(range(EVENTS))


@pytest.mark.parametrize("fault", [cut(1500), cut(3000, reset=True), truncate(3000), stall(3000)])
def test_a_stream_that_is_lost_at_any_byte_is_resumed(follow, fault):
    followed = follow(meeting(fault), background=True, idle_timeout=0.5)
    check_whole(followed)
    assert [event.sequence_number for event in followed[2]] == list(range(EVENTS))


def test_a_stream_that_is_lost_again_and_again_is_resumed(follow):
    followed = follow(meeting(stopping_after(4), stopping_after(6)), background=True)
    assert len(check_whole(followed)) == 4


def test_keepalives_take_numbers(follow):
    """The fault keeps the numbers of a stream that goes on."""

    def faults(asked):
        kept = keepalive(3)
        return stopping_after(9) | kept if asked.method == "POST" else kept

    check_whole(follow(faults, background=True))


@pytest.mark.parametrize("by", [1, 3, 50])
def test_events_that_come_twice_are_dropped(follow, by):
    followed = follow(meeting(stopping_after(9), rewind(by)), background=True)
    check_whole(followed)
    assert [event.sequence_number for event in followed[2]] == list(range(EVENTS))


# --- in the background: by what is stored --------------------------------------------------


@pytest.mark.parametrize(
    "refusal",
    [
        refuse(400),
        refuse(404),
        refuse(409),
        refuse(501),
        unstreamed(),
        stall(0),
        restart_numbers(),
        renumber(lambda number: number + 3),
        renumber(lambda _: None),
    ],
    ids=["400", "404", "409", "501", "JSON", "silence", "restart", "gap", "no numbers"],
)
def test_a_response_is_polled_if_its_stream_is_refused(follow, refusal):
    followed = follow(meeting(stopping_after(9), refusal), background=True, idle_timeout=0.5)
    check_whole(followed)
    assert followed[0].requests[-1][0] == "GET"


@pytest.mark.parametrize("serving", [{"resume_window": 0.0}, {"kept_logs": 0}])
def test_a_service_that_keeps_no_events_is_polled(follow, serving):
    check_whole(follow(meeting(stopping_after(9)), background=True, serving=serving))


def test_a_stream_without_numbers_is_polled(follow):
    followed = follow(meeting(stopping_after(9) | renumber(lambda _: None)), background=True)
    check_whole(followed)


def test_a_stored_text_that_diverges_is_an_error(follow):
    faults = meeting(duplicate("response.output_text.delta") | cut(5000), refuse(404))
    with pytest.raises(StreamDiverged):
        follow(faults, background=True)


def test_a_response_that_stays_queued_is_given_up(follow):
    """Its stream was lost, so it may stay there for ever."""

    def faults(asked):
        return refuse(400) if "stream=true" in asked.query else queued()

    with pytest.raises(APITimeoutError) as raised:
        follow(faults, background=True, idle_timeout=0.3, queue_patience=0.3)
    assert any("queued for 0.3 seconds" in note for note in raised.value.__notes__)


def test_a_failed_response_whose_stream_hangs_has_ended(follow):
    def script(_):
        yield say(*WORDS)
        yield fail("server_error", "No.")

    followed = follow(lambda _: hang(), script, background=True, idle_timeout=5)
    check_whole(followed, status="failed")


def test_a_stream_is_resumed_by_another_process(serve, connect):
    def faults(asked):
        return stopping_after(4) if asked.attempt == 1 and asked.method == "GET" else None

    service = serve(talk, faults=faults)
    side = connect(service)
    run = side(lambda client: client.responses.create(**ASKED, background=True))
    stream = side.begin(lambda client: client.responses.resume(run.id))
    assert side(lambda _: stream.get_final_text()) == TEXT
    events = side(lambda _: every(stream))
    assert [event.sequence_number for event in events] == list(range(EVENTS))


def test_a_stream_that_cannot_go_on_after_a_number_says_so(serve, connect):
    side = connect(serve(talk, kept_logs=0))
    run = side(lambda client: client.responses.create(**ASKED, background=True))
    stream = side.begin(lambda client: client.responses.resume(run.id, after=5))
    with pytest.raises(StreamTruncated, match="resume it without after"):
        side(lambda _: stream.until_done())
    whole = side.begin(lambda client: client.responses.resume(run.id))
    assert side(lambda _: whole.get_final_text()) == TEXT


# --- in the foreground ---------------------------------------------------------------------


@pytest.mark.parametrize("at", [1, 9, 17])
def test_a_stream_in_the_foreground_ends_with_its_connection(serve, connect, at):
    def script(_):
        yield from talk(_)
        yield wait(600)

    service = serve(script, faults=meeting(stopping_after(at) | cut(None)))
    side = connect(service)
    stream = side.begin(lambda client: client.responses.stream(**ASKED, idle_timeout=0.5))
    with pytest.raises(StreamTruncated) as raised:
        side(lambda _: stream.until_done())
    assert any("background=True goes on" in note for note in raised.value.__notes__)
    assert service.requests == [CREATE, ("GET", f"/v1/responses/{service.runs[0]}")]
    service.wait_for(lambda: not service.active_runs)


def test_a_response_that_had_ended_before_its_connection_broke_is_whole(follow):
    followed = follow(meeting(stopping_after(9)))
    assert len(check_whole(followed)) == 1


def test_a_lost_stream_is_an_error_without_recovery(serve, connect):
    side = connect(serve(talk, faults=meeting(stopping_after(9))))
    stream = side.begin(
        lambda client: client.responses.stream(**ASKED, background=True, recover=False)
    )
    with pytest.raises(StreamTruncated):
        side(lambda _: stream.until_done())


def test_a_connection_that_breaks_after_the_end_is_no_error(follow):
    assert check_whole(follow(meeting(cut(None)))) == []


# --- created once --------------------------------------------------------------------------

LOST = [hang_up(handled=True), hang_up(handled=False), refuse(502), stall(0)]


@pytest.mark.parametrize("how", ["stream", "create", "create_and_poll"])
@pytest.mark.parametrize("fault", LOST, ids=["handled", "not handled", "502", "silence"])
def test_a_request_that_is_lost_is_never_sent_again(serve, connect, fault, how):
    service = serve(talk, faults=meeting(fault, times=9))
    side = connect(service, timeout=0.5)
    asked = {**ASKED, "background": True, **({"idle_timeout": 0.5} if how == "stream" else {})}
    with pytest.raises(
        RunOutcomeUnknown, match=r"a response was requested.*response_id="
    ) as raised:
        side(lambda client: every(getattr(client.responses, how)(**asked)))
    assert "thread" not in str(raised.value)
    assert "idempotent" not in str(raised.value)
    assert service.requests == [CREATE]


def test_a_lost_response_of_a_conversation_can_be_looked_for(serve, connect):
    side = connect(serve(talk, faults=meeting(hang_up(handled=True))))
    made = side(lambda client: client.conversations.create())
    with pytest.raises(RunOutcomeUnknown, match=f"items.list.'{made.id}'"):
        side(lambda client: client.responses.create(**ASKED, conversation=made.id))


@pytest.mark.parametrize("how", ["stream", "create", "create_and_poll"])
@pytest.mark.parametrize("fault", [hang_up(handled=True), refuse(502, handled=True)])
def test_a_lost_response_is_found_under_its_own_id(serve, connect, fault, how):
    service = serve(talk, faults=meeting(fault), foundry=True)
    side = connect(service)
    asked = {**ASKED, "background": True, "response_id": "resp_mine"}
    found = side.begin(lambda client: getattr(client.responses, how)(**asked))
    if how == "stream":
        assert side(lambda _: every(found.text_deltas)) == list(WORDS)
        assert side(lambda _: found.get_final_run()).id == "resp_mine"
    else:
        assert side(lambda _: found).id == "resp_mine"
    assert service.runs == ["resp_mine"]
    assert service.requests.count(CREATE) == 1


@pytest.mark.parametrize("how", ["stream", "create", "create_and_poll"])
@pytest.mark.parametrize("background", [False, True])
def test_a_response_is_found_after_a_conflict(serve, connect, how, background):
    """Another process, or an earlier one, has requested it."""
    service = serve(talk, foundry=True)
    side = connect(service)
    asked = {**ASKED, "background": background, "response_id": "resp_mine"}
    side(lambda client: every(client.responses.stream(**asked)))
    found = side.begin(lambda client: getattr(client.responses, how)(**asked))
    if how == "stream":
        assert "".join(side(lambda _: every(found.text_deltas))) == TEXT
    else:
        assert side(lambda _: every(found))[-1].output_text in {TEXT, ""}
    assert service.runs == ["resp_mine"]


def test_a_service_that_takes_no_ids_never_gets_a_second_request(serve, connect):
    service = serve(talk, faults=meeting(hang_up(handled=True)))
    side = connect(service)
    asked = {**ASKED, "background": True, "response_id": "resp_mine"}
    with pytest.raises(RunOutcomeUnknown, match="looked for once under its id 'resp_mine'"):
        side(lambda client: client.responses.create(**asked))
    assert service.requests == [CREATE, ("GET", "/v1/responses/resp_mine")]


# --- a busy conversation -------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["400", "409"])
def busy(serve, connect, request):
    """A client, and a conversation on which a response works until ``free`` is filled."""

    def script(turn):
        yield say(*WORDS)
        while turn.text == "first" and not free:
            yield wait(0.01)

    free = []
    service = serve(script, foundry=request.param)
    side = connect(service)
    made = side(lambda client: client.conversations.create())
    asked = {"model": "m", "input": "first", "background": True, "conversation": made.id}
    side(lambda client: client.responses.create(**asked))
    yield side, {**ASKED, "conversation": made.id}, free
    free.append(True)
    service.wait_for(lambda: not service.active_runs)


def test_a_locked_conversation_is_an_error(busy):
    side, asked, _ = busy
    with pytest.raises((BadRequestError, ConflictError)) as raised:
        side(lambda client: client.responses.create(**asked))
    assert raised.value.code == "conversation_locked"


@pytest.mark.parametrize("how", ["stream", "create", "create_and_poll"])
def test_a_locked_conversation_is_waited_for(busy, how):
    side, asked, free = busy
    found = side.begin(lambda client: getattr(client.responses, how)(**asked, if_busy="wait"))
    ended = []
    side.begin(
        lambda _: found.subscribe(on_error=ended.append, on_completed=lambda: ended.append(0))
    )
    side(lambda client: client.conversations.create())
    assert not ended
    free.append(True)
    side(lambda _: found)
    assert not any(ended)


# --- what other servers send ---------------------------------------------------------------


def failing(_):
    yield say(*WORDS)
    yield fail("rate_limit_exceeded", "Too fast.")


@pytest.mark.parametrize("flat", [False, True])
def test_an_error_that_the_response_carries_as_well_is_data(follow, flat):
    followed = follow(lambda _: error_form(flat=flat), failing)
    check_whole(followed, status="failed")
    assert followed[3].error.code == "rate_limit_exceeded"


@pytest.mark.parametrize("flat", [False, True])
def test_an_error_alone_ends_the_stream(serve, connect, flat):
    side = connect(serve(failing, faults=lambda _: error_form(flat=flat, alone=True)))
    stream = side.begin(lambda client: client.responses.stream(**ASKED))
    with pytest.raises(APIError, match="Too fast") as raised:
        side(lambda _: stream.until_done())
    assert raised.value.snapshot.text == TEXT


def test_a_failure_that_carries_cancelled_is_a_cancellation(serve, connect):
    def endless(_):
        yield say(*WORDS)
        while True:
            yield wait(0.01)

    side = connect(serve(endless, foundry=True))
    stream = side.begin(lambda client: client.responses.stream(**ASKED, background=True, linger=30))
    first = side(lambda _: stream.pipe(ops.first()))
    side(lambda client: client.responses.cancel(first.response_id))
    assert side(lambda _: stream.get_final_run()).status == "cancelled"


def test_a_cancelled_response_whose_stream_just_ends_is_cancelled(serve, connect):
    def endless(_):
        yield say(*WORDS)
        while True:
            yield wait(0.01)

    side = connect(serve(endless))
    stream = side.begin(lambda client: client.responses.stream(**ASKED, background=True, linger=30))
    first = side(lambda _: stream.pipe(ops.first()))
    side(lambda client: client.responses.cancel(first.response_id))
    assert side(lambda _: stream.get_final_run()).status == "cancelled"


def test_a_completion_that_carries_incomplete_is_incomplete(follow):
    def script(_):
        yield say(*WORDS)
        yield incomplete()

    fault = rename("response.incomplete", to="response.completed")
    check_whole(follow(lambda _: fault, script), status="incomplete")


@pytest.mark.parametrize(
    "fault",
    [
        final_output(None),
        final_output([]),
        other_final_ids(),
        rotate_ids(response=False),
        drop("*.done"),
        drop("response.output_item.done"),
        drop("response.created"),
        renumber(lambda _: None),
        append(b"data: [DONE]\n\n"),
        append(b": ping\n\n"),
    ],
)
def test_what_other_servers_send_changes_nothing(follow, fault):
    check_whole(follow(lambda _: fault))


def test_ids_that_rotate_are_no_other_response(follow):
    _, texts, _, run = follow(lambda _: rotate_ids())
    assert "".join(texts) == TEXT
    assert (run.status, run.output_text) == ("completed", TEXT)


def test_two_responses_in_one_body_are_one_run(follow):
    """A gateway may make the rounds of tools itself."""
    other = b"".join(
        b'event: response.%s\ndata: {"type": "response.%s", "sequence_number": %d, "response": '
        b'{"id": "resp_other", "status": "%s", "output": []}}\n\n' % (name, name, number, status)
        for number, (name, status) in enumerate(
            [(b"created", b"in_progress"), (b"completed", b"completed")]
        )
    )
    service, texts, events, run = follow(lambda _: append(other))
    assert "".join(texts) == TEXT
    assert {event.response_id for event in events} == {service.runs[0], "resp_other"}
    assert (run.id, run.status) == ("resp_other", "completed")


def test_a_call_is_made_though_the_output_is_missing_at_the_end(serve, connect):
    def script(_):
        yield say((yield call("greet", {})))

    def greet() -> str:
        """Say hello."""
        return "hello"

    side = connect(serve(script, faults=lambda _: final_output(None)))
    stream = side.begin(lambda client: client.responses.stream(**ASKED, tools=[greet]))
    assert side(lambda _: stream.get_final_text()) == "hello"


def test_a_response_that_begins_anew_cannot_unsay_a_text(serve, connect):
    def script(_):
        yield say("lost")
        yield reset()
        yield say("found")

    side = connect(serve(script))
    stream = side.begin(lambda client: client.responses.stream(**ASKED))
    assert side(lambda _: stream.get_final_text()) == "found"
    with pytest.raises(StreamDiverged):
        side(lambda _: every(stream.text_deltas))
