"""Which callbacks an event causes, and handlers as observers of any Observable."""

from functools import partial, wraps
from itertools import pairwise
from pathlib import Path

import pytest
import reactivex
from reactivex.subject import Subject

from rxassist import APITimeoutError, AssistantEventHandler, AsyncAssistantEventHandler
from rxassist.events import DoneEvent, UnknownEvent
from rxassist.protocols.assistants import handler
from rxassist.protocols.assistants.callbacks import callbacks_of as calls
from rxassist.protocols.assistants.codec import EventDecoder, decode_event
from rxassist.protocols.assistants.snapshots import Snapshot, _MessageState, fold
from rxassist.wire.json import to_json
from rxassist.wire.sse import ServerSentEvent

RECORDINGS = sorted((Path(__file__).parent / "wire" / "assistants").glob("*.sse"))
RECORDINGS = [path for path in RECORDINGS if path.stem != "php-no-blank-lines"]  # no events


# --- what the service says, in short -------------------------------------------------------


def event(name, data):
    return decode_event(ServerSentEvent(name, to_json(data).decode()))


def run(status, **more):
    return event(f"thread.run.{status}", {"id": "run_1", "status": status, **more})


def text(value):
    return {"type": "text", "text": {"value": value, "annotations": []}}


def image(file_id):
    return {"type": "image_file", "image_file": {"file_id": file_id}}


def message(status, *parts, name=None, of="msg_1"):
    content = [text(part) if isinstance(part, str) else part for part in parts]
    data = {"id": of, "role": "assistant", "status": status, "content": content}
    return event(f"thread.message.{name or status}", data)


def begin(of="msg_1"):
    return message("in_progress", name="created", of=of)


def grow(*parts, of="msg_1"):
    """A message grows: a part is a text, or an index and a text or a part."""
    placed = [part if isinstance(part, tuple) else (0, part) for part in parts]
    content = [
        {"index": index, **(text(part) if isinstance(part, str) else part)}
        for index, part in placed
    ]
    return event("thread.message.delta", {"id": of, "delta": {"content": content}})


def step(status, *function_calls, name=None, of="step_1"):
    details = {"type": "tool_calls", "tool_calls": list(function_calls)}
    data = {"id": of, "type": "tool_calls", "status": status, "step_details": details}
    return event(f"thread.run.step.{name or status}", data)


def call(call_id, arguments="", **more):
    function = {"name": "f", "arguments": arguments, "output": None}
    return {"id": call_id, "type": "function", "function": function, **more}


def more(arguments, index=0):
    return {"index": index, "type": "function", "function": {"arguments": arguments}}


def grow_calls(*deltas, of="step_1"):
    details = {"type": "tool_calls", "tool_calls": list(deltas)}
    return event("thread.run.step.delta", {"id": of, "delta": {"step_details": details}})


def waits(*function_calls):
    outputs = {"tool_calls": list(function_calls)}
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": outputs}
    return run("requires_action", required_action=action)


BEGIN_STEP = step("in_progress", name="created")


# --- what is heard -------------------------------------------------------------------------


def short(value):
    """What matters of an argument."""
    for name in ("event", "value", "file_id"):
        if hasattr(value, name):
            return getattr(value, name)
    if getattr(value, "type", None) == "function":
        function = value.function
        return f"{getattr(value, 'id', '')} {function and function.arguments}".strip()
    return getattr(value, "id", None)


def heard(*events):
    """The callbacks, without ``on_event``, and the last of their arguments."""
    snapshots = [Snapshot()]
    for told in events:
        snapshots.append(fold(snapshots[-1], told))
    caused = [
        each
        for told, (before, after) in zip(events, pairwise(snapshots), strict=True)
        for each in calls(told, before, after)
    ]
    return [
        f"{name.removeprefix('on_')} {short(arguments[-1])}"
        for name, arguments in caused
        if name != "on_event"
    ]


# --- messages ------------------------------------------------------------------------------


def test_a_message():
    assert heard(
        begin(), message("in_progress"), grow("a"), grow("b"), message("completed", "ab")
    ) == [
        "message_created msg_1",
        "text_created a",
        "text_delta a",
        "message_delta msg_1",
        "text_delta ab",
        "message_delta msg_1",
        "text_done ab",
        "message_done msg_1",
    ]


def test_a_delta_and_what_it_grew():
    told = grow("b")
    before = fold(fold(Snapshot(), begin()), grow("a"))
    after = fold(before, told)
    assert calls(told, before, after) == (
        ("on_event", (told,)),
        ("on_text_delta", (told.data.delta.content[0].text, after.message.content[0].text)),
        ("on_message_delta", (told.data.delta, after.message)),
    )


def test_a_second_part_ends_the_first():
    assert heard(
        begin(), grow("a"), grow((1, "b")), grow((1, "c")), message("completed", "a", "bc")
    ) == [
        "message_created msg_1",
        "text_created a",
        "text_delta a",
        "message_delta msg_1",
        "text_done a",
        "text_created b",
        "text_delta b",
        "message_delta msg_1",
        "text_delta bc",
        "message_delta msg_1",
        "text_done bc",
        "message_done msg_1",
    ]


def test_two_parts_in_one_delta():
    assert heard(begin(), grow("a", (1, "b")), grow("A", "B"), message("incomplete")) == [
        "message_created msg_1",
        "text_created a",
        "text_delta a",
        "text_done a",
        "text_created b",
        "text_delta b",
        "message_delta msg_1",
        "text_delta aAB",
        "text_delta aAB",
        "message_delta msg_1",
        "text_done b",
        "message_done msg_1",
    ]


def test_a_part_is_done_as_it_stands_when_the_next_begins():
    assert "text_done aA" in heard(begin(), grow("a"), grow("A", (1, "b")))


def test_a_part_whose_index_is_null_is_told_of_again():
    assert heard(begin(), grow((None, "a")), message("in_progress"), grow((None, "A"))) == [
        "message_created msg_1",
        "text_created a",
        "text_delta a",
        "message_delta msg_1",
        "text_delta aA",
        "message_delta msg_1",
    ]


def test_image_parts():
    assert heard(
        begin(), grow(image("f1")), grow((1, "a")), grow((2, image("f2"))), message("completed")
    ) == [
        "message_created msg_1",
        "message_delta msg_1",
        "image_file_done f1",
        "text_created a",
        "text_delta a",
        "message_delta msg_1",
        "text_done a",
        "message_delta msg_1",
        "image_file_done f2",
        "message_done msg_1",
    ]


def test_interleaved_messages():
    assert heard(
        begin("m1"),
        begin("m2"),
        grow("a", of="m1"),
        grow("x", of="m2"),
        grow("b", of="m1"),
        message("completed", "x", of="m2"),
        message("completed", "ab", of="m1"),
    ) == [
        "message_created m1",
        "message_created m2",
        "text_created a",
        "text_delta a",
        "message_delta m1",
        "text_created x",
        "text_delta x",
        "message_delta m2",
        "text_delta ab",
        "message_delta m1",
        "text_done x",
        "message_done m2",
        "text_done ab",
        "message_done m1",
    ]


def test_an_incomplete_message_is_done():
    assert heard(begin(), grow("a"), message("incomplete", "a"))[-2:] == [
        "text_done a",
        "message_done msg_1",
    ]


def test_what_is_done_is_as_the_service_finished_it():
    assert "text_done a, corrected" in heard(
        begin(), grow("a"), message("completed", "a, corrected")
    )


def test_parts_of_which_no_delta_spoke():
    whole = ["text_created a", "text_done a", "image_file_done f", "message_done msg_1"]
    end = message("completed", "a", image("f"))
    assert heard(begin(), end) == ["message_created msg_1", *whole]
    assert heard(end) == ["message_created msg_1", *whole]


def test_a_message_that_begins_with_content():
    began = message("in_progress", "a", "b", name="created")
    assert heard(began, message("in_progress", "a", "b"), grow((1, "c"))) == [
        "message_created msg_1",
        "text_created a",
        "text_done a",
        "text_created b",
        "text_delta bc",
        "message_delta msg_1",
    ]


def test_a_message_whose_beginning_was_lost():
    assert heard(grow("a"), begin(), grow("b")) == [
        "message_created msg_1",
        "text_created a",
        "text_delta a",
        "message_delta msg_1",
        "text_delta ab",
        "message_delta msg_1",
    ]


def test_nothing_is_told_twice_or_behind_the_end():
    end = message("completed", "a")
    once = heard(begin(), grow("a"), end)
    assert heard(begin(), begin(), grow("a"), end, end, grow("b"), begin()) == once
    end = step("completed", call("c1", "{}"))
    once = heard(BEGIN_STEP, grow_calls(call("c1", index=0)), end)
    again = (end, end, grow_calls(more("x")), BEGIN_STEP)
    assert heard(BEGIN_STEP, BEGIN_STEP, grow_calls(call("c1", index=0)), *again) == once


def test_a_delta_after_the_end_is_told_where_it_fills_something():
    begun = [BEGIN_STEP, grow_calls(call("c1", "{}", index=0)), step("completed", call("c1", "{}"))]
    late = {"index": 0, "type": "function", "function": {"output": "2"}}
    once = heard(*begun)
    told = ["tool_call_delta c1 {}", "run_step_delta step_1"]
    assert heard(*begun, grow_calls(late)) == [*once, *told]
    assert heard(*begun, grow_calls(late | {"id": "c1"}), grow_calls(more("x"))) == [*once, *told]
    served = {"id": "c2", "type": "mcp", "output": None}
    ended = step("completed", served)
    late = {"index": 0, "type": "mcp", "output": "OUT"}
    assert heard(ended, grow_calls(late)) == [
        "run_step_done step_1",
        "tool_call_delta c2",
        "run_step_delta step_1",
    ]


def test_a_message_that_is_filled_after_its_end_says_so():
    end = message("completed", "")
    assert heard(begin(), end, grow("b"), grow((3, "c")), grow("d")) == [
        *heard(begin(), end),
        "text_delta b",
        "message_delta msg_1",
        "text_delta bd",
        "message_delta msg_1",
    ]


def test_calls_that_share_an_index_are_each_created_and_done_once():
    one, other = ({"type": "function", "function": {"name": "f", "arguments": a}} for a in "ab")
    events = [
        grow_calls({**one, "id": "c1"}),
        grow_calls({**other, "id": "c2"}, other),
        step("completed", call("c1", "a"), call("c2", "bb")),
    ]
    assert [each for each in heard(BEGIN_STEP, *events) if "tool_call" in each] == [
        "tool_call_created c1 a",
        "tool_call_delta c1 a",
        "tool_call_done c1 a",
        "tool_call_created c2 bb",
        "tool_call_delta c2 bb",
        "tool_call_delta c2 bb",
        "tool_call_done c2 bb",
    ]


APPROVED = {"id": "c1", "type": "mcp", "name": "search", "arguments": "{}", "server_label": "s"}


def approves(*service_calls):
    approval = {"tool_calls": list(service_calls)}
    action = {"type": "submit_tool_approval", "submit_tool_approval": approval}
    return run("requires_action", required_action=action)


@pytest.mark.parametrize("begun", [True, False], ids=["begun before", "told after"])
def test_a_call_that_is_approved_is_created_and_done_once(begun):
    before = [BEGIN_STEP, grow_calls({**APPROVED, "index": 0})] if begun else []
    after = [
        *([] if begun else [BEGIN_STEP, grow_calls({**APPROVED, "index": 0})]),
        grow_calls({"index": 0, "type": "mcp", "output": "OUT"}),
        step("completed", {**APPROVED, "output": "OUT"}),
    ]
    told = heard(*before, approves(APPROVED), run("queued"), *after, run("completed"))
    assert told.count("tool_call_created c1") == told.count("tool_call_done c1") == 1
    assert told[-1] == "run_step_done step_1"
    alone = heard(approves(APPROVED), run("queued"), step("completed", {**APPROVED, "output": "x"}))
    assert alone == ["tool_call_created c1", "tool_call_done c1", "run_step_done step_1"]


def test_a_call_that_is_told_again_after_its_output_is_created_once():
    whole = call("c1", "{}")
    for again in (
        [BEGIN_STEP, grow_calls({**whole, "index": 0})],
        [step("in_progress", whole, name="created")],
        [step("in_progress", whole, of="step_2")],
        [],
    ):
        told = heard(waits(whole), run("queued"), *again, step("completed", whole), waits(whole))
        once = [each for each in told if each.startswith(("tool_call_created", "tool_call_done"))]
        assert once == ["tool_call_created c1 {}", "tool_call_done c1 {}"]


def test_parts_of_other_kinds():
    refusal = {"type": "refusal", "refusal": "no"}
    unknown = {"type": "hologram"}
    assert heard(begin(), grow(refusal), grow((1, unknown)), message("completed", refusal)) == [
        "message_created msg_1",
        "message_delta msg_1",
        "message_delta msg_1",
        "message_done msg_1",
    ]


# --- run steps and tool calls --------------------------------------------------------------


def test_calls_of_a_step():
    assert heard(
        BEGIN_STEP,
        step("in_progress"),
        grow_calls(call("c1", index=0)),
        grow_calls(more("{")),
        grow_calls(call("c2", index=1), more("x", 1)),
        step("completed", call("c1", "{"), call("c2", "x, whole")),
    ) == [
        "run_step_created step_1",
        "tool_call_created c1",
        "tool_call_delta c1",
        "run_step_delta step_1",
        "tool_call_delta c1 {",
        "run_step_delta step_1",
        "tool_call_done c1 {",
        "tool_call_created c2 x",
        "tool_call_delta c2 x",
        "tool_call_delta c2 x",
        "run_step_delta step_1",
        "tool_call_done c2 x, whole",
        "run_step_done step_1",
    ]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "expired"])
def test_a_step_ends_however(status):
    assert heard(BEGIN_STEP, grow_calls(call("c1", index=0)), step(status))[-2:] == [
        "tool_call_done c1",
        "run_step_done step_1",
    ]


def test_several_steps():
    assert heard(
        BEGIN_STEP,
        grow_calls(call("c1", index=0)),
        step("in_progress", name="created", of="step_2"),
        grow_calls(call("c2", index=0), of="step_2"),
        grow_calls(more("1")),
        step("completed", call("c2"), of="step_2"),
        step("completed", call("c1", "1")),
    ) == [
        "run_step_created step_1",
        "tool_call_created c1",
        "tool_call_delta c1",
        "run_step_delta step_1",
        "run_step_created step_2",
        "tool_call_created c2",
        "tool_call_delta c2",
        "run_step_delta step_2",
        "tool_call_delta c1 1",
        "run_step_delta step_1",
        "tool_call_done c2",
        "run_step_done step_2",
        "tool_call_done c1 1",
        "run_step_done step_1",
    ]


def test_a_step_of_an_earlier_stream_is_only_done():
    assert heard(step("completed", call("c1", "{}")), run("queued"), run("in_progress")) == [
        "run_step_done step_1"
    ]


def test_calls_of_which_no_delta_spoke():
    assert heard(BEGIN_STEP, step("completed", call("c1"), call("c2"))) == [
        "run_step_created step_1",
        "tool_call_created c1",
        "tool_call_done c1",
        "tool_call_created c2",
        "tool_call_done c2",
        "run_step_done step_1",
    ]


def test_calls_whose_ids_only_the_end_tells():
    told = heard(
        BEGIN_STEP, grow_calls(more("1"), more("2", 1)), step("completed", call("c1"), call("c2"))
    )
    assert [each for each in told if "created" in each or "done" in each] == [
        "run_step_created step_1",
        "tool_call_created 1",
        "tool_call_done 1",
        "tool_call_created 2",
        "tool_call_done c2",
        "run_step_done step_1",
    ]


def test_a_step_that_begins_with_calls():
    assert heard(step("in_progress", call("c1"), name="created"), grow_calls(more("1"))) == [
        "run_step_created step_1",
        "tool_call_created c1",
        "tool_call_delta c1 1",
        "run_step_delta step_1",
    ]


def test_a_step_whose_beginning_was_lost():
    assert heard(grow_calls(call("c1", index=0)), BEGIN_STEP) == [
        "run_step_created step_1",
        "tool_call_created c1",
        "tool_call_delta c1",
        "run_step_delta step_1",
    ]


BEGUN = (BEGIN_STEP, grow_calls(call("c1", index=0)), grow_calls(call("c2", index=1)))


def test_what_the_run_waits_for_is_done_and_whole():
    action = waits(call("c1", "1"), call("c2", "2"))
    told = heard(*BEGUN)
    assert heard(*BEGUN, action) == [*told, "tool_call_done c2 2"]
    assert heard(action) == [
        "tool_call_created c1 1",
        "tool_call_done c1 1",
        "tool_call_created c2 2",
        "tool_call_done c2 2",
    ]


def test_a_call_is_done_once_though_the_step_ends_in_the_same_stream():
    action = waits(call("c1", "1"), call("c2", "2"))
    end = step("completed", call("c1", "1"), call("c2", "2"))
    told = heard(*BEGUN, action)
    assert heard(*BEGUN, action, action) == told
    assert heard(*BEGUN, action, end) == [*told, "run_step_done step_1"]
    assert heard(*BEGUN, action, run("queued"), run("in_progress"), end) == [
        *told,
        "run_step_done step_1",
    ]
    late = grow_calls(more("!", 1))
    assert heard(*BEGUN, action, late)[len(told) :] == [
        "tool_call_delta c2 !",
        "run_step_delta step_1",
    ]
    assert heard(BEGIN_STEP, action, action, end) == [
        "run_step_created step_1",
        "tool_call_created c1 1",
        "tool_call_done c1 1",
        "tool_call_created c2 2",
        "tool_call_done c2 2",
        "run_step_done step_1",
    ]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "expired", "incomplete"])
def test_no_call_changes_when_the_run_has_ended(status):
    told = heard(*BEGUN)
    assert heard(*BEGUN, run(status)) == [*told, "tool_call_done c2"]
    assert heard(*BEGUN, run(status), step("failed")) == [
        *told,
        "tool_call_done c2",
        "run_step_done step_1",
    ]


def test_calls_of_other_kinds():
    code = {"type": "code_interpreter", "id": "c1", "code_interpreter": {"input": "1"}}
    unknown = {"type": "browser", "id": "c2", "browser": {}}
    assert heard(
        BEGIN_STEP, grow_calls({"index": 0, **code}), grow_calls({"index": 1, **unknown})
    ) == [
        "run_step_created step_1",
        "tool_call_created c1",
        "tool_call_delta c1",
        "run_step_delta step_1",
        "tool_call_done c1",
        "tool_call_created c2",
        "tool_call_delta c2",
        "run_step_delta step_1",
    ]


# --- every stream --------------------------------------------------------------------------


def test_every_event_is_told_first_and_as_it_is():
    unknown = UnknownEvent("thread.danced", {})
    for told in (unknown, DoneEvent(), run("queued"), event("error", {"message": "no"})):
        assert calls(told, Snapshot(), fold(Snapshot(), told)) == (("on_event", (told,)),)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_each_object_of_a_recording_is_created_and_done_once(path):
    decoder = EventDecoder()
    events = [*decoder.feed(path.read_bytes()), *decoder.flush()]
    snapshot, created, done, kinds = Snapshot(), [], [], ("message", "run_step", "tool_call")
    for told in events:
        before, snapshot = snapshot, fold(snapshot, told)
        caused = calls(told, before, snapshot)
        assert caused[0] == ("on_event", (told,))
        for kind in kinds:
            created += [given[0].id for name, given in caused if name == f"on_{kind}_created"]
            done += [given[0].id for name, given in caused if name == f"on_{kind}_done"]
    assert len(set(created)) == len(created)
    assert len(set(done)) == len(done)
    earlier = {told.data.id for told in events[:1] if told.event == "thread.run.step.completed"}
    assert set(done) - set(created) == earlier


# --- as an observer of any Observable ------------------------------------------------------


class Heard(AssistantEventHandler):
    """Notes every callback, also of a kind of one's own; some raise."""

    def __init__(self, **raises):  # does not call super().__init__()
        self.notes = []
        self.raises = raises

    def __getattribute__(self, name):
        if name not in CALLBACKS:
            return super().__getattribute__(name)

        def note(*arguments):
            self.notes.append(name.removeprefix("on_"))
            if name in self.raises:
                raise self.raises[name]

        return note


CALLBACKS = {
    name
    for name in dir(AssistantEventHandler)
    if name.startswith("on_") and name not in {"on_next", "on_error", "on_completed"}
}


def test_both_handlers_have_the_callbacks_of_the_issue():
    names = (
        "event run_step_created run_step_delta run_step_done message_created message_delta "
        "message_done text_created text_delta text_done image_file_done tool_call_created "
        "tool_call_delta tool_call_done end timeout exception"
    )
    assert {f"on_{name}" for name in names.split()} == CALLBACKS
    assert all(hasattr(AsyncAssistantEventHandler, name) for name in CALLBACKS)
    assert all(getattr(AssistantEventHandler, name).__doc__ for name in CALLBACKS)


def test_a_handler_that_overrides_nothing_listens_quietly():
    reactivex.of(begin(), grow("a"), message("completed", "a")).subscribe(AssistantEventHandler())
    reactivex.throw(APITimeoutError("slow")).subscribe(AssistantEventHandler())


class Quiet:
    """A callback that another class brings along."""

    def on_text_delta(self, delta, snapshot):
        self.texts = [*getattr(self, "texts", []), snapshot.value]


def test_a_callback_may_come_from_another_class_or_be_given_to_the_instance():
    class Mixed(Quiet, AssistantEventHandler):
        """Overrides nothing itself."""

    mixed, told = Mixed(), []
    mixed.on_message_done = lambda message: told.append(message.text)
    reactivex.of(begin(), grow("a"), grow("b"), message("completed", "ab")).subscribe(mixed)
    assert mixed.texts == ["a", "ab"]
    assert told == ["ab"]


@pytest.mark.parametrize("name", sorted(CALLBACKS - {"on_timeout", "on_exception"}))
def test_a_callback_alone_is_called_as_among_all(name):
    events = [
        begin(),
        step("in_progress"),
        grow_calls(call("call_1", "{}")),
        step("completed", call("call_1", "{}")),
        *(grow("a"), grow("b"), grow(image("file_1"))),
        message("completed", "ab", image("file_1")),
    ]

    def noted(names):
        notes = []
        handler = AssistantEventHandler()
        for each in names:
            setattr(handler, each, lambda *given, each=each: notes.append((each, given)))
        reactivex.from_iterable(events).subscribe(handler)
        return notes

    alone = noted([name])
    assert alone == [note for note in noted(CALLBACKS) if note[0] == name]
    assert alone


def test_what_nobody_wants_is_not_built(monkeypatch):
    built = []
    build = _MessageState.build
    monkeypatch.setattr(_MessageState, "build", lambda self: built.append(1) or build(self))
    events = [begin(), *(grow("a") for _ in range(5)), message("completed", "aaaaa")]

    class OfEvents(AssistantEventHandler):
        """Wants events alone."""

        def on_event(self, event):
            """Do nothing."""

    class OfMessages(OfEvents):
        """Wants messages too."""

        def on_message_delta(self, delta, snapshot):
            """Do nothing."""

    reactivex.from_iterable(events).subscribe(OfEvents())
    assert built == []
    reactivex.from_iterable(events).subscribe(OfMessages())
    assert built


def test_a_stream_that_completes():
    heard = Heard()
    reactivex.of(begin(), DoneEvent()).subscribe(heard)
    assert heard.notes == ["event", "message_created", "event", "end"]
    assert heard.current_event == DoneEvent()
    assert heard.current_message_snapshot.id == "msg_1"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no"), ["exception", "end"]),
        (APITimeoutError("slow"), ["timeout", "exception", "end"]),
    ],
    ids=["error", "timeout"],
)
def test_a_stream_that_fails(error, told):
    heard = Heard()
    reactivex.throw(error).subscribe(heard)
    assert heard.notes == told


def test_one_handler_of_streams_one_after_the_other():
    heard = Heard()
    for _ in range(2):
        reactivex.of(begin(), message("completed")).subscribe(heard)
    assert heard.notes == 2 * ["event", "message_created", "event", "message_done", "end"]


def test_one_handler_of_plain_observables_at_once():
    heard, first, second = Heard(), Subject(), Subject()
    for subject in (first, second):
        subject.subscribe(heard.observer())
    first.on_next(begin())
    second.on_next(begin())
    first.on_completed()
    second.on_error(ValueError("no"))
    assert heard.notes == [*2 * ["event", "message_created"], "end", "exception", "end"]


def test_what_a_callback_raises_is_told_and_raised():
    heard = Heard(on_message_created=ValueError("mine"))
    with pytest.raises(ValueError, match="mine"):
        reactivex.of(begin(), message("completed")).subscribe(heard)
    assert heard.notes == ["event", "message_created", "exception", "end"]
    heard.raises.clear()
    reactivex.of(begin()).subscribe(heard)
    assert heard.notes[4:] == ["event", "message_created", "end"]


def test_a_stream_after_one_that_a_callback_broke():
    heard, broken, following = Heard(on_message_created=ValueError("mine")), Subject(), Subject()
    broken.subscribe(heard)
    with pytest.raises(ValueError, match="mine"):
        broken.on_next(begin())
    heard.raises.clear()
    following.subscribe(heard)
    following.on_next(begin())
    following.on_completed()
    assert heard.notes[4:] == ["event", "message_created", "end"]


@pytest.mark.parametrize("name", ["on_timeout", "on_exception", "on_end"])
def test_callbacks_of_the_end_that_raise(name):
    heard = Heard(**{name: ValueError("mine")})
    with pytest.raises(ValueError, match="mine"):
        reactivex.throw(APITimeoutError("slow")).subscribe(heard)
    assert heard.notes[-1] == "end"
    assert heard.notes.count("end") == 1


def test_the_context_in_callbacks_and_after_the_end():
    stood = []

    class Handler(AssistantEventHandler):
        def on_event(self, event):
            stood.append((self.current_event, event))

        def on_text_delta(self, delta, snapshot):
            assert self.current_message_snapshot.content[0].text == snapshot

        def on_run_step_delta(self, delta, snapshot):
            assert self.current_run_step_snapshot == snapshot

    events = [run("queued"), begin(), grow("a"), *BEGUN, run("completed")]
    handler = Handler()
    assert handler.current_event is None
    assert handler.current_run is None
    assert handler.current_message_snapshot is None
    assert handler.current_run_step_snapshot is None
    reactivex.from_iterable(events).subscribe(handler)
    assert stood == [(told, told) for told in events]
    assert handler.current_run.status == "completed"
    assert handler.current_message_snapshot.content[0].text.value == "a"
    assert len(handler.current_run_step_snapshot.step_details.tool_calls) == 2


def test_the_context_is_of_the_stream_that_a_callback_is_about():
    first, second, stood = Subject(), Subject(), []

    class Handler(AssistantEventHandler):
        def on_message_created(self, message):
            if message.id == "m1":
                second.on_next(begin("m2"))  # in the midst of the other
            stood.append((message.id, self.current_message_snapshot.id))

    handler = Handler()
    for subject in (first, second):
        subject.subscribe(handler.observer())
    first.on_next(begin("m1"))
    assert stood == [("m2", "m2"), ("m1", "m1")]
    assert handler.current_message_snapshot.id == "m2"


@pytest.mark.parametrize(
    "source", [reactivex.of(begin()), reactivex.throw(ValueError("no")), reactivex.empty()]
)
def test_an_async_handler_explains_that_a_plain_observable_cannot_await(source):
    with pytest.raises(TypeError, match="AsyncClient"):
        source.subscribe(AsyncAssistantEventHandler())


def test_the_module_says_what_is_public():
    assert {"AssistantEventHandler", "AsyncAssistantEventHandler"} <= set(handler.__all__)


# --- handlers that are written wrong -------------------------------------------------------


def a_handler(base, **members):
    return type("Printer", (base,), members)


def plain(*_):
    pass


async def awaited(*_):
    pass


def generates(*_):
    yield


async def generates_awaited(*_):
    yield


HANDLERS = {AssistantEventHandler: plain, AsyncAssistantEventHandler: awaited}


@pytest.mark.parametrize("base", HANDLERS)
@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("on_text_dleta", "on_text_delta"),
        ("on_texts_done", "on_text_done"),
        ("on_toolcall_created", "on_tool_call_created"),
        ("on_message_complete", "on_message_created"),
        ("on_run_done", "on_run_step_done"),
    ],
)
def test_a_name_that_is_no_callback_is_told_with_the_nearest(base, wrong, nearest):
    with pytest.raises(TypeError, match=rf"Printer\.{wrong} is no .*did you mean {nearest}"):
        a_handler(base, **{wrong: HANDLERS[base]})


@pytest.mark.parametrize("base", HANDLERS)
@pytest.mark.parametrize("name", ["on_click", "on_finish", "on_token", "on_tool_call_finished"])
def test_a_name_that_is_not_like_a_callback_is_the_users_own(base, name):
    a_handler(base, **{name: plain})


def test_an_async_def_in_a_synchronous_handler_is_told():
    for method in (awaited, staticmethod(awaited), classmethod(awaited), partial(awaited)):
        with pytest.raises(TypeError, match=r"Printer\.on_text_delta is an async def.*write def"):
            a_handler(AssistantEventHandler, on_text_delta=method)


def test_a_plain_def_in_an_asynchronous_handler_is_told():
    for method in (plain, staticmethod(plain), lambda *_: None):
        with pytest.raises(TypeError, match=r"Printer\.on_end is a plain.*async def on_end"):
            a_handler(AsyncAssistantEventHandler, on_end=method)


@pytest.mark.parametrize("base", HANDLERS)
@pytest.mark.parametrize("method", [generates, generates_awaited])
def test_a_callback_with_a_yield_is_told(base, method):
    with pytest.raises(TypeError, match=r"Printer\.on_event has a yield"):
        a_handler(base, on_event=method)


@pytest.mark.parametrize("base", HANDLERS)
def test_what_is_right_or_of_another_base_is_let_be(base):
    method = HANDLERS[base]
    other = type("Button", (), {"on_click": plain})
    members = {"on_click": plain, "on_event": method, "on_since": 3, "said": plain}
    right = type("Printer", (base, other), members)

    @wraps(method)
    def wrapped(*given):
        return method(*given)

    a_handler(right, on_event=wrapped, on_end=method)


def test_a_callback_that_was_put_on_the_handler_is_told_by_its_name():
    handler = AssistantEventHandler()
    handler.on_text_delta = awaited
    told = r"AssistantEventHandler\.on_text_delta is an async def"
    with pytest.raises(TypeError, match=told):
        reactivex.of(grow("a")).subscribe(handler)
