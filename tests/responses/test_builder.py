"""``ResponseEventBuilder``: events for the tests of users."""

import pytest

from rxassist import operators
from rxassist.errors import APIError, DecodeError
from rxassist.protocols.responses.events import (
    AnnotationAdded,
    DoneEvent,
    OutputItemAdded,
    ResponseCompleted,
    ResponseFailed,
)
from rxassist.testing import ResponseEventBuilder

build = ResponseEventBuilder()


def test_the_example_of_its_documentation(emitted):
    events = [
        build.response("in_progress", name="created"),
        build.text_delta("Hel"),
        build.text_delta("lo"),
        build.item_done(build.message("Hello")),
        build.response("completed", build.message("Hello")),
    ]
    assert emitted(operators.text_deltas(), events) == (["Hel", "lo"], [])
    assert emitted(operators.check_ending(), events) == (events, [])
    assert [each.text for each in emitted(operators.messages(), events)[0]] == ["Hello"]


def test_calls_that_wait(emitted):
    call = build.function_call("call_1", "add", '{"a": 1}', status="completed")
    events = [
        build.item_added(build.function_call("call_1", "add", "")),
        build.arguments_delta('{"a"'),
        build.arguments_delta(": 1}"),
        build.requires_action(call),
    ]
    assert isinstance(events[0], OutputItemAdded)
    assert isinstance(events[-1], ResponseCompleted)
    (run,) = emitted(operators.final_run(), events)[0]
    assert (run.status, run.required_calls[0].call_id) == ("requires_action", "call_1")
    assert [each.arguments for each in emitted(operators.tool_calls(), events)[0]] == ['{"a": 1}']


def test_each_builder_has_its_response(emitted):
    second = ResponseEventBuilder("resp_2")
    events = [build.text_delta("A"), second.text_delta("B"), second.response("failed")]
    assert [event.response_id for event in events] == ["resp_1", "resp_2", "resp_2"]
    assert isinstance(events[-1], ResponseFailed)
    assert emitted(operators.text_deltas(separator="|"), events)[0] == ["A", "|", "B"]


def test_errors_annotations_and_the_end():
    error = build.error("Slow down.", code="rate_limit_exceeded").error()
    assert isinstance(error, APIError)
    assert error.code == "rate_limit_exceeded"
    cited = build.annotation({"type": "file_citation", "index": 3, "file_id": "file_1"})
    assert isinstance(cited, AnnotationAdded)
    assert cited.annotation.file_id == "file_1"
    assert isinstance(build.done, DoneEvent)
    with pytest.raises(DecodeError):
        build.event("response.completed", response=3)
