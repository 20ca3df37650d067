"""A null at any place of what a service sends ends no stream, and tells the model no nonsense."""

import copy
import json
from pathlib import Path

import pytest
import reactivex as rx
from hypothesis import given, settings
from hypothesis import strategies as st

from rxassist import operators
from rxassist.errors import DecodeError
from rxassist.models import Run
from rxassist.protocols.assistants.callbacks import callbacks_of as calls
from rxassist.protocols.assistants.codec import EventDecoder, encode_event
from rxassist.protocols.assistants.snapshots import Snapshot, fold, required_calls
from rxassist.runs.tools import Tool, Toolbox
from rxassist.wire.json import from_json
from rxassist.wire.structure import structure, unstructure

WIRE = Path(__file__).parents[1] / "wire"
FILES = [path for path in sorted((WIRE / "assistants").glob("*.sse")) if path.stem[:3] != "php"]
RUNS = [from_json(path.read_bytes()) for path in sorted((WIRE / "rest").glob("thread-run-*.json"))]
RUNS = [run for run in RUNS if run["object"] == "thread.run"]


def read(path):
    """The events of a body: their names, and their data where it is JSON."""
    decoder = EventDecoder()
    events = [*decoder.feed(path.read_bytes()), *decoder.flush()]
    sent = [encode_event(event) for event in events]
    return [(one.event, json.loads(one.data)) for one in sent if one.event != "done"]


STREAMS = {path.stem: read(path) for path in FILES}


def places(value, place=()):
    """Every place in some JSON, but for the whole."""
    if place:
        yield place
    items = enumerate(value) if isinstance(value, list) else ()
    for key, item in value.items() if isinstance(value, dict) else items:
        yield from places(item, (*place, key))


def with_null(value, place):
    changed = inner = copy.deepcopy(value)
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = None
    return changed


@st.composite
def streams_with_a_null(draw):
    events = STREAMS[draw(st.sampled_from(sorted(STREAMS)))]
    number = draw(st.integers(0, len(events) - 1))
    name, data = events[number]
    place = draw(st.sampled_from(list(places(data))))
    return [*events[:number], (name, with_null(data, place)), *events[number + 1 :]]


def survive(events):
    """Decode, fold and read some events, call a handler, and send them through operators."""
    decoded = list(EventDecoder().feed(b"".join(map(sent, events))))
    assert len(decoded) == len(events)
    snapshot = Snapshot()
    for event in decoded:
        before, snapshot = snapshot, fold(snapshot, event)
        assert calls(event, before, snapshot)
    assert repr((snapshot.messages, snapshot.run_steps, snapshot.text, snapshot.run))
    for name in ("text_deltas", "text_snapshots", "tool_calls", "messages", "run_steps", "runs"):
        raised = []
        source = rx.from_iterable(decoded).pipe(getattr(operators, name)())
        source.subscribe(on_error=raised.append)
        assert not raised, (name, raised)
    return decoded


@settings(deadline=None)
@given(streams_with_a_null())
def test_law_a_null_anywhere_ends_no_stream(events):
    survive(events)


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_a_null_at_any_place_of_the_first_event_of_each_kind_ends_no_stream(name):
    events = STREAMS[name]
    firsts = {kind: number for number, (kind, _) in reversed(list(enumerate(events)))}
    for number in firsts.values():
        kind, data = events[number]
        for place in places(data):
            changed = (kind, with_null(data, place))
            decoded = list(EventDecoder().feed(sent(changed)))
            assert [event.event for event in decoded] == [kind]


def sent(event):
    name, data = event
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps(data).encode())


def ping(text: str = "") -> str:
    return f"pong {text}".strip()


def outputs_of(run):
    """What the model is told of the calls that a run waits for."""
    told = []

    def submit(_, submission):
        told.extend(submission.get("tool_outputs", ()))
        return rx.empty()

    names = {getattr(call.function, "name", None) for call in functions(run)}
    tools = Toolbox([Tool(ping, name=name) for name in names if name] or [ping])
    rx.of(run).pipe(operators.run_tools(tools, submit)).subscribe(on_error=refused)
    return told


def refused(error):
    """A run that waits and does not say for what is an error that says so."""
    assert isinstance(error, DecodeError)
    assert "NoneType" not in str(error)


def functions(run):
    return [call for call in required_calls(run.data).values() if call.type == "function"]


WAITING = [event for events in STREAMS.values() for event in events if "requires" in event[0]]
WAITING += [("thread.run.requires_action", run) for run in RUNS if run.get("required_action")]


@settings(deadline=None)
@given(st.sampled_from(WAITING), st.data())
def test_law_a_null_anywhere_tells_the_model_no_nonsense(event, data):
    name, body = event
    place = data.draw(st.sampled_from(list(places(body))))
    (run,) = EventDecoder().feed(sent((name, with_null(body, place))))
    for output in outputs_of(run):
        said = output["output"]
        told = json.loads(said)["error"] if said.startswith("{") else ""
        assert said.startswith("pong") or told.startswith(("DecodeError", "LookupError")), said
        assert "NoneType" not in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"arguments": None}, "pong"),
        ({"arguments": "null"}, "pong"),
        ({"arguments": ""}, "pong"),
        ({}, "pong"),
        ({"arguments": {"text": "a"}}, "pong a"),
        ({"arguments": '{"text": "a"}'}, "pong a"),
    ],
    ids=str,
)
def test_arguments_of_any_shape(arguments, told):
    call = {"id": "call_1", "type": "function", "function": {"name": "ping", **arguments}}
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}}
    data = {"id": "run_1", "status": "requires_action", "required_action": action}
    (run,) = EventDecoder().feed(sent(("thread.run.requires_action", data)))
    assert outputs_of(run) == [{"tool_call_id": "call_1", "output": told}]


@given(st.sampled_from(RUNS), st.data())
def test_law_a_body_with_a_null_is_the_same_there_and_back(body, data):
    changed = with_null(body, data.draw(st.sampled_from(list(places(body)))))
    run = structure(changed, Run)
    assert structure(unstructure(run), Run) == run
