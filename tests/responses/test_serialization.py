"""Responses, their events and snapshots to plain data and JSON, and back: equal."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxassist import from_dict, from_json, to_dict, to_json
from rxassist.errors import DecodeError
from rxassist.protocols.responses.events import (
    ErrorEvent,
    Event,
    FailureAnnounced,
    ResponseCompleted,
    ResponseCreated,
    ResponseEvent,
)
from rxassist.protocols.responses.models import OutputItem, Response
from rxassist.protocols.responses.snapshots import NOTHING, Snapshot, fold

CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}


def seen(snapshot):
    """All that a snapshot says."""
    names = ("event", "run", "item", "items", "output", "messages", "tool_calls", "text")
    return [getattr(snapshot, name) for name in names]


def test_every_recorded_event_there_and_back(recorded):
    for event in recorded:
        again = from_json(Event, to_json(event))
        assert (type(again), again) == (type(event), event)
    for event in recorded[-3:]:
        assert from_dict(type(event), to_dict(event)) == event


def test_every_recorded_response_and_item_there_and_back(recorded):
    runs = [event.response for event in recorded if isinstance(event, ResponseEvent)]
    assert runs
    for run in runs:
        assert from_json(Response, to_json(run)) == run
        assert json.loads(to_json(run)) == to_dict(run)
    for item in runs[-1].output:
        assert from_dict(OutputItem, to_dict(item)) == item


def test_snapshots_of_a_recorded_stream_there_and_back(recorded):
    """At some of the events, as it costs what the snapshot costs."""
    snapshot = again = NOTHING
    every = max(1, len(recorded) // 20)
    for number, event in enumerate(recorded):
        snapshot, again = fold(snapshot, event), fold(again, event)
        if number % every == 0:
            again = from_json(Snapshot, to_json(again))
            assert seen(again) == seen(snapshot)
            assert to_dict(again) == to_dict(snapshot)
    assert seen(again) == seen(snapshot)


@settings(deadline=None)
@given(data=st.data())
def test_law_a_snapshot_that_was_kept_grows_as_the_one_that_was_not(data, short_streams, decode):
    recorded = decode(data.draw(st.sampled_from(short_streams)).read_bytes())
    in_any_order = st.lists(st.sampled_from(recorded), max_size=40)
    events = data.draw(st.just(recorded) | in_any_order)
    place = data.draw(st.integers(0, len(events)))
    before = after = NOTHING
    for number, event in enumerate(events):
        before = fold(before, event)
        after = fold(from_dict(Snapshot, to_dict(after)) if number == place else after, event)
    assert seen(after) == seen(before)


def test_two_responses_and_a_gap_in_the_parts_are_kept(told):
    second = {"type": "response.created", "response": {"id": "resp_2", "status": "in_progress"}}
    text = {"type": "response.output_text.delta", "output_index": 0, "delta": "A"}
    thought = {"type": "response.reasoning_summary_text.delta", "output_index": 1, "delta": "B"}
    added = {"type": "response.output_text.annotation.added", "output_index": 0, "content_index": 1}
    cited = {"annotation": {"type": "file_citation", "index": 1, "file_id": "file_1"}}
    again = {"annotation": {"type": "file_citation", "index": 1, "file_id": "file_2"}}
    raw = {"type": "response.reasoning_text.delta", "output_index": 1, "delta": "C"}
    events = told(
        CREATED,
        {**text, "content_index": 1},
        {**added, **cited, "annotation_index": 2},
        {**added, **again, "annotation_index": 0},
        {**thought, "summary_index": 2},
        {**raw, "content_index": 0},
        second,
        {**text, "content_index": 0},
    )
    snapshot = again = NOTHING
    for event in events * 2:
        snapshot, again = fold(snapshot, event), fold(from_dict(Snapshot, to_dict(again)), event)
        assert seen(again) == seen(snapshot)


def test_ids_that_rotate_are_kept(told):
    ended = {"type": "response.completed", "response": {"id": "resp_other", "status": "completed"}}
    (_, event) = told(CREATED, ended)
    assert from_dict(Event, to_dict(event)) == event
    assert (event.response_id, event.response.id) == ("resp_1", "resp_other")


def test_errors_and_the_end_are_kept(told):
    error = {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "Slow down."}}
    failed = {"type": "response.failed", "response": {"id": "resp_1", "status": "failed"}}
    for event in told(CREATED, error, error, failed, "data: [DONE]\n\n", "event: new\ndata: 1\n\n"):
        again = from_json(Event, to_json(event))
        assert (type(again), again) == (type(event), event)
    announced, alone = told(error, failed)[0], told(error)[0]
    assert type(from_dict(ErrorEvent, to_dict(announced))) is FailureAnnounced
    assert type(from_dict(ErrorEvent, to_dict(alone))) is ErrorEvent


def test_what_is_no_event_is_refused(told):
    (created,) = told(CREATED)
    with pytest.raises(DecodeError, match="ResponseCompleted"):
        from_dict(ResponseCompleted, to_dict(created))
    assert from_dict(ResponseCreated, to_dict(created)) == created
    with pytest.raises(DecodeError, match="the name of an event"):
        from_dict(Event, {"data": {}})
