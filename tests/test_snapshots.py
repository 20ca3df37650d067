"""The fold of a run: what it gives, that it never changes, and what it costs."""

import gc
import sys
from functools import reduce
from itertools import accumulate

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxassist.events import DoneEvent, UnknownEvent
from rxassist.models import (
    CodeInterpreterOutputImage,
    CodeInterpreterOutputLogs,
    FileCitationAnnotation,
    FilePathAnnotation,
    ImageFileContentBlock,
    ImageURLContentBlock,
    Message,
    MessageCreationStepDetails,
    RefusalContentBlock,
    RunStep,
    Text,
    TextContentBlock,
    UnknownAnnotation,
    UnknownCodeInterpreterOutput,
    UnknownContentBlock,
    UnknownStepDetails,
    UnknownToolCall,
)
from rxassist.protocols.assistants.codec import EventDecoder, decode_event, encode_event
from rxassist.protocols.assistants.snapshots import NOTHING, Snapshot, fold
from rxassist.testing import EventBuilder
from rxassist.wire.json import to_json
from rxassist.wire.sse import ServerSentEvent
from rxassist.wire.structure import structure


def event(name, **data):
    return decode_event(ServerSentEvent(name, to_json(data).decode()))


def part(value, index=0, **more):
    return {"index": index, "type": "text", "text": {"value": value, **more}}


def grown(message_id, *parts):
    parts = [part(p) if isinstance(p, str) else p for p in parts]
    return event("thread.message.delta", id=message_id, delta={"content": parts})


def said(name, message_id, *texts, **data):
    content = [{"type": "text", "text": {"value": text}} for text in texts]
    return event(f"thread.message.{name}", **{"id": message_id, "content": content} | data)


def called(step_id, *calls):
    details = {"type": "tool_calls", "tool_calls": list(calls)}
    return event("thread.run.step.delta", id=step_id, delta={"step_details": details})


def step(name, step_id, *calls, **data):
    details = {"type": "tool_calls", "tool_calls": list(calls)}
    return event(f"thread.run.step.{name}", **{"id": step_id, "step_details": details} | data)


def function(arguments, index=0, **more):
    return {"index": index, "type": "function", "function": {"arguments": arguments}, **more}


def code(index=0, call_id=None, **more):
    return {"index": index, "id": call_id, "type": "code_interpreter", "code_interpreter": more}


def folded(*events, start=None):
    snapshot = start or Snapshot()
    for one in events:
        snapshot = fold(snapshot, one)
    return snapshot


def texts(snapshot):
    return [
        "".join(part.text.value for part in message.content if isinstance(part, TextContentBlock))
        for message in snapshot.messages
    ]


def seen(snapshot):
    """All that a snapshot says, built now."""
    return (
        snapshot.event,
        snapshot.run,
        snapshot.message,
        snapshot.run_step,
        snapshot.messages,
        snapshot.run_steps,
        snapshot.text,
    )


# --- what a snapshot says ------------------------------------------------------------------


def test_before_anything_was_said():
    assert seen(Snapshot()) == (None, None, None, None, (), (), "")
    assert Snapshot().find_message("msg_1") is None
    assert Snapshot().find_run_step("step_1") is None


def test_the_event_is_the_last_one():
    for last in (DoneEvent(), UnknownEvent("thread.hummed", 1), grown("msg_1", "a")):
        assert fold(Snapshot(), last).event == last


def test_the_run_is_as_last_told():
    snapshot = folded(
        event("thread.run.created", id="run_1", status="queued"),
        event("thread.run.completed", id="run_1", status="incomplete"),
        DoneEvent(),
    )
    assert (snapshot.run.id, snapshot.run.status) == ("run_1", "incomplete")


def test_message_and_run_step_are_those_spoken_of_last():
    snapshot = folded(grown("msg_1", "a"), grown("msg_2", "b"), called("step_1", function("c")))
    assert snapshot.message.id == "msg_2"
    assert snapshot.run_step.id == "step_1"
    assert fold(snapshot, grown("msg_1", "d")).message.id == "msg_1"
    assert fold(snapshot, DoneEvent()).message.id == "msg_2"


def test_all_messages_and_steps_in_the_order_in_which_they_began():
    snapshot = folded(
        said("created", "msg_2"),
        said("created", "msg_1"),
        grown("msg_2", "a"),
        step("created", "step_2"),
        step("created", "step_1"),
        called("step_2", function("a")),
    )
    assert [message.id for message in snapshot.messages] == ["msg_2", "msg_1"]
    assert [step.id for step in snapshot.run_steps] == ["step_2", "step_1"]
    assert snapshot.find_message("msg_2").content[0].text.value == "a"
    assert snapshot.find_run_step("step_1").id == "step_1"
    assert snapshot.find_message("step_1") is None


def test_text_is_that_of_all_messages():
    snapshot = folded(
        grown("msg_1", "Hel", "lo"),
        said("completed", "msg_1", "Hello"),
        grown("msg_2", " wor"),
        grown("msg_2", "ld"),
    )
    assert snapshot.text == "Hello world"


# --- messages ------------------------------------------------------------------------------


def test_deltas_add_to_what_was_said():
    snapshot = folded(
        said("created", "msg_1", run_id="run_1", role="assistant"),
        said("in_progress", "msg_1", run_id="run_1", status="in_progress"),
        grown("msg_1", "Hel"),
        grown("msg_1", "lo"),
    )
    text = TextContentBlock(Text("Hello"))
    assert snapshot.message == Message(
        "msg_1", run_id="run_1", status="in_progress", content=(text,)
    )


def test_interleaved_messages_keep_apart():
    snapshot = folded(
        grown("msg_1", "a"),
        grown("msg_2", "1"),
        grown("msg_1", "b"),
        grown("msg_3", "x"),
        grown("msg_2", "2"),
        grown("msg_1", "c"),
    )
    assert texts(snapshot) == ["abc", "12", "x"]


def test_deltas_whose_beginning_was_never_seen():
    snapshot = folded(
        event("thread.message.delta", id="msg_1", delta={"role": "user", "content": [part("a")]}),
        grown("msg_2", "b"),
    )
    assert [(m.id, m.role, m.status) for m in snapshot.messages] == [
        ("msg_1", "user", "in_progress"),
        ("msg_2", "assistant", "in_progress"),
    ]


def test_a_beginning_that_comes_after_deltas_keeps_them():
    snapshot = folded(grown("msg_1", "a"), said("created", "msg_1", run_id="run_1"))
    assert (snapshot.message.run_id, snapshot.text) == ("run_1", "a")
    assert folded(said("in_progress", "msg_1"), grown("msg_1", "b"), start=snapshot).text == "ab"


def test_a_beginning_may_bring_text():
    assert folded(said("created", "msg_1", "Hel"), grown("msg_1", "lo")).text == "Hello"


def test_gaps_in_the_index_and_any_order():
    snapshot = folded(
        grown("msg_1", part("c", 7)), grown("msg_1", part("a", 0)), grown("msg_1", part("b", 3))
    )
    assert [block.text.value for block in snapshot.message.content] == ["a", "b", "c"]
    assert snapshot.text == "abc"


def test_parts_without_an_index_or_with_null_come_first():
    snapshot = folded(grown("msg_1", part("b", 1), {"type": "text", "text": {"value": "a"}}))
    assert snapshot.text == "ab"
    snapshot = folded(grown("msg_1", part("b", 1)), grown("msg_1", part("a", None)))
    assert snapshot.text == "ab"


def test_two_parts_in_one_delta():
    snapshot = folded(
        grown("msg_1", part("a", 0), part("x", 1)), grown("msg_1", part("b", 0), part("y", 1))
    )
    assert [block.text.value for block in snapshot.message.content] == ["ab", "xy"]


def test_one_part_twice_in_one_delta():
    assert folded(grown("msg_1", part("a"), part("b"))).text == "ab"


@pytest.mark.parametrize("name", ["completed", "incomplete"])
def test_what_is_finished_wins(name):
    end = said(name, "msg_1", "Hello, world", status=name)
    snapshot = folded(grown("msg_1", "Hallo"), end)
    assert snapshot.message == end.data
    assert snapshot.text == "Hello, world"


@pytest.mark.parametrize("late", ["delta", "created", "in_progress"])
def test_what_comes_after_the_end_is_ignored(late):
    end = folded(grown("msg_1", "a"), said("completed", "msg_1", "b"))
    after = grown("msg_1", "c") if late == "delta" else said(late, "msg_1", "c")
    assert fold(end, after).messages == end.messages


def test_a_finished_message_without_content_keeps_what_had_grown():
    snapshot = folded(grown("msg_1", "a"), said("completed", "msg_1", status="completed"))
    assert (snapshot.message.status, snapshot.text) == ("completed", "a")


def test_null_texts_add_nothing():
    empty = {"index": 0, "type": "text", "text": None}
    assert folded(grown("msg_1", empty, part(None), part("a"), part(None))).text == "a"
    blocks = [{"type": "text", "text": {"value": None}}, {"type": "text", "text": {"value": "a"}}]
    assert folded(said("completed", "msg_1", content=blocks)).text == "a"
    assert folded(said("created", "msg_1", content=blocks), grown("msg_1", "b")).text == "ba"


def test_a_refusal_grows_and_is_no_text():
    refusal = {"index": 0, "type": "refusal", "refusal": "I ca"}
    snapshot = folded(grown("msg_1", refusal), grown("msg_1", refusal | {"refusal": "n't"}))
    assert snapshot.message.content == (RefusalContentBlock("I can't"),)
    assert snapshot.text == ""


def test_images():
    by_file = {"index": 1, "type": "image_file", "image_file": {"file_id": "file_1"}}
    by_url = {"index": 2, "type": "image_url", "image_url": {"url": "https://example.org"}}
    _, one, two = folded(grown("msg_1", "see", by_file, by_url)).message.content
    assert isinstance(one, ImageFileContentBlock)
    assert one.image_file.file_id == "file_1"
    assert isinstance(two, ImageURLContentBlock)
    assert two.image_url.url == "https://example.org"


def test_annotations():
    cited = {
        "index": 0,
        "type": "file_citation",
        "text": "【1】",
        "start_index": 1,
        "end_index": 4,
        "file_citation": {"file_id": "file_1"},
    }
    made = {"index": 1, "type": "file_path", "text": "a.png", "file_path": {"file_id": "file_2"}}
    linked = {"index": 2, "type": "url_citation", "url_citation": {"url": "https://example.org"}}
    snapshot = folded(
        grown("msg_1", part("a【1】", annotations=[cited])),
        grown("msg_1", part("", annotations=[made, linked])),
    )
    one, two, three = snapshot.message.content[0].text.annotations
    assert isinstance(one, FileCitationAnnotation)
    assert (one.text, one.start_index, one.file_citation.file_id) == ("【1】", 1, "file_1")
    assert isinstance(two, FilePathAnnotation)
    assert two.file_path.file_id == "file_2"
    del linked["index"]  # the place, which the service does not store
    assert three == UnknownAnnotation("url_citation", linked)


def test_parts_that_nobody_knows_are_merged():
    hum = {"index": 0, "type": "hum", "hum": {"tune": "la", "notes": [1], "key": None}}
    more = {"index": 0, "type": "hum", "hum": {"tune": "lala", "notes": [2], "key": "C"}}
    assert folded(grown("msg_1", hum), grown("msg_1", more)).message.content == (
        UnknownContentBlock(
            "hum",
            {"type": "hum", "hum": {"tune": "lalala", "notes": [1, 2], "key": "C"}},
        ),
    )


# --- run steps -----------------------------------------------------------------------------


def test_a_function_call_grows():
    snapshot = folded(
        step("created", "step_1", run_id="run_1", status="in_progress"),
        called(
            "step_1",
            {
                "index": 0,
                "id": "call_1",
                "type": "function",
                "function": {"name": "f", "arguments": "", "output": None},
            },
        ),
        called("step_1", function('{"a":')),
        called("step_1", function(" 1}")),
    )
    (call,) = snapshot.run_step.step_details.tool_calls
    assert (snapshot.run_step.run_id, snapshot.run_step.status) == ("run_1", "in_progress")
    assert (call.id, call.function.name, call.function.arguments) == ("call_1", "f", '{"a": 1}')
    assert call.function.output is None
    done = {"index": 0, "type": "function", "function": {"output": "2"}}
    (call,) = fold(snapshot, called("step_1", done)).run_step.step_details.tool_calls
    assert (call.function.arguments, call.function.output) == ('{"a": 1}', "2")


def test_parallel_calls_grow_side_by_side():
    snapshot = folded(
        called("step_1", function("a", 1, id="call_2"), function("x", 0, id="call_1")),
        called("step_1", function("b", 1), function("y", 0)),
    )
    calls = snapshot.run_step.step_details.tool_calls
    assert [(call.id, call.function.arguments) for call in calls] == [
        ("call_1", "xy"),
        ("call_2", "ab"),
    ]
    assert snapshot.run_step.type == "tool_calls"


def test_the_code_interpreter_with_logs_and_images():
    snapshot = folded(
        called("step_1", code(0, "call_1", input="print(1)\n")),
        called("step_1", code(input="draw()")),
        called("step_1", code(outputs=[{"index": 0, "type": "logs", "logs": "1"}])),
        called(
            "step_1",
            code(
                outputs=[
                    {"index": 2, "type": "image", "image": {"file_id": "file_1"}},
                    {"index": 0, "type": "logs", "logs": "\n"},
                ]
            ),
        ),
        called("step_1", code(outputs=[{"index": 1, "type": "hum", "hum": "la"}])),
        called("step_1", code(outputs=[{"index": 1, "type": "hum", "hum": "la"}])),
    )
    (call,) = snapshot.run_step.step_details.tool_calls
    assert (call.id, call.code_interpreter.input) == ("call_1", "print(1)\ndraw()")
    logs, hum, image = call.code_interpreter.outputs
    assert logs == CodeInterpreterOutputLogs("1\n")
    assert hum == UnknownCodeInterpreterOutput("hum", {"type": "hum", "hum": "lala"})
    assert isinstance(image, CodeInterpreterOutputImage)
    assert image.image.file_id == "file_1"


def test_a_file_search():
    found = {"ranking_options": {"ranker": "auto"}, "results": [{"file_id": "file_1"}]}
    snapshot = folded(
        called("step_1", {"index": 0, "id": "call_1", "type": "file_search", "file_search": {}}),
        called("step_1", {"index": 0, "type": "file_search", "file_search": found}),
        called("step_1", {"index": 0, "type": "file_search", "file_search": {}}),
    )
    (call,) = snapshot.run_step.step_details.tool_calls
    assert (call.id, call.file_search.results[0].file_id) == ("call_1", "file_1")


def test_a_call_that_nobody_knows_is_merged():
    browse = {"index": 0, "id": "call_1", "type": "browser", "browser": {"url": "https://"}}
    more = {"index": 0, "type": "browser", "browser": {"url": "example.org"}}
    snapshot = folded(called("step_1", browse), called("step_1", more))
    (call,) = snapshot.run_step.step_details.tool_calls
    assert call == UnknownToolCall(
        "browser",
        {"id": "call_1", "type": "browser", "browser": {"url": "https://example.org"}},
    )


def test_a_step_that_writes_a_message():
    details = {"type": "message_creation", "message_creation": {"message_id": "msg_1"}}
    snapshot = folded(
        event("thread.run.step.delta", id="step_1", delta={"step_details": details}),
    )
    assert isinstance(snapshot.run_step.step_details, MessageCreationStepDetails)
    assert snapshot.run_step.step_details.message_creation.message_id == "msg_1"


def test_a_step_that_nobody_knows_is_merged():
    details = {"type": "hum", "hum": "la"}
    once = event("thread.run.step.delta", id="step_1", delta={"step_details": details})
    assert folded(once, once).run_step.step_details == UnknownStepDetails(
        "hum", {"type": "hum", "hum": "lala"}
    )


def test_a_step_delta_that_says_nothing():
    snapshot = folded(event("thread.run.step.delta", id="step_1", delta={}))
    assert snapshot.run_step == RunStep("step_1", status="in_progress")


@pytest.mark.parametrize("name", ["completed", "failed", "cancelled", "expired"])
def test_a_finished_step_wins_and_stays(name):
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    end = step(name, "step_1", call, status=name)
    snapshot = folded(called("step_1", function("{")), end)
    assert snapshot.run_step == end.data
    for late in (called("step_1", function("}")), step("created", "step_1")):
        assert fold(snapshot, late).run_steps == (end.data,)


def test_a_finished_step_that_tells_no_calls_keeps_what_had_grown():
    for details in (None, {"type": "tool_calls", "tool_calls": []}):
        end = step("failed", "step_1", status="failed", step_details=details)
        snapshot = folded(called("step_1", function("{}", id="call_1")), end)
        assert snapshot.run_step.status == "failed"
        assert snapshot.run_step.step_details.tool_calls[0].id == "call_1"


def test_a_step_that_began_in_an_earlier_stream():
    end = step("completed", "step_1", {"id": "call_1", "type": "function"}, status="completed")
    assert folded(end).run_steps == (end.data,)


def test_a_beginning_step_may_bring_calls():
    whole = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{"}}
    ran = {
        "id": "call_2",
        "type": "code_interpreter",
        "code_interpreter": {"input": "a", "outputs": [{"type": "logs", "logs": "1"}]},
    }
    snapshot = folded(
        step("created", "step_1", whole, ran),
        called("step_1", function("}")),
        called("step_1", code(1, input="b", outputs=[{"index": 0, "type": "logs", "logs": "2"}])),
    )
    called_function, ran_code = snapshot.run_step.step_details.tool_calls
    assert called_function.function.arguments == "{}"
    assert ran_code.code_interpreter.input == "ab"
    assert ran_code.code_interpreter.outputs == (CodeInterpreterOutputLogs("12"),)


def test_one_tool_call_by_its_step_and_index():
    snapshot = folded(called("step_1", function("{", 1, id="call_2"), function("", 0, id="call_1")))
    assert snapshot.find_tool_call("step_1", 1).id == "call_2"
    assert snapshot.find_tool_call("step_1", 2) is None
    assert snapshot.find_tool_call("step_2", 0) is None
    end = step("completed", "step_1", {"id": "call_1", "type": "function"})
    assert fold(snapshot, end).find_tool_call("step_1", 0).id == "call_1"
    assert fold(snapshot, end).find_tool_call("step_1", 1) is None


# --- immutability --------------------------------------------------------------------------


def test_a_snapshot_shows_its_event_and_its_run():
    snapshot = folded(event("thread.run.queued", id="run_1", status="queued"))
    assert repr(snapshot) == f"Snapshot(event={snapshot.event!r}, run={snapshot.run!r})"
    match snapshot:
        case Snapshot(_, run):
            assert run.id == "run_1"


def test_a_snapshot_cannot_be_assigned_to():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Snapshot().run = None


def test_old_snapshots_stay_as_they_were():
    events = [
        said("created", "msg_1"),
        grown("msg_1", "a"),
        grown("msg_2", "x"),
        grown("msg_1", "b", part("c", 1)),
        called("step_1", function("{")),
        called("step_1", function("}"), code(1, "call_2", input="d")),
        said("completed", "msg_1", "abc"),
        grown("msg_2", "y"),
        step("completed", "step_1"),
    ]
    snapshots = list(accumulate(events, fold, initial=Snapshot()))
    before = [seen(snapshot) for snapshot in snapshots]
    list(accumulate(reversed(events), fold, initial=snapshots[4]))
    assert [seen(snapshot) for snapshot in snapshots] == before
    fresh = list(accumulate(events, fold, initial=Snapshot()))
    assert [seen(snapshot) for snapshot in reversed(fresh)] == before[::-1]


def test_folds_that_branch_from_one_snapshot_do_not_see_each_other():
    root = folded(grown("msg_1", "a"), called("step_1", function("1")))
    one = folded(grown("msg_1", "b"), called("step_1", function("2")), start=root)
    two = folded(grown("msg_1", "c"), grown("msg_2", "d"), start=root)
    three = folded(grown("msg_2", "e"), grown("msg_1", "f"), start=root)
    assert [texts(snapshot) for snapshot in (root, one, two, three)] == [
        ["a"], ["ab"], ["ac", "d"], ["af", "e"],
    ]  # fmt: skip
    assert fold(one, grown("msg_1", "!")).text == "ab!"
    assert fold(root, grown("msg_1", "?")).text == "a?"
    arguments = [
        snapshot.run_step.step_details.tool_calls[0].function.arguments
        for snapshot in (root, one, two)
    ]
    assert arguments == ["1", "12", "1"]


def test_branches_from_the_very_beginning_keep_apart():
    root = Snapshot()
    one = folded(grown("msg_1", "a"), grown("msg_2", "b"), start=root)
    two = folded(grown("msg_3", "c"), grown("msg_1", "d"), start=root)
    assert (texts(root), texts(one), texts(two)) == ([], ["a", "b"], ["c", "d"])


NOTE = {"index": 0, "type": "file_citation", "text": "[1]"}
REFUSED = {"index": 0, "type": "refusal", "refusal": "No."}


def test_what_comes_with_a_piece_of_a_growing_text_is_not_lost():
    noted = folded(
        grown("msg_1", "a"), grown("msg_1", "b"), grown("msg_1", part("c", annotations=[NOTE]))
    )
    (block,) = noted.message.content
    assert (block.text.value, len(block.text.annotations)) == ("abc", 1)
    refused = folded(grown("msg_1", "a"), grown("msg_1", "b"), grown("msg_1", REFUSED))
    assert refused.message.content == (RefusalContentBlock("abNo."),)


def test_what_a_user_wrote_is_no_text_though_it_grows():
    begun = folded(said("created", "msg_1", role="user"), grown("msg_1", "a"), grown("msg_1", "b"))
    assert (begun.text, texts(begun)) == ("", ["ab"])


def test_a_finished_message_without_content_does_not_grow_further():
    end = said("completed", "msg_1", status="completed")
    late = folded(
        grown("msg_1", "a"), grown("msg_1", "b"), end, grown("msg_1", "c"), grown("msg_1", "d")
    )
    assert texts(late) == ["ab"]


# --- what comes after the end --------------------------------------------------------------


def mcp(output, **more):
    return {"id": "call_1", "type": "mcp", "name": "f", "output": output, **more}


def test_a_delta_after_the_end_fills_what_is_null_or_empty_and_nothing_else():
    end = step("completed", "step_1", mcp(None, arguments="{}"), status="completed")
    late = {"index": 0, "type": "mcp", "output": "OUT", "arguments": "x", "server_label": "s"}
    snapshot = folded(called("step_1", mcp(None, index=0)), end, called("step_1", late))
    whole = mcp("OUT", arguments="{}", server_label="s")
    assert snapshot.run_step == snapshot.find_run_step("step_1")
    assert snapshot.run_step.step_details.tool_calls == (UnknownToolCall("mcp", whole),)
    assert snapshot.find_tool_call("step_1", 0).raw == whole
    assert fold(snapshot, step("created", "step_1")).run_step == snapshot.run_step
    assert fold(snapshot, end).run_step == snapshot.run_step


def test_the_output_of_a_function_may_come_after_the_end_in_pieces():
    def ended(output):
        function = {"name": "f", "arguments": "{}", "output": output}
        call = {"id": "call_1", "type": "function", "function": function}
        return step("completed", "step_1", call, status="completed")

    def late(output, **more):
        function = {"output": output}
        return called("step_1", {"index": 0, "type": "function", "function": function, **more})

    (call,) = folded(
        ended(None), late("2"), late("3", id="call_1")
    ).run_step.step_details.tool_calls
    assert (call.id, call.function.arguments, call.function.output) == ("call_1", "{}", "3")
    before = folded(ended("1"))
    assert fold(before, late("2")).run_steps == before.run_steps
    other = fold(folded(ended(None)), late("2", id="call_9"))
    assert other.run_step.step_details.tool_calls[0].function.output is None
    (begun,) = folded(step("failed", "step_1"), late("2")).run_step.step_details.tool_calls
    assert begun.function.output == "2"


def test_the_details_of_a_step_may_come_after_its_end():
    end = said_step("completed", "step_1", {"type": "message_creation", "message_creation": None})
    written = {"type": "message_creation", "message_creation": {"message_id": "msg_1"}}
    delta = event("thread.run.step.delta", id="step_1", delta={"step_details": written})
    snapshot = folded(end, delta)
    assert snapshot.run_step.step_details.message_creation.message_id == "msg_1"
    hummed = {"type": "hum", "hum": "la", "tune": None}
    delta = event("thread.run.step.delta", id="step_1", delta={"step_details": hummed})
    assert fold(snapshot, delta).run_steps == snapshot.run_steps
    snapshot = folded(said_step("completed", "step_1", hummed | {"hum": ""}), delta, delta)
    assert snapshot.run_step.step_details.raw == hummed | {"hum": "lala"}


def said_step(name, step_id, details):
    return event(f"thread.run.step.{name}", id=step_id, status=name, step_details=details)


@pytest.mark.parametrize(("texts", "text"), [((), "a"), (("b",), "b")])
def test_an_end_that_is_told_again_has_no_place_for_a_part_that_came_late(texts, text):
    late = {"index": 1, "type": "text", "text": {"value": "a"}}
    filled = folded(said("completed", "msg_1"), grown("msg_1", late))
    assert filled.text == "a"
    assert fold(filled, said("completed", "msg_1", *texts)).text == text


def test_a_message_is_filled_after_its_end():
    mark = {"index": 0, "type": "file_citation", "text": "[1]"}
    image = {"index": 1, "type": "image_file", "image_file": {"file_id": "file_1"}}
    content = [{"type": "text", "text": {"value": "ab", "annotations": []}},
               {"type": "image_file", "image_file": None}]  # fmt: skip
    end = said("completed", "msg_1", status="completed", content=content)
    snapshot = folded(end, grown("msg_1", part("c", annotations=[mark])), grown("msg_1", image))
    text, drawn = snapshot.message.content
    assert (text.text.value, text.text.annotations[0].text) == ("ab", "[1]")
    assert drawn.image_file.file_id == "file_1"
    assert snapshot.text == "ab"
    assert fold(snapshot, grown("msg_1", part("c", 7))).messages == snapshot.messages
    empty = folded(said("completed", "msg_1", status="completed"), grown("msg_1", "a"))
    assert (empty.text, texts(empty), empty.message.status) == ("a", ["a"], "completed")


def test_what_no_field_is_there_for_stays_while_an_object_grows():
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "mood": 1}, "hue": 2}
    ran = {"id": "call_2", "type": "code_interpreter", "code_interpreter": {"hue": 3}}
    begun = step("created", "step_1", call, ran, mood=4)
    grew = called("step_1", function("{}"), code(1, input="1"))
    text = {"type": "text", "text": {"value": "a", "mood": 5}, "hue": 6}
    told = said("created", "msg_1", content=[text], mood=7)
    snapshot = folded(begun, grew, told, grown("msg_1", "b"), grown("msg_1", "c"))
    one, other = snapshot.run_step.step_details.tool_calls
    assert (one.extra, one.function.extra) == ({"hue": 2}, {"mood": 1})
    assert (one.function.arguments, other.code_interpreter.input) == ("{}", "1")
    assert (other.code_interpreter.extra, snapshot.run_step.extra) == ({"hue": 3}, {"mood": 4})
    (block,) = snapshot.message.content
    assert (block.text.value, block.text.extra, block.extra) == ("abc", {"mood": 5}, {"hue": 6})
    assert snapshot.message.extra == {"mood": 7}


# --- one index, two calls ------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", [{"index": 0}, {}, {"index": None}], ids=["index", "none", "null"]
)
def test_another_id_at_one_index_is_another_call(place):
    def grow(arguments, **more):
        function = {"name": "f", "arguments": arguments}
        return called("step_1", {"type": "function", "function": function, **place, **more})

    first = [grow('{"a"', id="c1"), grow(":1}")]
    second = [grow('{"b"', id="c2"), grow(":2"), grow("}", id="c2")]
    deltas = [*first, *second, grow(" ", id="c1")]
    snapshot = folded(*deltas)
    calls = snapshot.run_step.step_details.tool_calls
    assert [(call.id, call.function.arguments) for call in calls] == [
        ("c1", '{"a":1} '),
        ("c2", '{"b":2}'),
    ]
    assert snapshot.find_tool_call("step_1", 0, "c2") == calls[1]
    assert snapshot.find_tool_call("step_1", 0) == calls[0]  # that was named last
    assert folded(*deltas[:5]).find_tool_call("step_1", 0) == calls[1]
    assert fold(snapshot, grow("")).run_step.step_details.tool_calls == calls


def test_an_id_that_comes_late_or_never_begins_no_other_call():
    said = [function("{"), function("}", id="c1"), function(" ", id=None), function("x", 1)]
    snapshot = folded(*(called("step_1", one) for one in said))
    calls = snapshot.run_step.step_details.tool_calls
    assert [(call.id, call.function.arguments) for call in calls] == [("c1", "{} "), ("", "x")]


def test_calls_that_nobody_knows_are_told_apart_too():
    for ids in (["c1", "c1", None], ["c1", None, None]):
        browse = [{"index": 0, "type": "browser", "id": id_, "url": "a"} for id_ in ids]
        other = {"index": 0, "type": "browser", "id": "c2", "url": "b"}
        snapshot = folded(*(called("step_1", one) for one in [*browse, other]))
        calls = snapshot.run_step.step_details.tool_calls
        assert [(call.id, call.raw["url"]) for call in calls] == [("c1", "aaa"), ("c2", "b")]


# --- laws ----------------------------------------------------------------------------------


@st.composite
def conversations(draw):
    """Some texts cut into pieces, and the pieces of all of them shuffled together in order."""
    keys = st.tuples(st.sampled_from(["msg_1", "msg_2", "msg_3"]), st.integers(0, 2))
    wanted = draw(st.dictionaries(keys, st.lists(st.text(max_size=4), min_size=1, max_size=6)))
    waiting = {key: list(pieces) for key, pieces in wanted.items()}
    events = []
    while waiting:
        key = draw(st.sampled_from(sorted(waiting)))
        events.append(grown(key[0], part(waiting[key].pop(0), key[1])))
        if not waiting[key]:
            del waiting[key]
    return {key: "".join(pieces) for key, pieces in wanted.items()}, events


@given(conversations())
def test_law_any_interleaving_and_any_cut_give_the_same_text(conversation):
    wanted, events = conversation
    snapshot = folded(*events)
    found = {}
    for message in snapshot.messages:
        indexes = sorted(index for message_id, index in wanted if message_id == message.id)
        for index, block in zip(indexes, message.content, strict=True):
            found[message.id, index] = block.text.value
    assert found == wanted


@given(conversations(), st.randoms(use_true_random=False))
def test_law_old_snapshots_may_be_read_in_any_order(conversation, random):
    _, events = conversation
    at_once = []
    snapshot = Snapshot()
    for one in events:
        snapshot = fold(snapshot, one)
        at_once.append(seen(snapshot))
    later = list(accumulate(events, fold, initial=Snapshot()))[1:]
    order = list(range(len(later)))
    random.shuffle(order)
    read = {place: seen(later[place]) for place in order}
    assert [read[place] for place in range(len(later))] == at_once


@given(conversations(), st.data())
def test_law_branches_are_as_if_alone(conversation, data):
    _, events = conversation
    snapshots = list(accumulate(events, fold, initial=Snapshot()))
    before = [texts(snapshot) for snapshot in snapshots]
    for _ in range(4):
        place = data.draw(st.integers(0, len(snapshots) - 1))
        branch = folded(*events[:2], start=snapshots[place])
        assert texts(branch) == texts(folded(*events[:place], *events[:2]))
    assert [texts(snapshot) for snapshot in snapshots] == before


ASIDE = [
    event("thread.run.in_progress", id="run_1", status="in_progress"),
    called("step_1", function("{")),
    said("in_progress", "msg_1"),
    grown("msg_2"),
    grown("msg_2", part(None)),
    grown("msg_1", part("", annotations=[{"index": 0, "type": "file_citation", "text": "[1]"}])),
    UnknownEvent("thread.x", None),
]


@given(conversations(), st.data())
def test_law_what_stands_between_two_pieces_changes_no_text(conversation, data):
    _, events = conversation
    snapshot, started = Snapshot(), set()
    for one in events:
        started.add(one.data.id)
        snapshot = fold(snapshot, one)
        if data.draw(st.booleans()):
            assert snapshot.text == "".join(texts(snapshot))
        aside = data.draw(st.sampled_from(ASIDE))
        if getattr(aside.data, "id", None) in {*started, None, "run_1", "step_1"}:
            snapshot = fold(snapshot, aside)
    assert "".join(texts(snapshot)) == snapshot.text == folded(*events).text


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), max_size=60))
def test_law_old_snapshots_stay_valid_when_objects_take_turns(turns):
    """Each turn, a message grows in one of the latest snapshots, which may branch there."""
    told = [(Snapshot(), {})]
    for number, (message, back) in enumerate(turns):
        snapshot, known = told[-1 - min(back, len(told) - 1)]
        message_id = f"msg_{message}"
        text = known.get(message_id, "") + f"{number} "
        grew = fold(snapshot, grown(message_id, f"{number} "))
        told.append((grew, {**known, message_id: text}))
    for snapshot, known in told:
        said = {each.id: each.content[0].text.value for each in snapshot.messages}
        assert list(said.items()) == list(known.items())
        for message_id, text in known.items():
            assert snapshot.find_message(message_id).content[0].text.value == text


def test_turns_of_many_messages():
    """More than one node of the tree of what changed."""
    order = [n * 7 % 1100 for n in range(1100)]
    events = [grown(f"msg_{n}", "a") for n in order] + [grown(f"msg_{n}", "b") for n in order]
    half, whole = folded(*events[:1100]), folded(*events)
    assert half.text == "a" * 1100
    assert whole.text == "ab" * 1100
    assert [message.id for message in whole.messages] == [f"msg_{n}" for n in order]


def test_unknown_deltas_add_up():
    """Objects by key, lists by appending, text by joining, else what was said last."""
    said = [
        {"index": 0, "type": "hum", "tune": "a", "notes": [1], "of": {"id": "x", "b": None}},
        {"index": 0, "type": "hum", "tune": "b", "notes": [2, 3], "of": {"id": "y", "b": "c"}},
        {"index": 0, "type": "hum", "tune": None, "notes": None, "of": {"b": None}, "loud": True},
        {"index": 0, "type": "hum", "tune": 1, "loud": False},
        {"index": 0, "type": "hum", "tune": "z"},
    ]
    (part,) = folded(*(grown("msg_1", one) for one in said)).message.content
    assert part.raw == {
        "type": "hum",
        "tune": "z",
        "notes": [1, 2, 3],
        "of": {"id": "y", "b": "c"},
        "loud": False,
    }


# --- cost ----------------------------------------------------------------------------------


def work(action):
    """How many calls an action makes, of Python and of C: work, not time."""
    count = 0

    def profile(frame, what, argument):
        nonlocal count
        count += what in {"call", "c_call"}

    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def grown_to(size, one):
    return folded(*[one] * size)


def made(snapshot, one):
    """How many entries the objects have that a fold makes anew: what it copied, and a few more."""
    known = {}
    entries(snapshot, known)
    return entries(fold(snapshot, one), known)


def entries(value, known):
    """How many entries all objects have that a value reaches and that are not known yet."""
    if id(value) in known or isinstance(value, str | int | float | bool | None):
        return 0
    known[id(value)] = value
    if isinstance(value, dict):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple):
        inner = list(value)
    else:
        slots = {name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ())}
        inner = [
            getattr(value, name) for name in slots if hasattr(value, name) and name[:2] != "__"
        ]
    return len(inner) + sum(entries(one, known) for one in inner)


@pytest.mark.parametrize(
    "one",
    [
        grown("msg_1", "word "),
        called("step_1", function("word ")),
        called("step_1", code(input="word ")),
        called("step_1", code(outputs=[{"index": 0, "type": "logs", "logs": "line\n"}])),
        grown("msg_1", {"index": 0, "type": "refusal", "refusal": "word "}),
    ],
    ids=["text", "arguments", "input", "logs", "refusal"],
)
def test_a_fold_costs_the_same_however_much_there_is(one):
    small, large = grown_to(100, one), grown_to(10_000, one)
    assert work(lambda: fold(small, one)) == work(lambda: fold(large, one))
    assert made(grown_to(100, one), one) == made(grown_to(10_000, one), one) > 0


@pytest.mark.parametrize("part", ["text", "function", "code_interpreter", "logs"])
def test_deltas_as_they_come_fold_as_those_that_were_looked_at(part):
    """What stands for their data until somebody looks is all that a fold needs."""
    deltas = {
        "text": grown("msg_1", "a"),
        "function": called("step_1", function("a", name="f", id="c")),
        "code_interpreter": called("step_1", code(1, "c", input="a")),
        "logs": called(
            "step_1", code(outputs=[{"index": n, "type": "logs", "logs": "a"} for n in (1, 0, 0)])
        ),
    }
    sent = encode_event(deltas[part])
    body = f"event: {sent.event}\ndata: {sent.data}\n\n".encode()
    for count in (1, 2, 3):
        as_they_come = folded(*EventDecoder().feed(body * count))
        assert seen(as_they_come)[1:] == seen(folded(*[deltas[part]] * count))[1:]


@pytest.mark.parametrize("place", [0, None])
def test_what_a_fold_keeps_of_logs_is_little_for_the_collector(place):
    """Nothing for each log that one delta told, and one text where many tell of one."""
    logs = [
        called("step_1", code(outputs=[{"index": n if place is None else place, "type": "logs",
                                        "logs": "a"}]))
        for n in range(1000)
    ]  # fmt: skip
    snapshot = folded(*logs[:2])
    gc.collect()
    before = len(gc.get_objects())
    snapshot = folded(*logs[2:], start=snapshot)
    gc.collect()
    assert len(gc.get_objects()) - before < 50
    (call,) = snapshot.run_step.step_details.tool_calls
    logs = [output.logs for output in call.code_interpreter.outputs]
    assert logs == (["a"] * 1000 if place is None else ["a" * 1000])


def test_a_new_object_costs_the_same_however_many_there_are():
    def run_of(count):
        return folded(*(grown(f"msg_{n}", "a") for n in range(count)))

    one = grown("msg_new", "a")
    small, large = run_of(100), run_of(2_000)
    assert work(lambda: fold(small, one)) == work(lambda: fold(large, one))
    assert made(run_of(100), one) == made(run_of(2_000), one) > 0


def test_reading_twice_joins_once():
    snapshot = grown_to(1_000, grown("msg_1", "word "))
    assert len(snapshot.text) == 5_000
    assert work(lambda: snapshot.text) < 100


def test_models_from_json_are_what_snapshots_give():
    whole = {
        "id": "msg_1",
        "status": "in_progress",
        "content": [{"type": "text", "text": {"value": "Hello"}}],
    }
    assert folded(grown("msg_1", "Hel"), grown("msg_1", "lo")).message == structure(whole, Message)


def test_what_grows_keeps_what_no_field_is_there_for():
    build = EventBuilder()
    cited = {"index": 0, "type": "file_citation", "text": "t", "of_mark": 1, "file_citation": {}}
    text = {"value": "a", "of_text": 2, "annotations": [cited]}
    image = {"index": 1, "type": "image_file", "of_image": 4, "image_file": {"file_id": "f"}}
    refusal = {"index": 2, "type": "refusal", "refusal": "no", "of_refusal": 5}
    path = {"index": 1, "type": "file_path", "text": "p", "of_path": 10, "file_path": {}}
    function = {"name": "f", "arguments": "{", "of_function": 6}
    logs = {"index": 0, "type": "image", "of_output": 8, "image": {}}
    code = {"index": 1, "id": "c2", "type": "code_interpreter", "of_code": 7}
    said = [
        build.message_delta({"index": 0, "type": "text", "of_part": 3, "text": text}),
        build.message_delta(" more", image, refusal),
        build.message_delta({"index": 0, "type": "text", "text": {"annotations": [path]}}),
        build.run_step_delta(
            {"index": 0, "id": "c1", "type": "function", "function": function},
            code | {"code_interpreter": {"outputs": [logs], "of_run": 11}},
            {"index": 2, "id": "c3", "type": "file_search", "of_search": 9},
        ),
        build.run_step_delta({"index": 0, "type": "function", "late": 12, "function": {}}),
    ]
    snapshot = reduce(fold, said, NOTHING)
    part, picture, refused = snapshot.messages[0].content
    call, ran, searched = snapshot.run_steps[0].step_details.tool_calls
    assert part.extra == {"of_part": 3}
    assert part.text.extra == {"of_text": 2}
    assert part.text.value == "a more"
    marks = [mark.extra for mark in part.text.annotations]
    assert marks == [{"of_mark": 1}, {"of_path": 10}]
    assert (picture.extra, refused.extra) == ({"of_image": 4}, {"of_refusal": 5})
    assert (call.extra, call.function.extra) == ({"late": 12}, {"of_function": 6})
    assert call.function.arguments == "{"
    assert (ran.extra, ran.code_interpreter.extra) == ({"of_code": 7}, {"of_run": 11})
    assert ran.code_interpreter.outputs[0].extra == {"of_output": 8}
    assert searched.extra == {"of_search": 9}
