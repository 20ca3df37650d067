"""Server-Sent Events, after WHATWG HTML section 9.2.6."""

from itertools import pairwise

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rxassist.errors import EventTooLargeError
from rxassist.wire.sse import ServerSentEvent, SSEDecoder, encode


def decode(*chunks, limit=1000):
    decoder = SSEDecoder(limit)
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def outcome(chunks, limit=1000):
    """The events, and how it ended: with an error, or with what was pending."""
    decoder = SSEDecoder(limit)
    events = []
    try:
        for chunk in chunks:
            for event in decoder.feed(chunk):
                events.append(event)  # noqa: PERF402 -- those before an error count
        return events, decoder.flush()
    except EventTooLargeError:
        return events, EventTooLargeError


def data_of(*chunks):
    return [event.data for event in decode(*chunks)]


# --- the examples of the standard ----------------------------------------------------------


def test_example_stock_ticker():
    assert decode(b"data: YHOO\ndata: +2\ndata: 10\n\n") == [ServerSentEvent(data="YHOO\n+2\n10")]


def test_example_comment_ids_and_a_leading_space():
    body = (
        b": test stream\n\n"
        b"data: first event\nid: 1\n\n"
        b"data:second event\nid\n\n"
        b"data:  third event\n\n"
    )
    assert decode(body) == [
        ServerSentEvent(data="first event", id="1"),
        ServerSentEvent(data="second event", id=""),
        ServerSentEvent(data=" third event", id=""),
    ]


def test_example_empty_data_and_no_final_blank_line():
    body = b"data\n\ndata\ndata\n\ndata:"
    assert data_of(body) == ["", "\n"]


def test_example_colon_with_and_without_space():
    assert data_of(b"data:test\n\ndata: test\n\n") == ["test", "test"]


def test_example_add_remove():
    body = b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n"
    assert decode(body) == [
        ServerSentEvent("add", "73857293"),
        ServerSentEvent("remove", "2153"),
    ]


# --- lines ---------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=["LF", "CR", "CRLF"])
def test_line_ends(end):
    assert data_of(b"data: a%bdata: b%b%bdata: c%b%b" % ((end,) * 5)) == ["a\nb", "c"]


def test_line_ends_may_be_mixed():
    assert data_of(b"data: a\r\n\rdata: b\n\r\ndata: c\r\r\n") == ["a", "b", "c"]


@pytest.mark.parametrize(
    "chunks",
    [
        (b"data: a\r", b"\ndata: b\r\n\r\n"),
        (b"data: a\r", b"", b"\ndata: b\r\n\r\n"),
        (b"data: a\r\ndata: b\r", b"\n\r", b"\n"),
        (b"data: a\r\ndata: b\r\n\r",),
    ],
)
def test_a_crlf_cut_between_chunks_is_one_line_end(chunks):
    assert data_of(*chunks) == ["a\nb"]


def test_a_cr_ends_a_line_without_waiting_for_a_lf():
    assert data_of(b"data: a\r\r") == ["a"]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\u0085", "\v", "\f", "\x1c", "\0"])
def test_other_line_separators_are_text(character):
    assert data_of(f"data: a{character}b\n\n".encode()) == [f"a{character}b"]


def test_comments_are_skipped_wherever_they_are():
    assert data_of(b": hi\n:\ndata: a\n: ping\ndata: b\n:data: c\n\n") == ["a\nb"]


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (b"event: a", "a"),
        (b"event:a", "a"),
        (b"event:  a", " a"),
        (b"event:\ta", "\ta"),
        (b"event: a: b", "a: b"),
        (b"event", "message"),
        (b"event:", "message"),
        (b"Event: a", "message"),
        (b" event: a", "message"),
        (b"event : a", "message"),
        (b"events: a", "message"),
    ],
)
def test_fields_and_their_spaces(line, event):
    assert decode(line + b"\ndata\n\n") == [ServerSentEvent(event)]


def test_the_last_event_field_wins_and_is_forgotten_with_the_event():
    body = b"event: a\nevent: b\ndata: 1\n\ndata: 2\n\n"
    assert decode(body) == [ServerSentEvent("b", "1"), ServerSentEvent("message", "2")]


def test_a_name_is_not_left_over_for_a_later_event():
    chunks = b"event: a\n", b"event: b\ndata: 1\n\n", b"data: 2\n\n"
    assert decode(*chunks) == [ServerSentEvent("b", "1"), ServerSentEvent("message", "2")]


def test_an_event_without_data_is_not_dispatched_and_its_name_is_forgotten():
    assert decode(b"event: a\n\ndata: 1\n\n\n\n") == [ServerSentEvent("message", "1")]


def test_an_id_stays_until_another_one_comes():
    body = b"id: 1\ndata\n\ndata\n\nid: 2\n\ndata\n\nid\ndata\n\n"
    assert [event.id for event in decode(body)] == ["1", "1", "2", ""]


def test_an_id_with_a_nul_is_ignored():
    assert [event.id for event in decode(b"id: 1\ndata\n\nid: 2\0\ndata\n\n")] == ["1", "1"]


@pytest.mark.parametrize(
    ("value", "retry"),
    [
        ("3000", 3000),
        ("0", 0),
        ("007", 7),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1s", None),
        (" 1", None),
        ("1_000", None),
        ("\u0663", None),  # a digit, but not an ASCII one
        ("9" * 5000, None),
        ("0" * 21 + "3000", 3000),
        ("0" * 5000, 0),
        ("0" * 5000 + "9" * 19, None),
    ],
)
def test_retry_takes_digits_only(value, retry):
    (event,) = decode(f"retry: {value}\ndata\n\n".encode(), limit=10_000)
    assert event.retry == retry


def test_retry_is_told_once():
    assert [event.retry for event in decode(b"retry: 5\ndata\n\ndata\n\n")] == [5, None]


# --- bytes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", range(4))
def test_a_leading_bom_is_dropped_however_it_is_cut(cut):
    body = b"\xef\xbb\xbfdata: a\n\n"
    assert data_of(body[:cut], body[cut:]) == ["a"]
    assert data_of(*(body[:cut][i : i + 1] for i in range(cut)), b"", body[cut:]) == ["a"]


def test_only_one_bom_is_dropped_and_only_at_the_start():
    bom = b"\xef\xbb\xbf"
    assert data_of(bom + bom + b"data: a\n\n") == []
    assert data_of(b"data: " + bom + b"a\n\n") == ["\ufeffa"]


def test_what_only_looks_like_a_bom_is_kept():
    assert decode(b"\xef\xbb", b"\xbe: a\ndata: b\n\n") == [ServerSentEvent(data="b")]


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"\xff", "\ufffd"),
        (b"a\xc3", "a\ufffd"),
        (b"\xe2\x82", "\ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        (b"\xf0\x9f\x98\x80", "\U0001f600"),
    ],
)
def test_malformed_utf8_is_replaced(sent, text):
    body = b"event: " + sent + b"\ndata: " + sent + b"\nid: " + sent + b"\n\n"
    assert decode(body) == [ServerSentEvent(text, text, text)]


def test_a_character_cut_by_a_line_end_does_not_swallow_it():
    assert data_of(b"data: \xe2\x82\ndata: \xac\n\n") == ["\ufffd\n\ufffd"]


def test_a_character_cut_by_chunks_is_whole():
    body = "data: 日本語 😀\n\n".encode()
    assert data_of(*(body[i : i + 1] for i in range(len(body)))) == ["日本語 😀"]


def test_nothing_is_decoded_before_it_is_asked_for():
    decoder = SSEDecoder()
    events = decoder.feed(b"data: a\n\ndata: b\n\n")
    assert next(events).data == "a"
    assert next(events).data == "b"


# --- the end of the body -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "pending"),
    [
        (b"", None),
        (b"data: a\n\n", None),
        (b": ping", None),
        (b"data: a\n\n: ping\n", None),
        (b"id: 1\n", None),
        (b"data: a\n", ServerSentEvent(data="a")),
        (b"data: a", ServerSentEvent(data="a")),
        (b"data: a\r", ServerSentEvent(data="a")),
        (b"event: e\ndata: a\ndata: b", ServerSentEvent("e", "a\nb")),
        (b"event: e", ServerSentEvent("e")),
        (b"id: 1\ndata\n\ndata: a", ServerSentEvent(data="a", id="1")),
    ],
)
def test_flush_gives_what_is_pending(body, pending):
    decoder = SSEDecoder()
    list(decoder.feed(body))
    assert decoder.flush() == pending


# --- bounds --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"data: " + b"a" * 100 + b"\n\n",
        b"data: " + b"a" * 100,
        b"data: aaaaaaaaaaaa\n" * 10,
        b"data\n" * 100,
        b"data: \n" * 100,
        b": " + b"a" * 100,
        b": " + b"a" * 100 + b"\n",
        b"event: " + b"a" * 100 + b"\n",
        b"id: " + b"a" * 100,
        b"nothing" * 20,
    ],
    ids=[
        "a line",
        "an endless line",
        "an event",
        "empty data lines",
        "empty data lines with a space",
        "an endless comment",
        "a comment",
        "a name",
        "an id",
        "an unknown field",
    ],
)
def test_an_event_larger_than_the_bound_is_an_error(body):
    for chunks in ([body], [body[i : i + 1] for i in range(len(body))]):
        events, end = outcome([b"data: before\n\n", *chunks], limit=64)
        assert events == [ServerSentEvent(data="before")]
        assert end is EventTooLargeError


def test_an_endless_line_counts_with_the_lines_before_it():
    with pytest.raises(EventTooLargeError):
        decode(b"data: " + b"a" * 30 + b"\ndata: " + b"a" * 30, limit=64)


def test_the_events_before_in_the_same_chunk_are_delivered():
    body = b"data: 1\n\ndata: 2\n\ndata: " + b"a" * 100 + b"\n\ndata: 3\n\n"
    assert outcome([body], limit=64) == (decode(b"data: 1\n\ndata: 2\n\n"), EventTooLargeError)


def test_the_error_names_the_bound():
    with pytest.raises(EventTooLargeError, match="max_event_bytes=8") as caught:
        decode(b"data: 123456789", limit=8)
    assert caught.value.limit == 8


def test_the_bound_is_on_one_event_not_on_the_stream():
    assert len(data_of(*[b"data: aaaaaaaaaa\n\n"] * 1000)) == 1000
    assert data_of(*[b": keep-alive\n\n"] * 1000) == []


def test_an_event_of_the_size_of_the_bound_passes():
    assert data_of(b"data: " + b"a" * 994 + b"\n\n") == ["a" * 994]


def test_a_bound_below_one_is_refused():
    with pytest.raises(ValueError, match="max_event_bytes must be at least 1, got 0"):
        SSEDecoder(0)


# --- laws ----------------------------------------------------------------------------------

_fields = st.sampled_from(
    [b"data", b"event", b"id", b"retry", b"", b"nonsense", b"\xef\xbb\xbfdata", b" data"]
)
_values = st.one_of(
    st.sampled_from(
        [b"", b" ", b"a", b" a", b"[DONE]", b"12", b"\0", b"\xe2\x82", b"\xe2\x82\xac"]
    ),
    st.binary(max_size=12),
)
_lines = st.builds(
    lambda field, colon, value: field + colon + value,
    _fields,
    st.sampled_from([b":", b": ", b""]),
    _values,
)
_ends = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r", b""])
_bodies = st.builds(
    lambda start, lines: start + b"".join(line + end for line, end in lines),
    st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\xef\xbb", b"\xef"]),
    st.lists(st.tuples(st.one_of(_lines, st.just(b"")), _ends), max_size=12),
)  # fmt: skip


def cut(body, places):
    marks = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[a:b] for a, b in pairwise(marks)]


@given(_bodies, st.lists(st.integers(0, 200), max_size=8), st.sampled_from([4, 16, 1000]))
@example(b"data: a\r\n\r\ndata: b\r\n\r\n", [8, 9, 10], 1000)
def test_law_every_chunking_gives_the_same_events(body, places, limit):
    whole = outcome([body], limit)
    assert outcome(cut(body, places), limit) == whole
    assert outcome([body[i : i + 1] for i in range(len(body))], limit) == whole


def data_by_the_book(body):
    """The data of the events of a whole body, line by line as the standard says."""
    body = body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    data, found = [], []
    for line in body.split(b"\n")[:-1]:
        name, _, value = line.partition(b":")
        if name == b"data" and line:
            data.append(value.removeprefix(b" "))
        if not line and data:
            found.append(b"\n".join(data).decode(errors="replace"))
            data = []
    return found


_pieces = st.sampled_from(
    [
        b"\xef\xbb\xbf",
        b"\xef",
        b"\xbb",
        b"\xbf",
        b"",
        b"\r",
        b"\n",
        b"\n\n",
        b":",
        b"data",
        b"data: a",
    ]
)


@given(st.lists(_pieces, max_size=16))
@example([b"", b"\r", b"\xef\xbb\xbf", b"data: a", b"\n\n"])
@example([b"data: a", b"\n\n", b"\xef\xbb\xbf", b"data: a", b"\n\n"])
@example([b"data: ", b"\xef", b"\xbb", b"\xbf", b"\n\n"])
def test_law_a_bom_is_dropped_at_the_very_start_and_is_text_elsewhere(pieces):
    assert data_of(*pieces) == data_by_the_book(b"".join(pieces))


_text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)
_events = st.builds(
    ServerSentEvent,
    event=_text.filter(bool),
    data=st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=40),
    id=_text,
    retry=st.none() | st.integers(0, 10**18 - 1),
)


@given(_events)
@example(ServerSentEvent())
@example(ServerSentEvent(data="\n"))
@example(ServerSentEvent(" e", " d\n d", " i"))
@example(ServerSentEvent("\ufeff", "\u2028\u0085", "\ufeff"))
def test_law_encode_is_the_inverse_of_decode(event):
    assert decode(encode(event), limit=10_000) == [event]


@given(st.lists(_events.filter(lambda event: event.id), max_size=5))
def test_law_encoded_events_follow_one_another(events):
    assert decode(b"".join(encode(event) for event in events), limit=10_000) == events


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (ServerSentEvent(data="a\rb"), "data"),
        (ServerSentEvent(event="a\nb"), "event"),
        (ServerSentEvent(event="a\rb"), "event"),
        (ServerSentEvent(id="a\nb"), "id"),
        (ServerSentEvent(id="a\0b"), "id"),
        (ServerSentEvent(retry=-1), "retry"),
    ],
)
def test_encode_refuses_what_the_format_cannot_carry(event, name):
    with pytest.raises(ValueError, match=f"^{name} "):
        encode(event)


def test_encode_writes_as_the_service_does():
    assert encode(ServerSentEvent("done", "[DONE]")) == b"event: done\ndata: [DONE]\n\n"


# --- httpx-sse -----------------------------------------------------------------------------


def with_httpx_sse(body):
    httpx_sse = pytest.importorskip("httpx_sse")
    headers = {"content-type": "text/event-stream"}
    response = httpx.Response(200, headers=headers, content=body)
    return [
        ServerSentEvent(event.event, event.data, event.id, event.retry)
        for event in httpx_sse.EventSource(response).iter_sse()
    ]


_plain = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc",), exclude_characters="\ufeff"),
    max_size=10,
)


@given(st.lists(st.builds(ServerSentEvent, _plain.filter(bool), _plain, st.just("")), max_size=5))
def test_httpx_sse_agrees_on_well_formed_streams(events):
    body = b"".join(encode(event) for event in events)
    assert with_httpx_sse(body) == decode(body, limit=10_000) == events


@pytest.mark.parametrize(
    ("body", "ours", "theirs"),
    [
        pytest.param(
            b"event: a\n\n",
            [],
            [ServerSentEvent("a")],
            id="dispatches an event without data",
        ),
        pytest.param(
            b"id: 1\ndata: a\n\n: ping\n\n",
            [ServerSentEvent(data="a", id="1")],
            [ServerSentEvent(data="a", id="1"), ServerSentEvent(id="1")],
            id="dispatches at every blank line once there was an id",
        ),
        pytest.param(
            b"retry: -1\ndata: a\n\n",
            [ServerSentEvent(data="a")],
            [ServerSentEvent(data="a", retry=-1)],
            id="takes a retry that is not digits only",
        ),
        pytest.param(
            b"\xef\xbb\xbfdata: a\n\n",
            [ServerSentEvent(data="a")],
            [],
            id="keeps the byte order mark and loses the first line",
        ),
    ],
)
def test_where_httpx_sse_differs(body, ours, theirs):
    """Why we have a decoder of our own. It has no bound on the size of an event either."""
    assert decode(body) == ours
    assert with_httpx_sse(body) == theirs
