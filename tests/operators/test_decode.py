"""From bytes to events, whatever the chunks are."""

from pathlib import Path

import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from rxassist.errors import DecodeError, EventTooLargeError, StreamTruncated
from rxassist.events import DoneEvent, UnknownEvent
from rxassist.operators import decode

PING = b'event: ping\ndata: {"n": 1}\n\n'
DONE = b"event: done\ndata: [DONE]\n\n"


def decoded(*chunks):
    events, errors = [], []
    reactivex.from_iterable(chunks).pipe(decode()).subscribe(events.append, errors.append)
    return events, errors


@given(st.data())
def test_every_chunking_gives_the_same_events(data):
    body = ": hello\n\n" * 2 + 'event: thread.ping\ndata: "ü\u2028😀"\r\n\r\n' * 3
    body = body.encode() + PING + DONE
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=8).map(sorted))
    chunks = [body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert decoded(*chunks) == decoded(body)


def test_single_bytes_of_a_recording_give_the_same_events(wire):
    body = (wire / "assistants" / "oa4j-text.sse").read_bytes()
    whole, errors = decoded(body)
    assert decoded(*(body[place : place + 1] for place in range(len(body)))) == (whole, errors)
    assert errors == []
    assert whole[-1] == DoneEvent()


@pytest.mark.parametrize("protocol", ["assistants", "responses"])
def test_the_chunks_of_a_buffer_are_as_those_of_bytes(protocol):
    ping = PING.replace(b'{"n"', b'{"type": "ping", "n"')
    events = []
    for kind in (bytes, bytearray):
        chunks = reactivex.from_iterable(map(kind, (ping, ping, DONE)))
        chunks.pipe(decode(protocol=protocol), ops.to_list()).subscribe(events.append)
    assert events[0] == events[1]
    assert len(events[0]) == 3


def test_an_event_comes_with_the_chunk_that_completes_it(flows):
    flows(
        decode(),
        "-a-b-c-|",
        "---p-d-|",
        "^------!",
        a=PING[:9],
        b=PING[9:],
        c=DONE,
        p=UnknownEvent("ping", {"n": 1}),
        d=DoneEvent(),
    )


def test_an_event_without_its_blank_line_comes_with_the_end(flows):
    flows(
        decode(),
        "-a-b-|",
        "-p---(d|)",
        a=PING,
        b=DONE.rstrip(),
        p=UnknownEvent("ping", {"n": 1}),
        d=DoneEvent(),
    )


def test_a_body_that_is_cut_in_an_event_is_truncated(flows):
    error = flows(
        decode(),
        "-a-b-|",
        "-p---#",
        "^----!",
        a=PING,
        b=PING[:20],
        p=UnknownEvent("ping", {"n": 1}),
    )
    assert isinstance(error, StreamTruncated)
    assert "in the middle of an event" in str(error)


def test_a_lost_connection_stays_the_error_that_it_is(flows):
    """What is pending then is not guessed at."""
    lost = ConnectionResetError()
    assert flows(decode(), "-a-#", "---#", a=DONE.rstrip(), error=lost) is lost


def test_data_that_cannot_be_what_its_name_says_is_an_error_after_the_events_before_it(flows):
    error = flows(
        decode(),
        "-a-b-|",
        "-(p#)",
        "^!",
        a=PING + b"event: thread.run.queued\ndata: []\n\n" + DONE,
        b=PING,
        p=UnknownEvent("ping", {"n": 1}),
    )
    assert isinstance(error, DecodeError)
    assert error.event == "thread.run.queued"


def test_an_event_that_is_too_large_is_an_error_and_frees_the_source(flows):
    error = flows(
        decode(max_event_bytes=40),
        "-a-b-b-b-|",
        "-p---#",
        "^----!",
        a=PING,
        b=b"data: 4567890123456789",
        p=UnknownEvent("ping", {"n": 1}),
    )
    assert isinstance(error, EventTooLargeError)
    assert error.limit == 40


def test_a_limit_that_is_none_is_refused_when_it_is_subscribed():
    with pytest.raises(ValueError, match="max_event_bytes"):
        reactivex.of(PING).pipe(decode(max_event_bytes=0)).subscribe()


def test_an_empty_body_is_no_event(flows):
    flows(decode(), "---|", "---|")
    flows(decode(), "-a-|", "---|", a=b"")


@pytest.mark.parametrize(("bound", "error"), [(0, ValueError), ("x", TypeError), (True, TypeError)])
def test_a_bound_that_is_none_is_refused_at_once(bound, error):
    with pytest.raises(error, match="max_event_bytes"):
        decode(max_event_bytes=bound)


def test_a_protocol_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="protocol must be one of assistants, responses, got 'x'"):
        decode(protocol="x")


def test_the_bodies_of_the_other_protocol_are_decoded_whatever_their_chunks():
    body = (Path(__file__).parents[1] / "wire/responses/dotnet-hello.sse").read_bytes()
    chunks = [body[begin : begin + 7] for begin in range(0, len(body), 7)]
    names = reactivex.from_iterable(chunks).pipe(
        decode(protocol="responses"), ops.map(lambda event: event.name), ops.to_list()
    )
    assert names.run()[:2] == ["response.created", "response.in_progress"]
    assert names.run()[-1] == "response.completed"
