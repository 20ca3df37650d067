"""``as_assistant_events``: responses for code that matches on the events of runs."""

import pytest

from rxassist import operators
from rxassist.errors import APIError, RunFailed, StreamDiverged, StreamTruncated
from rxassist.events import (
    DoneEvent,
    ThreadMessageDelta,
    ThreadRunCompleted,
    ThreadRunCreated,
    ThreadRunFailed,
    ThreadRunRequiresAction,
    UnknownEvent,
)
from rxassist.models import (
    CodeInterpreterToolCall,
    FileSearchToolCall,
    FunctionToolCall,
    RequiredActionMCPToolCall,
    UnknownToolCall,
)
from rxassist.protocols.assistants.events import EVENTS
from rxassist.protocols.responses.events import ResponseEvent
from rxassist.testing import ResponseEventBuilder

build, second = ResponseEventBuilder(), ResponseEventBuilder("resp_2")
CREATED = build.response("in_progress", name="created")


@pytest.fixture
def bridged(emitted):
    """The events of runs that events of responses become."""

    def events(*sent):
        values, errors = emitted(operators.as_assistant_events(), sent)
        assert errors == []
        assert all(isinstance(event, EVENTS) for event in values)
        return values

    return events


@pytest.fixture
def final(recorded):
    return [event.run() for event in recorded if isinstance(event, ResponseEvent)][-1]


# --- recordings ----------------------------------------------------------------------------


def test_recorded_text_is_that_of_the_response(recorded, final, bridged, emitted):
    events = bridged(*recorded)
    assert "".join(emitted(operators.text_deltas(), events)[0]) == final.output_text
    last = emitted(operators.accumulate_snapshots(), events)[0][-1]
    assert last.text == final.output_text
    messages = [item for item in final.output if item.type == "message"]
    assert [each.text for each in emitted(operators.messages(), events)[0]] == [
        message.text for message in messages
    ]


def test_recorded_runs_end_as_the_response_did(recorded, final, bridged, emitted):
    events = bridged(*recorded)
    assert emitted(operators.check_ending(), events) == (events, [])
    assert isinstance(events[-1], DoneEvent)
    (run,) = emitted(operators.final_run(), events)[0]
    assert (run.id, run.status, run.model) == (final.id, final.status, final.model)
    assert run.last_error == final.error
    used = emitted(operators.usage(), events)[0][-1]
    assert used == (None if final.usage is None else final.usage.plain())


def test_recorded_calls_come_once(recorded, final, bridged, emitted):
    calls = emitted(operators.tool_calls(), bridged(*recorded))[0]
    named = [item for item in final.output if item.type.endswith(("_call", "_request"))]
    assert len(calls) == len(named)
    for call, item in zip(calls, named, strict=True):
        if item.type == "function_call":
            assert isinstance(call, FunctionToolCall)
            assert (call.id, call.function.name) == (item.call_id, item.name)
            assert call.function.arguments == item.arguments
        elif item.type == "code_interpreter_call":
            assert isinstance(call, CodeInterpreterToolCall)
            assert call.code_interpreter.input == item.code
        elif item.type == "file_search_call":
            assert isinstance(call, FileSearchToolCall)
        else:
            assert isinstance(call, UnknownToolCall)
            assert call.raw["type"] in {item.type, "mcp"}  # an approval that is waited for


def test_recorded_waits_have_their_calls(recorded, final, bridged):
    waiting = [each for each in bridged(*recorded) if isinstance(each, ThreadRunRequiresAction)]
    assert bool(waiting) == (final.status == "requires_action")
    for event in waiting:
        action = event.data.required_action
        required = getattr(action, action.type).tool_calls
        assert len(required) == len(final.required_calls)


def test_recorded_streams_that_are_cut_are_truncated(recorded, bridged, emitted):
    for count in {1, len(recorded) // 2}:
        events = bridged(*recorded[:count])
        _, errors = emitted(operators.check_ending(), events)
        assert [type(error) for error in errors] == [StreamTruncated]


# --- runs ----------------------------------------------------------------------------------


def test_a_whole_run(bridged):
    call = build.function_call("call_1", "add", '{"a": 1}')
    names = [
        event.name
        for event in bridged(
            CREATED,
            build.response("queued"),
            build.response("in_progress"),
            build.item_added(build.function_call("call_1", "add", "")),
            build.arguments_delta('{"a": 1}'),
            build.item_done(call),
            build.requires_action(call),
            second.response("in_progress", name="created"),
            second.text_delta("Hi"),
            second.item_done(second.message("Hi")),
            second.response("completed", second.message("Hi")),
        )
    ]
    assert names == [
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.run.step.delta",
        "thread.run.step.delta",
        "thread.run.requires_action",
        "thread.run.step.completed",
        "thread.run.in_progress",
        "thread.message.created",
        "thread.message.in_progress",
        "thread.message.delta",
        "thread.message.completed",
        "thread.run.completed",
        "done",
    ]


def test_a_chain_is_one_run_with_the_usage_of_all(bridged, emitted):
    used = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    events = bridged(
        CREATED,
        build.requires_action(build.function_call("call_1"), usage=used),
        second.response("in_progress", name="created"),
        second.response("completed", usage=used),
    )
    runs = emitted(operators.runs(), events)[0]
    assert {run.id for run in runs} == {"resp_1"}
    assert runs[-1].usage.total_tokens == 6
    assert isinstance(events[-2], ThreadRunCompleted)
    assert emitted(operators.check_ending(), events[:-2])[1] != []


def test_messages_of_two_responses_have_two_ids(bridged, emitted):
    events = bridged(
        build.item_done(build.message("A")),
        build.requires_action(build.message("A"), build.function_call("call_1")),
        second.response("completed", second.message("B"), second.message("C")),
    )
    messages = emitted(operators.messages(), events)[0]
    assert [message.text for message in messages] == ["A", "B", "C"]
    assert len({message.id for message in messages}) == 3


def test_a_run_that_waits_names_its_calls(bridged):
    approval = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "add", "arguments": "{}"}
    for items, kind in (
        ([build.function_call("call_1", "add")], "submit_tool_outputs"),
        ([build.function_call("call_1", "add"), approval], "submit_tool_outputs"),
        ([approval], "submit_tool_approval"),
    ):
        event = bridged(CREATED, build.requires_action(*items))[-2]
        assert isinstance(event, ThreadRunRequiresAction)
        action = event.data.required_action
        assert action.type == kind
        calls = getattr(action, kind).tool_calls
        assert [call.id for call in calls] == [item.get("call_id") or "mcpr_1" for item in items]
    assert isinstance(calls[0], RequiredActionMCPToolCall)


def test_failures_and_errors(bridged, emitted):
    why = {"code": "rate_limit_exceeded", "message": "Slow down."}
    failed = build.response("failed", error=why)
    events = bridged(CREATED, build.text_delta("Hi"), failed)
    assert [event.name for event in events[-3:]] == [
        "thread.message.incomplete",
        "thread.run.failed",
        "done",
    ]
    assert isinstance(events[-2], ThreadRunFailed)
    (error,) = emitted(operators.raise_for_status(), events)[1]
    assert isinstance(error, RunFailed)
    assert error.run.last_error.code == "rate_limit_exceeded"

    (error,) = emitted(operators.check_ending(), bridged(CREATED, build.error("Sorry.")))[1]
    assert isinstance(error, APIError)
    assert str(error) == "Sorry."


@pytest.mark.parametrize("status", ["cancelled", "incomplete"])
def test_the_status_is_the_truth(bridged, status):
    details = {"reason": "max_output_tokens"}
    sent = build.response(status, name="completed", incomplete_details=details)
    run, done = bridged(CREATED, sent)[-2:]
    assert (run.name, run.data.status) == (f"thread.run.{status}", status)
    assert run.data.incomplete_details.reason == "max_output_tokens"
    assert isinstance(done, DoneEvent)


def test_done_comes_once(bridged):
    ended = build.response("completed")
    assert [event.name for event in bridged(CREATED, ended, build.done)].count("done") == 1
    assert bridged(CREATED) == [ThreadRunCreated(bridged(CREATED)[0].data)]


def test_unknown_events_pass_and_those_without_counterpart_are_left_out(bridged):
    alive = build.event("keepalive", sequence_number=3)
    unknown = build.event("response.new", more=1)
    thought = build.event("response.reasoning_text.delta", output_index=0, delta="Hm")
    (event,) = bridged(alive, unknown, thought)
    assert isinstance(event, UnknownEvent)
    assert (event.name, event.data) == ("response.new", {"type": "response.new", "more": 1})


# --- text ----------------------------------------------------------------------------------


def test_text_that_no_delta_brought_comes_as_one(bridged, emitted):
    events = bridged(CREATED, build.text_delta("He"), build.item_done(build.message("Hello")))
    assert emitted(operators.text_deltas(), events)[0] == ["He", "llo"]
    assert len([event for event in events if isinstance(event, ThreadMessageDelta)]) == 2


def test_refusals_and_annotations_come_through(bridged, emitted):
    refusal = {"type": "refusal", "refusal": "No."}
    events = bridged(
        build.event("response.refusal.delta", output_index=0, content_index=0, delta="No."),
        build.text_delta("See it.", part=1),
        build.annotation(
            {"type": "url_citation", "url": "u", "start_index": 0, "end_index": 3}, 0, 1
        ),
        build.annotation({"type": "file_citation", "file_id": "file_1", "index": 6}, 0, 1, 1),
    )
    (message,) = emitted(operators.accumulate_snapshots(), events)[0][-1].messages
    said, text = message.content
    assert said.refusal == "No."
    page, file = text.text.annotations
    assert page.raw["text"] == "See"
    assert page.raw["url_citation"]["url"] == "u"
    assert (file.file_citation.file_id, file.start_index) == ("file_1", 6)

    (event,) = bridged(build.item_done(build.message(refusal)))[-1:]
    assert event.data.content[0].refusal == "No."


def test_calls_whose_arguments_come_only_whole(bridged, emitted):
    call = build.function_call("call_1", "add", '{"a": 1}')
    events = bridged(CREATED, build.item_done(call), build.requires_action(call))
    (whole,) = emitted(operators.tool_calls(), events)[0]
    assert whole.function.arguments == '{"a": 1}'
    deltas = emitted(operators.tool_call_deltas(), events)[0]
    assert "".join(delta.function.arguments or "" for delta in deltas) == '{"a": 1}'


# --- resets --------------------------------------------------------------------------------

RESET = build.response("in_progress")


def test_what_repeats_after_a_reset_comes_once(bridged, emitted):
    call = build.function_call("call_1", "add", "{}")
    first = [build.item_done(build.message("A")), build.item_done(call, 1)]
    whole = bridged(CREATED, RESET, *first, build.requires_action(build.message("A"), call))
    again = bridged(
        CREATED, RESET, *first, RESET, *first, build.requires_action(build.message("A"), call)
    )
    assert [event.name for event in again if event.name != "thread.run.in_progress"] == [
        event.name for event in whole if event.name != "thread.run.in_progress"
    ]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (build.text_delta("A"), build.text_delta("B")),
        (build.item_done(build.message("A")), build.item_done(build.message("AB"))),
        (build.arguments_delta("{}"), build.arguments_delta("[]")),
        (
            build.item_done(build.function_call("call_1", "f", "{}")),
            build.item_done(build.function_call("call_1", "f", "[]")),
        ),
    ],
    ids=["text", "message", "arguments", "call"],
)
def test_what_differs_after_a_reset_is_an_error(emitted, first, then):
    sent = [CREATED, first, RESET, then]
    (error,) = emitted(operators.as_assistant_events(), sent)[1]
    assert isinstance(error, StreamDiverged)


def test_events_of_runs_are_refused(bridged, emitted):
    (event,) = bridged(CREATED)
    (error,) = emitted(operators.as_assistant_events(), [event])[1]
    assert isinstance(error, TypeError)
    assert "takes the events of a response" in str(error)
