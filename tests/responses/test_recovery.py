"""A response whose connection broke: what was heard, and what follows, are the whole."""

from functools import reduce

import pytest
import reactivex as rx
from attrs import evolve
from reactivex.scheduler import ImmediateScheduler
from reactivex.testing import TestScheduler

from rxassist import operators
from rxassist.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    StreamDiverged,
    StreamTruncated,
)
from rxassist.protocols.responses.events import ResponseEvent
from rxassist.protocols.responses.models import Response
from rxassist.protocols.responses.recovery import Recovery, existing, recovering
from rxassist.protocols.responses.snapshots import NOTHING, fold
from rxassist.runs.state import SETTLED
from rxassist.wire.structure import structure


def place(number, **more):
    return {"sequence_number": number, "item_id": "m", "output_index": 0, **more}


def created(number=0, **more):
    response = {"id": "resp_1", "status": "in_progress", **more}
    return {"type": "response.created", "sequence_number": number, "response": response}


def delta(number, text):
    return {"type": "response.output_text.delta", **place(number, content_index=0), "delta": text}


def message(text):
    return {"type": "message", "id": "m", "content": [{"type": "output_text", "text": text}]}


def ended(number, *output, status="completed"):
    response = {"id": "resp_1", "status": status, "output": list(output)}
    return {"type": f"response.{status}", "sequence_number": number, "response": response}


def final_of(events):
    return [
        event.run()
        for event in events
        if isinstance(event, ResponseEvent) and event.run_status() in SETTLED
    ][-1]


def broken(events, error=None):
    lost = rx.throw(error or APIConnectionError("reset"), ImmediateScheduler.singleton())
    return rx.concat(rx.from_iterable(events, ImmediateScheduler.singleton()), lost)


def never(*_):
    pytest.fail("this must not be asked for")


def how(**given):
    return Recovery(**{"resume": never, "settled": never, "fetch": never, **given})


def gathered(source, operator=None):
    values, errors, ends = [], [], []
    clock = TestScheduler()
    observed = source if operator is None else source.pipe(operator)
    observed.subscribe(values.append, errors.append, lambda: ends.append(1), scheduler=clock)
    clock.start()
    assert len(errors) + len(ends) == 1
    return values, errors[0] if errors else None


def recovered(heard, error=None, *, keeps_events=False, **given):
    operator = recovering(lambda: how(**given), keeps_events=keeps_events)
    return gathered(broken(heard, error), operator)


def meaning(events):
    """What must be the same, however the events came: text, calls, status, usage, items."""
    snapshot = reduce(fold, events, NOTHING)
    texts, errors = [], []
    rx.from_iterable(events, ImmediateScheduler.singleton()).pipe(
        operators.text_deltas()
    ).subscribe(texts.append, errors.append)
    assert not errors
    run = snapshot.run
    assert run is not None
    return (
        "".join(texts),
        snapshot.text,
        snapshot.items,
        snapshot.tool_calls,
        run.status,
        run.usage,
    )


# --- the law -------------------------------------------------------------------------------


def is_whole(events):
    last = [event for event in events if isinstance(event, ResponseEvent)]
    return last and last[-1].run_status() in SETTLED


def cuts(events):
    """Where to cut: everywhere, in long recordings at every seventh event beyond the first 60."""
    return [cut for cut in range(1, len(events)) if cut < 60 or cut % 7 == 0]


@pytest.fixture
def in_background(recorded):
    """The recording, as if its response had been in the background."""
    return [
        evolve(event, response=evolve(event.response, background=True))
        if isinstance(event, ResponseEvent)
        else event
        for event in recorded
    ]


@pytest.mark.parametrize("keeps_events", [True, False])
def test_cut_anywhere_and_resumed_by_number_it_is_the_whole(in_background, keeps_events):
    recorded = in_background
    if not is_whole(recorded) or any(event.sequence_number is None for event in recorded):
        pytest.skip("a recording without an end, or without numbers")
    for cut in cuts(recorded):

        def resume(response_id, number, cut=cut):
            assert response_id == recorded[0].response_id
            assert number == recorded[cut - 1].sequence_number
            return rx.from_iterable(recorded[cut:], ImmediateScheduler.singleton())

        events, error = recovered(
            recorded[:cut], resume=resume, background=True, keeps_events=keeps_events
        )
        assert error is None
        assert events == recorded


def test_cut_anywhere_and_stored_it_is_the_whole(in_background):
    recorded = in_background
    if not is_whole(recorded):
        pytest.skip("a recording without an end")
    whole, final = meaning(recorded), final_of(recorded)
    for cut in cuts(recorded):
        events, error = recovered(
            [forget_number(event) for event in recorded[:cut]],
            settled=lambda _: rx.return_value(final),
            background=True,
        )
        assert error is None
        assert meaning(events) == whole


def forget_number(event):
    return evolve(event, sequence_number=None)


# --- in the background, by number ----------------------------------------------------------

TEXT = "one two three"


@pytest.fixture
def stream(told):
    """A short stream, whose first event says that it is in the background."""
    return told(
        created(0, background=True),
        delta(1, "one "),
        delta(2, "two "),
        delta(3, "three"),
        {"type": "keepalive", "sequence_number": 4},
        ended(5, message(TEXT)),
    )


def resumed(*parts):
    """A service that answers each attempt in turn: events, then an error if there is one."""
    answers, asked = list(parts), []

    def resume(_, number):
        asked.append(number)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            return rx.throw(answer)
        events, error = answer if isinstance(answer, tuple) else (answer, None)
        if error is None:
            return rx.from_iterable(events, ImmediateScheduler.singleton())
        return broken(events, error)

    return resume, asked


def stored_as(*responses):
    return lambda _: rx.from_iterable(responses)


def test_each_new_attempt_begins_where_the_one_before_broke(stream):
    resume, asked = resumed(
        (stream[2:3], None), (stream[3:4], APIConnectionError("again")), stream[4:]
    )
    assert recovered(stream[:2], resume=resume) == (stream, None)
    assert asked == [1, 2, 3]


def test_events_that_came_before_are_dropped(stream):
    resume, _ = resumed(stream[1:])
    assert recovered(stream[:3], resume=resume) == (stream, None)


@pytest.mark.parametrize(
    "refusal",
    [
        BadRequestError("older than 5 minutes", status_code=400),
        NotFoundError("gone", status_code=404),
        APITimeoutError("silence"),
        StreamTruncated("JSON instead of a stream"),
    ],
    ids=["400", "404", "silence", "JSON"],
)
def test_what_cannot_be_streamed_is_polled(stream, refusal):
    resume, _ = resumed(refusal)
    events, error = recovered(stream[:2], resume=resume, settled=stored_as(stream[-1].run()))
    assert error is None
    assert meaning(events) == meaning(stream)


@pytest.mark.parametrize("begins_at", [3, 4])
def test_a_gap_is_seen_and_polled(stream, begins_at):
    resume, _ = resumed(stream[begins_at:])
    events, error = recovered(stream[:2], resume=resume, settled=stored_as(stream[-1].run()))
    assert error is None
    assert meaning(events) == meaning(stream)


def test_a_service_out_of_reach_is_tried_again_for_its_patience(stream):
    away = [InternalServerError("away", status_code=503)] * 3
    resume, asked = resumed(*away, stream[2:])
    assert recovered(stream[:2], resume=resume, patience=10.0) == (stream, None)
    assert asked == [1, 1, 1, 1]
    resume, _ = resumed(*[InternalServerError("away", status_code=503)] * 20)
    events, error = recovered(stream[:2], resume=resume, patience=10.0)
    assert events == stream[:2]
    assert isinstance(error, StreamTruncated)
    assert "the recovery failed, too: HTTP 503: away" in error.__notes__[0]


def test_no_attempt_that_brought_events_counts(stream):
    lost = APIConnectionError("reset")
    resume, asked = resumed(*[([event], lost) for event in stream[1:-1]], stream[-1:])
    assert recovered(stream[:1], resume=resume, patience=0.5) == (stream, None)
    assert asked == [0, 1, 2, 3, 4]


def test_a_response_that_stays_queued_is_given_up(stream):
    queued = evolve(stream[-1].run(), wire_status="queued", output=())

    def settled(_):
        return rx.concat(rx.return_value(queued), rx.never())

    events, error = recovered(
        stream[:2],
        resume=resumed(NotFoundError("gone", status_code=404))[0],
        settled=settled,
        queue_patience=30.0,
    )
    assert events == stream[:2]
    assert isinstance(error, StreamTruncated)
    assert "response resp_1 has been queued for 30 seconds" in error.__notes__[0]


def test_a_queue_that_moves_is_waited_for(stream):
    final = stream[-1].run()
    queued = evolve(final, wire_status="queued", output=())
    working = evolve(queued, wire_status="in_progress")

    def settled(_):
        later = rx.timer(100.0).pipe(rx.operators.map(lambda _: final))
        return rx.concat(rx.of(queued, working), later)

    events, error = recovered(
        stream[:2],
        resume=resumed(NotFoundError("gone", status_code=404))[0],
        settled=settled,
        queue_patience=30.0,
    )
    assert error is None
    assert meaning(events) == meaning(stream)


def test_a_stored_text_that_contradicts_is_an_error(stream):
    other = evolve(stream[-1].run(), output=output_of(message("ten two three")))
    events, error = recovered(
        stream[:2],
        resume=resumed(BadRequestError("old", status_code=400))[0],
        settled=stored_as(other),
    )
    assert events == stream[:2]
    assert isinstance(error, StreamDiverged)
    assert error.streamed == "one "


def test_a_stored_response_without_the_heard_item_is_an_error(stream):
    nothing = evolve(stream[-1].run(), output=())
    events, error = recovered(
        stream[:2],
        resume=resumed(BadRequestError("old", status_code=400))[0],
        settled=stored_as(nothing),
    )
    assert events == stream[:2]
    assert isinstance(error, StreamDiverged)


def output_of(*items):
    return structure({"id": "resp_1", "output": list(items)}, Response, "response").output


# --- in the foreground ---------------------------------------------------------------------


@pytest.mark.parametrize("error", [APIConnectionError("reset"), APITimeoutError("silence")])
def test_in_the_foreground_closing_ended_it(stream, error):
    heard = [evolve(stream[0], response=evolve(stream[0].response, background=None)), stream[1]]
    working = evolve(stream[-1].run(), wire_status="in_progress")
    events, failure = recovered(heard, error, fetch=stored_as(working))
    assert events == heard
    assert isinstance(failure, StreamTruncated)
    assert "background=True goes on" in failure.__notes__[0]


def test_in_the_foreground_a_response_that_had_ended_is_whole(stream):
    heard = [evolve(stream[0], response=evolve(stream[0].response, background=None)), stream[1]]
    events, error = recovered(heard, fetch=stored_as(stream[-1].run()))
    assert error is None
    assert meaning(events) == meaning(stream)


def test_in_the_foreground_a_response_that_is_gone_is_truncated(stream):
    heard = [evolve(stream[0], response=evolve(stream[0].response, background=False)), stream[1]]
    gone = rx.throw(NotFoundError("gone", status_code=404))
    events, error = recovered(heard, fetch=lambda _: gone, background=True)
    assert events == heard
    assert isinstance(error, StreamTruncated)


# --- what is not recovered -----------------------------------------------------------------


def test_an_error_of_the_service_is_no_loss(stream):
    events, error = recovered(stream[:2], APIError("broken"))
    assert (events, str(error)) == (stream[:2], "broken")


def test_an_end_that_was_heard_is_the_end(stream):
    assert recovered(stream) == (stream, None)


def test_without_an_id_nothing_can_be_asked(told):
    heard = told(delta(1, "one "))
    events, error = recovered(heard, background=True)
    assert events == heard
    assert isinstance(error, StreamTruncated)


# --- a response that exists ----------------------------------------------------------------


def test_an_existing_response_is_streamed_from_its_first_event(stream):
    resume, asked = resumed(stream)
    assert gathered(existing(how(resume=resume), "resp_1")) == (stream, None)
    assert asked == [None]


def test_an_existing_response_is_streamed_after_a_number(stream):
    resume, asked = resumed((stream[2:4], APIConnectionError("reset")), stream[4:])
    assert gathered(existing(how(resume=resume, number=1), "resp_1")) == (stream[2:], None)
    assert asked == [1, 3]


def test_an_existing_response_that_is_streamed_no_more_is_made_of_what_is_stored(stream):
    resume, _ = resumed(BadRequestError("old", status_code=400))
    stored = stored_as(stream[-1].run())
    events, error = gathered(existing(how(resume=resume, fetch=stored, settled=stored), "resp_1"))
    assert error is None
    assert meaning(events) == meaning(stream)


def test_without_what_came_before_a_number_the_stored_response_would_repeat(stream):
    resume, _ = resumed(BadRequestError("old", status_code=400))
    stored = stored_as(stream[-1].run())
    events, error = gathered(existing(how(resume=resume, fetch=stored, number=3), "resp_1"))
    assert events == []
    assert isinstance(error, StreamTruncated)
    assert "cannot be streamed from number 3 on (HTTP 400: old)" in str(error)


@pytest.mark.parametrize("number", [None, 3])
@pytest.mark.parametrize(
    "refusal",
    [
        NotFoundError("no such response", status_code=404),
        AuthenticationError("wrong key", status_code=401),
    ],
    ids=["404", "401"],
)
def test_a_response_that_is_not_there_is_the_error_of_the_service_at_once(refusal, number):
    resume, asked = resumed(refusal)
    read = how(resume=resume, fetch=lambda _: rx.throw(refusal), number=number)
    assert gathered(existing(read, "resp_1")) == ([], refusal)
    assert asked == [number]


def test_what_cannot_be_read_at_first_is_polled(stream):
    resume, _ = resumed(BadRequestError("old", status_code=400))
    away = rx.throw(InternalServerError("away", status_code=503))
    settled = stored_as(stream[-1].run())
    events, error = gathered(
        existing(how(resume=resume, fetch=lambda _: away, settled=settled), "resp_1")
    )
    assert error is None
    assert meaning(events) == meaning(stream)


def test_a_service_that_was_never_reached_is_no_stream_that_was_cut():
    resume, _ = resumed(*[APIConnectionError("no server answers")] * 20)
    events, error = gathered(existing(how(resume=resume, patience=10.0), "resp_1"))
    assert events == []
    assert isinstance(error, APIConnectionError)
    assert str(error) == "no server answers"


def test_a_service_that_goes_away_in_the_middle_cuts_the_stream(stream):
    away = [InternalServerError("away", status_code=503)] * 20
    resume, _ = resumed((stream[:2], StreamTruncated("reset")), *away)
    events, error = gathered(existing(how(resume=resume, patience=10.0), "resp_1"))
    assert events == stream[:2]
    assert isinstance(error, StreamTruncated)
    assert "the recovery failed, too: HTTP 503: away" in error.__notes__[0]


# --- subscriptions -------------------------------------------------------------------------


def test_dispose_frees_what_follows():
    freed = []
    source = rx.throw(APIConnectionError("reset"), ImmediateScheduler.singleton())
    waits = rx.create(lambda *_: rx.disposable.Disposable(lambda: freed.append(1)))
    operator = recovering(
        lambda: how(response_id="resp_1", background=True, settled=lambda _: waits),
        keeps_events=False,
    )
    source.pipe(operator).subscribe(on_error=never).dispose()
    assert freed == [1]
