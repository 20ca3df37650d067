"""Every recorded stream: typed, the same in any chunks, and folded to what the service stored."""

from contextlib import suppress
from pathlib import Path

import pytest
from attrs import evolve

from rxassist.errors import StreamTruncated
from rxassist.events import (
    DoneEvent,
    ErrorEvent,
    RunEvent,
    RunStepEvent,
    ThreadMessageCompleted,
    ThreadMessageIncomplete,
    ThreadRunStepCreated,
    ThreadRunStepInProgress,
    UnknownEvent,
)
from rxassist.models import (
    FileCitationAnnotation,
    FileSearchToolCall,
    TextContentBlock,
    ToolCallsStepDetails,
)
from rxassist.protocols.assistants.codec import EventDecoder, decode_event, encode_event
from rxassist.protocols.assistants.snapshots import Snapshot, fold
from rxassist.wire.sse import SSEDecoder

FILES = sorted((Path(__file__).parent / "wire" / "assistants").glob("*.sse"))
NEGATIVE = "php-no-blank-lines.sse"
STREAMS = [path for path in FILES if path.name != NEGATIVE]
# The documentation leaves deltas out: nothing that grows is whole before it is completed.
ABRIDGED = "doc-createRun-1.sse"

every_stream = pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.stem) for path in STREAMS]
)


def decode(chunks):
    decoder = EventDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + list(decoder.flush())


@pytest.fixture
def events(path):
    return decode([path.read_bytes()])


def is_end(event):
    if isinstance(event, RunStepEvent):
        return not isinstance(event, ThreadRunStepCreated | ThreadRunStepInProgress)
    return isinstance(event, ThreadMessageCompleted | ThreadMessageIncomplete)


@every_stream
def test_every_event_is_typed(path, events):
    names = [line[7:] for line in path.read_text().splitlines() if line.startswith("event: ")]
    assert [event.event for event in events] == names
    assert not [event for event in events if isinstance(event, UnknownEvent)]
    assert events[-1] == DoneEvent()


@every_stream
def test_single_bytes_give_the_same_events(path, events):
    body = path.read_bytes()
    assert decode(body[i : i + 1] for i in range(len(body))) == events


@every_stream
@pytest.mark.parametrize("end", [b"\r\n", b"\r"], ids=["CRLF", "CR"])
def test_other_line_ends_give_the_same_events(path, events, end):
    assert decode([path.read_bytes().replace(b"\n", end)]) == events


@every_stream
def test_every_event_survives_encoding(events):
    assert [decode_event(encode_event(event)) for event in events] == events


@every_stream
def test_every_cut_is_a_prefix_of_the_events_then_truncation_or_silence(path, events):
    body = path.read_bytes()
    for end in range(0, len(body), 97):
        decoder = EventDecoder()
        got = list(decoder.feed(body[:end]))
        with suppress(StreamTruncated):
            got += decoder.flush()
        assert got == events[: len(got)]


@every_stream
def test_the_last_snapshot_equals_the_completed_objects(events):
    """Of a run the last event counts; a message or step that ended is what its end said."""
    snapshot = Snapshot()
    runs, messages, steps = [], {}, {}
    for event in events:
        snapshot = fold(snapshot, event)
        if isinstance(event, RunEvent):
            runs.append(event.data)
        elif is_end(event):
            ended = steps if isinstance(event, RunStepEvent) else messages
            ended[event.data.id] = event.data
    assert snapshot.event == events[-1]
    assert snapshot.run == runs[-1]
    assert {message.id: message for message in snapshot.messages} == messages
    finished = [step for step in snapshot.run_steps if step.id in steps]
    assert {step.id: step for step in finished} == steps
    waiting = [step for step in snapshot.run_steps if step.id not in steps]
    assert all(step.status == "in_progress" for step in waiting)
    assert bool(waiting) == (snapshot.run.status == "requires_action")


def without_quotes(annotation):
    """A citation's quote comes empty in a delta, and not at all when it is completed."""
    if isinstance(annotation, FileCitationAnnotation):
        return evolve(annotation, file_citation=evolve(annotation.file_citation, quote=None))
    return annotation


def without_results(call):
    """What a search found comes with the completed step only."""
    if isinstance(call, FileSearchToolCall):
        return evolve(call, file_search=evolve(call.file_search, results=()))
    return call


def grown_content(message):
    return [
        evolve(part.text, annotations=[without_quotes(a) for a in part.text.annotations])
        if isinstance(part, TextContentBlock)
        else part
        for part in message.content
    ]


@every_stream
def test_what_had_grown_equals_what_is_completed(path, events):
    if path.name == ABRIDGED:
        return
    snapshot = Snapshot()
    for event in events:
        if is_end(event) and isinstance(event, RunStepEvent):
            step = snapshot.find_run_step(event.data.id)
            if step is not None:  # else it began in the stream before
                grown, told = step.step_details, event.data.step_details
                assert isinstance(grown, type(told))
                if isinstance(told, ToolCallsStepDetails):
                    expected = [without_results(call) for call in told.tool_calls]
                    assert [without_results(call) for call in grown.tool_calls] == expected
                else:
                    assert grown == told
        elif is_end(event):
            grown = snapshot.find_message(event.data.id)
            assert grown_content(grown) == grown_content(event.data)
            assert snapshot.text == "".join(p.text.value for p in event.data.content)
        snapshot = fold(snapshot, event)


@every_stream
def test_a_run_that_waits_asks_for_the_calls_that_had_grown(events):
    snapshot = Snapshot()
    for event in events:
        snapshot = fold(snapshot, event)
    if snapshot.run.status != "requires_action":
        return
    wanted = snapshot.run.required_action.submit_tool_outputs.tool_calls
    grown = [call for step in snapshot.run_steps for call in step.step_details.tool_calls]
    assert [(call.id, call.function.name, call.function.arguments) for call in grown] == [
        (call.id, call.function.name, call.function.arguments) for call in wanted
    ]


@every_stream
def test_an_error_is_an_event_too(path, events):
    errors = [event.data.type for event in events if isinstance(event, ErrorEvent)]
    assert errors == (["server_error"] if path.stem == "oa4j-error-then-done" else [])


@pytest.fixture
def without_blank_lines(wire):
    """A file in which every blank line was taken out: by the standard it holds no event.

    Events are dispatched at blank lines only, and what is pending when a body ends is discarded.
    What is pending here is one event: its name is that of the last ``event`` line, its data all
    the ``data`` lines, joined. That is no JSON, so the stream counts as cut, and nothing of it is
    passed off as an event.
    """
    return wire / "assistants" / NEGATIVE


def test_without_blank_lines_nothing_is_dispatched(without_blank_lines):
    assert list(SSEDecoder().feed(without_blank_lines.read_bytes())) == []


def test_without_blank_lines_all_lines_make_one_pending_event(without_blank_lines):
    decoder = SSEDecoder()
    list(decoder.feed(without_blank_lines.read_bytes()))
    pending = decoder.flush()
    lines = without_blank_lines.read_text().splitlines()
    assert pending.event == "done"
    assert pending.data.split("\n") == [line[6:] for line in lines if line.startswith("data: ")]


def test_without_blank_lines_the_stream_is_truncated(without_blank_lines):
    decoder = EventDecoder()
    assert list(decoder.feed(without_blank_lines.read_bytes())) == []
    with pytest.raises(StreamTruncated):
        list(decoder.flush())


def test_every_recording_is_accounted_for(wire):
    readme = (wire / "README.md").read_text()
    recordings = [path for path in wire.rglob("*") if path.suffix in {".sse", ".json"}]
    assert len(FILES) == 18
    assert [path.name for path in recordings if f"`{path.name}`" not in readme] == []
