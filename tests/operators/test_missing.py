"""What is missing of a stream that was cut: what was heard and what is stored give the whole."""

import itertools
import json
from functools import reduce

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from rxassist.errors import StreamDiverged
from rxassist.events import (
    DoneEvent,
    RunEvent,
    ThreadCreated,
    ThreadMessageDelta,
    ThreadRunStepDelta,
)
from rxassist.models import SETTLED, FunctionToolCall, ToolCallsStepDetails
from rxassist.operators import messages, run_steps, runs, text_deltas, tool_calls
from rxassist.protocols.assistants.callbacks import callbacks_of as calls
from rxassist.protocols.assistants.codec import encode_event
from rxassist.protocols.assistants.missing import (
    Heard,
    Stored,
    is_behind,
    is_open,
    missing_events,
    told_of,
)
from rxassist.protocols.assistants.snapshots import Snapshot, fold

ABRIDGED = "doc-createRun-1.sse"  # some of its deltas were left out
WITHOUT_AN_END = "oa4j-error-then-done.sse"

# --- what was heard, and what is made of it ------------------------------------------------


def heard_of(events):
    """What the first events of a stream have said."""
    told = frozenset(told for event in events if (told := told_of(event)))
    return Heard(reduce(fold, events, Snapshot()), told)


def recovered(events, stored, submitted=None):
    """A stream that was lost after these events, and recovered."""
    return [*events, *missing_events(heard_of(events), stored, submitted=submitted)]


TEXTS = ("value", "refusal", "arguments", "input", "logs", "title")


def halved(value):
    """A delta in whose first text the connection breaks; ``None`` where it has none to break."""
    if isinstance(value, dict):
        for key, held in value.items():
            if key in TEXTS and isinstance(held, str) and len(held) > 1:
                half = {**value, key: held[: len(held) // 2]}
                half.pop("annotations", None)
                return half
            half = halved(held)
            if half is not None:
                return {**value, key: half}
    if isinstance(value, list):
        for place, held in enumerate(value):
            half = halved(held)
            if half is not None:
                return [*value[:place], half]
    return None


def first_half(said, event):
    if not isinstance(event, ThreadMessageDelta | ThreadRunStepDelta):
        return []
    half = halved(json.loads(encode_event(event).data))
    return [] if half is None else [said.event(event.event, half)]


def cuts(said, events):
    """The beginnings of a stream: whole events, and also half a delta."""
    end = next(place for place, event in enumerate(events) if is_end(event))
    for place, event in enumerate(events[: end + 1]):
        if any(isinstance(each, RunEvent) for each in events[:place]):
            yield events[:place]
            half = first_half(said, event)
            if half:
                yield [*events[:place], *half]


def is_end(event):
    return isinstance(event, RunEvent) and event.data.status in SETTLED


def seen(emitted, events):
    """What the readers of a stream are told, but for how text was cut into deltas."""
    snapshot, callbacks, grown = Snapshot(), [], {}
    for event in events:
        before, snapshot = snapshot, fold(snapshot, event)
        for name, arguments in calls(event, before, snapshot):
            if name.endswith("_created"):
                callbacks.append((name, getattr(arguments[0], "id", None)))
            elif name in {"on_text_delta", "on_tool_call_delta"}:
                grown.setdefault(name, []).append(arguments[0])
            elif name != "on_event" and not name.endswith("_delta"):
                callbacks.append((name, arguments))
    return {
        "text": "".join(emitted(text_deltas(), *events)),
        "calls": emitted(tool_calls(), *events),
        "messages": emitted(messages(), *events),
        "steps": emitted(run_steps(), *events),
        "runs": [(run.id, run.status) for run in emitted(runs(), *events)],
        "final": (snapshot.run, snapshot.messages, snapshot.run_steps),
        "events": [
            whole_object(event)
            for event in events
            if not isinstance(event, ThreadMessageDelta | ThreadRunStepDelta)
        ],
        "callbacks": callbacks,
        "grown": {name: grown_text(deltas) for name, deltas in grown.items()},
    }


def whole_object(event):
    """Which object was told of, and under which name."""
    return told_of(event) or event.event


def grown_text(deltas):
    """All text of some deltas."""
    texts = []
    for delta in deltas:
        function, code = getattr(delta, "function", None), getattr(delta, "code_interpreter", None)
        texts += [getattr(delta, "value", None), function and function.arguments]
        if code:
            texts += [code.input, *(getattr(output, "logs", None) for output in code.outputs)]
    return "".join(text for text in texts if text)


# --- recorded streams ----------------------------------------------------------------------


def stored_by(events):
    """What the service had stored when a stream ended."""
    snapshot = reduce(fold, events, Snapshot())
    return Stored(snapshot.run, snapshot.run_steps, snapshot.messages)


def submitted_in(events):
    """The calls whose outputs began a stream, ``None`` if it began with its run."""
    first = events[0].data
    details = getattr(first, "step_details", None)
    return {call.id for call in details.tool_calls} if details else None


def test_a_recording_that_is_cut_anywhere(said, emitted, recorded, recording):
    if recording in {ABRIDGED, WITHOUT_AN_END}:
        return
    events = recorded(recording)
    stored, submitted = stored_by(events), submitted_in(events)
    whole = seen(emitted, events)
    assert len(whole["events"]) == len(set(whole["events"]))
    for heard in cuts(said, events):
        assert seen(emitted, recovered(heard, stored, submitted)) == whole


def test_a_stream_after_submitted_outputs_of_which_nothing_was_heard(emitted, recorded):
    events = recorded("oa4j-submit-tool-outputs.sse")
    again = recovered([], stored_by(events), submitted_in(events))
    assert seen(emitted, again) == seen(emitted, events)


def test_a_stream_from_which_deltas_were_left_out_diverges(recorded):
    events = recorded(ABRIDGED)
    with pytest.raises(StreamDiverged, match="does not continue"):
        recovered(events[:-4], stored_by(events))


# --- runs of every kind --------------------------------------------------------------------

words = st.text("aé \n", max_size=4)
pieces = st.lists(words, min_size=1, max_size=3)

ANNOTATIONS = [
    {"type": "file_citation", "text": "[1]", "file_citation": {"file_id": "file_1"}},
    {"type": "file_path", "text": "a.csv", "file_path": {"file_id": "file_2"}, "start_index": 1},
    {"type": "url_citation", "url_citation": {"url": "u"}},
]


@st.composite
def text_parts(draw):
    texts = draw(pieces)
    marks = draw(st.lists(st.sampled_from(ANNOTATIONS), max_size=3))
    deltas = [{"value": text} for text in texts]
    deltas += [{"annotations": [{**mark, "index": place}]} for place, mark in enumerate(marks)]
    whole = {"value": "".join(texts), "annotations": marks}
    return [{"type": "text", "text": delta} for delta in deltas], {"type": "text", "text": whole}


@st.composite
def refusals(draw):
    texts = draw(pieces)
    deltas = [{"type": "refusal", "refusal": text} for text in texts]
    return deltas, {"type": "refusal", "refusal": "".join(texts)}


def whole_part(kind, **held):
    part = {"type": kind, kind: held}
    return st.just(([part], part))


@st.composite
def unknowns(draw, kind):
    """Something of a type that nobody knows, whose text and list grow."""
    texts = draw(pieces)
    shades = draw(st.lists(st.integers(), min_size=len(texts), max_size=len(texts)))
    deltas = [
        {"type": kind, kind: {"title": text, "shades": [shade], "size": 7}}
        for text, shade in zip(texts, shades, strict=True)
    ]
    return deltas, {
        "type": kind,
        kind: {"title": "".join(texts), "shades": shades, "size": 7},
    }


parts = st.one_of(
    text_parts(),
    refusals(),
    whole_part("image_file", file_id="file_3"),
    whole_part("image_url", url="https://example.com/cat.png", detail="low"),
    unknowns("hologram"),
)


@st.composite
def functions(draw):
    texts = draw(pieces)
    first = {"type": "function", "function": {"name": "f", "arguments": "", "output": None}}
    deltas = [{"type": "function", "function": {"arguments": text}} for text in texts]
    said = {"name": "f", "arguments": "".join(texts), "output": None}
    return [first, *deltas], {"type": "function", "function": said}


outputs = st.one_of(
    pieces.map(lambda texts: [{"type": "logs", "logs": text} for text in texts]).map(
        lambda deltas: (deltas, {"type": "logs", "logs": "".join(d["logs"] for d in deltas)})
    ),
    whole_part("image", file_id="file_4"),
    unknowns("sound"),
)


@st.composite
def codes(draw):
    texts, came_out = draw(pieces), draw(st.lists(outputs, max_size=3))
    deltas = [{"input": "", "outputs": []}, *({"input": text} for text in texts)]
    for place, (grown, _) in enumerate(came_out):
        deltas += [{"outputs": [{**delta, "index": place}]} for delta in grown]
    whole = {"input": "".join(texts), "outputs": [output for _, output in came_out]}
    code = "code_interpreter"
    return [{"type": code, code: delta} for delta in deltas], {"type": code, code: whole}


RANKING = {"ranker": "auto", "score_threshold": 0}
SEARCH = {"type": "file_search", "file_search": {"ranking_options": RANKING}}
RESULTS = [{"file_id": "file_5", "file_name": "a.txt", "score": 0.5}]
FOUND = {"type": "file_search", "file_search": {"ranking_options": RANKING, "results": RESULTS}}

tools = st.one_of(functions(), codes(), st.just(([SEARCH], FOUND)), unknowns("browser"))


class Service:
    """Tells a run, and stores what it told. An object is in progress until it is ended."""

    def __init__(self, said):
        self.said = said
        self.events, self.steps, self.messages = [], {}, {}
        self.run = {"id": "run_1", "thread_id": "thread_1", "created_at": 1, "status": "queued"}

    def tell(self, name, data):
        self.events.append(self.said.event(name, data))

    def be(self, status, name=None, **changes):
        self.run = {**self.run, "status": status, **changes}
        self.tell(f"thread.run.{name or status}", self.run)

    def begin(self, *, created=True):
        if created:
            self.tell("thread.run.created", self.run)
        self.be("queued")
        self.be("in_progress", started_at=2)

    def grow(self, name, of, wrap, growing):
        for place, (deltas, _) in enumerate(growing):
            for delta in deltas:
                self.tell(name, {"id": of, "delta": wrap({"index": place, **delta})})

    def open_step(self, details):
        step = {"id": f"step_{len(self.steps)}", "run_id": "run_1", "thread_id": "thread_1"}
        step |= {"status": "in_progress", "step_details": details, "type": details["type"]}
        step["created_at"] = len(self.steps)
        self.tell("thread.run.step.created", step)
        self.tell("thread.run.step.in_progress", step)
        return step

    def write(self, content):
        """A message, which is open in its step."""
        message = {"id": f"msg_{len(self.steps)}", "run_id": "run_1", "thread_id": "thread_1"}
        message |= {"status": "in_progress", "role": "assistant", "content": []}
        created = {"message_id": message["id"]}
        step = self.open_step({"type": "message_creation", "message_creation": created})
        self.tell("thread.message.created", message)
        self.tell("thread.message.in_progress", message)
        self.grow("thread.message.delta", message["id"], lambda part: {"content": [part]}, content)
        message["content"] = [part for _, part in content]
        return step, message

    def call(self, asked):
        """Calls of tools, which are open."""

        def wrap(call):
            call = call if len(call) < 2 else self.identified(call, len(self.steps))
            return {"step_details": {"type": "tool_calls", "tool_calls": [call]}}

        step = self.open_step({"type": "tool_calls", "tool_calls": []})
        self.grow("thread.run.step.delta", step["id"], wrap, asked)
        made = [
            {**call, "id": f"call_{len(self.steps)}_{place}"}
            for place, (_, call) in enumerate(asked)
        ]
        return {**step, "step_details": {"type": "tool_calls", "tool_calls": made}}, None

    def identified(self, call, step):
        return {**call, "id": f"call_{step}_{call['index']}"}

    def perform(self, plot):
        return self.write(plot["parts"]) if "parts" in plot else self.call(plot["calls"])

    def end(self, step, message, status, message_status="completed", reason=None):
        if message:
            message |= {"status": message_status}
            message |= {"incomplete_details": reason and {"reason": reason}}
            self.tell(f"thread.message.{message_status}", message)
            self.store(message)
        step = {**step, "status": status, f"{status}_at": 9, "usage": {"total_tokens": 5}}
        self.tell(f"thread.run.step.{status}", step)
        self.store(step)

    def store(self, item):
        kept, name = (
            (self.messages, "thread.message.in_progress")
            if "role" in item
            else (self.steps, "thread.run.step.in_progress")
        )
        kept[item["id"]] = self.said.event(name, item).data

    @property
    def stored(self):
        run = self.said.event("thread.run.in_progress", self.run).data
        return Stored(run, list(self.steps.values()), list(self.messages.values()))


messages_written = st.fixed_dictionaries({"parts": st.lists(parts, max_size=3)})
tools_called = st.fixed_dictionaries({"calls": st.lists(tools, min_size=1, max_size=3)})
functions_called = st.fixed_dictionaries({"calls": st.lists(functions(), min_size=1, max_size=3)})
plots = st.one_of(messages_written, tools_called)

ENDINGS = {  # of a run: how the step and the message that are open end, and why
    "completed": ("completed", "completed", None),
    "incomplete": ("completed", "incomplete", "max_tokens"),
    "failed": ("failed", "incomplete", "run_failed"),
    "expired": ("expired", "incomplete", "run_expired"),
    "cancelled": ("cancelled", "incomplete", "run_cancelled"),
}


def performed(service, steps, ending, last):
    """A run of these steps; the last one is open when it ends, or waits."""
    for plot in steps:
        service.end(*service.perform(plot), "completed")
    if ending == "requires_action":
        step, _ = service.perform(last)
        service.store(step)
        wanted = [
            {"id": call["id"], "type": "function", "function": call["function"]}
            for call in step["step_details"]["tool_calls"]
        ]
        action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": wanted}}
        service.be("requires_action", required_action=action)
    else:
        open_ = service.perform(last)
        if ending == "cancelled":
            service.be("cancelling")
        service.end(*open_, *ENDINGS[ending])
        name = "completed" if ending == "incomplete" else ending  # as the service names it
        service.be(ending, name, **{f"{ending}_at": 10}, usage={"total_tokens": 10})
    service.tell("done", "[DONE]")


@st.composite
def endings(draw):
    ending = draw(st.sampled_from([*ENDINGS, "requires_action"]))
    return ending, draw(functions_called if ending == "requires_action" else plots)


@settings(max_examples=100, deadline=None)
@given(st.lists(plots, max_size=2), endings(), st.data())
def test_a_run_that_is_cut_anywhere(said, emitted, steps, ending, data):
    service = Service(said)
    service.begin()
    performed(service, steps, *ending)
    whole = seen(emitted, service.events)
    heard = data.draw(st.sampled_from(list(cuts(said, service.events))))
    assert seen(emitted, recovered(heard, service.stored)) == whole


@settings(max_examples=60, deadline=None)
@given(plots, functions_called, st.lists(plots, max_size=1), endings(), st.data())
def test_a_run_that_went_on_with_outputs_and_is_cut_anywhere(
    said, emitted, older, asked, steps, ending, data
):
    service = Service(said)
    service.end(*service.perform(older), "completed")
    waiting, _ = service.perform(asked)
    for call in waiting["step_details"]["tool_calls"]:
        call["function"] = {**call["function"], "output": "42"}
    service.events.clear()  # what was before is of another stream
    service.end(waiting, None, "completed")
    service.begin(created=False)
    performed(service, steps, *ending)
    submitted = [call["id"] for call in waiting["step_details"]["tool_calls"]]
    whole = seen(emitted, service.events)
    heard = data.draw(st.sampled_from([[], *cuts(said, service.events)]))
    assert seen(emitted, recovered(heard, service.stored, submitted)) == whole


# --- servers that leave out statuses -------------------------------------------------------

SOMETIMES = [  # told by some servers only
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.cancelling",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
]
STATUSES = ["created", "queued", "in_progress", "delta", "cancelling"]  # and then the end


def check_course(events):
    """Each status once, in the order of a stream, none of them after a later one."""
    reached, work_began = {}, False
    for event in events:
        name, id_ = event.event, getattr(event.data, "id", None)
        last = name.rpartition(".")[2]
        place = STATUSES.index(last) if last in STATUSES else len(STATUSES)
        kind = name.rpartition(".")[0]
        before = reached.get((kind, id_), -1)
        assert place > before or last == "delta" == STATUSES[before], (name, names(events))
        reached[kind, id_] = place
        assert not (work_began and kind == "thread.run" and place < STATUSES.index("delta"))
        work_began = work_began or kind in {"thread.run.step", "thread.message"}


@settings(max_examples=300, deadline=None)
@given(st.lists(plots, max_size=2), endings(), st.sets(st.sampled_from(SOMETIMES)), st.data())
def test_a_recovered_stream_never_runs_backwards(said, emitted, steps, ending, left_out, data):
    service = Service(said)
    service.begin()
    performed(service, steps, *ending)
    heard = data.draw(st.sampled_from(list(cuts(said, service.events))))
    heard = [event for event in heard if event.event not in left_out]
    events = recovered(heard, service.stored)
    check_course(events)
    whole = reduce(fold, service.events, Snapshot())
    again = reduce(fold, events, Snapshot())
    assert "".join(emitted(text_deltas(), *events)) == "".join(
        emitted(text_deltas(), *service.events)
    )
    assert again.run == whole.run
    assert again.messages == whole.messages
    for step, same in zip(again.run_steps, whole.run_steps, strict=True):
        assert step.step_details == same.step_details
        assert step == same or same.status == "in_progress"  # it may have begun with a delta


def test_a_run_that_was_told_as_working_is_not_queued_again(said, run):
    """The name of an event is not the status."""
    heard = [said.run("in_progress", "created", thread_id="thread_1")]
    missing = recovered(heard, Stored(run.data))[1:]
    assert names(missing) == ["thread.run.in_progress", "thread.run.completed", "done"]


def test_a_cancellation_is_not_announced_after_what_it_ended(said, run):
    stored = evolve(run.data, status="cancelled")
    heard = [said.step("cancelled", run_id="run_1")]
    assert names(recovered(heard, Stored(stored)))[1:] == ["thread.run.cancelled", "done"]


# --- single events -------------------------------------------------------------------------


@pytest.fixture
def run(said):
    return said.run("completed", thread_id="thread_1", started_at=3, completed_at=9)


@pytest.fixture
def message(said):
    """A message of the run, finished, as the data of its event."""

    def make(*content, status="completed", **more):
        return said.message(status, *content, run_id="run_1", **more).data

    return make


@pytest.fixture
def step(said):
    def make(*asked, status="completed", **more):
        return said.step(status, *asked, **more).data

    return make


def names(events):
    return [event.event for event in events]


def test_a_run_of_which_only_the_beginning_was_heard(said, run, message):
    heard = [said.run("queued", "created", thread_id="thread_1")]
    missing = recovered(heard, Stored(run.data, [], [message("AB")]))[1:]
    assert names(missing) == [
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.message.created",
        "thread.message.in_progress",
        "thread.message.delta",
        "thread.message.completed",
        "thread.run.completed",
        "done",
    ]
    queued, works, created = (event.data for event in missing[:3])
    assert (queued.status, queued.started_at, queued.completed_at) == ("queued", None, None)
    assert (works.status, works.started_at, works.completed_at) == ("in_progress", 3, None)
    assert (created.status, created.content) == ("in_progress", ())
    assert missing[-2].data == run.data
    assert missing[-1] == DoneEvent()


def test_a_run_that_never_began_to_work(said):
    expired = said.run("expired", thread_id="thread_1").data
    assert names(missing_events(Heard(), Stored(expired))) == [
        "thread.run.created",
        "thread.run.queued",
        "thread.run.expired",
        "done",
    ]


def test_a_run_that_was_cancelled_without_a_step(said):
    cancelled = said.run("cancelled", thread_id="thread_1", cancelled_at=4).data
    events = list(missing_events(Heard(), Stored(cancelled)))
    assert names(events)[-3:] == ["thread.run.cancelling", "thread.run.cancelled", "done"]
    assert (events[-3].data.status, events[-3].data.cancelled_at) == ("cancelling", None)


def test_nothing_is_told_of_messages_of_others(said, run, message):
    others = [evolve(message("A"), id="msg_0", run_id="run_0"), said.message("completed", "B").data]
    events = missing_events(Heard(), Stored(run.data, [], others))
    assert not [event for event in events if "message" in event.event]


def test_a_message_without_a_status_is_finished(run, message):
    events = missing_events(Heard(), Stored(run.data, [], [evolve(message("A"), status=None)]))
    assert "thread.message.completed" in names(events)


def test_a_message_that_its_step_names_needs_no_run_id(said, run):
    written = {"type": "message_creation", "message_creation": {"message_id": "msg_1"}}
    wrote = said.step("completed", step_details=written).data
    events = missing_events(
        Heard(), Stored(run.data, [wrote], [said.message("completed", "A").data])
    )
    assert names(events)[3:-2] == [
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.message.created",
        "thread.message.in_progress",
        "thread.message.delta",
        "thread.message.completed",
        "thread.run.step.completed",
    ]


def test_an_end_that_was_told_by_another_name_is_told_once(said, run, message):
    heard = [said.message("incomplete", "A", name="completed")]
    missing = recovered(heard, Stored(run.data, [], [message("AB", status="incomplete")]))[1:]
    assert not [name for name in names(missing) if "message" in name]


def test_a_delta_whose_beginning_was_never_heard_is_gone_on_with(said, run, message):
    missing = recovered([said.delta("A")], Stored(run.data, [], [message("AB")]))[1:]
    assert names(missing) == [
        "thread.message.delta",
        "thread.message.completed",
        "thread.run.completed",
        "done",
    ]
    assert missing[0] == said.delta({"index": 0, "type": "text", "text": {"value": "B"}})


def test_steps_that_the_service_does_not_list(said, run, message):
    """A server without such a list: what the messages say is told, no more."""
    begun = {"type": "message_creation", "message_creation": {"message_id": "msg_1"}}
    heard = [said.step("in_progress", name="created", step_details=begun), said.delta("A")]
    missing = recovered(heard, Stored(run.data, [], [message("AB")]))
    assert "thread.run.step.completed" not in names(missing)
    assert "thread.message.completed" in names(missing)


def test_results_of_a_search_come_with_the_end_of_its_step(said, run, step):
    found = step({"id": "call_1", **FOUND})
    delta, ended = list(missing_events(Heard(), Stored(run.data, [found])))[5:7]
    assert delta.data.delta.step_details.tool_calls[0].file_search.results == ()
    assert ended.data == found
    assert found.step_details.tool_calls[0].file_search.results


def test_calls_whose_step_never_ended_are_told(said, run, step):
    open_ = step(said.call("call_1", arguments="{}"), status="in_progress")
    events = list(missing_events(Heard(), Stored(run.data, [open_])))
    assert names(events)[3:] == [
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.run.step.delta",
        "thread.run.completed",
        "done",
    ]


def test_outputs_that_were_submitted_for_a_step_that_is_not_listed(said, run, message):
    events = missing_events(Heard(), Stored(run.data, [], [message("A")]), submitted=["call_1"])
    assert names(events)[:2] == ["thread.run.queued", "thread.run.in_progress"]


def test_a_step_keeps_its_functions_output_for_its_end(said, run, step):
    call = said.call("call_1", arguments="{}")
    call["function"]["output"] = "42"
    answered = step(call)
    events = list(missing_events(Heard(), Stored(run.data, [answered])))
    (grown,) = events[5].data.delta.step_details.tool_calls
    assert (grown.id, grown.function.name, grown.function.output) == ("call_1", "f", None)
    assert isinstance(events[6].data.step_details, ToolCallsStepDetails)
    assert isinstance(events[6].data.step_details.tool_calls[0], FunctionToolCall)
    assert events[6].data.step_details.tool_calls[0].function.output == "42"


def test_what_is_no_whole_object_is_not_told_of(said):
    assert told_of(said.delta("A")) is None
    assert told_of(said.done) is None
    assert told_of(said.event("thread.created", {"id": "thread_1"})) is None
    assert told_of(said.run("queued")) == ("thread.run.queued", "run_1")


def test_an_incomplete_run_is_told_as_the_service_does(said, run):
    stored = evolve(run.data, status="incomplete")
    end = list(missing_events(Heard(), Stored(stored)))[-2]
    assert (end.event, end.data.status) == ("thread.run.completed", "incomplete")


# --- characters of two halves --------------------------------------------------------------


def halves(text):
    """A text as a list of UTF-16 code units, as a server may cut it."""
    units = text.encode("utf-16-le")
    return [units[n : n + 2].decode("utf-16-le", "surrogatepass") for n in range(0, len(units), 2)]


@given(st.text("a😀é🎉", max_size=6), st.data())
def test_a_text_that_is_cut_within_a_character(said, text, data):
    units = halves(text)
    end = data.draw(st.integers(0, len(units)))
    cuts = sorted(data.draw(st.lists(st.integers(0, end), max_size=3)))
    pieces = ["".join(units[a:b]) for a, b in itertools.pairwise([0, *cuts, end])]
    stored = said.message("completed", text, run_id="run_1").data
    ended = said.run("completed").data
    events = recovered([said.delta(piece) for piece in pieces], Stored(ended, [], [stored]))
    grown = grown_text(grown_in(events))
    assert grown.encode("utf-16-le", "surrogatepass") == text.encode("utf-16-le")


def grown_in(events):
    return [
        part.text
        for event in events
        if isinstance(event, ThreadMessageDelta)
        for part in event.data.delta.content
    ]


def test_half_a_character_that_is_another_diverges(said, run, message):
    with pytest.raises(StreamDiverged):
        recovered([said.delta("\ud83d")], Stored(run.data, [], [message("é")]))


# --- what is stored late -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "stored", "behind"),
    [
        (["AB"], ["A"], True),
        (["AB"], [""], True),
        (["A\ud83d"], ["A"], True),
        (["AB"], ["X"], False),
        (["AB"], ["AX"], False),
        ([(0, "A"), (1, "B")], ["A"], True),
        ([{"index": 0, "type": "refusal", "refusal": "A"}], ["A"], False),
    ],
    ids=["shorter", "empty", "half", "other", "other end", "fewer", "kind"],
)
def test_what_is_only_less_is_behind(said, run, message, heard, stored, behind):
    with pytest.raises(StreamDiverged) as raised:
        recovered([said.delta(*heard)], Stored(run.data, [], [message(*stored)]))
    assert is_behind(raised.value) is behind


def test_what_is_not_stored_yet_is_behind(said, run):
    for heard in ([said.delta("A")], [said.calls({"index": 0, **code("x")})]):
        with pytest.raises(StreamDiverged) as raised:
            recovered(heard, Stored(run.data))
        assert is_behind(raised.value)


def test_a_run_that_wrote_something_of_which_nothing_is_stored(said, run):
    wrote = said.run("completed", usage={"completion_tokens": 7}).data
    with pytest.raises(StreamDiverged) as raised:
        list(missing_events(Heard(), Stored(wrote)))
    assert raised.value.id == "run_1"
    assert is_behind(raised.value)
    heard = heard_of([said.message("completed", "A", run_id="run_1")])
    assert names(missing_events(heard, Stored(wrote)))[-1] == "done"


def test_a_message_that_grows_of_a_run_that_has_ended(said, run, message):
    growing, others = message("A", status="in_progress"), said.message("in_progress", "A").data
    assert is_open(Heard(), Stored(run.data, [], [growing]))
    assert not is_open(Heard(), Stored(run.data, [], [evolve(others, run_id="run_2")]))
    assert not is_open(Heard(), Stored(run.data, [], [message("A")]))
    waits = evolve(run.data, status="requires_action")
    assert not is_open(Heard(), Stored(waits, [], [growing]))
    ended = heard_of([said.message("completed", "A")])
    assert not is_open(ended, Stored(run.data, [], [growing]))


def test_what_was_heard_of_another_run_need_not_be_stored(said, run):
    of_another = said.message("in_progress", name="created", id="msg_2", run_id="run_2")
    missing = recovered([said.run("queued"), of_another], Stored(run.data))
    assert names(missing)[2:] == ["thread.run.in_progress", "thread.run.completed", "done"]


# --- what diverges -------------------------------------------------------------------------


def refusal(text, **more):
    return {"type": "refusal", "refusal": text, **more}


def hologram(**held):
    return {"type": "hologram", "hologram": held}


def code(text=None, *came_out):
    held = {"input": text, "outputs": [{**out, "index": n} for n, out in enumerate(came_out)]}
    return {"id": "call_1", "type": "code_interpreter", "code_interpreter": held}


@pytest.mark.parametrize(
    ("heard", "stored"),
    [
        ("AB", "AX"),
        ("AB", "A"),
        (refusal("no"), refusal("yes")),
        ("A", refusal("A")),
        (hologram(title="AB"), hologram(title="X")),
        (hologram(shades=[1, 2]), hologram(shades=[2, 1])),
    ],
    ids=["text", "shorter", "refusal", "type", "unknown", "list"],
)
def test_a_part_that_is_not_continued(said, run, message, heard, stored):
    grown = said.delta(heard if isinstance(heard, str) else {"index": 0, **heard})
    with pytest.raises(StreamDiverged) as raised:
        recovered([grown], Stored(run.data, [], [message(stored)]))
    assert raised.value.id == "msg_1"


def test_a_divergence_names_both(said, run, message):
    with pytest.raises(StreamDiverged, match=r"msg_1: .*'Good day'.*'Good morn'") as raised:
        recovered([said.delta("Good morn")], Stored(run.data, [], [message("Good day")]))
    assert (raised.value.streamed, raised.value.stored) == ("Good morn", "Good day")


def test_more_parts_than_are_stored(said, run, message):
    with pytest.raises(StreamDiverged):
        recovered([said.delta("A", (1, "B"))], Stored(run.data, [], [message("A")]))


@pytest.mark.parametrize(
    ("heard", "stored"),
    [
        (code("x=1"), code("y=2")),
        (code("x"), code("x")["code_interpreter"] and {**code("x"), "id": "call_2"}),
        (code("x"), {"id": "call_1", "type": "browser"}),
        (code("", {"type": "logs", "logs": "1"}), code("", {"type": "logs", "logs": "2"})),
        (code("", {"type": "logs", "logs": "1"}), code("", {"type": "image", "image": {}})),
        ({"id": "call_1", "type": "browser", "title": "A"}, {"id": "call_1", "type": "browser"}),
    ],
    ids=["code", "id", "type", "logs", "output", "unknown"],
)
def test_a_call_that_is_not_continued(said, run, step, heard, stored):
    stored_step = step(stored)
    if stored.get("title") is None and heard.get("title"):
        stored_step = step({**stored, "title": "X"})
    with pytest.raises(StreamDiverged):
        recovered([said.calls({"index": 0, **heard})], Stored(run.data, [stored_step]))


def test_arguments_that_are_not_continued(said, run, step):
    heard = [said.calls({"index": 0, **said.call("call_1", arguments='{"a')})]
    with pytest.raises(StreamDiverged) as raised:
        recovered(heard, Stored(run.data, [step(said.call("call_1", arguments="{}"))]))
    assert (raised.value.id, raised.value.streamed) == ("call_1", '{"a')


def test_more_calls_than_are_stored(said, run, step):
    heard = [said.calls({"index": 0, **code("x")}, {"index": 1, **code("y"), "id": "call_2"})]
    with pytest.raises(StreamDiverged) as raised:
        recovered(heard, Stored(run.data, [step(code("x"))]))
    assert raised.value.id == "step_1"


def test_a_message_that_began_and_is_not_stored(said, run):
    with pytest.raises(StreamDiverged) as raised:
        recovered([said.delta("A")], Stored(run.data))
    assert (raised.value.id, raised.value.stored) == ("msg_1", None)


def test_calls_that_began_and_are_not_stored(said, run):
    with pytest.raises(StreamDiverged) as raised:
        recovered([said.calls({"index": 0, **code("x")})], Stored(run.data))
    assert raised.value.id == "step_1"


def test_a_message_that_was_written_and_is_not_stored(said, run):
    written = {"type": "message_creation", "message_creation": {"message_id": "msg_1"}}
    wrote = said.step("completed", step_details=written).data
    with pytest.raises(StreamDiverged) as raised:
        list(missing_events(Heard(), Stored(run.data, [wrote])))
    assert raised.value.id == "msg_1"


def test_what_ended_in_the_stream_need_not_be_stored(said, run):
    heard = [said.message("completed", "A"), said.step("completed", code("x"))]
    assert recovered(heard, Stored(run.data))[-1] == DoneEvent()


def test_a_thread_is_not_told_again(said, run):
    heard = [said.event("thread.created", {"id": "thread_1"}), said.run("queued", "created")]
    missing = recovered(heard, Stored(run.data))[2:]
    assert not [event for event in missing if isinstance(event, ThreadCreated)]
