"""Bodies of the Responses protocol: the same events in any chunks, written as they were sent."""

import json
from itertools import pairwise
from typing import get_args

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from rxassist.errors import DecodeError, StreamTruncated
from rxassist.errors.redaction import Secrets
from rxassist.protocols.responses.codec import _TYPES, EventDecoder, encode_event
from rxassist.protocols.responses.events import (
    CallDelta,
    DoneEvent,
    ErrorEvent,
    FailureAnnounced,
    KeepAlive,
    OutputItemAdded,
    OutputTextDelta,
    ReasoningDelta,
    ResponseCompleted,
    ResponseEvent,
    ResponseFailed,
    UnknownDelta,
    UnknownEvent,
)
from rxassist.protocols.responses.models import UnknownItem
from rxassist.wire.sse import SSEDecoder, encode

CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
FAILURE = {"code": "rate_limit_exceeded", "message": "Too many."}
FAILED = {
    "type": "response.failed",
    "response": {"id": "resp_1", "status": "failed", "error": FAILURE},
}


def delta(text, index=0, **more):
    placed = {"item_id": "msg_1", "output_index": index, "content_index": 0}
    return {"type": "response.output_text.delta", **placed, "delta": text, **more}


def added(item, index=0):
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def completed(response_id="resp_1", **more):
    response = {"id": response_id, "status": "completed", **more}
    return {"type": "response.completed", "response": response}


# --- recordings ----------------------------------------------------------------------------


def test_every_event_is_typed_and_stamped_with_the_id_of_its_response(recorded):
    assert not [event for event in recorded if isinstance(event, UnknownEvent)]
    assert {event.response_id for event in recorded} == {
        event.run().id for event in recorded if event.run() is not None
    }


def test_single_bytes_give_the_same_events(path, recorded, decode):
    whole = path.read_bytes()
    step = 1 if len(whole) < 30_000 else 97
    assert decode(*[whole[at : at + step] for at in range(0, len(whole), step)]) == recorded


def test_events_one_by_one_give_the_same(path, recorded, decode):
    chunks = [chunk + b"\n\n" for chunk in path.read_bytes().split(b"\n\n") if chunk]
    assert decode(*chunks) == recorded


@given(data=st.data())
def test_any_chunks_give_the_same_events(data, short_streams, decode):
    whole = data.draw(st.sampled_from(short_streams)).read_bytes()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    places = [0, *cuts, len(whole)]
    chunks = [whole[a:b] for a, b in pairwise(places)]
    assert decode(*chunks) == decode(whole)


def test_what_is_written_is_read_as_the_same_events(recorded, decode):
    assert decode(b"".join(encode(encode_event(event)) for event in recorded)) == recorded


def test_nothing_is_lost_or_changed_when_it_is_written(path, recorded):
    """Only what is missing or null may be written as the other, or as an empty list."""
    sent = list(SSEDecoder().feed(path.read_bytes()))
    for event, said in zip(recorded, sent, strict=True):
        written = encode_event(event)
        assert written.event == said.event
        assert _bare(json.loads(written.data)) == _bare(json.loads(said.data))


def _bare(value):
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if item not in (None, [])}
    return [_bare(item) for item in value] if isinstance(value, list) else value


def test_names_may_be_missing_from_the_lines(path, recorded, decode):
    """As some servers send it: only data."""
    lines = path.read_bytes().splitlines(keepends=True)
    bare = b"".join(line for line in lines if not line.startswith(b"event:"))
    assert decode(bare) == recorded


# --- one id for each response --------------------------------------------------------------


def test_ids_that_change_with_every_event_are_only_hints(told):
    events = told(
        CREATED,
        delta("Hi", item_id="one"),
        delta("!", item_id="other"),
        completed("resp_other", output=[]),
    )
    assert {event.response_id for event in events} == {"resp_1"}
    assert events[-1].response.id == "resp_other"
    assert events[-1].run().id == "resp_1"
    assert events[1].key == events[2].key


def test_two_responses_in_one_body_are_told_apart(told):
    second = {"type": "response.created", "response": {"id": "resp_2", "status": "in_progress"}}
    events = told(CREATED, delta("A"), completed(), second, delta("B"), completed("resp_2"))
    assert [event.response_id for event in events] == ["resp_1"] * 3 + ["resp_2"] * 3


def test_another_response_after_the_end_of_one_needs_no_created(told):
    begun = {"type": "response.in_progress", "response": {"id": "resp_2"}}
    events = told(CREATED, completed(), begun, delta("B"))
    assert [event.response_id for event in events] == ["resp_1", "resp_1", "resp_2", "resp_2"]


def test_a_resumed_body_has_the_id_that_is_given(told):
    events = told(delta("B"), completed(), response_id="resp_1")
    assert {event.response_id for event in events} == {"resp_1"}


def test_a_body_without_a_beginning_keeps_one_key(told):
    events = told(delta("B"), completed())
    assert {event.response_id for event in events} == {""}
    assert events[-1].run().id == "resp_1"


def test_a_body_may_begin_with_a_keepalive(told):
    alive = {"type": "keepalive", "sequence_number": 3}
    begun = {"type": "response.in_progress", "response": {"id": "resp_1"}}
    events = told(alive, begun, delta("A"), completed())
    assert [event.response_id for event in events] == ["", "resp_1", "resp_1", "resp_1"]


def test_items_without_a_place_are_placed_by_their_ids(told):
    def grown(item_id, text):
        sent = {"type": "response.output_text.delta", "item_id": item_id, "content_index": 0}
        return {**sent, "delta": text}

    def begun(item_id):
        item = {"id": item_id, "type": "message"}
        return {"type": "response.output_item.added", "item": item}

    events = told(CREATED, begun("a"), begun("b"), grown("a", "1"), grown("b", "2"), grown("", "3"))
    assert [event.output_index for event in events[1:]] == [0, 1, 0, 1, 1]


# --- errors --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "error": {"type": "tokens", **FAILURE}},
        {"type": "error", **FAILURE, "param": None},
        'event: error\ndata: {"code": "rate_limit_exceeded", "message": "Too many."}\n\n',
        'data: {"error": {"code": "rate_limit_exceeded", "message": "Too many."}}\n\n',
    ],
)
def test_an_error_before_the_failed_response_is_only_data(told, error):
    announced, failed = told(CREATED, error, FAILED)[1:]
    assert isinstance(announced, FailureAnnounced)
    assert announced.error() is None
    assert announced.data.message == "Too many."
    assert isinstance(failed, ResponseFailed)

    (alone,) = told(CREATED, error)[1:]
    assert alone.error().code == "rate_limit_exceeded"

    (first, second) = told(error, CREATED)
    assert type(first) is ErrorEvent
    assert second.run().id == "resp_1"


def test_an_error_is_held_until_the_next_event(body):
    decoder = EventDecoder()
    assert list(decoder.feed(body({"type": "error", "error": FAILURE}))) == []
    alive = list(decoder.feed(body({"type": "keepalive", "sequence_number": 3})))
    assert alive == [KeepAlive(3)]
    first, second = decoder.feed(body(delta("Hi")))
    assert isinstance(first, ErrorEvent)
    assert isinstance(second, OutputTextDelta)


def test_errors_that_are_text_or_repeated_come_through(told):
    assert told("event: error\ndata: overloaded\n\n")[0].data.message == "overloaded"
    error = {"type": "error", "error": FAILURE}
    first, second, _ = told(error, error, FAILED)
    assert type(first) is ErrorEvent
    assert type(second) is FailureAnnounced


def test_errors_are_written_without_credentials(told):
    secrets = Secrets(1)
    secrets.add("sk-abcdefgh")
    (error,) = told({"type": "error", "error": {"message": "The key sk-abcdefgh is wrong."}})
    assert error.data.message == "The key *** is wrong."


# --- what servers leave out or add ---------------------------------------------------------


def test_events_that_nobody_knows_pass_whole(told):
    grown = {"type": "response.video.delta", "sequence_number": 7, "delta": {"frame": 1}}
    other = {"type": "response.video.done", "frames": [1]}
    text = "event: ping\ndata: hello\n\n"
    first, second, third = told(grown, other, text)
    assert isinstance(first, UnknownDelta)
    assert first.is_delta
    assert (first.name, first.data, first.sequence_number) == (grown["type"], grown, 7)
    assert type(second) is UnknownEvent
    assert (third.name, third.data) == ("ping", "hello")
    assert [json.loads(encode_event(event).data) for event in (first, second)] == [grown, other]


def test_a_new_event_that_carries_a_response_tells_of_it(told):
    sent = {"type": "response.cancelled", "response": {"id": "resp_1"}}
    (event,) = told(sent)
    assert type(event) is ResponseEvent
    assert event.run_status() == event.run().status == "cancelled"
    assert json.loads(encode_event(event).data)["type"] == "response.cancelled"


def test_items_that_nobody_knows_keep_their_json(told):
    item = {"type": "video_call", "id": "v_1", "frames": [1]}
    (event,) = told(added(item))
    assert event.item == UnknownItem("video_call", item)
    assert event.item.id == "v_1"


def test_what_a_delta_of_text_has_besides_is_written_again(told):
    (event,) = told(delta("a", obfuscation="x", new=1, extra={"of": "a server"}))
    written = json.loads(encode_event(event).data)
    assert written["delta"] == "a"
    assert written["obfuscation"] == "x"
    assert (written["new"], written["extra"]) == (1, {"of": "a server"})
    assert not [name for name in written if name.startswith("_")]


def test_the_end_of_the_stream_may_be_marked(told):
    events = told(CREATED, completed(), "data: [DONE]\n\n")
    assert events[-1] == DoneEvent(response_id="resp_1")
    assert events[-1].is_done
    assert encode_event(events[-1]).data == "[DONE]"
    assert isinstance(events[-2], ResponseCompleted)


def test_usual_deltas_and_others_are_the_same_events(told):
    """The fast way and the other one: an unknown field takes the second."""
    for sent, cls in (
        (delta("A", logprobs=[{"token": "A", "logprob": 0}], obfuscation="x"), OutputTextDelta),
        ({"type": "response.reasoning_text.delta", "content_index": 1}, ReasoningDelta),
        ({"type": "response.reasoning_summary_text.delta", "summary_index": 1}, ReasoningDelta),
        ({"type": "response.function_call_arguments.delta"}, CallDelta),
        ({"type": "response.custom_tool_call_input.delta"}, CallDelta),
        ({"type": "response.mcp_call_arguments.delta"}, CallDelta),
        ({"type": "response.code_interpreter_call_code.delta"}, CallDelta),
    ):
        whole = {"item_id": "i", "output_index": 2, "delta": "d", "sequence_number": 4, **sent}
        (usual,), (other,) = told(whole), told({**whole, "new": 1})
        assert type(usual) is cls
        assert other.extra == {"new": 1}
        assert evolve(other, extra=None) == usual


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({"type": "response.created"}, "$.response"),
        ({"type": "response.output_item.done", "item": []}, "$.item"),
        ({"type": "response.content_part.added"}, "$.part"),
        (delta(["A"]), "$.delta"),
        (completed(output={}), "$.output"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(told, sent, place):
    with pytest.raises(DecodeError) as caught:
        told(sent)
    assert caught.value.path == place


def test_a_body_that_is_cut_in_an_event_is_truncated(body, decode):
    whole = body(CREATED, delta("Hello"))
    with pytest.raises(StreamTruncated, match=r"response\.output_text\.delta"):
        decode(whole[:-10])
    assert len(decode(whole[:-1])) == 2


def test_an_item_event_keeps_what_it_says(told):
    (event,) = told(added({"type": "function_call", "call_id": "call_1", "name": "add"}, 3))
    assert event == OutputItemAdded(None, "", 3, event.item)
    assert event.item.name == "add"


def test_every_event_of_the_official_sdk_is_known():
    responses = pytest.importorskip("openai.types.responses")
    named = set()
    for cls in _members(responses.ResponseStreamEvent):
        named |= set(get_args(cls.model_fields["type"].annotation))
    assert len(named) >= 59
    assert named - {"error"} <= set(_TYPES)


def _members(kind):
    """The classes of an annotated union."""
    if not get_args(kind):
        return [kind] if hasattr(kind, "model_fields") else []
    return [member for each in get_args(kind) for member in _members(each)]
