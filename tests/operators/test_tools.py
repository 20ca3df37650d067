"""Tool calls: their deltas as they come, and each call once, when it is whole."""

import json

import pytest
import reactivex as rx

from rxassist.models import (
    CodeInterpreterToolCall,
    CodeInterpreterToolCallDelta,
    FileSearchToolCall,
    Function,
    FunctionToolCall,
    FunctionToolCallDelta,
    UnknownToolCall,
)
from rxassist.operators import tool_call_deltas, tool_calls


def called(call, name="f", arguments="{}", output=None):
    return FunctionToolCall(call, Function(name, arguments, output))


def test_deltas_come_as_they_were_sent(said, emitted):
    deltas = emitted(
        tool_call_deltas(),
        said.step("in_progress", name="created"),
        said.calls(said.call("call_1", index=0), said.call("call_2", index=1)),
        said.calls(said.more('{"a"', 1)),
        said.calls({"index": 2, "type": "code_interpreter", "code_interpreter": {"input": "1"}}),
        said.done,
    )
    assert [(type(delta), delta.index, delta.id) for delta in deltas] == [
        (FunctionToolCallDelta, 0, "call_1"),
        (FunctionToolCallDelta, 1, "call_2"),
        (FunctionToolCallDelta, 1, None),
        (CodeInterpreterToolCallDelta, 2, None),
    ]
    assert deltas[2].function.arguments == '{"a"'


def test_a_step_that_writes_a_message_has_no_deltas_of_calls(said, emitted):
    details = {"type": "message_creation", "message_creation": {"message_id": "msg_1"}}
    writes = {"id": "step_1", "delta": {"step_details": details}}
    silent = {"id": "step_1", "delta": {}}
    events = [said.event("thread.run.step.delta", data) for data in (writes, silent)]
    assert emitted(tool_call_deltas(), *events) == []
    assert emitted(tool_calls(), *events) == []


def test_a_call_is_whole_when_a_later_one_of_its_step_begins(said, flows):
    flows(
        tool_calls(),
        "-s-x-v-y-w-a-d|",
        "-------X---Y--|",
        s=said.step("in_progress", name="created"),
        x=said.calls(said.call("call_1", index=0)),
        v=said.calls(said.more('{"n":'), said.more("1}")),
        y=said.calls(said.call("call_2", "g", index=1)),
        w=said.calls(said.more("{}", 1)),
        a=said.action(("call_1", "f", '{"n":1}'), ("call_2", "g", "{}")),
        d=said.done,
        X=called("call_1", "f", '{"n":1}'),
        Y=called("call_2", "g"),
    )


def test_a_call_is_whole_when_its_step_ended(said, flows):
    flows(
        tool_calls(),
        "-x-v-z-z-|",
        "-----X---|",
        x=said.calls(said.call("call_1", index=0)),
        v=said.calls(said.more("{}")),
        z=said.step("completed", said.call("call_1", arguments="{}")),
        X=called("call_1"),
    )


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "expired"])
def test_a_step_that_ended_without_its_calls_has_those_that_were_streamed(said, emitted, status):
    assert emitted(tool_calls(), said.calls(said.call("call_1", index=0)), said.step(status)) == [
        called("call_1", arguments="")
    ]


def test_calls_of_two_steps_do_not_end_each_other(said, flows):
    flows(
        tool_calls(),
        "-x-y-z-|",
        "-----X-|",
        x=said.calls(said.call("call_1", index=0)),
        y=said.calls(said.call("call_2", index=1), to="step_2"),
        z=said.step("completed", said.call("call_1", arguments="{}")),
        X=called("call_1"),
    )


def test_several_calls_that_begin_in_one_delta(said, emitted):
    assert emitted(
        tool_calls(),
        said.calls(*(said.call(f"call_{n}", arguments="{}", index=n) for n in range(3))),
        said.action(*((f"call_{n}", "f", "{}") for n in range(3))),
    ) == [called(f"call_{n}") for n in range(3)]


def test_what_the_run_waits_for_is_whole(said, emitted):
    """Also where the deltas were lost, in part or all of them."""
    action = said.action(("call_1", "f", '{"n":1}'), ("call_2", "g", '{"n":2}'))
    whole = [called("call_1", "f", '{"n":1}'), called("call_2", "g", '{"n":2}')]
    assert emitted(tool_calls(), action) == whole
    assert emitted(tool_calls(), said.calls(said.call("call_1", index=0)), action) == whole


def test_a_call_that_the_run_does_not_wait_for_is_whole_too(said, emitted):
    code = {"type": "code_interpreter", "id": "call_1", "code_interpreter": {"input": "1"}}
    calls = emitted(
        tool_calls(), said.calls({"index": 0, **code}), said.action(("call_2", "f", "{}"))
    )
    assert [call.id for call in calls] == ["call_1", "call_2"]


def test_the_status_says_that_the_run_waits_and_not_the_name(said, emitted):
    begun = said.calls(said.call("call_1", arguments="{}", index=0))
    assert emitted(tool_calls(), begun, said.run("requires_action", "in_progress")) == [
        called("call_1")
    ]
    assert emitted(tool_calls(), begun, said.run("in_progress", "requires_action")) == []


def test_a_run_that_waits_for_something_unknown(said, emitted):
    approval = {"type": "submit_a_smile", "submit_a_smile": {}}
    waits = said.run("requires_action", required_action=approval)
    begun = said.calls(said.call("call_1", arguments="{}", index=0))
    assert emitted(tool_calls(), begun, waits) == [called("call_1")]


def test_the_tool_loop_in_one_stream_gives_each_call_once(said, emitted):
    first = said.calls(said.call("call_1", index=0)), said.calls(said.more("{}"))
    wait = said.action(("call_1", "f", "{}"))
    answered = said.step("completed", said.call("call_1", arguments="{}") | {"output": "7"})
    second = said.calls(said.call("call_2", "g", "{}", index=0), to="step_2")
    assert emitted(
        tool_calls(),
        *first,
        wait,
        said.run("queued"),
        answered,
        second,
        said.action(("call_2", "g", "{}")),
        said.step("completed", said.call("call_2", "g", "{}"), id="step_2"),
    ) == [called("call_1"), called("call_2", "g")]


def test_a_step_that_an_earlier_stream_began_tells_its_calls_with_their_outputs(said, emitted):
    done = {"name": "f", "arguments": "{}", "output": "7"}
    step = said.step("completed", {"id": "call_1", "type": "function", "function": done})
    assert emitted(tool_calls(), step, said.run("queued")) == [called("call_1", output="7")]


def test_calls_without_an_id_are_told_apart_by_their_place(said, emitted):
    nameless = {"type": "browser", "browser": {}}
    ended = [said.step("completed", nameless, nameless, id=f"step_{n}") for n in (1, 2)]
    assert len(emitted(tool_calls(), *ended, *ended)) == 4


@pytest.mark.parametrize("index", [None, 0, 1])
def test_a_call_is_found_whatever_its_index_is(said, emitted, index):
    begun = said.calls(said.call("call_1", index=index)), said.calls(said.more("{}", index))
    assert emitted(tool_calls(), *begun, said.run("requires_action")) == [called("call_1")]


def test_the_tools_of_the_service_itself(said, emitted):
    code = {"type": "code_interpreter", "code_interpreter": {"input": "print("}}
    search = {"type": "file_search", "file_search": {}}
    other = {"type": "browser", "browser": {"url": "a"}}
    calls = emitted(
        tool_calls(),
        said.calls({"index": 0, "id": "call_1", **code}),
        said.calls({"index": 0, "type": "code_interpreter", "code_interpreter": {"input": "1)"}}),
        said.calls({"index": 1, "id": "call_2", **search}),
        said.calls({"index": 2, "id": "call_3", **other}),
        said.step("failed"),
    )
    assert [(type(call), call.id) for call in calls] == [
        (CodeInterpreterToolCall, "call_1"),
        (FileSearchToolCall, "call_2"),
        (UnknownToolCall, "call_3"),
    ]
    assert calls[0].code_interpreter.input == "print(1)"
    assert calls[2].raw["browser"] == {"url": "a"}


def test_the_calls_of_a_recording(recorded, emitted, recording):
    """Each once, with the arguments that its deltas together or its completed step say."""
    events = recorded(recording)
    calls = emitted(tool_calls(), *events)
    deltas = emitted(tool_call_deltas(), *events)
    ids = {delta.id for delta in deltas if delta.id}
    assert {call.id for call in calls} >= ids
    assert len({call.id for call in calls}) == len(calls)
    for call in calls:
        if isinstance(call, FunctionToolCall):
            assert call.function.name
            assert isinstance(json.loads(call.function.arguments), dict)
        if isinstance(call, CodeInterpreterToolCall):
            code = (delta.code_interpreter.input for delta in deltas if delta.code_interpreter)
            assert call.code_interpreter.input == "".join(text or "" for text in code)


def test_parallel_calls_of_a_recording(recorded, emitted):
    first, second = emitted(tool_calls(), *recorded("azure-agents-parallel-functions.sse"))
    assert first == called("call_01", "fetch_current_datetime", "{}")
    assert second == called("call_02", "fetch_weather", '{"location": "New York"}')


APPROVED = {"id": "call_1", "type": "mcp", "name": "search", "arguments": "{}", "server_label": "s"}


def test_a_call_that_is_approved_comes_once_as_it_is_waited_for(said, flows):
    approval = {"type": "submit_tool_approval", "submit_tool_approval": {"tool_calls": [APPROVED]}}
    flows(
        tool_calls(),
        "-a-s-x-e|",
        "-A------|",
        a=said.run("requires_action", required_action=approval),
        s=said.step("in_progress", name="created"),
        x=said.calls({**APPROVED, "index": 0}),
        e=said.step("completed", {**APPROVED, "output": "OUT"}),
        A=UnknownToolCall("mcp", APPROVED),
    )


def test_calls_that_share_an_index_come_each_when_the_next_begins(said, flows):
    flows(
        tool_calls(),
        "-x-v-y-x-w-|",
        "-----X-----|",
        x=said.calls(said.call("call_1", index=0, arguments="a")),
        v=said.calls(said.more("b")),
        y=said.calls(said.call("call_2", index=0, arguments="c")),
        w=said.calls(said.more("d")),
        X=called("call_1", "f", "ab"),
    )
    both = emitted_of(said)
    assert [(call.id, call.function.arguments) for call in both] == [("c1", "a"), ("c2", "b")]


def emitted_of(said):
    found = []
    events = [
        said.calls({"type": "function", "id": "c1", "function": {"arguments": "a"}}),
        said.calls({"type": "function", "id": "c2", "function": {"arguments": "b"}}),
        said.run("failed"),
    ]
    rx.of(*events).pipe(tool_calls()).subscribe(found.append)
    return found
