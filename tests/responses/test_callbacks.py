"""Which callbacks of a handler responses cause."""

from itertools import accumulate, pairwise

import pytest
import reactivex
from attrs import evolve

from rxassist import AssistantEventHandler, AsyncResponseEventHandler, ResponseEventHandler
from rxassist.protocols.responses.callbacks import callbacks_of
from rxassist.protocols.responses.models import OutputMessage, OutputText
from rxassist.protocols.responses.snapshots import NOTHING, fold

CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
CALL = {"type": "function_call", "call_id": "c", "name": "add", "arguments": ""}


def caused(events):
    """The callbacks, without ``on_event``."""
    snapshots = accumulate(events, fold, initial=NOTHING)
    calls = []
    for event, (before, after) in zip(events, pairwise(snapshots), strict=True):
        first, *others = callbacks_of(event, before, after)
        assert first == ("on_event", (event,))
        calls += others
    return calls


def names(events):
    return [name.removeprefix("on_") for name, _ in caused(events)]


def delta(text, index=0, part=0):
    sent = {"item_id": "m", "output_index": index, "content_index": part, "delta": text}
    return {"type": "response.output_text.delta", **sent}


def item(what, index=0, **fields):
    return {"type": f"response.output_item.{what}", "output_index": index, "item": fields}


def grown(text, index=0):
    sent = {"item_id": "c", "output_index": index, "delta": text}
    return {"type": "response.function_call_arguments.delta", **sent}


def message(*texts):
    parts = [{"type": "output_text", "text": text} for text in texts]
    return {"type": "message", "id": "m", "content": parts}


def completed(*output):
    response = {"id": "resp_1", "status": "completed", "output": list(output)}
    return {"type": "response.completed", "response": response}


# --- recordings ----------------------------------------------------------------------------


def test_each_object_is_created_once_and_done_once_whole(recorded):
    calls = caused(recorded)
    final = list(accumulate(recorded, fold, initial=NOTHING))[-1]
    done = {}
    for name, given in calls:
        done.setdefault(name, []).append(given[0])
    texts = [part for each in final.messages for part in each.content if part.type != "refusal"]
    assert done.get("on_message_done", []) == list(final.messages)
    assert [_rounded(part) for part in done.get("on_text_done", [])] == list(map(_rounded, texts))
    assert done.get("on_tool_call_done", []) == list(final.tool_calls)
    for name in ("message", "text", "tool_call"):
        created, ended = (done.get(f"on_{name}_{what}", []) for what in ("created", "done"))
        assert len(created) == len(ended)
    deltas = [event.value for event in done.get("on_text_delta", [])]
    assert "".join(deltas) == final.text


def _rounded(part):
    """Without probabilities: the service rounds those of the item in another way."""
    return evolve(part, logprobs=())


# --- in detail -----------------------------------------------------------------------------


def test_a_message_with_text(told):
    part = {"type": "output_text", "text": "", "annotations": []}
    where = {"item_id": "m", "output_index": 0, "content_index": 0}
    events = told(
        CREATED,
        item("added", **message()),
        {"type": "response.content_part.added", **where, "part": part},
        delta("A"),
        delta("B"),
        {"type": "response.output_text.done", **where, "text": "AB"},
        {"type": "response.content_part.done", **where, "part": {**part, "text": "AB"}},
        item("done", **message("AB")),
        completed(message("AB")),
    )
    grow = ["text_delta", "message_delta"]
    begin = ["message_created", "text_created"]
    assert names(events) == [*begin, *grow, *grow, "text_done", "message_done"]
    first = next(call for call in caused(events) if call[0] == "on_text_delta")
    assert first[1] == (events[3], OutputText("A"))
    assert first[1][0].value == "A"
    assert first[1][0].annotations == ()
    last = caused(events)[-1][1]
    assert last == (OutputMessage("m", content=(OutputText("AB"),)),)


def test_an_annotation_is_a_delta_of_text_without_text(told):
    annotation = {"type": "url_citation", "url": "https://example.com"}
    where = {"item_id": "m", "output_index": 0, "content_index": 0, "annotation_index": 0}
    added = {"type": "response.output_text.annotation.added", **where, "annotation": annotation}
    *_, text, whole = caused(told(CREATED, delta("A"), added))
    assert (text[0], whole[0]) == ("on_text_delta", "on_message_delta")
    assert text[1][0].value == ""
    assert text[1][0].annotations == text[1][1].annotations


def test_a_function_call(told):
    whole = {**CALL, "arguments": "{}"}
    done = {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{}"}
    events = told(
        CREATED, item("added", **CALL), grown("{"), grown("}"), done, item("done", **whole)
    )
    assert names([*events, *told(completed(whole), response_id="resp_1")]) == [
        "tool_call_created",
        "tool_call_delta",
        "tool_call_delta",
        "tool_call_done",
    ]
    calls = caused(events)
    assert calls[1][1][1].function.arguments == "{"
    assert calls[-1][1][0].arguments == "{}"


def test_what_is_not_done_is_done_when_the_response_ends(told):
    for output in ((), (message("A"), {**CALL, "arguments": "{"})):
        events = told(CREATED, delta("A"), grown("{", 1), completed(*output))
        assert names(events)[-3:] == ["text_done", "message_done", "tool_call_done"]
        assert names(events).count("text_created") == 1


def test_what_comes_whole_is_created_and_done(told):
    events = told(CREATED, completed(message("A", "B"), CALL))
    text, call = ["text_created", "text_done"], ["tool_call_created", "tool_call_done"]
    assert names(events) == ["message_created", *text, *text, "message_done", *call]
    begun = told(CREATED, item("added", **message("A")))
    assert names(begun) == ["message_created", "text_created"]


def test_thoughts_refusals_and_lists_of_tools_are_events_alone(told):
    where = {"item_id": "i", "output_index": 0, "content_index": 0, "delta": "x"}
    thought = {"type": "response.reasoning_text.delta", **where}
    assert names(told(CREATED, thought, item("added", 1, type="mcp_list_tools"))) == []
    refusal = {"type": "response.refusal.delta", **where}
    assert names(told(CREATED, refusal)) == ["message_created", "message_delta"]


def test_late_deltas_cause_nothing(told):
    events = told(CREATED, item("done", **message("A")), delta("B"))
    assert names(events)[-1] == "message_done"


def test_the_handler_of_the_other_protocol_takes_them(wire, decode):
    class Handler(AssistantEventHandler):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_text_delta(self, delta, snapshot):
            self.seen.append((delta.value, snapshot.value))

        def on_message_done(self, message):
            self.seen.append(message.text)

        def on_end(self):
            self.seen.append(self.current_run.status)

    handler = Handler()
    events = decode((wire / "responses" / "dotnet-hello.sse").read_bytes())
    reactivex.from_iterable(events).subscribe(handler)
    text = "Hello! How can I assist you today?"
    assert handler.seen[:2] == [("Hello", "Hello"), ("!", "Hello!")]
    assert handler.seen[-2:] == [text, "completed"]


@pytest.mark.parametrize("base", [ResponseEventHandler, AsyncResponseEventHandler])
@pytest.mark.parametrize("name", ["on_run_step_done", "on_image_file_done"])
def test_a_callback_that_no_response_causes_is_refused(base, name):
    with pytest.raises(TypeError, match=rf"Printer\.{name} would never be called: a"):
        type("Printer", (base,), {name: lambda *_: None})
