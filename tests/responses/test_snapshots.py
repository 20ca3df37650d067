"""The fold of responses: what it gives, that it never changes, and what it costs."""

import sys
from itertools import accumulate
from statistics import median

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from rxassist.protocols.responses.events import OutputTextDelta, ResponseEvent
from rxassist.protocols.responses.models import (
    ApplyPatchCall,
    CodeInterpreterCall,
    Compaction,
    FileCitation,
    FunctionCall,
    OutputMessage,
    OutputText,
    Reasoning,
    Refusal,
    ShellCall,
    SummaryText,
    WebSearchCall,
)
from rxassist.protocols.responses.snapshots import NOTHING, Snapshot, fold

CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}


def place(index=0, **more):
    return {"item_id": f"item_{index}", "output_index": index, **more}


def delta(text, index=0, part=0):
    sent = place(index, content_index=part)
    return {"type": "response.output_text.delta", **sent, "delta": text}


def item(what, index=0, **fields):
    return {"type": f"response.output_item.{what}", "output_index": index, "item": fields}


def lifecycle(status, *output, name=None, **more):
    response = {"id": "resp_1", "status": status, "output": list(output), **more}
    return {"type": f"response.{name or status}", "response": response}


@pytest.fixture
def folded(told):
    def all_of(*sent):
        return list(accumulate(told(*sent), fold, initial=NOTHING))[-1]

    return all_of


# --- recordings ----------------------------------------------------------------------------


def test_the_output_is_that_of_the_response_that_ended(recorded):
    """Encrypted text differs from one event to the next: the service encrypts it anew."""
    last = [event for event in recorded if isinstance(event, ResponseEvent)][-1]
    before = list(accumulate(recorded[: recorded.index(last)], fold, initial=NOTHING))[-1]
    assert _plain(before.output) == _plain(last.response.output)

    after = fold(before, last)
    assert after.output == after.items == last.response.output
    assert after.text == last.response.output_text
    assert after.run == last.response
    assert after.tool_calls == before.tool_calls


def _plain(items):
    encrypted = (Reasoning, Compaction)
    return [
        evolve(each, encrypted_content=None) if isinstance(each, encrypted) else each
        for each in items
    ]


def test_the_output_is_whole_though_no_item_is_done(recorded):
    """Only what grows, and the response that ended: some servers send no more."""
    left = [event for event in recorded if not event.name.endswith("_item.done")]
    snapshot = list(accumulate(left, fold, initial=NOTHING))[-1]
    assert snapshot.output == snapshot.run.output


def test_a_last_response_without_output_keeps_what_was_heard(recorded):
    last = [event for event in recorded if isinstance(event, ResponseEvent)][-1]
    *events, end = recorded[: recorded.index(last) + 1]
    empty = evolve(end, response=evolve(end.response, output=()))
    before, after = list(accumulate([*events, empty], fold, initial=NOTHING))[-2:]
    assert after.output == before.output


def test_snapshots_never_change(short_streams, decode):
    for path in short_streams[::4]:
        events = decode(path.read_bytes())
        snapshots, seen = [NOTHING], [_all(NOTHING)]
        for event in events:
            snapshots.append(fold(snapshots[-1], event))
            seen.append(_all(snapshots[-1]))
        assert [_all(snapshot) for snapshot in snapshots] == seen


def _all(snapshot):
    return (snapshot.run, snapshot.items, snapshot.text, snapshot.message, snapshot.tool_calls)


@given(data=st.data())
def test_a_fold_may_go_on_from_any_snapshot(data, short_streams, decode):
    events = decode(data.draw(st.sampled_from(short_streams)).read_bytes())
    snapshots = list(accumulate(events, fold, initial=NOTHING))
    at = data.draw(st.integers(0, len(events)))
    again = list(accumulate(events[at:], fold, initial=snapshots[at]))
    assert [_all(each) for each in again] == [_all(each) for each in snapshots[at:]]


# --- what grows ----------------------------------------------------------------------------


def test_nothing_is_known_before_the_first_event():
    assert NOTHING.run is NOTHING.message is NOTHING.item is None
    assert NOTHING.items == NOTHING.output == NOTHING.messages == NOTHING.run_steps == ()
    assert NOTHING.text == ""
    assert repr(NOTHING) == "Snapshot(event=None, run=None)"


def test_text_grows_though_its_beginning_was_never_seen(folded):
    snapshot = folded(CREATED, delta("A"), delta("B"), delta(""), delta("C", part=2))
    assert snapshot.message == OutputMessage(
        "item_0", status="in_progress", content=(OutputText("AB"), OutputText("C"))
    )
    assert snapshot.item == snapshot.find_item("resp_1", 0)
    assert snapshot.text == "ABC"
    match snapshot:
        case Snapshot(event=OutputTextDelta(delta="C"), run=run):
            assert run.id == "resp_1"


def test_items_overlap_and_come_in_the_order_of_the_output(folded):
    snapshot = folded(CREATED, delta("B", 1), delta("A", 0), delta("b", 1), delta("a", 0))
    assert snapshot.text == "AaBb"
    assert [each.text for each in snapshot.messages] == ["Aa", "Bb"]


def test_annotations_have_their_places(folded):
    annotation = {"type": "file_citation", "file_id": "f", "filename": "a.txt", "index": 1}
    sent = place(content_index=0, annotation_index=0, annotation=annotation)
    added = {"type": "response.output_text.annotation.added", **sent}
    snapshot = folded(CREATED, delta("A"), added, delta("B"))
    assert snapshot.message.content == (OutputText("AB", (FileCitation("f", "a.txt", 1),)),)


@pytest.mark.parametrize(
    ("name", "cls", "field"),
    [
        ("function_call_arguments", "FunctionCall", "arguments"),
        ("mcp_call_arguments", "MCPCall", "arguments"),
        ("custom_tool_call_input", "CustomToolCall", "input"),
        ("code_interpreter_call_code", "CodeInterpreterCall", "code"),
    ],
)
def test_calls_grow(folded, name, cls, field):
    grown = {"type": f"response.{name}.delta", **place()}
    first = folded(CREATED, {**grown, "delta": "{"}, {**grown, "delta": "}"})
    assert type(first.item).__name__ == cls
    assert getattr(first.item, field) == "{}"
    assert first.item.id == "item_0"
    assert first.tool_calls == (first.item,)

    whole = {"type": f"response.{name}.done", **place(), field: "{1}"}
    assert getattr(folded(CREATED, whole).item, field) == "{1}"


def test_a_diff_grows(folded):
    grown = {"type": "response.apply_patch_call_operation_diff.delta", **place(), "delta": "+a"}
    operation = {"type": "update_file", "path": "a.txt"}
    begun = item("added", type="apply_patch_call", call_id="c", operation=operation)
    snapshot = folded(CREATED, begun, grown, grown)
    assert snapshot.item == ApplyPatchCall(call_id="c", operation={**operation, "diff": "+a+a"})


def test_thoughts_and_refusals_grow(folded):
    thought = {"type": "response.reasoning_text.delta", **place(content_index=0), "delta": "T"}
    summary = {"type": "response.reasoning_summary_text.delta", **place(), "delta": "S"}
    snapshot = folded(CREATED, thought, {**summary, "summary_index": 1}, thought)
    assert isinstance(snapshot.item, Reasoning)
    assert [part.text for part in snapshot.item.content] == ["TT"]
    assert snapshot.item.summary == (SummaryText("S"),)

    done = {"type": "response.reasoning_text.done", **place(content_index=0), "text": "Whole"}
    assert folded(CREATED, done).item.content[0].text == "Whole"

    refusal = {"type": "response.refusal.delta", **place(content_index=0), "delta": "No"}
    snapshot = folded(CREATED, refusal, {**refusal, "delta": "!"})
    assert snapshot.message.content == (Refusal("No!"),)
    assert snapshot.text == ""
    done = {"type": "response.refusal.done", **place(content_index=0), "refusal": "No."}
    assert folded(CREATED, done).message.content == (Refusal("No."),)


def test_a_call_of_the_service_goes_on(folded):
    going = {"type": "response.web_search_call.searching", **place()}
    assert folded(CREATED, going).item == WebSearchCall("item_0", "searching")
    begun = item("added", type="code_interpreter_call", id="ci", status="in_progress")
    going = {"type": "response.code_interpreter_call.interpreting", **place()}
    assert folded(CREATED, begun, going).item == CodeInterpreterCall("ci", "interpreting")


def test_what_a_shell_prints_comes_with_the_whole_item(folded):
    grown = {"type": "response.shell_call_command.delta", "output_index": 0, "delta": "ls"}
    began = {"type": "response.shell_call_command.added", "output_index": 0, "command": ""}
    assert folded(CREATED, began, grown).item == ShellCall(status="in_progress")
    whole = item("done", type="shell_call", call_id="c", action={"commands": ["ls"]})
    assert folded(CREATED, grown, whole).item == ShellCall(call_id="c", action={"commands": ["ls"]})


def test_what_comes_after_the_end_of_an_item_changes_nothing(folded):
    whole = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "A"}]}
    ended = [CREATED, delta("a"), item("done", **whole)]
    late = [delta("B"), item("added", **whole), {"type": "response.refusal.delta", **place()}]
    assert folded(*ended, *late).items == folded(*ended).items
    assert folded(*ended, *late).text == "A"


def test_an_item_that_is_added_after_its_deltas_keeps_them(folded):
    begun = item("added", type="message", id="m", role="assistant", content=[])
    assert folded(CREATED, delta("A"), begun, delta("B")).message.text == "AB"
    call = item("added", type="function_call", call_id="c", name="add")
    grown = {"type": "response.function_call_arguments.delta", **place(), "delta": "{}"}
    assert folded(CREATED, grown, call).item == FunctionCall("c", "add", "{}")


def test_parts_that_are_whole_end_what_grew(folded):
    part = {"type": "output_text", "text": "Whole", "annotations": []}
    done = {"type": "response.content_part.done", **place(content_index=0), "part": part}
    assert folded(CREATED, delta("A"), done, delta("B")).text == "Whole"
    text = {"type": "response.output_text.done", **place(content_index=0), "text": "Text"}
    assert folded(CREATED, delta("A"), text).text == "Text"
    assert folded(CREATED, text, delta("!")).text == "Text!"


# --- responses -----------------------------------------------------------------------------


def test_a_response_in_progress_after_output_is_a_reset(folded):
    kept = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "A"}]}
    reset = lifecycle("in_progress", kept)
    snapshot = folded(CREATED, delta("Abc"), delta("B", 1), reset)
    assert snapshot.text == "A"
    assert folded(CREATED, delta("Abc"), reset, delta("x")).text == "Ax"
    assert folded(CREATED, delta("Abc"), lifecycle("in_progress")).items == ()


def test_two_responses_in_one_body_stand_one_behind_the_other(folded):
    second = {"type": "response.created", "response": {"id": "resp_2", "status": "queued"}}
    snapshot = folded(CREATED, delta("A", 1), lifecycle("completed"), second, delta("B", 0))
    assert snapshot.text == "AB"
    assert [each.text for each in snapshot.output] == ["B"]
    assert snapshot.run.id == "resp_2"
    reset = {"type": "response.in_progress", "response": {"id": "resp_2"}}
    sent = [CREATED, delta("A", 1), lifecycle("completed"), second, delta("B", 0), reset]
    assert folded(*sent).text == "A"


def test_the_status_is_the_truth_and_the_name_is_not(folded):
    assert folded(lifecycle("incomplete", name="completed")).run.status == "incomplete"
    assert folded(lifecycle("cancelled", name="failed")).run.status == "cancelled"
    assert folded(lifecycle(None, name="incomplete")).run.status == "incomplete"
    assert folded(lifecycle("", name="created")).run.status == "in_progress"


# --- costs ---------------------------------------------------------------------------------


def test_a_delta_costs_the_same_however_much_has_grown():
    """Counted in lines that run, which a loaded machine does not change."""

    def traced(snapshot, event):
        lines = 0

        def trace(*_):
            nonlocal lines
            lines += 1
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            after = fold(snapshot, event)
        finally:
            sys.settrace(before)
        return after, lines

    for overlapping in (1, 2):
        snapshot, costs = NOTHING, []
        for at in range(3000):
            delta = OutputTextDelta(None, "r", at % overlapping, "m", 0, "a")
            snapshot, cost = traced(snapshot, delta)
            costs.append(cost)
        # the median: a collection of garbage may run finalizers in between
        assert median(costs[-20:]) <= median(costs[10:30]) + 5
        assert len(snapshot.text) == len(costs)


def test_what_is_no_event_is_refused():
    with pytest.raises(TypeError, match="a snapshot takes"):
        fold(NOTHING, "event")


def test_the_text_is_that_of_the_messages_at_every_event(recorded):
    every = 1 if len(recorded) < 150 else 13
    for snapshot in list(accumulate(recorded, fold, initial=NOTHING))[::every]:
        assert snapshot.text == "".join(message.text for message in snapshot.messages)


@pytest.mark.parametrize("kind", ["reasoning", "message", "function_call"])
def test_the_text_where_a_delta_of_text_is_of_another_item(told, kind):
    events = told(
        CREATED,
        item("added", 0, type="message", id="item_0"),
        item("added", 2, type=kind, id="item_2", call_id="c", name="f"),
        *(delta("a", 2), delta("b", 2), delta("x", 0), delta("y", 0), delta("c", 2)),
        item("added", 1, type="message", id="item_1"),
        *(delta("m", 1), delta("n", 1), delta("d", 2), delta("z", 0, part=1)),
        {
            "type": "response.content_part.added",
            **place(3, content_index=0),
            "part": {"type": "refusal", "refusal": ""},
        },
        *(delta("r", 3), delta("s", 3), delta("e", 2), delta("f", 2)),
    )
    for snapshot in accumulate(events, fold, initial=NOTHING):
        expected = "".join(message.text for message in snapshot.messages)
        assert snapshot.text == expected
        assert snapshot.text == expected  # once more, from what it has kept
