"""Models, events and snapshots to plain data and JSON, and back: equal."""

import json
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rxassist
from rxassist import from_dict, from_json, models, to_dict, to_json
from rxassist.errors import DecodeError
from rxassist.events import (
    DoneEvent,
    ErrorEvent,
    Event,
    ThreadMessageDelta,
    ThreadRunQueued,
    UnknownEvent,
)
from rxassist.models import ErrorObject, Message, Page, Run, Thread, ToolCall, UnknownToolCall
from rxassist.protocols.assistants.codec import EventDecoder, encode_event
from rxassist.protocols.assistants.snapshots import Snapshot, fold
from rxassist.testing import EventBuilder
from rxassist.wire.structure import structure

WIRE = Path(__file__).parent / "wire"
FILES = [path for path in sorted((WIRE / "assistants").glob("*.sse")) if path.stem[:3] != "php"]


def events_of(path):
    decoder = EventDecoder()
    return [*decoder.feed(path.read_bytes()), *decoder.flush()]


STREAMS = {path.stem: events_of(path) for path in FILES}
BY_OBJECT = {
    attrs.fields(cls).object.default: cls
    for cls in map(models.__dict__.get, models.__all__)
    if attrs.has(cls) and "object" in attrs.fields_dict(cls)
}


def bodies():
    for path in sorted((WIRE / "rest").glob("*.json")):
        body = json.loads(path.read_text())
        exchanges = path.name.startswith("exchanges-")
        said = [one["response"] for one in body] if exchanges else [body]
        for number, each in enumerate(said):
            if each.get("object") in BY_OBJECT:
                yield pytest.param(each, id=f"{path.stem}-{number}")


def seen(snapshot):
    """All that a snapshot says."""
    return (
        snapshot.event,
        snapshot.run,
        snapshot.message,
        snapshot.run_step,
        snapshot.messages,
        snapshot.run_steps,
        snapshot.text,
    )


@pytest.mark.parametrize("body", list(bodies()))
def test_every_recorded_body_there_and_back(body):
    kind = BY_OBJECT[body["object"]]
    if kind is Page:
        kind = Page[BY_OBJECT[body["data"][0]["object"]]] if body["data"] else Page[Run]
    value = structure(body, kind)
    assert from_dict(kind, to_dict(value)) == value
    assert from_json(kind, to_json(value)) == value
    assert json.loads(to_json(value)) == to_dict(value)


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_every_recorded_event_there_and_back(name):
    for event in STREAMS[name]:
        again = from_json(Event, to_json(event))
        assert (type(again), again) == (type(event), event)
        assert from_dict(type(event), to_dict(event)) == event


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_a_delta_is_written_alike_whether_its_models_were_made_or_not(name):
    path = WIRE / "assistants" / f"{name}.sse"
    for unread, read in zip(events_of(path), events_of(path), strict=True):
        if isinstance(read, ThreadMessageDelta):
            assert encode_event(unread) == encode_event(type(read)(read.data))


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_every_snapshot_of_a_recorded_stream_there_and_back(name):
    snapshot = again = Snapshot()
    for event in STREAMS[name]:
        snapshot, again = fold(snapshot, event), fold(again, event)
        assert seen(again) == seen(snapshot)
        again = from_json(Snapshot, to_json(again))
        assert seen(again) == seen(snapshot)
        assert to_dict(again) == to_dict(snapshot)


@given(st.sampled_from(sorted(STREAMS)), st.data())
def test_law_a_snapshot_that_was_kept_grows_as_the_one_that_was_not(name, data):
    events = data.draw(st.lists(st.sampled_from(STREAMS[name]), max_size=30))
    place = data.draw(st.integers(0, len(events)))
    before = after = Snapshot()
    for number, event in enumerate(events):
        before = fold(before, event)
        after = fold(from_dict(Snapshot, to_dict(after)) if number == place else after, event)
    assert seen(after) == seen(before)


def odd_deltas():
    """Deltas of text with marks, of calls that share an index, and of outputs in any order."""
    build = EventBuilder()
    indexes, ids = st.integers(0, 2), st.sampled_from([None, "c1", "c2", "c3"])

    def marked(index, mark, text):
        cited = {"index": mark, "type": "file_citation", "text": text, "file_citation": {}}
        value = {"value": text, "annotations": [cited]}
        return build.message_delta({"index": index, "type": "text", "text": value})

    def called(call_id, index):
        said = {"index": index, "type": "function", "function": {"arguments": "a"}}
        return build.run_step_delta(said | ({} if call_id is None else {"id": call_id}))

    def ran(output, logs):
        told = {"outputs": [{"index": output, "type": "logs", "logs": logs}]}
        said = {"index": 9, "id": "run", "type": "code_interpreter", "code_interpreter": told}
        return build.run_step_delta(said)

    texts = st.sampled_from(["x", "y"])
    return st.one_of(
        st.builds(marked, indexes, indexes, texts),
        st.builds(called, ids, indexes),
        st.builds(ran, indexes, texts),
    )


@given(st.lists(odd_deltas(), max_size=12), st.data())
def test_law_what_is_odd_grows_on_as_if_it_had_not_been_kept(events, data):
    place = data.draw(st.integers(0, len(events)))
    before = after = Snapshot()
    for number, event in enumerate(events):
        before = fold(before, event)
        after = fold(from_json(Snapshot, to_json(after)) if number == place else after, event)
    assert seen(after) == seen(before)


def test_a_snapshot_that_was_kept_without_the_indexes_inside_is_read():
    build = EventBuilder()
    snapshot = fold(Snapshot(), build.message_delta("a"))
    kept = {**to_dict(snapshot), "indexes": {"msg_1": [0]}}
    del kept["named"]
    assert seen(from_dict(Snapshot, kept)) == seen(snapshot)


def test_calls_that_share_an_index_are_kept_apart():
    calls = [
        {"index": index, "id": call_id, "type": "function", "function": {"arguments": "a"}}
        for index, call_id in [(3, "c1"), (3, "c2"), (7, "c3")]
    ]
    delta = {"id": "step_1", "delta": {"step_details": {"type": "tool_calls", "tool_calls": calls}}}
    event = from_dict(Event, {"event": "thread.run.step.delta", "data": delta})
    snapshot = fold(Snapshot(), event)
    again = fold(from_dict(Snapshot, to_dict(snapshot)), event)
    assert seen(again) == seen(fold(snapshot, event))


@pytest.mark.parametrize(
    "event",
    [
        DoneEvent(),
        ErrorEvent(ErrorObject("no", "server_error", "a", None, extra={"hint": [1]})),
        UnknownEvent("thread.hummed", [1, None]),
        UnknownEvent("ping", "text"),
        UnknownEvent("message", {"event": "x"}),
    ],
)
def test_other_events_there_and_back(event):
    assert from_json(Event, to_json(event)) == event


def test_what_no_field_is_there_for_goes_along():
    thread = Thread("thread_1", extra={"mood": {"a": 1}})
    assert to_dict(thread)["mood"] == {"a": 1}
    assert from_dict(Thread, to_dict(thread)) == thread
    call = UnknownToolCall("hum", {"type": "hum", "id": "c"})
    assert from_dict(ToolCall, to_dict(call)) == call
    assert call.extra == {"id": "c"}


def test_an_error_keeps_what_else_it_says_in_both_shapes():
    said = {"message": "no", "inner": 1}
    for data in (said, {"error": said}, {"error": said, "request_id": "r"}):
        event = from_dict(Event, {"event": "error", "data": data})
        assert event.data.message == "no"
        assert event.data.extra["inner"] == 1
    assert event.data.extra["request_id"] == "r"


@pytest.mark.parametrize("value", [{}, "text", None, Message, [Thread("a")]])
def test_what_is_none_of_ours_is_refused(value):
    with pytest.raises(TypeError, match="expected a model, an event or a Snapshot"):
        to_dict(value)


def test_what_does_not_fit_names_its_place():
    with pytest.raises(DecodeError, match=r"Message: at \$ expected a field 'id'"):
        from_dict(Message, {})
    with pytest.raises(DecodeError, match=r"Run: at \$ expected JSON"):
        from_json(Run, "{")
    with pytest.raises(DecodeError, match="the name of an event"):
        from_dict(Event, {"data": {}})
    queued = to_dict(ThreadRunQueued(Run("run_1")))
    with pytest.raises(DecodeError, match=r"expected an event \(ThreadMessageDelta\)"):
        from_dict(ThreadMessageDelta, queued)
    with pytest.raises(DecodeError, match=r"messages: at \$\.data\[0\] expected a field 'id'"):
        from_dict(Snapshot, {"messages": [{}]})
    assert seen(from_dict(Snapshot, {})) == seen(Snapshot())


def test_it_is_where_people_look():
    assert {"from_dict", "from_json", "to_dict", "to_json"} <= set(rxassist.__all__)
