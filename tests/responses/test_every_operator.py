"""The first tests of every operator over the events of responses: what holds for all."""

import json

import pytest
import reactivex as rx
from attrs import field, frozen
from reactivex import operators as ops
from reactivex.testing import TestScheduler

from rxassist import operators
from rxassist.errors import StreamTruncated
from rxassist.protocols.responses.codec import encode_event
from rxassist.protocols.responses.events import ResponseEvent
from rxassist.runs.streams.merging import MergedEvent, RunSummary, merge_runs
from rxassist.testing import END_OF_TIME, Marbles
from rxassist.wire.sse import encode

OF_ASSISTANTS = {"recover", "run_tools", "run_steps", "as_assistant_events"}
"""The operators that belong to the Assistants protocol, or are tested by themselves."""


def same(value):
    return value


def as_bytes(event):
    return encode(encode_event(event))


def as_of_a_run(event):
    return MergedEvent(0, event)


def as_end_of_a_run(event):
    return MergedEvent(0, None, None, RunSummary(0, event))


def read(snapshot):
    return snapshot.event, snapshot.run, snapshot.items


@frozen
class Entry:
    """An operator, and in what it differs from the others."""

    make: object
    takes: object = field(default=same)  # what it takes instead of an event
    shows: object = field(default=same)  # of a value, what can be compared
    needs_an_end: bool = False  # an empty source is StreamTruncated, not empty


OPERATORS = {
    "accumulate_snapshots": Entry(operators.accumulate_snapshots, shows=read),
    "check_ending": Entry(operators.check_ending, needs_an_end=True),
    "choose": Entry(lambda: operators.choose(lambda event: event.name)),
    "choose_each": Entry(lambda: operators.choose_each(lambda: (lambda event: [event.name], list))),
    "citations": Entry(operators.citations),
    "deadline": Entry(lambda: operators.deadline(END_OF_TIME, scheduler=TestScheduler())),
    "debounce_snapshots": Entry(lambda: operators.debounce_snapshots(1)),
    "decode": Entry(lambda: operators.decode(protocol="responses"), takes=as_bytes),
    "final_run": Entry(operators.final_run, needs_an_end=True),
    "group_by_run": Entry(operators.group_by_run, as_of_a_run, lambda group: group.key),
    "json_snapshots": Entry(operators.json_snapshots, takes=lambda _: "1"),
    "latest_snapshots": Entry(
        operators.latest_snapshots, as_of_a_run, lambda latest: read(latest[0])
    ),
    "lines": Entry(operators.lines),
    "messages": Entry(operators.messages),
    "of_run": Entry(lambda: operators.of_run(0), takes=as_of_a_run),
    "of_type": Entry(lambda: operators.of_type(ResponseEvent)),
    "raise_for_status": Entry(operators.raise_for_status),
    "retry_run": Entry(operators.retry_run),
    "run_summaries": Entry(operators.run_summaries, takes=as_end_of_a_run),
    "runs": Entry(operators.runs),
    "sentences": Entry(operators.sentences),
    "smooth": Entry(lambda: operators.smooth(1)),
    "text_deltas": Entry(operators.text_deltas),
    "text_snapshots": Entry(operators.text_snapshots),
    "timings": Entry(operators.timings),
    "tool_call_deltas": Entry(operators.tool_call_deltas),
    "tool_calls": Entry(operators.tool_calls),
    "until_done": Entry(operators.until_done, needs_an_end=True),
    "usage": Entry(operators.usage),
}


@pytest.fixture(params=OPERATORS)
def entry(request):
    return OPERATORS[request.param]


@pytest.fixture
def a_run(told, entry):
    """A response in which every operator finds something, as what the operator takes."""
    response = {"id": "resp_1", "status": "in_progress"}
    call = {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}"}
    content = [{"type": "output_text", "text": "Hi. Oh"}]
    message = {"type": "message", "id": "m", "role": "assistant", "content": content}
    text = {"type": "response.output_text.delta", "output_index": 1}
    arguments = {"type": "response.function_call_arguments.delta", "output_index": 0}
    item = {"type": "response.output_item.done", "output_index": 0, "item": call}
    events = told(
        {"type": "response.created", "response": response},
        {**arguments, "delta": "{}"},
        item,
        {**text, "delta": "Hi."},
        {**text, "delta": " Oh"},
        {"type": "response.output_item.done", "output_index": 1, "item": message},
        {
            "type": "response.completed",
            "response": {**response, "status": "completed", "output": [call, message]},
        },
    )
    return dict(zip("kxytunc", map(entry.takes, events), strict=True))


def test_no_operator_is_left_out():
    assert sorted({*OPERATORS, *OF_ASSISTANTS}) == sorted({*operators.__all__, *OF_ASSISTANTS})


def test_it_emits_something_and_its_subscriptions_are_independent(entry, a_run):
    marbles = Marbles(**a_run)
    piped = marbles.cold("-k-x-y-t-u-n-c-|").pipe(entry.make())
    first, second = marbles.watch(piped), marbles.watch(piped, "-------^")
    marbles.start()
    values = [entry.shows(value) for value in first.values]
    assert values
    assert values == [entry.shows(value) for value in second.values]
    assert marbles.errors == []


def test_an_empty_source(entry):
    marbles = Marbles()
    drawn = marbles.run(marbles.cold("---|").pipe(entry.make()))
    assert drawn == ("---#" if entry.needs_an_end else "---|")
    assert all(isinstance(error, StreamTruncated) for error in marbles.errors)


def test_an_error_in_the_middle_passes_as_it_is(entry, a_run):
    marbles = Marbles(error := LookupError(), **a_run)
    source = marbles.cold("-k-x-t-#")
    assert marbles.run(source.pipe(entry.make())).rstrip(")").endswith("#")
    assert marbles.errors == [error]
    assert source.subscriptions == ["^------!"]


def test_to_dispose_frees_the_source(entry, a_run):
    marbles = Marbles(**a_run)
    source = marbles.cold("-k-x-t-u-")
    marbles.run(source.pipe(entry.make()), "^---!")
    assert source.subscriptions == ["^---!"]


# --- on recordings -------------------------------------------------------------------------


@pytest.fixture
def text(recorded, emitted):
    return "".join(emitted(operators.text_deltas(), recorded)[0])


def test_sentences_are_the_text(recorded, emitted, text):
    sentences, errors = emitted(operators.sentences(), recorded)
    assert errors == []
    assert "".join("".join(sentences).split()) == "".join(text.split())
    of_text, _ = emitted(operators.sentences(), [text] if text else [])
    assert len(sentences) >= len(of_text)


def test_lines_are_the_text(recorded, emitted, text):
    lines, errors = emitted(operators.lines(), recorded)
    assert errors == []
    assert "".join(lines) == text.replace("\n", "")
    assert len(lines) >= len(text.splitlines())


def test_smooth_text_is_the_text(recorded, text):
    scheduler, pieces = TestScheduler(), []
    smooth = operators.smooth(0.01, scheduler=scheduler)
    rx.from_iterable(recorded).pipe(smooth).subscribe(pieces.append)
    scheduler.start()
    assert "".join(pieces) == text


def test_debounced_snapshots_end_with_the_last(recorded):
    scheduler, seen = TestScheduler(), []
    debounce = operators.debounce_snapshots(1, scheduler=scheduler)
    snapshots = rx.from_iterable(recorded).pipe(operators.accumulate_snapshots(), debounce)
    snapshots.subscribe(seen.append)
    scheduler.start()
    assert seen[-1].event == recorded[-1]
    assert len(seen) <= 2


def test_arguments_are_json_that_grows(recorded, emitted):
    calls, _ = emitted(operators.tool_calls(), recorded)
    for call in [each for each in calls if each.type == "function_call"]:
        pieces = [
            event.delta
            for event in emitted(operators.tool_call_deltas(), recorded)[0]
            if event.item_id == call.id
        ]
        values, errors = emitted(operators.json_snapshots(), pieces)
        assert errors == []
        assert values[-1:] == ([json.loads(call.arguments)] if pieces else [])


def test_merged_responses_are_told_apart(short_streams, decode, emitted):
    streams = {path.stem: decode(path.read_bytes()) for path in short_streams[:6]}
    merged = list(merge_runs({key: rx.from_iterable(each) for key, each in streams.items()}))

    latest = emitted(operators.latest_snapshots(), merged)[0][-1]
    groups = {}
    collected = ops.flat_map(
        lambda group: group.pipe(ops.to_list(), ops.map(lambda each: (group.key, each)))
    )
    rx.from_iterable(merged).pipe(operators.group_by_run(), collected).subscribe(
        lambda pair: groups.__setitem__(*pair)
    )
    for key, events in streams.items():
        assert groups[key] == events
        assert emitted(operators.of_run(key), merged) == (events, [])
        assert latest[key].text == "".join(emitted(operators.text_deltas(), events)[0])
